"""Final settlement: every position of an instrument closed at one price (rule R107)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import polars as pl

from fastadl.book import Book, slots_of
from fastadl.decimals import plain
from fastadl.engine.live.listing import delist
from fastadl.engine.live.orders import drop
from fastadl.engine.prices import nearest_units
from fastadl.engine.state import FUND, State
from fastadl.engine.worth import values_at
from fastadl.errors import BoundsError
from fastadl.kernels.layout import expand
from fastadl.schema import RESERVED, ROW_BOUND, SUM_BOUND, Int64Array, IntArray

__all__ = ["Settled", "settle_instrument"]


@dataclass(frozen=True, slots=True)
class Settled:
    """What a final settlement closed: accounts in the order of the book, then fund and market.

    Attributes
    ----------
    symbol : str
    account : int32 (rows)
        Codes; −1 is the fund and −2 the market account.
    lots : int64 (rows)
        Signed.
    value, realized_pnl : int64 (rows)
        What they were worth, and that less their entry value, in atoms.
    in_debt : int32 (n)
        Accounts left without rows and with cash below zero, which no mark detects (rule R21).
    to_fund : int
        Atoms that rounding left over; below zero where more was owed to one side than by the other.
    """

    symbol: str
    account: IntArray
    lots: Int64Array
    value: Int64Array
    realized_pnl: Int64Array
    in_debt: IntArray
    to_fund: int
    _book: Book

    def __len__(self) -> int:
        return len(self.account)

    def frame(self) -> pl.DataFrame:
        """``account``, ``side``, ``lots`` (unsigned), ``value`` and ``realized_pnl`` of every row."""
        ids = self._book.accounts
        names = pl.concat([ids, pl.Series(ids.name, RESERVED, pl.String)])
        at = np.where(self.account < 0, len(ids) - 1 - self.account, self.account)
        return pl.DataFrame(
            {
                "account": names.gather(at.astype(np.uint32)),
                "side": pl.Series(["long", "short"]).gather((self.lots < 0).astype(np.uint32)),
                "lots": np.abs(self.lots),
                "value": self.value,
                "realized_pnl": self.realized_pnl,
            }
        )


def settle_instrument(state: State, instrument: int, price: Fraction) -> Settled:
    """Close every row of an instrument at a price, each value rounded down, and delist it.

    Orders to liquidate these rows are gone with them.

    Raises
    ------
    BoundsError
        If a row would be worth, or an account have, more than rule R1 allows.
    """
    book, rows = state.book, state.book.rows
    item = state.instruments[instrument]
    nearest_units(state.instruments, {instrument: price}, "price")
    row = np.flatnonzero((rows.leg >> 1 == instrument) & (rows.lots != 0.0))
    slot = slots_of(rows, row)
    order = np.lexsort((rows.leg[row], rows.account[slot]))
    row, slot = row[order], slot[order]
    held = np.flatnonzero(book.reserve_lots[:, instrument])
    lots = np.concatenate([rows.lots[row].astype(np.int64), book.reserve_lots[held, instrument]])
    entry = np.concatenate([rows.entry[row], book.reserve_entry[held, instrument]])
    unit = item.unit_value(price)
    if len(lots) and int(np.abs(lots).max()) * abs(unit) > SUM_BOUND:
        raise BoundsError(("price",), plain(price), "no row may be worth more than 2^62 atoms (rule R1)")
    value = values_at(lots, np.zeros(len(lots), np.int64), {0: unit})
    profit = value - entry
    to_fund = -sum(value.tolist())
    _close(state, slot, row, profit[: len(row)])
    _close_reserves(state, instrument, held, profit[len(row) :], to_fund)
    delist(state, instrument)
    drop(state, instrument)
    account = np.concatenate([rows.account[slot], -1 - held]).astype(np.int32)
    return Settled(item.symbol, account, lots, value, profit, _in_debt(book, slot), to_fund, book)


def _in_debt(book: Book, slot: IntArray) -> IntArray:
    rows, below = book.rows, np.unique(slot[book.rows.cash[slot] < 0])
    start, _ = expand(rows, below)
    return np.sort(rows.account[below[np.diff(start) == 0]])


def _close(state: State, slot: IntArray, row: IntArray, profit: Int64Array) -> None:
    book, rows = state.book, state.book.rows
    state.claim(float(np.abs(profit.astype(np.float64)).sum()))
    state.touch_rows(slot, row)
    most = np.maximum(np.abs(rows.cash[slot]), ROW_BOUND)
    np.add.at(rows.cash, slot, profit)
    rows.lots[row] = 0.0
    rows.entry[row] = 0
    for s in slot[np.abs(rows.cash[slot]) > most]:
        name = book.accounts[int(rows.account[s])]
        raise BoundsError(("price",), name, "keep an account's cash within 2^53 atoms (rule R1)")


def _close_reserves(state: State, instrument: int, held: IntArray, profit: Int64Array, to_fund: int) -> None:
    """Close rows of fund and market, and let the fund have what is left over."""
    book, currency = state.book, int(state.instruments.currency[instrument])
    state.touch_reserves()
    state.reserve_cash[held, currency] += profit
    state.reserve_realized[held, instrument] += profit
    book.reserve_lots[held, instrument] = book.reserve_entry[held, instrument] = 0
    fund = int(state.reserve_cash[FUND, currency]) + to_fund
    if abs(fund) > 0.99 * SUM_BOUND:
        raise BoundsError(("price",), fund, "keep the fund within 2^62 atoms (rule R1)")
    state.reserve_cash[FUND, currency] = fund
    for who in held.tolist():
        state.check_reserve(who)
