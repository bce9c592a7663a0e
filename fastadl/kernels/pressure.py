"""One common shock of many sizes: who would fall, and what that would leave to others (rule R102).

An account's rows are read once for all shocks. The inner loops run over the shocks, which lie side by side in
every table: the compiler finds packed instructions by itself, and nobody has to be guessed safe. All that is
added up are whole numbers, so that sums are exact up to 2^53, in whatever order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from fastadl.kernels._jit import borrowing, kernel, parallel

__all__ = ["BINS", "FALLEN", "LEFT", "Shocks", "count_fallen", "sum_rows"]

#: Lines of the table that `count_fallen` fills, and of that of `sum_rows`.
FALLEN = ("liquidatable", "bankrupt", "shortfall")
LEFT = ("liquidatable", "bankrupt", "behind", "edge", "shortfall")
#: Bins of the depth of the bankrupt, eight to an octave, the deepest last.
BINS = 256
_LIQUIDATABLE, _BANKRUPT, _SHORTFALL = 0, 1, 2
_BEHIND, _EDGE, _SHARE = 2, 3, 4
#: Bits of a depth that its bin leaves out, and those of 2^-12, where the second bin begins.
_SHIFT = 49
_SHALLOWEST = ((1023 - 12) << 3) - 1
#: Margins below this, in atoms, count as no margin.
_NOTHING = 1e-9
#: Accounts looked at together: their figures at all shocks stay in the first-level cache.
_TOGETHER = 32


class Shocks(NamedTuple):
    """What shocks make of a book, and the ladders that its margins come from."""

    unit: Any  # float64 (instruments, shocks)  unit values
    most: Any  # float64 (instruments)  the largest of them without sign
    currency: Any  # int32 (instruments)
    by_notional: Any  # bool  how a shortfall is split (rule R25)
    start: Any  # int32 (instruments + 1)  this and what follows as in `fastadl.kernels.mark.Margins`
    rate: Any  # float64 (tiers)
    deduction: Any  # float64 (tiers)
    plain: Any  # float64 (instruments)


class Figures(NamedTuple):
    """Figures of accounts looked at together, at every shock: (accounts, shocks)."""

    debt: Any  # float64  equity at first, then whole atoms that it is below zero
    below: Any  # float64  margin at first, then 1 where equity is below it or below zero, else 0
    depth: Any  # float64  debt as a multiple of the margin
    bin: Any  # int64  its place; the same memory


@borrowing
def _margin(size, instrument, shocks, out):
    """Maintenance margin of one row of `size` lots at every shock (rule R4)."""
    price = shocks.unit[instrument]
    first = shocks.start[instrument]
    last = shocks.start[instrument + 1]
    if size * shocks.most[instrument] <= shocks.plain[instrument]:
        last = first + 1
    for k in range(out.shape[0]):
        out[k] = 0.0
    for t in range(first, last):
        rate = shocks.rate[t]
        deduction = shocks.deduction[t]
        for k in range(out.shape[0]):
            out[k] = max(out[k], rate * (size * abs(price[k])) - deduction)


@borrowing
def _value(first, n, g, rows, shocks, figures, row_margin):
    """Equity and margin of `n` accounts at every shock, in the order of rule R6."""
    count = row_margin.shape[0]
    width = rows.group_slot[g + 1] - rows.group_slot[g]
    for i in range(n):
        worth, needed = figures.debt[i], figures.below[i]
        cash = float(rows.cash[first + i])
        for k in range(count):
            worth[k] = cash
            needed[k] = 0.0
        at = rows.group_row[g] + first + i - rows.group_slot[g]
        held = 0
        for _ in range(rows.group_rows[g]):
            lots = rows.lots[at]
            if lots != 0.0:
                instrument = rows.leg[at] >> 1
                entry = float(rows.entry[at])
                price = shocks.unit[instrument]
                if abs(lots) * shocks.most[instrument] <= shocks.plain[instrument]:
                    rate = shocks.rate[shocks.start[instrument]]
                    for k in range(count):
                        value = lots * price[k]
                        worth[k] += value - entry
                        needed[k] += rate * abs(value)
                else:
                    _margin(abs(lots), instrument, shocks, row_margin)
                    for k in range(count):
                        worth[k] += lots * price[k] - entry
                        needed[k] += row_margin[k]
                held += 1
            at += width
        if held == 0:
            for k in range(count):
                worth[k] = 0.0


@borrowing
def _judge(n, figures):
    """Turn equity and margin of `n` accounts into what the fields of `Figures` say (rule R21)."""
    count = n * figures.debt.shape[1]
    debt, below = figures.debt.reshape(-1)[:count], figures.below.reshape(-1)[:count]
    depth, place = figures.depth.reshape(-1)[:count], figures.bin.reshape(-1)[:count]
    for k in range(count):
        equity = debt[k]
        margin = below[k]
        below[k] = 1.0 if (equity < margin) | (equity < 0.0) else 0.0
        debt[k] = np.ceil(max(-equity, 0.0))
        depth[k] = debt[k] / max(margin, _NOTHING)
    for k in range(count):
        place[k] = min(max((place[k] >> _SHIFT) - _SHALLOWEST, 0), BINS - 1)


@borrowing
def _total(lanes):
    total = 0.0
    for k in range(lanes.shape[0]):
        total += lanes[k]
    return total


@borrowing
def _count_accounts(first, n, g, rows, shocks, figures, accounts, depths):
    """Add what `count_fallen` counts of `n` accounts."""
    count = figures.debt.shape[1]
    width = rows.group_slot[g + 1] - rows.group_slot[g]
    for i in range(n):
        below, debt, place = figures.below[i], figures.debt[i], figures.bin[i]
        if _total(below) == 0.0:
            continue
        at = rows.group_row[g] + first + i - rows.group_slot[g]
        while rows.lots[at] == 0.0:
            at += width
        currency = shocks.currency[rows.leg[at] >> 1]
        liquidatable = accounts[currency, _LIQUIDATABLE]
        bankrupt = accounts[currency, _BANKRUPT]
        shortfall = accounts[currency, _SHORTFALL]
        depth = depths[currency]
        for k in range(count):
            liquidatable[k] += below[k]
            bankrupt[k] += 1.0 if debt[k] > 0.0 else 0.0
            shortfall[k] += debt[k]
        for k in range(count):
            if debt[k] > 0.0:
                depth[k, place[k]] += debt[k]


@borrowing
def _unhedged(at, j, width, count, leg, lots):
    """Unsigned lots of a row beyond what the account holds on the other side (rule R24)."""
    if leg[at] & 1 == 0:
        if j + 1 < count and leg[at + width] == leg[at] + 1:
            return max(lots[at] + lots[at + width], 0.0)
    elif j > 0 and leg[at - width] + 1 == leg[at]:
        return max(-lots[at] - lots[at - width], 0.0)
    return abs(lots[at])


@borrowing
def _add_lots(first, n, g, rows, shocks, edge, figures, room, legs):
    """Add the lots of `n` accounts."""
    count = room.shape[1]
    columns = rows.group_rows[g]
    width = rows.group_slot[g + 1] - rows.group_slot[g]
    left, behind, at_edge = room[0], room[1], room[2]
    for i in range(n):
        below, debt, place = figures.below[i], figures.debt[i], figures.bin[i]
        if _total(below) == 0.0:
            continue
        start = rows.group_row[g] + first + i - rows.group_slot[g]
        at = start
        while rows.lots[at] == 0.0:
            at += width
        limit = edge[shocks.currency[rows.leg[at] >> 1]]
        for k in range(count):
            owes = debt[k] > 0.0
            left[k] = 1.0 if owes else 0.0
            behind[k] = 1.0 if owes & (place[k] < limit[k]) else 0.0
            at_edge[k] = 1.0 if owes & (place[k] == limit[k]) else 0.0
        bankrupt = _total(left) > 0.0
        for j in range(columns):
            at = start + j * width
            size = abs(rows.lots[at])
            if size == 0.0:
                continue
            total = legs[rows.leg[at]]
            for k in range(count):
                total[_LIQUIDATABLE, k] += size * below[k]
            if bankrupt:
                size = _unhedged(at, j, width, columns, rows.leg, rows.lots)
                for k in range(count):
                    total[_BANKRUPT, k] += size * left[k]
                for k in range(count):
                    total[_BEHIND, k] += size * behind[k]
                for k in range(count):
                    total[_EDGE, k] += size * at_edge[k]


@borrowing
def _split_debts(first, n, g, rows, shocks, debt, room, legs):
    """Add the debts of `n` accounts, each split over its rows as rule R25 says."""
    count = room.shape[1]
    columns = rows.group_rows[g]
    width = rows.group_slot[g + 1] - rows.group_slot[g]
    gross, margin, reached, given, row_margin = room[0], room[1], room[2], room[3], room[4]
    for i in range(n):
        owed = debt[i]
        if _total(owed) == 0.0:
            continue
        start = rows.group_row[g] + first + i - rows.group_slot[g]
        for k in range(count):
            gross[k] = 0.0
            margin[k] = 0.0
        held = 0
        for j in range(columns):
            at = start + j * width
            size = _unhedged(at, j, width, columns, rows.leg, rows.lots)
            if size == 0.0:
                continue
            instrument = rows.leg[at] >> 1
            price = shocks.unit[instrument]
            for k in range(count):
                gross[k] += size * abs(price[k])
            if not shocks.by_notional:
                _margin(size, instrument, shocks, row_margin)
                for k in range(count):
                    margin[k] += row_margin[k]
            held += 1
        if held == 0:
            continue
        for k in range(count):
            gross[k] = owed[k] / (margin[k] if margin[k] > 0.0 else gross[k])
            reached[k] = 0.0
            given[k] = 0.0
        for j in range(columns):
            at = start + j * width
            size = _unhedged(at, j, width, columns, rows.leg, rows.lots)
            if size == 0.0:
                continue
            instrument = rows.leg[at] >> 1
            total = legs[rows.leg[at], _SHARE]
            held -= 1
            if held == 0:
                for k in range(count):
                    total[k] += owed[k] - given[k]
                break
            price = shocks.unit[instrument]
            if not shocks.by_notional:
                _margin(size, instrument, shocks, row_margin)
            for k in range(count):
                reached[k] += row_margin[k] if margin[k] > 0.0 else size * abs(price[k])
                now = min(np.floor(gross[k] * reached[k]), owed[k])
                total[k] += now - given[k]
                given[k] = now


@kernel
def _figures(count):
    """Room for the figures of accounts looked at together."""
    depth = np.empty((_TOGETHER, count))
    return Figures(np.empty((_TOGETHER, count)), np.empty((_TOGETHER, count)), depth, depth.view(np.int64))


@kernel
def _count_blocks(begin, end, blocks, rows, shocks, accounts, depths):
    count = shocks.unit.shape[1]
    figures, row_margin = _figures(count), np.empty(count)
    for b in range(begin, end):
        for first in range(blocks[b, 1], blocks[b, 2], _TOGETHER):
            n = min(_TOGETHER, blocks[b, 2] - first)
            _value(first, n, blocks[b, 0], rows, shocks, figures, row_margin)
            _judge(n, figures)
            _count_accounts(first, n, blocks[b, 0], rows, shocks, figures, accounts, depths)


@parallel
def count_fallen(rows, shocks, blocks, accounts, depths):
    """Accounts below their margin and below zero, and how deep the latter are, at every shock.

    Parameters
    ----------
    rows : Rows
    shocks : Shocks
    blocks : int64 (blocks, 3)
        Group, first slot and last slot + 1 of each block.
    accounts : float64 (parts, currencies, 3, shocks)
        Added to, lines as in `FALLEN`: accounts below their margin, those below zero among them, and how far
        these are below it, each rounded up to whole atoms. Every part has its share of the blocks.
    depths : float64 (parts, currencies, shocks, `BINS`)
        Added to: this shortfall by its size relative to the account's maintenance margin.
    """
    for p in prange(accounts.shape[0]):
        begin = blocks.shape[0] * p // accounts.shape[0]
        end = blocks.shape[0] * (p + 1) // accounts.shape[0]
        _count_blocks(begin, end, blocks, rows, shocks, accounts[p], depths[p])


@kernel
def _sum_blocks(begin, end, blocks, rows, shocks, edge, legs):
    count = shocks.unit.shape[1]
    figures, room = _figures(count), np.empty((5, count))
    for b in range(begin, end):
        for first in range(blocks[b, 1], blocks[b, 2], _TOGETHER):
            n = min(_TOGETHER, blocks[b, 2] - first)
            _value(first, n, blocks[b, 0], rows, shocks, figures, room[0])
            _judge(n, figures)
            _add_lots(first, n, blocks[b, 0], rows, shocks, edge, figures, room, legs)
            _split_debts(first, n, blocks[b, 0], rows, shocks, figures.debt, room, legs)


@parallel
def sum_rows(rows, shocks, blocks, edge, legs):
    """Lots of the accounts of `count_fallen`, and the shortfall that each row has to carry, at every shock.

    Parameters
    ----------
    rows, shocks, blocks : as in `count_fallen`
    edge : int64 (currencies, shocks)
        A bin of the depth: the lots of accounts that are in it, and of those less deep, are added up apart.
    legs : float64 (parts, legs, 5, shocks)
        Added to, lines as in `LEFT`: lots of accounts below their margin; lots of those below zero beyond
        what they hold on the other side, all, those less deep than the edge and those in it; and the
        shortfall, each account's split over its lots so that the shares, rounded, add up.
    """
    for p in prange(legs.shape[0]):
        begin = blocks.shape[0] * p // legs.shape[0]
        end = blocks.shape[0] * (p + 1) // legs.shape[0]
        _sum_blocks(begin, end, blocks, rows, shocks, edge, legs[p])
