"""Final settlement: every position of an instrument closed at one price (rule R107)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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

__all__ = ["Closed", "Settled", "close_reserves", "close_rows", "settle_instrument"]


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
    _names: pl.Series

    def __len__(self) -> int:
        return len(self.account)

    def frame(self) -> pl.DataFrame:
        """``account``, ``side``, ``lots`` (unsigned), ``value`` and ``realized_pnl`` of every row."""
        return pl.DataFrame(
            {
                "account": self._names,
                "side": pl.Series(["long", "short"]).gather((self.lots < 0).astype(np.uint32)),
                "lots": np.abs(self.lots),
                "value": self.value,
                "realized_pnl": self.realized_pnl,
            }
        )


@dataclass(frozen=True, slots=True)
class Closed:
    """Rows of accounts that a final settlement closed, as in `Settled`, and their ids.

    Attributes
    ----------
    beyond : list of (account, id)
        Who has more cash by it than rule R1 allows.
    """

    account: Int64Array
    id: pl.Series
    lots: Int64Array
    value: Int64Array
    profit: Int64Array
    in_debt: Int64Array
    beyond: list[tuple[int, str]]

    def by_code(self, codes: Int64Array) -> Closed:
        """The same accounts as positions elsewhere."""
        beyond = [(int(codes[account]), name) for account, name in self.beyond]
        return replace(self, account=codes[self.account], in_debt=codes[self.in_debt], beyond=beyond)

    @classmethod
    def of(cls, parts: Sequence[Closed]) -> Closed:
        """Those of several parts of a book together, none of which shares an account with another."""
        account = np.concatenate([each.account for each in parts])
        order = np.argsort(account, kind="stable")
        return cls(
            account=account[order],
            id=pl.concat([each.id for each in parts]).gather(order),
            lots=np.concatenate([each.lots for each in parts])[order],
            value=np.concatenate([each.value for each in parts])[order],
            profit=np.concatenate([each.profit for each in parts])[order],
            in_debt=np.sort(np.concatenate([each.in_debt for each in parts])),
            beyond=[found for each in parts for found in each.beyond],
        )


def settle_instrument(state: State, instrument: int, price: Fraction) -> Settled:
    """Close every row of an instrument at a price, each value rounded down, and delist it.

    Orders to liquidate these rows are gone with them.

    Raises
    ------
    BoundsError
        If a row would be worth, or an account have, more than rule R1 allows.
    """
    return close_reserves(state, instrument, price, close_rows(state, instrument, price))


def close_rows(state: State, instrument: int, price: Fraction) -> Closed:
    """Close the rows of accounts; whether they may, `close_reserves` says, which knows of all parts."""
    nearest_units(state.instruments, {instrument: price}, "price")
    book, rows = state.book, state.book.rows
    row = np.flatnonzero((rows.leg >> 1 == instrument) & (rows.lots != 0.0))
    slot = slots_of(rows, row)
    order = np.lexsort((rows.leg[row], rows.account[slot]))
    row, slot = row[order], slot[order]
    lots = rows.lots[row].astype(np.int64)
    value = _worth(state, instrument, price, lots)
    profit = value - rows.entry[row]
    beyond = _close(state, slot, row, profit)
    account = rows.account[slot]
    ids = book.accounts.gather(account.astype(np.uint32)).rechunk()
    return Closed(account, ids, lots, value, profit, _in_debt(book, slot), beyond)


def close_reserves(state: State, instrument: int, price: Fraction, closed: Closed) -> Settled:
    """Close rows of fund and market beside those closed, let the fund have what is left over, and delist."""
    book = state.book
    if closed.beyond:
        _, name = min(closed.beyond)
        raise BoundsError(("price",), name, "keep an account's cash within 2^53 atoms (rule R1)")
    held = np.flatnonzero(book.reserve_lots[:, instrument])
    lots = book.reserve_lots[held, instrument]
    value = _worth(state, instrument, price, lots)
    profit = value - book.reserve_entry[held, instrument]
    to_fund = -sum(closed.value.tolist()) - sum(value.tolist())
    _close_reserves(state, instrument, held, profit, to_fund)
    delist(state, instrument)
    drop(state, instrument)
    names = pl.Series(closed.id.name, [RESERVED[who] for who in held], pl.String)
    return Settled(
        state.instruments.symbols[instrument],
        np.concatenate([closed.account, -1 - held]).astype(np.int32),
        np.concatenate([closed.lots, lots]),
        np.concatenate([closed.value, value]),
        np.concatenate([closed.profit, profit]),
        closed.in_debt.astype(np.int32),
        to_fund,
        pl.concat([closed.id, names]),
    )


def _worth(state: State, instrument: int, price: Fraction, lots: Int64Array) -> Int64Array:
    """What rows are worth at the final price, each rounded down."""
    unit = state.instruments[instrument].unit_value(price)
    if len(lots) and int(np.abs(lots).max()) * abs(unit) > SUM_BOUND:
        raise BoundsError(("price",), plain(price), "no row may be worth more than 2^62 atoms (rule R1)")
    return values_at(lots, np.zeros(len(lots), np.int64), {0: unit})


def _in_debt(book: Book, slot: IntArray) -> IntArray:
    rows, below = book.rows, np.unique(slot[book.rows.cash[slot] < 0])
    start, _ = expand(rows, below)
    return np.sort(rows.account[below[np.diff(start) == 0]])


def _close(state: State, slot: IntArray, row: IntArray, profit: Int64Array) -> list[tuple[int, str]]:
    """Close rows; which accounts have too much cash now."""
    book, rows = state.book, state.book.rows
    state.claim(float(np.abs(profit.astype(np.float64)).sum()))
    state.touch_rows(slot, row)
    most = np.maximum(np.abs(rows.cash[slot]), ROW_BOUND)
    np.add.at(rows.cash, slot, profit)
    rows.lots[row] = 0.0
    rows.entry[row] = 0
    beyond = rows.account[slot[np.abs(rows.cash[slot]) > most]].tolist()
    return [(account, book.accounts[account]) for account in beyond]


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
