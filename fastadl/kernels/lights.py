"""Where every row stands in the ranking of its leg: lights and shares of the lots, without sorting a leg.

Lots are added up cell by cell (`fastadl.kernels.standing`), best scores first; a cell that lies between two
fifths of its leg's lots has one light. Only rows of the other cells, some two in a hundred, are sorted, cell
by cell; for percentiles all are.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from fastadl.kernels._jit import borrowing, kernel, parallel
from fastadl.kernels.layout import locate
from fastadl.kernels.rank import order
from fastadl.kernels.standing import MAGNITUDE

__all__ = ["UNSETTLED", "Members", "cell_lights", "group_rows", "light_rows", "settle", "unsettled_rows"]

#: A light that only a look at the rows of a cell one by one can tell.
UNSETTLED = 255
#: Up to so many members are sorted by insertion.
_RUN = 16
#: Cells that are brought together where all are unsettled.
_ADJACENT = 8
#: Parts that members are settled in.
_CHUNKS = 64


@kernel
def _step(total, j):
    """⌊j · total / 5⌋ within 62 bits."""
    return total // 5 * j + total % 5 * j // 5


@kernel
def _passed(lots, total):
    """How many fifths of the total are less than so many lots."""
    passed = 0
    for j in range(1, 5):
        passed += _step(total, j) < lots
    return passed


@kernel
def cell_lights(found, every, total, before, light, group):
    """Lights of cells that lie between two fifths of their leg's lots (R99), and a number for the others.

    Parameters
    ----------
    found : int64 (legs, cells)
        Lots by leg and cell.
    every : bool
        Take every cell that holds lots for unsettled, and a few adjacent ones for one.
    total : int64 (legs)
        Written: lots of each leg.
    before : int64 (legs · cells)
        Written: by group, the lots that stand before it.
    light : uint8 (legs · cells + 1)
        Written: `UNSETTLED` for a cell in which the light changes, 0 behind them all.
    group : int32 (legs · cells)
        Written: numbers the unsettled cells, −1 for others.

    Returns
    -------
    int
        How many groups there are.
    """
    groups = 0
    place = 0
    for leg in range(found.shape[0]):
        lots = np.int64(0)
        for cell in range(found.shape[1]):
            lots += found[leg, cell]
        total[leg] = lots
        reached = np.int64(0)
        fresh = True
        for cell in range(found.shape[1]):
            after = reached + found[leg, cell]
            group[place] = -1
            light[place] = 5 - _passed(after, lots)
            if every and cell % _ADJACENT == 0:
                fresh = True
            if after > reached and (every or _passed(reached + 1, lots) != _passed(after, lots)):
                if fresh:
                    before[groups] = reached
                    groups += 1
                    fresh = not every
                light[place] = UNSETTLED
                group[place] = groups - 1
            reached = after
            place += 1
    light[place] = 0
    return groups


@borrowing
def _light_rows(place, light, out):
    many = 0
    for i in range(place.shape[0]):
        out[i] = light[place[i]]
        many += out[i] == UNSETTLED
    return many


@parallel
def light_rows(place, light, out, count):
    """Lights of rows by their cells; 0 for a row that is no candidate.

    Parameters
    ----------
    place : int32 (rows)
        As in `fastadl.kernels.standing.Standing`.
    light : uint8 (legs · cells + 1)
        As `cell_lights` gives it.
    out : uint8 (rows)
        Written; `UNSETTLED` for rows of unsettled cells.
    count : int64 (chunks)
        Written: how many these are in each of so many equal parts of the rows.
    """
    n, chunks = place.shape[0], count.shape[0]
    for chunk in prange(chunks):
        first, last = n * chunk // chunks, n * (chunk + 1) // chunks
        count[chunk] = _light_rows(place[first:last], light, out[first:last])


@parallel
def unsettled_rows(light, count, row):
    """Rows without a light yet, ascending.

    Parameters
    ----------
    light, count : as `light_rows` writes them
    row : int32 (sum of `count`)
        Written.
    """
    n, chunks = light.shape[0], count.shape[0]
    for chunk in prange(chunks):
        many = count[:chunk].sum()
        for i in range(n * chunk // chunks, n * (chunk + 1) // chunks):
            if light[i] == UNSETTLED:
                row[many] = i
                many += 1


# ---------------------------------------------------------------------- one by one


class Members(NamedTuple):
    """Rows of unsettled cells, cell by cell."""

    start: Any  # int64 (groups + 1)  where each cell begins
    row: Any  # int32 (members)
    key: Any  # int64 (members)  ascends as the score descends
    lots: Any  # int64 (members)


@kernel
def _group(row, label, standing, lots, by_count, cursor, members):
    bits = standing.score.view(np.int64)
    for i in range(row.shape[0]):
        at = row[i]
        place = cursor[label[i]]
        members.row[place] = at
        members.key[place] = -bits[at] - 1 if bits[at] >= 0 else bits[at] & MAGNITUDE
        members.lots[place] = np.int64(1) if by_count else np.int64(abs(lots[at]))
        cursor[label[i]] += 1


@parallel
def group_rows(row, group, standing, lots, by_count, cursor, members):
    """Bring rows of unsettled cells together.

    Parameters
    ----------
    row : int32 (members)
        Ascending.
    group : int32 (legs · cells)
        As `cell_lights` gives it.
    standing : Standing
    lots : float64 (rows)
    by_count : bool
        Every row counts as one lot.
    cursor : int64 (parts, groups)
        Zero at first; used up.
    members : Members
        Written.
    """
    n, parts = row.shape[0], cursor.shape[0]
    label = np.empty(n, np.int32)
    for p in prange(parts):
        for i in range(n * p // parts, n * (p + 1) // parts):
            label[i] = group[standing.place[row[i]]]
            cursor[p, label[i]] += 1
    reached = 0
    for g in range(cursor.shape[1]):
        members.start[g] = reached
        for p in range(parts):
            here = cursor[p, g]
            cursor[p, g] = reached
            reached += here
    members.start[cursor.shape[1]] = reached
    for p in prange(parts):
        first, last = n * p // parts, n * (p + 1) // parts
        _group(row[first:last], label[first:last], standing, lots, by_count, cursor[p], members)


@borrowing
def _insert(value, first, last, ranked):
    """Sort a few of `ranked` by their values, stably."""
    for i in range(first + 1, last):
        member = ranked[i]
        j = i - 1
        while j >= first and value[ranked[j]] > value[member]:
            ranked[j + 1] = ranked[j]
            j -= 1
        ranked[j + 1] = member


@kernel
def _spread(key, ranked):
    """Sort members whose keys lie evenly: as many buckets as members, then insertion; False if uneven."""
    n = key.shape[0]
    least, most = key.min(), key.max()
    shift = 0
    while (most - least) >> shift >= 2 * n:
        shift += 1
    start = np.zeros(((most - least) >> shift) + 2, np.int32)
    for i in range(n):
        start[((key[i] - least) >> shift) + 1] += 1
    if start.max() > _RUN:
        return False
    for bucket in range(1, start.shape[0]):
        start[bucket] += start[bucket - 1]
    for i in range(n):
        bucket = (key[i] - least) >> shift
        ranked[start[bucket]] = i
        start[bucket] += 1
    _insert(key, 0, n, ranked)
    return True


@kernel
def _tie(row, context):
    """Order of the id of a row's account."""
    g = locate(context.group_row, row)
    width = context.group_slot[g + 1] - context.group_slot[g]
    return context.place[context.account[context.group_slot[g] + (row - context.group_row[g]) % width]]


