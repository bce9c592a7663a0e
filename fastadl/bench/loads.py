"""The named loads: books of a given size, and the prices that set them in motion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np
import polars as pl

from fastadl import Book, Engine, Instrument, Instruments, synth
from fastadl.schema import AccountColumns, Float64Array, Int64Array, IntArray, PositionColumns

__all__ = ["Load", "Loads", "crash", "crowd", "hedge", "many_small", "one_instrument", "whale"]

T = TypeVar("T")

_SEED = 20_250_101
_INSTRUMENTS = 300
#: One bankrupt account or fill for so many positions.
_PER_FILL = 100
#: How far prices fall in a crash, in the middle; every instrument's own is up to a fifth more or less.
_FALL = 0.1
#: Cash of an account that cannot fail.
_DESK = 1 << 50


@dataclass(frozen=True, slots=True)
class Load:
    """A book, the marks before the tick and those of the tick, in the order of its symbols."""

    book: Book
    before: Float64Array
    after: Float64Array

    def starts(self) -> Callable[[], tuple[Engine, Float64Array]]:
        """Setup of a benchmark's rounds: each gets an engine, marked before, and the prices."""
        engine = Engine(self.book)

        def setup() -> tuple[Engine, Float64Array]:
            each = engine.copy()
            each.mark(self.before)
            return each, self.after

        return setup


