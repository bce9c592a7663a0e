"""Rows that come and go: where an account has one, and slots of one row more or fewer."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastadl.kernels._jit import borrowing
from fastadl.kernels.layout import locate

__all__ = ["Spare", "clear_group", "make_rows"]


class Spare(NamedTuple):
    """Slots that are nobody's: no lots, entry or cash, account −1; linked by number of rows."""

    head: Any  # int32 (numbers of rows)   first one, or −1
    next: Any  # int32 (slots)   the one after it, or −1
    free: Any  # int64 (numbers of rows)   how many there are
    wanted: Any  # bool (numbers of rows)   whether an account of fewer open rows would have taken one


@borrowing
def _open(rows, first, width, many):
    """Open rows of an account."""
    held = 0
    for column in range(many):
        held += rows.lots[first + column * width] != 0.0
    return held


@borrowing
def _set(rows, at, leg):
    """Make a place a row that holds nothing."""
    rows.leg[at] = leg
    rows.lots[at] = 0.0
    rows.entry[at] = 0


@borrowing
def _copy(rows, source, target):
    rows.leg[target] = rows.leg[source]
    rows.lots[target] = rows.lots[source]
    rows.entry[target] = rows.entry[source]


@borrowing
def _reuse(rows, first, width, many, column, leg):
    """Put a row of this leg before a column, in place of a closed row of the account, if there is one."""
    for hole in range(many):
        at = first + hole * width
        if rows.lots[at] != 0.0:
            continue
        while hole + 1 < column:
            _copy(rows, at + width, at)
            at += width
            hole += 1
        while hole > column:
            _copy(rows, at - width, at)
            at -= width
            hole -= 1
        _set(rows, at, leg)
        return True
    return False


@borrowing
def _find(account, instrument, slot, rank, rows):
    """Column of an account's first row of an instrument, or where one belongs; its place, width, if there."""
    g = locate(rows.group_slot, slot[account])
    width = rows.group_slot[g + 1] - rows.group_slot[g]
    first = rows.group_row[g] + slot[account] - rows.group_slot[g]
    many = rows.group_rows[g]
    low, high = 0, many
    while low < high:
        middle = (low + high) >> 1
        if rank[rows.leg[first + middle * width] >> 1] < rank[instrument]:
            low = middle + 1
        else:
            high = middle
    there = low < many and rows.leg[first + low * width] >> 1 == instrument
    return low, first, width, many, there


@borrowing
def _move(old, new, slot, rows, guard):
    """Give an account its new slot, its rows being there."""
    account = rows.account[old]
    rows.cash[new] = rows.cash[old]
    rows.account[new] = account
    guard[new] = guard[old]
    slot[account] = new
    rows.cash[old] = 0
    rows.account[old] = -1
    guard[old] = np.inf


@borrowing
def _leave(old, new, slot, rows, guard, spare):
    """Give an account its new slot, its rows being there, and the old one back."""
    _move(old, new, slot, rows, guard)
    many = rows.group_rows[locate(rows.group_slot, old)]
    spare.next[old] = spare.head[many]
    spare.head[many] = old
    spare.free[many] += 1


@borrowing
def _widen(account, column, leg, slot, rows, guard, spare):
    """Move an account to a slot of one row more, the new one before a column; False if none is free."""
    old = slot[account]
    g = locate(rows.group_slot, old)
    many = rows.group_rows[g]
    new = spare.head[many + 1]
    if new < 0:
        return False
    spare.head[many + 1] = spare.next[new]
    spare.free[many + 1] -= 1
    h = locate(rows.group_slot, new)
    width = rows.group_slot[g + 1] - rows.group_slot[g]
    wide = rows.group_slot[h + 1] - rows.group_slot[h]
    source = rows.group_row[g] + old - rows.group_slot[g]
    target = rows.group_row[h] + new - rows.group_slot[h]
    _set(rows, target + column * wide, leg)
    for j in range(many):
        if j == column:
            target += wide
        _copy(rows, source, target)
        _set(rows, source, 0)
        source += width
        target += wide
    _leave(old, new, slot, rows, guard, spare)
    return True


@borrowing
def _row(account, leg, slot, rank, rows, guard, spare):
    """Place of an account's row of a leg, made where there is none; −1 if there is no slot for it."""
    column, first, width, many, there = _find(account, leg >> 1, slot, rank, rows)
    at = first + column * width
    if there:
        if rows.leg[at] == leg:
            return at
        if column + 1 < many and rows.leg[at + width] == leg:
            return at + width
        if rows.lots[at] == 0.0:
            rows.leg[at] = leg
            return at
        column += leg & 1  # a short stands behind the long
    if not _reuse(rows, first, width, many, column, leg) and not _widen(
        account, column, leg, slot, rows, guard, spare
    ):
        return -1
    column, first, width, many, there = _find(account, leg >> 1, slot, rank, rows)
    at = first + column * width
    return at if rows.leg[at] == leg else at + width


