"""How a shard finds out the places of its ids among those of all shards."""

from __future__ import annotations

from itertools import islice

import polars as pl

from fastadl.engine.state import State
from fastadl.sharded.dataset import Dataset
from fastadl.sharded.ranks import Ranks, Span

__all__ = ["Placing"]


class Placing:
    """The part of a shard that is asked once, before anything else."""

    state: State
    _ranks: Ranks | None = None

    def begin_places(self, dataset: Dataset) -> Span | None:
        """First and last id of this shard, and how many it has."""
        self._ranks = Ranks(self.state.book, dataset.found)
        return self._ranks.span

    def stand_beside(self, span: Span) -> bool:
        """Whether no id of this shard lies among those of another; they are counted then."""
        assert self._ranks is not None
        return self._ranks.beside(span)

    def some_ids(self, piece: int) -> pl.Series | None:
        """A piece of the ids of this shard, in order; None behind the last."""
        assert self._ranks is not None
        return next(islice(self._ranks.chunks(), piece, None), None)

    def stand_among(self, ids: pl.Series) -> None:
        """Count ids of another shard."""
        assert self._ranks is not None
        self._ranks.add(ids)

    def end_places(self) -> None:
        """Have the places of all."""
        assert self._ranks is not None
        self.state.book.rank = self._ranks.of_all()
        self._ranks = None
