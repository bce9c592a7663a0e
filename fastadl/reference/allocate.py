"""Quotas: how many lots each candidate gives, as exact shares (rules R16, R43)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import floor

from fastadl.schema import Int64Array

__all__ = [
    "at_level",
    "largest_remainder",
    "leverage_shares",
    "shares",
    "threshold_shares",
    "whole_positions",
]


def largest_remainder(shares: Sequence[Fraction]) -> list[int]:
    """Whole shares of a whole sum: floors, and one more for the largest remainders (rule R16).

    Ties go to the earlier share.
    """
    whole = [floor(share) for share in shares]
    missing = sum(shares, Fraction(0)) - sum(whole)
    order = sorted(range(len(shares)), key=lambda j: (whole[j] - shares[j], j))
    for j in order[: int(missing)]:
        whole[j] += 1
    return whole


def whole_positions(cap: Int64Array, need: int, quota: Int64Array) -> None:
    """Close candidates whole, down the ranking, each only if it fits what is left."""
    for i, lots in enumerate(cap):
        quota[i] = lots if lots <= need else 0
        need -= int(quota[i])


def shares(budget: int, weight: Int64Array, total: int, down: Int64Array, rest: Int64Array) -> None:
    """Shares of a whole number by weight: floors, and remainders over `total`."""
    for i, part in enumerate(weight):
        share = Fraction(budget * int(part), total)
        down[i] = floor(share)
        rest[i] = (share - floor(share)) * total


def threshold_shares(cap: Sequence[int], weight: Sequence[int], budget: int) -> list[Fraction]:
    """Exact ``min(cap, τ · weight)`` that add up to `budget`; `weight` positive, `budget` within reach."""
    order = sorted(range(len(cap)), key=lambda j: Fraction(cap[j], weight[j]))
    left, total = budget, sum(weight)
    shares = [Fraction(c) for c in cap]
    for place, j in enumerate(order):
        if cap[j] * total > left * weight[j]:
            for k in order[place:]:
                shares[k] = Fraction(left * weight[k], total)
            break
        left -= cap[j]
        total -= weight[j]
    return shares


def at_level(
    level: Fraction, cap: Sequence[int], gross: Sequence[int], equity: Sequence[int], unit: Fraction
) -> list[Fraction]:
    """Lots each gives until its leverage is down to a level (rule R43 ``leverage_fill``)."""
    return [
        min(max((g - level * e) / unit, Fraction(0)), Fraction(c))
        for c, g, e in zip(cap, gross, equity, strict=True)
    ]


def leverage_shares(
    cap: Sequence[int], gross: Sequence[int], equity: Sequence[int], unit: Fraction, need: int
) -> list[Fraction]:
    """Exact shares that bring the most levered accounts down to one leverage (rule R43 ``leverage_fill``).

    Parameters
    ----------
    cap, gross, equity : sequences of int
        `equity` at least 1.
    unit : Fraction
        |unit value|.
    need : int
        Below the sum of `cap`.
    """

    def given(level: Fraction) -> list[Fraction]:
        return at_level(level, cap, gross, equity, unit)

    corners: set[Fraction] = {Fraction(g, e) for g, e in zip(gross, equity, strict=True)}
    corners |= {(g - c * unit) / e for c, g, e in zip(cap, gross, equity, strict=True)}
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
