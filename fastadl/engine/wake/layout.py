"""Room for the levels of a book, and all of them made at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastadl.kernels.wake import FAN, FLOORS, NEVER, Levels, lay, rise, tally
from fastadl.schema import BoolArray, Int64Array

if TYPE_CHECKING:
    from fastadl.engine.state import State

__all__ = ["laid_out"]

#: Parts of the book that are worked on beside each other, by their number alone: nothing depends on threads.
_PARTS = 16
#: Room of a leg beyond the rows it has: a part of them and of what legs have on average, and so many.
_SPARE, _LEAST = 8, 8


def laid_out(state: State) -> tuple[Levels, BoolArray]:
    """Levels of all rows at the present marks, and which accounts may not be safe (by account)."""
    rows, blocks, legs = state.book.rows, state.blocks, 2 * len(state.instruments)
    parts = np.linspace(0, len(blocks), _PARTS + 1).astype(np.int64)
    count = np.empty((_PARTS, legs), np.int32)
    tally(rows, blocks, parts, count)
    used = count.sum(axis=0, dtype=np.int32)
    base = bases(used)
    accounts = len(state.book.slot)
    levels = Levels(
        tree=np.full(base[-1, -1], NEVER, np.int32),
        base=base,
        link=np.empty(2 * base[0, -1], np.int32),
        first=np.full(accounts, -1, np.int32),
        used=used,
        free=np.full(legs, -1, np.int32),
    )
    among = np.zeros(accounts, np.bool_)
    cursor = (base[0, :-1] + np.cumsum(count, axis=0) - count).astype(np.int32)
    lay(rows, blocks, parts, cursor, state.marks.unit, state.margins, levels, among)
    rise(levels)
    return levels, among


def bases(used: Int64Array) -> Int64Array:
    """Where the nodes of each leg begin on each floor of the trees, and where those of the last one end."""
    size = used.astype(np.int64)
    size += (size + int(size.sum()) // max(len(size), 1)) // _SPARE + _LEAST
    base, start = np.zeros((FLOORS, len(used) + 1), np.int64), 0
    for floor in range(FLOORS):
        size = -(-size // FAN) * FAN
        base[floor] = start + np.append(0, np.cumsum(size))
        start, size = base[floor, -1], size // FAN
    return base
