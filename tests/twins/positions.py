"""Pairs over a book at rest: layout, marking, evaluation, and single moves of money."""

from __future__ import annotations

from copy import deepcopy
from fractions import Fraction
from math import ceil, floor
from typing import Any

import numpy as np
from hypothesis import strategies as st

from fastadl.engine.prices import per_lot
from fastadl.kernels.account import GROSS, LONG, PROFIT, SHORT
from fastadl.kernels.mark import guard_slots
from fastadl.kernels.money import Reserve
from fastadl.reference import account, layout, mark, money, wide
from twins.arithmetic import near_floor, sizes, two_parts
from twins.books import Case, accounts, case, cases, listings
from twins.pair import Pair, assert_equal, same_call

#: Rounding error of float64 arithmetic on 2^-53.
_EPSILON = Fraction(1, 1 << 53)


def exact(number: float) -> Fraction:
    return Fraction(float(number))


# ---------------------------------------------------------------------- layout


@st.composite
def unplaced(draw: st.DrawFn) -> tuple[np.ndarray, ...]:
    """Rows in any order, where their accounts go, and tables to write them into."""
    found = draw(cases())
    slot_of = np.repeat(-1, len(found.rows.leg))
    for slot in found.slots:
        slot_of[list(layout.places(found.rows, int(slot)))] = slot
    shuffled = np.array(draw(st.permutations(range(len(slot_of)))), np.int64)
    slot = np.argsort(found.rows.account).astype(np.int32)
    owner = found.rows.account[slot_of[shuffled]]
    rows = found.rows
    return owner, rows.leg[shuffled], rows.lots[shuffled].astype(np.int64), rows.entry[shuffled], slot, rows


def same_place(kernel: Any, twin: Any, arguments: Any) -> None:
    *columns, slot, rows = arguments
    group = (np.searchsorted(rows.group_slot, slot, side="right") - 1).astype(np.int32)
    ours, theirs = deepcopy(rows), deepcopy(rows)
    kernel(*columns, slot, group, ours)
    twin(*columns, slot, theirs)
    assert_equal(ours, theirs)


@st.composite
def unsorted(draw: st.DrawFn) -> tuple[Any, np.ndarray]:
    found = draw(cases())
    for slot in found.slots:
        mine = list(layout.places(found.rows, int(slot)))
        shuffled = draw(st.permutations(mine))
        for column in (found.rows.leg, found.rows.lots, found.rows.entry):
            column[mine] = column[shuffled]
    rank = np.array(draw(st.permutations(range(2 * len(found.instruments)))), np.int32)
    return found.rows, rank


@st.composite
def chosen_slots(draw: st.DrawFn) -> tuple[Any, np.ndarray]:
    found = draw(cases())
    slots = draw(st.lists(st.sampled_from(found.slots.tolist()))) if len(found.slots) else []
    return found.rows, np.array(slots, np.int32)


@st.composite
def wanted_legs(draw: st.DrawFn) -> tuple[Case, np.ndarray, np.ndarray, int]:
    found = draw(cases())
    legs = 2 * len(found.instruments)
    chosen = draw(st.lists(st.integers(0, legs - 1), unique=True))
    wanted = np.full(legs, -1, np.int32)
    wanted[chosen] = np.arange(len(chosen))
    accounts = len(found.slots)
    skipped = np.array(draw(st.lists(st.booleans(), min_size=accounts, max_size=accounts)), np.bool_)
    return found, wanted, skipped, draw(st.integers(1, 3))


def same_gather(kernel: Any, twin: Any, arguments: Any) -> None:
    found, wanted, skipped, size = arguments
    start, row, slot, span = kernel(found.rows, wanted, skipped, found.blocks(size))
    legs = twin(found.rows, wanted, skipped)
    assert_equal(start, np.cumsum([0, *map(len, legs)]))
    for b, (_, low, high) in enumerate(found.blocks(size)):
        for w in range(len(legs)):
            begin, end = span[:, b, w]
            assert ((low <= slot[begin:end]) & (slot[begin:end] < high)).all()
            assert start[w] <= begin <= end <= start[w + 1]
    assert (span[1] - span[0]).sum() == len(row)
    for leg, first, last in zip(legs, start[:-1], start[1:], strict=True):
        assert sorted(zip(row[first:last].tolist(), slot[first:last].tolist(), strict=True)) == leg


