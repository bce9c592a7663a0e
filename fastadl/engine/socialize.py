"""Stage 5, wealth space: debts are charged to winners in cash (rules R50, R51)."""

from __future__ import annotations

import numpy as np

from fastadl.engine.fund import Bankruptcies
from fastadl.engine.ranking import fill_threshold
from fastadl.engine.results import Tick
from fastadl.engine.state import State

__all__ = ["socialize"]


def socialize(state: State, tick: Tick, doomed: Bankruptcies) -> None:
    """Charge the debts of bankrupt accounts to accounts in profit, by profit (rule R51)."""
    rows, book = state.book.rows, state.book
    debtors = doomed.work.slot
    debt = np.maximum(-rows.cash[debtors], 0)
    if not debt.any():
        return
    slots = np.arange(len(rows.cash))
    profit = state.profit_floor(slots)
    equity = rows.cash + profit
    paying = (profit > 0) & (equity > 0)
    paying[debtors] = False
    amount = np.zeros(len(rows.cash), np.int64)
    currency = book.currency[rows.account]
    for c in range(len(state.instruments.currencies)):
        owing = np.flatnonzero(currency[debtors] == c)
        payers = np.flatnonzero(paying & (currency == c))
        cap = np.minimum(profit[payers], equity[payers])
        budget = min(int(debt[owing].sum()), sum(cap.tolist()))
        if budget > 0:
            tie = book.rank[rows.account[payers]]
            amount[payers] = -fill_threshold(cap, profit[payers], budget, tie)
            before = np.cumsum(debt[owing]) - debt[owing]
            amount[debtors[owing]] = np.clip(budget - before, 0, debt[owing])
    some = np.flatnonzero(amount)
    state.touch(some)
    rows.cash[some] += amount[some]
    by_id = some[np.argsort(book.rank[rows.account[some]])]
    tick.add("socialized", account=rows.account[by_id], amount=amount[by_id])
