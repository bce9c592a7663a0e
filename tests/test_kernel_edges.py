"""What generated books meet too seldom: edges of blocks and buckets, long ties, answers that are not sure."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from fractions import Fraction
from math import ceil

import numpy as np
import pytest

from fastadl.contracts import Instrument, Kind, Tier
from fastadl.engine.scoring import scoring
from fastadl.kernels.account import GROSS, PROFIT, evaluate, exact_margin, exact_sum
from fastadl.kernels.allocate import threshold
from fastadl.kernels.bankruptcy import bankruptcy_values, net_hedges
from fastadl.kernels.fill import (
    DONE,
    FULL,
    SOLVENT,
    SOUND,
    UNGUARDED,
    Bankrupt,
    Fills,
    Ranked,
    Refusals,
    fill,
)
from fastadl.kernels.fund import DEBT, LOTS, takeover
from fastadl.kernels.guard import BELOW_ZERO, UNCUT, allowed
from fastadl.kernels.layout import expand, gather
from fastadl.kernels.levels import level_shares
from fastadl.kernels.mark import guard_blocks, guard_slots, scan
from fastadl.kernels.measure import FIELDS, ONE_BY_ONE, measure
from fastadl.kernels.money import close_rows
from fastadl.kernels.rank import keys, order, select
from fastadl.kernels.scores import NEEDS, SCORES
from fastadl.reference import allocate, mark, rank, wide
from fastadl.reference.account import safe
from fastadl.reference.fill import fill as reference_fill
from fastadl.reference.fund import takeover as reference_takeover
from twins.books import Case, case
from twins.fills import Queue, filled, same_fills
from twins.ranking import context_of
from twins.stages import same_split, same_takeover, work_of

#: Stands where a score of one's own would.
NONE = scoring("size").own

FLAT = (Tier(Fraction(0), Fraction(1, 100), Fraction(0)),)
#: One atom a lot at a mark of 1.
LINEAR = Instrument("LIN", Kind.LINEAR, Fraction(1), Fraction(1), FLAT, decimals=0, mark=Fraction(90))
#: Its unit value has 17 digits above and below the line: more than 62 bits.
INVERSE = Instrument(
    "INV", Kind.INVERSE, Fraction(100), Fraction(1), FLAT, decimals=8, mark=Fraction("41234.567890123457")
)


def empty_int() -> np.ndarray:
    return np.empty(0, np.int64)


# ---------------------------------------------------------------------- boundaries


@pytest.mark.parametrize("accounts", [1, 2047, 2048, 2049])
def test_no_account_is_lost_at_the_edge_of_a_block(accounts: int) -> None:
    """Every third account is liquidatable, the first and the last of a block among them."""
    held = [(50 if i % 3 else -40, [(0, 1, 100 if i % 3 else 50)]) for i in range(accounts)]
    found = case([LINEAR], [*held, (0, []), (5, [(0, 2, 190), (0, -1, -80)])])
    blocks, guards = found.blocks(2048), np.empty(len(found.slots))
    guard_blocks(found.rows, np.abs(found.marks.unit), found.margins, blocks, guards)
    slots, count = np.empty(len(found.slots), np.int32), np.empty(len(blocks), np.int64)
    scan(found.rows, guards, found.weights, blocks, slots, count)
    suspects = [s for (_, first, _), n in zip(blocks, count, strict=True) for s in slots[first : first + n]]
    assert suspects == mark.scan(found.rows, guards, found.weights)
    liquidatable = [s for s in found.slots if not safe(found.rows, int(s), found.units, found.instruments)]
    assert suspects == liquidatable
    assert len(suspects) == (accounts + 2) // 3 + 1
    again = np.empty_like(guards)
    guard_slots(found.rows, np.abs(found.marks.unit), found.margins, found.slots, again)
    np.testing.assert_array_equal(guards, again)


MIXED = case(
    [LINEAR, INVERSE],
    [
        (-3, [(0, 5, 600), (1, -2, 500_000)]),
        (10**6, [(0, -7, -600), (0, 2, 170), (1, 3, -700_001)]),
        (0, []),
        (7, [(1, 1, -250_000)]),
        (-200, [(0, 1, 90), (1, -1, 1)]),
    ],
)


@pytest.mark.parametrize("count", [1024, 1025, 2049])
def test_an_account_is_worth_the_same_alone_and_among_thousands(count: int) -> None:
    slots = np.resize(MIXED.slots, count).astype(np.int32)
    few, many = np.empty((4, 5)), np.empty((4, count))
    for out, who in ((few, MIXED.slots), (many, slots)):
        evaluate(MIXED.rows, who, MIXED.marks.unit, MIXED.margins, out)
    np.testing.assert_array_equal(many, few[:, slots])
    for what in (PROFIT, GROSS):
        alone, all_of_them = (
            (np.empty(5, np.int64), np.empty(5, bool)),
            (np.empty(count, np.int64), np.empty(count, bool)),
        )
        for out, who in ((alone, MIXED.slots), (all_of_them, slots)):
            exact_sum(MIXED.rows, who, MIXED.marks.exact, what, *out)
        np.testing.assert_array_equal(all_of_them, [column[slots] for column in alone])
    for out, who in ((alone, MIXED.slots), (all_of_them, slots)):
        exact_margin(MIXED.rows, who, MIXED.margins, MIXED.marks.exact, *out)
    np.testing.assert_array_equal(all_of_them, [column[slots] for column in alone])
    guards = np.empty(5)
    guard_slots(MIXED.rows, MIXED.marks.unit, MIXED.margins, MIXED.slots, guards)
    again = np.empty(5)
    guard_slots(MIXED.rows, MIXED.marks.unit, MIXED.margins, slots, again)
    np.testing.assert_array_equal(guards, again)


@pytest.mark.parametrize("count", [1024, 1025, 2049])
def test_a_candidate_scores_the_same_alone_and_among_thousands(count: int) -> None:
    start, row = expand(MIXED.rows, MIXED.slots)
    slot = np.repeat(MIXED.slots, np.diff(start))
    which = np.resize(np.arange(len(row)), count)
    context = context_of(MIXED)
    few, many, short = np.empty((len(FIELDS), len(row))), np.empty((len(FIELDS), count)), np.empty((3, count))
    measure(0, 0, NONE, row, slot, *ONE_BY_ONE, context, few)
    for out in (many, short):
        measure(0, 0, NONE, row[which], slot[which], *ONE_BY_ONE, context, out)
    np.testing.assert_array_equal(many, few[:, which])
    np.testing.assert_array_equal(short, few[:3, which])


@pytest.mark.parametrize("count", [255, 256, 257, 513])
def test_a_shortfall_is_split_the_same_alone_and_among_hundreds(count: int) -> None:
    few, many = (
        work_of(MIXED, slots.astype(np.int32)) for slots in (MIXED.slots, np.resize(MIXED.slots, count))
    )
    answers = []
    for work in (few, many):
        value, sure = np.zeros(len(work.row), np.int64), np.empty(len(work.slot), np.bool_)
        bankruptcy_values(work, False, MIXED.margins, MIXED.marks.exact, value, sure)
        answers.append((value, sure))
    np.testing.assert_array_equal(answers[1][0], np.resize(answers[0][0], len(many.row)))
    np.testing.assert_array_equal(answers[1][1], np.resize(answers[0][1], count))
    assert answers[0][1].any()


def test_rounding_hides_nobody_within_an_atom_of_the_margin() -> None:
    """Values near 2^53 atoms, where one float64 rounding is worth more than what is missing."""
    item = replace(LINEAR, mark=Fraction("90.12345678901234"))
    random, held = np.random.default_rng(3), []
    for lots in random.integers(1 << 44, 1 << 46, 300).tolist():
        value = lots * item.unit_value(item.mark)
        entry = int(value * Fraction(99, 100))
        held.append((ceil(value / 100 - (value - entry)) - 1, [(0, lots, entry)]))
    found = case([item], held)
    short = [s for s in found.slots if not safe(found.rows, int(s), found.units, found.instruments)]
    assert len(short) == 300
    guards, slots = np.empty(300), np.empty(300, np.int32)
    guard_slots(found.rows, np.abs(found.marks.unit), found.margins, found.slots, guards)
    blocks, count = found.blocks(2048), np.empty(1, np.int64)
    scan(found.rows, guards, found.weights, blocks, slots, count)
    assert count[0] == 300


# ---------------------------------------------------------------------- ranking


def test_binance_scores_both_legs_of_a_hedge_alike() -> None:
    """Rule R46: P is the profit of all the account's rows in the symbol."""
    found = case([LINEAR], [(1000, [(0, 5, 300), (0, -2, -190)])])
    out, rows = np.empty((len(FIELDS), 2)), np.arange(2)
    context = context_of(found)

    def score(name: str) -> None:
        number = SCORES.index(name)
        measure(number, NEEDS[number], NONE, rows, np.zeros(2, np.int32), *ONE_BY_ONE, context, out)

    score("binance")
    equity, margin = 1000 + 150 + 10, (450 + 180) / 100
    assert out[0].tolist() == [160 / 1000 * (margin / equity)] * 2
    score("profit_ratio")
    assert out[0].tolist() == [150 / 300, 10 / 190]


