"""The largest share of weight that is needed (rule R84)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fastadl.engine.collective import Collective, Least, Most, Reduction, Rounds, Sum
from fastadl.engine.collectives.cut import FEW_BYTES
from fastadl.engine.results import exact_sum
from fastadl.kernels.levels import lots_within, min_max
from fastadl.schema import Float64Array, Int64Array

__all__ = ["Between", "MinMax"]

#: Levels are tried beside the one where the need seems to lie, so many bits below the width of the window.
_BESIDE = (5, 12, 20)
#: After so many rounds the window shrinks to the quotients in it, which may be a few that many share.
_ROUNDS = 4


class Between(NamedTuple):
    """Lots of each whose quotient by weight is less than, and at most, the largest one that is needed."""

    below: Int64Array
    upto: Int64Array


@dataclass(frozen=True, slots=True)
class MinMax(Collective[Between]):
    """Lots at the least float64 level of ``lots / weight`` that meets the need.

    Attributes
    ----------
    cap, weight : int64 (n)
        Positive.
    need : int
        Positive, at most the sum of all `cap`.
    """

    cap: Int64Array
    weight: Int64Array
    need: int

    def alone(self) -> Between:
        below, upto = np.empty_like(self.cap), np.empty_like(self.cap)
        min_max(self.cap, self.weight, self.need, below, upto)
        return Between(below, upto)

    def apart(self) -> Rounds[Between]:
        """A window of levels shrinks around the need; few quotients left in it are looked at themselves."""
        most = yield Most(float((self.cap / self.weight).max(initial=0.0)))
        reach, weights = yield Sum(np.array([exact_sum(self.cap), exact_sum(self.weight)], object))
        below, upto = np.zeros_like(self.cap), self.cap.copy()
        given, low, high, guess = 0, 0, _bits(most), self.need / weights
        inside = np.arange(len(below))
        rounds = 0
        while True:
            rounds += 1
            if rounds % _ROUNDS == 0:
                next_, last = yield Least(self._ends(below, upto, inside))
                low, high = max(low, _bits(next_) - 1), min(high, _bits(-last))
            if high - low <= 1:
                return Between(below, upto)
            if reach - given <= FEW_BYTES // 8:
                level = yield _Quotients(self._quotients(below, upto), self.need - given)
                return Between(self._within(_level(_bits(level) - 1)), self._within(level))
            tries = _tries(low, high, _bits(guess))
            lots = [self._within(_level(at), inside) for at in tries]
            more = yield Sum(np.array([exact_sum(each - below[inside]) for each in lots], object))
            reached = [given + each for each in more]
            for at, each, total in zip(tries, lots, reached, strict=True):
                if total >= self.need:
                    high, reach, upto[inside] = at, total, each
                    break
                low, below[inside] = at, each
            given = max((each for each in reached if each < self.need), default=given)
            inside = inside[below[inside] < upto[inside]]
            part = (self.need - given) / (reach - given)
            guess = _level(low) + part * (_level(high) - _level(low))

    def _within(self, level: float, members: Int64Array | slice = slice(None)) -> Int64Array:
        cap, weight = self.cap[members], self.weight[members]
        lots = np.empty_like(cap)
        lots_within(cap, weight, level, lots)
        return lots

    def _ends(self, below: Int64Array, upto: Int64Array, inside: Int64Array) -> Float64Array:
        """The least quotient in the window, and the largest one, negative."""
        weight = self.weight[inside]
        least = ((below[inside] + 1) / weight).min(initial=np.inf)
        return np.array([least, -(upto[inside] / weight).max(initial=0.0)])

    def _quotients(self, below: Int64Array, upto: Int64Array) -> Float64Array:
        """Of all lots between two numbers of them."""
        many = upto - below
        lot = np.repeat(below + 1, many) + np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
        return np.asarray(lot / np.repeat(self.weight.astype(np.float64), many))


def _bits(level: float) -> int:
    """Positive float64 numbers as integers in the same order, next ones next to each other."""
    return int(np.float64(level).view(np.int64))


def _level(bits: int) -> float:
    return float(np.int64(bits).view(np.float64))


def _tries(low: int, high: int, guess: int) -> list[int]:
    """Levels to try between two, the middle one included, so that the window is never less than halved."""
    width = high - low
    beside = [guess + side * (width >> bits) for bits in _BESIDE for side in (-1, 1)]
    return sorted({low + width // 2, *(at for at in (guess, *beside) if low < at < high)})


@dataclass(frozen=True, slots=True)
class _Quotients(Reduction):
    """Quotients that are left, and how many of them are needed."""

    of: Float64Array
    need: int

    @staticmethod
    def merge(found: Sequence[_Quotients]) -> float:
        return float(np.sort(np.concatenate([part.of for part in found]))[found[0].need - 1])
