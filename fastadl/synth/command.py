"""A book drawn, described, compared and written: what ``fastadl synth`` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from time import perf_counter
from typing import Any

from fastadl import io, synth
from fastadl.synth.named import assigned

__all__ = ["drawn"]


def drawn(
    shape: str,
    *,
    positions: int,
    accounts: int | None = None,
    instruments: int,
    seed: int,
    set: Sequence[str] | None = None,
    against_folder: str | None = None,
    out: str | None = None,
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
        See `against`.
    out : str, optional
        New or empty folder that the book is written into, last of all.

    Returns
    -------
    dict
        ``shape``, ``parameters``, ``seed``; ``book`` (`describe`); ``against`` or None; ``bytes`` of the
        book; ``seconds`` it took to draw; ``written``, the folder or None.
    """
    laws = synth.named(shape, **assigned(set or ()))
    if out is not None:
        io.check_folder(out)
    if accounts is None:
        accounts = max(positions * 2 // 5, 1)
    start = perf_counter()
    book = synth.book(laws, positions=positions, accounts=accounts, instruments=instruments, seed=seed)
    seconds = perf_counter() - start
    return {
        "shape": shape,
        "parameters": asdict(laws),
        "seed": seed,
        "book": synth.describe(book),
        "against": None if against_folder is None else synth.against(book, against_folder, seed=seed),
        "bytes": book.nbytes,
        "seconds": seconds,
        "written": None if out is None else str(book.write(out)),
    }
