"""Scores of a whole book, and the cells of a histogram that they fall in."""

from __future__ import annotations

import struct
from fractions import Fraction
from math import isnan
from typing import TYPE_CHECKING, Any

from fastadl.reference.layout import open_rows, places
from fastadl.reference.measure import measure

if TYPE_CHECKING:
    from fastadl.kernels.standing import Cells

__all__ = ["place_row", "stand"]


def place_row(score: float, leg: int, cells: Cells) -> int:
    """Place of the cell of a score."""
    if isnan(score):
        return int(cells.nowhere)
    (bits,) = struct.unpack("<Q", struct.pack("<d", abs(score)))
    below = str(score).startswith("-")
    from_the_end = (bits >> cells.shift) - cells.nearest if below else cells.best - (bits >> cells.shift)
    cell = min(max(from_the_end, 0), cells.half - 1) + (cells.half if below else 0)
    return int(2 * cells.half * leg + cell)


def stand(number: int, context: Any, equity: list[Fraction]) -> dict[int, float]:
    """Scores of the open rows of accounts that are not below zero."""
    found: dict[int, float] = {}
    for slot, left in enumerate(equity):
        held = {row for row in places(context, slot) if context.lots[row] != 0}
        if left >= 0 and open_rows(context, slot):
            found |= {row: measure(number, None, row, slot, context)["score"] for row in held}
    return found