@kernel
def _rank_ties(row, first, last, ranked, context):
    """Put a few members of one key in the order of their ids."""
    for i in range(first + 1, last):
        member = ranked[i]
        tie = _tie(row[member], context)
        j = i - 1
        while j >= first and _tie(row[ranked[j]], context) > tie:
            ranked[j + 1] = ranked[j]
            j -= 1
        ranked[j + 1] = member


@kernel
def _rank_group(row, key, context):
    """Members of a cell in rank order: by key, then by id, which only rows of one key are asked for."""
    n = row.shape[0]
    ranked = np.arange(n)
    if n > _RUN and not _spread(key, ranked):
        tie = np.empty(n, np.int32)
        for i in range(n):
            tie[i] = _tie(row[i], context)
        return order(np.arange(n), key, tie)
    if n <= _RUN:
        _insert(key, 0, n, ranked)
    first = 0
    for i in range(1, n + 1):
        if i == n or key[ranked[i]] != key[ranked[first]]:
            if i > first + 1:
                _rank_ties(row, first, i, ranked, context)
            first = i
    return ranked


@parallel
def settle(members, before, total, context, light, share):
    """Lights, or shares of the lots, of rows of unsettled cells (rule R99).

    Parameters
    ----------
    members : Members
    before, total : int64 (groups), int64 (legs)
        As `cell_lights` gives them.
    context : Context
    light : uint8 (rows)
        Written for the members, if it has any places.
    share : float64 (rows)
        Written for the members, if it has any places: lots up to and with the row over those of its leg.
    """
    groups, n = members.start.shape[0] - 1, members.row.shape[0]
    for chunk in prange(_CHUNKS):
        # groups that begin in this chunk of the members, for chunks of equal work
        g = np.searchsorted(members.start[:groups], n * chunk // _CHUNKS)
        end = np.searchsorted(members.start[:groups], n * (chunk + 1) // _CHUNKS)
        while g < end:
            first, last = members.start[g], members.start[g + 1]
            row, lots = members.row[first:last], members.lots[first:last]
            ranked = _rank_group(row, members.key[first:last], context)
            reached = before[g]
            whole = total[context.leg[row[0]]]
            for i in range(row.shape[0]):
                reached += lots[ranked[i]]
                if light.shape[0] > 0:
                    light[row[ranked[i]]] = 5 - _passed(reached, whole)
                else:
                    share[row[ranked[i]]] = reached / whole
            g += 1
