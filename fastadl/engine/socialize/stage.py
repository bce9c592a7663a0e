"""Which debts are charged, how much of them, to whom, and the money that moves (rules R51, R91, R92)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from math import floor
from typing import TypeAlias

import numpy as np

from fastadl.engine.bankruptcy import Bankruptcies
from fastadl.engine.results import Tick, exact_sum
from fastadl.engine.socialize.charged import Charged
from fastadl.engine.socialize.index import charge_holders, debts_by_leg, taken_by_owner
from fastadl.engine.socialize.sessions import forget_ended, gains, slots_in_debt
from fastadl.engine.socialize.winners import Standing, charge_capped, charge_floored
from fastadl.engine.state import FUND, State, bounded
from fastadl.policy import AdlPolicy
from fastadl.schema import FUND as FUND_ID
from fastadl.schema import Int64Array, IntArray

__all__ = ["socialize"]

#: From a currency and what is to be charged, to who pays it.
_Charge: TypeAlias = Callable[[int, int], Charged]

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


def socialize(state: State, tick: Tick, doomed: Bankruptcies, taken: Int64Array, policy: AdlPolicy) -> None:
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
    """
    clawback = policy.socialization == "clawback"
    if clawback:
        if state.session is None or state.session.ended is None:
            return
        slots = slots_in_debt(state)
        debts = _Debts(slots, -state.book.rows.cash[slots])
    else:
        debts = _debts(state, tick, doomed, taken, policy)
    if debts.part.any():
        _charge(state, tick, doomed, taken, debts, policy)
    if clawback:
        forget_ended(state)


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


def _charge(
    state: State, tick: Tick, doomed: Bankruptcies, taken: Int64Array, debts: _Debts, policy: AdlPolicy
) -> None:
    """Charge payers, pay debts in order, and leave the fund what rounding brought (rule R92)."""
    book, by_index = state.book, policy.socialization in _BY_INDEX
    standing = cache(partial(Standing.of, state))
    if by_index:
        owed = debts_by_leg(state, doomed, taken, debts.part)
        charge: _Charge = partial(charge_holders, state, owed, policy.socialization == "opposite_side")
    else:
        charge = _by_winnings(state, standing(), policy)
    amount = np.zeros(len(book.rows.cash), np.int64)
    to_fund = np.zeros(len(state.instruments.currencies), np.int64)
    currency = book.currency[book.rows.account[debts.slot]]
    for c in np.unique(currency[debts.part > 0]).tolist():
        mine = np.flatnonzero(currency == c)
        part = debts.part[mine]
        charged = charge(c, _budget(policy, standing, c, bounded(exact_sum(part), "debt")))
        amount[charged.slot] -= charged.amount
        amount[debts.slot[mine]] += np.clip(charged.covered - (np.cumsum(part) - part), 0, part)
        to_fund[c] = exact_sum(charged.amount) - charged.covered
    _move(state, tick, amount, to_fund)


def _budget(policy: AdlPolicy, standing: Callable[[], Standing], currency: int, debt: int) -> int:
    """How much of a currency's debts is charged (rule R91)."""
    if policy.severity == "matched":
        return min(debt, standing().backing(currency))
    return debt if policy.fraction is None else floor(policy.fraction * debt)


def _by_winnings(state: State, standing: Standing, policy: AdlPolicy) -> _Charge:
    if policy.socialization in ("profit_floor", "haircut"):
        return partial(charge_floored, standing, policy.socialization == "haircut")
    weight = standing.profit
    if policy.socialization != "profit":
        weight = gains(state, standing.account, standing.equity)
    return partial(charge_capped, standing, weight)


def _move(state: State, tick: Tick, amount: Int64Array, to_fund: Int64Array) -> None:
    """Change cash by `amount` (slots) and the fund's by `to_fund` (currencies), and list it by account id."""
    rows, book = state.book.rows, state.book
    some, funds = np.flatnonzero(amount), np.flatnonzero(to_fund)
    state.touch_rows(some, np.empty(0, np.int64))
    rows.cash[some] += amount[some]
    if len(funds):
        state.touch_reserves()
        state.reserve_cash[FUND] += to_fund
        state.check_reserve(FUND)
    account = rows.account[some]
    place = 2 * int((book.accounts < FUND_ID).sum()) - 1 if len(funds) else 0
    by_id = np.concatenate([np.full(len(funds), place), 2 * book.rank[account]])
    order = np.argsort(by_id, kind="stable")
    tick.add(
        "socialized",
        account=np.concatenate([np.full(len(funds), -1), account])[order],
        currency=np.concatenate([funds, book.currency[account]])[order],
        amount=np.concatenate([to_fund[funds], amount[some]])[order],
    )
