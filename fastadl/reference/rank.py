"""The order candidates stand in (rules R41, R83)."""

from __future__ import annotations

from collections.abc import Sequence

from fastadl.schema import Int64Array, IntArray

__all__ = ["keys", "order", "repeated", "select"]


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
