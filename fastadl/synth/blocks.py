"""A book's rows piece by piece: a book of any size is drawn in place, the same on any threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numba
import numpy as np

from fastadl.kernels.layout import Rows
from fastadl.schema import Float64Array, Int64Array, IntArray

__all__ = ["Block", "Draw", "generator"]

T = TypeVar("T")

#: Rows of a block, or accounts if they have none: its arrays stay in the cache.
_ROWS = 1 << 15


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbouring accounts of equally many rows, as views of the book's own arrays.

    Attributes
    ----------
    account : int32 (accounts)
    leg : uint16 or uint32 (rows an account, accounts)
    lots : float64 (rows an account, accounts)
    entry : int64 (rows an account, accounts)
    cash : int64 (accounts)
    """

    account: IntArray
    leg: IntArray
    lots: Float64Array
    entry: Int64Array
    cash: Int64Array


def generator(seed: int, *key: int) -> np.random.Generator:
    """The random numbers of one piece of work, whoever does it."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


class Draw:
    """Work on all blocks of some rows.

    Parameters
    ----------
    rows : Rows
    seed : int
    """

    def __init__(self, rows: Rows, seed: int) -> None:
        self.rows = rows
        self._seed = seed
        self.blocks = list(_blocks(rows))
        self._passes = 0

    def each(self, work: Callable[[np.random.Generator, Block], T]) -> list[T]:
        """What `work` gives for every block, in their order; each has random numbers of its own."""
        self._passes += 1
        key = self._passes

        def one(index: int) -> T:
            return work(generator(self._seed, key, index), self.blocks[index])

        threads = min(numba.get_num_threads(), len(self.blocks))
        if threads < 2:
            return [one(index) for index in range(len(self.blocks))]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(one, range(len(self.blocks))))


def _blocks(rows: Rows) -> Iterator[Block]:
    for g, size in enumerate(rows.group_rows.tolist()):
        slots, first = rows.group_slot[g : g + 2].tolist(), int(rows.group_row[g])
        width = slots[1] - slots[0]
        own = slice(first, first + size * width)
        leg, lots, entry = (column[own].reshape(size, width) for column in (rows.leg, rows.lots, rows.entry))
        step = max(_ROWS // max(size, 1), 1)
        for start in range(0, width, step):
            these = slice(start, min(start + step, width))
            slot = slice(slots[0] + these.start, slots[0] + these.stop)
            yield Block(rows.account[slot], leg[:, these], lots[:, these], entry[:, these], rows.cash[slot])
