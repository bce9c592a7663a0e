"""How far a symbol's price can go against each of its rows before the account is liquidated (rule R112).

With the other prices still, what an account has beyond its maintenance margin is concave in the unit value of
one instrument and made of straight lines, so that Newton's method, coming from outside, never passes the
place where it is zero, and gets there after as many steps as there are tiers.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from fastadl.kernels._jit import borrowing, kernel, parallel
from fastadl.kernels.mark import margin

__all__ = ["liquidation_moves"]

#: Accounts looked at together: what is read of them stays in the second-level cache.
_TOGETHER = 512


@borrowing
def _tier(notional, first, last, margins):
    """The tier that decides at a notional, −1 where no margin is needed; among equals the first."""
    best, most = -1, 0.0
    for t in range(first, last):
        amount = margins.rate[t] * notional - margins.deduction[t]
        if amount > most or (best < 0 and amount == most):
            best, most = t, amount
    return best


@borrowing
def _last_tier(first, last, margins):
    """The tier that decides at the largest notionals."""
    best = -1
    rate, less = 0.0, 0.0
    for t in range(first, last):
        if margins.rate[t] > rate or (margins.rate[t] == rate and margins.deduction[t] < less):
            best, rate, less = t, margins.rate[t], margins.deduction[t]
    return best


@borrowing
def _line(tier, notional, margins):
    """Slope and deduction of one leg's margin as its unit value is multiplied."""
    if tier < 0:
        return 0.0, 0.0
    return margins.rate[tier] * notional, margins.deduction[tier]


@borrowing
def _walk(value, other, still, instrument, margins):
    """Newton's method from 0, or from infinity, towards 1; arguments as in `_multiple`.

    `still` is what neither the unit value nor the margins of the two rows are part of.
    """
    first, last = margins.start[instrument], margins.start[instrument + 1]
    mine, theirs = abs(value), abs(other)
    reached = 0.0 if value > 0.0 else np.inf
    tier = _tier(0.0, first, last, margins) if value > 0.0 else _last_tier(first, last, margins)
    next_to = tier if other != 0.0 else -1
    for _ in range(2 * (last - first) + 2):
        slope, less = _line(tier, mine, margins)
        slope_too, less_too = _line(next_to, theirs, margins)
        rise = value + other - slope - slope_too
        base = still + less + less_too
        if (reached == 0.0 and base >= 0.0) or (reached == np.inf and rise >= 0.0):
            return -1.0
        if (reached != np.inf and base + rise * reached >= 0.0) or rise == 0.0:
            return reached
        found = -base / rise
        if found == reached:
            return reached
        reached = found
        tier = _tier(mine * found, first, last, margins)
        if other != 0.0:
            next_to = _tier(theirs * found, first, last, margins)
    return reached


@borrowing
def _multiple(value, other, headroom, instrument, margins):
    """What the unit value is multiplied by where `headroom` ends, against a row of this value.

    `other` is the value of the account's row on the other side. −1 where it never ends.
    """
    if not headroom >= 0.0:
        return 1.0
    mine, plain = abs(value), margins.plain[instrument]
    if other == 0.0 and mine <= plain:
        found = 1.0 - headroom / (value - margins.rate[margins.start[instrument]] * mine)
        if found <= 0.0:
            return -1.0
        if mine * found <= plain:
            return found
    still = headroom - (value + other) + margin(mine, instrument, margins)
    if other != 0.0:
        still += margin(abs(other), instrument, margins)
    found = _walk(value, other, still, instrument, margins)
    if found < 0.0:
        return -1.0
    return min(found, 1.0) if value > 0.0 else max(found, 1.0)


@borrowing
def _headrooms(first, n, g, rows, unit, margins, headroom):
    """Equity less maintenance margin of `n` accounts, column by column."""
    for i in range(n):
        headroom[i] = rows.cash[first + i]
    width = rows.group_slot[g + 1] - rows.group_slot[g]
    at = rows.group_row[g] + first - rows.group_slot[g]
    for _ in range(rows.group_rows[g]):
        for i in range(n):
            lots = rows.lots[at + i]
            if lots != 0.0:
                instrument = rows.leg[at + i] >> 1
                value = lots * unit[instrument]
                headroom[i] += value - rows.entry[at + i] - margin(abs(value), instrument, margins)
        at += width


@borrowing
def _other_value(at, j, width, count, rows, unit):
    """Value of what the account holds of the same symbol on the other side."""
    leg = rows.leg[at]
    if leg & 1 == 0:
        if j + 1 < count and rows.leg[at + width] == leg + 1:
            return rows.lots[at + width] * unit[leg >> 1]
    elif j > 0 and rows.leg[at - width] + 1 == leg:
        return rows.lots[at - width] * unit[leg >> 1]
    return 0.0


@borrowing
def _move(at, j, width, count, headroom, rows, unit, inverse, margins):
    """The move of one row."""
    lots = rows.lots[at]
    if lots == 0.0:
        return np.nan
    instrument = rows.leg[at] >> 1
    other = _other_value(at, j, width, count, rows, unit)
    found = _multiple(lots * unit[instrument], other, headroom, instrument, margins)
    if found < 0.0:
        return np.inf
    return abs(1.0 / found - 1.0) if inverse[instrument] else abs(found - 1.0)


@kernel
def _moves(g, begin, end, rows, unit, inverse, margins, out):
    width, count = rows.group_slot[g + 1] - rows.group_slot[g], rows.group_rows[g]
    headroom = np.empty(_TOGETHER)
    for first in range(begin, end, _TOGETHER):
        n = min(_TOGETHER, end - first)
        _headrooms(first, n, g, rows, unit, margins, headroom)
        at = rows.group_row[g] + first - rows.group_slot[g]
        for j in range(count):
            for i in range(n):
                out[at + i] = _move(at + i, j, width, count, headroom[i], rows, unit, inverse, margins)
            at += width


@parallel
def liquidation_moves(rows, unit, inverse, margins, blocks, out):
    """How far the price of each row's symbol has to go against the row until its account is liquidated.

    Parameters
    ----------
    rows : Rows
    unit : float64 (instruments)
        Unit values.
    inverse : bool (instruments)
    margins : Margins
    blocks : int64 (blocks, 3)
        Group, first slot and last slot + 1 of each block.
    out : float64 (rows)
        Written: the size of the move as a part of the price, down for a long and up for a short; 0 if the
        account is below its margin already, infinite if no such move takes it there, NaN for a closed row.
    """
    for b in prange(blocks.shape[0]):
        _moves(blocks[b, 0], blocks[b, 1], blocks[b, 2], rows, unit, inverse, margins, out)
