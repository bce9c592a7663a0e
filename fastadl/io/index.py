"""Finding texts among millions of unique texts."""

from __future__ import annotations

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
        One chunk, without nulls.

    Attributes
    ----------
    duplicate : int or None
        First position whose text stands earlier too; with one, nothing can be found.
    """

    def __init__(self, keys: pl.Series) -> None:
        self._keys = keys
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
        out = np.empty(len(wanted), np.int32)
        lookup.expand(starts.to_numpy(), found, out)
        return out

    def _hash(self, texts: pl.Series) -> Int64Array:
        hashes: Int64Array = texts.hash(self._seed).to_numpy().view(np.int64)
        return hashes
