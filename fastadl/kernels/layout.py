"""Rows where the mark pass wants them: accounts grouped by number of rows, each group column by column."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from fastadl.kernels._jit import kernel, parallel

__all__ = ["Rows", "expand", "gather", "locate", "place", "sort_columns"]


class Rows(NamedTuple):
    """The book's tables as kernels read them (all one-dimensional).

    An account's *slot* is its place when accounts are ordered by number of rows. Group g holds the slots
    ``group_slot[g]:group_slot[g + 1]``, all with ``group_rows[g]`` rows; column j of the group lies at
    ``group_row[g] + j · (slots of the group)``. A row whose ``lots`` is 0 is closed and counts for nothing.
    """

    group_rows: Any  # int64 (groups)      rows of each account of the group
    group_slot: Any  # int64 (groups + 1)  first slot
    group_row: Any  # int64 (groups + 1)   first row
    leg: Any  # uint16 or uint32 (rows)    2 · instrument, + 1 for a short
    lots: Any  # float64 (rows)            signed whole lots
    entry: Any  # int64 (rows)             signed entry value, atoms
    cash: Any  # int64 (slots)             atoms
    account: Any  # int32 (slots)          position of the account in the order given


@kernel
def locate(group_slot, slot):
    """Group of a slot."""
    low = 0
    high = group_slot.shape[0] - 2
    while low < high:
        middle = (low + high + 1) >> 1
        if group_slot[middle] <= slot:
            low = middle
        else:
            high = middle - 1
    return low


@kernel
def place(owner, leg, lots, entry, slot, group, rows):
    """Write rows, in any order, into the columns of their accounts.

    Parameters
    ----------
    owner : int32 (positions)
        Account of each row.
    leg, lots, entry : arrays (positions)
    slot : int32 (accounts)
        Slot of each account.
    group : int32 (accounts)
        Group of each account.
    rows : Rows
        Written: ``leg``, ``lots``, ``entry``.
    """
    filled = np.zeros(slot.shape[0], np.int32)
    for p in range(owner.shape[0]):
        account = owner[p]
        g = group[account]
        width = rows.group_slot[g + 1] - rows.group_slot[g]
        at = rows.group_row[g] + filled[account] * width + slot[account] - rows.group_slot[g]
        filled[account] += 1
        rows.leg[at] = leg[p]
        rows.lots[at] = lots[p]
        rows.entry[at] = entry[p]


@kernel
def sort_columns(rows, rank):
    """Order each account's rows by (symbol, long first); `rank` is the order of legs (int32, legs)."""
    for g in range(rows.group_rows.shape[0]):
        width = rows.group_slot[g + 1] - rows.group_slot[g]
        for i in range(width):
            first = rows.group_row[g] + i
            for j in range(1, rows.group_rows[g]):
                at = first + j * width
                leg = rows.leg[at]
                lots = rows.lots[at]
                entry = rows.entry[at]
                key = rank[leg]
                before = at - width
                while before >= first and rank[rows.leg[before]] > key:
                    rows.leg[before + width] = rows.leg[before]
                    rows.lots[before + width] = rows.lots[before]
                    rows.entry[before + width] = rows.entry[before]
                    before -= width
                rows.leg[before + width] = leg
                rows.lots[before + width] = lots
                rows.entry[before + width] = entry


@kernel
def expand(rows, slots):
    """Open rows of some accounts, account by account, each in column order.

    Returns
    -------
    start : int64 (slots + 1)
        Where each account's rows begin in `row`.
    row : int64 (open rows)
    """
    start = np.zeros(slots.shape[0] + 1, np.int64)
    most = 0
    for s in range(slots.shape[0]):
        most += rows.group_rows[locate(rows.group_slot, slots[s])]
    row = np.empty(most, np.int64)
    count = 0
    for s in range(slots.shape[0]):
        g = locate(rows.group_slot, slots[s])
        width = rows.group_slot[g + 1] - rows.group_slot[g]
        at = rows.group_row[g] + slots[s] - rows.group_slot[g]
        for _ in range(rows.group_rows[g]):
            if rows.lots[at] != 0.0:
                row[count] = at
                count += 1
            at += width
        start[s + 1] = count
    return start, row[:count]


@parallel
def gather(rows, wanted, skipped, blocks):
    """Every open row of some legs, leg by leg.

    Parameters
    ----------
    rows : Rows
    wanted : int32 (legs)
        Position of each wanted leg in the answer, −1 for the others.
    skipped : bool (slots)
        Accounts whose rows are left out.
    blocks : int64 (blocks, 3)
        Group, first slot and last slot + 1 of each block.

    Returns
    -------
    start : int64 (wanted legs + 1)
    row, slot : int64, int32 (found rows)
        Within a leg in the order of the blocks.
    span : int64 (2, blocks, wanted legs)
        Where the rows of each block and leg begin and end.
    """
    legs = wanted.max() + 1
    span = np.zeros((2, blocks.shape[0], legs), np.int64)
    cursor = span[1]
    for b in prange(blocks.shape[0]):
        _count_legs(rows, wanted, skipped, blocks[b], cursor[b])
    start = np.zeros(legs + 1, np.int64)
    for b in range(blocks.shape[0]):
        for w in range(legs):
            start[w + 1] += cursor[b, w]
    for w in range(legs):
        start[w + 1] += start[w]
    total = start[legs]
    reached = start[:legs].copy()
    for b in range(blocks.shape[0]):
        for w in range(legs):
            count = cursor[b, w]
            span[0, b, w] = reached[w]
            cursor[b, w] = reached[w]
            reached[w] += count
    row = np.empty(total, np.int64)
    slot = np.empty(total, np.int32)
    for b in prange(blocks.shape[0]):
        _place_legs(rows, wanted, skipped, blocks[b], cursor[b], row, slot)
    return start, row, slot, span


@kernel
def _count_legs(rows, wanted, skipped, block, count):
    g = block[0]
    size = block[2] - block[1]
    width = rows.group_slot[g + 1] - rows.group_slot[g]
    at = rows.group_row[g] + block[1] - rows.group_slot[g]
    for _ in range(rows.group_rows[g]):
        leg = rows.leg[at : at + size]
        for i in range(size):
            w = wanted[leg[i]]
            if w >= 0 and rows.lots[at + i] != 0.0 and not skipped[block[1] + i]:
                count[w] += 1
        at += width


@kernel
def _place_legs(rows, wanted, skipped, block, cursor, row, slot):
    g = block[0]
    size = block[2] - block[1]
    width = rows.group_slot[g + 1] - rows.group_slot[g]
    at = rows.group_row[g] + block[1] - rows.group_slot[g]
    for _ in range(rows.group_rows[g]):
        leg = rows.leg[at : at + size]
        for i in range(size):
            w = wanted[leg[i]]
            if w >= 0 and rows.lots[at + i] != 0.0 and not skipped[block[1] + i]:
                row[cursor[w]] = at + i
                slot[cursor[w]] = block[1] + i
                cursor[w] += 1
        at += width
