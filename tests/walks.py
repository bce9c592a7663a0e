"""Prices that go where it hurts, told to two engines of one book: one looks at all accounts, one wakes some.

Everything comes of one seed, so that a walk can be told by it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from fractions import Fraction
from math import ceil, inf, nextafter
from random import Random
from typing import Any
from unittest.mock import patch

import numpy as np
import polars as pl

from engines import state_of
from fastadl import Engine, InputError
from fastadl.book import Book
from fastadl.contracts import Instrument, Instruments, Kind, Tier, derived_deductions
from fastadl.engine.wake import layout, wake
from fastadl.recording.entries import difference, outcome
from fastadl.reference.layout import open_rows
from fastadl.reference.wake import headroom, lowest, worth
from fastadl.schema import ROW_BOUND, AccountColumns, PositionColumns
from live_calls import POLICIES, made, perform, state
from twins.pair import assert_equal

__all__ = ["Pair", "calls", "cramped", "crowds", "edges", "falls", "hunts", "refusals", "walk"]

#: What is refused when prices have moved already.
REFUSED = {"account": ["nobody"], "symbol": ["S0"], "side": ["long"], "lots": [1], "price": ["1"]}

Prices = dict[str, Any]
#: What draws the next prices.
Step = Callable[[Random, "Pair"], Any]

#: Steps of notional over the usual one, and rates.
LADDERS = (
    [(0, "0.005")],
    [(0, "0")],
    [(0, "0.01"), ("0.9", "0.1"), ("1.5", "0.5")],
    [(0, "0.005"), ("1.0001", "0.9")],
    [(0, "0.02"), ("0.5", "0.04"), ("1.2", "0.3"), (3, "0.95")],
)
MARKS = ("10", "0.37", "41000.5", "7", "0.000012345678901234", "97", "1000000")
#: Headroom of an account as a part of what it is exposed to; in atoms where it is whole.
ROOMS = (-1, 0, 1, 2, 1e-12, 1e-7, 1e-5, 1e-4, 3e-4, 1e-3, 1e-3, 0.01, 0.01, 0.1, 0.1, 0.7, 1.5, 30.0)
#: Of what an account can lose, what a step takes.
PARTS = (0.1, 0.5, 0.5, 0.9, 0.99, 0.999999, 1 - 2**-40, 1, 1 + 2**-40, 1.000001, 1.01, 1.1, 1.4, 1.9, 3)


def drawn(dice: Random, most: int, rich: float) -> Book:
    """Accounts of a few rows, on or near the edge of liquidation, a part of them with much money."""
    kinds = dice.choice([[Kind.LINEAR, Kind.LINEAR, Kind.INVERSE, Kind.QUANTO], [Kind.INVERSE]])
    instruments = Instruments([_instrument(dice, i, kinds) for i in range(dice.randint(1, 4))], {"AAA": 2})
    accounts, rows = [], []
    for account in range(dice.randint(1, most)):
        legs = dice.sample(range(2 * len(instruments)), dice.randint(0, min(4, 2 * len(instruments))))
        held = [_row(dice, instruments[leg >> 1], leg) for leg in legs]
        if held and dice.random() < rich:
            i, lots, entry = held[0]
            held[0] = i, lots, (ROW_BOUND - dice.randrange(3)) * (1 if entry > 0 else -1)
        rows += [(account, *row) for row in held]
        accounts.append(_cash(dice, instruments, held))
    owner, instrument, lots, entry = np.array(rows, np.int64).reshape(-1, 4).T
    count = len(accounts)
    columns = AccountColumns(
        id=pl.Series([f"a{i:05}" for i in range(count)], dtype=pl.String),
        owner=None,
        currency=np.zeros(count, np.int16),
        isolated=np.zeros(count, np.bool_),
        adl_tier=np.zeros(count, np.uint8),
        cash=np.array(accounts, np.int64),
    )
    positions = PositionColumns(
        owner.astype(np.int32), instrument.astype(np.int32), lots.copy(), entry.copy()
    )
    return Book._from_columns(instruments, columns, positions)


def _instrument(dice: Random, i: int, kinds: list[Kind]) -> Instrument:
    mark, kind = Fraction(dice.choice(MARKS)), dice.choice(kinds)
    usual = dice.choice([10**4, 10**6, 10**9])
    steps = [(Fraction(at) * usual, Fraction(rate)) for at, rate in dice.choice(LADDERS)]
    tiers = zip(steps, derived_deductions(steps), strict=True)
    size = Fraction(usual, 10 ** dice.randint(0, 4) * 100) * (mark if kind is Kind.INVERSE else 1 / mark)
    return Instrument(
        symbol=f"S{i}",
        kind=kind,
        contract_size=size.limit_denominator(10**12) or Fraction(1),
        lot=Fraction(1),
        tiers=tuple(Tier(*step, deduction) for step, deduction in tiers),
        decimals=2,
        mark=mark,
    )


def _row(dice: Random, item: Instrument, leg: int) -> tuple[int, int, int]:
    assert item.mark is not None
    unit = item.unit_value(item.mark)
    lots = dice.choice([1, 7, 90, 1000, 10**5]) * (-1 if leg & 1 else 1)
    entry = ceil(lots * unit * Fraction(dice.choice([95, 99, 100, 101, 105, 200]), 100))
    return leg >> 1, lots, entry


def _cash(dice: Random, instruments: Instruments, held: list[tuple[int, int, int]]) -> int:
    needed = exposed = Fraction(0)
    for i, lots, entry in held:
        item = instruments[i]
        assert item.mark is not None
        value = lots * item.unit_value(item.mark)
        needed += item.maintenance_margin(abs(value)) - value + entry
        exposed += abs(value)
    room = dice.choice(ROOMS)
    cash = ceil(needed + (room if isinstance(room, int) else Fraction(room) * exposed))
    return min(max(cash, -ROW_BOUND), ROW_BOUND)


@contextmanager
def cramped(dice: Random):
    """Few are looked at one by one, levels are seldom made anew, there is little room, or not."""
    with (
        patch.object(wake, "_LEAST", dice.choice([0, 1, 16, 16, 16])),
        patch.object(wake, "_APART", dice.choice([1, 3, 64])),
        patch.object(wake, "_ENOUGH", dice.choice([0, 1, 1, 64])),
        patch.object(layout, "_LEAST", dice.choice([0, 8])),
    ):
        yield


class Pair:
    """Two engines of one book, told the same, that must answer the same."""

    def __init__(self, book: Book, **options: Any) -> None:
        options = {"threads": 1, **options}  # threads that wait for each other take most of the time
        self.plain = Engine(book, **options)
        self.waking = Engine(book, incremental=True, **options)
        self.prey = -1
        self.both("mark", {})

    def both(self, name: str, *given: Any, **options: Any) -> Any:
        """Call a method of both; what came of it, or why it was refused."""
        expected, found = (_told(engine, name, given, options) for engine in (self.plain, self.waking))
        assert difference(expected, found) is None, (name, given, options, expected, found)
        return expected

    def agree(self) -> None:
        """Both have detected the same accounts in the same order, and know the same of them."""
        expected, found = self.plain._tick, self.waking._tick
        assert (expected is None) == (found is None)
        if expected is not None:
            assert_equal(found.columns("liquidations"), expected.columns("liquidations"))
            assert_equal((found.accounts, found.was_bankrupt), (expected.accounts, expected.was_bankrupt))
        assert self.waking.marks.tobytes() == self.plain.marks.tobytes()


def _told(engine: Engine, name: str, given: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
    try:
        return outcome(getattr(engine, name)(*given, **options))
    except InputError as error:
        return {"result": str(error)}


# ---------------------------------------------------------------------- where prices go


def walk(seed: int, steps: int = 25, *, most: int = 7, rich: float = 0.3, among: Sequence[Step] = ()) -> Pair:
    """Walk prices of a drawn book, told to a pair of engines, and compare at every step."""
    dice = Random(seed)
    pair = Pair(drawn(dice, most, rich))
    with cramped(dice):
        for _ in range(steps):
            prices = dice.choice(among or STEPS)(dice, pair)
            if dice.randrange(12) == 0:
                pair.both("tick", prices)
            elif dice.randrange(12) == 0:
                pair.both("tick", prices, executions=REFUSED)
            else:
                pair.both("mark", prices)
            pair.agree()
        pair.both("liquidations")
        assert state_of(pair.waking) == state_of(pair.plain)
    return pair


def hunts(seed: int) -> Pair:
    """Accounts lose on one row more than what wakes them, and then on one row what they have left."""
    dice = Random(seed)
    pair = Pair(drawn(dice, 20, 0.0))
    for _ in range(12):
        pair.prey = -1
        for alone, parts in ((False, (1.1, 1.4, 1.9)), (True, (1.01, 1.1, 1.4))):
            pair.both("mark", _against(dice, pair, 0.0, dice.choice(parts), alone=alone))
            pair.agree()
    return pair


def falls(seed: int) -> Pair:
    """Accounts lose nearly all they can lose, on all rows at once."""
    return walk(seed, among=[whole])


def edges(seed: int) -> Pair:
    """Accounts with so much money that float64 cannot tell on which side of zero they are."""
    return walk(seed, rich=1.0, among=[edge])


def crowds(seed: int) -> Pair:
    """More wake than are looked at one by one, and after that nothing moves."""
    dice = Random(seed)
    pair = Pair(drawn(dice, 20, 0.0))
    waking = pair.waking._state.wake
    assert waking is not None
    waking._few = 1
    for step in (crash, same, every, same, crash, same, same, every, same):
        pair.both("mark", step(dice, pair))
        pair.agree()
    return pair


def refusals(seed: int) -> Pair:
    """Prices move far in a call that is refused, and after that nothing moves."""
    dice = Random(seed)
    pair = Pair(drawn(dice, 20, 0.0))
    for _ in range(5):
        pair.both("mark", crash(dice, pair))
        pair.both("tick", crash(dice, pair), executions=REFUSED)
        pair.both("mark", same(dice, pair))
        pair.agree()
    return pair


def calls(seed: int, steps: int = 40) -> Pair:
    """All that can happen to a live book, small moves of its prices between, told to a pair of engines."""
    dice = Random(seed)
    given = made(seed % 997, **dice.choice(POLICIES))
    pair = Pair(given.pop("book"), **given)
    with cramped(dice):
        for number in range(steps):
            expected, found = (perform(engine, number, seed) for engine in (pair.plain, pair.waking))
            assert expected[0] == found[0]
            assert difference(*({"result": told} for _, told in (expected, found))) is None, expected[0]
            if pair.plain._doomed is None and dice.randrange(2):
                drain(dice, pair)
                pair.both("mark", dice.choice([one, every, stalk, same])(dice, pair))
                pair.agree()
        assert difference(state(pair.plain), state(pair.waking)) is None
    return pair


def drain(dice: Random, pair: Pair) -> None:
    """Draw what is free of some accounts, which leaves them on the edge or near it."""
    some = np.array(dice.sample(range(len(pair.plain.accounts)), 5), np.int32)
    free = pair.plain.free_collateral(some)
    given = {"account": some[free > 0], "amount_atoms": free[free > 0]}
    pair.both("withdraw", given)


def _price(item: Instrument, unit: Fraction) -> Any:
    """A price at which a lot is worth that much, as exact as can be told."""
    one = item.unit_value(Fraction(1))
    price = one / unit if item.kind is Kind.INVERSE else unit / one
    told = price.numerator < 10**300 and price.denominator < 10**300
    return price if told else float(price)


def _now(pair: Pair) -> tuple[Any, list[Fraction], Instruments]:
    state = pair.plain._state
    return state.book.rows, list(state.marks.units), state.instruments


def _to(pair: Pair, units: dict[int, Fraction], exactly: bool) -> Prices:
    _, now, instruments = _now(pair)
    found = {}
    for i, unit in units.items():
        if unit * now[i] > 0:
            price = _price(instruments[i], unit)
            found[instruments.symbols[i]] = price if exactly else float(price)
    return found


def one(dice: Random, pair: Pair) -> Prices:
    """One price a little."""
    _, units, _ = _now(pair)
    i = dice.randrange(len(units))
    return _to(pair, {i: units[i] * Fraction(1 + dice.uniform(-1e-3, 1e-3))}, exactly=False)


def every(dice: Random, pair: Pair) -> Any:
    """All prices a little, as an array."""
    marks = pair.plain.marks
    return marks * np.array([1 + dice.uniform(-5e-4, 5e-4) for _ in marks])


def crash(dice: Random, pair: Pair) -> Any:
    """All prices, far, together or not."""
    factors = [0.5, 0.8, 0.9, 0.97, 1.03, 1.1, 1.3, 2.0]
    together = dice.choice([*factors, None])
    return pair.plain.marks * np.array([together or dice.choice(factors) for _ in pair.plain.marks])


def gap(dice: Random, pair: Pair) -> Prices:
    """One price beyond all measure, or to next to nothing."""
    symbol = dice.choice(pair.plain.symbols)
    mark = float(pair.plain.marks[pair.plain.symbols.index(symbol)])
    return {symbol: mark * dice.choice([1e-6, 1e6, 1e-15, 1e3, 1e-3])}


def same(dice: Random, pair: Pair) -> Prices:
    """No price, the same, or one that float64 cannot tell from it."""
    _, units, _ = _now(pair)
    some = dice.sample(range(len(units)), dice.randint(0, len(units)))
    off = dice.choice([Fraction(0), Fraction(1, 2**70), Fraction(-1, 2**70)])
    return _to(pair, {i: units[i] * (1 + off) for i in some}, exactly=True)


def stalk(dice: Random, pair: Pair) -> Prices:
    """Against one account: a part of what it can lose, by all of its rows, by some or by one."""
    many = dice.choice([0.0, 1.0, 1.0, dice.random()])
    return _against(dice, pair, many, dice.choice(PARTS))


def whole(dice: Random, pair: Pair) -> Prices:
    """Against another account than before by all of its rows, and nearly as far as it can."""
    pair.prey = -1
    return _against(dice, pair, 1.0, dice.choice([0.9, 0.99, 0.999999, 1.000001]))


def _against(dice: Random, pair: Pair, many: float, part: float, *, alone: bool | None = None) -> Prices:
    """A part of what an account can lose, by some of its rows: by how many, from one to all.

    That is what all rows could lose at once, or these alone.
    """
    rows, units, _ = _now(pair)
    slot, room = _victim(dice, pair)
    if room < 0:
        return {}
    held = open_rows(rows, slot)
    some = dice.sample(held, max(1, round(many * len(held))))
    alone = dice.random() < 0.5 if alone is None else alone
    exposed = sum(abs(row.lots * units[row.instrument]) for row in (some if alone else held))
    part = min(Fraction(part) * room / exposed, Fraction(2))
    loss = {row.instrument: part * abs(units[row.instrument]) * (1 if row.lots > 0 else -1) for row in some}
    down = {i: units[i] - each for i, each in loss.items()}
    return _to(pair, down, exactly=dice.random() < 0.5)


def _victim(dice: Random, pair: Pair) -> tuple[int, Fraction]:
    """Slot and headroom of an account with rows, that of the last time as long as it is safe; −1 for none."""
    rows, units, instruments = _now(pair)
    worths = {leg: worth(leg, units) for leg in range(2 * len(units))}
    slots = dice.sample(range(len(rows.cash)), min(len(rows.cash), 5))
    found = -1, Fraction(-1)
    for slot in [pair.prey, *slots] if pair.prey >= 0 and dice.randrange(6) else slots:
        if open_rows(rows, slot):
            found = slot, headroom(rows, slot, worths, instruments)
            if found[1] >= 0:
                break
    pair.prey = found[0]
    return found


def edge(dice: Random, pair: Pair) -> Prices:
    """One price to where the headroom of an account is 0, or beside it by less than float64 can tell."""
    rows, units, instruments = _now(pair)
    slot, room = _victim(dice, pair)
    if slot < 0:
        return {}
    row = dice.choice(open_rows(rows, slot))
    item, value = instruments[row.instrument], row.lots * units[row.instrument]
    rate = dice.choice(item.tiers).maintenance_rate
    slope = row.lots * (1 - rate if value > 0 else 1 + rate)
    unit = units[row.instrument] - room / slope
    return _to(pair, {row.instrument: unit * (1 + Fraction(dice.choice([0, 1, -1]), 2**75))}, exactly=True)


def level(dice: Random, pair: Pair) -> Prices:
    """One price to where some row wakes, or just does not."""
    levels = pair.waking._state.wake._levels
    legs = [leg for leg in range(len(levels.used)) if levels.used[leg]]
    if not legs:
        return {}
    leg = dice.choice(legs)
    key = int(levels.tree[levels.base[0, leg] + dice.randrange(int(levels.used[leg]))])
    if key < -(2**31) + 2**21:
        return {}
    least = float(lowest(key))
    least = dice.choice([least, nextafter(least, -inf), nextafter(least, inf), float(lowest(key - 1))])
    unit = Fraction(-least if leg & 1 else least)
    return _to(pair, {leg >> 1: unit}, exactly=True)


STEPS = [one, one, one, every, stalk, stalk, stalk, stalk, edge, edge, level, level, same, crash, gap]
