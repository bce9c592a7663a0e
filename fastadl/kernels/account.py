"""What accounts are worth: equity, maintenance margin, gross notional; as float64 and as whole atoms."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from fastadl.kernels._jit import kernel, parallel
from fastadl.kernels.layout import locate
from fastadl.kernels.mark import margin
from fastadl.kernels.wide import muldiv

__all__ = ["Exact", "evaluate", "exact_margin", "exact_sum"]

_EPSILON = 2.0**-53
_CHUNK = 1024
#: Denominators below this can be added up over a thousand rows in 62 bits.
_COMMON = 1 << 52


class Exact(NamedTuple):
    """Unit values and tiers in whole numbers.

    ``|unit value| = units / per`` atoms per lot, negative for an inverse contract. ``per`` is 0 where 62 bits
    are not enough; such an account is left to unlimited integers.
    """

    units: Any  # int64 (instruments)
    per: Any  # int64 (instruments)
    inverse: Any  # bool (instruments)
    start: Any  # int32 (instruments + 1)
    rate_units: Any  # int64 (tiers)   rate · unit
    deduction_units: Any  # int64 (tiers)   deduction · unit, atoms
    unit: Any  # int64 (instruments); 0 where it does not fit


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
    for chunk in prange((n + _CHUNK - 1) // _CHUNK):
        for s in range(chunk * _CHUNK, min(n, (chunk + 1) * _CHUNK)):
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


@kernel
def _settle(total, fraction, numerator, common, loose):
    """Floor of the sum, whether anything was cut off, and whether that is sure.

    Fractions of one denominator are summed exactly in `numerator`; those of several only in float64, which
    is not enough next to a whole number.
    """
    if not loose:
        return total, False, True
    if common > 0:
        extra = numerator // common
        return total + extra, numerator > extra * common, True
    extra = int(np.floor(fraction))
    return total + extra, True, 1e-9 < fraction - extra < 1.0 - 1e-9


@parallel
def exact_sum(rows, slots, exact, gross, floor, sure):
    """Unrealised profit, or gross notional, of some accounts in whole atoms, rounded down.

    Parameters
    ----------
    rows : Rows
    slots : int32 or int64 (n)
    exact : Exact
    gross : bool
        Add up |value| instead of value − entry value.
    floor : int64 (n)
        Written.
    sure : bool (n)
        Written: False where the answer must be found with unlimited integers.
    """
    n = slots.shape[0]
    for chunk in prange((n + _CHUNK - 1) // _CHUNK):
        for s in range(chunk * _CHUNK, min(n, (chunk + 1) * _CHUNK)):
            slot = slots[s]
            g = locate(rows.group_slot, slot)
            width = rows.group_slot[g + 1] - rows.group_slot[g]
            at = rows.group_row[g] + slot - rows.group_slot[g]
            total = np.int64(0)
            numerator = np.int64(0)
            common = np.int64(-1)
            fraction = 0.0
            size = 0.0
            fits = True
            loose = False
            for _ in range(rows.group_rows[g]):
                lots = int(rows.lots[at])
                if lots != 0:
                    instrument = rows.leg[at] >> 1
                    per = exact.per[instrument]
                    size += abs(rows.lots[at]) * (exact.units[instrument] / max(per, 1))
                    size += abs(float(rows.entry[at]))
                    if per == 0 or size > 4e18:
                        fits = False
                        break
                    if gross:
                        lots = abs(lots)
                    elif exact.inverse[instrument]:
                        lots = -lots
                    value, rest = muldiv(lots, exact.units[instrument], per)
                    total += value if gross else value - rows.entry[at]
                    loose = loose or rest > 0
                    common = per if per < _COMMON and (common == -1 or common == per) else 0
                    if common > 0:
                        numerator += rest
                    fraction += rest / per
                at += width
            floor[s], _, settled = _settle(total, fraction, numerator, common, loose)
            sure[s] = fits and settled


@kernel
def _row_margin(lots, instrument, exact, notional, margins):
    """Margin of a row as whole atoms, remainder and denominator; denominator 0 if it does not fit."""
    per = exact.per[instrument]
    unit = exact.unit[instrument]
    if per == 0 or unit == 0 or float(per) * unit > 1e15 or notional > 4e18:
        return 0, 0, 0
    scaled, rest = muldiv(lots, exact.units[instrument], per)
    most = margin(notional, instrument, margins)
    slack = 16.0 * _EPSILON * (notional + most)
    best = np.int64(0)
    best_rest = np.int64(0)
    for t in range(exact.start[instrument], exact.start[instrument + 1]):
        if margins.rate[t] * notional - margins.deduction[t] >= most - slack:
            # (scaled + rest / per) · rate_units / unit − deduction_units / unit
            share, left = muldiv(scaled, exact.rate_units[t], unit)
            minus = exact.deduction_units[t] // unit
            over = exact.deduction_units[t] - minus * unit
            numerator = (left - over) * per + rest * exact.rate_units[t]
            whole = numerator // (per * unit)
            amount = share - minus + whole
            numerator -= whole * per * unit
            if amount > best or (amount == best and numerator > best_rest):
                best = amount
                best_rest = numerator
    return best, best_rest, per * unit


@parallel
def exact_margin(rows, slots, unit, margins, exact, ceiling, sure):
    """Maintenance margin of some accounts in whole atoms, rounded up.

    Parameters
    ----------
    rows, slots, unit, margins : as in `evaluate`
    exact : Exact
    ceiling : int64 (n)
        Written.
    sure : bool (n)
        Written: False where the answer must be found with unlimited integers.
    """
    n = slots.shape[0]
    for chunk in prange((n + _CHUNK - 1) // _CHUNK):
        for s in range(chunk * _CHUNK, min(n, (chunk + 1) * _CHUNK)):
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
                    instrument = rows.leg[at] >> 1
                    notional = abs(rows.lots[at] * unit[instrument])
                    amount, rest, per = _row_margin(lots, instrument, exact, notional, margins)
                    if per == 0 or total > 4e18:
                        fits = False
                        break
                    total += amount
                    loose = loose or rest > 0
                    common = per if common == -1 or common == per else 0
                    if common > 0:
                        numerator += rest
                    fraction += rest / per
                at += width
            down, over, settled = _settle(total, fraction, numerator, common, loose)
            ceiling[s] = down + 1 if over else down
            sure[s] = fits and settled
