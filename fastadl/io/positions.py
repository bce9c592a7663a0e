"""The positions table."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from fastadl.contracts import Instruments, Kind
from fastadl.decimals import plain
from fastadl.io.index import Index
from fastadl.io.numbers import entry_values, money, numbers, on_grid, refuse_beyond
from fastadl.io.table import Table
from fastadl.schema import RESERVED, AccountColumns, BoolArray, Int64Array, IntArray, PositionColumns

__all__ = ["read_positions"]


def read_positions(
    table: Table, instruments: Instruments, accounts: AccountColumns, index: Index
) -> PositionColumns:
    """Check the positions and find their accounts and instruments."""
    return _Reader(table, instruments, accounts).read(index)


class _Reader:
    """One column after another, each cut to the rows before the first bad one."""

    account: IntArray
    instrument: IntArray
    lots: Int64Array
    reserved: BoolArray

    def __init__(self, table: Table, instruments: Instruments, accounts: AccountColumns) -> None:
        self.table = table
        self.instruments = instruments
        self.accounts = accounts

    def read(self, index: Index) -> PositionColumns:
        self._read_account(index)
        self._read_symbol()
        self._read_lots()
        entry = self._read_entry()
        self._check_unique()
        self._check_isolated()
        self.table.finish()
        return PositionColumns(self.account, self.instrument, self.lots, entry)

    def _cut(self) -> None:
        for name in ("account", "instrument", "lots", "reserved"):
            if hasattr(self, name):
                setattr(self, name, getattr(self, name)[: self.table.height])

    def _of_account(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A column of the accounts, row by row; 0 where the account is reserved."""
        out = np.zeros(len(self.account), values.dtype)
        out[~self.reserved] = values[self.account[~self.reserved]]
        return out

    def _read_account(self, index: Index) -> None:
        names = self.table.text("account").cast(pl.String)
        codes = index.find(names)
        rest = np.flatnonzero(codes < 0)
        codes[rest] = names.gather(rest).replace_strict(RESERVED, [-1, -2], default=-3, return_dtype=pl.Int32)
        self.table.refuse(codes == -3, "account", "name an id of the accounts, or fund or market")
        self.account, self.reserved = codes, codes < 0

    def _read_symbol(self) -> None:
        given = self.instruments
        self.instrument = self.table.codes(
            "symbol",
            given.symbols,
            lambda symbol: f"name one of the instruments, such as {given.near(symbol)}",
        )
        self._cut()
        settled = given.delisted[self.instrument] if given.delisted.any() else None
        self.table.refuse(settled, "symbol", "it is delisted (rule R107): leave the row out")
        self._cut()
        if len(given.currencies) > 1:
            holds = self._of_account(self.accounts.currency)
            foreign = ~self.reserved & (holds != given.currency[self.instrument])
            self.table.refuse(
                foreign,
                "symbol",
                lambda row: f"name one that settles in {given.currencies[holds[row]]}, as the account",
            )
            self._cut()

    def _read_lots(self) -> None:
        if "lots" in self.table:
            column, self.lots = "lots", self.table.integers("lots")
        else:
            column, steps = "qty", [1 / item.lot for item in self.instruments]
            self.lots = on_grid(
                self.table,
                column,
                numbers(self.table, column),
                self.instrument,
                steps,
                lambda row: f"give a multiple of the lot {plain(1 / steps[self.instrument[row]])}",
            )
        self.table.refuse(self.lots == 0, column, "a position holds at least one lot: leave the row out")
        refuse_beyond(self.table, column, self.lots, exempt=self.reserved)
        self._cut()

    # ------------------------------------------------------------------ entry

    def _read_entry(self) -> Int64Array:
        """Entry values in atoms; a row gives its entry value or its entry price."""
        table = self.table
        if "entry_value_atoms" in table:
            return self._checked("entry_value_atoms", table.integers("entry_value_atoms"))
        mixed = "entry_price" in table and "entry_value" in table
        priced = self._priced() if mixed else np.full(table.height, "entry_price" in table)
        self._cut()
        entry = np.zeros(table.height, np.int64)
        if "entry_price" in table:
            prices = numbers(table, "entry_price", null=1 if mixed else None)
            table.refuse(~prices.above_zero, "entry_price", "give a price above 0")
            self._cut()
            lots = np.where(priced[: table.height], self.lots, 0)
            entry = entry_values(table, "entry_price", prices, lots, self.instrument, self.instruments)
            refuse_beyond(table, "entry_price", entry, exempt=self.reserved)
            self._cut()
        if "entry_value" in table:
            currency = self.instruments.currency[self.instrument]
            value = money(table, "entry_value", currency, self.instruments, null=0 if mixed else None)
            value = self._checked("entry_value", value)
            entry = entry[: table.height] + value
        return entry

    def _priced(self) -> BoolArray:
        """Rows given by entry price where both columns are there."""
        priced, valued = (
            self.table.series(name, nulls=True).is_not_null().to_numpy()
            for name in ("entry_price", "entry_value")
        )
        self.table.refuse(
            ~(priced | valued), "entry_price", "give entry_price or entry_value", value="missing"
        )
        self.table.refuse(priced & valued, "entry_value", "give entry_price or entry_value, not both")
        return priced

    def _checked(self, column: str, value: Int64Array) -> Int64Array:
        self._cut()
        inverse = np.array([item.kind is Kind.INVERSE for item in self.instruments], np.bool_)
        falls = inverse[self.instrument] != (self.lots < 0)
        against = np.where(falls, value > 0, value < 0)
        self.table.refuse(
            against,
            column,
            lambda row: f"the row's value is {'negative' if falls[row] else 'positive'}: give that sign or 0",
        )
        refuse_beyond(self.table, column, value, exempt=self.reserved)
        self._cut()
        return value[: self.table.height]

    # ------------------------------------------------------------------ whole rows

    def _check_unique(self) -> None:
        side = np.where(self.reserved, 0, self.lots < 0)
        key = (self.account.astype(np.int64) + 2) * (2 * len(self.instruments)) + 2 * self.instrument + side
        keys = pl.Series(key)
        if keys.n_unique() == len(keys):
            return
        self.table.refuse((~keys.is_first_distinct()).to_numpy(), "symbol", self._repeated)
        self._cut()

    def _repeated(self, row: int) -> str:
        if self.reserved[row]:
            return "fund and market hold one row per symbol (rule R7)"
        return "one row per account, symbol and side: add it to the earlier one"

    def _check_isolated(self) -> None:
        if not self.accounts.isolated.any():
            return
        alone = np.flatnonzero(self._of_account(self.accounts.isolated))
        repeated = ~pl.Series(self.account[alone]).is_first_distinct().to_numpy()
        self.table.refuse(
            int(alone[repeated.argmax()]) if repeated.any() else None,
            "account",
            "an isolated account holds at most one position",
        )
