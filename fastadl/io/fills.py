"""The fills table: what the matching engine traded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from fastadl.contracts import Instruments
from fastadl.decimals import plain
from fastadl.errors import InputError
from fastadl.io.index import Index
from fastadl.io.numbers import entry_values, money, numbers, on_grid
from fastadl.io.table import Table
from fastadl.kernels.live import Trades
from fastadl.schema import RESERVED, Int64Array, IntArray

__all__ = ["account_codes", "coded", "read_accounts", "read_codes", "read_fills", "whole"]


def read_fills(
    data: Any,
    instruments: Instruments,
    accounts: int,
    index: Callable[[], Index],
    name: str = "fills",
) -> tuple[Trades, bool]:
    """Fills as columns of codes, lots and atoms, and whether they were given by price.

    Parameters
    ----------
    data : DataFrame or mapping
        Columns of `fastadl.schema.FILLS`.
    instruments : Instruments
    accounts : int
        How many there are.
    index : callable
        Gives the index of the account ids, should any be named.
    name : {"fills", "orders"}
        What errors call the table.

    Raises
    ------
    InputError
        Naming column, row, value and remedy; codes and amounts that fit no book are left to `add_up`.
    """
    table = Table(name, data)
    account = account_codes(table, accounts, index, reserves=True)
    instrument = _codes(table, "symbol", len(instruments), lambda: _symbols(table, instruments))
    side = _sides(table)
    lots = _lots(table, instrument, instruments)
    priced = "price" in table
    if priced and "value" in table:
        raise InputError((name, "price"), "given beside value", "keep one of the two")
    value = _values(table, lots, instrument, instruments)
    fee = _fees(table, instrument, instruments)
    table.finish()
    return Trades(account, instrument, lots, value, fee, side), priced


def read_accounts(accounts: Any, count: int, index: Callable[[], Index]) -> IntArray:
    """Codes of accounts, given by ids or by codes below `count`; no reserves."""
    table = Table("codes", {"account": accounts})
    codes = account_codes(table, count, index)
    table.finish()
    return codes


def read_codes(accounts: Any, symbols: Any, instruments: Instruments, index: Callable[[], Index]) -> IntArray:
    """Codes of account ids, or of symbols, whichever are given."""
    if accounts is None:
        table = Table("codes", {"symbol": _column(symbols)})
        codes = _symbols(table, instruments)
    else:
        table = Table("codes", {"account": _column(accounts)})
        codes = _accounts(table, index(), reserves=True)
    table.finish()
    return codes


def _column(names: Any) -> Any:
    """Names as a column; one text is one name."""
    return [names] if isinstance(names, str) else names


def account_codes(
    table: Table, count: int, index: Callable[[], Index], *, reserves: bool = False
) -> IntArray:
    """The column of accounts: ids, or codes below `count`; −1 the fund, −2 the market, if allowed."""
    least = -len(RESERVED) if reserves else 0
    return _codes(table, "account", count, lambda: _accounts(table, index(), reserves=reserves), least)


def whole(table: Table, column: str) -> Int64Array:
    """A column of integers; arrays of them are taken as they are."""
    given = table.column(column)
    if isinstance(given, np.ndarray) and given.dtype.kind == "i":
        return given[: table.height].astype(np.int64, copy=False)
    return table.integers(column)


def _codes(table: Table, column: str, count: int, named: Callable[[], IntArray], least: int = 0) -> IntArray:
    """A column of names, or of their codes."""
    if not coded(table, column):
        return named()
    codes = whole(table, column)
    bad = (codes < least) | (codes >= count)
    if np.count_nonzero(bad):
        table.refuse(bad, column, f"give a code from 0 to {count - 1}, as `Engine.codes` does")
    return codes[: table.height].astype(np.int32)


def coded(table: Table, column: str) -> bool:
    """Whether a column is of integers."""
    given = table.column(column)
    if isinstance(given, pl.Series):
        return given.dtype.is_integer()
    if isinstance(given, np.ndarray):
        return given.dtype.kind in "iu"
    return len(given) > 0 and all(type(each) is int for each in given)


def _accounts(table: Table, index: Index, *, reserves: bool) -> IntArray:
    ids = table.text("account")
    codes = index.find(ids)
    unknown = codes < 0
    if reserves and unknown.any():
        for who, name in enumerate(RESERVED):
            same = (ids == name).to_numpy()
            codes[same] = -1 - who
            unknown &= ~same
    table.refuse(unknown, "account", "name an account of the book")
    return codes[: table.height]


def _symbols(table: Table, instruments: Instruments) -> IntArray:
    return table.codes(
        "symbol",
        instruments.symbols,
        lambda symbol: f"name one of the instruments, such as {instruments.near(symbol)}",
    )


def _sides(table: Table) -> IntArray:
    """The column of sides: 1 long, −1 short, 0 where none is named."""
    if "side" not in table:
        return np.zeros(table.height, np.int8)
    if coded(table, "side"):
        codes = whole(table, "side")
        table.refuse((codes < -1) | (codes > 1), "side", "give 1 for long, -1 for short, 0 for neither")
    else:
        remedy = "name the side of the position, long or short, or null"
        codes = np.array([1, -1, 0])[table.codes("side", ("long", "short"), lambda _: remedy, nulls=True)]
    return codes[: table.height].astype(np.int8)


def _lots(table: Table, instrument: IntArray, instruments: Instruments) -> Int64Array:
    if "lots" in table:
        return whole(table, "lots")
    steps = [1 / item.lot for item in instruments]
    return on_grid(
        table,
        "qty",
        numbers(table, "qty"),
        instrument,
        steps,
        lambda row: f"give a multiple of the lot {plain(1 / steps[instrument[row]])}",
    )


def _values(table: Table, lots: Int64Array, instrument: IntArray, instruments: Instruments) -> Int64Array:
    """What is paid for the lots; at a price it is rounded up, against the account (rule R11)."""
    if "value_atoms" in table:
        return whole(table, "value_atoms")
    if "value" in table:
        return money(table, "value", instruments.currency[instrument], instruments)
    prices = numbers(table, "price")
    table.refuse(~prices.above_zero, "price", "give a price above 0")
    return entry_values(table, "price", prices, lots, instrument, instruments)


def _fees(table: Table, instrument: IntArray, instruments: Instruments) -> Int64Array:
    if "fee_atoms" in table:
        return whole(table, "fee_atoms")
    if "fee" in table:
        return money(table, "fee", instruments.currency[instrument], instruments, null=0)
    return np.zeros(table.height, np.int64)
