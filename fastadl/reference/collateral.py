"""What accounts have free beyond their margins (rule R104)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from fastadl.contracts import Instruments
from fastadl.reference.account import equity, initial_margin, maintenance_margin

if TYPE_CHECKING:
    from fastadl.kernels.layout import Rows

__all__ = ["collateral"]


def collateral(rows: Rows, slot: int, units: Sequence[Fraction], instruments: Instruments) -> Fraction:
    """Least of cash and equity, less initial or maintenance margin, whichever is more."""
    backing = min(Fraction(int(rows.cash[slot])), equity(rows, slot, units))
    asked = (each(rows, slot, units, instruments) for each in (initial_margin, maintenance_margin))
    return backing - max(asked)
