"""What is remembered when a session begins, and the debts that are settled when it has ended (rule R95)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fastadl.engine.state import State
from fastadl.kernels.layout import expand
from fastadl.policy import AdlPolicy
from fastadl.schema import Int64Array, IntArray

__all__ = ["Session", "begin_session", "forget_ended", "gains", "slots_in_debt"]


@dataclass(frozen=True, slots=True)
class Session:
    """The memory of sessions; replaced, never changed in place.

    Attributes
    ----------
    number : int
        Of the session that runs, from time 0.
    opening : int64 (accounts)
        Equity in atoms, rounded down, just before the session's first mark.
    ended : int64 (accounts) or None
        The opening of the session before, until the debts it left have been charged.
    """

    number: int
    opening: Int64Array
    ended: Int64Array | None

    def carried(self, account: IntArray, atoms: Int64Array) -> Session:
        """As if what came to accounts, or went, had been theirs from the beginning, or never."""
        opening = self.opening.copy()
        ended = None if self.ended is None else self.ended.copy()
        for column in (opening, ended):
            if column is not None:
                np.add.at(column, account, atoms)
        return replace(self, opening=opening, ended=ended)

    def of(self, accounts: IntArray) -> Session:
        """What is remembered of some accounts."""
        ended = None if self.ended is None else self.ended[accounts]
        return replace(self, opening=self.opening[accounts], ended=ended)

    def and_of(self, others: Session) -> Session:
        """With accounts of another part, whose positions come after these."""
        opening = np.concatenate([self.opening, others.opening])
        if self.ended is None or others.ended is None:
            return replace(self, opening=opening)
        return replace(self, opening=opening, ended=np.concatenate([self.ended, others.ended]))


def begin_session(state: State, policy: AdlPolicy, time: int) -> None:
    """Remember every account's equity if a tick, just marked, is the first of its session (rule R95)."""
    if policy.session is None:
        return
    number, before = time // policy.session, state.session
    if before is None or number > before.number:
        opening = state.equity_floor(state.book.slot, state.previous)
        ended = before.opening if before is not None and policy.socialization == "clawback" else None
        state.remember(Session(number, opening, ended))


def gains(state: State, account: IntArray, equity: Int64Array) -> Int64Array:
    """What accounts with some equity have won, int64: in the session that ended, or in the one that runs."""
    session = state.session
    assert session is not None
    if session.ended is not None:
        return (session.opening - session.ended)[account]
    return equity - session.opening[account]


def forget_ended(state: State) -> None:
    """The debts of the ended session have been charged."""
    if state.session is not None:
        state.remember(replace(state.session, ended=None))


def slots_in_debt(state: State) -> IntArray:
    """Accounts without rows whose cash is negative, by id."""
    rows = state.book.rows
    below = np.flatnonzero(rows.cash < 0)
    start, _ = expand(rows, below)
    slots = below[np.diff(start) == 0]
    return slots[np.argsort(state.book.rank[rows.account[slots]])]
