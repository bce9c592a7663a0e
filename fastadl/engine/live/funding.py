"""Funding payments between longs and shorts (rule R105)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from fastadl.book import row_slots
from fastadl.engine.state import FUND, MARKET, State
from fastadl.engine.worth import values_at
from fastadl.errors import BoundsError
from fastadl.schema import ROW_BOUND, Int64Array

__all__ = ["Funding", "pay"]


@dataclass(frozen=True, slots=True)
class Funding:
    """What a funding payment moved, by currency, in atoms: int64 (currencies) each.

    Attributes
    ----------
    paid, received : int64 (currencies)
        By and to all accounts, fund and market among them.
    residue : int64 (currencies)
        What was paid and not received, which the fund got besides; below zero only where longs and shorts do
        not balance, and then paid by the fund.
    """

    paid: Int64Array
    received: Int64Array
    residue: Int64Array


def pay(state: State, rates: Mapping[int, Fraction]) -> Funding:
    """Every long pays its rate times its notional at mark, every short receives it, or the other way round.

    What is paid is rounded up, what is received down.

    Parameters
    ----------
    state : State
    rates : mapping
        Part of the notional that longs pay, by instrument; below zero, shorts pay.
    """
    book, rows, instruments = state.book, state.book.rows, state.instruments
    units = {i: rate * abs(state.marks.units[i]) for i, rate in rates.items()}
    pays = np.zeros(len(instruments), np.bool_)
    pays[list(units)] = True
    moved = np.zeros((2, len(instruments.currencies)), np.int64)
    row = np.flatnonzero((rows.lots != 0.0) & pays[rows.leg >> 1])
    instrument = (rows.leg[row] >> 1).astype(np.int64)
    due = _due(state, rows.lots[row].astype(np.int64), instrument, units, moved)
    reserves = [np.flatnonzero((book.reserve_lots[who] != 0) & pays) for who in (FUND, MARKET)]
    owed = [
        _due(state, book.reserve_lots[who, held], held, units, moved)
        for who, held in zip((FUND, MARKET), reserves, strict=True)
    ]
    before, paid = rows.cash.copy(), np.zeros(len(rows.cash), np.int64)
    np.add.at(paid, row_slots(rows)[row], due)
    state.touch_reserves()
    state.touch_all(before)
    rows.cash[:] -= paid
    for slot in np.flatnonzero(np.abs(rows.cash) > ROW_BOUND):
        if abs(int(rows.cash[slot])) > abs(int(before[slot])):
            name = book.accounts[int(rows.account[slot])]
            raise BoundsError(("rates",), name, "keep cash within 2^53 atoms (rule R1)")
    for who, held, dues in zip((FUND, MARKET), reserves, owed, strict=True):
        np.subtract.at(state.reserve_cash[who], instruments.currency[held], dues)
    residue = moved[0] - moved[1]
    state.reserve_cash[FUND] += residue
    for who in (FUND, MARKET):
        state.check_reserve(who)
    return Funding(moved[0], moved[1], residue)


def _due(
    state: State, lots: Int64Array, which: Int64Array, units: Mapping[int, Fraction], moved: Int64Array
) -> Int64Array:
    """What rows pay, below zero what they receive, rounded up; both are added to `moved` by currency."""
    due = -values_at(-lots, which, units)
    state.claim(float(np.abs(due.astype(np.float64)).sum()))
    currency = state.instruments.currency[which]
    np.add.at(moved[0], currency, np.maximum(due, 0))
    np.add.at(moved[1], currency, np.maximum(-due, 0))
    return due