@pytest.mark.parametrize("spread", [1, 2, 600, 1 << 20, 1 << 60], ids=lambda spread: f"keys within {spread}")
@pytest.mark.parametrize("count", [4095, 4096, 4097, 9000])
def test_ties_longer_than_a_bucket_go_to_the_smaller_id(spread: int, count: int) -> None:
    """Below `spread` all keys share their leading digits, so no digit of the histogram tells them apart."""
    random = np.random.default_rng(7)
    key = random.integers(0, spread, count) - 5
    key[::97] = key.max() + 1
    tie = random.permutation(3 * count)[:count].astype(np.int32)
    lots = random.integers(1, 4, count)
    best = np.lexsort((tie, key))
    np.testing.assert_array_equal(order(np.arange(count), key, tie), best)
    total = np.cumsum(lots[best])
    for need in (1, int(total[4095 % count]), int(total[4000]) + 1, int(total[-1]), int(total[-1]) + 10):
        chosen = best[: int(np.searchsorted(total, need)) + 1]
        np.testing.assert_array_equal(select(key, tie, lots, need), chosen)


@pytest.mark.parametrize("spread", [3, 1 << 50, 1 << 62], ids=["ties", "one bucket", "many buckets"])
def test_a_queue_of_several_parts_equals_the_plain_sort(spread: int) -> None:
    random = np.random.default_rng(11)
    key = random.integers(-spread, spread, 33_000)
    tie = random.permutation(len(key)).astype(np.int32)
    lots = random.integers(1, 100, len(key))
    best = np.lexsort((tie, key))
    total = np.cumsum(lots[best])
    for need in (1, int(total[-1]) // 3, int(total[-1]) + 1):
        chosen = best[: int(np.searchsorted(total, need)) + 1]
        np.testing.assert_array_equal(select(key, tie, lots, need), chosen)


def test_both_zeros_are_one_score() -> None:
    key = np.empty(40_000, np.int64)
    scores = np.tile([0.0, -0.0, 1.0, -1.0], 10_000)
    keys(scores.view(np.int64), key)
    assert key[0] == key[1]
    assert key[2] < key[0] < key[3]
    assert (key.reshape(-1, 4) == key[:4]).all()


def test_a_small_queue_equals_the_plain_sort_whatever_the_need() -> None:
    key = np.array([3, -1, 3, 3, -(1 << 63), (1 << 63) - 1, -1], np.int64)
    tie = np.array([6, 5, 4, 3, 2, 1, 0], np.int32)
    lots = np.array([2, 1, 4, 1, 3, 2, 5], np.int64)
    for need in range(1, 25):
        assert select(key, tie, lots, need).tolist() == rank.select(key, tie, lots, need)


def test_tau_is_found_where_one_cap_binds_after_the_other() -> None:
    """Each cap lies between the τ of the round before and its own, so every round of the search caps one."""
    weight = np.array([3**k % 1009 + 1 for k in range(30)], np.int64)
    left, total, cap = Fraction(10**15), int(weight.sum()), []
    for w in weight[:-1].tolist():
        before = left / total
        cap.append(int(before * w) - (len(cap) == 0))
        left, total = left - cap[-1], total - w
    cap = np.array([*cap, 10**16], np.int64)
    full = np.empty(len(cap), np.bool_)
    rest, of = threshold(cap, weight, 10**15, full)
    shares = allocate.threshold_shares(cap.tolist(), weight.tolist(), 10**15)
    assert full.sum() == 29
    assert [Fraction(int(rest) * int(w), int(of)) for w in weight[~full]] == shares[29:]
    assert sum(shares) == 10**15


def test_what_has_no_weight_is_never_capped() -> None:
    full = np.empty(3, np.bool_)
    cap, weight = np.array([0, 5, 0], np.int64), np.array([0, 0, 4], np.int64)
    assert threshold(cap, weight, 0, full) == (0, 0)
    assert full.tolist() == [False, False, True]
    assert threshold(cap, np.zeros(3, np.int64), 0, full) == (0, 0)
    assert not full.any()


# ---------------------------------------------------------------------- nothing to do


def test_a_book_without_accounts_passes_through_every_kernel() -> None:
    found = case([LINEAR], [])
    none, rows, exact = found.slots, found.rows, found.marks.exact
    blocks = found.blocks(2048)
    assert blocks.shape == (0, 3)
    guard_blocks(rows, found.marks.unit, found.margins, blocks, np.empty(0))
    guard_slots(rows, found.marks.unit, found.margins, none, np.empty(0))
    scan(rows, np.empty(0), found.weights, blocks, np.empty(0, np.int32), empty_int())
    evaluate(rows, none, found.marks.unit, found.margins, np.empty((4, 0)))
    exact_sum(rows, none, exact, PROFIT, empty_int(), np.empty(0, np.bool_))
    exact_margin(rows, none, found.margins, exact, empty_int(), np.empty(0, np.bool_))
    start, row = expand(rows, none)
    assert (start.tolist(), row.tolist()) == ([0], [])
    start, row, slot, _ = gather(rows, np.array([0, -1], np.int32), np.empty(0, np.bool_), blocks)
    assert (start.tolist(), row.tolist(), slot.tolist()) == ([0, 0], [], [])
    measure(0, 0, NONE, row, slot, *ONE_BY_ONE, context_of(found), np.empty((len(FIELDS), 0)))
    assert order(row, empty_int(), np.empty(0, np.int32)).tolist() == []
    assert select(empty_int(), np.empty(0, np.int32), empty_int(), 5).tolist() == []
    net_hedges(start[:1], row, none, rows, empty_int(), empty_int())
    work = work_of(found, none)
    bankruptcy_values(work, False, found.margins, exact, empty_int(), np.empty(0, np.bool_))
    assert threshold(empty_int(), empty_int(), 0, np.empty(0, np.bool_)) == (0, 0)
    others = np.empty((3, 0), np.int64)
    close_rows(rows, none, row, row, row, others, found.reserve(), empty_int(), empty_int())


def test_legs_nobody_asks_for_are_not_gathered() -> None:
    start, row, slot, _ = gather(MIXED.rows, np.full(4, -1, np.int32), np.zeros(5, np.bool_), MIXED.blocks(2))
    assert (start.tolist(), row.tolist(), slot.tolist()) == ([0], [], [])


# ---------------------------------------------------------------------- sure and unsure


def sums_of(found: Case, gross: bool) -> tuple[int, bool]:
    floor, sure = np.empty(1, np.int64), np.empty(1, np.bool_)
    exact_sum(found.rows, found.slots, found.marks.exact, GROSS if gross else PROFIT, floor, sure)
    return int(floor[0]), bool(sure[0])


def test_a_profit_is_sure_but_next_to_a_whole_atom() -> None:
    assert INVERSE.mark is not None
    long = case([INVERSE], [(0, [(0, 7, -1_000)])])
    assert long.marks.exact.per[0] == 0
    assert sums_of(long, gross=False) == (int(7 * long.units[0] // 1) + 1_000, True)
    hedge = case([INVERSE], [(0, [(0, 7, -1_000), (0, -7, 1_000)])])  # worth exactly 0
    assert not sums_of(hedge, gross=False)[1]
    hundreds = replace(LINEAR, contract_size=Fraction(100))
    huge = case([hundreds], [(0, [(0, 1 << 48, 0), (0, -(1 << 48), 0)])])
    assert not sums_of(huge, gross=True)[1]
    whole = case([LINEAR], [(0, [(0, 1 << 40, 0), (0, -(1 << 40), 0)])])
    assert sums_of(whole, gross=True) == (180 << 40, True)


def test_a_margin_is_sure_but_next_to_a_whole_atom() -> None:
    ceiling, sure = np.empty(1, np.int64), np.empty(1, np.bool_)
    for rate, certain in ((Fraction(1, 100), True), (Fraction(0), False)):
        ladder = (Tier(Fraction(0), rate, Fraction(0)),)
        item = Instrument(
            "I", Kind.INVERSE, Fraction(100), Fraction(1), ladder, decimals=8, mark=INVERSE.mark
        )
        found = case([item], [(0, [(0, 7, 0)])])
        exact_margin(found.rows, found.slots, found.margins, found.marks.exact, ceiling, sure)
        assert sure[0] == certain
        if certain:
            assert ceiling[0] == -(-7 * abs(found.units[0]) * rate // 1)


@pytest.mark.parametrize("rows", [3, 10, 20])
def test_tenths_of_many_rows_add_up_without_rounding(rows: int) -> None:
    """In float64 ten times 0.1 is less than 1, and twenty times more than 2."""
    ladder = (Tier(Fraction(0), Fraction(1, 10), Fraction(0)),)
    tenth = [replace(LINEAR, symbol=f"T{i}", mark=Fraction(11, 10), tiers=ladder) for i in range(rows)]
    found = case(tenth, [(0, [(i, 1, 1) for i in range(rows)])])
    assert sums_of(found, gross=False) == (rows // 10, True)
    assert sums_of(found, gross=True) == (11 * rows // 10, True)
    whole = case([replace(item, mark=Fraction(1)) for item in tenth], [(0, [(i, 1, 1) for i in range(rows)])])
    ceiling, sure = np.empty(1, np.int64), np.empty(1, np.bool_)
    exact_margin(whole.rows, whole.slots, whole.margins, whole.marks.exact, ceiling, sure)
    assert (ceiling[0], sure[0]) == (-(-rows // 10), True)


@pytest.mark.parametrize("cash", [-200, -201, -202, -203])
@pytest.mark.parametrize("lots", [(3, 3), (3, 4), (3, 3, 3), (3, 3, 3, 4), (-3, 3, -3)], ids=str)
@pytest.mark.parametrize("item", [LINEAR, INVERSE], ids=["round price", "wide price"])
def test_a_tie_between_rows_is_never_decided_by_rounding(
    item: Instrument, lots: tuple[int, ...], cash: int
) -> None:
    """Rows alike get alike, and an atom that only one can have goes by R16; unsure only at wide prices."""
    items = [replace(item, symbol=f"S{i}") for i in range(len(lots))]
    unit = int(item.unit_value(item.mark))
    found = case(items, [(cash, [(i, n, n * unit) for i, n in enumerate(lots)])])
    work = work_of(found, found.slots)
    for by_notional in (True, False):
        value, sure = np.zeros(len(work.row), np.int64), np.empty(1, np.bool_)
        bankruptcy_values(work, by_notional, found.margins, found.marks.exact, value, sure)
        if item is LINEAR or (lots == (3, 4) and cash % 7):
            assert sure[0]
        elif len(set(lots)) == 1 and cash % len(lots):
            assert not sure[0]
        same_split(bankruptcy_values, None, (found, by_notional))


def test_a_level_is_sure_but_next_to_whole_lots() -> None:
    """At level 4.3 the first two give 57 and 17 lots; at a higher one a part of a lot less."""
    cap, gross, equity = np.array([[90, 90, 9, 9], [1000, 600, 400, 900], [100, 100, 100, 100]], np.int64)
    down, rest, kind = np.empty(4, np.int64), np.empty(4), np.empty(4, np.uint8)
    for at, kinds in ((Fraction(43, 10), [3, 3, 0, 2]), (Fraction(432, 100), [1, 1, 0, 2])):
        level_shares(cap, gross, equity, wide.pair(at), wide.pair(Fraction(10)), down, rest, kind)
        assert kind.tolist() == kinds
    assert down.tolist() == [56, 16, 0, 9]
    np.testing.assert_allclose(rest, [0.8, 0.8, 0, 0], atol=1e-12)


# ---------------------------------------------------------------------- stopping and going on


def doomed_and_others(equity: int, guard: int) -> Queue:
    """Two bankrupt longs of 5 lots, paid 95 a lot at a mark of 90, and counterparties of some equity."""
    found = case(
        [LINEAR],
        [(-60, [(0, 5, 450)]), (-60, [(0, 5, 450)]), *[(equity, [(0, -4, -360)])] * 3],
    )
    slot = found.rows.account.argsort().astype(np.int32)
    row = np.concatenate([expand(found.rows, slot[i : i + 1])[1] for i in range(5)])
    five, four = np.array([5, 5], np.int64), np.array([4, 4, 4], np.int64)
    bankrupt = Bankrupt(slot[:2], row[:2], five, five, 95 * five, np.ones(2, bool), np.zeros(2, np.int64))
    return Queue(found, bankrupt, Ranked(slot[2:], row[2:], four), Fraction(90), guard=guard)


@pytest.mark.parametrize("equity", [0, 1, 5, 6, 11, 21, 1000])
def test_a_guarded_fill_leaves_one_atom(equity: int) -> None:
    """Each lot costs 5: a counterparty gives ⌊(equity − 1) / 5⌋ lots, decided exactly where that is whole."""
    queue = doomed_and_others(equity, SOLVENT)
    same_fills(fill, reference_fill, queue)
    found, ranked, bankrupt = queue.found, queue.ranked, queue.bankrupt
    most, reason = allowed(
        bankrupt, 0, ranked.slot[0], ranked.row[0], 4, found.rows, 1, queue.transfer, False, found.margins,
        found.marks.exact,
    )  # fmt: skip
    affordable = max(0, (equity - 1) // 5)
    assert most == (-1 if equity in (1, 6, 11, 21) else min(4, affordable))
    assert most == -1 or reason == (BELOW_ZERO if affordable < 4 else UNCUT)
    fills, refusals = filled(fill, queue)
    assert fills.lots.sum() == min(10, 3 * min(4, affordable))
    assert (bankrupt.done.sum(), found.rows.cash.min() >= -60) == (fills.lots.sum(), True)
    assert all(reason == BELOW_ZERO for reason in refusals.reason)


@pytest.mark.parametrize("guard", [UNGUARDED, SOLVENT, SOUND])
def test_fills_go_on_where_they_ran_out_of_space(guard: int) -> None:
    same_fills(fill, reference_fill, doomed_and_others(1000, guard))
    queue = doomed_and_others(1000, guard)
    fills, refusals = (
        Fills(*(np.empty(1, np.int64) for _ in Fills._fields)),
        Refusals(*(np.empty(1, np.int64) for _ in Refusals._fields)),
    )
    place = np.array([0, 0, 0, -1, 0, 0, 0, 0], np.int64)
    terms = 1, queue.transfer, False, guard, queue.found.margins, queue.found.marks.exact, place
    inputs = queue.bankrupt, queue.ranked, queue.found.rows, *terms
    answers = []
    while answer := fill(*inputs, fills, refusals):
        answers.append(answer)
        fills = Fills(*(np.append(column, 0) for column in fills))
    assert answers == [FULL] * 3
    assert fill(*inputs, fills, refusals) == DONE
    assert fills.candidate.tolist() == [0, 1, 1, 2]
    assert fills.lots.tolist() == [4, 1, 3, 2]
    assert place[6] == 0


@pytest.mark.parametrize(
    ("room", "answer"),
    [(Fraction(30), LOTS), (Fraction(31), None), (Fraction(10**6), None), (Fraction(1, 10**8), LOTS)],
)
def test_the_fund_asks_where_lots_fit_exactly(room: Fraction, answer: int | None) -> None:
    """A lot costs it 12: 60 for five."""
    found = case([LINEAR], [(-60, [(0, 5, 450)]), (-60, [(0, 5, 450)])])
    work = work_of(found, found.slots)
    left, value, reserve = np.abs(work.lots), np.array([510, 510], np.int64), found.reserve()
    same_takeover(takeover, reference_takeover, (found, work, left, value, reserve, room * 2))
    parts, place = np.array([*wide.pair(room * 2), float(room) * 1e-24]), np.array([0, 0, -1], np.int64)
    outputs = np.zeros(2, np.int64), np.zeros(2, np.int64)
    got = takeover(
        work, np.arange(2), 1, left, value, found.rows, found.marks.exact, reserve, parts, place, *outputs
    )
    assert got == (answer or DONE)


def test_the_fund_asks_where_a_debt_takes_its_last_atom() -> None:
    found = case([LINEAR], [(-60, [(0, 5, 450)])])
    found.rows.lots[:], found.rows.entry[:] = 0.0, 0
    work = work_of(found, found.slots)
    none, reserve = empty_int(), found.reserve()
    parts, place, paid = np.array([60.0, 0.0, 0.0]), np.array([0, 0, -1], np.int64), np.zeros(1, np.int64)
    inputs = work, np.arange(1), 1, none, none, found.rows, found.marks.exact, reserve, parts, place
    assert takeover(*inputs, none, paid) == DEBT
    place[2] = 60
    assert takeover(*inputs, none, paid) == DONE
    assert (paid.tolist(), found.rows.cash.tolist(), reserve.cash.tolist()) == ([60], [0], [0, -60])


def test_money_goes_to_the_reserve_of_the_currency() -> None:
    found = case([LINEAR], [(0, [(0, 5, 450)])])
    rows, reserve = deepcopy(found.rows), found.reserve()
    reserve.lots[0], reserve.entry[0] = -2, -190
    profit, gained = np.empty(1, np.int64), np.empty(1, np.int64)
    one = np.zeros(1, np.int64)
    close_rows(rows, one, one, np.array([5]), np.array([449]), np.full((3, 1), -1), reserve, profit, gained)
    assert (profit.tolist(), gained.tolist(), reserve.realized.tolist()) == ([-1], [11], [11])
    assert reserve.cash.tolist() == [0, -179 + 190]  # two of five lots for trunc(449 · 2 / 5)
    assert (reserve.lots[0], reserve.entry[0]) == (3, 449 - 179)
