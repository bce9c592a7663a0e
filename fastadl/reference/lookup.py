"""Finding the rows of one table in another, with a dict."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["expand", "find", "index"]


def index(hashes: Sequence[int]) -> int:
    """Position of the first key whose hash an earlier one has, or −1."""
    seen = set()
    for i, value in enumerate(hashes):
        if value in seen:
            return i
        seen.add(value)
    return -1


def find(hashes: Sequence[int], wanted: Sequence[int]) -> list[int]:
    """Position of every wanted hash, or −1."""
    table = {value: i for i, value in enumerate(hashes)}
    return [table.get(value, -1) for value in wanted]


def expand(starts: Sequence[bool], values: Sequence[int]) -> list[int]:
    """One value per run, repeated along the run."""
    return [values[sum(starts[: i + 1]) - 1] for i in range(len(starts))]
