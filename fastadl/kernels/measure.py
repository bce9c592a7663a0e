"""Figures of candidate rows and their accounts, and the scores made from them, in one pass (rule R6)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from fastadl.kernels._jit import kernel, parallel
from fastadl.kernels.layout import locate
from fastadl.kernels.mark import margin
from fastadl.kernels.scores import COSTLY, LINES, columns

__all__ = ["FIELDS", "ONE_BY_ONE", "Context", "describe", "measure", "neutral"]

_EPSILON = 2.0**-53
_CHUNK = 512
NEEDS_MARGIN, NEEDS_ROW_MARGIN, NEEDS_SYMBOL_PROFIT = (
    COSTLY[name] for name in ("margin", "row_margin", "symbol_profit")
)
NEEDS_LEVERAGE, NEEDS_PLACE, NEEDS_INSTRUMENT, NEEDS_LOTS = (
    COSTLY[name] for name in ("max_leverage", "place", "one", "lots")
)
_LINES = len(LINES)
_LOTS, _SHORT, _INVERSE, _VALUE = LINES["lots"], LINES["short"], LINES["inverse"], LINES["value"]
_COST, _PROFIT, _SYMBOL_PROFIT = LINES["cost"], LINES["profit"], LINES["symbol_profit"]
_ROW_MARGIN, _CASH, _EQUITY, _MARGIN = LINES["row_margin"], LINES["cash"], LINES["equity"], LINES["margin"]
_GROSS, _ONE, _MAX_LEVERAGE = LINES["gross"], LINES["one"], LINES["max_leverage"]
_PLACE, _GIVEN = LINES["place"], LINES["given"]

#: Rows of the table that `measure` fills.
FIELDS = ("score", "equity", "error", "profit", "value", "row_margin", "margin", "gross")


#: In place of `span` and `blocks` of `measure`.
ONE_BY_ONE = np.empty((2, 0, 0), np.int64), np.empty((0, 3), np.int64)


class Context(NamedTuple):
    """All that scores are made from.

    It has the fields of `Rows` and `Margins` and stands in for either: a parallel loop takes no tuples of
    tuples.
    """

    group_rows: Any
    group_slot: Any
    group_row: Any
    leg: Any
    lots: Any
    entry: Any
    cash: Any
    account: Any
    start: Any
    rate: Any
    deduction: Any
    plain: Any
    least: Any  # float64 (tiers)  min_notional, atoms
    leverage: Any  # float64 (tiers)  ml of rule R82
    unit: Any  # float64 (instruments)  unit values
    inverse: Any  # bool (instruments)
    one: Any  # float64 (instruments)  atoms of one unit of the settlement currency
    place: Any  # int32 (accounts)  order of the ids
    given: Any  # int64 (accounts)  places as given, or empty where that is how they are numbered
    seed: Any  # int64  of the random score, see `fastadl.kernels.scores.Candidate`


@kernel
def _accounts(first, last, slots, context, with_margin, table):
    """Equity, margin (0 if not wanted), gross and error bound of accounts (R6), a line of `table` each."""
    g = 0
    for s in range(first, last):
        slot = slots[s]
        if not context.group_slot[g] <= slot < context.group_slot[g + 1]:
            g = locate(context.group_slot, slot)
        width = context.group_slot[g + 1] - context.group_slot[g]
        at = context.group_row[g] + slot - context.group_slot[g]
        equity = float(context.cash[slot])
        size = abs(equity)
        needed = 0.0
        gross = 0.0
        for _ in range(context.group_rows[g]):
            lots = context.lots[at]
            if lots != 0.0:
                instrument = context.leg[at] >> 1
                value = lots * context.unit[instrument]
                entry = float(context.entry[at])
                equity += value - entry
                if with_margin:
                    needed += margin(abs(value), instrument, context)
                gross += abs(value)
                size += 2.0 * abs(value) + abs(entry)
            at += width
        table[s, 0] = equity
        table[s, 1] = needed
        table[s, 2] = gross
        table[s, 3] = _EPSILON * (16.0 + 8.0 * context.group_rows[g]) * size


@kernel
def _symbol_profit(slot, instrument, context):
    """Profit of all rows of an account in one symbol."""
    g = locate(context.group_slot, slot)
    width = context.group_slot[g + 1] - context.group_slot[g]
    at = context.group_row[g] + slot - context.group_slot[g]
    total = 0.0
    for _ in range(context.group_rows[g]):
        if context.leg[at] >> 1 == instrument and context.lots[at] != 0.0:
            total += context.lots[at] * context.unit[instrument] - float(context.entry[at])
        at += width
    return total


@kernel
def max_leverage(notional, instrument, context):
    """The ml of rule R82: that of the last tier that the notional reaches."""
    t = context.start[instrument + 1] - 1
    while t > context.start[instrument] and context.least[t] > notional:
        t -= 1
    return context.leverage[t]


@kernel
def _measure(first, last, number, needs, own, row, slot, origin, table, figures, context, out):
    """Scores of candidate rows `first` to `last`, at most as many as `figures` has columns.

    Their accounts stand in `table` line by line from row `origin` on; or, where `origin` is −1 − s, by slot
    from slot s on.
    """
    detail = out.shape[0] > 3
    for c in range(first, last):
        i = c - first
        line = c - origin if origin >= 0 else slot[c] + 1 + origin
        instrument = context.leg[row[c]] >> 1
        lots = context.lots[row[c]]
        value = lots * context.unit[instrument]
        entry = float(context.entry[row[c]])
        figures[_LOTS, i] = abs(lots)
        figures[_SHORT, i] = lots < 0.0
        figures[_INVERSE, i] = context.inverse[instrument]
        figures[_VALUE, i] = abs(value)
        figures[_COST, i] = abs(entry)
        figures[_PROFIT, i] = value - entry
        figures[_CASH, i] = float(context.cash[slot[c]])
        figures[_EQUITY, i] = table[line, 0]
        figures[_MARGIN, i] = table[line, 1]
        figures[_GROSS, i] = table[line, 2]
        figures[_ONE, i] = context.one[instrument]
        if detail or needs & NEEDS_ROW_MARGIN:
            figures[_ROW_MARGIN, i] = margin(abs(value), instrument, context)
        if needs & NEEDS_SYMBOL_PROFIT:
            figures[_SYMBOL_PROFIT, i] = _symbol_profit(slot[c], instrument, context)
        if needs & NEEDS_LEVERAGE:
            figures[_MAX_LEVERAGE, i] = max_leverage(abs(value), instrument, context)
        if needs & NEEDS_PLACE:
            account = context.account[slot[c]]
            figures[_GIVEN, i] = context.given[account] if len(context.given) else account
            figures[_PLACE, i] = context.place[account]
        out[1, c] = table[line, 0]
        out[2, c] = table[line, 3]
        if detail:
            out[3, c] = value - entry
            out[4, c] = abs(value)
            out[5, c] = figures[_ROW_MARGIN, i]
            out[6, c] = table[line, 1]
            out[7, c] = table[line, 2]
    columns(number, own, figures, context.seed, out[0, first:last])
    for c in range(first, last):
        if context.lots[row[c]] == 0.0:
            out[0, c] = 0.0


@kernel
def _measure_chunk(first, last, number, needs, own, row, slot, context, out):
    with_margin = out.shape[0] > 3 or needs & NEEDS_MARGIN != 0
    table = np.empty((last - first, 4))
    figures = np.empty((_LINES, last - first))
    _accounts(0, last - first, slot[first:last], context, with_margin, table)
    _measure(first, last, number, needs, own, row, slot, first, table, figures, context, out)


@kernel
def _measure_block(b, number, needs, own, row, slot, span, blocks, context, out):
    with_margin = out.shape[0] > 3 or needs & NEEDS_MARGIN != 0
    first = blocks[b, 1]
    table = np.empty((blocks[b, 2] - first, 4))
    figures = np.empty((_LINES, _CHUNK))
    slots = np.arange(first, blocks[b, 2])
    _accounts(0, slots.shape[0], slots, context, with_margin, table)
    for w in range(span.shape[2]):
        for begin in range(span[0, b, w], span[1, b, w], _CHUNK):
            end = min(begin + _CHUNK, span[1, b, w])
            _measure(begin, end, number, needs, own, row, slot, -1 - first, table, figures, context, out)


@parallel
def measure(number, needs, own, row, slot, span, blocks, context, out):
    """Score and its parts of each candidate row (rules R6, R46, R82, R97).

    Parameters
    ----------
    number : int
        Place of the score in `fastadl.kernels.scores.SCORES`; −1 where `own` takes its place.
    needs : int
        Bits of `fastadl.kernels.scores.COSTLY`: the figures it reads.
    own : fastadl.kernels._jit.ByAddress or fastadl.kernels._jit.Uncalled
        A function from outside, or what stands for none.
    row, slot : int64, int32 (n)
        Candidate rows and their accounts.
    span : int64 (2, blocks, legs)
        As `fastadl.kernels.layout.gather` gives it with `row` and `slot`.
    blocks : int64 (blocks, 3)
        Every account of them is looked at once. With `ONE_BY_ONE` in place of the two only the accounts of
        the candidates are, each as often as it occurs.
    context : Context
    out : float64 (3, n) or (8, n)
        Written, one line per name in `FIELDS`; ``error`` bounds the error of equity, a closed row scores 0.
    """
    n = row.shape[0]
    chunks = (n + _CHUNK - 1) // _CHUNK if blocks.shape[0] == 0 else 0
    if chunks == 1:
        _measure_chunk(0, n, number, needs, own, row, slot, context, out)
        return
    for job in prange(chunks + blocks.shape[0]):
        if chunks > 0:
            first, last = job * _CHUNK, min(n, (job + 1) * _CHUNK)
            _measure_chunk(first, last, number, needs, own, row, slot, context, out)
        else:
            _measure_block(job, number, needs, own, row, slot, span, blocks, context, out)


@parallel
def describe(row, slot, span, rows, rank, tier, lots, tie, tier_out):
    """Lots, tie-breaker and tier of candidate rows, block by block.

    Parameters
    ----------
    row, slot, span : as `fastadl.kernels.layout.gather` gives them
    rows : Rows
    rank, tier : int32, uint8 (accounts)
        Order of the ids, and ADL tier, by account.
    lots, tie, tier_out : int64, int32, uint8 (n)
        Written.
    """
    for b in prange(span.shape[1]):
        for w in range(span.shape[2]):
            for c in range(span[0, b, w], span[1, b, w]):
                account = rows.account[slot[c]]
                lots[c] = int(abs(rows.lots[row[c]]))
                tie[c] = rank[account]
                tier_out[c] = tier[account]


@kernel
def _hedged(slot, limit, rows, unit):
    """Whether what an account holds nearly cancels out (rule R83)."""
    g = locate(rows.group_slot, slot)
    width = rows.group_slot[g + 1] - rows.group_slot[g]
    at = rows.group_row[g] + slot - rows.group_slot[g]
    delta = 0.0
    gross = 0.0
    for _ in range(rows.group_rows[g]):
        if rows.lots[at] != 0.0:
            value = abs(rows.lots[at] * unit[rows.leg[at] >> 1])
            delta += value if rows.lots[at] > 0.0 else -value
            gross += value
        at += width
    return gross > 0.0 and abs(delta) <= limit * gross


@parallel
def neutral(slot, limit, flagged, isolated, rows, unit, tier):
    """Tiers that put delta-neutral accounts behind others (rule R83).

    Parameters
    ----------
    slot : int32 (n)
        Accounts of the candidates.
    limit : float
        Most net value, as a part of the gross, that counts as neutral.
    flagged : bool
        Whether the given tier is a flag that counts while the account is neutral, or a tier to refine.
    isolated : bool (accounts)
    rows : Rows
    unit : float64 (instruments)
    tier : uint16 (n)
        As given; overwritten.
    """
    n = slot.shape[0]
    for chunk in prange((n + _CHUNK - 1) // _CHUNK):
        for c in range(chunk * _CHUNK, min(n, (chunk + 1) * _CHUNK)):
            hedged = not isolated[rows.account[slot[c]]] and _hedged(slot[c], limit, rows, unit)
            if not flagged:
                tier[c] = 2 * tier[c] + hedged
            elif not hedged:
                tier[c] = 0
