"""Lots that stand ahead of one position, at the prices of several moments, without ranking anybody.

Whoever holds the leg is valued at all moments at once, which lie side by side, and its score compared with
that of the position: nothing is kept of it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from fastadl.kernels._jit import borrowing, kernel, parallel
from fastadl.kernels.mark import margin
from fastadl.kernels.measure import (
    NEEDS_LEVERAGE,
    NEEDS_MARGIN,
    NEEDS_PLACE,
    NEEDS_ROW_MARGIN,
    NEEDS_SYMBOL_PROFIT,
    max_leverage,
)
from fastadl.kernels.scores import LINES, columns

__all__ = ["Ahead", "Seeker", "count_ahead"]

_EPSILON = 2.0**-53
#: Candidates whose scores are made together.
_TOGETHER = 32
_LINES = len(LINES)
_LOTS, _SHORT, _INVERSE, _VALUE = LINES["lots"], LINES["short"], LINES["inverse"], LINES["value"]
_COST, _PROFIT, _SYMBOL_PROFIT = LINES["cost"], LINES["profit"], LINES["symbol_profit"]
_ROW_MARGIN, _CASH, _EQUITY, _MARGIN = LINES["row_margin"], LINES["cash"], LINES["equity"], LINES["margin"]
_GROSS, _ONE, _MAX_LEVERAGE = LINES["gross"], LINES["one"], LINES["max_leverage"]
_PLACE, _GIVEN = LINES["place"], LINES["given"]


class Seeker(NamedTuple):
    """A position whose place is sought, as it is and as it might be."""

    leg: Any  # int
    slot: Any  # int  its account, which is not ahead of itself
    tie: Any  # int  order of the account's id
    score: Any  # float64 (choices, moments)  what it would score
    skipped: Any  # bool (slots)  accounts that are left out


class Ahead(NamedTuple):
    """What `count_ahead` writes."""

    lots: Any  # int64 (parts, choices + 1, moments)  added to: ahead of it; last, of all at the first moment
    rows: Any  # int64 (parts, choices + 1)  added to: how many positions these are at the first moment
    near: Any  # int32 (slots)  from each block's first place on, accounts so near zero that they are left out
    near_count: Any  # int64 (blocks)  how many of each block


@borrowing
def _find(at, n, wanted, leg, found):
    """Which of `n` rows from `at` on are of a leg; without a branch to guess."""
    many = 0
    for i in range(n):
        found[many] = i
        many += leg[at + i] == wanted
    return many


@borrowing
def _value_accounts(some, begin, g, unit, context, figures, sure):
    """Equity and gross of accounts at all moments (rule R6), and whether equity is surely not 0."""
    moments, rounding = unit.shape[1], _EPSILON * (16.0 + 8.0 * context.group_rows[g])
    width = context.group_slot[g + 1] - context.group_slot[g]
    for c in range(some.shape[0]):
        equity = figures[_EQUITY, c * moments : (c + 1) * moments]
        gross = figures[_GROSS, c * moments : (c + 1) * moments]
        cash = float(context.cash[begin + some[c]])
        for k in range(moments):
            equity[k] = cash
            gross[k] = 0.0
        size = abs(cash)
        at = context.group_row[g] + begin - context.group_slot[g] + some[c]
        for _ in range(context.group_rows[g]):
            lots, entry = context.lots[at], float(context.entry[at])
            if lots != 0.0:
                price = unit[context.leg[at] >> 1]
                size += abs(entry)
                for k in range(moments):
                    value = lots * price[k]
                    equity[k] += value - entry
                    gross[k] += abs(value)
            at += width
        doubts = 0
        for k in range(moments):
            doubts += abs(equity[k]) <= rounding * (size + 3.0 * gross[k])
        sure[c] = doubts == 0


@borrowing
def _add_margins(some, begin, g, unit, context, figures):
    """Maintenance margin of accounts at all moments."""
    moments = unit.shape[1]
    width = context.group_slot[g + 1] - context.group_slot[g]
    for c in range(some.shape[0]):
        needed = figures[_MARGIN, c * moments : (c + 1) * moments]
        for k in range(moments):
            needed[k] = 0.0
        at = context.group_row[g] + begin - context.group_slot[g] + some[c]
        for _ in range(context.group_rows[g]):
            lots, instrument = context.lots[at], context.leg[at] >> 1
            price, rate = unit[instrument], context.rate[context.start[instrument]]
            largest = 0.0
            for k in range(moments):
                largest = max(largest, abs(lots * price[k]))
            if lots != 0.0 and largest <= context.plain[instrument]:
                for k in range(moments):
                    needed[k] += rate * abs(lots * price[k])
            elif lots != 0.0:
                for k in range(moments):
                    needed[k] += margin(abs(lots * price[k]), instrument, context)
            at += width


@borrowing
def _describe_rows(some, at, begin, unit, context, figures):
    """What every score may read of rows at all moments."""
    moments, lines = unit.shape[1], figures
    for c in range(some.shape[0]):
        row, first, last = at + some[c], c * moments, (c + 1) * moments
        lots, entry, cash = context.lots[row], float(context.entry[row]), float(context.cash[begin + some[c]])
        price, value, profit = (
            unit[context.leg[row] >> 1],
            lines[_VALUE, first:last],
            lines[_PROFIT, first:last],
        )
        cost, wallet = lines[_COST, first:last], lines[_CASH, first:last]
        for k in range(moments):
            value[k] = abs(lots * price[k])
        for k in range(moments):
            profit[k] = lots * price[k] - entry
        for k in range(moments):
            cost[k] = abs(entry)
        for k in range(moments):
            wallet[k] = cash


@borrowing
def _describe_further(some, at, begin, needs, unit, context, figures):
    """What few scores read of rows and accounts (`fastadl.kernels.scores.COSTLY`)."""
    moments = unit.shape[1]
    for c in range(some.shape[0]):
        row, given = at + some[c], context.account[begin + some[c]]
        instrument, lots = context.leg[row] >> 1, context.lots[row]
        for i in range(c * moments, (c + 1) * moments):
            figures[_LOTS, i] = abs(lots)
            figures[_SHORT, i] = 1.0 if lots < 0.0 else 0.0
            figures[_ONE, i] = context.one[instrument]
            figures[_INVERSE, i] = 1.0 if context.inverse[instrument] else 0.0
            figures[_GIVEN, i] = given
            if needs & NEEDS_PLACE:
                figures[_PLACE, i] = context.place[given]
            if needs & NEEDS_ROW_MARGIN:
                figures[_ROW_MARGIN, i] = margin(figures[_VALUE, i], instrument, context)
            if needs & NEEDS_LEVERAGE:
                figures[_MAX_LEVERAGE, i] = max_leverage(figures[_VALUE, i], instrument, context)


@borrowing
def _add_symbol_profits(some, at, begin, g, unit, context, figures):
    """Profit of rows and of the other ones in their symbol."""
    moments = unit.shape[1]
    width = context.group_slot[g + 1] - context.group_slot[g]
    for c in range(some.shape[0]):
        row, price = at + some[c], unit[context.leg[at + some[c]] >> 1]
        total = figures[_SYMBOL_PROFIT, c * moments : (c + 1) * moments]
        profit = figures[_PROFIT, c * moments : (c + 1) * moments]
        for k in range(moments):
            total[k] = profit[k]
        other = context.group_row[g] + begin - context.group_slot[g] + some[c]
        for _ in range(context.group_rows[g]):
            if other != row and context.leg[other] >> 1 == context.leg[row] >> 1:
                for k in range(moments):
                    total[k] += context.lots[other] * price[k] - float(context.entry[other])
            other += width


@borrowing
def _drop_fallen(some, moments, equity, sure, score):
    """No score for whoever is below zero, nor for those of whom float64 cannot tell."""
    for c in range(some.shape[0]):
        for i in range(c * moments, (c + 1) * moments):
            score[i] = score[i] if equity[i] > 0.0 and sure[c] else np.nan


@borrowing
def _compare(some, begin, held, score, seeker, context, lots, rows):
    """Add candidates to what is ahead of each choice, and to all there are at the first moment."""
    moments = seeker.score.shape[1]
    for v in range(seeker.score.shape[0]):
        mine, total = seeker.score[v], lots[v]
        for c in range(some.shape[0]):
            theirs, many = score[c * moments : (c + 1) * moments], held[c]
            ties = 0
            for k in range(moments):
                total[k] += many if theirs[k] > mine[k] else 0
            for k in range(moments):
                ties += theirs[k] == mine[k]
            rows[v] += many > 0 and theirs[0] > mine[0]
            if ties > 0 and many > 0 and context.place[context.account[begin + some[c]]] < seeker.tie:
                rows[v] += theirs[0] == mine[0]
                for k in range(moments):
                    total[k] += many if theirs[k] == mine[k] else 0
    for c in range(some.shape[0]):
        if held[c] > 0 and score[c * moments] == score[c * moments]:
            lots[-1, 0] += held[c]
            rows[-1] += 1


@borrowing
def _note(some, at, begin, seeker, lots, sure, held, near):
    """Lots of candidates, 0 of those left out; how many are left out for being too near zero."""
    many = 0
    for c in range(some.shape[0]):
        slot = begin + some[c]
        out = slot == seeker.slot or seeker.skipped[slot] or lots[at + some[c]] == 0.0
        held[c] = 0 if out else np.int64(abs(lots[at + some[c]]))
        if not out and not sure[c]:
            near[many] = slot
            many += 1
    return many


@kernel
def _count_together(
    some, at, begin, g, number, needs, own, seeker, unit, context, room, held, sure, lots, rows, near
):
    """Count some candidates of a column in; how many are too near zero."""
    figures, score, moments = room[:_LINES], room[_LINES], unit.shape[1]
    _value_accounts(some, begin, g, unit, context, figures, sure)
    _describe_rows(some, at, begin, unit, context, figures)
    if needs & NEEDS_MARGIN:
        _add_margins(some, begin, g, unit, context, figures)
    if needs & ~(NEEDS_MARGIN | NEEDS_SYMBOL_PROFIT):
        _describe_further(some, at, begin, needs, unit, context, figures)
    if needs & NEEDS_SYMBOL_PROFIT:
        _add_symbol_profits(some, at, begin, g, unit, context, figures)
    columns(number, own, figures, context.seed, score[: some.shape[0] * moments])
    _drop_fallen(some, moments, figures[_EQUITY], sure, score)
    many = _note(some, at, begin, seeker, context.lots, sure, held, near)
    _compare(some, begin, held, score, seeker, context, lots, rows)
    return many


@kernel
def _count_part(number, needs, own, seeker, unit, blocks, context, lots, rows, near, near_count):
    room = np.empty((_LINES + 1, _TOGETHER * unit.shape[1]))
    held, sure = np.empty(_TOGETHER, np.int64), np.empty(_TOGETHER, np.bool_)
    found = np.empty(0, np.int32)
    for b in range(blocks.shape[0]):
        g, begin, n = blocks[b, 0], blocks[b, 1], blocks[b, 2] - blocks[b, 1]
        if found.shape[0] <= n:
            found = np.empty(n + 1, np.int32)
        at, many = context.group_row[g] + begin - context.group_slot[g], 0
        for _ in range(context.group_rows[g]):
            here = _find(at, n, seeker.leg, context.leg, found)
            for first in range(0, here, _TOGETHER):
                some = found[first : min(here, first + _TOGETHER)]
                left = near[begin + many : begin + n]
                many += _count_together(
                    some, at, begin, g, number, needs, own, seeker, unit, context, room, held, sure,
                    lots, rows, left,
                )  # fmt: skip
            at += context.group_slot[g + 1] - context.group_slot[g]
        near_count[b] = many


@parallel
def count_ahead(number, needs, own, seeker, unit, blocks, context, out):
    """Lots of better score than a position's, or of the same and a smaller id, at several moments (rule R41).

    Parameters
    ----------
    number, needs, own : as in `fastadl.kernels.measure.measure`
    seeker : Seeker
    unit : float64 (instruments, moments)
        Unit values.
    blocks : int64 (blocks, 3)
        Group, first slot and last slot + 1 of each block.
    context : Context
    out : Ahead
        Accounts that are below zero at a moment are not ahead then; those of which float64 cannot tell at one
        of them are left out altogether.
    """
    parts = out.lots.shape[0]
    for p in prange(parts):
        a, b = blocks.shape[0] * p // parts, blocks.shape[0] * (p + 1) // parts
        _count_part(
            number, needs, own, seeker, unit, blocks[a:b], context, out.lots[p], out.rows[p], out.near,
            out.near_count[a:b],
        )  # fmt: skip