groups = st.lists(st.integers(1, 4), min_size=1, max_size=6).flatmap(
    lambda widths: st.tuples(
        st.just(np.cumsum([0, *widths]).astype(np.int64)), st.integers(0, sum(widths) - 1)
    )
)


# ---------------------------------------------------------------------- mark


@st.composite
def notionals(draw: st.DrawFn) -> tuple[Fraction, Case]:
    """A notional at or beside a corner of the ladder, or any."""
    found = case(draw(listings()), [])
    corners = [tier.min_notional for item in found.instruments for tier in item.tiers]
    near = draw(st.sampled_from(corners)) * draw(
        st.sampled_from([1, 1 - Fraction(1, 10**10), Fraction(11, 10)])
    )
    return draw(st.one_of(st.just(near), sizes.map(Fraction), st.just(Fraction(0)))), found


def same_margin(kernel: Any, twin: Any, arguments: Any) -> None:
    notional, found = arguments
    for i in range(len(found.instruments)):
        assert kernel(float(notional), i, found.margins) == twin(float(notional), i, found.margins)


@st.composite
def guarded(draw: st.DrawFn) -> tuple[Case, np.ndarray]:
    found = draw(cases())
    return found, np.abs(found.marks.unit) * draw(st.sampled_from([1.0, 1.25, 1000.0]))


def same_guard(kernel: Any, twin: Any, arguments: Any) -> None:
    """No guard promises more than is true, and none is far below."""
    found, ceiling = arguments
    guards = np.empty(len(found.slots))
    if "blocks" in kernel.__name__:
        kernel(found.rows, ceiling, found.margins, found.blocks(2), guards)
    else:
        kernel(found.rows, ceiling, found.margins, found.slots, guards)
    for slot in found.slots:
        rows = layout.open_rows(found.rows, int(slot))
        most = twin(found.rows, int(slot), [exact(unit) for unit in ceiling], found.instruments)
        if most is None:
            assert guards[slot] == np.inf
            continue
        size = abs(int(found.rows.cash[slot])) + sum(
            abs(row.entry) + 3 * abs(row.lots) * exact(ceiling[row.instrument]) for row in rows
        )
        later = sum(
            tier.deduction
            for row in rows
            for tier in found.instruments[row.instrument].tiers
            if tier.deduction < 0
        )
        assert most - (size - later) * _EPSILON * 40 * (len(rows) + 2) <= exact(guards[slot]) <= most


def same_scan(kernel: Any, twin: Any, arguments: Any) -> None:
    """The accounts found are those the float64 pass says, and every other one is safe, exactly."""
    found, ceiling = arguments
    guards = np.empty(len(found.slots))
    guard_slots(found.rows, ceiling, found.margins, found.slots, guards)
    blocks = found.blocks(2)
    slots, count = np.full(len(found.slots), -1, np.int32), np.full(len(blocks), -1, np.int64)
    kernel(found.rows, guards, found.weights, blocks, slots, count)
    suspects = [s for (_, first, _), n in zip(blocks, count, strict=True) for s in slots[first : first + n]]
    assert suspects == twin(found.rows, guards, found.weights)
    for slot in set(found.slots.tolist()) - set(suspects):
        assert account.safe(found.rows, slot, found.units, found.instruments)


# ---------------------------------------------------------------------- account


def same_values(kernel: Any, twin: Any, found: Case) -> None:
    """Bit-equal to the formula, and no farther from the truth than the bound says."""
    out = np.empty((4, len(found.slots)))
    kernel(found.rows, found.slots, found.marks.unit, found.margins, out)
    for slot in found.slots.tolist():
        equity, margin, gross, error = out[:, slot].tolist()
        assert (equity, margin, gross) == twin(found.rows, slot, found.marks.unit, found.margins)
        worth = account.equity(found.rows, slot, found.units)
        needed = account.maintenance_margin(found.rows, slot, found.units, found.instruments)
        assert abs(exact(equity) - worth) <= exact(error)
        assert abs(exact(equity) - exact(margin) - (worth - needed)) <= exact(error)


