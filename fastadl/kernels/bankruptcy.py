"""Bankrupt accounts: netting of hedges, and what closing each row must pay (rules R24, R25)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from fastadl.kernels._jit import kernel, parallel
from fastadl.kernels.mark import margin
from fastadl.kernels.money import release
from fastadl.kernels.wide import add, divide, muldiv, multiply, whole

__all__ = ["Work", "bankruptcy_values", "net_hedges"]

_EPSILON = 2.0**-53
_CHUNK = 256


class Work(NamedTuple):
    """Open rows of the bankrupt accounts, account by account in detection order, rows by (symbol, long first)."""

    start: Any  # int64 (accounts + 1)
    slot: Any  # int32 (accounts)
    cash: Any  # int64 (accounts)  atoms
    row: Any  # int64 (rows)      place in the book
    leg: Any  # (rows)
    lots: Any  # int64 (rows)      signed
    entry: Any  # int64 (rows)      atoms


@kernel
def net_hedges(start, row, slots, rows, pair_lots, pair_pnl):
    """Close each account's long and short of one symbol against each other (rule R24).

    Parameters
    ----------
    start, row : as given by `expand`
    slots : int32 (accounts)
    rows : Rows
        Written: ``lots``, ``entry``, ``cash``.
    pair_lots, pair_pnl : int64 (len(row))
        Written at the place of the long row: lots netted and what both legs realised; 0 elsewhere.
    """
    for s in range(slots.shape[0]):
        for r in range(start[s], start[s + 1] - 1):
            long = row[r]
            short = row[r + 1]
            if rows.leg[long] >> 1 != rows.leg[short] >> 1:
                continue
            held = int(rows.lots[long])
            owed = -int(rows.lots[short])
            closed = min(held, owed)
            released = release(rows, long, closed, held) + release(rows, short, closed, owed)
            rows.cash[slots[s]] -= released
            pair_lots[r] = closed
            pair_pnl[r] = -released


@kernel
def _wide_margin(notional, instrument, margins, exact):
    """Margin of a row in two parts, and whether it is sure."""
    most = margin(notional[0], instrument, margins)
    slack = 16.0 * _EPSILON * (notional[0] + most)
    best = (0.0, 0.0)
    sure = exact.unit[instrument] > 0
    if not sure:
        return best, sure
    unit = whole(exact.unit[instrument])
    for t in range(exact.start[instrument], exact.start[instrument + 1]):
        line = margins.rate[t] * notional[0] - margins.deduction[t]
        if line < most - slack:
            continue
        if exact.rate_units[t] == 0 and exact.deduction_units[t] == 0:
            continue
        if most <= slack:
            return best, False
        amount = multiply(notional, whole(exact.rate_units[t]))
        minus = whole(exact.deduction_units[t])
        amount = divide(add(amount, (-minus[0], -minus[1])), unit)
        if amount[0] > best[0] or (amount[0] == best[0] and amount[1] > best[1]):
            best = amount
    return best, sure


@kernel
def _split_floor(x):
    """Whole part and fraction of a two-part number."""
    down = np.floor(x[0])
    rest = (x[0] - down) + x[1]
    more = np.floor(rest)
    return int(down) + int(more), rest - more


@kernel
def _shares(first, last, total, weight, part, left, value, fraction):
    """Shares of the shortfall by weight: floors in `value`, remainders in `fraction`; False if unsure."""
    weights = (0.0, 0.0)
    shortfall = whole(total)
    for r in range(first, last):
        weights = add(weights, (weight[0, r - first], weight[1, r - first]))
        shortfall = add(shortfall, (-left[0, r - first], -left[1, r - first]))
    missing = total
    for r in range(first, last):
        share = multiply(shortfall, (weight[0, r - first], weight[1, r - first]))
        share = divide(share, weights)
        if abs(share[0]) > 2e18:
            return False
        # what the floor of the row's value left over, plus the share
        rest = add(share, (left[0, r - first], left[1, r - first]))
        down, over = _split_floor(add(rest, (-float(part[r - first]), 0.0)))
        tolerance = 1e-11 + abs(share[0]) * 1e-27 + abs(left[0, r - first]) * 1e-27
        if over < tolerance or over > 1.0 - tolerance:
            return False
        value[r] = part[r - first] + down
        fraction[r - first] = over
        missing -= value[r]
    if missing < 0 or missing > last - first:
        return False
    for _ in range(missing):
        best = 0
        second = -1.0
        for i in range(1, last - first):
            if fraction[i] > fraction[best]:
                second = fraction[best]
                best = i
            elif fraction[i] > second:
                second = fraction[i]
        if second >= 0.0 and fraction[best] - second < 1e-9:
            return False
        value[first + best] += 1
        fraction[best] = -1.0
    return True


@parallel
def bankruptcy_values(work, by_notional, margins, exact, value, sure):
    """Split each bankrupt account's shortfall over its rows (rule R25).

    Parameters
    ----------
    work : Work
        Open rows of the bankrupt accounts, account by account.
    by_notional : bool
        Share by notional instead of by maintenance margin.
    margins : Margins
    exact : Exact
    value : int64 (rows)
        Written: bankruptcy value, whole atoms.
    sure : bool (accounts)
        Written: False where the answer must be found with unlimited integers.
    """
    accounts = work.start.shape[0] - 1
    for chunk in prange((accounts + _CHUNK - 1) // _CHUNK):
        for a in range(chunk * _CHUNK, min(accounts, (chunk + 1) * _CHUNK)):
            first = work.start[a]
            last = work.start[a + 1]
            sure[a] = True
            total = -work.cash[a]
            for r in range(first, last):
                total += work.entry[r]
            if last - first == 1:
                value[first] = total
            elif last - first > 1:
                sure[a] = _split(first, last, total, work, by_notional, margins, exact, value)


@kernel
def _split(first, last, total, work, by_notional, margins, exact, value):
    count = last - first
    weight = np.zeros((2, count))
    left = np.empty((2, count))
    part = np.empty(count, np.int64)
    weightless = True
    for r in range(first, last):
        i = r - first
        instrument = work.leg[r] >> 1
        per = exact.per[instrument]
        if per == 0:
            return False
        lots = -work.lots[r] if exact.inverse[instrument] else work.lots[r]
        if abs(float(lots)) * (exact.units[instrument] / per) > 2e18:
            return False
        down, rest = muldiv(lots, exact.units[instrument], per)
        part[i] = down
        exact_value = add(whole(down), divide(whole(rest), whole(per)))
        left[0, i] = exact_value[0]
        left[1, i] = exact_value[1]
        sign = -1.0 if exact_value[0] < 0.0 else 1.0
        if not by_notional:
            needed, sure = _wide_margin(
                (sign * exact_value[0], sign * exact_value[1]), instrument, margins, exact
            )
            if not sure:
                return False
            weight[0, i] = needed[0]
            weight[1, i] = needed[1]
            weightless = weightless and needed[0] == 0.0
    if weightless:
        for i in range(count):
            sign = -1.0 if left[0, i] < 0.0 else 1.0
            weight[0, i] = sign * left[0, i]
            weight[1, i] = sign * left[1, i]
    fraction = np.empty(count)
    return _shares(first, last, total, weight, part, left, value, fraction)
