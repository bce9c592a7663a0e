"""Where the level that all come down to lies."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from fastadl.engine.collective import Collective, Rounds, Sum
from fastadl.engine.results import exact_sum
from fastadl.kernels.levels import level
from fastadl.schema import Int64Array

__all__ = ["Level"]


@dataclass(frozen=True, slots=True)
class Level(Collective[Fraction]):
    """A guess at the L where ``Σ clip((exposure − L · equity) / width, 0, cap)`` is the need.

    Attributes
    ----------
    cap, exposure, equity : int64 (n)
        `equity` is positive.
    width : Fraction
        Exposure of one lot.
    need : int
        Below the sum of all `cap`.
    """

    cap: Int64Array
    exposure: Int64Array
    equity: Int64Array
    width: Fraction
    need: int

    def alone(self) -> Fraction:
        return Fraction(level(self.cap, self.exposure, self.equity, float(self.width), self.need))

    def apart(self) -> Rounds[Fraction]:
        """Where it would be if all gave a part of their cap."""
        exposure, equity = yield Sum(np.array([exact_sum(self.exposure), exact_sum(self.equity)], object))
        return (exposure - self.need * self.width) / equity
