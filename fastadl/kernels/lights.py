"""Where every row stands in the ranking of its leg: lights and shares of the lots, without sorting a leg.

Lots are added up cell by cell (`fastadl.kernels.standing`), best scores first; a cell that lies between two
steps, as fifths of its leg's lots are, has one light. Rows of the other cells, some two in a hundred, are
brought together cell by cell and sorted. For percentiles all rows are: in groups of adjacent cells, small
enough to sort in the cache and few enough that memory is written group by group in streams.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from fastadl.kernels._jit import borrowing, kernel, parallel
from fastadl.kernels.lanes import prefetch
from fastadl.kernels.layout import locate
from fastadl.kernels.rank import order
from fastadl.kernels.standing import MAGNITUDE

__all__ = ["UNSETTLED", "Groups", "add_up", "cell_lights", "gather", "settle"]

#: A light that only a look at the rows of a cell one by one can tell.
UNSETTLED = 255
#: Up to so many members are sorted by insertion.
_RUN = 32
#: Parts that members are settled in.
_CHUNKS = 64


@borrowing
def _advance(steps, passed, lot):
    """How many steps are less than the place of a lot, of which `passed` are known to be."""
    while passed < steps.shape[0] and steps[passed] < lot:
        passed += 1
    return passed


class Groups(NamedTuple):
    """Cells whose rows are looked at one by one, a group one cell or several adjacent ones of a leg."""

    light: Any  # uint8 (legs · cells + 1)  of a cell, `UNSETTLED` where there is a group, 0 behind them all
    group: Any  # int32 (legs · cells)  of a cell; not written where there is none
    start: Any  # int64 (groups + 1)  where each group's members begin
    before: Any  # int64 (groups)  lots of its leg that stand before a group
    cursor: Any  # int64 (parts, groups)  where the next member of each part of the rows goes


@kernel
def _sum_of_cell(found, place):
    lots, rows = np.int64(0), np.int64(0)
    for p in range(found.shape[0]):
        lots += found[p, place, 0]
        rows += found[p, place, 1]
    return lots, rows


@kernel
def add_up(found, total):
    """Lots of every leg.

    Parameters
    ----------
    found : int64 (parts, legs · cells + 1, 2)
        Lots and rows by cell, of each part of the rows; the last are nobody's.
    total : int64 (legs)
        Written.
    """
    cells = (found.shape[1] - 1) // total.shape[0]
    for leg in range(total.shape[0]):
        total[leg] = 0
        for place in range(leg * cells, (leg + 1) * cells):
            total[leg] += _sum_of_cell(found, place)[0]


@kernel
def cell_lights(found, most, steps, groups):
    """Lights of cells that lie between two steps of their leg's lots, and groups of the others.

    Parameters
    ----------
    found : int64 (parts, legs · cells + 1, 2)
        As in `add_up`.
    most : int
        0 makes each cell in which the light changes a group. More puts all cells into groups of up to so
        many rows, or of one cell.
    steps : int64 (legs, steps)
        Lots, ascending, after which the light falls by one, down to 1; up to 253.
    groups : Groups
        Written, with room for as many groups as there are cells, or legs · steps of single cells, or
        2 · legs + 2 · rows / `most` of several.

    Returns
    -------
    int
        How many groups there are.
    """
    legs, most_light = steps.shape[0], steps.shape[1] + 1
    cells = (found.shape[1] - 1) // legs
    many = -1
    for leg in range(legs):
        reached, passed = np.int64(0), 0
        fresh, inside = True, np.int64(0)
        middle = leg * cells + cells // 2
        for place in range(leg * cells, (leg + 1) * cells):
            here, rows = _sum_of_cell(found, place)
            fresh |= place == middle
            after = reached + here
            first = _advance(steps[leg], passed, reached + 1)
            passed = _advance(steps[leg], passed, after)
            groups.light[place] = most_light - passed
            if rows > 0 and (most > 0 or first != passed):
                if fresh or inside + rows > most:
                    many += 1
                    groups.before[many] = reached
                    groups.cursor[:, many] = 0
                    fresh, inside = False, np.int64(0)
                inside += rows
                groups.light[place] = UNSETTLED
                groups.group[place] = many
                for p in range(found.shape[0]):
                    groups.cursor[p, many] += found[p, place, 1]
            reached = after
    groups.light[legs * cells] = 0
    begin = np.int64(0)
    for g in range(many + 1):
        groups.start[g] = begin
        for p in range(found.shape[0]):
            here = groups.cursor[p, g]
            groups.cursor[p, g] = begin
            begin += here
    groups.start[many + 1] = begin
    return many + 1


# ---------------------------------------------------------------------- one by one


#: What is kept of a row that is looked at one by one: the row, a key that rises as its score falls, lots.
_NUMBERS = 3
_ROW, _KEY, _LOTS = 0, 1, 2
#: Rows looked up together, and how many numbers ahead of the one that is written memory is asked for.
_TOGETHER, _AHEAD = 512, 12


@borrowing
def _look_up(first, n, table, standing, lots, light, found):
    """Lights of rows by their cells; notes those of groups and asks for what will be kept of them."""
    place = standing.place
    many = np.uint64(0)
    for i in range(np.uint64(first), np.uint64(first + n)):
        colour = table[np.uint32(place[i])]
        if light.shape[0] > 0:
            light[i] = colour
        found[many] = i
        many += np.uint64(colour == UNSETTLED)
    for k in range(many):
        prefetch(standing.score, found[k])
        prefetch(lots, found[k])
    return many


@borrowing
def _keep(found, group, cursor, standing, lots, by_count, members):
    """Write what is kept of rows of groups where their group is."""
    bits, place = standing.score.view(np.int64), standing.place
    for k in range(found.shape[0]):
        i = np.uint32(found[k])
        mine = np.uint32(group[np.uint32(place[i])])
        at = np.uint64(_NUMBERS * cursor[mine])
        cursor[mine] += 1
        members[at + _ROW] = i
        members[at + _KEY] = -bits[i] - 1 if bits[i] >= 0 else bits[i] & MAGNITUDE
        members[at + _LOTS] = np.int64(1) if by_count else np.int64(abs(lots[i]))
        prefetch(members, at + _AHEAD)


@kernel
def _gather(blocks, cursor, groups, standing, by_count, context, members, light):
    found = np.empty(_TOGETHER, np.int32)
    lots = context.lots
    for b in range(blocks.shape[0]):
        g, begin, end = blocks[b, 0], blocks[b, 1], blocks[b, 2]
        column = context.group_row[g] + begin - context.group_slot[g]
        for _ in range(context.group_rows[g]):
            for first in range(column, column + end - begin, _TOGETHER):
                n = min(_TOGETHER, column + end - begin - first)
                many = _look_up(first, n, groups.light, standing, lots, light, found)
                _keep(found[:many], groups.group, cursor, standing, lots, by_count, members)
            column += context.group_slot[g + 1] - context.group_slot[g]


@parallel
def gather(groups, blocks, standing, by_count, context, members, light):
    """Bring the rows of groups together, and give the others the lights of their cells.

    Parameters
    ----------
    groups : Groups
        As `cell_lights` writes them; the cursors are used up.
    blocks : int64 (blocks, 3)
        Those that `fastadl.kernels.standing.stand` was given.
    standing : Standing
    by_count : bool
        Every row counts as one lot.
    context : Context
    members : int64 (3 · members)
        Written: of each a row, a key that ascends as the score descends, and lots.
    light : uint8 (rows), or of no length
        Written: 0 for a row that is no candidate; of members not yet.
    """
    parts = groups.cursor.shape[0]
    for p in prange(parts):
        mine = blocks[blocks.shape[0] * p // parts : blocks.shape[0] * (p + 1) // parts]
        _gather(mine, groups.cursor[p], groups, standing, by_count, context, members, light)


@borrowing
def _insert(key, at, first, last):
    """Sort a few by key, stably, and what comes with them."""
    for i in range(first + 1, last):
        mine, here = key[i], at[i]
        j = i - 1
        while j >= first and key[j] > mine:
            key[j + 1], at[j + 1] = key[j], at[j]
            j -= 1
        key[j + 1], at[j + 1] = mine, here


@kernel
def _tie(row, context):
    """Order of the id of a row's account."""
    g = locate(context.group_row, row)
    width = context.group_slot[g + 1] - context.group_slot[g]
    return context.place[context.account[context.group_slot[g] + (row - context.group_row[g]) % width]]


