"""The insurance fund's takeover of bankrupt positions, within its room (rules R14, R27)."""

from __future__ import annotations

import numpy as np

from fastadl.kernels._jit import kernel
from fastadl.kernels.account import row_value
from fastadl.kernels.money import close, take
from fastadl.kernels.wide import add, divide, muldiv, multiply, whole

__all__ = ["DEBT", "DONE", "LOTS", "ROOM", "takeover"]

#: Answers of `takeover`: finished, or what must be told exactly: the room, the lots that fit, the debt paid.
DONE, ROOM, LOTS, DEBT = 0, 1, 2, 3

#: Bound on the relative error of sums, products and quotients of pairs of float64.
_ROUNDING = 1e-28


@kernel
def takeover(work, members, currency, left, value, rows, exact, reserve, room, place, taken, paid):
    """Take over rows of bankrupt accounts in order while there is room.

    Stops where float64 pairs cannot decide how many lots fit; the caller settles that one row with unlimited
    integers, hands the answer in and calls again.

    Parameters
    ----------
    work : Work
    members : int64 (accounts)
        Accounts of one currency, in detection order.
    currency : int
        That currency.
    left, value : int64 (rows)
        Lots and bankruptcy value not yet taken; written.
    rows : Rows
        Written.
    exact : Exact
    reserve : Reserve
        The fund; written.
    room : float64 (3)
        Room in two parts, written, and a bound on what the parts can be off by.
    place : int64 (3)
        Where to go on: account of `members`, row within it, answer for that row or debt, or −1. Written.
    taken, paid : int64 (rows), int64 (accounts)
        Written: lots taken of each row (their value is what `value` lost) and cash paid for a debt.

    Returns
    -------
    int
        `DONE`, `ROOM`, `LOTS` or `DEBT`.
    """
    free = (room[0], room[1])
    for m in range(place[0], members.shape[0]):
        a = members[m]
        open_rows = 0
        for r in range(work.start[a], work.start[a + 1]):
            if r - work.start[a] >= place[1]:
                fits = place[2]
                place[2] = -1
                if fits < 0:
                    if free[0] <= 0.0:
                        place[0] = m
                        place[1] = r - work.start[a]
                        room[0] = free[0]
                        room[1] = free[1]
                        return ROOM
                    fits = _fitting(work, r, left[r], value[r], exact, free, room[2])
                if fits < 0:
                    place[0] = m
                    place[1] = r - work.start[a]
                    room[0] = free[0]
                    room[1] = free[1]
                    return LOTS
                if fits > 0:
                    free = _take_row(work, a, r, fits, left, value, rows, exact, reserve, free)
                    taken[r] = fits
                    worth = row_value(fits, work.leg[r] >> 1, exact)
                    room[2] += abs(worth[0]) * _ROUNDING
            if left[r] > 0:
                open_rows += 1
        place[1] = 0
        debt = -rows.cash[work.slot[a]]
        if open_rows == 0 and debt > 0 and (free[0] > 0.0 or place[2] >= 0):
            amount = place[2]
            place[2] = -1
            if amount < 0:
                amount = _affordable(debt, free, room[2])
            if amount < 0:
                place[0] = m
                place[1] = work.start[a + 1] - work.start[a]
                room[0] = free[0]
                room[1] = free[1]
                return DEBT
            rows.cash[work.slot[a]] += amount
            reserve.cash[currency] -= amount
            paid[a] = amount
            free = add(free, whole(-amount))
    place[0] = members.shape[0]
    room[0] = free[0]
    room[1] = free[1]
    return DONE


@kernel
def _take_row(work, a, r, fits, left, value, rows, exact, reserve, free):
    """Move lots and money of one takeover; returns the room that is left."""
    instrument = work.leg[r] >> 1
    side = 1 if work.lots[r] > 0 else -1
    pays, _ = muldiv(value[r], fits, left[r])
    close(rows, work.slot[a], work.row[r], fits, pays)
    take(reserve, instrument, side, fits, pays)
    left[r] -= fits
    value[r] -= pays
    return add(free, add(whole(-pays), row_value(side * fits, instrument, exact)))


@kernel
def _fitting(work, r, lots, value, exact, free, error):
    """Lots that fit into the room, or −1 if that takes unlimited integers."""
    if not free[0] > 1e-6 + error:
        return -1
    side = 1 if work.lots[r] > 0 else -1
    worth = row_value(side * lots, work.leg[r] >> 1, exact)
    loss = add(whole(value), (-worth[0], -worth[1]))
    unsure = 1e-9 + abs(worth[0]) * _ROUNDING
    if loss[0] <= unsure:
        return lots if loss[0] < -unsure else -1
    many = divide(multiply(free, whole(lots)), loss)
    if many[0] > float(lots) + 1.0:
        return lots
    nearest = np.rint(many[0])
    tolerance = 1e-9 + (error + unsure) * lots / loss[0]
    if nearest >= 1.0 and abs((many[0] - nearest) + many[1]) < tolerance:
        return -1
    return min(lots, int(np.floor(many[0])))


@kernel
def _affordable(debt, free, error):
    """Debt the room covers in whole atoms, or −1 if that takes unlimited integers."""
    if float(debt) + 1.0 < free[0]:
        return debt
    nearest = np.rint(free[0])
    if free[0] > 4e18 or abs((free[0] - nearest) + free[1]) < 1e-6 + error:
        return -1
    return min(debt, int(np.floor(free[0])))
