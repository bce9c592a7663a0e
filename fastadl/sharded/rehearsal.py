"""Compiling what a shard will need, before anybody waits for it."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from fastadl.book import Book
from fastadl.errors import FastadlError
from fastadl.policy import AdlPolicy
from fastadl.sharded.divide import some

__all__ = ["rehearse"]

#: So many accounts take part, and see these prices, in those there are.
_FEW, _PRICES = 256, (1.0, 0.5, 2.0)


def rehearse(book: Book, policy: AdlPolicy) -> None:
    """Have a few accounts of a book see a crash; the book does not change.

    Parameters
    ----------
    book : Book
    policy : AdlPolicy
    """
    from fastadl.sharded.engine import ShardedEngine

    few = some(book, np.arange(min(_FEW, len(book.slot))))
    with suppress(FastadlError):  # it was no test of the book
        engine = ShardedEngine(few, policy=policy, shards=1, address="inline")
        now = np.where(np.isnan(engine.marks), 1.0, engine.marks)
        for price in _PRICES:
            engine.tick(now * price).frames()
