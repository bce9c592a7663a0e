"""Rows in their columns, found one account at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fastadl.schema import BoolArray, Int64Array, IntArray

if TYPE_CHECKING:
    from fastadl.kernels.layout import Rows

__all__ = ["Row", "expand", "gather", "locate", "open_rows", "place", "places", "sort_columns"]


class Row(NamedTuple):
    """An open row: its place in the book, instrument, signed lots and entry value."""

    at: int
    instrument: int
    lots: int
    entry: int


def locate(group_slot: Int64Array, slot: int) -> int:
    """Group of a slot."""
    return int(np.searchsorted(group_slot, slot, side="right")) - 1


def places(rows: Rows, slot: int) -> range:
    """Places of all rows of an account, closed ones too."""
    g = locate(rows.group_slot, slot)
    first = int(rows.group_row[g] + slot - rows.group_slot[g])
    width = int(rows.group_slot[g + 1] - rows.group_slot[g])
    return range(first, first + width * int(rows.group_rows[g]), width)


def open_rows(rows: Rows, slot: int) -> list[Row]:
    """Open rows of an account, by (symbol, long first)."""
    return [
        Row(at, int(rows.leg[at]) >> 1, int(rows.lots[at]), int(rows.entry[at]))
        for at in places(rows, slot)
        if rows.lots[at] != 0
    ]


def place(
    owner: IntArray,
    leg: IntArray,
    lots: Int64Array,
    entry: Int64Array,
    slot: IntArray,
    rows: Rows,
) -> None:
    """Write rows into the columns of their accounts, each account's in the order given."""
    for account in range(len(slot)):
        held = np.flatnonzero(owner == account)
        for p, at in zip(held, places(rows, int(slot[account])), strict=True):
            rows.leg[at], rows.lots[at], rows.entry[at] = leg[p], lots[p], entry[p]


def sort_columns(rows: Rows, rank: IntArray) -> None:
    """Order each account's rows by the rank of their legs."""
    for slot in range(len(rows.cash)):
        mine = places(rows, slot)
        found = sorted(
            ((rank[rows.leg[at]], rows.leg[at], rows.lots[at], rows.entry[at]) for at in mine),
            key=lambda row: row[0],
        )
        for at, (_, leg, lots, entry) in zip(mine, found, strict=True):
            rows.leg[at], rows.lots[at], rows.entry[at] = leg, lots, entry


def expand(rows: Rows, slots: Sequence[int] | IntArray) -> tuple[Int64Array, Int64Array]:
    """Where each account's open rows begin, and the places of the rows."""
    found = [[row.at for row in open_rows(rows, int(slot))] for slot in slots]
    start = np.cumsum([0, *map(len, found)])
    return start, np.array([at for mine in found for at in mine], np.int64)


def gather(rows: Rows, wanted: IntArray, skipped: BoolArray) -> list[list[tuple[int, int]]]:
    """Places and slots of every open row of each wanted leg, in the order of the places."""
    found: list[list[tuple[int, int]]] = [[] for _ in range(max(wanted, default=-1) + 1)]
    for slot in range(len(rows.cash)):
        for at in places(rows, slot):
            if wanted[rows.leg[at]] >= 0 and rows.lots[at] != 0 and not skipped[slot]:
                found[wanted[rows.leg[at]]].append((at, slot))
    return [sorted(part) for part in found]
