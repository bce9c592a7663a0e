"""The best of all candidates, in rank order (rules R41, R83)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from fastadl.engine.collective import Collective, Gather, Reduction, Rounds, Steps, Sum
from fastadl.engine.collectives.cut import cut
from fastadl.engine.ranking import Candidates, merge_order
from fastadl.schema import SUM_BOUND, IntArray

__all__ = ["Best", "Merged", "Queue", "Tiers"]

#: Each further batch of a ranking covers so many times the lots of the one before.
_GROWTH = 4


@dataclass(frozen=True, slots=True)
class Best(Collective[IntArray]):
    """The best candidates, in rank order, until their lots cover a need."""

    found: Candidates
    need: int

    def alone(self) -> IntArray:
        return self.found.best(self.need)

    def apart(self) -> Rounds[IntArray]:
        cutting = yield from cut(self.found.words, self.found.lots, self.need)
        return self.found.in_order(cutting.chosen)


@dataclass(frozen=True, slots=True)
class Tiers(Collective[Iterator[IntArray]]):
    """Members of each tier that anybody is of, the first tier first."""

    found: Candidates

    def alone(self) -> Iterator[IntArray]:
        return self.found.tiers()

    def apart(self) -> Rounds[Iterator[IntArray]]:
        tier = self.found.tier
        mine = [int(each) for each in np.flatnonzero(np.bincount(tier))]
        tiers = yield Gather(mine)
        return (np.flatnonzero(tier == each) for each in sorted(set(chain(*tiers))))


@dataclass(frozen=True, slots=True)
class Merged(Reduction, Collective[tuple[IntArray, ...]]):
    """Words of some candidates of all parts, in rank order; each part has its own in that order."""

    words: tuple[IntArray, ...]

    def alone(self) -> tuple[IntArray, ...]:
        return self.words

    def apart(self) -> Rounds[tuple[IntArray, ...]]:
        return (yield self)

    @staticmethod
    def merge(found: Sequence[Merged]) -> tuple[IntArray, ...]:
        words = [part.words for part in found]
        order = merge_order(words)
        return tuple(np.concatenate(word)[order] for word in zip(*words, strict=True))


class Queue:
    """A ranking made from the best on, a batch at a time, each of more lots than the one before.

    Parameters
    ----------
    found : Candidates
    need : int
        Lots that the first batch covers.
    """

    def __init__(self, found: Candidates, need: int) -> None:
        self._found = replace(found, parts=found.parts[:0])
        self._left = np.arange(len(found))
        self._wanted = need
        self._gone = self._left[:0]

    def further(self) -> Steps[IntArray | None]:
        """The next of them, or None once all are ranked."""
        if len(self._gone):
            left = np.delete(np.arange(len(self._left)), self._gone)
            self._left, self._found = self._left[left], self._found.of(left)
        if not (yield Sum(len(self._left))):
            return None
        self._gone = yield Best(self._found, self._wanted)
        self._wanted = min(_GROWTH * self._wanted, SUM_BOUND)
        return self._left[self._gone]
