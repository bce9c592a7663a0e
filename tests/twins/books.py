"""Books for kernels: few accounts, every kind of contract, equity on and beside the thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from math import ceil, floor

import numpy as np
import polars as pl
from hypothesis import strategies as st

from fastadl.book import Book
from fastadl.contracts import Instrument, Instruments, Kind, Tier, derived_deductions
from fastadl.engine.prices import Marks, margins
from fastadl.kernels.layout import Rows
from fastadl.kernels.mark import Margins
from fastadl.kernels.money import Reserve
from fastadl.schema import ROW_BOUND, AccountColumns, PositionColumns

#: (instrument, signed lots, entry value)
Holding = tuple[int, int, int]


@dataclass(frozen=True)
class Case:
    """A book at its own marks."""

    instruments: Instruments
    rows: Rows

    @cached_property
    def marks(self) -> Marks:
        return Marks.initial(self.instruments)

    @cached_property
    def units(self) -> list[Fraction]:
        return list(self.marks.units)

    @cached_property
    def margins(self) -> Margins:
        return margins(self.instruments)

    @property
    def slots(self) -> np.ndarray:
        return np.arange(len(self.rows.cash), dtype=np.int32)

    def blocks(self, size: int) -> np.ndarray:
        """Slots in blocks of at most `size`, none across two groups."""
        spans = zip(self.rows.group_slot[:-1], self.rows.group_slot[1:], strict=True)
        found = [
            (g, at, min(at + size, last)) for g, (a, last) in enumerate(spans) for at in range(a, last, size)
        ]
        return np.array(found, np.int64).reshape(-1, 3)

    @cached_property
    def weights(self) -> np.ndarray:
        """Unit value less first-tier margin, by leg."""
        needed = self.margins.rate[self.margins.start[:-1]] * np.abs(self.marks.unit)
        return np.stack([self.marks.unit - needed, self.marks.unit + needed], axis=1).ravel()

    def reserve(self) -> Reserve:
        """An empty one; USD comes second of its two currencies."""
        count = len(self.instruments)
        return Reserve(
            lots=np.zeros(count, np.int64),
            entry=np.zeros(count, np.int64),
            cash=np.zeros(2, np.int64),
            realized=np.zeros(count, np.int64),
            currency=self.instruments.currency,
        )


def case(instruments: Sequence[Instrument], accounts: Sequence[tuple[int, Sequence[Holding]]]) -> Case:
    """Accounts as (cash, holdings), laid out as the engine lays them out."""
    listed = Instruments(instruments, {"AAA": 2})
    held = [(account, *row) for account, (_, rows) in enumerate(accounts) for row in rows]
    owner, instrument, lots, entry = np.array(held, np.int64).reshape(-1, 4).T
    count = len(accounts)
    columns = AccountColumns(
        id=pl.Series([f"a{i:05}" for i in range(count)], dtype=pl.String),
        owner=None,
        currency=np.ones(count, np.int16),
        isolated=np.zeros(count, np.bool_),
        adl_tier=np.zeros(count, np.uint8),
        cash=np.array([cash for cash, _ in accounts], np.int64),
    )
    positions = PositionColumns(
        owner.astype(np.int32), instrument.astype(np.int32), lots.copy(), entry.copy()
    )
    return Case(listed, Book._from_columns(listed, columns, positions).rows)


# ---------------------------------------------------------------------- instruments

#: Whole, with places, with 17 digits, tiny and large.
prices = st.one_of(
    st.integers(1, 2000).map(Fraction),
    st.integers(1, 10**8).map(lambda n: Fraction(n, 100)),
    st.floats(1e-3, 1e6).map(lambda x: Fraction(repr(x))),
    st.integers(1, 10**6).map(lambda n: Fraction(n, 10**13)),
    st.integers(10**6, 10**10).map(Fraction),
)
rates = st.sampled_from([Fraction(0), Fraction(1, 200), Fraction(1, 100), Fraction(1, 30), Fraction(1, 2)])


@st.composite
def ladders(draw: st.DrawFn) -> tuple[Tier, ...]:
    """One to four tiers, with the deductions of rule R4 or any others."""
    count = draw(st.sampled_from([1, 1, 2, 3, 4]))
    steps = draw(
        st.lists(st.sampled_from([100, 250, 1000, 10**5, 10**7, 10**12]), min_size=count, max_size=count)
    )
    notionals = [Fraction(sum(steps[:t])) for t in range(count)]
    rising = sorted(draw(st.lists(rates, min_size=count, max_size=count)))
    deductions = derived_deductions(list(zip(notionals, rising, strict=True)))
    if draw(st.integers(0, 4)) == 0:
        any_amount = st.sampled_from([Fraction(n) for n in (0, 1, -3, 250, 10**6)])
        deductions = draw(st.lists(any_amount, min_size=count, max_size=count))
    return tuple(Tier(*step) for step in zip(notionals, rising, deductions, strict=True))


@st.composite
def listings(draw: st.DrawFn) -> list[Instrument]:
    decimals = draw(st.sampled_from([0, 2, 6, 8]))
    found = []
    for i in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from([Kind.LINEAR, Kind.LINEAR, Kind.INVERSE, Kind.QUANTO]))
        mark = draw(prices)
        item = Instrument(
            symbol=f"{draw(st.sampled_from('ZAM'))}{i}",
            kind=kind,
            contract_size=Fraction(draw(st.sampled_from([1, 1, 100, 7]))),
            lot=Fraction(1, draw(st.sampled_from([1, 10, 1000]))),
            tiers=draw(ladders()),
            decimals=decimals,
            mark=mark,
        )
        if abs(item.unit_value(mark)) > 1 << 50:
            item = replace(item, mark=Fraction(1))
        found.append(item)
    return found


# ---------------------------------------------------------------------- accounts

#: Where an account stands: which exact amounts its cash is put beside.
STANDS = ("any", "worthless", "at margin", "bankrupt", "rich")


@st.composite
def holdings(draw: st.DrawFn, instruments: Sequence[Instrument], leg: int) -> Holding:
    """One row: a few lots or very many, entered near the mark, far from it, or for nothing."""
    item = instruments[leg >> 1]
    assert item.mark is not None
    unit = item.unit_value(item.mark)
    most = min(ROW_BOUND, max(1, floor((1 << 61) / abs(unit))))
    lots = draw(
        st.one_of(st.integers(1, 12), st.integers(1, 12), st.integers(1, 10**6), st.integers(1, ROW_BOUND))
    )
    signed = min(lots, most) * (-1 if leg & 1 else 1)
    value = signed * unit
    part = draw(st.sampled_from([Fraction(n, 10) for n in (0, 5, 9, 10, 11, 20)]))
    entry = ceil(value * part) + draw(st.integers(-1, 1))
    bounds = (0, ROW_BOUND) if value > 0 else (-ROW_BOUND, 0)
    return leg >> 1, signed, min(max(entry, bounds[0]), bounds[1])


@st.composite
def cash_for(draw: st.DrawFn, instruments: Sequence[Instrument], rows: Sequence[Holding], stand: str) -> int:
    """Cash that puts an account's equity where it is to stand, give or take an atom."""
    profit, margin = Fraction(0), Fraction(0)
    for instrument, lots, entry in rows:
        item = instruments[instrument]
        assert item.mark is not None
        value = lots * item.unit_value(item.mark)
        profit += value - entry
        margin += item.maintenance_margin(abs(value))
    loss = draw(st.one_of(st.integers(1, 9), st.integers(1, 10**7)))
    target = {
        "any": profit + draw(st.integers(-(10**9), 10**9)),
        "worthless": Fraction(draw(st.integers(-1, 1))),
        "at margin": margin + draw(st.integers(-1, 1)),
        "bankrupt": Fraction(-loss),
        "rich": margin * 3 + 10**6,
    }[stand]
    return min(max(ceil(target - profit), -ROW_BOUND), ROW_BOUND)


