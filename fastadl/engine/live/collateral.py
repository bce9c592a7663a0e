"""What an account can withdraw: cash or equity, whichever is less, beyond its margins (rule R104)."""

from __future__ import annotations

from math import floor

import numpy as np

from fastadl import reference
from fastadl.engine.state import FUND, State
from fastadl.kernels.collateral import Ladder, collateral
from fastadl.schema import Float64Array, Int64Array, IntArray

__all__ = ["affordable", "free_collateral", "free_fund"]


def free_collateral(state: State, accounts: IntArray) -> Int64Array:
    """What accounts can withdraw: max(0, min(cash, equity) − margin), rounded down, in atoms.

    Margin is Σ initial margin, or Σ maintenance margin where that is more.
    """
    free, bound = _estimated(state, accounts)
    frozen = state.orders.among(accounts)  # equity stands behind what is on order
    free[frozen] = bound[frozen] = 0.0
    out = np.floor(np.maximum(free, 0.0)).astype(np.int64)
    unsure = (free + bound >= 0.0) & (np.floor(free - bound) != np.floor(free + bound))
    for i in np.flatnonzero(unsure):
        slot = int(state.book.slot[accounts[i]])
        exact = reference.collateral(state.book.rows, slot, state.marks.units, state.instruments)
        out[i] = max(0, floor(exact))
    return out


def free_fund(state: State, currency: int) -> int:
    """What can be withdrawn from the fund: max(0, min(cash, equity)), rounded down, in atoms."""
    equity = floor(state.reserve_equity(FUND, currency))
    return max(0, min(int(state.reserve_cash[FUND, currency]), equity))


def affordable(state: State, account: IntArray, wanted: Int64Array) -> int | None:
    """The first row that wants more than its account has free, or None.

    Parameters
    ----------
    state : State
    account : int32 (n)
    wanted : int64 (n)
        Atoms wanted by this row and all before it of its account.
    """
    free, bound = _estimated(state, account)
    near = np.flatnonzero((wanted > free - bound) | state.orders.among(account))
    beyond = wanted[near] > free_collateral(state, account[near])
    return int(near[beyond.argmax()]) if beyond.any() else None


def _estimated(state: State, accounts: IntArray) -> Float64Array:
    """Least of cash and equity less initial margin, and the bound of its error: float64 (2, n)."""
    tiers, out = state.instruments.tiers, np.empty((2, len(accounts)))
    ladder = Ladder(tiers.start, tiers.min_notional, tiers.initial_rate)
    collateral(state.book.rows, state.book.slot[accounts], state.marks.unit, state.margins, ladder, out)
    return out
