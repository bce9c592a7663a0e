"""Frames and books as the lists of a result (section 7 of the rules; formats of R72)."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import polars as pl

from fastadl.book import Book
from fastadl.contracts import Instrument
from fastadl.decimals import fixed, json_number, places_of, significant
from fastadl.policy import AdlPolicy
from fastadl.schema import FUND, MARKET, RESERVED, Int64Array, IntArray

__all__ = ["LISTS", "Printer"]

#: List of a tick → its keys, in the order printed.
LISTS: Mapping[str, tuple[str, ...]] = {
    "liquidations": ("account", "status", "equity", "maintenance_margin", "maintenance_ratio", "shortfall"),
    "executions": ("account", "symbol", "side", "qty", "price", "value", "realized_pnl"),
    "fees": ("account", "kind", "amount"),
    "netted": ("account", "symbol", "qty", "realized_pnl"),
    "fund_payments": ("account", "amount"),
    "takeovers": (
        *("account", "symbol", "side", "qty", "at", "price", "value", "realized_pnl"),
        "fund_loss",
    ),
    "adl_fills": (
        *("bankrupt", "counterparty", "symbol", "side", "qty", "price", "value"),
        *("bankrupt_realized_pnl", "realized_pnl", "rank", "score"),
    ),
    "socialized": ("account", "amount"),
    "uncovered": ("account", "amount", "open"),
    "refused": ("account", "bankrupt", "symbol", "side", "qty", "reason"),
}

_MONEY = frozenset(
    ("equity", "maintenance_margin", "shortfall", "value", "realized_pnl", "amount", "fund_loss")
) | {"bankrupt_realized_pnl"}


class Printer:
    """Prints the money, quantities and prices of one book.

    Parameters
    ----------
    book : Book
        Of one currency.
    decimals : int
        Of that currency.
    """

    def __init__(self, book: Book, decimals: int) -> None:
        self.instruments = book.instruments
        self.decimals = decimals
        self._places = {item.symbol: places_of(item.lot) or 0 for item in book.instruments}

    def lists(self, report: object, policy: AdlPolicy) -> dict[str, list[dict[str, Any]]]:
        """The lists of one tick; who was refused only under guard `health` (rule R86)."""
        return {
            name: self._entries(getattr(report, name), keys)
            for name, keys in LISTS.items()
            if name != "refused" or policy.guard == "health"
        }

    def money(self, atoms: int) -> str:
        """Atoms as currency."""
        return fixed(atoms, self.decimals)

    def qty(self, symbol: str, lots: int) -> str:
        """Lots as contracts."""
        places = self._places[symbol]
        return fixed(int(lots * self._instrument(symbol).lot * 10**places), places)

    def price(self, symbol: str, lots: int, value: int) -> str | None:
        """The price at which signed lots are worth `value` atoms; None where it is infinite."""
        price = self._instrument(symbol).price_of(Fraction(value, lots))
        return None if price is None else significant(price)

    def accounts(
        self, book: Book, equity: Int64Array, margin: Int64Array, unknown: IntArray
    ) -> list[dict[str, Any]]:
        """The accounts by id.

        Parameters
        ----------
        book : Book
        equity, margin : int64 (accounts)
            Atoms, in the order of ``book.accounts``.
        unknown : int array
            Positions of the accounts that hold something without a mark; their equity and margin are null.
        """
        names, owners, cash = book.accounts.to_list(), book.owners.to_list(), book.cash.tolist()
        hidden = set(unknown.tolist())
        return [
            {
                "id": names[i],
                "owner": owners[i],
                "cash": self.money(cash[i]),
                "equity": None if i in hidden else self.money(int(equity[i])),
                "maintenance_margin": None if i in hidden else self.money(int(margin[i])),
            }
            for i in sorted(range(len(names)), key=names.__getitem__)
        ]

    def reserves(self, reserves: pl.DataFrame, unknown: IntArray) -> dict[str, dict[str, Any]]:
        """The fund and the market by name; `unknown` as for `accounts`, -1 the fund and -2 the market."""
        hidden = set(unknown.tolist())
        rows = {row["account"]: row for row in reserves.iter_rows(named=True)}
        return {
            name: {
                "cash": self.money(rows[name]["cash"]),
                "equity": None if -1 - i in hidden else self.money(rows[name]["equity"]),
            }
            for i, name in enumerate(RESERVED)
        }

    def positions(self, book: Book) -> list[dict[str, Any]]:
        """All rows by (account, symbol, long first), those of fund and market included."""
        _, _, rows = book.columns()
        names = [*book.accounts.to_list(), MARKET, FUND]  # as their places -1 and -2
        held = [
            (names[account], book.instruments.symbols[instrument], lots < 0, lots, value)
            for account, instrument, lots, value in zip(
                *(a.tolist() for a in (rows.account, rows.instrument, rows.lots, rows.entry_value)),
                strict=True,
            )
        ]
        return [
            {
                "account": account,
                "symbol": symbol,
                "qty": self.qty(symbol, lots),
                "entry_price": self.price(symbol, lots, value),
                "entry_value": self.money(value),
            }
            for account, symbol, _, lots, value in sorted(held)
        ]

    def _instrument(self, symbol: str) -> Instrument:
        found: Instrument = self.instruments[self.instruments.code[symbol]]
        return found

    def _entries(self, frame: pl.DataFrame, keys: tuple[str, ...]) -> list[dict[str, Any]]:
        return [{key: self._cell(key, row) for key in keys} for row in frame.iter_rows(named=True)]

    def _cell(self, key: str, row: dict[str, Any]) -> Any:
        if key == "qty":
            return self.qty(row["symbol"], row["lots"])
        if key == "price":
            signed = row["lots"] if row["side"] == "long" else -row["lots"]
            return self.price(row["symbol"], signed, row["value"])
        if key == "open":
            return [
                {
                    "symbol": part["symbol"],
                    "side": part["side"],
                    "qty": self.qty(part["symbol"], part["lots"]),
                }
                for part in row["open"]
            ]
        value = row[key]
        if key in _MONEY:
            return self.money(value)
        return json_number(value) if isinstance(value, float) else value
