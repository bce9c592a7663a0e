"""Positions that fit, down a ranking (rule R43)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastadl.engine.collective import Collective, Reduction, Rounds
from fastadl.engine.collectives.cut import FEW_BYTES, cut
from fastadl.kernels.allocate import whole_positions
from fastadl.kernels.rank import select
from fastadl.schema import SUM_BOUND, Int64Array, IntArray

__all__ = ["Whole"]

#: Each further look at positions that fit is at so many times the lots, for their number.
_GROWTH = 4


@dataclass(frozen=True, slots=True)
class Whole(Collective[Int64Array]):
    """Lots of each candidate if they are closed whole, down the ranking, each only if it fits what is left.

    Attributes
    ----------
    words : tuple of int (n)
        What they are ranked by, wherever they are; the last one is unique.
    key, turn : int64, int32 (n)
        The same among these.
    held : int64 (n)
    need : int
        Positive.
    """

    words: tuple[IntArray, ...]
    key: Int64Array
    turn: IntArray
    held: Int64Array
    need: int

    def alone(self) -> Int64Array:
        """First those a queue would take; then, again and again, the best of those that fit what is left.

        Each time more of these are ranked than are sure to fit, so that however few do, a few times are
        enough and not many more are sorted than the walk has to pass.
        """
        key, turn, held, need = self.key, self.turn, self.held, self.need
        lots = np.zeros(len(held), np.int64)
        fits, growth = np.arange(len(held)), 1
        while need > 0 and len(fits):
            ranked = select(key, turn, held, min(growth * need, SUM_BOUND))
            quota = np.empty(len(ranked), np.int64)
            whole_positions(held[ranked], need, quota)
            lots[fits[ranked]] = quota
            need -= int(quota.sum())
            among = held <= need
            among[ranked] = False
            others = np.flatnonzero(among)
            fits, key, turn, held = fits[others], key[others], turn[others], held[others]
            growth *= _GROWTH
        return lots

    def apart(self) -> Rounds[Int64Array]:
        """By turns, all that a queue would take whole, and as many after them as fit in a message, walked."""
        lots, need = np.zeros(len(self.held), np.int64), self.need
        few = FEW_BYTES // (8 * (len(self.words) + 1))
        left = np.arange(len(lots))
        while need > 0:
            left = left[self.held[left] <= need]
            queue = yield from cut(self._words(left), self.held[left], need)
            lots[left[queue.before]] = self.held[left[queue.before]]
            need -= queue.given
            left = np.delete(left, queue.before)
            left = left[self.held[left] <= need]
            after = yield from cut(self._words(left), np.ones_like(left), few)
            those = left[after.chosen]
            walked = yield _Walk(self._words(those), self.held[those], need)
            if walked is None:
                break
            taken = those[np.isin(self.words[-1][those], walked.last_words)]
            lots[taken] = self.held[taken]
            need = walked.left
            left = np.delete(left, after.chosen)
        return lots

    def _words(self, members: IntArray) -> tuple[IntArray, ...]:
        return tuple(word[members] for word in self.words)


@dataclass(frozen=True, slots=True)
class _Walked:
    """The last words of those who fit, and what is left of the need."""

    last_words: IntArray
    left: int


@dataclass(frozen=True, slots=True)
class _Walk(Reduction):
    """Words and lots of those who come next, and the need."""

    words: tuple[IntArray, ...]
    held: Int64Array
    need: int

    @staticmethod
    def merge(found: Sequence[_Walk]) -> _Walked | None:
        words = [np.concatenate(word) for word in zip(*(part.words for part in found), strict=True)]
        held = np.concatenate([part.held for part in found])
        if not len(held):
            return None
        ranked = np.lexsort(words[::-1])
        quota = np.empty(len(ranked), np.int64)
        whole_positions(held[ranked], found[0].need, quota)
        return _Walked(words[-1][ranked[quota > 0]], found[0].need - int(quota.sum()))
