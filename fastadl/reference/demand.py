"""What one account adds to the demand at one shock (rule R111)."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

from fastadl.reference.layout import open_rows, places
from fastadl.reference.mark import margin
from fastadl.reference.pressure import bin_of, sum_rows

if TYPE_CHECKING:
    from fastadl.kernels.demand import Falls
    from fastadl.kernels.layout import Rows

__all__ = ["count_debts", "sum_fallen"]


def count_debts(rows: Rows, slot: int, falls: Falls, way: int, k: int, bins: int) -> tuple[int, int] | None:
    """Whole atoms that equity is below zero and the class of depth; None if it is not."""
    debt = ceil(max(-_equity(rows, slot, falls, way, k)[0], 0.0))
    if not debt or not open_rows(rows, slot):
        return None
    return debt, bin_of(debt / max(_margin(rows, slot, falls, way, k), 1e-9), bins)


def in_doubt(rows: Rows, slot: int, falls: Falls, way: int, k: int) -> bool:
    """Whether float64 cannot tell if the equity of an account with open rows is below zero."""
    equity, error = _equity(rows, slot, falls, way, k)
    return bool(open_rows(rows, slot)) and abs(equity) <= error


def _equity(rows: Rows, slot: int, falls: Falls, way: int, k: int) -> tuple[float, float]:
    """Equity at a shock from three sums, and a bound on its error at all of them."""
    fixed, direct, inverse = float(rows.cash[slot]), 0.0, 0.0
    error, held = abs(fixed), places(rows, slot)
    most = 3.0 * max(float(falls.kept[1, -1]), float(falls.back[0, -1]))
    for at in held:
        lots, leg, entry = float(rows.lots[at]), int(rows.leg[at]), float(rows.entry[at])
        fixed -= entry
        direct += lots * float(falls.linear[leg])
        inverse += lots * float(falls.inverse[leg])
        error += abs(entry)
        error += most * abs(lots * float(falls.linear[leg]))
        error += most * abs(lots * float(falls.inverse[leg]))
    equity = fixed + direct * float(falls.kept[way, k]) + inverse * float(falls.back[way, k])
    return equity, error * (2.0**-53 * (16.0 + 8.0 * len(held)))


def _margin(rows: Rows, slot: int, falls: Any, way: int, k: int) -> float:
    """Margin at a shock: by two sums if at the largest one every row is in its first tier."""
    kept, back = float(falls.kept[way, k]), float(falls.back[way, k])
    most, least = max(1.0, float(falls.kept[way, -1])), max(1.0, float(falls.back[way, -1]))
    first, direct, inverse, every = True, 0.0, 0.0, 0.0
    for row in open_rows(rows, slot):
        leg, i, size = int(rows.leg[row.at]), row.instrument, float(abs(row.lots))
        linear, other = float(falls.linear[leg]), float(falls.inverse[leg])
        rate = float(falls.rate[falls.start[i]])
        direct += rate * (size * abs(linear))
        inverse += rate * (size * abs(other))
        first &= size * abs(linear) * most + size * abs(other) * least <= falls.plain[i]
        every += margin(abs(size * (linear * kept + other * back)), i, falls)
    return direct * kept + inverse * back if first else every


def sum_fallen(rows: Rows, slot: int, way: int) -> dict[int, int]:
    """Lots of one side by leg, beyond what the account holds on the other (rule R24)."""
    return {leg: n for leg, n in sum_rows(rows, slot)[1].items() if leg & 1 == way}
