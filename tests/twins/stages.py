"""Pairs that do a stage's work: scores, bankruptcy values, the fund's takeover, ADL fills."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
from hypothesis import strategies as st

from fastadl.engine.prices import reduced
from fastadl.kernels.bankruptcy import Work
from fastadl.kernels.fill import FULL, UNSURE, Bankrupt, Fills, Ranked
from fastadl.kernels.fund import DEBT, LOTS, ROOM
from fastadl.kernels.layout import gather
from fastadl.kernels.money import Reserve
from fastadl.kernels.rank import FIELDS
from fastadl.kernels.scores import SCORES, Candidate
from fastadl.reference import account, bankruptcy, fund, layout, rank, scores, wide
from fastadl.reference.fill import affordable, fill
from twins.books import Case, accounts, case, cases, close_some, holdings, listings
from twins.pair import Pair, assert_equal

# ---------------------------------------------------------------------- scores

atoms = st.one_of(st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.floats(0.0, 1e18))
signed = st.one_of(atoms, atoms.map(lambda x: -x))
candidates = st.builds(
    Candidate,
    lots=st.floats(1.0, 1e15),
    short=st.booleans(),
    inverse=st.booleans(),
    value=st.floats(1e-3, 1e18),
    cost=atoms,
    profit=signed,
    symbol_profit=signed,
    row_margin=atoms,
    cash=signed,
    equity=signed,
    margin=atoms,
    gross=st.floats(1e-3, 1e18),
    one=st.sampled_from([1.0, 100.0, 1e8]),
)


def same_score(kernel: Any, twin: Any, arguments: Any) -> None:
    assert kernel(*arguments) == twin(*arguments)


def measurable(found: Case) -> tuple[Any, ...]:
    one = np.array([10.0**item.decimals for item in found.instruments])
    return found.rows, found.marks.unit, found.margins, found.marks.exact.inverse, one


def gathered(found: Case, size: int) -> tuple[Any, ...]:
    wanted = np.arange(2 * len(found.instruments), dtype=np.int32)
    return gather(found.rows, wanted, np.zeros(len(found.slots), np.bool_), found.blocks(size))


def same_measure(kernel: Any, twin: Any, arguments: Any) -> None:
    """Bit-equal, zeros of one sign, and equity within its bound."""
    number, found = arguments
    pairs = [(at, slot) for slot in found.slots.tolist() for at in layout.places(found.rows, slot)]
    row, slot = np.array(pairs, np.int64).reshape(-1, 2).T.copy()
    out = np.empty((len(FIELDS), len(pairs)))
    kernel(number, row, slot.astype(np.int32), *measurable(found), out)
    agree_on_scores(out, pairs, twin, number, found)


def same_measure_all(kernel: Any, twin: Any, arguments: Any) -> None:
    """The same, block by block."""
    number, found, size = arguments
    _, row, slot, span = gathered(found, size)
    out = np.empty((len(FIELDS), len(row)))
    kernel(number, row, slot, span, found.blocks(size), *measurable(found), out)
    agree_on_scores(out, list(zip(row.tolist(), slot.tolist(), strict=True)), twin, number, found)


def same_description(kernel: Any, twin: Any, arguments: Any) -> None:
    found, size, seed = arguments
    _, row, slot, span = gathered(found, size)
    random = np.random.default_rng(seed)
    rank_of = random.permutation(len(found.slots)).astype(np.int32)
    tier_of = random.integers(0, 3, len(found.slots)).astype(np.uint8)
    out = np.empty(len(row), np.int64), np.empty(len(row), np.int32), np.empty(len(row), np.uint8)
    kernel(row, slot, span, found.rows, rank_of, tier_of, *out)
    assert_equal(out, twin(row, slot, found.rows, rank_of, tier_of))


def agree_on_scores(out: Any, pairs: list[tuple[int, int]], twin: Any, number: int, found: Case) -> None:
    inputs = measurable(found)
    assert not np.signbit(out[0][out[0] == 0.0]).any()
    for c, (at, who) in enumerate(pairs):
        parts = dict(zip(FIELDS, out[:, c].tolist(), strict=True))
        error = Fraction(parts.pop("error"))
        assert parts == twin(number, at, who, *inputs)
        assert abs(Fraction(parts["equity"]) - account.equity(found.rows, who, found.units)) <= error


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


# ---------------------------------------------------------------------- fills


def transfer_of(found: Case, price: Fraction) -> tuple[int, int]:
    """A unit value of the first instrument as the engine hands it in; 0 below where it takes fractions."""
    exact = found.marks.exact
    at_mark = price == found.units[0]
    return (exact.units[0], exact.per[0]) if at_mark else reduced(abs(price.numerator), price.denominator)


@st.composite
def queues(draw: st.DrawFn) -> tuple[Case, Bankrupt, Ranked, Fraction, bool]:
    """Bankrupt rows of one leg, candidates of the other, a price, and whether the guard is on."""
    instruments = draw(listings())
    leg = draw(st.integers(0, 1))
    stands = st.sampled_from(["worthless", "worthless", "at margin", "rich", "any"])
    doomed = [draw(accounts(instruments, "bankrupt", [leg])) for _ in range(draw(st.integers(1, 3)))]
    others = [draw(accounts(instruments, draw(stands), [leg ^ 1])) for _ in range(draw(st.integers(0, 4)))]
    found = case(instruments, doomed + others)
    owner = found.rows.account
    spots = {int(owner[slot]): (slot, layout.open_rows(found.rows, slot)) for slot in found.slots.tolist()}

    def rows_of(whose: range, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        held = [(spots[a][0], row.at, abs(row.lots)) for a in whose for row in spots[a][1]
                if int(found.rows.leg[row.at]) == side]  # fmt: skip
        slot, row, lots = np.array(held, np.int64).reshape(-1, 3).T.copy()
        return slot.astype(np.int32), row, lots

    slot, row, lots = rows_of(range(len(doomed)), leg)
    part = draw(st.sampled_from([1, 1, 2]))
    lots = np.maximum(lots // part, 1)
    price = found.units[0] * draw(st.sampled_from([1, 1, Fraction(9, 10), Fraction(21, 20), Fraction(1, 3)]))
    fits = transfer_of(found, price)[1] > 0
    whole = [not fits or draw(st.booleans()) for _ in lots]
    value = [floor(n * price * (-1 if leg else 1)) + draw(st.integers(-3, 3)) for n in lots.tolist()]
    bankrupt = Bankrupt(slot, row, lots, np.array(value, np.int64), np.array(whole), np.zeros_like(lots))
    slot, row, quota = rows_of(range(len(doomed), len(spots)), leg ^ 1)
    quota = np.array([draw(st.sampled_from([n, n, n // 2, 0])) for n in quota.tolist()], np.int64)
    return found, bankrupt, Ranked(slot, row, quota), price, draw(st.booleans())


def filled(kernel: Any, case: Any) -> Fills:
    """Run the kernel to its end from the least space for its answers, deciding what it leaves open."""
    found, bankrupt, ranked, price, guard = case
    transfer = np.array(transfer_of(found, price), np.int64)
    long = found.rows.lots[bankrupt.row[0]] > 0
    side = 1 if long != bool(found.marks.exact.inverse[0]) else -1
    fills = Fills(*(np.empty(1, np.int64) for _ in Fills._fields))
    place = np.array([0, 0, 0, -1, 0], np.int64)
    inputs = bankrupt, ranked, found.rows, side, transfer, guard, found.marks.exact, place
    while answer := kernel(*inputs, fills):
        if answer == FULL:
            fills = Fills(*(np.append(column, 0) for column in fills))
        else:
            assert answer == UNSURE
            slot = int(ranked.slot[place[1]])
            place[3] = affordable(bankrupt, int(place[0]), found.rows, slot, price, found.units)
    return Fills(*(column[: place[2]] for column in fills))


def same_fills(kernel: Any, twin: Any, arguments: Any) -> None:
    ours, theirs = deepcopy(arguments), deepcopy(arguments)
    found, bankrupt, ranked, price, guard = theirs
    assert_equal(
        filled(kernel, ours), twin(bankrupt, ranked, found.rows, price, found.units if guard else None)
    )
    assert_equal((ours[0].rows, *ours[1:3]), (found.rows, bankrupt, ranked))


def _score(name: str) -> Pair:
    return Pair(getattr(scores, name), st.tuples(candidates), same_score)


single: tuple[str, ...] = tuple(name for name in SCORES if name != "htx")
numbers: Callable[[], Any] = lambda: st.integers(0, len(SCORES) - 1)  # noqa: E731

PAIRS = {
    **{f"scores.{name}": _score(name) for name in single},
    "scores.score": Pair(scores.score, st.tuples(numbers(), candidates), same_score),
    "rank.measure_all": Pair(
        rank.measure, st.tuples(numbers(), cases(), st.integers(1, 3)), same_measure_all
    ),
    "rank.describe": Pair(
        rank.describe, st.tuples(cases(), st.integers(1, 3), st.integers(0, 99)), same_description
    ),
    "rank.measure": Pair(rank.measure, st.tuples(numbers(), cases()), same_measure),
    "bankruptcy.net_hedges": Pair(bankruptcy.net_hedges, hedged()),
    "bankruptcy.bankruptcy_values": Pair(
        bankruptcy.bankruptcy_values, st.tuples(cases(stand="bankrupt"), st.booleans()), same_split
    ),
    "fund.takeover": Pair(fund.takeover, takeovers(), same_takeover),
    "fill.fill": Pair(fill, queues(), same_fills),
}
