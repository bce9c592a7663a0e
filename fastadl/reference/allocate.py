"""Quotas: how many lots each candidate gives, as exact shares (rules R16, R43, R84)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import floor

from fastadl.schema import BoolArray, Int64Array, IntArray

__all__ = ["bind", "largest_remainder", "places", "shares", "take", "threshold_shares", "whole_positions"]


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


def take(first: Int64Array, tie: IntArray, lots: Int64Array, need: int, out: Int64Array) -> None:
    """What each gives if they give all they have, by (first, tie) from below, until the need is met."""
    for i in sorted(range(len(first)), key=lambda i: (first[i], tie[i])):
        out[i] = min(int(lots[i]), need)
        need -= int(out[i])


def places(key: Int64Array, tie: IntArray, chosen: Int64Array, out: Int64Array) -> None:
    """Places, from 0, of some candidates among all when these are ordered by (key, tie)."""
    order = sorted(range(len(key)), key=lambda i: (key[i], tie[i]))
    out[:] = [order.index(int(i)) for i in chosen]


def bind(cap: Int64Array, weight: Int64Array, left: int, total: int, full: BoolArray) -> tuple[int, int]:
    """Caps that bind when `left` is shared over `total`, of those that did not; and their weight."""
    caps = weights = 0
    for i, (c, w) in enumerate(zip(cap.tolist(), weight.tolist(), strict=True)):
        if w > 0 and not full[i] and c * total <= left * w:
            full[i] = True
            caps, weights = caps + c, weights + w
    return caps, weights


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
