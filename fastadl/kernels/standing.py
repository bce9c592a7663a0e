"""Scores of a whole book in one streaming pass, and how many lots have which: a histogram for every leg.

A leg is the rows of one instrument and side. Histograms of parts of the rows, of threads or machines, add up
to that of all; `fastadl.kernels.lights` reads off them where everybody stands.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from fastadl.kernels._jit import borrowing, kernel, parallel
from fastadl.kernels.lanes import WIDTH, prefetch, store, take
from fastadl.kernels.mark import margin
from fastadl.kernels.measure import (
    NEEDS_INSTRUMENT,
    NEEDS_LEVERAGE,
    NEEDS_LOTS,
    NEEDS_MARGIN,
    NEEDS_PLACE,
    NEEDS_ROW_MARGIN,
    NEEDS_SYMBOL_PROFIT,
    max_leverage,
)
from fastadl.kernels.scores import LINES, columns

__all__ = ["MAGNITUDE", "Cells", "Standing", "Values", "place_rows", "stand"]

_EPSILON = 2.0**-53
#: All bits of a float64 but its sign.
MAGNITUDE = (1 << 63) - 1
_INFINITY = 0x7FF << 52
#: Accounts looked at together: what is worked out for them stays in the first-level cache.
_TOGETHER = 512
_LINES = len(LINES)
_LOTS, _SHORT, _INVERSE, _VALUE = LINES["lots"], LINES["short"], LINES["inverse"], LINES["value"]
_COST, _PROFIT, _SYMBOL_PROFIT = LINES["cost"], LINES["profit"], LINES["symbol_profit"]
_ROW_MARGIN, _CASH, _EQUITY, _MARGIN = LINES["row_margin"], LINES["cash"], LINES["equity"], LINES["margin"]
_GROSS, _ONE, _MAX_LEVERAGE = LINES["gross"], LINES["one"], LINES["max_leverage"]
_PLACE, _GIVEN = LINES["place"], LINES["given"]
#: Lines of the figures that are no score's: unit values, the bound on the error of equity, and whether equity
#: may be zero for all that float64 can tell.
_UNIT, _ERROR, _DOUBT = _LINES, _LINES + 1, _LINES + 2


class Values(NamedTuple):
    """Unit values by leg, at the present marks, or at some for long rows and at others for short ones."""

    account: Any  # float64 (1 or 2, legs)  of its account's: for all, or for long rows and for short ones
    own: Any  # float64 (legs)  those of a row itself
    facing: Any  # float64 (legs)  of a row of the other side of the symbol, at the marks of the row it faces


class Cells(NamedTuple):
    """How scores are binned: by their leading bits, half of a leg's cells from 0 up, best first, half below.

    Scores beyond the largest and smallest that have a cell of their own go to the cells at the ends.
    """

    half: Any  # int
    shift: Any  # int  bits of a score that a cell does not tell
    best: Any  # int  leading bits of the best scores from 0 up
    nearest: Any  # int  and of the scores below 0 that are nearest to it
    nowhere: Any  # int  legs · 2 · half, the place of NaN


class Standing(NamedTuple):
    """What `stand` writes; NaN and the place behind all cells for rows that are no candidates."""

    score: Any  # float64 (rows)  NaN also for accounts whose equity float64 cannot tell from zero
    place: Any  # int32 (rows)  2 · half · leg + cell
    found: Any  # int64 (parts, nowhere + 1, 2)  lots and rows of a part by place, zero at first
    near: Any  # int32 (slots)  from each block's first place on, those accounts
    near_count: Any  # int64 (blocks)  how many of each block


@borrowing
def _look_up(table, leg, at, out):
    """The table's entries at the legs from row `at` on."""
    whole = out.shape[0] - out.shape[0] % WIDTH
    for i in range(0, whole, WIDTH):
        store(out, i, take(table, leg, at + i))
    for i in range(whole, out.shape[0]):
        out[i] = table[leg[at + i]]


