"""A book divided by account into parts that are books of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from fastadl.book import Book, empty_rows
from fastadl.errors import InputError
from fastadl.kernels.layout import Rows
from fastadl.schema import AccountColumns, Int64Array, IntArray

__all__ = ["MOST_PARTS", "WAYS", "check_count", "divide", "divided", "members", "placed", "some"]

#: Ways to divide accounts, by name.
WAYS = ("hash", "round_robin", "order")
#: Parts have numbers of 16 bits, which NumPy sorts by radix.
MOST_PARTS = 1 << 15
_HASH_SEED = 10


def divide(book: Book, shards: int, by: str | npt.ArrayLike = "hash") -> list[tuple[Book, Int64Array]]:
    """Books of the accounts of each shard, and the codes that these have in the whole book.

    Every part has all instruments, its accounts in the order of the whole book and their ranks among all of
    them, so that ties are broken as in one book. What ``fund`` and ``market`` hold is in none of the parts.

    Parameters
    ----------
    book : Book
        Not changed; nothing is shared with it but its instruments.
    shards : int
        How many parts, of which some may be empty.
    by : str or int array (accounts)
        See `placed`.

    Returns
    -------
    list of (Book, int64 (accounts of the part))
        By shard; the codes rise.

    Raises
    ------
    InputError
        As `placed` does.

    Examples
    --------
    >>> from fastadl import synth
    >>> book = synth.book("pareto", positions=9, accounts=5, instruments=3, seed=1)
    >>> [(len(part.accounts), codes.tolist()) for part, codes in divide(book, 2, "round_robin")]
    [(3, [0, 2, 4]), (2, [1, 3])]
    """
    return list(divided(book, shards, by))


def divided(book: Book, shards: int, by: str | npt.ArrayLike) -> Iterator[tuple[Book, Int64Array]]:
    """The parts of `divide` one by one."""
    rank, book = book.rank, book.compact()
    for codes in members(placed(book, shards, by), shards):
        yield some(book, codes, rank), codes


def placed(book: Book, shards: int, by: str | npt.ArrayLike) -> IntArray:
    """The part that each account goes to: int (accounts).

    Parameters
    ----------
    book : Book
    shards : int
        1 to 32,768.
    by : str or int array (accounts)
        ``hash``: by the id alone, whatever else is in the book (another version of polars may hash
        otherwise); ``round_robin``: one after another in turn; ``order``: the first accounts to the first
        part and so on, about as many positions to each; or the part of each account itself, from 0.

    Raises
    ------
    InputError
        Naming what is wrong with `shards` or `by`.
    """
    check_count("shards", shards)
    count = len(book.slot)
    if not isinstance(by, str):
        return _given(by, count, shards)
    if by == "hash":
        hashes: IntArray = book.accounts.hash(_HASH_SEED).to_numpy()
        return hashes % np.uint64(shards)
    if by == "round_robin":
        return np.arange(count) % shards
    if by == "order":
        weight = _held(book.rows, book.slot) + 1
        before = np.cumsum(weight) - weight
        return before * shards // max(int(weight.sum()), 1)
    raise InputError(("by",), by, f"give {', '.join(WAYS)}, or the part of every account")


def check_count(name: str, count: object) -> None:
    """Refuse anything but a number of parts."""
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or not 1 <= count <= MOST_PARTS:
        raise InputError((name,), count, f"give a whole number from 1 to {MOST_PARTS:,}")


def members(part: IntArray, shards: int) -> list[Int64Array]:
    """Accounts of each part, rising: int64 arrays."""
    order = np.argsort(part.astype(np.uint16), kind="stable").astype(np.int64, copy=False)
    return np.split(order, np.cumsum(np.bincount(part.astype(np.int64), minlength=shards))[:-1])


def _given(by: npt.ArrayLike, count: int, shards: int) -> IntArray:
    part: npt.NDArray[Any] = np.asarray(by)
    if part.dtype.kind not in "iu" and part.size:
        raise InputError(
            ("by",), f"an array of {part.dtype}", "give whole numbers, the part of every account"
        )
    if part.shape != (count,):
        remedy = f"give {count} parts, one for every account"
        raise InputError(("by",), f"an array of shape {part.shape}", remedy)
    beyond = (part < 0) | (part >= shards)
    if beyond.any():
        row = int(beyond.argmax())
        raise InputError(("by", row), part[row].item(), f"give a part from 0 to {shards - 1}")
    return part.astype(np.int64)


def _held(rows: Rows, slots: IntArray) -> Int64Array:
    """Rows of some slots, closed ones too: int64 (slots)."""
    return rows.group_rows[np.searchsorted(rows.group_slot, slots, side="right") - 1]


def some(book: Book, codes: Int64Array, rank: IntArray | None = None) -> Book:
    """A book of some accounts of one without closed rows; their ranks are those given for all accounts."""
    old = book.rows
    source = book.slot[codes]
    slot, rows = empty_rows(_held(old, source).astype(np.int32), old.leg.dtype.type)
    _copy(old, source[rows.account], rows)
    ids = book.accounts.gather(codes)
    owner = None if book._owner is None else book._owner.gather(codes)
    accounts = AccountColumns(
        id=ids,
        owner=None if owner is None or (owner == ids).all() else owner,
        currency=book.currency[codes],
        isolated=book.isolated[codes],
        adl_tier=book.adl_tier[codes],
        cash=rows.cash,
        exempt=book.exempt[codes],
    )
    reserves = np.zeros((2, 2, len(book.instruments)), np.int64)
    return Book._of_rows(
        book.instruments, accounts, slot, rows, *reserves, rank=None if rank is None else rank[codes]
    )


def _copy(old: Rows, source: IntArray, new: Rows) -> None:
    """Copy the columns of some slots, group by group."""
    new.cash[:] = old.cash[source]
    width = np.diff(old.group_slot)
    for g, size in enumerate(new.group_rows.tolist()):
        slots = source[new.group_slot[g] : new.group_slot[g + 1]]
        group = np.searchsorted(old.group_slot, slots, side="right") - 1
        first = old.group_row[group] + slots - old.group_slot[group]
        at = first + np.arange(size)[:, None] * width[group]
        own = slice(*new.group_row[g : g + 2].tolist())
        for name in ("leg", "lots", "entry"):
            getattr(new, name)[own] = getattr(old, name)[at].ravel()