@borrowing
def _narrow(account, held, slot, rows, guard, spare):
    """Move an account of `held` open rows to a slot of one more, its first closed row, if one is free."""
    old, new = slot[account], spare.head[held + 1]
    if new < 0:
        spare.wanted[held + 1] = True
        return
    spare.head[held + 1] = spare.next[new]
    spare.free[held + 1] -= 1
    g, h = locate(rows.group_slot, old), locate(rows.group_slot, new)
    width = rows.group_slot[g + 1] - rows.group_slot[g]
    wide = rows.group_slot[h + 1] - rows.group_slot[h]
    source = rows.group_row[g] + old - rows.group_slot[g]
    target = rows.group_row[h] + new - rows.group_slot[h]
    closed = 0
    for _ in range(rows.group_rows[g]):
        closed += rows.lots[source] == 0.0
        if rows.lots[source] != 0.0 or closed == 1:
            closed += rows.lots[source] == 0.0
            _copy(rows, source, target)
            target += wide
        _set(rows, source, 0)
        source += width
    _leave(old, new, slot, rows, guard, spare)


@borrowing
def make_rows(account, leg, start, slot, rank, rows, guard, spare):
    """Give accounts closed rows beside those they have, where they have none of the leg, open or not.

    Parameters
    ----------
    account, leg : int32 (n)
    start : int
        The first of them not seen to yet.
    slot : int32 (accounts)
        Written.
    rank : int32 (instruments)
    rows, guard, spare : as in `trade`
        Written.

    Returns
    -------
    int
        The first that found no free slot of one row more than its account has, or −1.
    """
    for i in range(start, account.shape[0]):
        column, first, width, many, there = _find(account[i], leg[i] >> 1, slot, rank, rows)
        if there and rows.leg[first + column * width] < leg[i]:  # a short stands behind the long
            column += 1
            there = column < many and rows.leg[first + column * width] == leg[i]
        elif there:
            there = rows.leg[first + column * width] == leg[i]
        if not there and not _widen(account[i], column, leg[i], slot, rows, guard, spare):
            return i
    return -1


@borrowing
def clear_group(many, slot, rows, guard, spare, used, free):
    """Move the accounts of the emptiest group of a size to free slots of the other groups of that size.

    Parameters
    ----------
    many : int
        Rows of each slot.
    slot : int32 (accounts)
        Written.
    rows, guard, spare : as in `trade`
        Written.
    used : bool (groups)
        Groups whose free slots `spare` lists.
    free : int64 (groups)
        Written; set to zero before.

    Returns
    -------
    int
        The group, of whose slots none is listed any more; −1 where not all of its accounts would fit.
    """
    place = spare.head[many]
    while place >= 0:
        free[locate(rows.group_slot, place)] += 1
        place = spare.next[place]
    g, least = -1, 0
    for h in range(used.shape[0]):
        width = rows.group_slot[h + 1] - rows.group_slot[h]
        fits = used[h] and rows.group_rows[h] == many and width <= spare.free[many]
        if fits and (g < 0 or width - free[h] < least):
            g, least = h, width - free[h]
    if g < 0:
        return g
    first, last = rows.group_slot[g], rows.group_slot[g + 1]
    _unlist(first, last, many, spare)
    spare.free[many] -= free[g]
    for old in range(first, last):
        if rows.account[old] >= 0:
            new = spare.head[many]
            spare.head[many] = spare.next[new]
            spare.free[many] -= 1
            h = locate(rows.group_slot, new)
            source, target = rows.group_row[g] + old - first, rows.group_row[h] + new - rows.group_slot[h]
            for _ in range(many):
                _copy(rows, source, target)
                _set(rows, source, 0)
                source += last - first
                target += rows.group_slot[h + 1] - rows.group_slot[h]
            _move(old, new, slot, rows, guard)
    return g


@borrowing
def _unlist(first, last, many, spare):
    """Take the free slots from `first` to before `last` off their list."""
    while spare.head[many] >= first and spare.head[many] < last:
        spare.head[many] = spare.next[spare.head[many]]
    place = spare.head[many]
    while place >= 0:
        after = spare.next[place]
        while after >= first and after < last:
            after = spare.next[after]
        spare.next[place] = after
        place = after
