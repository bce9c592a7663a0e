"""What the streaming pass must find, and what its guards may promise."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from fastadl.contracts import Instruments
from fastadl.reference.layout import open_rows, places
from fastadl.schema import Float64Array

if TYPE_CHECKING:
    from fastadl.kernels.layout import Rows
    from fastadl.kernels.mark import Margins

__all__ = ["guard", "margin", "scan"]


def margin(notional: float, instrument: int, margins: Margins) -> float:
    """Maintenance margin of one row in float64: the largest of all tiers, at least 0 (rules R4, R6)."""
    tiers = range(margins.start[instrument], margins.start[instrument + 1])
    return max(0.0, *(float(margins.rate[t]) * notional - float(margins.deduction[t]) for t in tiers))


def guard(rows: Rows, slot: int, ceiling: Sequence[Fraction], instruments: Instruments) -> Fraction | None:
    """The largest guard of an account that holds for every unit value up to a ceiling; None without rows.

    What the margin has above its first tier's rate is convex in the notional, so it is largest at an end.
    """
    if not open_rows(rows, slot):
        return None
    left = Fraction(int(rows.cash[slot]))
    for row in open_rows(rows, slot):
        item = instruments[row.instrument]
        most = abs(row.lots) * ceiling[row.instrument]
        at_most = item.maintenance_margin(most) - item.tiers[0].maintenance_rate * most
        left -= row.entry + max(at_most, item.maintenance_margin(Fraction(0)))
    return left


def scan(rows: Rows, guard: Float64Array, weight: Float64Array) -> list[int]:
    """Slots whose ``guard + Σ lots · weight`` is below zero in float64, summed by column."""
    found = []
    for slot in range(len(rows.cash)):
        room = float(guard[slot])
        for at in places(rows, slot):
            room += float(rows.lots[at]) * float(weight[rows.leg[at]])
        if room < 0:
            found.append(slot)
    return found
