"""How far a symbol's price can go against a row before the account is liquidated (rule R112), exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from fastadl.contracts import Instruments
from fastadl.reference.account import equity, maintenance_margin
from fastadl.reference.layout import Row, open_rows

if TYPE_CHECKING:
    from fastadl.kernels.layout import Rows

__all__ = ["headroom", "liquidation_moves"]


def headroom(rows: Rows, slot: int, units: Sequence[Fraction], instruments: Instruments) -> Fraction:
    """Equity less maintenance margin."""
    return equity(rows, slot, units) - maintenance_margin(rows, slot, units, instruments)


def liquidation_moves(
    rows: Rows, slot: int, row: Row, units: Sequence[Fraction], instruments: Instruments
) -> Fraction | None:
    """Size of the move; None if there is none.

    Between two multiples of the unit value at which a tier begins, headroom is a straight line: the
    first line that goes below zero, walking away from 1, goes through zero where the account is liquidated.
    """
    changed = list(units)

    def at(multiple: Fraction) -> Fraction:
        changed[row.instrument] = units[row.instrument] * multiple
        return headroom(rows, slot, changed, instruments)

    if at(Fraction(1)) < 0:
        return Fraction(0)
    falls = row.lots * units[row.instrument] > 0
    corners = _corners(rows, slot, row.instrument, units, instruments)
    here = last = Fraction(1)
    if falls:
        ahead = sorted({corner for corner in corners if corner < 1} | {Fraction(0)}, reverse=True)
    else:
        ahead = sorted({corner for corner in corners if corner > 1})
        ahead.append(2 * (ahead or [here])[-1])
    for there in ahead:
        last, here = here, there
        if at(here) < 0:
            return _size(_zero(at, last, here), instruments, row.instrument)
    if falls or at(here) >= at(last):
        return None
    return _size(_zero(at, last, here), instruments, row.instrument)


def _zero(at: Callable[[Fraction], Fraction], here: Fraction, there: Fraction) -> Fraction:
    """Where the straight line through two points is zero."""
    first, second = at(here), at(there)
    zero: Fraction = here + (there - here) * first / (first - second)
    return zero


def _size(multiple: Fraction, instruments: Instruments, instrument: int) -> Fraction | None:
    if instruments.inverse[instrument]:
        return abs(1 / multiple - 1) if multiple else None
    return abs(multiple - 1)


def _corners(
    rows: Rows, slot: int, instrument: int, units: Sequence[Fraction], instruments: Instruments
) -> list[Fraction]:
    """Multiples at which any two tiers of a row, or a tier and no margin, are equal."""
    tiers = [(tier.maintenance_rate, tier.deduction) for tier in instruments[instrument].tiers]
    tiers.append((Fraction(0), Fraction(0)))
    notionals = [
        abs(row.lots * units[instrument]) for row in open_rows(rows, slot) if row.instrument == instrument
    ]
    return [
        (less - less_too) / (rate - rate_too) / notional
        for notional in notionals
        for rate, less in tiers
        for rate_too, less_too in tiers
        if rate != rate_too and (less - less_too) / (rate - rate_too) > 0
    ]
