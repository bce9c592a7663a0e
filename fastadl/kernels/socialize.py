"""Losses charged to every holder: debts shared over rows, and what each row pays when an index moves."""

from __future__ import annotations

import numpy as np
from numba import prange

from fastadl.kernels._jit import kernel, parallel
from fastadl.kernels.wide import ceil_scaled, muldiv

__all__ = ["NANO", "index_charges", "share_by_owner"]

#: Steps of an index in one atom.
NANO = 1_000_000_000


@kernel
def share_by_owner(start, amount, weight, part):
    """Share whole amounts by weight, each over rows of its own, ties to the earlier row (rules R16, R94).

    Parameters
    ----------
    start : int64 (owners + 1)
        Where each owner's rows begin.
    amount : int64 (owners)
        0 where no row has weight.
    weight : int64 (rows)
        Not negative; the sum of an owner stays below 2^62.
    part : int64 (rows)
        Written.
    """
    most = 0
    for a in range(amount.shape[0]):
        most = max(most, start[a + 1] - start[a])
    rest = np.empty(most, np.int64)
    for a in range(amount.shape[0]):
        first = start[a]
        total = np.int64(0)
        for r in range(first, start[a + 1]):
            total += weight[r]
            part[r] = 0
        if amount[a] == 0:
            continue
        missing = amount[a]
        for r in range(first, start[a + 1]):
            part[r], rest[r - first] = muldiv(weight[r], amount[a], total)
            missing -= part[r]
        for _ in range(missing):
            best = 0
            for r in range(1, start[a + 1] - first):
                if rest[r] > rest[best]:
                    best = r
            part[first + best] += 1
            rest[best] = -1


@kernel
def _index_charges(rows, delta, block, charge):
    g = block[0]
    size = block[2] - block[1]
    width = rows.group_slot[g + 1] - rows.group_slot[g]
    at = rows.group_row[g] + block[1] - rows.group_slot[g]
    out = charge[block[1] : block[2]]
    for i in range(size):
        out[i] = 0
    for _ in range(rows.group_rows[g]):
        leg = rows.leg[at : at + size]
        lots = rows.lots[at : at + size]
        for i in range(size):
            whole = delta[0, leg[i]]
            nano = delta[1, leg[i]]
            if whole + nano > 0:
                held = int(abs(lots[i]))
                out[i] += whole * held + ceil_scaled(held, nano, NANO)
        at += width


@parallel
def index_charges(rows, delta, blocks, charge):
    """What the rows of every account pay when indices move: ⌈δ · lots / 10^9⌉ each (rule R94).

    Parameters
    ----------
    rows : Rows
    delta : int64 (2, legs)
        Nano-atoms a lot: whole atoms, and what is left of δ over 10^9.
    blocks : int64 (blocks, 3)
        Group, first slot and last slot + 1 of each block.
    charge : int64 (slots)
        Written, in atoms; every sum stays below 2^62.
    """
    for b in prange(blocks.shape[0]):
        _index_charges(rows, delta, blocks[b], charge)
