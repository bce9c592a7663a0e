"""Pairs that do a stage's work: bankruptcy values, the fund's takeover."""

from __future__ import annotations

from copy import deepcopy
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
from hypothesis import strategies as st

from fastadl.kernels.bankruptcy import Work
from fastadl.kernels.fund import DEBT, LOTS, ROOM
from fastadl.kernels.money import Reserve
from fastadl.reference import account, bankruptcy, fund, layout, wide
from twins.books import Case, accounts, case, cases, close_some, holdings, listings
from twins.pair import Pair, assert_equal

# ---------------------------------------------------------------------- bankrupt accounts


def work_of(found: Case, slots: np.ndarray) -> Work:
    start, row = layout.expand(found.rows, slots)
    rows = found.rows
    return Work(
        start, slots, rows.cash[slots], row, rows.leg[row], rows.lots[row].astype(np.int64), rows.entry[row]
    )


@st.composite
def hedged(draw: st.DrawFn) -> tuple[Any, ...]:
    """Accounts with both legs of some instruments."""
    instruments = draw(listings())
    legs = st.lists(st.sampled_from(range(len(instruments))), unique=True).map(
        lambda both: [leg for i in both for leg in (2 * i, 2 * i + 1)]
    )
    found = case(
        instruments, [draw(accounts(instruments, legs=draw(legs))) for _ in range(draw(st.integers(0, 3)))]
    )
    close_some(draw, found)
    start, row = layout.expand(found.rows, found.slots)
    return start, row, found.slots, found.rows, np.zeros(len(row), np.int64), np.zeros(len(row), np.int64)


def split_exactly(found: Case, work: Work, a: int, by_notional: bool) -> list[int]:
    part = slice(int(work.start[a]), int(work.start[a + 1]))
    lots, which = work.lots[part].tolist(), [int(leg) >> 1 for leg in work.leg[part]]
    margins = [
        account.row_margin(n, i, found.units, found.instruments) for n, i in zip(lots, which, strict=True)
    ]
    return bankruptcy.bankruptcy_values(
        lots,
        [found.units[i] for i in which],
        None if by_notional else margins,
        work.entry[part].tolist(),
        int(work.cash[a]),
    )


def same_split(kernel: Any, twin: Any, arguments: Any) -> None:
    """Exact where it is sure; it is sure of every account with one row."""
    found, by_notional = arguments
    work = work_of(found, found.slots)
    value, sure = np.zeros(len(work.row), np.int64), np.empty(len(found.slots), np.bool_)
    kernel(work, by_notional, found.margins, found.marks.exact, value, sure)
    for a in range(len(found.slots)):
        first, last = work.start[a], work.start[a + 1]
        assert sure[a] or last - first > 1
        if sure[a] and first < last:
            assert value[first:last].tolist() == split_exactly(found, work, a, by_notional)


# ---------------------------------------------------------------------- the fund


@st.composite
def takeovers(draw: st.DrawFn) -> tuple[Case, Work, np.ndarray, np.ndarray, Reserve, Fraction]:
    """Bankrupt accounts, what their rows must pay, what the fund holds, and room that ends at some row."""
    found = draw(cases(least=1, stand="bankrupt"))
    slots = [slot for slot in found.slots.tolist() if account.equity(found.rows, slot, found.units) < 0]
    work = work_of(found, np.array(slots, np.int32))
    value = np.array([v for a in range(len(slots)) for v in split_exactly(found, work, a, True)], np.int64)
    instrument = work.leg.astype(np.int64) >> 1
    value[((work.lots < 0) != found.marks.exact.inverse[instrument]) & (value > 0)] = 0
    reserve = found.reserve()
    for i in range(len(found.instruments)):
        _, lots, entry = draw(holdings(list(found.instruments), 2 * i + draw(st.integers(0, 1))))
        if draw(st.booleans()):
            reserve.lots[i], reserve.entry[i] = lots, entry
    losses = [
        Fraction(int(v) - int(n) * found.units[i], abs(int(n)))
        for v, n, i in zip(value, work.lots, instrument, strict=True)
    ]
    steps = [loss for loss in losses if loss > 0] or [Fraction(1)]
    room = draw(st.sampled_from(steps)) * draw(st.integers(0, 9))
    room += draw(
        st.sampled_from([Fraction(n, d) for n, d in ((0, 1), (1, 10**12), (-1, 10**12), (1, 3), (50, 1))])
    )
    room += draw(st.sampled_from([0, 0, sum(steps), 10**9, 10**18]))
    return found, work, np.abs(work.lots), value, reserve, room


def fund_equity(found: Case, reserve: Reserve) -> Fraction:
    held = zip(reserve.lots.tolist(), reserve.entry.tolist(), found.units, strict=True)
    return int(reserve.cash[1]) + sum((lots * unit - entry for lots, entry, unit in held), Fraction(0))


def taken_over(kernel: Any, case: Any) -> tuple[np.ndarray, np.ndarray]:
    """Run the kernel to its end, deciding with fractions whatever it leaves open."""
    found, work, left, value, reserve, room = case
    least = fund_equity(found, reserve) - room
    taken, paid = np.zeros(len(left), np.int64), np.zeros(len(work.slot), np.int64)
    members, place = np.arange(len(work.slot)), np.array([0, 0, -1], np.int64)
    while (free := fund_equity(found, reserve) - least) > 0:
        parts = np.array([*wide.pair(free), abs(float(free)) * 1e-24])
        answer = kernel(
            work, members, 1, left, value, found.rows, found.marks.exact, reserve, parts, place, taken, paid
        )
        free = fund_equity(found, reserve) - least
        if answer == DEBT:
            place[2] = min(-int(found.rows.cash[work.slot[place[0]]]), floor(free))
        elif answer == LOTS:
            r = int(work.start[place[0]] + place[1])
            lots = int(left[r]) if work.lots[r] > 0 else -int(left[r])
            worth = lots * found.units[int(work.leg[r]) >> 1]
            place[2] = fund.fitting_lots(free, int(left[r]), int(value[r]), worth)
        elif answer != ROOM:
            break
    return taken, paid


def same_takeover(kernel: Any, twin: Any, arguments: Any) -> None:
    ours, theirs = deepcopy(arguments), deepcopy(arguments)
    taken, paid = taken_over(kernel, ours)
    found, work, left, value, reserve, room = theirs
    lots, debts = twin(
        work, np.arange(len(work.slot)), 1, left, value, found.rows, found.units, reserve, room
    )
    assert {int(r): int(taken[r]) for r in np.flatnonzero(taken)} == lots
    assert {int(a): int(paid[a]) for a in np.flatnonzero(paid)} == debts
    assert_equal((ours[0].rows, *ours[2:5]), (found.rows, left, value, reserve))


PAIRS = {
    "bankruptcy.net_hedges": Pair(bankruptcy.net_hedges, hedged()),
    "bankruptcy.bankruptcy_values": Pair(
        bankruptcy.bankruptcy_values, st.tuples(cases(stand="bankrupt"), st.booleans()), same_split
    ),
    "fund.takeover": Pair(fund.takeover, takeovers(), same_takeover),
}
