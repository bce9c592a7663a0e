"""Wake-up levels: who has to be looked at when some prices moved, and nobody else.

A row's *worth* is its side times the unit value: ``+u`` of a long, ``−u`` of a short. Headroom (equity −
maintenance margin) never falls when the worth of a row rises. So an account that has been found safe gets a
*level* for each of its rows, below the present worth, such that it would be safe with all its rows at their
levels; as long as the worth of every row is above its level the account need not be looked at
(docs/incremental.md has the proof).

Levels lie leg by leg in a tree of maxima, sixteen to a node, so that to find all levels that a price reached
costs what they are, and to change one costs a cache line on each floor.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from fastadl.kernels._jit import borrowing, parallel
from fastadl.kernels.lanes import prefetch
from fastadl.kernels.layout import locate
from fastadl.kernels.mark import margin

__all__ = ["FAN", "FLOORS", "NEVER", "Levels", "Waiting", "enlist", "lay", "rise", "settle", "tally", "wake"]

#: Floors of a tree; a node of the last one covers a million levels.
FLOORS = 6
_BITS = 4
FAN = 1 << _BITS
#: The level of a row that wakes nobody, and of a place that is free.
NEVER = -(1 << 31)
#: What float64 can be off by in an allowance, as a part of it and of the worth (docs/incremental.md).
_PART, _LEAST = 2.0**-30, 2.0**-48
#: One rounding of float64.
_EPSILON = 2.0**-53
#: Of accounts with more rows, only what is looked at is fetched.
_FETCHED = 16
#: So many accounts before its turn the slot of one is asked for, and its rows half as many before.
_AHEAD = 16


class Levels(NamedTuple):
    """Levels of all rows, as the upper half of float64 whose bits are made to ascend."""

    tree: Any  # int32   floor by floor, and on each leg by leg; the first floor is the levels
    base: Any  # int64 (floors, legs + 1)   where those of a leg begin
    link: Any  # int32 (2 · places)   of each place on the first floor: account, and its next place, or −1
    first: Any  # int32 (accounts)   place of its first row, or −1
    used: Any  # int32 (legs)   places that were ever used, from the first one on
    free: Any  # int32 (legs)   first place that is free again, or −1; linked like those of an account


class Waiting(NamedTuple):
    """Accounts that have to be looked at, each once."""

    account: Any  # int32 (accounts)
    among: Any  # bool (accounts)
    count: Any  # int64 (2)   how many, and which of them is looked at next


@borrowing
def _ascending(x):
    """The upper half of a float64 as a number that ascends with it; nothing below is told apart."""
    bits = np.float64(x + 0.0).view(np.int64)
    if bits < 0:
        bits ^= 0x7FFFFFFFFFFFFFFF
    return np.int32(bits >> 32)


# ---------------------------------------------------------------------- who wakes


@borrowing
def wake(moved, unit, levels, waiting, most):
    """List the accounts of rows whose level the worth of some legs has reached.

    Parameters
    ----------
    moved : int32 (n)
        Instruments.
    unit : float64 (instruments)
    levels : Levels
        Written: who waits has no level where it woke.
    waiting : Waiting
        Written.
    most : int
        If more accounts wait the search ends, and some may be missing.

    Returns
    -------
    int
        How many accounts are waiting.
    """
    for i in range(moved.shape[0]):
        instrument = moved[i]
        _search(2 * instrument, _ascending(unit[instrument]), levels, waiting, most)
        _search(2 * instrument + 1, _ascending(-unit[instrument]), levels, waiting, most)
        if waiting.count[0] > most:
            break
    return waiting.count[0]


@borrowing
def _search(leg, worth, levels, waiting, most):
    floor = FLOORS - 1
    node = 0
    last = (levels.base[floor - 1, leg + 1] - levels.base[floor - 1, leg]) >> _BITS
    while floor < FLOORS - 1 or node < last:
        if levels.tree[levels.base[floor, leg] + node] >= worth:
            if floor > 0:
                floor -= 1
                node <<= _BITS
                continue
            place = levels.base[0, leg] + node
            _enlist(levels.link[2 * place], waiting)
            _write(leg, place, NEVER, levels)  # it is not met again before the account was looked at
            if waiting.count[0] > most:
                return
        node += 1
        while floor < FLOORS - 1 and node & (FAN - 1) == 0:
            node >>= _BITS
            floor += 1


@borrowing
def enlist(accounts, waiting):
    """Have accounts wait that do not yet.

    Parameters
    ----------
    accounts : int32 (n)
        Those below 0 are passed over.
    waiting : Waiting
        Written.
    """
    for i in range(accounts.shape[0]):
        if accounts[i] >= 0:
            _enlist(accounts[i], waiting)


@borrowing
def _enlist(account, waiting):
    if not waiting.among[account]:
        waiting.among[account] = True
        waiting.account[waiting.count[0]] = account
        waiting.count[0] += 1


# ---------------------------------------------------------------------- allowances


@borrowing
def _allowance(slot, g, rows, unit, margins):
    """By which part of their worth all rows of an account may fall at once; −1 if it may not be safe now.

    Second is how many rows are open.
    """
    width = rows.group_slot[g + 1] - rows.group_slot[g]
    at = rows.group_row[g] + slot - rows.group_slot[g]
    equity = float(rows.cash[slot])
    size = abs(equity)
    needed = 0.0
    exposed = 0.0
    held = 0
    for _ in range(rows.group_rows[g]):
        lots = rows.lots[at]
        if lots != 0.0:
            instrument = rows.leg[at] >> 1
            value = lots * unit[instrument]
            entry = float(rows.entry[at])
            notional = abs(value)
            row_margin = margin(notional, instrument, margins)
            equity += value - entry
            needed += row_margin
            size += 2.0 * notional + abs(entry)
            exposed += notional
            if value < 0.0:  # what is owed grows, and with it the margin: no faster than this, being convex
                exposed += margin(2.0 * notional, instrument, margins) - row_margin
            held += 1
        at += width
    if held == 0:
        return 0.0, 0
    room = equity - needed - _EPSILON * (16.0 + 8.0 * rows.group_rows[g]) * (size + needed)
    if room >= exposed:
        part = 1.0
    elif room > 0.0:
        part = room / exposed
    else:
        return -1.0, held
    return part - _PART * part - _LEAST, held


@borrowing
def _level(leg, unit, part):
    """The level of a row whose worth may fall by a part of itself."""
    worth = -unit[leg >> 1] if leg & 1 else unit[leg >> 1]
    return _ascending(worth - part * abs(worth))


# ---------------------------------------------------------------------- changing levels


@borrowing
def _write(leg, place, level, levels):
    """Change a level, and the maxima over it."""
    levels.tree[place] = level
    node = place - levels.base[0, leg]
    for floor in range(1, FLOORS):
        first = levels.base[floor - 1, leg] + (node & ~(FAN - 1))
        most = levels.tree[first]
        for i in range(1, FAN):
            most = max(most, levels.tree[first + i])
        node >>= _BITS
        above = levels.base[floor, leg] + node
        if levels.tree[above] == most:
            return
        levels.tree[above] = most


@borrowing
def _leg_of(place, levels):
    """Leg that a place belongs to."""
    low = 0
    high = levels.used.shape[0] - 1
    while low < high:
        middle = (low + high + 1) >> 1
        if levels.base[0, middle] <= place:
            low = middle
        else:
            high = middle - 1
    return low


@borrowing
def _release(place, levels):
    """Give back a place and all that follow it."""
    while place >= 0:
        leg = _leg_of(place, levels)
        _write(leg, place, NEVER, levels)
        following = levels.link[2 * place + 1]
        levels.link[2 * place] = -1
        levels.link[2 * place + 1] = levels.free[leg]
        levels.free[leg] = place
        place = following


@borrowing
def _take(leg, levels):
    """A place of a leg, or −1 if there is none."""
    place = levels.free[leg]
    if place >= 0:
        levels.free[leg] = levels.link[2 * place + 1]
        return place
    place = levels.base[0, leg] + levels.used[leg]
    if place == levels.base[0, leg + 1]:
        return -1
    levels.used[leg] += 1
    return place


@borrowing
def _follow(account, before, place, levels):
    """Have a place, or −1, follow another one of an account, or none."""
    if before >= 0:
        levels.link[2 * before + 1] = place
    else:
        levels.first[account] = place


@borrowing
def _relink(account, slot, g, part, rows, unit, levels):
    """Give every open row of an account its level; whether there was a place for each."""
    width = rows.group_slot[g + 1] - rows.group_slot[g]
    at = rows.group_row[g] + slot - rows.group_slot[g]
    before = -1
    place = levels.first[account]
    for _ in range(rows.group_rows[g]):
        if rows.lots[at] != 0.0:
            leg = rows.leg[at]
            if place >= 0 and (place < levels.base[0, leg] or place >= levels.base[0, leg + 1]):
                _follow(account, before, -1, levels)
                _release(place, levels)
                place = -1
            if place < 0:
                place = _take(leg, levels)
                if place < 0:
                    return False
                levels.link[2 * place] = account
                levels.link[2 * place + 1] = -1
                _follow(account, before, place, levels)
            _write(leg, place, _level(leg, unit, part), levels)
            before = place
            place = levels.link[2 * place + 1]
        at += width
    if place >= 0:
        _follow(account, before, -1, levels)
        _release(place, levels)
    return True


@borrowing
def _fetch(account, slot, rows, levels):
    """Ask for the memory of an account."""
    g = locate(rows.group_slot, slot)
    width = rows.group_slot[g + 1] - rows.group_slot[g]
    at = rows.group_row[g] + slot - rows.group_slot[g]
    prefetch(rows.cash, slot)
    place = levels.first[account]
    if place >= 0:
        prefetch(levels.link, 2 * place)
        prefetch(levels.tree, place)
    if rows.group_rows[g] <= _FETCHED:
        for _ in range(rows.group_rows[g]):
            prefetch(rows.leg, at)
            prefetch(rows.lots, at)
            prefetch(rows.entry, at)
            at += width


@borrowing
def settle(rows, slot, unit, margins, levels, waiting, most):
    """Look at accounts that are waiting: those surely safe get new levels, the others go on waiting.

    Parameters
    ----------
    rows : Rows
    slot : int32 (accounts)
        Slot of each account.
    unit : float64 (instruments)
    margins : Margins
    levels : Levels
        Written.
    waiting : Waiting
        Written.
    most : int
        How many are looked at; the next call begins with those who come after them.

    Returns
    -------
    bool
        Whether there was a place for every row; accounts for which there was none go on waiting.
    """
    many = waiting.count[0]
    begin = waiting.count[1]
    if most >= many or begin >= many:
        begin = 0
    end = min(begin + most, many)
    left = begin
    enough = True
    for i in range(begin, end):
        if i + _AHEAD < end:
            ahead = waiting.account[i + _AHEAD]
            prefetch(slot, ahead)
            prefetch(levels.first, ahead)
        if i + _AHEAD // 2 < end:
            ahead = waiting.account[i + _AHEAD // 2]
            _fetch(ahead, slot[ahead], rows, levels)
        account = waiting.account[i]
        g = locate(rows.group_slot, slot[account])
        part, held = _allowance(slot[account], g, rows, unit, margins)
        safe = held == 0 or part > 0.0
        if safe and not _relink(account, slot[account], g, part, rows, unit, levels):
            safe = enough = False
        waiting.among[account] = not safe
        if not safe:
            waiting.account[left] = account
            left += 1
    for i in range(min(end - left, many - end)):  # the last ones stand where others have gone
        waiting.account[left + i] = waiting.account[many - 1 - i]
    waiting.count[0] = many - (end - left)
    waiting.count[1] = left
    return enough


# ---------------------------------------------------------------------- all of them anew


@parallel
def tally(rows, blocks, parts, count):
    """Open rows of every leg, by part of the blocks.

    Parameters
    ----------
    rows : Rows
    blocks : int64 (blocks, 3)
        Group, first slot and last slot + 1 of each block.
    parts : int64 (parts + 1)
        First block of each part.
    count : int32 (parts, legs)
        Written.
    """
    for p in prange(count.shape[0]):
        _tally(rows, blocks[parts[p] : parts[p + 1]], count[p])


@borrowing
def _tally(rows, blocks, count):
    count[:] = 0
    for b in range(blocks.shape[0]):
        g = blocks[b, 0]
        width = rows.group_slot[g + 1] - rows.group_slot[g]
        at = rows.group_row[g] + blocks[b, 1] - rows.group_slot[g]
        for _ in range(rows.group_rows[g]):
            for i in range(at, at + blocks[b, 2] - blocks[b, 1]):
                if rows.lots[i] != 0.0:
                    count[rows.leg[i]] += 1
            at += width


@parallel
def lay(rows, blocks, parts, cursor, unit, margins, levels, among):
    """Give every open row a place and a level, and find the accounts that may not be safe.

    Parameters
    ----------
    rows, blocks, parts : as in `tally`
    cursor : int32 (parts, legs)
        First place of each leg for the rows of each part; written.
    unit : float64 (instruments)
    margins : Margins
    levels : Levels
        Written, but for what is above the first floor.
    among : bool (accounts)
        Written where there is a row.
    """
    for p in prange(cursor.shape[0]):
        _lay(rows, blocks[parts[p] : parts[p + 1]], cursor[p], unit, margins, levels, among)


@borrowing
def _lay(rows, blocks, cursor, unit, margins, levels, among):
    for b in range(blocks.shape[0]):
        for slot in range(blocks[b, 1], blocks[b, 2]):
            if rows.account[slot] >= 0:
                _lay_one(slot, blocks[b, 0], rows, cursor, unit, margins, levels, among)


@borrowing
def _lay_one(slot, g, rows, cursor, unit, margins, levels, among):
    account = rows.account[slot]
    part, held = _allowance(slot, g, rows, unit, margins)
    among[account] = held > 0 and not part > 0.0
    levels.first[account] = -1
    before = -1
    width = rows.group_slot[g + 1] - rows.group_slot[g]
    at = rows.group_row[g] + slot - rows.group_slot[g]
    for _ in range(rows.group_rows[g]):
        if rows.lots[at] != 0.0:
            leg = rows.leg[at]
            place = cursor[leg]
            cursor[leg] += 1
            levels.tree[place] = _level(leg, unit, part) if part > 0.0 else NEVER
            levels.link[2 * place] = account
            levels.link[2 * place + 1] = -1
            _follow(account, before, place, levels)
            before = place
        at += width


@parallel
def rise(levels):
    """Make the upper floors of all trees, written, from the first."""
    for leg in prange(levels.used.shape[0]):
        _rise(levels.tree, levels.base[:, leg : leg + 2])


@borrowing
def _rise(tree, base):
    for floor in range(1, FLOORS):
        for node in range(base[floor, 1] - base[floor, 0]):
            first = base[floor - 1, 0] + (node << _BITS)
            most = NEVER
            for i in range(first, min(first + FAN, base[floor - 1, 1])):
                most = max(most, tree[i])
            tree[base[floor, 0] + node] = most
