"""Quotas at one level for all, exactly: of leverage, or of lots by equity (rules R43, R84)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction

from fastadl.schema import Int64Array

__all__ = ["at_level", "leverage_shares", "lots_within", "min_max"]


def at_level(
    level: Fraction, cap: Sequence[int], exposure: Sequence[int], equity: Sequence[int], width: Fraction
) -> list[Fraction]:
    """Lots each gives until its leverage is down to a level (rules R43, R84)."""
    return [
        min(max((b - level * e) / width, Fraction(0)), Fraction(c))
        for c, b, e in zip(cap, exposure, equity, strict=True)
    ]


def leverage_shares(
    cap: Sequence[int], exposure: Sequence[int], equity: Sequence[int], width: Fraction, need: int
) -> list[Fraction]:
    """Exact shares that bring the most levered accounts down to one leverage (rules R43, R84).

    Parameters
    ----------
    cap, exposure, equity : sequences of int
        `equity` at least 1.
    width : Fraction
        Exposure of one lot.
    need : int
        Below the sum of `cap`.
    """

    def given(level: Fraction) -> list[Fraction]:
        return at_level(level, cap, exposure, equity, width)

    corners: set[Fraction] = {Fraction(b, e) for b, e in zip(exposure, equity, strict=True)}
    corners |= {(b - c * width) / e for c, b, e in zip(cap, exposure, equity, strict=True)}
    points = sorted(corners)
    low, high = 0, len(points) - 1
    while high - low > 1:
        middle = (low + high) // 2
        if sum(given(points[middle])) >= need:
            low = middle
        else:
            high = middle
    most = sum(given(points[low]), Fraction(0))
    least = sum(given(points[high]), Fraction(0))
    share = (most - need) / (most - least) if most != least else Fraction(0)
    return given(points[low] + share * (points[high] - points[low]))


def lots_within(cap: Int64Array, weight: Int64Array, at: float, out: Int64Array) -> None:
    """Most lots of each, up to the cap, whose float64 quotient by weight does not exceed a level."""
    for i, (c, w) in enumerate(zip(cap.tolist(), weight.tolist(), strict=True)):
        out[i] = bisect_right(range(1, c + 1), at, key=lambda k: float(k) / float(w))


def min_max(cap: Sequence[int], weight: Sequence[int], need: int) -> list[int]:
    """Lots one by one, each to the least ``(k + 1) / weight`` below the cap, ties to the earlier (R84)."""
    given = [0] * len(cap)
    for _ in range(need):
        open_ = (i for i in range(len(cap)) if given[i] < cap[i])
        given[min(open_, key=lambda i: float(given[i] + 1) / float(weight[i]))] += 1
    return given
