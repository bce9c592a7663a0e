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

__all__ = ["add_up", "cell_lights", "fifths", "gather", "light", "settle"]


class Cells(NamedTuple):
    """Lights and groups by cell, −1 for none; lots before and rows of every group."""

    lights: list[int]
    groups: list[int]
    before: list[int]
    rows: list[int]


def fifths(total: int) -> list[int]:
    """The steps of the five lights (rule R99)."""
    return [j * total // 5 for j in range(1, 5)]


def light(lot: int, steps: Sequence[int]) -> int:
    """Light of a row that has this lot of its leg's: one more than the steps that reach the lot."""
    return 1 + sum(step >= lot for step in steps)


def add_up(lots: Int64Array) -> list[int]:
    """From the lots of each leg's cells: int64 (legs, cells)."""
    return [sum(held) for held in lots.tolist()]


def cell_lights(lots: Int64Array, rows: Int64Array, most: int, steps: Int64Array) -> Cells:
    """From the lots and rows of each leg's cells, int64 (legs, cells), and the steps of each leg."""
    found = Cells([], [], [], [])
    for held, count, mine in zip(lots.tolist(), rows.tolist(), steps.tolist(), strict=True):
        reached, fresh = 0, True
        for cell, (here, many) in enumerate(zip(held, count, strict=True)):
            first, last = light(reached + 1, mine), light(reached + here, mine)
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
    members: Int64Array,
    groups: Groups,
    steps: Int64Array,
    by_first: bool,
    leg: IntArray,
    tie: IntArray,
) -> dict[int, tuple[int, int]]:
    """Light of every member (row, key, lots), and the lots reached with it; `tie` is that of each row."""
    found = {}
    for g, reached in enumerate(groups.before.tolist()):
        mine = np.arange(groups.start[g], groups.start[g + 1])
        for at in order(mine, members[:, 1], tie[members[:, 0]]):
            row, _, lots = members[at].tolist()
            lot = reached + 1 if by_first else reached + lots
            reached += lots
            found[row] = light(lot, steps[leg[row]].tolist()), reached
    return found
