"""Three frames to the book's integer columns, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from fastadl import memory
from fastadl.contracts import Instruments
from fastadl.errors import BoundsError
from fastadl.io.accounts import MARGIN_MODES, read_accounts
from fastadl.io.instruments import instrument_frame, read_instruments
from fastadl.io.positions import read_positions
from fastadl.io.table import Table
from fastadl.kernels._threads import refuse_fork
from fastadl.schema import RESERVED, SUM_BOUND, AccountColumns, Int64Array, IntArray, PositionColumns

if TYPE_CHECKING:
    from fastadl.book import Book

__all__ = ["check_memory", "check_sums", "columns", "frames", "refuse_sums", "tables"]

#: A sum surely within the bound if float64 makes it no larger than this.
_SURE = 4.0e18
#: Bytes of a row and of an account: the columns read from the tables, and those of the book.
_ROW_BYTES, _ACCOUNT_BYTES = 42, 50


def tables(
    instruments: Any, accounts: Any, positions: Any, *, currency: str = "USD", decimals: int = 6
) -> tuple[Instruments, AccountColumns, PositionColumns]:
    """Check three input tables and bring them onto the grid of lots and atoms.

    Parameters
    ----------
    instruments, accounts, positions : DataFrame, LazyFrame, or mapping of arrays, lists and Series
        Columns as in `fastadl.schema`, numbers in any spelling of rule R75.
    currency, decimals : str, int
        What the instruments hold in the columns of these names where they are left out; the one currency of
        a book without instruments.

    Returns
    -------
    (Instruments, AccountColumns, PositionColumns)

    Raises
    ------
    InputError
        At the first bad row of the first bad table.
    ForkError
        In a child forked after its parent used the package.
    MemoryLimitError
        If the book does not fit the memory that is free.
    """
    refuse_fork()
    listed = read_instruments(instruments, currency, decimals)
    return listed, *columns(listed, accounts, positions)


def columns(
    instruments: Instruments, accounts: Any, positions: Any
) -> tuple[AccountColumns, PositionColumns]:
    """Check two input tables beside instruments that are known; as `tables` does."""
    people = Table("accounts", accounts)
    check_memory(0, people.height)
    holders, index = read_accounts(people, instruments)
    held = Table("positions", positions)
    check_memory(held.height, people.height)
    rows = read_positions(held, instruments, holders, index)
    check_sums(instruments, holders, rows)
    return holders, rows


def check_memory(rows: int, accounts: int) -> None:
    """Refuse so many positions and accounts if they do not fit the memory that is free."""
    needed = _ROW_BYTES * rows + _ACCOUNT_BYTES * accounts
    memory.refuse_beyond(needed, ("positions",), f"{rows:,} positions of {accounts:,} accounts")


def frames(book: Book) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Instruments, accounts and positions of a book in the integer spelling of rule R75."""
    instruments, accounts, positions = book.columns()
    ids = accounts.id.alias("id")
    holders = pl.concat([ids, pl.Series("id", RESERVED, pl.String)])
    holder = np.where(positions.account < 0, len(ids) - 1 - positions.account, positions.account)
    symbols = pl.Series(instruments.symbols, dtype=pl.String)
    currencies = pl.Series(instruments.currencies, dtype=pl.String)
    account_columns = {
        "id": ids,
        "currency": currencies.gather(accounts.currency),
        "cash_atoms": accounts.cash,
        "owner": ids if accounts.owner is None else accounts.owner,
        "margin_mode": pl.Series(MARGIN_MODES).gather(accounts.isolated.astype(np.int64)),
        "adl_tier": accounts.adl_tier.astype(np.int64),
    }
    if accounts.exempt is not None:
        account_columns["exempt"] = accounts.exempt
    position_columns = {
        "account": holders.gather(holder),
        "symbol": symbols.gather(positions.instrument),
        "lots": positions.lots,
        "entry_value_atoms": positions.entry_value,
    }
    return instrument_frame(instruments), pl.DataFrame(account_columns), pl.DataFrame(position_columns)


def check_sums(instruments: Instruments, accounts: AccountColumns, positions: PositionColumns) -> None:
    """Refuse sums beyond 2^62 (rule R1)."""
    codes = positions.instrument
    entries = (instruments.currency[codes], positions.entry_value)
    lots = _beyond(len(instruments), (codes, positions.lots))
    money = _beyond(len(instruments.currencies), (accounts.currency, accounts.cash), entries)
    refuse_sums(instruments, lots, money)


def refuse_sums(
    instruments: Instruments, lots: Iterable[tuple[int, int]], money: Iterable[tuple[int, int]]
) -> None:
    """Refuse sums beyond 2^62, unsigned lots by instrument and money by currency (rule R1)."""
    for i, total in lots:
        if total > SUM_BOUND:
            remedy = f"keep the sum of all |lots| of {instruments.symbols[i]} within 2^62 (rule R1)"
            raise BoundsError(("positions",), total, remedy)
    for i, total in money:
        if total > SUM_BOUND:
            currency = instruments.currencies[i]
            remedy = f"keep the sum of all |cash| and |entry value| in {currency} within 2^62 (rule R1)"
            raise BoundsError(("accounts",), total, remedy)


def _beyond(groups: int, *columns: tuple[IntArray, Int64Array]) -> Iterator[tuple[int, int]]:
    """Groups whose sum of absolute values may pass the bound, and that sum."""
    about = np.zeros(groups)
    for code, values in columns:
        about += np.bincount(code, np.abs(values.astype(np.float64)), groups)
    for group in map(int, np.flatnonzero(about > _SURE)):
        yield group, sum(sum(map(abs, values[code == group].tolist())) for code, values in columns)
