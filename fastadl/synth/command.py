"""A book drawn, described, compared and written: what ``fastadl synth`` does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import numpy as np

from fastadl import io, synth
from fastadl.book import Book
from fastadl.errors import InputError
from fastadl.sharded.divide import check_count
from fastadl.sharded.writing import write_dataset, write_parts
from fastadl.synth.describe import unit_values
from fastadl.synth.named import assigned
from fastadl.synth.shapes import Shape

__all__ = ["Target", "drawn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a book goes.

    Parameters
    ----------
    out : str, optional
        New or empty folder.
    shards : int, optional
        Write a `fastadl.sharded.dataset.Dataset` of so many partitions.
    apart : bool
        Draw and write one partition after another (`parts`).
    """

    out: str | None = None
    shards: int | None = None
    apart: bool = False

    def check(self) -> None:
        """Refuse now what does not go together, or cannot be written when a long draw is over."""
        if self.shards is not None:
            check_count("shards", self.shards)
            if self.out is None:
                raise InputError(("shards",), self.shards, "say where they are written: --out FOLDER")
        if self.apart and self.shards is None:
            raise InputError(("apart",), "given", "say in how many partitions: --shards N")
        if self.out is not None:
            io.check_folder(self.out)


def drawn(
    shape: str,
    *,
    positions: int,
    accounts: int | None = None,
    instruments: int,
    seed: int,
    set: Sequence[str] | None = None,
    against_folder: str | None = None,
    target: Target = Target(),
    progress: Callable[[int, int], object] | None = None,
) -> dict[str, Any]:
    """Draw a book and say what it is like, in plain values.

    Parameters
    ----------
    shape : str
        A name of `SHAPES`.
    positions, instruments, seed : int
        See `book`.
    accounts : int, optional
        Two for every five positions.
    set : sequence of str, optional
        Parameters to change, such as ``size_tail=0.9``.
    against_folder : str, optional
        See `against`; not of a book drawn apart, which is never in memory.
    target : Target
        What the book is written to, last of all.
    progress : callable, optional
        Told how many partitions are written, and of how many.

    Returns
    -------
    dict
        ``shape``, ``parameters``, ``seed``; ``book`` (`describe`; only counts and open interest of one that
        is drawn apart); ``against`` or None; ``bytes`` of the book; ``seconds`` it took to draw; ``written``,
        the folder or None; ``shards`` or None, and ``apart``.
    """
    laws = synth.named(shape, **assigned(set or ()))
    target.check()
    if target.apart and against_folder is not None:
        raise InputError(("against",), against_folder, "leave it out: a book drawn apart is never in memory")
    if accounts is None:
        accounts = max(positions * 2 // 5, 1)
    wanted = {"positions": positions, "accounts": accounts, "instruments": instruments, "seed": seed}
    told = {"shape": shape, "parameters": asdict(laws), "seed": seed}
    told |= {"written": target.out, "shards": target.shards, "apart": target.apart}
    if target.apart:
        return told | _apart(laws, wanted, target, progress)
    start = perf_counter()
    book = synth.book(laws, **wanted)
    told |= {"seconds": perf_counter() - start, "bytes": book.nbytes, "book": synth.describe(book)}
    told["against"] = None if against_folder is None else synth.against(book, against_folder, seed=seed)
    if target.shards is not None:
        write_dataset(book, str(target.out), shards=target.shards, progress=progress)
    elif target.out is not None:
        book.write(target.out)
    return told


def _apart(
    laws: Shape, wanted: dict[str, int], target: Target, progress: Callable[[int, int], object] | None
) -> dict[str, Any]:
    counts, shards = _Counts(), int(target.shards or 0)
    parts = counts.of(synth.parts(laws, **wanted, shards=shards))
    write_parts(parts, str(target.out), shards=shards, progress=progress)
    return {"book": counts.book, "against": None, "bytes": counts.bytes, "seconds": counts.seconds}


class _Counts:
    """What is counted of the parts of a book while they are drawn."""

    def __init__(self) -> None:
        self.book = {"accounts": 0, "positions": 0, "markets": 0, "open_interest": 0.0}
        self.bytes, self.seconds = 0, 0.0

    def of(self, parts: Iterable[Book]) -> Iterator[Book]:
        """The parts, counted; time is that of drawing them."""
        start = perf_counter()
        for part in parts:
            self.seconds += perf_counter() - start
            self._count(part)
            yield part
            start = perf_counter()

    def _count(self, part: Book) -> None:
        table, rows = part.instruments, part.rows
        lots = np.bincount(rows.leg >> 1, np.abs(rows.lots), len(table))
        self.book["accounts"] += len(part.slot)
        self.book["positions"] += len(rows.lots)
        self.book["markets"] = len(table)
        self.book["open_interest"] += float(lots @ np.abs(unit_values(table))) / 2 / 10.0 ** table.decimals[0]
        self.bytes += part.nbytes
