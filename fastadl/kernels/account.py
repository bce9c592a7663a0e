"""What accounts are worth: equity, maintenance margin, gross notional; as float64 and as whole atoms."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from fastadl.kernels._jit import kernel, parallel
from fastadl.kernels.layout import locate
from fastadl.kernels.mark import margin
from fastadl.kernels.wide import add, divide, muldiv, multiply, whole

__all__ = [
    "GROSS",
    "LONG",
    "PROFIT",
    "SHORT",
    "Exact",
    "evaluate",
    "exact_margin",
    "exact_sum",
    "row_margin",
    "row_profits",
    "row_value",
    "split_floor",
    "wide_margin",
]

_EPSILON = 2.0**-53
_CHUNK = 1024
#: Bound on the relative error of a pair of float64 after a few operations.
_ROUNDING = 1e-29
#: Denominators below this can be added up over a thousand rows in 62 bits.
_COMMON = 1 << 52
#: What `exact_sum` adds up: value − entry value, |value|, |value| of longs less shorts, or its negative.
PROFIT, GROSS, LONG, SHORT = 0, 1, 2, 3


class Exact(NamedTuple):
    """Unit values and tiers in whole numbers.

    ``|unit value| = units / per`` atoms per lot, negative for an inverse contract. ``per`` is 0 where 62 bits
    are not enough; then the pair ``high + low``, good to 2^-105, has to do.
    """

    units: Any  # int64 (instruments)
    per: Any  # int64 (instruments)
    high: Any  # float64 (instruments)  |unit value|
    low: Any  # float64 (instruments)
    inverse: Any  # bool (instruments)
    start: Any  # int32 (instruments + 1)
    rate_units: Any  # int64 (tiers)   rate · unit
    deduction_units: Any  # int64 (tiers)   deduction · unit, atoms
    unit: Any  # int64 (instruments); 0 where it does not fit


@kernel
def _evaluate(first, last, rows, slots, unit, margins, out):
    for s in range(first, last):
        slot = slots[s]
        g = locate(rows.group_slot, slot)
        width = rows.group_slot[g + 1] - rows.group_slot[g]
        at = rows.group_row[g] + slot - rows.group_slot[g]
        equity = float(rows.cash[slot])
        size = abs(equity)
        needed = 0.0
        gross = 0.0
        for _ in range(rows.group_rows[g]):
            lots = rows.lots[at]
            if lots != 0.0:
                instrument = rows.leg[at] >> 1
                value = lots * unit[instrument]
                entry = float(rows.entry[at])
                equity += value - entry
                notional = abs(value)
                needed += margin(notional, instrument, margins)
                gross += notional
                size += 2.0 * notional + abs(entry)
            at += width
        out[0, s] = equity
        out[1, s] = needed
        out[2, s] = gross
        out[3, s] = _EPSILON * (16.0 + 8.0 * rows.group_rows[g]) * (size + needed)


@parallel
def evaluate(rows, slots, unit, margins, out):
    """Equity, maintenance margin, gross notional and error bound of some accounts (rules R3, R5, R6).

    Parameters
    ----------
    rows : Rows
    slots : int32 or int64 (n)
    unit : float64 (instruments)
        Unit values.
    margins : Margins
    out : float64 (4, n)
        Written: equity, margin, gross, and a bound on the error of equity and of equity − margin.
    """
    n = slots.shape[0]
    if n <= _CHUNK:
        _evaluate(0, n, rows, slots, unit, margins, out)
        return
    for chunk in prange((n + _CHUNK - 1) // _CHUNK):
        _evaluate(chunk * _CHUNK, min(n, (chunk + 1) * _CHUNK), rows, slots, unit, margins, out)


@kernel
def row_value(lots, instrument, exact):
    """Value at mark of signed lots as a pair of float64, good to 2^-100."""
    sign = -1.0 if (lots < 0) != exact.inverse[instrument] else 1.0
    value = multiply(whole(abs(lots)), (exact.high[instrument], exact.low[instrument]))
    return sign * value[0], sign * value[1]


@kernel
def split_floor(x):
    """Whole part (int64) and fraction of a pair of float64; 1.0 where that is nearest to it."""
    down = np.floor(x[0])
    rest = (x[0] - down) + x[1]
    more = np.floor(rest)
    return int(down) + int(more), rest - more


@kernel
def _settle(total, fraction, numerator, common, loose, size):
    """Floor of the sum, whether anything was cut off, and whether that is sure.

    Fractions of one denominator are summed exactly in `numerator`; others only in float64, which is not
    enough next to a whole number. `size` bounds what was added up.
    """
    if not loose:
        return total, False, True
    if common > 0:
        extra = numerator // common
        return total + extra, numerator > extra * common, True
    extra = int(np.floor(fraction))
    error = 1e-12 + size * _ROUNDING
    return total + extra, True, error < fraction - extra < 1.0 - error


@kernel
def _exact_sum(first, last, rows, slots, exact, what, floor, sure):
    for s in range(first, last):
        slot = slots[s]
        g = locate(rows.group_slot, slot)
        width = rows.group_slot[g + 1] - rows.group_slot[g]
        at = rows.group_row[g] + slot - rows.group_slot[g]
        total = np.int64(0)
        numerator = np.int64(0)
        common = np.int64(-1)
        fraction = 0.0
        size = 0.0
        loose = False
        for _ in range(rows.group_rows[g]):
            lots = int(rows.lots[at])
            if lots != 0:
                instrument = rows.leg[at] >> 1
                size += abs(rows.lots[at]) * exact.high[instrument] + abs(float(rows.entry[at]))
                if size > 4e18:
                    break
                if what == GROSS:
                    lots = abs(lots)
                elif what == SHORT:
                    lots = -lots
                if what != PROFIT and exact.inverse[instrument]:
                    lots = -lots
                value, rest, per, part = _whole_value(lots, instrument, exact)
                total += value if what != PROFIT else value - rows.entry[at]
                loose = loose or part > 0.0 or per == 0
                common = per if 0 < per < _COMMON and (common == -1 or common == per) else 0
                if common > 0:
                    numerator += rest
                fraction += part
            at += width
        floor[s], _, settled = _settle(total, fraction, numerator, common, loose, size)
        sure[s] = settled and size <= 4e18


@parallel
def exact_sum(rows, slots, exact, what, floor, sure):
    """Unrealised profit, gross notional or net exposure of some accounts in whole atoms, rounded down.

    Parameters
    ----------
    rows : Rows
    slots : int32 or int64 (n)
    exact : Exact
    what : int
        `PROFIT`, `GROSS`, or the sum of |value| over longs less that over shorts (`LONG`; `SHORT`: its
        negative).
    floor : int64 (n)
        Written.
    sure : bool (n)
        Written: False where the answer must be found with unlimited integers.
    """
    n = slots.shape[0]
    if n <= _CHUNK:
        _exact_sum(0, n, rows, slots, exact, what, floor, sure)
        return
    for chunk in prange((n + _CHUNK - 1) // _CHUNK):
        _exact_sum(chunk * _CHUNK, min(n, (chunk + 1) * _CHUNK), rows, slots, exact, what, floor, sure)


@kernel
def _whole_value(lots, instrument, exact):
    """Floor of the value of signed lots, what is left over `per`, `per` (0 if unknown), and it as float64."""
    per = exact.per[instrument]
    if per > 0:
        signed = -lots if exact.inverse[instrument] else lots
        value, rest = muldiv(signed, exact.units[instrument], per)
        return value, rest, per, rest / per
    value, part = split_floor(row_value(lots, instrument, exact))
    return value, per, per, part


@parallel
def row_profits(row, rows, exact, floor, sure):
    """Unrealised profit of some rows in whole atoms, rounded down.

    Parameters
    ----------
    row : int64 (n)
    rows : Rows
    exact : Exact
    floor : int64 (n)
        Written.
    sure : bool (n)
        Written: False where the answer must be found with unlimited integers.
    """
    for chunk in prange((row.shape[0] + _CHUNK - 1) // _CHUNK):
        for r in range(chunk * _CHUNK, min(row.shape[0], (chunk + 1) * _CHUNK)):
            instrument = rows.leg[row[r]] >> 1
            lots = int(rows.lots[row[r]])
            size = abs(rows.lots[row[r]]) * exact.high[instrument]
            sure[r] = size < 4e18
            if sure[r]:
                value, _, per, part = _whole_value(lots, instrument, exact)
                error = 1e-12 + size * _ROUNDING
                sure[r] = per > 0 or error < part < 1.0 - error
                floor[r] = value - rows.entry[row[r]]


@kernel
def row_margin(lots, instrument, exact, margins):
    """Margin of a row: whole part, remainder, its denominator (0: unknown), it as float64, if it is sure.

    `lots` are unsigned.
    """
    value = row_value(-lots if exact.inverse[instrument] else lots, instrument, exact)
    most = margin(value[0], instrument, margins)
    slack = 16.0 * _EPSILON * (value[0] + most)
    per = exact.per[instrument]
    unit = exact.unit[instrument]
    best = np.int64(0)
    best_rest = np.int64(0)
    best_part = 0.0
    over = per * unit if 0 < per < 1 << 50 and float(per) * unit < 1e15 else np.int64(0)
    if unit == 0 or value[0] > 4e18:
        return best, best_rest, over, best_part, False
    for t in range(exact.start[instrument], exact.start[instrument + 1]):
        if margins.rate[t] * value[0] - margins.deduction[t] < most - slack:
            continue
        rest = np.int64(0)
        if over > 0:
            # (scaled + left / per) · rate_units / unit − deduction_units / unit, in whole numbers
            scaled, left = muldiv(lots, exact.units[instrument], per)
            share, more = muldiv(scaled, exact.rate_units[t], unit)
            minus = exact.deduction_units[t] // unit
            rest = (more - (exact.deduction_units[t] - minus * unit)) * per + left * exact.rate_units[t]
            whole_part = rest // over
            rest -= whole_part * over
            amount = share - minus + whole_part
            part = rest / over
        else:
            line = multiply(value, whole(exact.rate_units[t]))
            line = add(line, whole(-exact.deduction_units[t]))
            amount, part = split_floor(divide(line, whole(unit)))
        if amount > best or (amount == best and part > best_part):
            best = amount
            best_rest = rest
            best_part = part
    return best, best_rest, over, best_part, True


@kernel
def wide_margin(notional, instrument, margins, exact):
    """Margin of a row as a pair of float64, and whether it is sure."""
    most = margin(notional[0], instrument, margins)
    slack = 16.0 * _EPSILON * (notional[0] + most)
    best = (0.0, 0.0)
    if exact.unit[instrument] == 0:
        return best, False
    unit = whole(exact.unit[instrument])
    for t in range(exact.start[instrument], exact.start[instrument + 1]):
        if margins.rate[t] * notional[0] - margins.deduction[t] < most - slack:
            continue
        if exact.rate_units[t] == 0 and exact.deduction_units[t] == 0:
            continue
        if most <= slack:
            return best, False
        amount = multiply(notional, whole(exact.rate_units[t]))
        amount = divide(add(amount, whole(-exact.deduction_units[t])), unit)
        if amount[0] > best[0] or (amount[0] == best[0] and amount[1] > best[1]):
            best = amount
    return best, True


@kernel
def _exact_margin(first, last, rows, slots, margins, exact, ceiling, sure):
    for s in range(first, last):
        slot = slots[s]
        g = locate(rows.group_slot, slot)
        width = rows.group_slot[g + 1] - rows.group_slot[g]
        at = rows.group_row[g] + slot - rows.group_slot[g]
        total = np.int64(0)
        numerator = np.int64(0)
        common = np.int64(-1)
        fraction = 0.0
        fits = True
        loose = False
        for _ in range(rows.group_rows[g]):
            lots = int(abs(rows.lots[at]))
            if lots != 0:
                amount, rest, per, part, known = row_margin(lots, rows.leg[at] >> 1, exact, margins)
                total += amount
                fits = fits and known and total < 4e18
                if not fits:
                    break
                loose = loose or part > 0.0 or per == 0
                common = per if per > 0 and (common == -1 or common == per) else 0
                if common > 0:
                    numerator += rest
                fraction += part
            at += width
        down, over, settled = _settle(total, fraction, numerator, common, loose, float(total))
        ceiling[s] = down + 1 if over else down
        sure[s] = fits and settled


@parallel
def exact_margin(rows, slots, margins, exact, ceiling, sure):
    """Maintenance margin of some accounts in whole atoms, rounded up.

    Parameters
    ----------
    rows, slots, margins : as in `evaluate`
    exact : Exact
    ceiling : int64 (n)
        Written.
    sure : bool (n)
        Written: False where the answer must be found with unlimited integers.
    """
    n = slots.shape[0]
    if n <= _CHUNK:
        _exact_margin(0, n, rows, slots, margins, exact, ceiling, sure)
        return
    for chunk in prange((n + _CHUNK - 1) // _CHUNK):
        _exact_margin(
            chunk * _CHUNK, min(n, (chunk + 1) * _CHUNK), rows, slots, margins, exact, ceiling, sure
        )
