"""Funding payments between longs and shorts (rule R105)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from fastadl.book import row_slots
from fastadl.engine.state import FUND, MARKET, State
from fastadl.engine.worth import values_at
from fastadl.errors import BoundsError
from fastadl.schema import ROW_BOUND, BoolArray, Int64Array

__all__ = ["Funding", "Paid", "pay", "pay_reserves", "pay_rows"]


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


@dataclass(frozen=True, slots=True)
class Paid:
    """What accounts have paid and received.

    Attributes
    ----------
    moved : int64 (2, currencies)
        Paid and received.
    beyond : list of (account, id)
        Who has more cash by it than rule R1 allows.
    """

    moved: Int64Array
    beyond: list[tuple[int, str]]

    def by_code(self, codes: Int64Array) -> Paid:
        """The same accounts as positions elsewhere."""
        return replace(self, beyond=[(int(codes[account]), name) for account, name in self.beyond])

    @classmethod
    def of(cls, parts: Sequence[Paid]) -> Paid:
        """Those of several parts of a book together."""
        return cls(
            moved=np.sum([each.moved for each in parts], axis=0),
            beyond=[found for each in parts for found in each.beyond],
        )


def pay(state: State, rates: Mapping[int, Fraction]) -> Funding:
    """Every long pays its rate times its notional at mark, every short receives it, or the other way round.

    What is paid is rounded up, what is received down.

    Parameters
    ----------
    state : State
    rates : mapping
        Part of the notional that longs pay, by instrument; below zero, shorts pay.
    """
    return pay_reserves(state, rates, pay_rows(state, rates))


def pay_rows(state: State, rates: Mapping[int, Fraction]) -> Paid:
    """Have accounts pay and receive; whether they may, `pay_reserves` says, which knows of all parts."""
    book, rows = state.book, state.book.rows
    units, pays, moved = _terms(state, rates)
    row = np.flatnonzero((rows.lots != 0.0) & pays[rows.leg >> 1])
    instrument = (rows.leg[row] >> 1).astype(np.int64)
    due = _due(state, rows.lots[row].astype(np.int64), instrument, units, moved)
    before, paid = rows.cash.copy(), np.zeros(len(rows.cash), np.int64)
    np.add.at(paid, row_slots(rows)[row], due)
    state.touch_all(before)
    rows.cash[:] -= paid
    large = np.flatnonzero(np.abs(rows.cash) > ROW_BOUND)
    beyond = rows.account[large[np.abs(rows.cash[large]) > np.abs(before[large])]].tolist()
    return Paid(moved, [(account, book.accounts[account]) for account in beyond])


def pay_reserves(state: State, rates: Mapping[int, Fraction], paid: Paid) -> Funding:
    """Have fund and market account pay and receive as accounts have, and the fund get what is left over."""
    if paid.beyond:
        _, name = min(paid.beyond)
        raise BoundsError(("rates",), name, "keep cash within 2^53 atoms (rule R1)")
    book, currency = state.book, state.instruments.currency
    units, pays, mine = _terms(state, rates)
    state.touch_reserves()
    for who in (FUND, MARKET):
        held = np.flatnonzero((book.reserve_lots[who] != 0) & pays)
        due = _due(state, book.reserve_lots[who, held], held, units, mine)
        np.subtract.at(state.reserve_cash[who], currency[held], due)
    moved = paid.moved + mine
    residue = moved[0] - moved[1]
    state.reserve_cash[FUND] += residue
    for who in (FUND, MARKET):
        state.check_reserve(who)
    return Funding(moved[0], moved[1], residue)


def _terms(state: State, rates: Mapping[int, Fraction]) -> tuple[dict[int, Fraction], BoolArray, Int64Array]:
    """What a lot pays by instrument, which instruments pay, and nothing paid and received yet."""
    units = {i: rate * abs(state.marks.units[i]) for i, rate in rates.items()}
    pays = np.zeros(len(state.instruments), np.bool_)
    pays[list(units)] = True
    return units, pays, np.zeros((2, len(state.instruments.currencies)), np.int64)


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
