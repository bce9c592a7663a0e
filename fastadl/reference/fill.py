"""ADL fills: bankrupt rows walk the ranking (rules R13, R42, R44, R45)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor
from typing import TYPE_CHECKING

import numpy as np

from fastadl.kernels.fill import Fills
from fastadl.reference.account import equity
from fastadl.reference.money import close

if TYPE_CHECKING:
    from fastadl.kernels.fill import Bankrupt, Ranked
    from fastadl.kernels.layout import Rows

__all__ = ["affordable", "fill"]


def affordable(
    bankrupt: Bankrupt, i: int, rows: Rows, slot: int, transfer: Fraction, units: Sequence[Fraction]
) -> int:
    """Lots a counterparty can close against a bankrupt row and stay above zero (rule R45).

    Parameters
    ----------
    bankrupt : Bankrupt
    i : int
        The bankrupt row.
    rows : Rows
    slot : int
        The counterparty.
    transfer : Fraction
        Transfer unit value, where the row's value is not whole.
    units : sequence of Fraction
        Exact unit values at mark, by instrument.
    """
    at, lots = int(bankrupt.row[i]), int(bankrupt.lots[i])
    signed = lots if rows.lots[at] > 0 else -lots
    price = Fraction(int(bankrupt.value[i])) if bankrupt.whole_value[i] else signed * transfer
    worth = signed * units[int(rows.leg[at]) >> 1]
    if price <= worth:
        return lots
    free = equity(rows, slot, units) - 1
    return min(lots, floor(free * lots / (price - worth))) if free >= 0 else 0


def fill(
    bankrupt: Bankrupt, ranked: Ranked, rows: Rows, transfer: Fraction, units: Sequence[Fraction] | None
) -> Fills:
    """Pair bankrupt rows with candidates and move lots and money (rules R13, R42, R45).

    Parameters
    ----------
    bankrupt, ranked, rows : as in `fastadl.kernels.fill.fill`
        Written.
    transfer : Fraction
        Transfer unit value, where a row's value is not whole.
    units : sequence of Fraction, optional
        Exact unit values at mark; given when no counterparty may end below zero.
    """
    fills = []
    for i in range(len(bankrupt.row)):
        at, all_lots = int(bankrupt.row[i]), int(bankrupt.lots[i])
        side = 1 if rows.lots[at] > 0 else -1
        total = int(bankrupt.value[i]) if bankrupt.whole_value[i] else side * all_lots * transfer
        for c in range(len(ranked.row)):
            done = int(bankrupt.done[i])
            lots = min(all_lots - done, int(ranked.quota[c]))
            if units is not None and lots > 0:
                lots = min(lots, affordable(bankrupt, i, rows, int(ranked.slot[c]), transfer, units))
            if lots <= 0:
                continue
            value = ceil(Fraction(total) * (done + lots) / all_lots) - ceil(Fraction(total) * done / all_lots)
            lost = close(rows, int(bankrupt.slot[i]), at, lots, value)
            won = close(rows, int(ranked.slot[c]), int(ranked.row[c]), lots, -value)
            fills.append((i, c, lots, value, lost, won))
            bankrupt.done[i] += lots
            ranked.quota[c] -= lots
    return Fills(*np.array(fills, np.int64).reshape(-1, 6).T.copy())
