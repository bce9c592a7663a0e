"""Bankrupt accounts: netting of hedges, and what closing each row must pay (rules R24, R25)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from fastadl.kernels._jit import kernel, parallel
from fastadl.kernels.account import row_value, split_floor, wide_margin
from fastadl.kernels.mark import margin
from fastadl.kernels.money import release
from fastadl.kernels.wide import add, divide, muldiv, multiply, whole

__all__ = ["Work", "bankruptcy_values", "net_hedges"]

_EPSILON = 2.0**-53
_CHUNK = 256
#: Sums and products estimated below this fit 62 bits.
_LIMIT = 2.0**61


class Work(NamedTuple):
    """Open rows of bankrupt accounts, accounts in detection order, their rows by (symbol, long first)."""

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
def _split(first, last, total, work, by_notional, margins, exact, value):
    """Bankruptcy values of one account's rows; False if that takes unlimited integers."""
    count = last - first
    worth = np.empty((2, count))
    weight = np.empty((2, count))
    weightless = True
    shortfall = whole(total)
    for i in range(count):
        instrument = work.leg[first + i] >> 1
        worth[0, i], worth[1, i] = row_value(work.lots[first + i], instrument, exact)
        sign = -1.0 if worth[0, i] < 0.0 else 1.0
        notional = (sign * worth[0, i], sign * worth[1, i])
        shortfall = add(shortfall, (-worth[0, i], -worth[1, i]))
        weight[0, i], weight[1, i] = notional
        if not by_notional:
            needed, sure = wide_margin(notional, instrument, margins, exact)
            if not sure:
                return False
            weight[0, i], weight[1, i] = needed
            weightless = weightless and needed[0] == 0.0
    if weightless:
        for i in range(count):
            sign = -1.0 if worth[0, i] < 0.0 else 1.0
            weight[0, i] = sign * worth[0, i]
            weight[1, i] = sign * worth[1, i]
    weights = (0.0, 0.0)
    for i in range(count):
        weights = add(weights, (weight[0, i], weight[1, i]))
    fraction = np.empty(count)
    missing = total
    for i in range(count):
        share = divide(multiply(shortfall, (weight[0, i], weight[1, i])), weights)
        size = abs(share[0]) + abs(worth[0, i])
        down, over = split_floor(add(share, (worth[0, i], worth[1, i])))
        tolerance = 1e-11 + size * 1e-27
        if size > 2e18 or over < tolerance or over > 1.0 - tolerance:
            return False
        value[first + i] = down
        fraction[i] = over
        missing -= down
    return 0 <= missing <= count and _hand_out(missing, fraction, value[first:last])


@kernel
def _hand_out(missing, fraction, value):
    """One more to the largest fractions; False where two are too close to tell apart."""
    for _ in range(missing):
        best = 0
        second = -1.0
        for i in range(1, fraction.shape[0]):
            if fraction[i] > fraction[best]:
                second = fraction[best]
                best = i
            elif fraction[i] > second:
                second = fraction[i]
        if fraction[best] - second < 1e-9:
            return False
        value[best] += 1
        fraction[best] = -2.0
    return True


@kernel
def _whole_weight(size, instrument, margins, exact):
    """Margin of a row of value ``size / per``, times ``per · unit``, a whole number; −1 if too large."""
    per = exact.per[instrument]
    most = margin(float(size) / per, instrument, margins)
    slack = 16.0 * _EPSILON * (float(size) / per + most)
    best = np.int64(0)
    for t in range(exact.start[instrument], exact.start[instrument + 1]):
        if margins.rate[t] * (float(size) / per) - margins.deduction[t] < most - slack:
            continue
        line = float(size) * exact.rate_units[t]
        if line > _LIMIT or abs(float(exact.deduction_units[t])) * per > _LIMIT:
            return np.int64(-1)
        best = max(best, size * exact.rate_units[t] - exact.deduction_units[t] * per)
    return best


@kernel
def _split_whole(first, last, total, work, by_notional, margins, exact, value):
    """Bankruptcy values where all of it stays in 62-bit integers; False, with nothing written, if not.

    With values ``v / per`` and weights in whole numbers a row gets ``(v + s · w / W) / per``, and remainders
    over ``per · W`` compare exactly. Round prices go this way, and with them all exact ties.
    """
    count = last - first
    size = np.empty(count, np.int64)
    weight = np.empty(count, np.int64)
    per = exact.per[work.leg[first] >> 1]
    unit = exact.unit[work.leg[first] >> 1]
    shortfall = total * per if abs(float(total)) * per < _LIMIT else np.int64(0)
    if per == 0 or unit == 0 or abs(float(total)) * per >= _LIMIT:
        return False
    heavy = 0.0
    for i in range(count):
        instrument = work.leg[first + i] >> 1
        lots = -work.lots[first + i] if exact.inverse[instrument] else work.lots[first + i]
        if exact.per[instrument] != per or exact.unit[instrument] != unit:
            return False
        heavy += abs(float(lots)) * exact.units[instrument]
        if heavy > _LIMIT:
            return False
        size[i] = lots * exact.units[instrument]
        shortfall -= size[i]
        weight[i] = abs(size[i]) if by_notional else _whole_weight(abs(size[i]), instrument, margins, exact)
        if weight[i] < 0:
            return False
    if weight.max() == 0:
        for i in range(count):
            weight[i] = abs(size[i])
    common = np.int64(0)
    for i in range(count):
        common = _divisor(common, weight[i])
    heavy = 0.0
    for i in range(count):
        weight[i] //= common
        heavy += float(weight[i])
    if heavy * per > _LIMIT:
        return False
    whole_weight = weight.sum() * per
    missing = total
    for i in range(count):
        share, rest = muldiv(shortfall, weight[i], whole_weight)
        down = size[i] // per
        rest += (size[i] - down * per) * (whole_weight // per)
        if rest >= whole_weight:
            rest -= whole_weight
            share += 1
        value[first + i] = down + share
        missing -= down + share
        size[i] = rest
    for _ in range(missing):
        best = 0
        for i in range(1, count):
            if size[i] > size[best]:
                best = i
        value[first + best] += 1
        size[best] = -1
    return True


@kernel
def _divisor(a, b):
    """Greatest common divisor."""
    while b > 0:
        a, b = b, a % b
    return a


@kernel
def _bankruptcy_values(begin, end, work, by_notional, margins, exact, value, sure):
    for a in range(begin, end):
        first = work.start[a]
        last = work.start[a + 1]
        sure[a] = True
        total = -work.cash[a]
        for r in range(first, last):
            total += work.entry[r]
        if last - first == 1:
            value[first] = total
        elif last - first > 1 and not _split_whole(
            first, last, total, work, by_notional, margins, exact, value
        ):
            sure[a] = _split(first, last, total, work, by_notional, margins, exact, value)


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
    n = work.start.shape[0] - 1
    if n <= _CHUNK:
        _bankruptcy_values(0, n, work, by_notional, margins, exact, value, sure)
        return
    for chunk in prange((n + _CHUNK - 1) // _CHUNK):
        last = min(n, (chunk + 1) * _CHUNK)
        _bankruptcy_values(chunk * _CHUNK, last, work, by_notional, margins, exact, value, sure)
