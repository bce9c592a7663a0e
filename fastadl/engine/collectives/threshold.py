"""Whose caps bind where a budget is shared by weight."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fastadl.engine.collective import Collective, Rounds, Sum, alone
from fastadl.engine.results import exact_sum
from fastadl.kernels.allocate import bind, threshold
from fastadl.reference.allocate import bind as bind_exactly
from fastadl.schema import BoolArray, Int64Array

__all__ = ["Bound", "Threshold"]

#: Sums of weights that kernels take.
_MOST = 1 << 61


class Bound(NamedTuple):
    """Where the cap binds, and budget and weight of all others: theirs is ``left · weight / total`` each."""

    full: BoolArray
    left: int
    total: int


@dataclass(frozen=True, slots=True)
class Threshold(Collective[Bound]):
    """Who is capped at the τ where ``Σ min(cap, τ · weight)`` is the budget.

    Attributes
    ----------
    cap, weight : int64 (n)
        Not negative; what has no weight is not capped.
    budget : int
        At most the sum of all `cap` where there is weight.
    """

    cap: Int64Array
    weight: Int64Array
    budget: int

    def alone(self) -> Bound:
        if self.weight.sum(dtype=np.float64) >= _MOST:
            return alone(self._steps())
        full = np.empty(len(self.cap), np.bool_)
        left, total = threshold(self.cap, self.weight, self.budget, full)
        return Bound(full, int(left), int(total))

    def apart(self) -> Rounds[Bound]:
        return self._steps()

    def _steps(self) -> Generator[Sum, Any, Bound]:
        """τ rises from the share that all would get without caps; each round adds those whose caps it passed.

        That is Newton's method from below on a concave function, so it takes few rounds.
        """
        full = np.zeros(len(self.cap), np.bool_)
        left = self.budget
        total = yield Sum(exact_sum(self.weight))
        while total > 0:
            step = bind if total < _MOST else bind_exactly
            found = step(self.cap, self.weight, left, total, full)
            caps, weights = yield Sum(np.array([int(each) for each in found], object))
            if weights == 0:
                break
            left, total = left - caps, total - weights
        return Bound(full, left, total)
