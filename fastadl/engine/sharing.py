"""Whole lots (or atoms) shared among many, to the last one (rules R16, R43, R84)."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from fastadl import reference
from fastadl.kernels.allocate import shares, take, threshold
from fastadl.kernels.levels import CAPPED, INNER, NONE, UNSURE, level, level_shares, min_max
from fastadl.schema import Int64Array, IntArray

__all__ = ["fill_min_max", "fill_threshold", "fill_to_level", "proportional", "weighed_first"]

#: Remainders of level shares are good to half of this.
_CLOSE = 4e-9
#: From the level in float64 the exact one is a step or two away; what is farther is searched with fractions.
_STEPS = 8


def proportional(weight: Int64Array, budget: int, tie: IntArray) -> Int64Array:
    """`budget` shared by weight: floors, then one each to the largest remainders (rule R16).

    Parameters
    ----------
    weight : int64 (n)
        Not negative; the sum is positive and below 2^62.
    budget : int
    tie : int32 (n)
        Order of the ids.
    """
    total = int(weight.sum())
    down, rest = np.empty_like(weight), np.empty_like(weight)
    shares(budget, weight, total, down, rest)
    missing = budget - int(down.sum())
    if missing:
        down += _first(total - rest, tie, np.ones_like(down), missing)
    return down


def weighed_first(
    fill: Callable[[Int64Array, Int64Array, int, IntArray], Int64Array],
    cap: Int64Array,
    weight: Int64Array,
    need: int,
    tie: IntArray,
) -> Int64Array:
    """`fill` among those with weight; when they are used up, the others by size (rules R43, R84).

    Parameters
    ----------
    fill : callable
        From (cap, weight, need, tie) to lots.
    cap, weight : int64 (n)
    need : int
        Below the sum of `cap`.
    tie : int32 (n)
    """
    weighed = weight > 0
    if weighed.all():
        return fill(cap, weight, need, tie)
    lots = np.where(weighed, cap, 0)
    left = need - int(lots.sum())
    others = np.flatnonzero(~weighed)
    if left > 0:
        lots[others] = proportional(cap[others], left, tie[others])
    elif left < 0:
        first = np.flatnonzero(weighed)
        lots[first] = fill(cap[first], weight[first], need, tie[first])
    return lots


def fill_threshold(cap: Int64Array, weight: Int64Array, budget: int, tie: IntArray) -> Int64Array:
    """Shares ``min(cap, τ · weight)`` that add up to the budget, in whole units (rule R16).

    Parameters
    ----------
    cap, weight : int64 (n)
        Not negative; what has no weight gets nothing.
    budget : int
        At most the sum of `cap` where there is weight.
    tie : int32 (n)
    """
    if weight.sum(dtype=np.float64) >= 2.0**61:
        lots = np.zeros(len(cap), np.int64)
        who = np.flatnonzero(weight)
        who = who[np.argsort(tie[who])]
        exact = reference.threshold_shares(cap[who].tolist(), weight[who].tolist(), budget)
        lots[who] = reference.largest_remainder(exact)
        return lots
    full = np.empty(len(cap), np.bool_)
    left, _ = threshold(cap, weight, budget, full)
    lots = np.where(full, cap, 0)
    if left > 0:
        sharing = np.flatnonzero((weight > 0) & ~full)
        lots[sharing] = proportional(weight[sharing], int(left), tie[sharing])
    return lots


def fill_min_max(cap: Int64Array, weight: Int64Array, need: int, tie: IntArray) -> Int64Array:
    """Lots one by one, each to the least float64 ``(k + 1) / weight`` below its cap (rule R84).

    Parameters
    ----------
    cap, weight : int64 (n)
        Positive.
    need : int
        Positive, at most the sum of `cap`.
    tie : int32 (n)
    """
    lots, upto = np.empty_like(cap), np.empty_like(cap)
    min_max(cap, weight, need, lots, upto)
    last = np.flatnonzero(lots < upto)  # their next lots all have the quotient that meets the need
    missing = need - int(lots.sum())
    lots[last] += _first(np.zeros_like(last), tie[last], upto[last] - lots[last], missing)
    return lots


def fill_to_level(
    cap: Int64Array, exposure: Int64Array, equity: Int64Array, width: Fraction, need: int, tie: IntArray
) -> Int64Array:
    """Lots that bring the most exposed down to one level ``exposure / equity`` (rules R43, R84).

    The level is guessed in float64. Who gives nothing, a part or all at it says what it is exactly, if the
    guess was right; the shares at that level say whether it was.

    Parameters
    ----------
    cap, exposure, equity : int64 (n)
        Lots, and atoms; `cap` and `equity` positive, `exposure` not negative.
    width : Fraction
        Exposure of one lot, in atoms.
    need : int
        Positive, below the sum of `cap`.
    tie : int32 (n)
    """
    crowd = _Crowd(cap, exposure, equity, width)
    at = Fraction(level(cap, exposure, equity, float(width), need))
    for _ in range(_STEPS):
        full, inner_exposure, inner_equity = crowd.settle(at)
        if inner_equity == 0:
            if full == need:
                return crowd.down
            break
        exactly = (inner_exposure - width * (need - full)) / inner_equity
        if exactly == at:
            crowd.down[crowd.largest(at, tie, need - int(crowd.down.sum()))] += 1
            return crowd.down
        at = exactly
    by_id = np.argsort(tie)
    caps, exposures, equities = (column[by_id].tolist() for column in (cap, exposure, equity))
    exact = reference.leverage_shares(caps, exposures, equities, width, need)
    crowd.down[by_id] = reference.largest_remainder(exact)
    return crowd.down


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

    def largest(self, at: Fraction, tie: IntArray, count: int) -> IntArray:
        """Who has the largest remainders; those too close to the last of them are compared exactly (R16)."""
        if count == 0:
            return np.empty(0, np.int64)
        rest = self._rest
        edge = np.partition(rest, len(rest) - count)[len(rest) - count]
        clear = np.flatnonzero(rest > edge + _CLOSE)
        close = np.flatnonzero(np.abs(rest - edge) <= _CLOSE)
        if len(clear) + len(close) > count:
            remainders = [-(share % 1) for share in self._exactly(at, close)]
            order = sorted(zip(remainders, tie[close].tolist(), close.tolist(), strict=True))
            close = np.array([i for _, _, i in order[: count - len(clear)]], np.int64)
        return np.concatenate([clear, close])

    def _exactly(self, at: Fraction, who: IntArray) -> list[Fraction]:
        cap, exposure, equity = (column[who].tolist() for column in self._columns)
        return reference.at_level(at, cap, exposure, equity, self._width)


def _first(first: Int64Array, tie: IntArray, lots: Int64Array, need: int) -> Int64Array:
    """Lots taken from the first of all until the need is met."""
    taken = np.empty_like(lots)
    take(first, tie, lots, need, taken)
    return taken


def _two_parts(number: Fraction) -> tuple[float, float]:
    high = float(number)
    return high, float(number - Fraction(high))
