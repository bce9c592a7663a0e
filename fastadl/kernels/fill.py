"""ADL fills: bankrupt rows walk the ranking (rules R13, R42, R44, R45)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from fastadl.kernels._jit import kernel, parallel
from fastadl.kernels.account import row_value
from fastadl.kernels.layout import locate
from fastadl.kernels.money import close
from fastadl.kernels.wide import add, ceil_scaled, divide, multiply, whole

__all__ = ["DONE", "FULL", "UNSURE", "Bankrupt", "Fills", "Ranked", "fill"]

#: Answers of `fill`.
DONE, UNSURE, FULL = 0, 1, 2

_CHUNK = 512
#: Bound on the relative error of sums, products and quotients of pairs of float64.
_ROUNDING = 1e-28


class Bankrupt(NamedTuple):
    """Bankrupt rows of one leg, in detection order."""

    slot: Any  # int32
    row: Any  # int64
    lots: Any  # int64   lots to close, unsigned
    value: Any  # int64   transfer value of all of them, where `whole_value`
    whole_value: Any  # bool    else it is `transfer` unit values a lot
    done: Any  # int64   lots closed so far; written


class Ranked(NamedTuple):
    """Candidates with a quota, in rank order."""

    slot: Any  # int32
    row: Any  # int64
    quota: Any  # int64   lots they may still give; written


class Fills(NamedTuple):
    """One entry per fill; written."""

    bankrupt: Any  # int64   place in Bankrupt
    candidate: Any  # int64   place in Ranked
    lots: Any  # int64
    value: Any  # int64   received by the bankrupt account
    bankrupt_profit: Any  # int64
    profit: Any  # int64


@kernel
def _paid(bankrupt, i, lots, side, transfer):
    """What the first `lots` lots of a bankrupt row are paid, rounded up (rule R13)."""
    if bankrupt.whole_value[i]:
        return ceil_scaled(bankrupt.value[i], lots, bankrupt.lots[i])
    return ceil_scaled(side * lots, transfer[0], transfer[1])


@kernel
def fill(bankrupt, ranked, rows, side, transfer, guard, exact, place, fills):
    """Pair bankrupt rows with candidates and move lots and money.

    Parameters
    ----------
    bankrupt : Bankrupt
    ranked : Ranked
    rows : Rows
        Written.
    side : int
        +1 if the bankrupt rows are worth more the more a lot is worth (the sign of their value).
    transfer : int64 (2)
        Numerator and denominator of the transfer |unit value|.
    guard : bool
        Cut fills so that no counterparty ends below zero (rule R45).
    exact : Exact
    place : int64 (5)
        Where to go on: bankrupt row, candidate, fills so far, answer for this pair or −1, first candidate
        with a quota. Written.
    fills : Fills

    Returns
    -------
    int
        `DONE`; `UNSURE` when this pair's cut takes unlimited integers; `FULL` when `fills` has no place left
        (cut candidates may be met again by every bankrupt row).
    """
    start = place[2]
    for i in range(place[0], bankrupt.row.shape[0]):
        c = max(place[1], place[4])
        while c < ranked.row.shape[0] and bankrupt.done[i] < bankrupt.lots[i]:
            if ranked.quota[c] == 0:
                if c == place[4]:
                    place[4] += 1
                c += 1
                continue
            lots = min(bankrupt.lots[i] - bankrupt.done[i], ranked.quota[c])
            if guard:
                most = place[3]
                place[3] = -1
                if most < 0:
                    most = _affordable(bankrupt, i, ranked.slot[c], rows, side, transfer, exact, lots)
                if most < 0:
                    place[0] = i
                    place[1] = c
                    return UNSURE
                lots = min(lots, most)
            if lots > 0:
                if place[2] == fills.lots.shape[0]:
                    place[0] = i
                    place[1] = c
                    place[3] = lots
                    if not guard:
                        _settle(start, place[2], ranked, rows, fills)
                    return FULL
                done = bankrupt.done[i]
                value = _paid(bankrupt, i, done + lots, side, transfer) - (
                    _paid(bankrupt, i, done, side, transfer) if done > 0 else 0
                )
                n = place[2]
                fills.bankrupt[n] = i
                fills.candidate[n] = c
                fills.lots[n] = lots
                fills.value[n] = value
                fills.bankrupt_profit[n] = close(rows, bankrupt.slot[i], bankrupt.row[i], lots, value)
                if guard:  # the next cut looks at what this fill left
                    fills.profit[n] = close(rows, ranked.slot[c], ranked.row[c], lots, -value)
                place[2] = n + 1
                bankrupt.done[i] = done + lots
                ranked.quota[c] -= lots
            c += 1
        place[1] = 0
    place[0] = bankrupt.row.shape[0]
    if not guard:
        _settle(start, place[2], ranked, rows, fills)
    return DONE


@kernel
def _settle_part(first, last, ranked, rows, fills):
    for n in range(first, last):
        c = fills.candidate[n]
        fills.profit[n] = close(rows, ranked.slot[c], ranked.row[c], fills.lots[n], -fills.value[n])


@parallel
def _settle(start, stop, ranked, rows, fills):
    """The counterparties' side of fills `start` to `stop`; all fills of one candidate go to one thread."""
    if stop - start <= _CHUNK:
        _settle_part(start, stop, ranked, rows, fills)
        return
    for chunk in prange((stop - start + _CHUNK - 1) // _CHUNK):
        first = start + chunk * _CHUNK
        last = min(stop, first + _CHUNK)
        while first > start and first < stop and fills.candidate[first] == fills.candidate[first - 1]:
            first += 1
        while last < stop and fills.candidate[last] == fills.candidate[last - 1]:
            last += 1
        _settle_part(first, last, ranked, rows, fills)


@kernel
def _affordable(bankrupt, i, slot, rows, side, transfer, exact, lots):
    """Lots the counterparty can pay for and stay above zero, or −1 if that takes unlimited integers."""
    instrument = rows.leg[bankrupt.row[i]] >> 1
    all_lots = bankrupt.lots[i]
    if bankrupt.whole_value[i]:
        price = whole(bankrupt.value[i])
    elif transfer[0] == exact.units[instrument] and transfer[1] == exact.per[instrument]:
        return lots
    else:
        price = divide(multiply(whole(side * all_lots), whole(transfer[0])), whole(transfer[1]))
    worth = row_value(all_lots if rows.lots[bankrupt.row[i]] > 0.0 else -all_lots, instrument, exact)
    loss = add(price, (-worth[0], -worth[1]))
    unsure = 1e-9 + (abs(price[0]) + abs(worth[0])) * _ROUNDING
    if loss[0] <= unsure:
        return lots if loss[0] < -unsure else -1
    free = whole(rows.cash[slot] - 1)
    g = locate(rows.group_slot, slot)
    width = rows.group_slot[g + 1] - rows.group_slot[g]
    at = rows.group_row[g] + slot - rows.group_slot[g]
    size = abs(free[0])
    for _ in range(rows.group_rows[g]):
        held = int(rows.lots[at])
        if held != 0:
            value = row_value(held, rows.leg[at] >> 1, exact)
            free = add(free, add(value, whole(-rows.entry[at])))
            size += abs(value[0]) + abs(float(rows.entry[at]))
        at += width
    error = 1e-9 + size * _ROUNDING
    if abs(free[0]) < error:
        return -1
    if free[0] < 0.0:
        return 0
    most = divide(multiply(free, whole(all_lots)), loss)
    if most[0] > float(lots) + 1.0:
        return lots
    nearest = np.rint(most[0])
    tolerance = 1e-9 + error * all_lots / loss[0] + most[0] * unsure / loss[0]
    if nearest >= 1.0 and abs((most[0] - nearest) + most[1]) < tolerance:
        return -1
    return int(np.floor(most[0]))
