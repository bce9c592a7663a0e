"""Which debts are charged, and the money that moves (rules R51, R91, R92)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastadl.engine.bankruptcy import Bankruptcies
from fastadl.engine.crowd import Crowd
from fastadl.engine.results import Tick, exact_sum
from fastadl.engine.socialize.charged import Bill
from fastadl.engine.socialize.index import debts_by_leg, taken_by_owner
from fastadl.engine.socialize.moves import by_id, move, move_to_fund
from fastadl.engine.state import State, bounded
from fastadl.policy import AdlPolicy
from fastadl.schema import Int64Array, IntArray

__all__ = ["socialize"]

_BY_INDEX = ("open_interest", "opposite_side")


@dataclass(frozen=True, slots=True)
class _Debts:
    """Debts in the order they are paid.

    Attributes
    ----------
    slot : int (n)
    part : int64 (n)
        What of each may be charged.
    """

    slot: IntArray
    part: Int64Array


def socialize(
    state: State, tick: Tick, doomed: Bankruptcies, taken: Int64Array, policy: AdlPolicy, crowd: Crowd
) -> None:
    """Charge debts to those whom the policy names (rules R51, R91 to R95).

    Parameters
    ----------
    state : State
    tick : Tick
    doomed : Bankruptcies
        The bankrupt accounts; all their rows are closed.
    taken : int64 (rows)
        What the fund paid at mark for each of them (rule R50).
    policy : AdlPolicy
    crowd : Crowd
        Who is charged.
    """
    clawback = policy.socialization == "clawback"
    if clawback:
        if state.session is None or state.session.ended is None:
            return
        slots = crowd.in_debt()
        debts = _Debts(slots, -state.book.rows.cash[slots])
    else:
        debts = _debts(state, tick, doomed, taken, policy)
    if debts.part.any():
        by_index = policy.socialization in _BY_INDEX
        owed = debts_by_leg(state, doomed, taken, debts.part) if by_index else None
        _charge(state, tick, debts, owed, crowd)
    if clawback:
        crowd.forget_ended()


def _debts(state: State, tick: Tick, doomed: Bankruptcies, taken: Int64Array, policy: AdlPolicy) -> _Debts:
    """Debts of bankrupt accounts, as far as they are socialised, in detection order."""
    rows, slots = state.book.rows, doomed.work.slot
    part = np.maximum(-rows.cash[slots], 0)
    if policy.severity == "trigger_loss" and len(slots):
        detected = tick.columns("liquidations")["equity"][np.isin(tick.accounts, rows.account[slots])]
        part = np.minimum(part, np.maximum(-detected, 0))
    if policy.socialization in _BY_INDEX:
        part[taken_by_owner(doomed, taken) == 0] = 0
    return _Debts(slots, part)


def _charge(state: State, tick: Tick, debts: _Debts, owed: Int64Array | None, crowd: Crowd) -> None:
    """Charge payers, pay debts in order, and leave the fund what rounding brought (rule R92)."""
    book = state.book
    currency = book.currency[book.rows.account[debts.slot]]
    members = [np.flatnonzero(currency == c) for c in range(len(state.instruments.currencies))]
    total = tuple(bounded(exact_sum(debts.part[mine]), "debt") for mine in members)
    charges = crowd.charge(Bill(total, owed))
    amount = -charges.amount
    for mine, covered in zip(members, charges.covered, strict=True):
        part = debts.part[mine]
        amount[debts.slot[mine]] += np.clip(covered - (np.cumsum(part) - part), 0, part)
    moves = by_id([move_to_fund(state, charges.rest, charges.fund_place), move(state, amount)])
    tick.add(
        "socialized",
        account=moves.account,
        currency=moves.currency,
        amount=moves.amount,
        place=moves.place,
    )
