"""The order candidates stand in (rules R41, R83)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from fastadl.schema import Int64Array, IntArray

__all__ = ["crossing", "histogram", "keys", "order", "repeated", "select"]


def keys(scores: Sequence[float]) -> list[int]:
    """Place of each score among the distinct ones, the highest first."""
    places = sorted(set(scores), reverse=True)
    return [places.index(score) for score in scores]


def repeated(key: Int64Array) -> list[bool]:
    """Which keys occur more than once."""
    found = key.tolist()
    return [found.count(each) > 1 for each in found]


def order(chosen: Int64Array, key: Int64Array, tie: IntArray) -> list[int]:
    """Candidates by (key, tie)."""
    return sorted((int(i) for i in chosen), key=lambda i: (key[i], tie[i]))


def select(key: Int64Array, tie: IntArray, lots: Int64Array, need: int) -> list[int]:
    """Best candidates, in order, until their lots cover the need."""
    found = []
    for i in sorted(range(len(key)), key=lambda i: (key[i], tie[i])):
        if need > 0:
            found.append(i)
            need -= int(lots[i])
    return found


def histogram(key: Int64Array, lots: Int64Array) -> dict[int, tuple[int, int]]:
    """Lots and number of candidates of each bucket that has any."""
    found: dict[int, tuple[int, int]] = {}
    for each, many in zip(key.tolist(), lots.tolist(), strict=True):
        bucket = (each + (1 << 63)) // (1 << 48)
        before = found.get(bucket, (0, 0))
        found[bucket] = (before[0] + many, before[1] + 1)
    return found


def crossing(found: Int64Array, need: int) -> tuple[int, int]:
    """First bucket with which the lots are enough, the last one if none is; and the lots before it."""
    lots = found[0].tolist()
    reached = [0, *accumulate(lots)]
    enough = [b for b in range(len(lots) - 1) if reached[b + 1] >= need]
    bucket = enough[0] if enough else len(lots) - 1
    return bucket, reached[bucket]
