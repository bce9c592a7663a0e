"""How money and lots move: closing a row, and the fund or the market taking one over (rules R10, R12)."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastadl.kernels._jit import borrowing
from fastadl.kernels.layout import locate
from fastadl.kernels.wide import muldiv, trunc_scaled

__all__ = ["Reserve", "close", "close_rows", "find_rows", "floors", "release", "take"]


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
def floors(x, y, z, out):
    """`floor(x · y / z)`, element by element, within the bounds of `muldiv`; all int64 (n)."""
    for i in range(x.shape[0]):
        out[i] = muldiv(x[i], y[i], z[i])[0]
