"""Where a ranking that lies in parts is cut so that the lots before reach a need.

A ranking goes by words, integers that are compared one after the other. Histograms of lots by ten bits at a
time, from the first word on, tell in which bucket the need is met; when few are left in it they are looked at
themselves. Nobody is sorted but they.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastadl.engine.collective import Reduction, Rounds
from fastadl.schema import BoolArray, Int64Array, IntArray

__all__ = ["FEW_BYTES", "Cut", "cut"]

_BITS = 10
#: Those left in a bucket are looked at themselves once all of them fit in a message of so many bytes.
FEW_BYTES = 12 << 10


@dataclass(frozen=True, slots=True)
class Cut:
    """Members of one part by where they stand.

    Attributes
    ----------
    before, at : int64 (n), int64 (m)
        Members who stand before the cut, and those at it: where words are unique, one member of one part, and
        nobody where all lots together do not reach the need.
    given : int
        Lots of all who stand before it, in whatever part.
    """

    before: IntArray
    at: IntArray
    given: int

    @property
    def chosen(self) -> IntArray:
        """Members with whom the need is reached."""
        return np.concatenate([self.before, self.at])


def cut(words: Sequence[IntArray], lots: Int64Array, need: int) -> Rounds[Cut]:
    """Find the cut.

    Parameters
    ----------
    words : sequence of int (n)
        The first counts most, the lowest stands first.
    lots : int64 (n)
        Positive; those of all parts together do not pass 2^63.
    need : int
        Positive, and the same in all parts.
    """
    span = yield _Span.of(words, lots)
    left, given, members = np.arange(len(lots)), 0, span.members
    if span.lots < need:
        return Cut(left, left[:0], span.lots)
    before = [left[:0]]
    for place, (word, low, high) in enumerate(zip(words, span.least, span.most, strict=True)):
        shift = max(0, (high - low).bit_length() - _BITS)
        base, size = low >> shift, (high >> shift) - (low >> shift) + 1
        few = FEW_BYTES // (8 * (len(words) - place + 1))
        while size > 1 and members > 1:
            if members <= few:
                those = tuple(each[left] for each in words[place:])
                found = yield _Few(those, lots[left], need - given)
                ahead, level = _compared(those, found.words)
                return Cut(np.concatenate([*before, left[ahead]]), left[level], given + found.before)
            digit = (word[left].astype(np.int64) >> shift) - base
            crossing = yield _Histogram.of(digit, lots[left], size, need - given)
            before.append(left[digit < crossing.digit])
            left = left[digit == crossing.digit]
            given, members = given + crossing.before, crossing.members
            step = min(shift, _BITS)
            base, shift, size = (base + crossing.digit) << step, shift - step, 1 << step
    return Cut(np.concatenate(before), left, given)


def _compared(words: Sequence[IntArray], wanted: Sequence[int]) -> tuple[BoolArray, BoolArray]:
    """Who stands before some words, and who has them."""
    ahead = np.zeros(len(words[0]), np.bool_)
    level = ~ahead
    for word, each in zip(words, wanted, strict=True):
        ahead |= level & (word < each)
        level &= word == each
    return ahead, level


@dataclass(frozen=True, slots=True)
class _Span(Reduction):
    """Between which numbers each word lies, and how many members and lots there are."""

    least: list[int]
    most: list[int]
    members: int
    lots: int

    @classmethod
    def of(cls, words: Sequence[IntArray], lots: Int64Array) -> _Span:
        least, most = (1 << 63) - 1, -(1 << 63)
        return cls(
            [int(word.min()) if len(word) else least for word in words],
            [int(word.max()) if len(word) else most for word in words],
            len(lots),
            int(lots.sum()),
        )

    @staticmethod
    def merge(found: Sequence[_Span]) -> _Span:
        return _Span(
            [min(each) for each in zip(*(part.least for part in found), strict=True)],
            [max(each) for each in zip(*(part.most for part in found), strict=True)],
            sum(part.members for part in found),
            sum(part.lots for part in found),
        )


@dataclass(frozen=True, slots=True)
class _Crossing:
    """Bucket in which a need is met, lots before it, and members in it."""

    digit: int
    before: int
    members: int


@dataclass(frozen=True, slots=True)
class _Histogram(Reduction):
    """Lots and members by digit, and the lots that are needed of them."""

    lots: Int64Array
    members: IntArray
    need: int

    @classmethod
    def of(cls, digit: Int64Array, lots: Int64Array, size: int, need: int) -> _Histogram:
        many = np.zeros(size, np.int64)
        np.add.at(many, digit, lots)
        return cls(many, np.bincount(digit, minlength=size).astype(np.int32), need)

    @staticmethod
    def merge(found: Sequence[_Histogram]) -> _Crossing:
        reached = np.cumsum(np.sum([part.lots for part in found], axis=0))
        digit = int(np.searchsorted(reached, found[0].need))
        before = int(reached[digit - 1]) if digit else 0
        return _Crossing(digit, before, sum(int(part.members[digit]) for part in found))


@dataclass(frozen=True, slots=True)
class _At:
    """Words at which a need is met, and the lots before them."""

    words: list[int]
    before: int


@dataclass(frozen=True, slots=True)
class _Few(Reduction):
    """Words and lots of all who are left, and the lots that are needed of them."""

    words: tuple[IntArray, ...]
    lots: Int64Array
    need: int

    @staticmethod
    def merge(found: Sequence[_Few]) -> _At:
        words = [np.concatenate(word) for word in zip(*(part.words for part in found), strict=True)]
        lots = np.concatenate([part.lots for part in found])
        ranked = np.lexsort(words[::-1])
        last = ranked[int(np.searchsorted(np.cumsum(lots[ranked]), found[0].need))]
        at = [int(word[last]) for word in words]
        return _At(at, int(lots[_compared(words, at)[0]].sum()))
