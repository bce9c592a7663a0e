"""The machine's own limit: the bandwidth of the STREAM triad, in the process that is held against it."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from fastadl.bench.loads import Loads
from fastadl.bench.registry import Group, Work

__all__ = ["LIMIT", "TRIAD", "Triad"]

TRIAD = "STREAM triad"
#: So many elements a position, at most so many in all: 480 MB, which no cache holds.
_EACH, _MOST = 200, 20_000_000


@numba.njit(parallel=True)  # type: ignore[untyped-decorator]
def _triad(a: Any, b: Any, c: Any, s: float) -> None:
    for i in numba.prange(a.shape[0]):
        a[i] = b[i] + s * c[i]


class Triad:
    """``a = b + s · c`` on all threads, in arrays of their own.

    Attributes
    ----------
    moved : int
        Bytes of one call as STREAM counts them: 24 an element.
    """

    def __init__(self, loads: Loads) -> None:
        count = min(_EACH * loads.positions, _MOST)
        self.a, self.b, self.c = np.zeros(count), np.ones(count), np.full(count, 2.0)
        self.moved = 24 * count

    def __call__(self) -> None:
        """Run it once."""
        _triad(self.a, self.b, self.c, 3.0)

    def check(self, _: object = None) -> None:
        """Assert that it ran."""
        assert self.a[0] == self.a[-1] == 7.0


def _shared(loads: Loads) -> Triad:
    return loads.once(Triad)


LIMIT = Group(
    "limit",
    "the machine's limit",
    "How many bytes a second the memory of this machine gives to all threads, in this process.",
    "element",
    _shared,
)


@LIMIT.case(TRIAD, left_out="that a store first reads its line: STREAM does not count it", rounds=20)
def _work(triad: Triad) -> Work:
    """The sum a = b + s · c in arrays of float64 far larger than the cache, 24 B an element."""
    return Work(triad, len(triad.a), moved=triad.moved, check=triad.check)
