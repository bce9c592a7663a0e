"""A book written in partitions, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from fastadl import io
from fastadl.book import Book
from fastadl.sharded.dataset import Dataset, told
from fastadl.sharded.divide import check_count, divided

__all__ = ["write_dataset", "write_parts"]


def write_dataset(
    book: Book | tuple[Any, Any, Any],
    folder: str | os.PathLike[str],
    *,
    shards: int,
    by: str | npt.ArrayLike = "order",
    progress: Callable[[int, int], object] | None = None,
) -> Path:
    """Write a book as a `Dataset` into a new or empty folder, whole or not at all.

    Parameters
    ----------
    book : Book, or three frames as `Book.from_frames` takes them
    folder : path
    shards : int
        Number of partitions.
    by : str or int array (accounts)
        See `fastadl.sharded.divide.placed`. With ``order`` partitions one after another are the accounts in
        their order.
    progress : callable, optional
        Told how many partitions are written, and of how many.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        If the folder holds something or cannot be written, or for a division that is none.

    Examples
    --------
    >>> import tempfile
    >>> from fastadl import synth
    >>> from fastadl.sharded.dataset import Dataset
    >>> book = synth.book("pareto", positions=90, accounts=50, instruments=3, seed=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Dataset.open(write_dataset(book, folder, shards=2)).book()
    <Book: 50 accounts, 90 positions, 3 instruments>
    """
    whole = book if isinstance(book, Book) else Book.from_frames(*book)
    return write_parts(_with_reserves(whole, shards, by), folder, shards=shards, progress=progress)


def write_parts(
    parts: Iterable[Book],
    folder: str | os.PathLike[str],
    *,
    shards: int,
    progress: Callable[[int, int], object] | None = None,
) -> Path:
    """Write books of the same instruments and of different accounts as one `Dataset`, one by one.

    What ``fund`` and ``market`` hold in any of them is added up. The rest is as in `write_dataset`.

    Parameters
    ----------
    parts : iterable of Book
        As many as `shards` says.

    Raises
    ------
    InputError
        As `Dataset.open` would for what was written.
    """
    check_count("shards", shards)
    reserves = []
    with io.new_folder(folder) as partial:
        for number, part in enumerate(parts):
            instruments, accounts, positions = io.frames(part)
            held = int(np.count_nonzero(part.rows.lots))
            reserves.append(positions[held:])
            home = partial / f"part-{number:05d}"
            home.mkdir()
            _write(accounts.with_columns(exempt=part.exempt), home / "accounts.parquet", shards)
            _write(positions[:held], home / "positions.parquet", shards)
            if progress is not None:
                progress(number + 1, shards)
        _write(instruments, partial / "instruments.parquet", shards)
        _write(_added(pl.concat(reserves)), partial / "reserves.parquet", shards)
        Dataset.open(partial)
    return Path(folder)


def _with_reserves(book: Book, shards: int, by: str | npt.ArrayLike) -> Iterator[Book]:
    """Parts of a book, the reserves in the first."""
    for number, (part, _) in enumerate(divided(book, shards, by)):
        if number == 0:
            part.reserve_lots, part.reserve_entry = book.reserve_lots, book.reserve_entry
        yield part


def _added(positions: pl.DataFrame) -> pl.DataFrame:
    """One row for each of several that are of one account and symbol; none of no lots."""
    sums = positions.group_by("account", "symbol", maintain_order=True).agg(
        pl.exclude("account", "symbol").sum()
    )
    return sums.filter(pl.col("lots") != 0)


def _write(frame: pl.DataFrame, path: Path, shards: int) -> None:
    frame.write_parquet(path, metadata=told(shards))
