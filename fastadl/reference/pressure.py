"""What one account adds to the pressure curve at one shock (rule R102)."""

from __future__ import annotations

from math import ceil, floor, frexp
from typing import TYPE_CHECKING

from fastadl.reference.account import evaluate
from fastadl.reference.layout import open_rows
from fastadl.reference.mark import margin
from fastadl.schema import Float64Array

if TYPE_CHECKING:
    from fastadl.kernels.layout import Rows
    from fastadl.kernels.mark import Margins

__all__ = ["bin_of", "count_fallen", "split_debt", "sum_rows"]


def count_fallen(
    rows: Rows, slot: int, unit: Float64Array, margins: Margins, bins: int
) -> tuple[int, int] | None:
    """Whole atoms that equity is below zero, and the bin of its depth; None for who can stay."""
    equity, needed, _ = evaluate(rows, slot, unit, margins)
    if not open_rows(rows, slot) or (equity >= 0.0 and equity >= needed):
        return None
    debt = ceil(max(-equity, 0.0))
    return debt, bin_of(debt / max(needed, 1e-9), bins)


def bin_of(depth: float, bins: int) -> int:
    """Eight bins to an octave, linear within it, from 2^-12 on."""
    if depth == 0.0:
        return 0
    fraction, octave = frexp(depth)
    place = 8 * (octave - 1 + 12) + floor(8 * (2 * fraction - 1))
    return min(max(place + 1, 0), bins - 1)


def sum_rows(rows: Rows, slot: int) -> tuple[dict[int, int], dict[int, int]]:
    """Lots of an account by leg, and those beyond what it holds on the other side (rule R24)."""
    lots = {2 * row.instrument + (row.lots < 0): abs(row.lots) for row in open_rows(rows, slot)}
    return lots, {leg: n - lots.get(leg ^ 1, 0) for leg, n in lots.items() if n > lots.get(leg ^ 1, 0)}


def split_debt(
    debt: int, left: dict[int, int], unit: Float64Array, margins: Margins, by_notional: bool
) -> dict[int, int]:
    """Each row's share of a debt, in float64 (rule R25): rounded down as weights add up, the rest last."""
    gross = {leg: n * abs(float(unit[leg >> 1])) for leg, n in left.items()}
    weights = {leg: margin(value, leg >> 1, margins) for leg, value in gross.items()}
    if by_notional or not any(weights.values()):
        weights = gross
    total = 0.0  # not by `sum`, which keeps more digits from Python 3.12 on
    for weight in weights.values():
        total += weight
    shares: dict[int, int] = {}
    reached, given = 0.0, 0
    for leg, weight in weights.items():
        reached += weight
        now = min(floor(debt / total * reached), debt)
        if len(shares) == len(weights) - 1:
            now = debt
        shares[leg], given = now - given, now
    return shares
