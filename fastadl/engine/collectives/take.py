"""Who is first of all, until a need is met."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastadl.engine.collective import Collective, Most, Rounds
from fastadl.engine.collectives.cut import cut
from fastadl.kernels.allocate import take
from fastadl.kernels.rank import keys
from fastadl.schema import Float64Array, Int64Array, IntArray

__all__ = ["Edge", "Take"]


@dataclass(frozen=True, slots=True)
class Take(Collective[Int64Array]):
    """What each gives if they give all they have, by (words, tie) from below, until the need is met.

    Attributes
    ----------
    words : tuple of int64 (n)
        The first counts most; not negative.
    tie : int32 (n)
        Unique.
    lots : int64 (n)
        Positive.
    need : int
        Positive, at most the lots of all.
    """

    words: tuple[Int64Array, ...]
    tie: IntArray
    lots: Int64Array
    need: int

    def alone(self) -> Int64Array:
        if len(self.words) == 1:
            first = self.words[0]
        else:
            ranked = np.lexsort((self.tie, *self.words[::-1]))
            first = np.empty(len(ranked), np.int64)
            first[ranked] = np.arange(len(ranked))
        given = np.empty_like(self.lots)
        take(first, self.tie, self.lots, self.need, given)
        return given

    def apart(self) -> Rounds[Int64Array]:
        cutting = yield from cut((*self.words, self.tie), self.lots, self.need)
        given = np.zeros_like(self.lots)
        given[cutting.before] = self.lots[cutting.before]
        given[cutting.at] = self.need - cutting.given
        return given


@dataclass(frozen=True, slots=True)
class Edge(Collective[float]):
    """The least of the largest numbers, of which there are to be so many.

    Attributes
    ----------
    numbers : float64 (n)
        Not negative.
    count : int
        Positive, at most all of them.
    """

    numbers: Float64Array
    count: int

    def alone(self) -> float:
        place = len(self.numbers) - self.count
        return float(np.partition(self.numbers, place)[place])

    def apart(self) -> Rounds[float]:
        key = np.empty(len(self.numbers), np.int64)
        keys(self.numbers.view(np.int64), key)
        cutting = yield from cut((key,), np.ones_like(key), self.count)
        edge: float = yield Most(float(self.numbers[cutting.at].max(initial=0.0)))
        return edge