@borrowing
def _value_accounts(first, n, g, with_margin, unit, context, figures):
    """Figures of `n` accounts from slot `first` on, in the order of rule R6, one loop a figure."""
    cash, equity, gross, error = figures[_CASH], figures[_EQUITY], figures[_GROSS], figures[_ERROR]
    needed, value, profit = figures[_MARGIN], figures[_UNIT], figures[_PROFIT]
    for i in range(n):
        cash[i] = context.cash[first + i]
        equity[i] = cash[i]
        error[i] = abs(cash[i])
        gross[i] = 0.0
        needed[i] = 0.0
    width = context.group_slot[g + 1] - context.group_slot[g]
    at = context.group_row[g] + first - context.group_slot[g]
    for _ in range(context.group_rows[g]):
        lots, entry = context.lots[at : at + n], context.entry[at : at + n]
        for i in range(n, 2 * n, WIDTH):  # those that come next
            prefetch(context.lots, at + i)
            prefetch(context.entry, at + i)
            prefetch(context.leg, at + i)
        _look_up(unit, context.leg, at, value[:n])
        for i in range(n):
            value[i] *= lots[i]
        for i in range(n):
            gross[i] += abs(value[i])
        for i in range(n):
            profit[i] = value[i] - entry[i]
        for i in range(n):
            equity[i] += profit[i]
        for i in range(n):
            error[i] += abs(profit[i])
        if with_margin:
            for i in range(n):
                if lots[i] != 0.0:
                    needed[i] += margin(abs(value[i]), context.leg[at + i] >> 1, context)
        at += width
    rounding = _EPSILON * (16.0 + 8.0 * context.group_rows[g])
    for i in range(n):
        error[i] = rounding * (error[i] + 3.0 * gross[i])


@borrowing
def _note_doubt(first, n, figures):
    """Which accounts are so near zero that float64 cannot tell; `first` where none are noted yet."""
    equity, error, doubt = figures[_EQUITY], figures[_ERROR], figures[_DOUBT]
    if first:
        for i in range(n):
            doubt[i] = 0.0
    for i in range(n):
        doubt[i] = 1.0 if abs(equity[i]) <= error[i] else doubt[i]


@borrowing
def _choose(leg, by_long, by_short, out):
    """To each row what its side is told of its account."""
    for i in range(leg.shape[0]):
        out[i] = by_short[i] if leg[i] & 1 else by_long[i]


@borrowing
def _take_sides(leg, with_margin, sides, figures):
    n = leg.shape[0]
    _choose(leg, sides[0, 0], sides[1, 0], figures[_EQUITY, :n])
    _choose(leg, sides[0, 1], sides[1, 1], figures[_ERROR, :n])
    _choose(leg, sides[0, 2], sides[1, 2], figures[_GROSS, :n])
    if with_margin:
        _choose(leg, sides[0, 3], sides[1, 3], figures[_MARGIN, :n])


@borrowing
def _keep_side(n, figures, side):
    for line, kept in ((_EQUITY, 0), (_ERROR, 1), (_GROSS, 2), (_MARGIN, 3)):
        source, out = figures[line], side[kept]
        for i in range(n):
            out[i] = source[i]


@borrowing
def _describe_column(at, n, needs, unit, context, figures):
    """Figures of the rows of one column."""
    lots, entry, leg = context.lots[at : at + n], context.entry[at : at + n], context.leg[at : at + n]
    held, value, cost, profit = figures[_LOTS], figures[_VALUE], figures[_COST], figures[_PROFIT]
    short, price = figures[_SHORT], figures[_UNIT]
    _look_up(unit, context.leg, at, price[:n])
    for i in range(n):
        price[i] *= lots[i]
    for i in range(n):
        value[i] = abs(price[i])
    for i in range(n):
        profit[i] = price[i] - entry[i]
    for i in range(n):
        cost[i] = abs(float(entry[i]))
    if needs & NEEDS_LOTS:
        for i in range(n):
            held[i] = abs(lots[i])
            short[i] = lots[i] < 0.0
    if needs & NEEDS_INSTRUMENT:
        for i in range(n):
            figures[_ONE, i] = context.one[leg[i] >> 1]
            figures[_INVERSE, i] = context.inverse[leg[i] >> 1]
    if needs & NEEDS_ROW_MARGIN:
        for i in range(n):
            figures[_ROW_MARGIN, i] = margin(value[i], leg[i] >> 1, context)
    if needs & NEEDS_LEVERAGE:
        for i in range(n):
            figures[_MAX_LEVERAGE, i] = max_leverage(value[i], leg[i] >> 1, context)


@borrowing
def _add_other_leg(at, other, n, facing, context, figures):
    """Add the profit of another column where it is of the same symbol."""
    for i in range(n):
        if context.leg[at + i] >> 1 == context.leg[other + i] >> 1:
            profit = context.lots[other + i] * facing[context.leg[other + i]] - context.entry[other + i]
            figures[_SYMBOL_PROFIT, i] += profit