class Loads:
    """Books of one size, and what is made of them, each made when first asked for.

    Parameters
    ----------
    positions : int
        Size of the books.

    Attributes
    ----------
    fills : int
        How many accounts or fills the loads `whale` and `crowd` come to.
    """

    def __init__(self, positions: int) -> None:
        self.positions = positions
        self.fills = max(positions // _PER_FILL, 1)
        self._kept: dict[Any, Any] = {}

    def once(self, make: Callable[[Loads], T]) -> T:
        """What `make` gives for these loads; made once, then kept."""
        if make not in self._kept:
            self._kept[make] = make(self)
        made: T = self._kept[make]
        return made

    @property
    def calm(self) -> Load:
        """The load that most benchmarks share, see `calm`."""
        return self.once(_calm)


def calm(positions: int) -> Load:
    """A heavy-tailed book (`synth`, shape ``pareto``) of 0.4 accounts a position, 300 instruments.

    Prices move by a hundredth of a percent and stand on a grid of six digits: hardly anybody falls.
    """
    book = _drawn("pareto", positions, positions * 4 // 10, _INSTRUMENTS)
    before = _marks(book)
    moved = before * (1.0 + 1e-4 * np.random.default_rng(_SEED).standard_normal(len(before)))
    return Load(book, before, _six_digits(moved))


def _calm(loads: Loads) -> Load:
    return calm(loads.positions)


def crash(base: Load) -> Load:
    """The calm book; every price falls by about a tenth at once, and the fund is empty."""
    return _falls(base.book, _FALL)


def many_small(positions: int) -> Load:
    """As many accounts as positions, each of up to a thousand units at high leverage (``retail``).

    Prices fall by about a twentieth.
    """
    return _falls(_drawn("retail", positions, positions, _INSTRUMENTS), _FALL / 2)


def one_instrument(positions: int) -> Load:
    """One position an account, all of the largest market, which falls by about a tenth."""
    return _falls(_drawn("pareto", positions, positions, 1), _FALL)


def hedge(positions: int) -> Load:
    """Every account of two positions or more holds a long and a short of one instrument (``hedged``).

    Prices fall by about a tenth.
    """
    return _falls(_drawn("hedged", positions, positions * 4 // 10, _INSTRUMENTS), _FALL)


def _drawn(shape: str, positions: int, accounts: int, instruments: int) -> Book:
    return synth.book(
        shape, positions=positions, accounts=max(accounts, 1), instruments=instruments, seed=_SEED
    )


def _falls(book: Book, by: float) -> Load:
    before = _marks(book)
    fall = by * np.random.default_rng(_SEED).uniform(0.8, 1.2, len(before))
    return Load(book, before, _six_digits(before * (1.0 - fall)))


def _six_digits(prices: Float64Array) -> Float64Array:
    """Prices as a venue would print them."""
    return np.array([float(f"{price:.6g}") for price in prices])


def whale(base: Load, fills: int) -> Load:
    """A whale long that dies against exactly `fills` of four times as many shorts.

    Beside the calm book, a further instrument falls by 40 %. Every short belongs to an account of the calm
    book; the whale's lots are those of the best ranked `fills`; a desk that cannot fail holds the others.
    """
    table, accounts, rows = base.book.columns()
    rng = np.random.default_rng(_SEED)
    coin = replace(table[0], symbol="WHALE-PERP", lot=Fraction(1, 100), mark=Fraction(100))
    shorts = min(4 * fills, len(accounts.cash))
    owner = np.sort(rng.choice(len(accounts.cash), shorts, replace=False)).astype(np.int32)
    lots = np.ceil(50 / (1.0 - rng.random(shorts)) ** 0.8).astype(np.int64)
    entry = -np.rint(lots * 1e6 * rng.uniform(0.95, 1.05, shorts)).astype(np.int64)
    people = _joined(accounts, ["whale", "desk"], np.array([0, _DESK], np.int64))
    before, after = np.append(base.before, 100.0), np.append(base.before, 60.0)

    def book(long: int) -> Book:
        held = np.array([long, int(lots.sum()) - long])
        cash = np.append(accounts.cash, [held[0] * 100_000, _DESK])
        return _book(
            [*table, coin],
            replace(people, cash=cash),
            rows,
            account=np.append(owner, len(accounts.cash) + np.arange(2)),
            instrument=np.full(shorts + 2, len(table)),
            lots=np.append(-lots, held),
            entry=np.append(entry, held * 1_000_000),
        )

    trial = Engine(book(1), copy=False)
    trial.mark(after)
    ranked = trial.rank("WHALE-PERP", "short")
    return Load(book(int(ranked["lots"][:fills].sum())), before, after)


def crowd(base: Load, count: int, *, ties: bool) -> Load:
    """`count` bankrupt cross accounts of three longs each, and as many of shorts on the other side.

    Added to the calm book; the three are of three different hundreds of its instruments, and equity is about
    1 % of notional below zero.

    Parameters
    ----------
    ties : bool
        Round marks, and a hundred kinds of accounts alike to the last atom, so that health and score tie by
        the thousand. Otherwise prices are floats of seventeen digits and no two accounts are alike.
    """
    table, accounts, rows = base.book.columns()
    rng = np.random.default_rng(_SEED)
    third = len(table) // 3
    unit = base.before * np.array([float(item.scale) for item in table])
    if ties:
        column = np.arange(count) % third
        spread = np.ones(count)
        stakes = np.full((count, 3), 2e9)
        after = base.before
    else:
        column = rng.integers(0, third, count)
        spread = rng.uniform(0.9, 1.1, count)
        stakes = 1e8 / (1.0 - rng.random((count, 3))) ** 0.8
        after = base.before * (1.0 + 1e-5 * rng.random(len(table)))
    instrument = np.stack([(column + shift) % third + shift * third for shift in range(3)], axis=1)
    lots = np.ceil(stakes / unit[instrument]).astype(np.int64)
    worth = lots * unit[instrument]
    entry = np.rint(worth * 1.1).astype(np.int64)
    doomed = (entry.sum(axis=1) - worth.sum(axis=1) * (1.0 + 0.01 * spread)).astype(np.int64)
    other = np.stack([rng.permutation(count) if not ties else np.arange(count) for _ in range(3)], axis=1)
    legs = np.arange(3)
    instrument_of, lots_of, entry_of = instrument[other, legs], lots[other, legs], entry[other, legs]
    makers = np.rint(0.3 * entry_of.sum(axis=1) * spread).astype(np.int64)
    names = [f"{kind}{i:07d}" for kind in ("long", "short") for i in range(count)]
    people = _joined(accounts, names, np.concatenate([doomed, makers]))
    book = _book(
        list(table),
        people,
        rows,
        account=len(accounts.cash) + np.repeat(np.arange(2 * count), 3),
        instrument=np.concatenate([instrument.ravel(), instrument_of.ravel()]),
        lots=np.concatenate([lots.ravel(), -lots_of.ravel()]),
        entry=np.concatenate([entry.ravel(), -entry_of.ravel()]),
    )
    return Load(book, base.before, after)


def _marks(book: Book) -> Float64Array:
    return Engine(book, copy=False).marks


def _joined(accounts: AccountColumns, names: list[str], cash: Int64Array) -> AccountColumns:
    more = np.zeros(len(names), np.int16)
    return replace(
        accounts,
        id=pl.concat([accounts.id, pl.Series(names)]),
        currency=np.append(accounts.currency, more),
        isolated=np.append(accounts.isolated, more.astype(np.bool_)),
        adl_tier=np.append(accounts.adl_tier, more.astype(np.uint8)),
        cash=np.append(accounts.cash, cash),
    )


def _book(
    table: list[Instrument],
    accounts: AccountColumns,
    rows: PositionColumns,
    *,
    account: IntArray,
    instrument: IntArray,
    lots: Int64Array,
    entry: Int64Array,
) -> Book:
    """A book of the columns given and further rows."""
    positions = PositionColumns(
        account=np.append(rows.account, account).astype(np.int32),
        instrument=np.append(rows.instrument, instrument).astype(np.int32),
        lots=np.append(rows.lots, lots),
        entry_value=np.append(rows.entry_value, entry),
    )
    return Book._from_columns(Instruments(table), accounts, positions)
