"""The crowd that is in one place."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import numpy as np

from fastadl.engine.allocation import NEEDS_DETAIL, Quotas, queue, quotas
from fastadl.engine.collective import alone
from fastadl.engine.crowd import Crowd, Ranking
from fastadl.engine.holdings import Holdings, holdings
from fastadl.engine.pool import first_batch
from fastadl.engine.ranking import Candidates, among, candidates
from fastadl.engine.socialize.charged import Bill, Charges
from fastadl.engine.socialize.charging import charge
from fastadl.engine.socialize.sessions import forget_ended, slots_in_debt
from fastadl.engine.state import State
from fastadl.policy import AdlPolicy
from fastadl.schema import IntArray

__all__ = ["Everybody"]

_NOBODY = np.empty(0, np.int32)


@dataclass(frozen=True, slots=True)
class Everybody(Crowd):
    """All traders of one state.

    Attributes
    ----------
    state : State
    policy : AdlPolicy
    number : int
        Of the tick.
    """

    state: State
    policy: AdlPolicy
    number: int

    def holdings(self) -> Holdings:
        """Sums of all rows."""
        return alone(holdings(self.state, _NOBODY))

    def quotas(self, legs: list[int], needs: list[int], excluded: IntArray) -> list[Quotas]:
        """One look at the book."""
        if not legs:
            return []
        state, policy = self.state, self.policy
        detail = policy.allocation in NEEDS_DETAIL
        found = candidates(state, legs, policy, among(state, excluded), self.number, detail=detail)
        return [quotas(state, each, policy, need) for each, need in zip(found, needs, strict=True)]

    def rankings(self, legs: list[int], excluded: IntArray) -> list[Ranking]:
        """One look at the book; who is next is found when asked for."""
        found = candidates(self.state, legs, self.policy, among(self.state, excluded), self.number)
        return [partial(_ranked, each) for each in found]

    def in_debt(self) -> IntArray:
        """Those of the state."""
        return slots_in_debt(self.state)

    def charge(self, bill: Bill) -> Charges:
        """All pay."""
        return alone(charge(self.state, bill, self.policy, _NOBODY))

    def forget_ended(self) -> None:
        """Of the state."""
        forget_ended(self.state)


def _ranked(found: Candidates, part: Fraction) -> Quotas:
    return queue(found, alone(first_batch(found, part)))
