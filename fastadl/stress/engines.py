"""Where the engines of an experiment keep its books: in one place, or in shards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fastadl.book import Book
from fastadl.cluster.local import started
from fastadl.engine import Engine
from fastadl.engine.settings import checked_threads
from fastadl.errors import InputError
from fastadl.sharded.dataset import Dataset
from fastadl.sharded.divide import check_count
from fastadl.sharded.engine import ShardedEngine
from fastadl.sharded.linking import INLINE, check_deadline
from fastadl.sharded.relay import STORE

__all__ = ["InOnePlace", "InShards", "Where", "where"]


@dataclass(frozen=True, slots=True)
class InOnePlace:
    """Ordinary engines."""

    def engine(self, book: Book | Dataset, **settings: Any) -> AbstractContextManager[Engine]:
        """An engine for the time of the block."""
        assert isinstance(book, Book)
        return nullcontext(Engine(book, **settings))

    @property
    def here(self) -> InOnePlace:
        """The same in this process."""
        return self

    def ready(self) -> AbstractContextManager[InOnePlace]:
        """What engines need, for the time of the block."""
        return nullcontext(self)


@dataclass(frozen=True, slots=True)
class InShards:
    """Engines whose accounts are in shards.

    Attributes
    ----------
    shards, address, deadline, threads
        As `ShardedEngine` takes them.
    snapshots
        Its ``folder``.
    """

    shards: int
    address: str | None = None
    snapshots: str | os.PathLike[str] | None = None
    deadline: float = 60.0
    threads: int | None = None

    @contextmanager
    def engine(self, book: Book | Dataset, **settings: Any) -> Iterator[Engine]:
        """An engine for the time of the block."""
        with ShardedEngine(
            book,
            shards=self.shards,
            address=self.address,
            folder=self.snapshots,
            deadline=self.deadline,
            threads=self.threads,
            **settings,
        ) as engine:
            yield engine

    @property
    def here(self) -> InShards:
        """The same in this process."""
        return InShards(min(self.shards, 2), INLINE)

    @contextmanager
    def ready(self) -> Iterator[InShards]:
        """The same on a running cluster: one that lives as long as the block, if none was said."""
        if self.address is not None:
            yield self
            return
        with started(("shards", "ray"), os.cpu_count() or 1, STORE) as address:
            yield replace(self, address=address)


Where = InOnePlace | InShards


def where(shards: int | None, **how: Any) -> Where:
    """What is asked for: so many shards, and what else `InShards` has.

    Raises
    ------
    InputError
        For a value that cannot be, or if only others than `shards` are given.
    """
    said = {name: value for name, value in how.items() if value is not None}
    if shards is None:
        for name, value in said.items():
            raise InputError((name,), str(value), "say how many shards, or leave it out")
        return InOnePlace()
    check_count("shards", shards)
    found = InShards(shards, **said)
    check_deadline(found.deadline)
    checked_threads(found.threads, elsewhere=found.address != INLINE)
    if found.snapshots is not None and not os.access(Path(found.snapshots) / ".", os.W_OK):
        raise InputError(("snapshots",), str(found.snapshots), "give a folder to write to")
    return found
