"""Where a sharded book comes from: a book that is divided, or a dataset that shards read themselves."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy.typing as npt

from fastadl.book import Book
from fastadl.errors import InputError
from fastadl.schema import Int64Array
from fastadl.sharded.dataset import Dataset, assign, read_part
from fastadl.sharded.divide import divided
from fastadl.sharded.docket import empty_book
from fastadl.sharded.links import Links
from fastadl.sharded.shard import Shard

__all__ = ["Part", "Source"]

#: Accounts of one shard, and their codes among those of all; or what gives both, or the shard as it was once,
#: called where the shard is.
Part: TypeAlias = "tuple[Book, Int64Array] | Callable[[], tuple[Book, Int64Array] | Shard]"


@dataclass(frozen=True, slots=True)
class Source:
    """A book, by shard.

    Attributes
    ----------
    reserves : Book
        Its instruments, nobody, and what ``fund`` and ``market`` hold.
    accounts : int
        Of all shards.
    parts : iterable of Part
        Taken one after another.
    dataset : Dataset or None
        Where shards read their parts, and then find out their places among all (`place`).
    """

    reserves: Book
    accounts: int
    parts: Iterable[Part]
    dataset: Dataset | None = None

    @classmethod
    def of(
        cls, book: Book | Dataset | Source | str | os.PathLike[str], shards: int, by: str | npt.ArrayLike
    ) -> Source:
        """From a book, a dataset, the folder of one, or what is one already.

        Raises
        ------
        InputError
            For anything else; as `divided` and `assign` do; or if it is said how to divide a dataset.
        """
        if isinstance(book, Source):
            return book
        if isinstance(book, Book):
            reserves = empty_book(book.instruments)
            reserves.reserve_lots[:], reserves.reserve_entry[:] = book.reserve_lots, book.reserve_entry
            return cls(reserves, len(book.slot), divided(book, shards, by))
        if isinstance(book, (str, os.PathLike)):
            book = Dataset.open(book)
        if not isinstance(book, Dataset):
            raise InputError(("book",), type(book).__name__, "give a book, or the folder of a dataset")
        if not isinstance(by, str) or by != "hash":
            raise InputError(("by",), by, "leave it out: the partitions of a dataset are divided already")
        parts = [_Reading(book, tuple(partitions)) for partitions in assign(book, shards)]
        accounts = sum(each.accounts for each in book.partitions)
        return cls(book.reserves.copy(), accounts, parts, book)

    def place(self, links: Links) -> None:
        """Have shards that read their own part find out the places of its ids among those of all.

        Ids go from each shard to those whose own lie among them, a piece at a time; so that they are not all
        kept here, each shard's are committed.

        Raises
        ------
        InputError
            For an id that two shards have, saying where it stands.
        """
        if self.dataset is None:
            return
        spans = links.all("begin_places", self.dataset)
        for shard, span in enumerate(spans):
            if span is None:
                continue
            others = {other: (span,) for other in range(len(links)) if other != shard}
            among = [other for other, beside in links.each("stand_beside", others).items() if not beside]
            piece = 0
            while among and (ids := links.each("some_ids", {shard: (piece,)})[shard]) is not None:
                links.each("stand_among", dict.fromkeys(among, (ids,)))
                piece += 1
            links.all("commit")
        links.all("end_places")
        links.all("commit")


@dataclass(frozen=True, slots=True)
class _Reading:
    """Reads the part of a shard."""

    dataset: Dataset
    partitions: tuple[int, ...]

    def __call__(self) -> tuple[Book, Int64Array]:
        return read_part(self.dataset, self.partitions), self.dataset.codes(self.partitions)
