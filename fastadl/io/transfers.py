"""The tables of money that comes in, goes out, or moves from account to account."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from fastadl.contracts import Instruments
from fastadl.io.fills import coded, whole
from fastadl.io.index import Index
from fastadl.io.numbers import money, refuse_beyond
from fastadl.io.table import Table
from fastadl.schema import FUND, BoolArray, Int64Array, IntArray

__all__ = ["Moves", "Transfers", "read_moves", "read_transfers"]

_SIDES = ("long", "short")


class Transfers(NamedTuple):
    """Money that comes in or goes out, one entry each."""

    account: IntArray  # int32   −1: the fund
    currency: IntArray  # int64
    atoms: Int64Array  # above 0


class Moves(NamedTuple):
    """Money, and the position that moves along, from one account to another."""

    source: IntArray  # int32
    target: IntArray  # int32
    atoms: Int64Array  # at least 0
    instrument: IntArray  # int32   −1: no position
    side: IntArray  # int32   0 long, 1 short, −1 not said


def read_transfers(
    data: Any, instruments: Instruments, currency: IntArray, accounts: int, index: Callable[[], Index]
) -> Transfers:
    """Transfers as codes and atoms.

    Parameters
    ----------
    data : DataFrame or mapping
        Columns of `fastadl.schema.TRANSFERS`.
    currency : int16 (accounts that are named, or all)
    instruments, accounts, index : as in `fastadl.io.fills.read_fills`

    Raises
    ------
    InputError
        Naming column, row, value and remedy.
    """
    table = Table("transfers", data)
    account = _accounts(table, "account", accounts, index, fund=True)
    holds = _currencies(table, account, currency, instruments)
    atoms = _atoms(table, holds, instruments, least=1, remedy="give an amount above 0")
    table.finish()
    return Transfers(account, holds, atoms)


def read_moves(
    data: Any, instruments: Instruments, currency: IntArray, accounts: int, index: Callable[[], Index]
) -> Moves:
    """Transfers between accounts as codes and atoms; arguments and errors as of `read_transfers`.

    Columns are those of `fastadl.schema.MOVES`.
    """
    table = Table("moves", data)
    source = _accounts(table, "source", accounts, index)
    target = _accounts(table, "target", accounts, index)
    source = source[: table.height]
    table.refuse(source[: len(target)] == target, "target", "name another account than the source")
    table.refuse(
        currency[source[: len(target)]] != currency[target],
        "target",
        "name an account in the currency of the source",
    )
    atoms = _atoms(table, currency[source], instruments, least=0, remedy="give an amount of at least 0")
    instrument = _choices(
        table, "symbol", instruments.symbols, lambda s: f"name an instrument, such as {instruments.near(s)}"
    )
    side = _choices(table, "side", _SIDES, lambda _: "give long, short or null")
    table.refuse(
        (side >= 0) & (instrument[: len(side)] < 0),
        "side",
        "name the symbol of the position that moves along",
    )
    table.finish()
    return Moves(source, target, atoms, instrument, side)


def _accounts(
    table: Table, column: str, count: int, index: Callable[[], Index], *, fund: bool = False
) -> IntArray:
    """Codes of ids, or the codes given; −1 for the fund where that is allowed."""
    if coded(table, column):
        codes = whole(table, column)
        table.refuse(
            (codes < -int(fund)) | (codes >= count),
            column,
            f"give a code from 0 to {count - 1}, as `Engine.codes` does",
        )
        return codes[: table.height].astype(np.int32)
    names = table.text(column)
    codes = index().find(names)
    known = codes >= 0
    if fund:
        known |= (names == FUND).to_numpy()
    table.refuse(~known, column, "name an account of the book")
    return codes[: table.height]


def _currencies(table: Table, account: IntArray, currency: IntArray, instruments: Instruments) -> IntArray:
    """Currency of each transfer: that of its account, or of the fund that is named."""
    holds, traders = np.zeros(len(account), np.int64), account >= 0
    holds[traders] = currency[account[traders]]
    if "currency" not in table:
        if len(instruments.currencies) > 1:
            table.refuse(account < 0, "account", "say in a column currency which fund", value=FUND)
        return holds[: table.height]
    named = _choices(
        table,
        "currency",
        instruments.currencies,
        lambda _: f"name one of {', '.join(instruments.currencies)}",
    )
    account, holds = account[: len(named)], holds[: len(named)]
    if len(instruments.currencies) > 1:
        table.refuse((account < 0) & (named < 0), "currency", "say which fund")
    table.refuse((account >= 0) & (named >= 0) & (named != holds), "currency", "give the account's own")
    return np.where((account < 0) & (named >= 0), named, holds)[: table.height]


def _choices(table: Table, column: str, choices: Any, remedy: Callable[[str], str]) -> IntArray:
    """Positions of texts among a few choices; −1 for null, and everywhere without the column."""
    if column not in table:
        return np.full(table.height, -1, np.int32)
    given: pl.Series = table.text(column, nulls=True)
    found = given.cast(pl.Enum(choices), strict=False).to_physical().cast(pl.Int32).fill_null(-1).to_numpy()
    unknown: BoolArray = (found < 0) & given.is_not_null().to_numpy()
    table.refuse(unknown, column, lambda row: remedy(table.cell(column, row)))
    return found[: table.height]


def _atoms(table: Table, holds: IntArray, instruments: Instruments, *, least: int, remedy: str) -> Int64Array:
    given = "amount_atoms" in table
    column = "amount_atoms" if given else "amount"
    atoms = whole(table, column) if given else money(table, column, holds, instruments)
    table.refuse(atoms < least, column, remedy)
    refuse_beyond(table, column, atoms)
    return atoms[: table.height]
