"""Finding texts among millions of unique texts."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from itertools import count

import numpy as np
import polars as pl

from fastadl.kernels import lookup
from fastadl.schema import Int64Array, IntArray

__all__ = ["Index"]


class Index:
    """Positions of unique texts.

    Parameters
    ----------
    keys : String
        Without nulls.
    more : mapping, optional
        Further texts and their positions; looked at when asked, so it may grow.

    Attributes
    ----------
    duplicate : int or None
        First position whose text stands earlier too; with one, nothing can be found.
    """

    def __init__(self, keys: pl.Series, more: Mapping[str, int] | None = None) -> None:
        self._keys = keys = keys.rechunk()
        self._more = {} if more is None else more
        self.duplicate: int | None = None
        for self._seed in count():
            self._hashes = self._hash(keys)
            self._table = np.full(1 << (2 * len(keys) + 1).bit_length(), -1, np.int32)
            if lookup.index(self._hashes, self._table) < 0:
                return
            repeated = ~keys.is_first_distinct()
            if repeated.any():
                self.duplicate = repeated.arg_max()
                return

    def find(self, wanted: pl.Series) -> IntArray:
        """Position of every text: int32 (wanted), -1 where it is not there."""
        if not len(wanted):
            return np.empty(0, np.int32)
        starts = (wanted != wanted.shift(1)).fill_null(True)
        runs = wanted.filter(starts)
        found = np.empty(len(runs), np.int32)
        lookup.find(self._hashes, self._table, self._hash(runs), found)
        if len(self._keys):
            same = self._keys.gather(np.maximum(found, 0)) == runs
            found[~same.to_numpy()] = -1
        if self._more:
            missing = np.flatnonzero(found < 0)
            found[missing] = [self._more.get(text, -1) for text in runs.gather(missing).to_list()]
        out = np.empty(len(wanted), np.int32)
        lookup.expand(starts.to_numpy(), found, out)
        return out

    def one(self, wanted: str) -> int:
        """Position of one text, -1 if it is not there; quicker than to `find` it."""
        found = np.empty(1, np.int32)
        lookup.find(self._hashes, self._table, self._hash(pl.Series([wanted], dtype=pl.String)), found)
        at = int(found[0])
        return at if at >= 0 and self._keys[at] == wanted else self._more.get(wanted, -1)

    def beside(self, more: Mapping[str, int]) -> Index:
        """The same keys, with further texts of its own."""
        other = copy(self)
        other._more = more
        return other

    def _hash(self, texts: pl.Series) -> Int64Array:
        hashes: Int64Array = texts.hash(self._seed).to_numpy().view(np.int64)
        return hashes
