"""Seeded synthetic books: heavy-tailed sizes, a few dominant markets, balanced open interest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from fastadl import memory
from fastadl.book import Book
from fastadl.contracts import Instrument, Instruments
from fastadl.errors import InputError
from fastadl.kernels._threads import refuse_fork
from fastadl.schema import (
    ROW_BOUND,
    SUM_BOUND,
    AccountColumns,
    Float64Array,
    Int64Array,
    IntArray,
    PositionColumns,
)
from fastadl.synth.legs import draw_counts, draw_legs
from fastadl.synth.listing import perpetuals, whole
from fastadl.synth.money import draw_cash, draw_entries, draw_lots, margin_needed, too_fine
from fastadl.synth.shapes import SHAPES, Shape, laws_of

__all__ = ["SHAPES", "Shape", "book", "perpetuals"]

#: Bytes that drawing takes at least, of which the book keeps about a third.
_POSITION_BYTES, _ACCOUNT_BYTES = 80, 60


def book(
    shape: str, *, positions: int, accounts: int, instruments: int | Sequence[Instrument], seed: int
) -> Book:
    """A synthetic book in which nobody is liquidatable at the book's own marks.

    Long and short lots are equal in every instrument. Equal arguments give equal books; the number of
    threads plays no part.

    Parameters
    ----------
    shape : str
        A name of `SHAPES`: ``pareto``, ``uniform``, ``hedged`` or ``small``.
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
        Accounts ``a0000000``, ``a0000001``, …; all cross.

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
    laws = laws_of(shape)
    whole("accounts", accounts, 1, 1 << 31)
    whole("seed", seed, 0, 1 << 128)
    table = _table(perpetuals(instruments) if isinstance(instruments, (int, np.integer)) else instruments)
    whole("positions", positions, 1, min(1 << 31, 2 * accounts * len(table)))
    needed = _POSITION_BYTES * positions + _ACCOUNT_BYTES * accounts
    memory.refuse_beyond(needed, ("positions",), f"{positions:,} positions of {accounts:,} accounts")
    return Book._from_columns(table, *_drawn(laws, table, positions, accounts, seed))


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


def _units(table: Instruments) -> Float64Array:
    """Value of one lot of each instrument at its mark, in atoms."""
    units = np.empty(len(table))
    for i, item in enumerate(table):
        if item.mark is None:
            raise InputError(("instruments", i, "mark"), "null", "give every instrument a mark")
        units[i] = item.unit_value(item.mark)
    return units


def _drawn(
    laws: Shape, table: Instruments, positions: int, accounts: int, seed: int
) -> tuple[AccountColumns, PositionColumns]:
    rng = np.random.default_rng(seed)
    unit = _units(table)
    atoms = 10.0 ** table.decimals[0]
    counts = draw_counts(rng, laws, positions, accounts, len(table))
    account, instrument, short = draw_legs(rng, laws, counts, len(table))
    lots, excess = draw_lots(rng, laws, instrument, short, np.abs(unit), atoms)
    entry = draw_entries(rng, table, instrument, lots, unit)
    notional = lots * np.abs(unit)[instrument]
    _check_bounds(entry, notional)
    sign = np.where(short, -1.0, 1.0)
    lots *= sign
    sign *= np.sign(unit)[instrument]
    needed = margin_needed(table, instrument, notional)
    cash = draw_cash(rng, laws, account, (notional - entry) * sign, notional, needed, accounts, atoms)
    entry *= sign
    single = np.flatnonzero(excess)
    held = -excess[single]
    rows = PositionColumns(
        account=np.concatenate([account, np.full(len(single), -2, np.int32)]),
        instrument=np.concatenate([instrument, single.astype(np.int32)]),
        lots=np.concatenate([lots.astype(np.int64), held]),
        entry_value=np.concatenate([entry, np.rint(held * unit[single])]).astype(np.int64),
    )
    _check_bounds(cash, entry)
    return _account_columns(cash), rows


def _check_bounds(*amounts: IntArray) -> None:
    for amount in amounts:
        largest = float(np.abs(amount).max(initial=0))
        if largest > ROW_BOUND:
            raise too_fine(int(largest))
    if (total := sum(float(np.abs(amount).sum()) for amount in amounts)) > SUM_BOUND:
        raise too_fine(int(total))


def _account_columns(cash: Int64Array) -> AccountColumns:
    digits = max(7, len(str(len(cash) - 1)))
    ids = pl.int_range(len(cash), eager=True).cast(pl.String).str.zfill(digits)
    return AccountColumns(
        id=("a" + ids).alias("id"),
        owner=None,
        currency=np.zeros(len(cash), np.int16),
        isolated=np.zeros(len(cash), np.bool_),
        adl_tier=np.zeros(len(cash), np.uint8),
        cash=cash,
    )
