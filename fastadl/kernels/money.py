"""How money and lots move: what lots are worth, closing a row, the fund or the market taking one over."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastadl.kernels._jit import borrowing
from fastadl.kernels.account import split_floor
from fastadl.kernels.layout import locate
from fastadl.kernels.wide import muldiv, multiply, trunc_scaled, whole

__all__ = [
    "PerLot",
    "Reserve",
    "close",
    "close_rows",
    "find_rows",
    "first_come",
    "release",
    "take",
    "values",
]

#: A value from here on may pass the bound of rule R1.
_LARGE = 4e18
#: Bound on the relative error of a product of two pairs of float64.
_ROUNDING = 1e-29


class PerLot(NamedTuple):
    """What one lot is worth, by any key; as in `fastadl.kernels.account.Exact`."""

    units: Any  # int64 (keys)     |unit value| = units / per
    per: Any  # int64 (keys)       0 where 62 bits are not enough
    high: Any  # float64 (keys)    |unit value| = high + low, good to 2^-105
    low: Any  # float64 (keys)
    negative: Any  # bool (keys)


class Reserve(NamedTuple):
    """What the fund or the market account holds."""

    lots: Any  # int64 (instruments)  signed
    entry: Any  # int64 (instruments)  atoms
    cash: Any  # int64 (currencies)   atoms
    realized: Any  # int64 (instruments)  atoms of profit since the engine was made
    currency: Any  # int32 (instruments)  currency of each instrument


@borrowing
def release(rows, at, closed, held):
    """Take `closed` of the `held` lots off a row; returns the entry value released (rule R10)."""
    entry = rows.entry[at]
    released = entry if closed == held else trunc_scaled(entry, closed, held)
    rows.entry[at] = entry - released
    if rows.lots[at] > 0.0:
        rows.lots[at] -= float(closed)
    else:
        rows.lots[at] += float(closed)
    return released


@borrowing
def close(rows, slot, at, closed, value):
    """Close `closed` lots of a row for `value`, received by its account; returns the realised profit."""
    profit = value - release(rows, at, closed, int(abs(rows.lots[at])))
    rows.cash[slot] += profit
    return profit


@borrowing
def take(reserve, instrument, side, taken, value):
    """The fund or the market takes lots of one side and pays `value` (rule R12).

    Parameters
    ----------
    reserve : Reserve
        Written.
    instrument, side, taken, value : int
        `side` is +1 or −1, `taken` > 0.

    Returns
    -------
    int
        Profit realised on an opposite row closed first, which is what its cash changes by.
    """
    lots = reserve.lots
    entry = reserve.entry
    held = lots[instrument]
    gained = value - value
    if (held > 0 and side < 0) or (held < 0 and side > 0):
        size = abs(held)
        closed = min(taken, size)
        paid = trunc_scaled(value, closed, taken)
        released = entry[instrument] if closed == size else trunc_scaled(entry[instrument], closed, size)
        gained = -paid - released
        entry[instrument] -= released
        lots[instrument] += side * closed
        taken = taken - closed
        value = value - paid
    lots[instrument] += side * taken
    entry[instrument] += value
    reserve.cash[reserve.currency[instrument]] += gained
    reserve.realized[instrument] += gained
    return gained


@borrowing
def find_rows(rows, slot, leg, row):
    """Place of each (account, leg) row, open or not, or −1; all (n), `row` int64 is written."""
    for i in range(slot.shape[0]):
        g = locate(rows.group_slot, slot[i])
        width = rows.group_slot[g + 1] - rows.group_slot[g]
        at = rows.group_row[g] + slot[i] - rows.group_slot[g]
        row[i] = -1
        for _ in range(rows.group_rows[g]):
            if rows.leg[at] == leg[i]:
                row[i] = at
            at += width


@borrowing
def _take_account(rows, slot, same, opposite, side, taken, value):
    """As `take`, by a trader's account: its opposite row is closed first, the rest opens (rule R77)."""
    gained = value - value
    if opposite >= 0 and rows.lots[opposite] != 0.0:
        held = int(abs(rows.lots[opposite]))
        closed = min(taken, held)
        paid = trunc_scaled(value, closed, taken)
        gained = close(rows, slot, opposite, closed, -paid)
        taken = taken - closed
        value = value - paid
    if taken > 0:
        rows.lots[same] += float(side * taken)
        rows.entry[same] += value
    return gained


@borrowing
def close_rows(rows, slot, row, closed, value, other, reserve, profit, gained):
    """Close parts of rows in order, the other side taking each (rules R10, R12, R77).

    Parameters
    ----------
    rows : Rows
        Written.
    slot, row : int (n)
        Account and row of each close.
    closed, value : int64 (n)
        Lots closed, and what the closing account receives.
    other : int64 (3, n)
        Account on the other side and its rows of the same and of the opposite side; −1 for the reserve.
    reserve : Reserve
        Written.
    profit, gained : int64 (n)
        Written: realised by the closing account, and by the other side.
    """
    for i in range(row.shape[0]):
        side = 1 if rows.lots[row[i]] > 0.0 else -1
        instrument = rows.leg[row[i]] >> 1
        profit[i] = close(rows, slot[i], row[i], closed[i], value[i])
        if other[0, i] < 0:
            gained[i] = take(reserve, instrument, side, closed[i], value[i])
        else:
            gained[i] = _take_account(rows, other[0, i], other[1, i], other[2, i], side, closed[i], value[i])


@borrowing
def values(lots, which, price, out, sure):
    """Values of signed lots in whole atoms, rounded down (rule R15).

    Parameters
    ----------
    lots, which : int64 (n)
        Signed lots, and the key of their unit value.
    price : PerLot
    out : int64 (n)
        Written.
    sure : bool (n)
        Written: False where the answer must be found with unlimited integers, or may pass 2^62.
    """
    for i in range(lots.shape[0]):
        key = which[i]
        size = abs(float(lots[i])) * price.high[key]
        sure[i] = size < _LARGE
        out[i] = 0
        if not sure[i]:
            continue
        signed = -lots[i] if price.negative[key] else lots[i]
        if price.per[key] > 0:
            out[i] = muldiv(signed, price.units[key], price.per[key])[0]
        else:
            product = multiply(whole(signed), (price.high[key], price.low[key]))
            out[i], part = split_floor(product)
            error = 1e-12 + size * _ROUNDING
            sure[i] = error < part < 1.0 - error


@borrowing
def first_come(key, asked, left, given):
    """Give everybody in turn min(asked, what is left of the key).

    Parameters
    ----------
    key : integer (n)
    asked : int64 (n)
    left : int64 (keys)
        Written: what nobody took.
    given : int64 (n)
        Written.
    """
    for i in range(key.shape[0]):
        some = min(asked[i], left[key[i]])
        left[key[i]] -= some
        given[i] = some
