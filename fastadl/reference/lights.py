"""Where rows stand in the ranking of their leg (rule R99)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from fastadl.reference.rank import order
from fastadl.schema import Int64Array, IntArray

if TYPE_CHECKING:
    from fastadl.kernels.lights import Members

#: As the kernels mark it.
UNSETTLED = 255

__all__ = ["cell_lights", "group_rows", "light", "light_rows", "settle", "unsettled_rows"]


def light(reached: int, total: int) -> int:
    """Light of a row with which so many of its leg's lots are reached."""
    return 6 - -(-5 * reached // total)


def cell_lights(found: Int64Array, every: bool) -> tuple[list[int], list[int], list[int], list[int]]:
    """Lots by leg and before every group, lights and groups by cell; from the first and last lot of each."""
    totals, before, lights, groups = [], [], [], []
    for lots in found.tolist():
        total, reached, opened = sum(lots), 0, None
        totals.append(total)
        for cell, here in enumerate(lots):
            first, last = light(reached + 1, max(total, 1)), light(reached + here, max(total, 1))
            group = -1
            if here and (every or first != last):
                if opened is None or not every or cell // 8 != opened:
                    before.append(reached)
                    opened = cell // 8
                group = len(before) - 1
            lights.append(UNSETTLED if group >= 0 else last)
            groups.append(group)
            reached += here
    return totals, before, [*lights, 0], groups


def light_rows(place: IntArray, light: IntArray, chunks: int) -> tuple[list[int], list[int]]:
    """Lights of rows, and how many in each part of them have none yet."""
    found = [int(light[at]) for at in place]
    bounds = [len(found) * chunk // chunks for chunk in range(chunks + 1)]
    return found, [found[a:b].count(UNSETTLED) for a, b in pairwise(bounds)]


def unsettled_rows(light: IntArray) -> list[int]:
    """Rows without a light yet."""
    return [i for i, colour in enumerate(light.tolist()) if colour == UNSETTLED]


def group_rows(row: IntArray, group: IntArray, place: IntArray) -> list[list[int]]:
    """Rows of each group, in the order given."""
    found: list[list[int]] = [[] for _ in range(int(group.max(initial=-1)) + 1)]
    for at in row.tolist():
        found[group[place[at]]].append(at)
    return found


def settle(
    members: Members, before: Sequence[int], total: Sequence[int], leg: IntArray, tie: IntArray
) -> dict[int, tuple[int, float]]:
    """Light and share of the lots of every member; `tie` is that of each row."""
    found = {}
    for g, reached in enumerate(before):
        mine = np.arange(members.start[g], members.start[g + 1])
        for at in order(mine, members.key, tie[members.row]):
            row = int(members.row[at])
            reached += int(members.lots[at])
            whole = int(total[leg[row]])
            found[row] = light(reached, whole), float(reached) / float(whole)
    return found
