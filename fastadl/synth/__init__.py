"""Seeded synthetic books: heavy-tailed sizes, a few dominant markets, balanced open interest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from fastadl import memory
from fastadl.book import Book, empty_rows, leg_rank, leg_type
from fastadl.contracts import Instrument, Instruments
from fastadl.errors import InputError
from fastadl.kernels._threads import refuse_fork
from fastadl.kernels.layout import sort_columns
from fastadl.schema import AccountColumns
from fastadl.sharded.divide import check_count
from fastadl.sharded.ranks import MOST_ACCOUNTS
from fastadl.synth.against import against
from fastadl.synth.blocks import Draw, generator
from fastadl.synth.degrees import draw_degrees
from fastadl.synth.describe import describe, unit_values
from fastadl.synth.legs import draw_legs
from fastadl.synth.listing import perpetuals, whole
from fastadl.synth.money import draw_money
from fastadl.synth.named import ABOUT, SHAPES, named
from fastadl.synth.shapes import Shape
from fastadl.synth.sizes import draw_lots, draw_sizes

__all__ = ["ABOUT", "SHAPES", "Shape", "against", "book", "describe", "named", "parts", "perpetuals"]

#: Bytes that drawing takes at least, nearly all of which the book keeps.
_POSITION_BYTES, _ACCOUNT_BYTES = 18, 45


def book(
    shape: str | Shape,
    *,
    positions: int,
    accounts: int,
    instruments: int | Sequence[Instrument],
    seed: int,
) -> Book:
    """A synthetic book in which nobody is liquidatable at the book's own marks.

    Long and short lots are equal in every instrument. Equal arguments give equal books; the number of
    threads plays no part.

    Parameters
    ----------
    shape : str or Shape
        A name of `SHAPES`: ``pareto``, ``retail``, ``hyperliquid_like``, ``whale``, ``hedged``,
        ``crowded_long`` or ``uniform``; or a shape of one's own.
    positions : int
        Rows held by traders. Only an instrument that a single row was drawn for needs a row of ``market``
        beside them.
    accounts : int
        With fewer positions than accounts, some accounts hold cash only.
    instruments : int or sequence of Instrument
        How many of `perpetuals`, or the instruments themselves, largest market first, each with a mark and
        all in one currency.
    seed : int
        Not negative.

    Returns
    -------
    Book
        Accounts ``a0000000``, ``a0000001``, …; cross, but for the shape's isolated ones.

    Raises
    ------
    InputError
        For an unknown shape, a count below 1, more positions than accounts × instruments × 2, or an
        instrument without a mark.
    MemoryLimitError
        If the book does not fit the memory that is free.

    Examples
    --------
    >>> from fastadl import synth
    >>> book = synth.book("pareto", positions=1000, accounts=400, instruments=3, seed=1)
    >>> len(book.accounts), len(book)
    (400, 1000)
    """
    refuse_fork()
    laws = shape if isinstance(shape, Shape) else named(shape)
    whole("accounts", accounts, 1, 1 << 31)
    whole("seed", seed, 0, 1 << 128)
    table = _table(perpetuals(instruments) if isinstance(instruments, (int, np.integer)) else instruments)
    whole("positions", positions, 1, min(1 << 31, 2 * accounts * len(table)))
    _check_memory(positions, accounts)
    return _drawn(laws, table, positions, _ids(range(accounts), accounts), seed)


def parts(
    shape: str | Shape,
    *,
    positions: int,
    accounts: int,
    instruments: int | Sequence[Instrument],
    seed: int,
    shards: int,
) -> Iterator[Book]:
    """A synthetic book of any size, drawn part by part: one part is in memory at a time.

    Every part is drawn as `book` draws a book of its size, from a seed of its own. So all of them are not the
    accounts that `book` draws from the same seed: sides are equal, whales share, and `largest_share` cuts
    within each part, and positions of the parts were entered at different past prices.

    Parameters
    ----------
    shape, positions, accounts, instruments, seed
        Of all parts together, as in `book`.
    shards : int
        Parts, each with as many positions and accounts as the others, to within one.

    Returns
    -------
    iterator of Book
        All of the same instruments; accounts are numbered from part to part.

    Raises
    ------
    InputError
        As `book` does, before anything is drawn.
    MemoryLimitError
        If a part does not fit the memory that is free.
    """
    refuse_fork()
    laws = shape if isinstance(shape, Shape) else named(shape)
    check_count("shards", shards)
    whole("accounts", accounts, shards, MOST_ACCOUNTS)
    whole("seed", seed, 0, 1 << 128)
    table = _table(perpetuals(instruments) if isinstance(instruments, (int, np.integer)) else instruments)
    whole("positions", positions, shards, 2 * (accounts // shards) * shards * len(table))
    _check_memory(-(-positions // shards), -(-accounts // shards))
    return _each(laws, table, positions, accounts, seed, shards)


def _each(
    laws: Shape, table: Instruments, positions: int, accounts: int, seed: int, shards: int
) -> Iterator[Book]:
    held, whales = _split(positions, shards), _split(laws.whales, shards)
    first = np.cumsum([0, *_split(accounts, shards)]).tolist()
    for part in range(shards):
        own = np.random.SeedSequence(seed, spawn_key=(part,)).generate_state(4).tobytes()
        ids = _ids(range(*first[part : part + 2]), accounts)
        part_laws = replace(laws, whales=whales[part])
        yield _drawn(part_laws, table, held[part], ids, int.from_bytes(own, "little"))


def _split(total: int, shards: int) -> list[int]:
    return [total // shards + (part < total % shards) for part in range(shards)]


def _check_memory(positions: int, accounts: int) -> None:
    needed = _POSITION_BYTES * positions + _ACCOUNT_BYTES * accounts
    memory.refuse_beyond(needed, ("positions",), f"{positions:,} positions of {accounts:,} accounts")


def _table(given: Any) -> Instruments:
    if not isinstance(given, Sequence) or not all(isinstance(item, Instrument) for item in given):
        raise InputError(("instruments",), given, "give a whole number, or a list of instruments")
    if not given:
        raise InputError(("instruments",), "none", "give at least 1")
    table = Instruments(given)
    if len(table.code) < len(table):
        raise InputError(("instruments",), ", ".join(table.symbols), "name every symbol once")
    if len(table.currencies) > 1:
        raise InputError(
            ("instruments",), ", ".join(table.currencies), "give instruments of one settlement currency"
        )
    return table


def _drawn(laws: Shape, table: Instruments, positions: int, ids: pl.Series, seed: int) -> Book:
    """A book drawn in place: legs, sizes, lots and money in turn, each block by block."""
    unit, count, accounts = unit_values(table), len(table), len(ids)
    atoms = 10.0 ** table.decimals[0]
    held, kind = draw_degrees(seed, laws, positions, accounts, count)
    slot, rows = empty_rows(held, leg_type(table))
    del held
    draw = Draw(rows, seed)
    draw_legs(draw, laws, kind, count)
    sort_columns(rows, leg_rank(table))
    sums = draw_sizes(draw, laws, kind, count)
    excess = draw_lots(draw, laws, kind, sums, np.abs(unit), atoms)
    isolated = draw_money(draw, laws, table, unit, generator(seed, 1 << 16))
    reserve_lots, reserve_entry = np.zeros((2, 2, count), np.int64)
    reserve_lots[1] = -excess
    reserve_entry[1] = np.rint(-excess * unit)
    people = AccountColumns(
        id=ids,
        owner=None,
        currency=np.zeros(accounts, np.int16),
        isolated=isolated,
        adl_tier=np.zeros(accounts, np.uint8),
        cash=rows.cash,
    )
    return Book._of_rows(table, people, slot, rows, reserve_lots, reserve_entry)


def _ids(numbers: range, accounts: int) -> pl.Series:
    digits = max(7, len(str(accounts - 1)))
    counted = pl.int_range(numbers.start, numbers.stop, eager=True)
    return ("a" + counted.cast(pl.String).str.zfill(digits)).alias("id")
