"""Numbers as blocks of text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastadl.schema import Float64Array, Int64Array

__all__ = ["chart", "sparkline"]

_BLOCKS = " ▁▂▃▄▅▆▇█"
Numbers = Sequence[float] | Float64Array | Int64Array


def sparkline(values: Numbers, width: int, *, of: Callable[..., Any] = np.max) -> str:
    """Values as a row of blocks, the lowest for the least of them and the highest for the largest.

    Parameters
    ----------
    values : float (n)
    width : int
        Blocks, at most.
    of : callable
        What stands for neighbours where there are more values than blocks.

    Examples
    --------
    >>> sparkline([0, 1, 2, 3], 8), sparkline([5, 5], 8), sparkline([0, 7, 1, 1], 2, of=min)
    ('▁▃▆█', '▁▁', '▁█')
    """
    return "".join(_BLOCKS[1 + level] for level in _levels(values, width, 7, of))


def chart(values: Numbers, width: int, height: int, *, of: Callable[..., Any] = np.max) -> list[str]:
    """The same as columns of blocks, several rows high, the top row first.

    Examples
    --------
    >>> chart([0, 1, 2, 3], 4, 2)
    ['  ▃█', '▁▆██']
    """
    levels = _levels(values, width, 8 * height - 1, of) + 1
    rows = (np.clip(levels - 8 * row, 0, 8) for row in reversed(range(height)))
    return ["".join(_BLOCKS[level] for level in row) for row in rows]


def _levels(values: Numbers, width: int, highest: int, of: Callable[..., Any]) -> Int64Array:
    """Whole numbers from 0 to the highest, one a block."""
    parts = np.array_split(np.asarray(values, np.float64), min(width, len(values)))
    tops = np.array([float(of(part)) for part in parts])
    low, span = tops.min(), np.ptp(tops)
    return np.rint((tops - low) / (span or 1.0) * highest).astype(np.int64)
