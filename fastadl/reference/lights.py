"""Where rows stand in the ranking of their leg (rule R99)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fastadl.reference.rank import order
from fastadl.schema import Int64Array, IntArray

if TYPE_CHECKING:
    from fastadl.kernels.lights import Groups

#: As the kernels mark it.
UNSETTLED = 255

__all__ = ["cell_lights", "gather", "light", "settle"]


class Cells(NamedTuple):
    """Lots by leg; lights and groups by cell, −1 for none; lots before and rows of every group."""

    totals: list[int]
    lights: list[int]
    groups: list[int]
    before: list[int]
    rows: list[int]


def light(reached: int, total: int) -> int:
    """Light of a row with which so many of its leg's lots are reached."""
    return 6 - -(-5 * reached // total)


def cell_lights(lots: Int64Array, rows: Int64Array, most: int) -> Cells:
    """From the lots and rows of each leg's cells: int64 (legs, cells)."""
    found = Cells([], [], [], [], [])
    for held, count in zip(lots.tolist(), rows.tolist(), strict=True):
        total, reached, fresh = sum(held), 0, True
        found.totals.append(total)
        for cell, (here, many) in enumerate(zip(held, count, strict=True)):
            first, last = light(reached + 1, max(total, 1)), light(reached + here, max(total, 1))
            fresh |= 2 * cell == len(held)  # scores below zero lie far from those above
            group = -1
            if many and (most or first != last):
                if fresh or found.rows[-1] + many > most:
                    found.before.append(reached)
                    found.rows.append(0)
                    fresh = False
                found.rows[-1] += many
                group = len(found.before) - 1
            found.lights.append(UNSETTLED if group >= 0 else last)
            found.groups.append(group)
            reached += here
    found.lights.append(0)
    return found


def gather(place: IntArray, groups: Groups) -> tuple[list[int], list[list[int]]]:
    """Lights of rows by their cells, and the rows of each group."""
    members: list[list[int]] = [[] for _ in groups.before]
    found = [int(groups.light[at]) for at in place]
    for row, at in enumerate(place.tolist()):
        if found[row] == UNSETTLED:
            members[groups.group[at]].append(row)
    return found, members


def settle(
    members: Int64Array, groups: Groups, total: Sequence[int], leg: IntArray, tie: IntArray
) -> dict[int, tuple[int, float]]:
    """Light and share of the lots of every member (row, key, lots); `tie` is that of each row."""
    found = {}
    for g, reached in enumerate(groups.before.tolist()):
        mine = np.arange(groups.start[g], groups.start[g + 1])
        for at in order(mine, members[:, 1], tie[members[:, 0]]):
            row, _, lots = members[at].tolist()
            reached += lots
            whole = int(total[leg[row]])
            found[row] = light(reached, whole), float(reached) / float(whole)
    return found
