"""Charging winners by what they won (rules R51, R93)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastadl.engine.collective import Most, Steps, Sum
from fastadl.engine.results import exact_sum
from fastadl.engine.sharing import fill_threshold
from fastadl.engine.socialize.charged import Charged
from fastadl.engine.state import State
from fastadl.kernels.allocate import shares
from fastadl.schema import Int64Array, IntArray

__all__ = ["Standing", "charge_capped", "charge_floored"]

#: Sums of weights that kernels take.
_MOST = 1 << 61


@dataclass(frozen=True, slots=True)
class Standing:
    """What accounts have, just before anybody is charged; bankrupt ones have no rows and no equity left.

    Those who are not charged here stand as if they had nothing.

    Attributes
    ----------
    account : int32 (slots)
    currency : int16 (slots)
    tie : int32 (slots)
        Order of the account ids.
    profit, equity : int64 (slots)
        Atoms, rounded down.
    """

    account: IntArray
    currency: IntArray
    tie: IntArray
    profit: Int64Array
    equity: Int64Array

    @classmethod
    def of(cls, state: State, aside: IntArray) -> Standing:
        """How all of a part stand, but those of some slots."""
        rows, book = state.book.rows, state.book
        profit = state.profit_floor(np.arange(len(rows.cash)))
        account, equity = rows.account, rows.cash + profit
        profit[aside] = equity[aside] = 0
        return cls(account, book.currency[account], book.rank[account], profit, equity)

    def backing(self, currency: int) -> Steps[int]:
        """Σ min(w, ⌊equity⌋) over the payers of rule R51."""
        able = (self.currency == currency) & (self.profit > 0) & (self.equity > 0)
        total: int = yield Sum(exact_sum(np.minimum(self.profit[able], self.equity[able])))
        return total


def charge_capped(standing: Standing, weight: Int64Array, currency: int, budget: int) -> Steps[Charged]:
    """Charge ``min(cap, τ · weight)`` with ``cap = min(weight, equity)`` (rule R51).

    Parameters
    ----------
    standing : Standing
    weight : int64 (slots)
        Who has none, or no equity, does not pay.
    currency, budget : int
    """
    payers = np.flatnonzero((standing.currency == currency) & (weight > 0) & (standing.equity > 0))
    weight = weight[payers]
    cap = np.minimum(weight, standing.equity[payers])
    budget = min(budget, (yield Sum(exact_sum(cap))))
    amount = yield from fill_threshold(cap, weight, budget, standing.tie[payers])
    return Charged(payers, amount, budget, budget)


def charge_floored(standing: Standing, rest_to_fund: bool, currency: int, budget: int) -> Steps[Charged]:
    """Leave every winner the floor of his share of what is left of all profits (rule R93).

    Parameters
    ----------
    standing : Standing
    rest_to_fund : bool
        Who gets what the floors leave: the fund, or the payer with the largest id.
    currency, budget : int
    """
    payers = np.flatnonzero((standing.currency == currency) & (standing.profit > 0))
    weight, tie = standing.profit[payers], standing.tie[payers]
    total = yield Sum(exact_sum(weight))
    budget = min(budget, total)
    amount = weight - _floors(weight, total - budget, total)
    charged = yield Sum(exact_sum(amount))
    if not rest_to_fund:
        last = yield Most(int(tie.max(initial=-1)))
        amount[tie == last] -= charged - budget
        charged = budget
    return Charged(payers, amount, budget, charged)


def _floors(weight: Int64Array, part: int, total: int) -> Int64Array:
    """``weight · part / total``, rounded down."""
    if total >= _MOST:
        return np.array([w * part // total for w in weight.tolist()], np.int64)
    down, rest = np.empty_like(weight), np.empty_like(weight)
    shares(part, weight, total, down, rest)
    return down
