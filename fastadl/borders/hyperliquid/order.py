"""The order of fills of one user and coin that share a millisecond."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from fastadl.borders.hyperliquid.fills import Fill

__all__ = ["chained"]


def chained(fills: Sequence[Fill], start: Fraction | None) -> Sequence[Fill]:
    """Fills in an order in which each starts where the one before ended, if there is one, else as given.

    Positions are the points of a graph and fills go from one to the next, so the order is a walk along every
    fill once, found by Hierholzer's algorithm. An order given that is such a walk is kept.

    Parameters
    ----------
    fills : sequence of Fill
    start : Fraction or None
        Position before them, if it is known.
    """
    if _is_chain(fills) and start in (None, fills[0].start):
        return fills
    leaving: dict[Fraction, deque[Fill]] = {}
    for fill in fills:
        leaving.setdefault(fill.start, deque()).append(fill)
    first = start if start is not None and start in leaving else _source(fills)
    path: list[tuple[Fraction, Fill | None]] = [(first, None)]
    walk = deque[Fill]()
    while path:
        point, last = path[-1]
        if leaving.get(point):
            fill = leaving[point].popleft()
            path.append((fill.start + fill.size, fill))
        else:
            path.pop()
            if last is not None:
                walk.appendleft(last)
    return list(walk) if len(walk) == len(fills) and _is_chain(walk) else fills


def _is_chain(fills: Sequence[Fill]) -> bool:
    return all(before.start + before.size == fill.start for before, fill in pairwise(fills))


def _source(fills: Sequence[Fill]) -> Fraction:
    """The position that more fills start from than end at, or that of the first fill."""
    balance = Counter(fill.start for fill in fills)
    balance.subtract(fill.start + fill.size for fill in fills)
    return next((point for point, more in balance.items() if more > 0), fills[0].start)