@kernel
def _sort_exactly(row, key, at, first, last, context):
    """Sort members `first` to `last` by key, then by the order of ids; `at` numbers rows."""
    n = last - first
    mine, tie = at[first:last].copy(), np.empty(n, np.int32)
    for i in range(n):
        tie[i] = _tie(row[mine[i]], context)
    ranked = order(np.arange(n), key[first:last], tie)
    sorted_key = key[first:last][ranked]
    for i in range(n):
        at[first + i] = mine[ranked[i]]
        key[first + i] = sorted_key[i]


@borrowing
def _spread(key, start, sorted_key, ranked):
    """Put members into as many buckets as there are members, by how far their keys lie from the least.

    Returns
    -------
    buckets, fullest : int
        How many buckets, and members of the fullest. `start` says where each ends.
    """
    n = key.shape[0]
    least, most = key[0], key[0]
    for i in range(n):
        least, most = min(least, key[i]), max(most, key[i])
    shift = 0
    while (most - least) >> shift >= 2 * n:
        shift += 1
    buckets = ((most - least) >> shift) + 1
    for bucket in range(buckets):
        start[bucket] = 0
    for i in range(n):
        start[(key[i] - least) >> shift] += 1
    fullest, before = 0, 0
    for bucket in range(buckets):
        here = start[bucket]
        fullest = max(fullest, here)
        start[bucket] = before
        before += here
    for i in range(n):
        bucket = (key[i] - least) >> shift
        at = start[bucket]
        start[bucket] = at + 1
        sorted_key[at] = key[i]
        ranked[at] = i
    return buckets, fullest