@st.composite
def single_rows(draw: st.DrawFn) -> tuple[Case, int, int]:
    """A book of one row, its instrument and its lots."""
    instruments = draw(listings())
    _, rows = draw(accounts(instruments, legs=[draw(st.integers(0, 2 * len(instruments) - 1))]))
    return case(instruments, [(0, rows)]), rows[0][0], rows[0][1]


def same_row_value(kernel: Any, twin: Any, arguments: Any) -> None:
    found, instrument, lots = arguments
    high, low = kernel(lots, instrument, found.marks.exact)
    wanted = twin(lots, instrument, found.units)
    assert abs(exact(high) + exact(low) - wanted) <= abs(wanted) / (1 << 100)


def same_row_margin(kernel: Any, twin: Any, arguments: Any) -> None:
    found, instrument, lots = arguments
    amount, rest, per, part, sure = kernel(abs(lots), instrument, found.marks.exact, found.margins)
    wanted = twin(lots, instrument, found.units, found.instruments)
    if not sure:
        assert found.marks.exact.unit[instrument] == 0 or abs(lots * found.units[instrument]) > 3.9e18
    elif per > 0:
        assert amount + Fraction(int(rest), int(per)) == wanted
        assert 0 <= rest < per
        assert abs(exact(part) - Fraction(int(rest), int(per))) < Fraction(1, 10**12)
    else:
        assert abs(amount + exact(part) - wanted) < Fraction(1, 10**12)


def same_wide_margin(kernel: Any, twin: Any, arguments: Any) -> None:
    """As a pair of float64, good to 28 digits of what is added up."""
    found, instrument, lots = arguments
    value = abs(account.row_value(lots, instrument, found.units))
    (high, low), sure = kernel(wide.pair(value), instrument, found.margins, found.marks.exact)
    wanted = twin(lots, instrument, found.units, found.instruments)
    if sure:
        assert abs(exact(high) + exact(low) - wanted) <= (value + wanted) / 10**28
    else:
        assert found.marks.exact.unit[instrument] == 0 or wanted <= value / 10**14


def same_sum(kernel: Any, twin: Any, arguments: Any) -> None:
    """Exact where it is sure; where it is not, the sum is close to whole, or too large."""
    found, what = arguments
    floors, sure = np.empty(len(found.slots), np.int64), np.empty(len(found.slots), np.bool_)
    kernel(found.rows, found.slots, found.marks.exact, what, floors, sure)
    for slot in found.slots.tolist():
        exposure = account.exposure(found.rows, slot, found.units, found.instruments, {})
        wanted = {
            PROFIT: twin(found.rows, slot, found.units),
            GROSS: account.gross(found.rows, slot, found.units),
            LONG: exposure,
            SHORT: -exposure,
        }[what]
        if sure[slot]:
            assert floors[slot] == floor(wanted)
        else:
            rows = layout.open_rows(found.rows, slot)
            size = sum(abs(row.lots * found.units[row.instrument]) + abs(row.entry) for row in rows)
            assert size > 3.9e18 or abs(wanted - round(wanted)) < Fraction(1, 10**10)


def same_row_profits(kernel: Any, twin: Any, found: Case) -> None:
    held = [row for slot in found.slots.tolist() for row in layout.open_rows(found.rows, slot)]
    at = np.array([row.at for row in held], np.int64)
    floors, sure = np.empty(len(held), np.int64), np.empty(len(held), np.bool_)
    kernel(at, found.rows, found.marks.exact, floors, sure)
    for row, profit, known in zip(held, floors.tolist(), sure, strict=True):
        value = twin(row.lots, row.instrument, found.units)
        if known:
            assert profit == floor(value - row.entry)
        else:
            assert abs(value) > 3.9e18 or abs(value - round(value)) < Fraction(1, 10**10)


