"""Gaps of a book: runs of groups in which no slot is anybody's, whose slots and rows can be grouped anew."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastadl.kernels.layout import Rows
from fastadl.schema import BoolArray

__all__ = ["Region", "carved", "regions", "widest"]


class Region(NamedTuple):
    """Neighbouring gaps."""

    first: int  # group
    last: int  # group
    slots: int
    rows: int

    def fits(self, many: int) -> int:
        """Slots of `many` rows that can be carved: one is kept for what rows are left."""
        if self.slots * many == self.rows:
            return self.slots
        return min(self.slots - 1, self.rows // many if many else self.slots)


def regions(rows: Rows, gap: BoolArray) -> list[Region]:
    """Runs of gaps."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], gap, [False]])))
    found = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    return [
        Region(
            first,
            after - 1,
            int(rows.group_slot[after] - rows.group_slot[first]),
            int(rows.group_row[after] - rows.group_row[first]),
        )
        for first, after in found
    ]


def widest(found: list[Region], many: int) -> Region | None:
    """Where most slots of `many` rows fit, the first of them."""
    return max(found, key=lambda region: region.fits(many), default=None)


def carved(region: Region, many: int, slots: int) -> list[tuple[int, int]]:
    """Rows per slot, and slots, of the groups that a region becomes: first the one asked for, then gaps."""
    left, rows = region.slots - slots, region.rows - slots * many
    pieces = [(many, slots)]
    if left:
        each, more = divmod(rows, left)
        pieces += [(each + 1, more)] if more else []
        pieces.append((each, left - more))
    return pieces
