"""The marks that rows are ranked at: the present ones, or for long rows others than for short ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastadl.book import slots_of
from fastadl.engine.ranking import context_of
from fastadl.engine.scoring import scoring
from fastadl.engine.state import State
from fastadl.kernels.measure import ONE_BY_ONE, Context, measure
from fastadl.kernels.standing import Values
from fastadl.policy import AdlPolicy
from fastadl.schema import BoolArray, Float64Array, IntArray

__all__ = ["Sides"]


@dataclass(frozen=True, slots=True)
class Sides:
    """One book at the marks of its long rows and at those of its short ones.

    Attributes
    ----------
    long, short : State
        The same where the marks are.
    """

    long: State
    short: State

    @classmethod
    def alike(cls, state: State) -> Sides:
        """All rows at the marks of a state."""
        return cls(state, state)

    @property
    def apart(self) -> bool:
        """Whether the marks are not the same."""
        return self.long is not self.short

    def of(self, leg: int) -> State:
        """At the marks of a leg's rows."""
        return self.short if leg & 1 else self.long

    def values(self) -> Values:
        """Unit values for kernels."""
        long, short = self.long.marks.unit, self.short.marks.unit
        account = np.stack([np.repeat(each, 2) for each in ((long, short) if self.apart else (long,))])
        return Values(account, np.stack([long, short], 1).ravel(), np.stack([short, long], 1).ravel())

    def context(self, leg: int, policy: AdlPolicy, number: int) -> Context:
        """What the scores of a leg's rows are made from."""
        return context_of(self.of(leg), policy, number)

    def scores(self, row: IntArray, policy: AdlPolicy, number: int) -> Float64Array:
        """Scores of some rows."""
        how, found = scoring(policy.score), np.empty(len(row))
        for side, some in self._split(row):
            context = self.context(side, policy, number)
            slot = slots_of(context, row[some]).astype(np.int32)
            parts = np.empty((3, len(slot)))
            measure(how.number, how.needs, how.own, row[some], slot, *ONE_BY_ONE, context, parts)
            found[some] = parts[0]
        return found

    def able(self, row: IntArray) -> BoolArray:
        """Whether the accounts of some rows have equity of at least 0, exactly (rules R5, R40)."""
        found = np.empty(len(row), np.bool_)
        for side, some in self._split(row):
            slots, place = np.unique(slots_of(self.long.book.rows, row[some]), return_inverse=True)
            found[some] = (self.of(side).equity_floor(slots) >= 0)[place]
        return found

    def _split(self, row: IntArray) -> list[tuple[int, IntArray]]:
        """Sides, 0 or 1, and which of some rows are valued at their marks."""
        if not self.apart:
            return [(0, np.arange(len(row)))]
        short = self.long.book.rows.leg[row] & 1
        return [(side, np.flatnonzero(short == side)) for side in (0, 1)]
