"""What a window of time holds, in bounded memory: a few slices of it, whatever the number of ticks."""

from __future__ import annotations

from typing import Literal

import numpy as np

from fastadl.schema import BoolArray, Float64Array

__all__ = ["LONGEST", "SLICES", "Window"]

#: Slices of a window at most: how finely its beginning is known.
SLICES = 120
#: Seconds a window may be long: a year.
LONGEST = 366 * 86_400

_NEVER = np.iinfo(np.int64).min


class Window:
    """The last so many seconds of some series, seen in slices of whole seconds.

    A window that ends at a time holds the slice that the time is in, and those before it that belong to the
    window; one of up to 120 seconds is exact to the second.

    Parameters
    ----------
    seconds : int
        Length of the window.
    keeps : {"sum", "most", "last"}
        What becomes of several values in one slice.
    """

    def __init__(self, seconds: int, keeps: Literal["sum", "most", "last"]) -> None:
        self.step = -(-seconds // SLICES)
        self.depth = -(-seconds // self.step)
        self._keeps = keeps
        self._slice = np.full(self.depth + 1, _NEVER)
        self._values = np.empty((self.depth + 1, 0))
        self._now = 0

    def add(self, time: int, values: Float64Array) -> None:
        """Note values of a time not before the last; there may be more of them than before."""
        more = len(values) - self._values.shape[1]
        if more:
            self._values = np.pad(self._values, ((0, 0), (0, more)), constant_values=self._nothing)
        self._now = time // self.step
        place = self._now % (self.depth + 1)
        if self._slice[place] != self._now:
            self._slice[place], self._values[place] = self._now, self._nothing
        row = self._values[place]
        if self._keeps == "sum":
            row += values
        elif self._keeps == "most":
            np.fmax(row, values, out=row)
        else:
            np.copyto(row, values, where=~np.isnan(values))

    @property
    def _nothing(self) -> float:
        return 0.0 if self._keeps == "sum" else np.nan

    def total(self) -> Float64Array:
        """Sum of what is in the window."""
        total: Float64Array = self._values[self._within()].sum(axis=0)
        return total

    def most(self) -> Float64Array:
        """The largest in the window."""
        most: Float64Array = np.fmax.reduce(self._values[self._within()], axis=0)
        return most

    def before(self) -> Float64Array:
        """The last value before the window began, or the first there is."""
        order = np.argsort(self._slice)
        order = order[self._slice[order] != _NEVER]
        first = np.searchsorted(self._slice[order], self._now - self.depth, side="right") - 1
        out = np.full(self._values.shape[1], np.nan)
        for place in order[max(first, 0) :]:
            unknown = np.isnan(out)
            if not unknown.any():
                break
            np.copyto(out, self._values[place], where=unknown)
        return out

    def _within(self) -> BoolArray:
        return np.asarray(self._slice > self._now - self.depth)
