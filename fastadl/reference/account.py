"""What accounts are worth: exactly, and in float64 operation by operation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING

from fastadl.contracts import Instruments
from fastadl.reference.layout import open_rows
from fastadl.reference.mark import margin
from fastadl.schema import Float64Array

if TYPE_CHECKING:
    from fastadl.kernels.layout import Rows
    from fastadl.kernels.mark import Margins

__all__ = [
    "equity",
    "evaluate",
    "exposure",
    "gross",
    "initial_margin",
    "maintenance_margin",
    "profit",
    "row_margin",
    "row_value",
    "safe",
    "split_floor",
]


def row_value(lots: int, instrument: int, units: Sequence[Fraction]) -> Fraction:
    """Value of signed lots (rule R3); `units` are exact unit values by instrument."""
    return lots * units[instrument]


def row_margin(lots: int, instrument: int, units: Sequence[Fraction], instruments: Instruments) -> Fraction:
    """Maintenance margin of one row (rule R4)."""
    needed: Fraction = instruments[instrument].maintenance_margin(abs(row_value(lots, instrument, units)))
    return needed


def split_floor(number: Fraction) -> tuple[int, Fraction]:
    """Whole part and fraction."""
    return floor(number), number - floor(number)


def profit(rows: Rows, slot: int, units: Sequence[Fraction]) -> Fraction:
    """Unrealised profit of an account (rule R3)."""
    return sum(
        (row_value(row.lots, row.instrument, units) - row.entry for row in open_rows(rows, slot)), Fraction(0)
    )


def equity(rows: Rows, slot: int, units: Sequence[Fraction]) -> Fraction:
    """Cash and unrealised profit of an account (rule R3)."""
    return int(rows.cash[slot]) + profit(rows, slot, units)


def gross(rows: Rows, slot: int, units: Sequence[Fraction]) -> Fraction:
    """Gross notional of an account (rule R3)."""
    return sum(
        (abs(row_value(row.lots, row.instrument, units)) for row in open_rows(rows, slot)), Fraction(0)
    )


def exposure(
    rows: Rows,
    slot: int,
    units: Sequence[Fraction],
    instruments: Instruments,
    betas: Mapping[str, Fraction],
) -> Fraction:
    """What an account's longs are worth beyond its shorts, each symbol times its beta, or 1 (rule R84)."""
    total = Fraction(0)
    for row in open_rows(rows, slot):
        value = abs(row_value(row.lots, row.instrument, units))
        beta = betas.get(instruments.symbols[row.instrument], 1)
        total += beta * (value if row.lots > 0 else -value)
    return total


def maintenance_margin(
    rows: Rows, slot: int, units: Sequence[Fraction], instruments: Instruments
) -> Fraction:
    """Maintenance margin of an account (rules R3, R4)."""
    held = open_rows(rows, slot)
    return sum((row_margin(row.lots, row.instrument, units, instruments) for row in held), Fraction(0))


def initial_margin(rows: Rows, slot: int, units: Sequence[Fraction], instruments: Instruments) -> Fraction:
    """Initial margin of an account: what its rows ask for, each by its own notional."""
    return sum(
        (
            instruments[row.instrument].initial_margin(abs(row_value(row.lots, row.instrument, units)))
            for row in open_rows(rows, slot)
        ),
        Fraction(0),
    )


def safe(rows: Rows, slot: int, units: Sequence[Fraction], instruments: Instruments) -> bool:
    """Whether an account is neither liquidatable nor bankrupt (rule R21)."""
    if not open_rows(rows, slot):
        return True
    worth = equity(rows, slot, units)
    return worth >= 0 and worth >= maintenance_margin(rows, slot, units, instruments)


def evaluate(rows: Rows, slot: int, unit: Float64Array, margins: Margins) -> tuple[float, float, float]:
    """Equity, maintenance margin and gross notional in float64, in the order of rule R6."""
    worth, needed, size = float(rows.cash[slot]), 0.0, 0.0
    for row in open_rows(rows, slot):
        value = float(row.lots) * float(unit[row.instrument])
        worth += value - float(row.entry)
        needed += margin(abs(value), row.instrument, margins)
        size += abs(value)
    return worth, needed, size