@st.composite
def accounts(
    draw: st.DrawFn, instruments: Sequence[Instrument], stand: str | None = None, legs: Sequence[int] = ()
) -> tuple[int, list[Holding]]:
    """Cash and rows of an account; it holds the given legs, and maybe others."""
    others = st.lists(st.integers(0, 2 * len(instruments) - 1), unique=True, max_size=4)
    held = list(dict.fromkeys([*legs, *draw(others)]))
    rows = [draw(holdings(instruments, leg)) for leg in held]
    return draw(cash_for(instruments, rows, stand or draw(st.sampled_from(STANDS)))), rows


def close_some(draw: st.DrawFn, found: Case) -> None:
    """Rows without lots, as a tick leaves them behind."""
    if len(found.rows.lots):
        for at in draw(st.lists(st.integers(0, len(found.rows.lots) - 1), max_size=2)):
            found.rows.lots[at], found.rows.entry[at] = 0, 0


@st.composite
def cases(draw: st.DrawFn, *, least: int = 0, most: int = 5, stand: str | None = None) -> Case:
    """A book of a few accounts, some without rows or with closed ones."""
    instruments = draw(listings())
    held = draw(st.lists(accounts(instruments, stand), min_size=least, max_size=most))
    found = case(instruments, held)
    close_some(draw, found)
    return found
