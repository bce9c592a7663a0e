"""Places of accounts among those of all shards, when ids are sorted by code point."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
import polars as pl

from fastadl.book import Book
from fastadl.errors import InputError
from fastadl.schema import IntArray

__all__ = ["MOST_ACCOUNTS", "Found", "Ranks", "Span", "check_accounts"]

#: Ranks are int32.
MOST_ACCOUNTS = 1 << 31
_CHUNK = 1 << 20

#: First id, last id and number of ids of a shard that has some.
Span: TypeAlias = tuple[str, str, int]
#: Files and rows of the accounts that have an id.
Found: TypeAlias = Callable[[str], Sequence[tuple[str, int]]]


class Ranks:
    """Places of the accounts of one shard among those of all.

    Each shard is told the `span` of every other one, and its ids (`chunks`) if the span is not enough; in any
    order. Ids are compared in time that goes by how many are told, whatever the size of chunks.

    Parameters
    ----------
    book : Book
        The accounts of the shard.
    found : callable
        Says where an id stands that was found twice (`Dataset.found`).

    Raises
    ------
    InputError
        If two accounts of the shard have one id.

    Examples
    --------
    >>> from fastadl import synth
    >>> from fastadl.sharded.divide import divide
    >>> book = synth.book("pareto", positions=9, accounts=5, instruments=3, seed=1)
    >>> (one, _), (other, _) = divide(book, 2, "round_robin")
    >>> ranks = Ranks(one, lambda id: [])
    >>> for chunk in Ranks(other, lambda id: []).chunks():
    ...     ranks.add(chunk)
    >>> ranks.of_all().tolist()
    [0, 2, 4]
    """

    def __init__(self, book: Book, found: Found) -> None:
        self._order = np.argsort(book.rank)
        self._ids = book.accounts.gather(self._order)
        self._found = found
        #: how many ids of others lie between each id and the one before it
        self._between = np.zeros(len(self._ids) + 1, np.int64)
        self._refuse(self._ids.filter(self._ids == self._ids.shift(1)))

    @property
    def span(self) -> Span | None:
        """What others are told first; None of a shard without accounts."""
        return (self._ids[0], self._ids[-1], len(self._ids)) if len(self._ids) else None

    def chunks(self, size: int = _CHUNK) -> Iterator[pl.Series]:
        """The ids in order, in pieces, for others."""
        for first in range(0, len(self._ids), size):
            yield self._ids[first : first + size]

    def beside(self, span: Span) -> bool:
        """Count the ids of another shard if no id of this one lies among them; whether it is so."""
        first, last, many = span
        place, end = (int(self._ids.search_sorted(text, side="left")) for text in (first, last))
        if place != end or (end < len(self._ids) and self._ids[end] == last):
            return False
        self._between[place] += many
        return True

    def add(self, ids: pl.Series) -> None:
        """Count some ids of another shard, sorted and not empty.

        Raises
        ------
        InputError
            Naming an id that is in both, and where it stands.
        """
        if self.beside((ids[0], ids[-1], len(ids))):
            return
        place = self._ids.search_sorted(ids, side="left").to_numpy().astype(np.int64)
        inside = ids.head(int(np.searchsorted(place, len(self._ids))))
        self._refuse(inside.filter(self._ids.gather(place[: len(inside)]) == inside))
        self._between[place[0] : place[-1] + 1] += np.bincount(place - place[0])

    def of_all(self) -> IntArray:
        """Place of each account of the book among all that were counted: int32 (accounts).

        Raises
        ------
        InputError
            If there are more than 2^31.
        """
        check_accounts(len(self._ids) + int(self._between.sum()))
        rank = np.empty(len(self._ids), np.int32)
        rank[self._order] = np.arange(len(self._ids)) + np.cumsum(self._between[:-1])
        return rank

    def _refuse(self, repeated: pl.Series) -> None:
        if not len(repeated):
            return
        name = repeated[0]
        places = self._found(name)
        if len(places) < 2:
            raise InputError(("accounts", "id"), name, "ids are unique: keep each account in one shard")
        (first, at), (file, row) = places[:2]
        remedy = f"ids are unique, and row {at} of {first} has this one: keep each account in one partition"
        raise InputError(("accounts", row, "id"), name, remedy, file)


def check_accounts(many: int) -> None:
    """Refuse more accounts than have ranks."""
    if many > MOST_ACCOUNTS:
        raise InputError(("accounts",), many, f"all shards together have at most {MOST_ACCOUNTS:,} accounts")
