"""Mark and detect: one streaming pass over lots, legs and one float64 per account.

Headroom (equity − maintenance margin) is ``cash − Σ entry + Σ lots · weight[leg]`` while every row is in its
first tier, with ``weight = u ∓ rate·|u|``. What later tiers can add, and what float64 can lose, is taken off
in advance, up to a ceiling on every unit value: that is the account's *guard*. An account whose
``guard + Σ lots · weight`` is not negative is safe, exactly; the few others are evaluated one by one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from fastadl.kernels._jit import kernel, parallel
from fastadl.kernels.lanes import WIDTH, below, load, multiply_add, prefetch, store, take
from fastadl.kernels.layout import locate

__all__ = ["Margins", "guard_blocks", "guard_slots", "margin", "scan"]

#: Up to so many accounts one thread is faster than two.
_FEW = 1024
#: So many elements before they are needed, memory is asked for them.
_AHEAD = 512
#: One rounding of float64.
_EPSILON = 2.0**-53


class Margins(NamedTuple):
    """Tier ladders as kernels read them; one entry per tier but `start` and `plain`."""

    start: Any  # int32 (instruments + 1)
    rate: Any  # float64
    deduction: Any  # float64, atoms
    plain: Any  # float64 (instruments): up to this notional the first tier alone decides


@kernel
def margin(notional, instrument, margins):
    """Maintenance margin of one row (R4, R6): the largest ``rate · notional − deduction``, at least 0."""
    first = margins.start[instrument]
    if notional <= margins.plain[instrument]:
        return margins.rate[first] * notional
    most = 0.0
    for t in range(first, margins.start[instrument + 1]):
        amount = margins.rate[t] * notional - margins.deduction[t]
        if amount > most:
            most = amount
    return most


@kernel
def _guard(slot, g, rows, ceiling, margins):
    width = rows.group_slot[g + 1] - rows.group_slot[g]
    at = rows.group_row[g] + slot - rows.group_slot[g]
    base = float(rows.cash[slot])
    size = abs(base)
    later = 0.0
    held = 0
    for _ in range(rows.group_rows[g]):
        lots = abs(rows.lots[at])
        if lots > 0.0:
            instrument = rows.leg[at] >> 1
            most = lots * ceiling[instrument]
            base -= float(rows.entry[at])
            size += abs(float(rows.entry[at])) + 2.0 * most
            if not most <= margins.plain[instrument]:
                rate = margins.rate[margins.start[instrument]]
                beyond = margin(most, instrument, margins) - rate * most
                later += max(beyond, margin(0.0, instrument, margins)) + 8.0 * _EPSILON * most
            held += 1
        at += width
    if held == 0:
        return np.inf
    return base - later - _EPSILON * (16.0 + 8.0 * held) * (size + later)


@parallel
def guard_blocks(rows, ceiling, margins, blocks, out):
    """Guards of all accounts.

    Parameters
    ----------
    rows : Rows
    ceiling : float64 (instruments)
        Largest |unit value| the guards shall hold for.
    margins : Margins
    blocks : int64 (blocks, 3)
        Group, first slot and last slot + 1 of each block.
    out : float64 (slots)
        Written; infinite for an account without open rows.
    """
    for b in prange(blocks.shape[0]):
        for slot in range(blocks[b, 1], blocks[b, 2]):
            out[slot] = _guard(slot, blocks[b, 0], rows, ceiling, margins)


@parallel
def guard_slots(rows, ceiling, margins, slots, out):
    """Guards of some accounts, after their cash or rows changed; parameters as in `guard_blocks`."""
    if slots.shape[0] <= _FEW:
        for s in range(slots.shape[0]):
            group = locate(rows.group_slot, slots[s])
            out[slots[s]] = _guard(slots[s], group, rows, ceiling, margins)
        return
    for s in prange(slots.shape[0]):
        out[slots[s]] = _guard(slots[s], locate(rows.group_slot, slots[s]), rows, ceiling, margins)


@kernel
def _columns(many, at, width, lots, leg, weight, source, room):
    """Add up to four columns to `source`; how many accounts are then below zero.

    To load and store `room` for each column by itself would take as long as all else.
    """
    size = room.shape[0]
    whole = size - size % WIDTH
    second, third, fourth = at + width, at + 2 * width, at + 3 * width
    found = 0
    for i in range(0, whole, WIDTH):
        prefetch(source, i + _AHEAD)
        prefetch(lots, at + i + _AHEAD)
        here = multiply_add(load(lots, at + i), take(weight, leg, at + i), load(source, i))
        if many > 1:
            prefetch(lots, second + i + _AHEAD)
            here = multiply_add(load(lots, second + i), take(weight, leg, second + i), here)
        if many > 2:
            prefetch(lots, third + i + _AHEAD)
            here = multiply_add(load(lots, third + i), take(weight, leg, third + i), here)
        if many > 3:
            prefetch(lots, fourth + i + _AHEAD)
            here = multiply_add(load(lots, fourth + i), take(weight, leg, fourth + i), here)
        found += below(here)
        store(room, i, here)
    for i in range(whole, size):
        room[i] = source[i]
        for j in range(many):
            row = at + j * width + i
            room[i] += lots[row] * weight[leg[row]]
        found += room[i] < 0.0
    return found


@parallel
def scan(rows, guard, weight, blocks, found, count):
    """Accounts that the first-tier pass cannot clear.

    Parameters
    ----------
    rows : Rows
    guard : float64 (slots)
    weight : float64 (legs)
        Unit value less the first-tier margin of one lot held, plus that of one lot owed.
    blocks : int64 (blocks, 3)
    found : int32 (slots)
        Written: each block's slots from the block's first place on, ascending.
    count : int64 (blocks)
        Written: how many of each block.
    """
    for b in prange(blocks.shape[0]):
        g = blocks[b, 0]
        first = blocks[b, 1]
        size = blocks[b, 2] - first
        width = rows.group_slot[g + 1] - rows.group_slot[g]
        at = rows.group_row[g] + first - rows.group_slot[g]
        room = np.empty(size)
        source = guard[first : first + size]
        below_zero = 0
        for done in range(0, rows.group_rows[g], 4):
            many = min(4, rows.group_rows[g] - done)
            below_zero = _columns(many, at + done * width, width, rows.lots, rows.leg, weight, source, room)
            source = room
        many = 0
        if below_zero > 0:
            for i in range(size):
                if source[i] < 0.0:
                    found[first + many] = first + i
                    many += 1
        count[b] = many