def same_ceiling(kernel: Any, twin: Any, found: Case) -> None:
    ceilings, sure = np.empty(len(found.slots), np.int64), np.empty(len(found.slots), np.bool_)
    kernel(found.rows, found.slots, found.margins, found.marks.exact, ceilings, sure)
    for slot in found.slots.tolist():
        wanted = twin(found.rows, slot, found.units, found.instruments)
        if sure[slot]:
            assert ceilings[slot] == ceil(wanted)
        else:
            size = account.gross(found.rows, slot, found.units)
            odd = (found.marks.exact.unit == 0).any()
            assert odd or size > 3.9e18 or abs(wanted - round(wanted)) < Fraction(1, 10**10)


# ---------------------------------------------------------------------- money

atoms = st.one_of(st.integers(-9, 9), st.integers(-(1 << 53), 1 << 53))


@st.composite
def closes(draw: st.DrawFn) -> tuple[Any, int, int, int, int]:
    """Rows, a slot and a row of it, lots of it to close and their value."""
    found, _, _ = draw(single_rows())
    at = layout.open_rows(found.rows, 0)[0]
    closed = draw(
        st.one_of(st.integers(1, abs(at.lots)), st.just(abs(at.lots)), st.just((abs(at.lots) + 1) // 2))
    )
    return found.rows, 0, at.at, closed, draw(atoms)


@st.composite
def takings(draw: st.DrawFn) -> tuple[Reserve, int, int, int, int]:
    """What a reserve holds of two instruments, and what it takes of the second."""
    lots = st.one_of(st.just(0), st.integers(-9, 9), st.integers(-(1 << 53), 1 << 53))
    held = draw(lots)
    taken = draw(st.one_of(st.integers(1, 12), st.integers(1, 1 << 53), st.just(max(1, abs(held)))))
    entry = draw(atoms) if held else 0
    columns = ([5, held], [7, entry], [3, 11], [0, -20])
    reserve = Reserve(*(np.array(column, np.int64) for column in columns), np.array([1, 0], np.int32))
    return reserve, 1, draw(st.sampled_from([1, -1])), taken, draw(atoms)


@st.composite
def priced(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, dict[int, Fraction]]:
    """Lots by key, and unit values that do and do not fit into 62 bits, some of them making values whole."""
    per = st.one_of(st.integers(1, 9), st.just(10**9), st.integers(1, 1 << 80))
    size = st.one_of(st.integers(1, 99), st.integers(1, 1 << 70), st.just(1 << 63))
    units = {key: Fraction(draw(st.sampled_from([1, -1])) * draw(size), draw(per)) for key in (0, 2, 3)}
    which = draw(st.lists(st.sampled_from(sorted(units)), max_size=8))
    lots = []
    for key in which:
        most = int((1 << 63) / abs(units[key]))
        part = abs(units[key].denominator)
        some = draw(st.one_of(st.integers(0, 99), st.integers(0, min(most, 1 << 53)), st.just(part)))
        lots.append(draw(st.sampled_from([1, -1])) * min(some, 1 << 61))
    return np.array(lots, np.int64), np.array(which, np.int64), units


def same_worth(kernel: Any, twin: Any, found: Any) -> None:
    lots, which, units = found
    out, sure = np.empty(len(lots), np.int64), np.empty(len(lots), np.bool_)
    kernel(lots, which, per_lot(units), out, sure)
    for i, wanted in enumerate(twin(lots, which, units)):
        if sure[i]:
            assert out[i] == wanted
        else:  # near 2^62, or a wide value that is next to whole
            value = int(lots[i]) * units[int(which[i])]
            assert abs(value) > 3.9e18 or abs(value - round(value)) < 1e-9


@st.composite
def queueing(draw: st.DrawFn) -> tuple[np.ndarray, ...]:
    key = np.array(draw(st.lists(st.integers(0, 3), max_size=9)), np.uint16)
    lots = st.one_of(st.integers(0, 9), st.integers(0, 1 << 53))
    asked = np.array(draw(st.lists(lots, min_size=len(key), max_size=len(key))), np.int64)
    left = np.array(draw(st.lists(lots, min_size=4, max_size=4)), np.int64)
    return key, asked, left, np.empty(len(key), np.int64)


@st.composite
def lookups(draw: st.DrawFn) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray]:
    found = draw(cases(least=1))
    slots = draw(st.lists(st.sampled_from(found.slots.tolist()), max_size=6))
    legs = st.integers(0, 2 * len(found.instruments) - 1)
    leg = draw(st.lists(legs, min_size=len(slots), max_size=len(slots)))
    return found.rows, np.array(slots, np.int32), np.array(leg, np.int64), np.empty(len(slots), np.int64)


@st.composite
def executed(draw: st.DrawFn) -> tuple[Any, ...]:
    """Closes of one account's rows, some against the reserve and some against the rows of another account."""
    instruments = draw(listings())
    legs = list(range(2 * len(instruments)))
    found = case(instruments, [draw(accounts(instruments, legs=legs)) for _ in range(2)])
    one, other = (layout.open_rows(found.rows, slot) for slot in (0, 1))
    chosen = draw(st.lists(st.sampled_from(range(len(legs))), unique=True, min_size=1))
    if draw(st.booleans()):  # an opposite row that is closed already, and one that is not there
        found.rows.lots[other[0].at], found.rows.entry[other[0].at] = 0, 0
    counter = np.full((3, len(chosen)), -1, np.int64)
    for i, r in enumerate(chosen):
        if draw(st.booleans()):
            counter[:, i] = 1, other[r].at, draw(st.sampled_from([other[r ^ 1].at, other[r ^ 1].at, -1]))
    closed = [draw(st.integers(1, abs(one[r].lots))) for r in chosen]
    reserve = found.reserve()
    reserve.lots[:] = draw(st.lists(st.integers(-9, 9), min_size=len(instruments), max_size=len(instruments)))
    count = len(chosen)
    return (
        found.rows,
        np.zeros(count, np.int32),
        np.array([one[r].at for r in chosen], np.int64),
        np.array(closed, np.int64),
        np.array(draw(st.lists(atoms, min_size=count, max_size=count)), np.int64),
        counter,
        reserve,
        np.empty(count, np.int64),
        np.empty(count, np.int64),
    )


def same_release(kernel: Any, twin: Any, arguments: Any) -> None:
    rows, _, at, closed, _ = arguments
    same_call(kernel, twin, (rows, at, closed, abs(int(rows.lots[at]))))


PAIRS = {
    "layout.locate": Pair(layout.locate, groups),
    "layout.place": Pair(layout.place, unplaced(), same_place),
    "layout.sort_columns": Pair(layout.sort_columns, unsorted()),
    "layout.expand": Pair(layout.expand, chosen_slots()),
    "layout.gather": Pair(layout.gather, wanted_legs(), same_gather),
    "mark.margin": Pair(mark.margin, notionals(), same_margin),
    "mark.guard_blocks": Pair(mark.guard, guarded(), same_guard),
    "mark.guard_slots": Pair(mark.guard, guarded(), same_guard),
    "mark.scan": Pair(mark.scan, guarded(), same_scan),
    "account.evaluate": Pair(account.evaluate, cases(), same_values),
    "account.row_value": Pair(account.row_value, single_rows(), same_row_value),
    "account.row_margin": Pair(account.row_margin, single_rows(), same_row_margin),
    "account.wide_margin": Pair(account.row_margin, single_rows(), same_wide_margin),
    "account.split_floor": Pair(account.split_floor, two_parts(), near_floor),
    "account.exact_sum": Pair(
        account.profit, st.tuples(cases(), st.sampled_from([PROFIT, GROSS, LONG, SHORT])), same_sum
    ),
    "account.row_profits": Pair(account.row_value, cases(), same_row_profits),
    "account.exact_margin": Pair(account.maintenance_margin, cases(), same_ceiling),
    "money.release": Pair(money.release, closes(), same_release),
    "money.close": Pair(money.close, closes()),
    "money.take": Pair(money.take, takings()),
    "money.values": Pair(money.values, priced(), same_worth),
    "money.first_come": Pair(money.first_come, queueing()),
    "money.find_rows": Pair(money.find_rows, lookups()),
    "money.close_rows": Pair(money.close_rows, executed()),
}
