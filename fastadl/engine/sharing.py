"""Whole lots (or atoms) shared among many, to the last one (rules R16, R43, R84).

Everybody shares, in whatever parts; each part ends with the lots of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import count

import numpy as np

from fastadl import reference
from fastadl.engine.collective import Most, Steps, Sum
from fastadl.engine.collectives.level import Level
from fastadl.engine.collectives.min_max import MinMax
from fastadl.engine.collectives.take import Edge, Take
from fastadl.engine.collectives.threshold import Threshold
from fastadl.kernels.allocate import shares
from fastadl.kernels.levels import CAPPED, INNER, NONE, UNSURE, level_shares
from fastadl.schema import SUM_BOUND, Int64Array, IntArray

__all__ = ["fill_min_max", "fill_threshold", "fill_to_level", "proportional", "weighed_first"]

#: Remainders of level shares are good to half of this.
_CLOSE = 4e-9
#: From the level in float64 the exact one is a step or two away; after so many every third step halves.
_STEPS = 8
#: Bits of a word of numbers that are compared word by word.
_WORD = 62


def proportional(
    weight: Int64Array, budget: int, tie: IntArray, total: int | None = None
) -> Steps[Int64Array]:
    """`budget` shared by weight: floors, then one each to the largest remainders (rule R16).

    Parameters
    ----------
    weight : int64 (n)
        Not negative.
    budget : int
        Below 2^62, if the weights of all are.
    tie : int32 (n)
        Order of the ids.
    total : int
        Weight of all, positive; it is found out if not given, and is below 2^62 then.
    """
    if total is None:
        total = yield Sum(int(weight.sum()))
    down = np.empty_like(weight)
    if total < SUM_BOUND:
        rest = np.empty_like(weight)
        shares(budget, weight, total, down, rest)
        words: tuple[Int64Array, ...] = (total - rest,)
    else:
        exact = [divmod(each * budget, total) for each in weight.tolist()]
        down[:] = [share for share, _ in exact]
        words = _words([total - remainder for _, remainder in exact], total)
    missing = budget - (yield Sum(int(down.sum())))
    if missing:
        down += yield Take(words, tie, np.ones_like(down), missing)
    return down


def _words(numbers: list[int], most: int) -> tuple[Int64Array, ...]:
    """Numbers from 0 to `most` in words, the highest bits first."""
    shifts = range((most.bit_length() - 1) // _WORD * _WORD, -1, -_WORD)
    mask = (1 << _WORD) - 1
    return tuple(np.array([number >> shift & mask for number in numbers], np.int64) for shift in shifts)


def weighed_first(
    fill: Callable[[Int64Array, Int64Array, int, IntArray], Steps[Int64Array]],
    cap: Int64Array,
    weight: Int64Array,
    need: int,
    tie: IntArray,
) -> Steps[Int64Array]:
    """`fill` among those with weight; when they are used up, the others by size (rules R43, R84).

    Parameters
    ----------
    fill : callable
        From (cap, weight, need, tie) to lots.
    cap, weight : int64 (n)
    need : int
        Below the sum of all `cap`.
    tie : int32 (n)
    """
    weighed = weight > 0
    if not (yield Sum(len(weighed) - int(np.count_nonzero(weighed)))):
        return (yield from fill(cap, weight, need, tie))
    lots = np.where(weighed, cap, 0)
    left = need - (yield Sum(int(lots.sum())))
    others = np.flatnonzero(~weighed)
    if left > 0:
        lots[others] = yield from proportional(cap[others], left, tie[others])
    elif left < 0:
        first = np.flatnonzero(weighed)
        lots[first] = yield from fill(cap[first], weight[first], need, tie[first])
    return lots


def fill_threshold(cap: Int64Array, weight: Int64Array, budget: int, tie: IntArray) -> Steps[Int64Array]:
    """Shares ``min(cap, τ · weight)`` that add up to the budget, in whole units (rule R16).

    Parameters
    ----------
    cap, weight : int64 (n)
        Not negative; what has no weight gets nothing.
    budget : int
        At most the sum of all `cap` where there is weight.
    tie : int32 (n)
    """
    full, left, total = yield Threshold(cap, weight, budget)
    lots = np.where(full, cap, 0)
    if left > 0:
        sharing = np.flatnonzero((weight > 0) & ~full)
        lots[sharing] = yield from proportional(weight[sharing], left, tie[sharing], total)
    return lots


def fill_min_max(cap: Int64Array, weight: Int64Array, need: int, tie: IntArray) -> Steps[Int64Array]:
    """Lots one by one, each to the least float64 ``(k + 1) / weight`` below its cap (rule R84).

    Parameters
    ----------
    cap, weight : int64 (n)
        Positive.
    need : int
        Positive, at most the sum of all `cap`.
    tie : int32 (n)
    """
    lots, upto = yield MinMax(cap, weight, need)
    last = np.flatnonzero(lots < upto)  # their next lots all have the quotient that meets the need
    missing = need - (yield Sum(int(lots.sum())))
    lots[last] += yield Take((np.zeros_like(last),), tie[last], upto[last] - lots[last], missing)
    return lots


def fill_to_level(
    cap: Int64Array, exposure: Int64Array, equity: Int64Array, width: Fraction, need: int, tie: IntArray
) -> Steps[Int64Array]:
    """Lots that bring the most exposed down to one level ``exposure / equity`` (rules R43, R84).

    From a guess on, those who give a part of their cap at a level say where it would meet the need; it does
    once they are those who give a part there. A step never leaves the levels known to give too much and too
    little.

    Parameters
    ----------
    cap, exposure, equity : int64 (n)
        Lots, and atoms; `cap` and `equity` positive, `exposure` not negative.
    width : Fraction
        Exposure of one lot, in atoms.
    need : int
        Positive, below the sum of all `cap`.
    tie : int32 (n)
    """
    crowd = _Crowd(cap, exposure, equity, width)
    at = yield Level(cap, exposure, equity, width, need)
    low: Fraction | None = None
    high: Fraction | None = None
    for step in count():
        full, inner_exposure, inner_equity = yield Sum(np.array(crowd.settle(at), object))
        given = full + (inner_exposure - at * inner_equity) / width
        if given == need:
            break
        low, high = (at, high) if given > need else (low, at)
        if inner_equity and (step < _STEPS or step % 3):
            at = (inner_exposure - width * (need - full)) / inner_equity
            if (low is None or low < at) and (high is None or at < high):
                continue
        if low is None or high is None:
            least, most = yield from crowd.ends()
            low, high = least if low is None else low, most if high is None else high
        at = _between(low, high)
    missing = need - (yield Sum(int(crowd.down.sum())))
    crowd.down[(yield from crowd.largest(at, tie, missing))] += 1
    return crowd.down


def _between(low: Fraction, high: Fraction) -> Fraction:
    """The middle, as a float64 if there is one between them."""
    middle = (low + high) / 2
    near = Fraction(float(middle))
    return near if low < near < high else middle


class _Crowd:
    """Candidates, and their shares at one level: floors, remainders and kinds."""

    def __init__(self, cap: Int64Array, exposure: Int64Array, equity: Int64Array, width: Fraction) -> None:
        self._columns = cap, exposure, equity
        self._width = width
        self.down = np.empty_like(cap)
        self._rest = np.empty(len(cap))
        self._kind = np.empty(len(cap), np.uint8)

    def settle(self, at: Fraction) -> tuple[int, int, int]:
        """Find the shares; returns the lots of those at their cap, exposure and equity of those below it."""
        cap, exposure, equity = self._columns
        levels = _two_parts(at), _two_parts(self._width)
        sums = level_shares(*self._columns, *levels, self.down, self._rest, self._kind)
        unknown, full, *halves = sums.tolist()
        inner_exposure, inner_equity = (halves[0] << 31) + halves[1], (halves[2] << 31) + halves[3]
        unsure = np.flatnonzero(self._kind == UNSURE) if unknown else np.empty(0, np.int64)
        for i, share in zip(unsure, self._exactly(at, unsure), strict=True):
            kind = NONE if share == 0 else CAPPED if share == cap[i] else INNER
            self.down[i], self._rest[i], self._kind[i] = share // 1, share % 1, kind
            if kind == CAPPED:
                full += int(cap[i])
            elif kind == INNER:
                inner_exposure += int(exposure[i])
                inner_equity += int(equity[i])
        return full, inner_exposure, inner_equity

    def ends(self) -> Steps[tuple[Fraction, Fraction]]:
        """Levels at which everyone gives his cap, and at which nobody gives anything."""
        cap, exposure, equity = self._columns
        below, above = (
            np.max(each / equity, initial=0.0) for each in (cap * float(self._width), exposure.astype(float))
        )
        below, above = yield Most(np.array([below, above]))
        return -Fraction(2 * float(below) + 1), Fraction(2 * float(above) + 1)

    def largest(self, at: Fraction, tie: IntArray, count: int) -> Steps[IntArray]:
        """Who has the largest remainders; those too close to the last of them are compared exactly (R16)."""
        if count == 0:
            return np.empty(0, np.int64)
        edge = yield Edge(self._rest, count)
        clear = np.flatnonzero(self._rest > edge + _CLOSE)
        close = np.flatnonzero(np.abs(self._rest - edge) <= _CLOSE)
        sure, all_close = yield Sum(np.array([len(clear), len(close)]))
        if sure + all_close > count:
            words = self._remainders(at, close)
            taken = yield Take(words, tie[close], np.ones_like(close), count - int(sure))
            close = close[taken > 0]
        return np.concatenate([clear, close])

    def _remainders(self, at: Fraction, who: IntArray) -> tuple[Int64Array, ...]:
        """Exact remainders over one denominator, the largest first."""
        over = at.denominator * self._width.numerator
        remainders = [int(share % 1 * over) for share in self._exactly(at, who)]
        return _words([over - remainder for remainder in remainders], over)

    def _exactly(self, at: Fraction, who: IntArray) -> list[Fraction]:
        cap, exposure, equity = (column[who].tolist() for column in self._columns)
        return reference.at_level(at, cap, exposure, equity, self._width)


def _two_parts(number: Fraction) -> tuple[float, float]:
    high = float(number)
    return high, float(number - Fraction(high))
