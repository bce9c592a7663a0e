"""ADL fills: bankrupt rows walk the ranking (rules R13, R42, R44, R45, R85, R86)."""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import prange

from fastadl.kernels._jit import borrowing, parallel
from fastadl.kernels.guard import UNCUT, allowed
from fastadl.kernels.money import close
from fastadl.kernels.wide import ceil_scaled, trunc_scaled

__all__ = [
    "DONE",
    "FULL",
    "SHORT",
    "SOLVENT",
    "SOUND",
    "UNGUARDED",
    "UNSURE",
    "Bankrupt",
    "Fills",
    "Ranked",
    "Refusals",
    "fill",
]

#: Answers of `fill`.
DONE, UNSURE, FULL, SHORT = 0, 1, 2, 3
#: What no fill may do to its counterparty: nothing is asked; take it below zero (R45), or its health (R86).
UNGUARDED, SOLVENT, SOUND = 0, 1, 2

_CHUNK = 512


class Bankrupt(NamedTuple):
    """Bankrupt rows of one leg, in detection order."""

    slot: Any  # int32
    row: Any  # int64
    lots: Any  # int64   lots that `value` is for, unsigned
    need: Any  # int64   how many of them to close
    value: Any  # int64   transfer value of all lots, where `whole_value`
    whole_value: Any  # bool    else it is `transfer` unit values a lot
    done: Any  # int64   lots closed so far; written


class Ranked(NamedTuple):
    """Candidates with a quota, in rank order; all of them, or the first ones."""

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


class Refusals(NamedTuple):
    """One entry per fill that the guard cut; written."""

    bankrupt: Any  # int64   place in Bankrupt
    candidate: Any  # int64   place in Ranked
    lots: Any  # int64   asked for and not taken
    reason: Any  # int64   `guard.BELOW_ZERO` or `guard.HEALTH`


@borrowing
def _paid(bankrupt, i, lots, side, transfer):
    """What the first `lots` lots of a bankrupt row are paid, rounded up (rule R13)."""
    if bankrupt.whole_value[i]:
        return ceil_scaled(bankrupt.value[i], lots, bankrupt.lots[i])
    return ceil_scaled(side * lots, transfer[0], transfer[1])


@borrowing
def fill(bankrupt, ranked, rows, side, transfer, at_entry, guard, margins, exact, place, fills, refusals):
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
    at_entry : bool
        Settle each fill at the counterparty's entry value instead (rule R85); unguarded.
    guard : int
        `UNGUARDED`, `SOLVENT` or `SOUND`.
    margins : Margins
    exact : Exact
    place : int64 (8)
        Where to go on: bankrupt row, candidate, fills so far, lots allowed for this pair or −1, first
        candidate with a quota, why no more are allowed, refusals so far. Written. The last one is read: 1 if
        more candidates may be ranked behind these, else 0.
    fills : Fills
    refusals : Refusals

    Returns
    -------
    int
        `DONE`; `UNSURE` when this pair's cut takes unlimited integers; `FULL` when `fills` or `refusals` has
        no place left (cut candidates may be met again by every bankrupt row); `SHORT` when a row has passed
        all candidates, some of its lots are left, and more candidates may be ranked.
    """
    start = place[2]
    in_turn = at_entry or guard != UNGUARDED  # a fill depends on what those before it left
    for i in range(place[0], bankrupt.row.shape[0]):
        c = max(place[1], place[4])
        while c < ranked.row.shape[0] and bankrupt.done[i] < bankrupt.need[i]:
            if ranked.quota[c] == 0:
                if c == place[4]:
                    place[4] += 1
                c += 1
                continue
            if place[2] == fills.lots.shape[0] or (guard and place[6] == refusals.lots.shape[0]):
                place[0] = i
                place[1] = c
                if not in_turn:
                    _settle(start, place[2], ranked, rows, fills)
                return FULL
            lots = min(bankrupt.need[i] - bankrupt.done[i], ranked.quota[c])
            if guard:
                asked = lots
                lots = place[3]
                reason = place[5]
                place[3] = -1
                if lots < 0:
                    lots, reason = allowed(
                        bankrupt, i, ranked.slot[c], ranked.row[c], asked, rows, side, transfer,
                        guard == SOUND, margins, exact,
                    )  # fmt: skip
                if lots < 0:
                    place[0] = i
                    place[1] = c
                    return UNSURE
                if reason != UNCUT:
                    n = place[6]
                    refusals.bankrupt[n] = i
                    refusals.candidate[n] = c
                    refusals.lots[n] = asked - lots
                    refusals.reason[n] = reason
                    place[6] = n + 1
            if lots > 0:
                done = bankrupt.done[i]
                if at_entry:
                    held = int(abs(rows.lots[ranked.row[c]]))
                    value = -trunc_scaled(rows.entry[ranked.row[c]], lots, held)
                else:
                    value = _paid(bankrupt, i, done + lots, side, transfer) - (
                        _paid(bankrupt, i, done, side, transfer) if done > 0 else 0
                    )
                n = place[2]
                fills.bankrupt[n] = i
                fills.candidate[n] = c
                fills.lots[n] = lots
                fills.value[n] = value
                fills.bankrupt_profit[n] = close(rows, bankrupt.slot[i], bankrupt.row[i], lots, value)
                if in_turn:
                    fills.profit[n] = close(rows, ranked.slot[c], ranked.row[c], lots, -value)
                place[2] = n + 1
                bankrupt.done[i] = done + lots
                ranked.quota[c] -= lots
            c += 1
        if place[7] == 1 and bankrupt.done[i] < bankrupt.need[i]:
            place[0] = i
            place[1] = c
            if not in_turn:
                _settle(start, place[2], ranked, rows, fills)
            return SHORT
        place[1] = 0
    place[0] = bankrupt.row.shape[0]
    if not in_turn:
        _settle(start, place[2], ranked, rows, fills)
    return DONE


@borrowing
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