@borrowing
def place_rows(score, leg, cells, place):
    """Cells of rows in a flat table of all legs; the place behind them for NaN.

    Neither a branch to guess nor one to keep the loop from packing.

    Parameters
    ----------
    score, leg : float64, uint16 or uint32 (n)
    cells : Cells
    place : int32 (n)
        Written.
    """
    bits = score.view(np.int64)
    half, shift = cells.half, cells.shift
    for i in range(bits.shape[0]):
        size = bits[i] & MAGNITUDE
        below = bits[i] >> 63
        cell = (cells.best - (size >> shift)) & ~below | ((size >> shift) - cells.nearest) & below
        cell = min(max(cell, 0), half - 1) + (half & below)
        at = 2 * half * np.int64(leg[i]) + cell
        place[i] = at if size <= _INFINITY else cells.nowhere


@borrowing
def _tally(place, lots, by_count, found):
    if by_count:
        for i in range(place.shape[0]):
            at = np.uint32(place[i])
            found[at, 0] += 1
            found[at, 1] += 1
    else:
        for i in range(place.shape[0]):
            at = np.uint32(place[i])
            found[at, 0] += np.int64(abs(lots[i]))
            found[at, 1] += 1


@borrowing
def _value_sides(first, n, g, needs, values, context, figures, sides):
    """Figures of `n` accounts, kept by side where the sides are valued apart."""
    for way in range(values.account.shape[0]):
        _value_accounts(first, n, g, needs & NEEDS_MARGIN != 0, values.account[way], context, figures)
        _note_doubt(way == 0, n, figures)
        if values.account.shape[0] > 1:
            _keep_side(n, figures, sides[way])


@borrowing
def _stand_together(
    first, n, g, number, needs, own, by_count, values, cells, context, figures, sides, out, found
):
    """Scores, cells and lots of all rows of `n` accounts."""
    width = context.group_slot[g + 1] - context.group_slot[g]
    start = context.group_row[g] + first - context.group_slot[g]
    _value_sides(first, n, g, needs, values, context, figures, sides)
    if needs & NEEDS_PLACE:
        for i in range(n):
            given = context.account[first + i]
            figures[_GIVEN, i] = given
            figures[_PLACE, i] = context.place[given]
    equity, error = figures[_EQUITY], figures[_ERROR]
    for column in range(context.group_rows[g]):
        at = start + column * width
        _describe_column(at, n, needs, values.own, context, figures)
        if values.account.shape[0] > 1:
            _take_sides(context.leg[at : at + n], needs & NEEDS_MARGIN != 0, sides, figures)
        if needs & NEEDS_SYMBOL_PROFIT:
            for i in range(n):
                figures[_SYMBOL_PROFIT, i] = figures[_PROFIT, i]
            if column > 0:
                _add_other_leg(at, at - width, n, values.facing, context, figures)
            if column < context.group_rows[g] - 1:
                _add_other_leg(at, at + width, n, values.facing, context, figures)
        score, place = out.score[at : at + n], out.place[at : at + n]
        columns(number, own, figures, context.seed, score)
        lots = context.lots[at : at + n]
        for i in range(n):
            if lots[i] == 0.0 or equity[i] <= error[i]:
                score[i] = np.nan
        place_rows(score, context.leg[at : at + n], cells, place)
        _tally(place, lots, by_count, found)


@kernel
def _stand_part(number, needs, own, by_count, values, cells, blocks, context, out, found, near_count):
    figures, sides = np.empty((_LINES + 3, _TOGETHER)), np.empty((2, 4, _TOGETHER))
    doubt = figures[_DOUBT]
    for b in range(blocks.shape[0]):
        g, begin, end = blocks[b, 0], blocks[b, 1], blocks[b, 2]
        many = 0
        for first in range(begin, end, _TOGETHER):
            n = min(_TOGETHER, end - first)
            _stand_together(
                first, n, g, number, needs, own, by_count, values, cells, context, figures, sides, out, found
            )
            for i in range(n):
                if doubt[i] != 0.0:
                    out.near[begin + many] = first + i
                    many += 1
        near_count[b] = many


@parallel
def stand(number, needs, own, by_count, values, cells, blocks, context, out):
    """Score and cell of every row of a book, and lots by cell (rules R6, R40, R46, R82, R97).

    Parameters
    ----------
    number, needs, own : as in `fastadl.kernels.measure.measure`
    by_count : bool
        Every row counts as one lot.
    values : Values
    cells : Cells
    blocks : int64 (blocks, 3)
        Group, first slot and last slot + 1 of each block.
    context : Context
    out : Standing
        Written.
    """
    parts = out.found.shape[0]
    for p in prange(parts):
        mine = blocks[blocks.shape[0] * p // parts : blocks.shape[0] * (p + 1) // parts]
        count = out.near_count[blocks.shape[0] * p // parts : blocks.shape[0] * (p + 1) // parts]
        _stand_part(number, needs, own, by_count, values, cells, mine, context, out, out.found[p], count)