@kernel
def _sort_few(row, key, at, first, last, context):
    """As `_sort_exactly`; ids are asked for only where keys are equal."""
    _insert(key, at, first, last)
    same = first
    for i in range(first + 1, last + 1):
        if i == last or key[i] != key[same]:
            if i > same + 1:
                _sort_exactly(row, key, at, same, i, context)
            same = i


@kernel
def _rank_group(row, key, context, start, sorted_key, ranked):
    """Members of a group in rank order: by key, then by id."""
    n = row.shape[0]
    if n <= _RUN:
        for i in range(n):
            sorted_key[i], ranked[i] = key[i], i
        _sort_few(row, sorted_key, ranked, 0, n, context)
        return
    buckets, fullest = _spread(key, start, sorted_key, ranked)
    if fullest <= _RUN:
        _sort_few(row, sorted_key, ranked, 0, n, context)
        return
    first = 0
    for bucket in range(buckets):
        last = start[bucket]
        if last - first > _RUN:
            _sort_exactly(row, sorted_key, ranked, first, last, context)
        else:
            _sort_few(row, sorted_key, ranked, first, last, context)
        first = last


@borrowing
def _write_lights(row, lots, ranked, reached, steps, by_first, light):
    passed = 0
    for i in range(ranked.shape[0]):
        first = reached + 1
        reached += lots[ranked[i]]
        passed = _advance(steps, passed, first if by_first else reached)
        light[row[ranked[i]]] = steps.shape[0] + 1 - passed


@borrowing
def _write_shares(row, lots, ranked, reached, whole, share):
    for i in range(ranked.shape[0]):
        reached += lots[ranked[i]]
        prefetch(share, row[ranked[min(i + _AHEAD, ranked.shape[0] - 1)]])
        share[np.uint64(row[ranked[i]])] = reached / whole


@kernel
def _settle(mine, g, groups, total, steps, by_first, context, start, sorted_key, ranked, light, share):
    row, lots = mine[:, _ROW], mine[:, _LOTS]
    _rank_group(row, mine[:, _KEY], context, start, sorted_key, ranked)
    leg, ranked = context.leg[row[0]], ranked[: row.shape[0]]
    if light.shape[0] > 0:
        _write_lights(row, lots, ranked, groups.before[g], steps[leg], by_first, light)
    else:
        _write_shares(row, lots, ranked, groups.before[g], total[leg], share)


@kernel
def _settle_some(begin, end, members, groups, total, steps, by_first, context, light, share):
    largest = 0
    for g in range(begin, end):
        largest = max(largest, groups.start[g + 1] - groups.start[g])
    start, ranked = np.empty(2 * largest, np.int32), np.empty(largest, np.int32)
    sorted_key = np.empty(largest, np.int64)
    kept = members.reshape(-1, _NUMBERS)
    for g in range(begin, end):
        mine = kept[groups.start[g] : groups.start[g + 1]]
        _settle(mine, g, groups, total, steps, by_first, context, start, sorted_key, ranked, light, share)


@parallel
def settle(many, members, groups, total, steps, by_first, context, light, share):
    """Lights, or shares of the lots, of the members of groups (rules R99, R111).

    Parameters
    ----------
    many : int
        How many groups there are.
    members : int64 (3 · members)
        As `gather` writes them.
    groups : Groups
    total : int64 (legs)
        As `add_up` gives it.
    steps : int64 (legs, steps)
        Those of `cell_lights`.
    by_first : bool
        A row has the light of its first lot, otherwise that of its last.
    context : Context
    light : uint8 (rows), or of no length
        Written for the members.
    share : float64 (rows)
        Written for the members if `light` has no length: lots up to and with the row over those of its leg.
    """
    n = members.shape[0] // _NUMBERS
    for chunk in prange(_CHUNKS):
        # groups that begin in this chunk of the members, for chunks of equal work
        begin = np.searchsorted(groups.start[:many], n * chunk // _CHUNKS)
        end = np.searchsorted(groups.start[:many], n * (chunk + 1) // _CHUNKS)
        _settle_some(begin, end, members, groups, total, steps, by_first, context, light, share)
