"""Charging a bill to everybody, wherever they are (rules R51, R91 to R95)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from math import floor
from typing import TypeAlias

import numpy as np

from fastadl.engine.collective import Steps
from fastadl.engine.socialize.charged import Bill, Charged, Charges
from fastadl.engine.socialize.index import Holders, charge_holders
from fastadl.engine.socialize.moves import fund_place
from fastadl.engine.socialize.sessions import gains
from fastadl.engine.socialize.winners import Standing, charge_capped, charge_floored
from fastadl.engine.state import State
from fastadl.policy import AdlPolicy
from fastadl.schema import IntArray

__all__ = ["charge"]

#: From a currency and what is to be charged, to who pays it.
_Charge: TypeAlias = Callable[[int, int], Steps[Charged]]


def charge(state: State, bill: Bill, policy: AdlPolicy, lent: IntArray) -> Steps[Charges]:
    """Find who pays a bill; nothing is changed yet.

    Parameters
    ----------
    state : State
        Of this part.
    bill : Bill
    policy : AdlPolicy
    lent : int (n)
        Slots of accounts that are looked at in another part.

    Returns
    -------
    Charges
        `move` takes what this part is charged from its accounts.
    """
    aside = np.unique(np.concatenate([state.book.slot[state.exempt], lent]))
    standing = cache(partial(Standing.of, state, aside))
    pay: _Charge
    if bill.owed is not None:
        holders = yield from Holders.of(state, aside)
        pay = partial(charge_holders, holders, bill.owed, policy.socialization == "opposite_side")
    else:
        pay = _by_winnings(state, standing(), policy)
    amount = np.zeros(len(state.book.rows.cash), np.int64)
    covered, rest = [0] * len(bill.debts), [0] * len(bill.debts)
    for c, debt in enumerate(bill.debts):
        if debt > 0:
            charged = yield from pay(c, (yield from _budget(policy, standing, c, debt)))
            amount[charged.slot] = charged.amount
            covered[c], rest[c] = charged.covered, charged.total - charged.covered
    place = (yield from fund_place(state.book)) if any(rest) else -1
    return Charges(amount, tuple(covered), tuple(rest), place)


def _budget(policy: AdlPolicy, standing: Callable[[], Standing], currency: int, debt: int) -> Steps[int]:
    """How much of a currency's debts is charged (rule R91)."""
    if policy.severity == "matched":
        return min(debt, (yield from standing().backing(currency)))
    return debt if policy.fraction is None else floor(policy.fraction * debt)


def _by_winnings(state: State, standing: Standing, policy: AdlPolicy) -> _Charge:
    if policy.socialization in ("profit_floor", "haircut"):
        return partial(charge_floored, standing, policy.socialization == "haircut")
    weight = standing.profit
    if policy.socialization != "profit":
        weight = gains(state, standing.account, standing.equity)
    return partial(charge_capped, standing, weight)
