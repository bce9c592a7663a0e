"""What a tick did: columns gathered while it runs, frames built when somebody reads them."""

from __future__ import annotations

import os
from collections import defaultdict
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from fastadl.contracts import Kind
from fastadl.engine.state import sums
from fastadl.io.files import new_folder
from fastadl.schema import FUND, BoolArray, Float64Array, Int64Array, IntArray

if TYPE_CHECKING:
    from fastadl.book import Book

__all__ = ["LISTS", "Checks", "Estimates", "Marked", "Report", "Tick"]

#: The lists of a report, in the order of the waterfall, each with the columns its stage hands over. Accounts
#: are positions in the book; −1 is the fund.
LISTS: dict[str, tuple[str, ...]] = {
    "liquidations": ("account", "bankrupt", "equity", "maintenance_margin", "maintenance_ratio", "shortfall"),
    "executions": ("account", "instrument", "long", "lots", "value", "realized_pnl"),
    "fees": ("account", "surplus", "amount"),
    "netted": ("account", "instrument", "lots", "realized_pnl"),
    "fund_payments": ("account", "amount"),
    "takeovers": (
        "account", "instrument", "long", "lots", "mark", "value", "realized_pnl", "fund_loss"
    ),
    "adl_fills": (
        "bankrupt", "counterparty", "instrument", "long", "lots", "value", "bankrupt_realized_pnl",
        "realized_pnl", "rank", "score",
    ),
    "socialized": ("account", "currency", "amount"),
    "uncovered": ("account", "amount"),
    "refused": ("account", "bankrupt", "instrument", "long", "lots", "health"),
}  # fmt: skip

_SECONDS = dict.fromkeys(("mark", "detect", "close_out", "fund", "adl"), 0.0)
_NOBODY, _NO_STATUS = np.empty(0, np.int32), np.empty(0, np.bool_)
_NO_HEALTH = np.empty(0)
_FLOAT = {"maintenance_ratio", "score"}
_FLAG = {"bankrupt", "long", "surplus", "mark", "health"}
_MONEY = (
    "equity", "maintenance_margin", "shortfall", "value", "realized_pnl", "amount", "fund_loss",
    "bankrupt_realized_pnl",
)  # fmt: skip


class Tick:
    """One tick in the making.

    Attributes
    ----------
    accounts : int32 (detected)
        Detected accounts, as positions in the book, in detection order (rule R21).
    was_bankrupt : bool (detected)
        Their status as detected.
    health : float64 (detected)
        What they are ordered by, and then by id.
    """

    def __init__(self, number: int, time: int, currencies: int) -> None:
        self.number = number
        self.time = time
        self.accounts: IntArray = _NOBODY
        self.was_bankrupt: BoolArray = _NO_STATUS
        self.health: Float64Array = _NO_HEALTH
        self.lists: defaultdict[str, list[dict[str, IntArray]]] = defaultdict(list)
        self.open_rows: list[tuple[int, int, bool, int]] = []
        self.fund_before: list[int] = [0] * currencies
        self.fund_after: list[int] = [0] * currencies
        self.seconds: dict[str, float] = _SECONDS.copy()
        self.fills_lawful = True

    def copy(self) -> Tick:
        """The same, so that appending to the one does not change the other."""
        other = copy(self)
        other.lists = defaultdict(
            list, {name: [dict(part) for part in parts] for name, parts in self.lists.items()}
        )
        other.open_rows = self.open_rows.copy()
        other.seconds = self.seconds.copy()
        return other

    def add(self, name: str, **columns: Any) -> None:
        """Append rows to a list; nothing where there are none."""
        if len(next(iter(columns.values()))):
            self.lists[name].append(columns)

    def columns(self, name: str) -> dict[str, IntArray]:
        """The columns of a list, as codes and integers."""
        return {column: self.column(name, column) for column in LISTS[name]}

    def column(self, name: str, column: str) -> IntArray:
        """One column of a list."""
        if self.lists.get(name):
            return np.concatenate([part[column] for part in self.lists[name]])
        return np.empty(0, np.float64 if column in _FLOAT else np.bool_ if column in _FLAG else np.int64)


@dataclass(frozen=True, slots=True)
class Marked:
    """What a mark found: number and time of the tick, and how many accounts fell below.

    Attributes
    ----------
    tick, time : int
    liquidatable : int
        Accounts below their maintenance margin that still have equity.
    bankrupt : int
        Accounts with equity below zero.
    """

    tick: int
    time: int
    liquidatable: int
    bankrupt: int


@dataclass(frozen=True, slots=True)
class Estimates:
    """What accounts are worth, in float64 atoms, in the order of the book's accounts.

    Attributes
    ----------
    equity, maintenance_margin, gross : float64 (accounts)
        `gross` is the notional of all rows.
    """

    equity: Float64Array
    maintenance_margin: Float64Array
    gross: Float64Array


@dataclass(frozen=True, slots=True)
class Checks:
    """The four conservation laws: lots, money, lawful fills, bankrupt accounts closed at zero."""

    lots: bool
    money: bool
    fills: bool
    bankrupt_closed_at_zero: bool

    @property
    def ok(self) -> bool:
        """Whether all four hold; so does the truth of the object."""
        return self.lots and self.money and self.fills and self.bankrupt_closed_at_zero

    def __bool__(self) -> bool:
        return self.ok


class Report:
    """Everything a tick did, as polars frames (rule R76).

    Every frame is built when it is first read. Money is Int64 atoms of the row's ``currency``, ``lots`` are
    unsigned, ``price`` is a Float64 view of ``value``.

    Attributes
    ----------
    tick, time : int
        Number of the tick, from 0, and its time in seconds.
    """

    def __init__(self, tick: Tick, book: Book, cancel_orders: str) -> None:
        self.tick = tick.number
        self.time = tick.time
        self._tick = tick
        self._ids = book._id
        self._currency = book.currency
        self._instruments = book.instruments
        self._cancel_orders = cancel_orders

    @cached_property
    def liquidations(self) -> pl.DataFrame:
        """Detected accounts, in detection order."""
        c = self._tick.columns("liquidations")
        status = pl.Series("status", np.where(c["bankrupt"], "bankrupt", "liquidatable"), pl.String)
        ratio = pl.Series("maintenance_ratio", c["maintenance_ratio"], pl.Float64).fill_nan(None)
        return self._frame("account", c, status, "equity", "maintenance_margin", ratio, "shortfall")

    @cached_property
    def executions(self) -> pl.DataFrame:
        """Positions of detected accounts closed in the book."""
        c = self._tick.columns("executions")
        return self._frame("account", c, *self._leg(c), "lots", self._price(c), "value", "realized_pnl")

    @cached_property
    def fees(self) -> pl.DataFrame:
        """Liquidation fees and surplus paid to the fund."""
        c = self._tick.columns("fees")
        kind = pl.Series("kind", np.where(c["surplus"], "surplus", "liquidation_fee"), pl.String)
        return self._frame("account", c, kind, "amount")

    @cached_property
    def netted(self) -> pl.DataFrame:
        """Hedges of bankrupt accounts closed against each other."""
        c = self._tick.columns("netted")
        return self._frame("account", c, self._symbol(c), "lots", "realized_pnl")

    @cached_property
    def fund_payments(self) -> pl.DataFrame:
        """Debts the fund paid in cash."""
        return self._frame("account", self._tick.columns("fund_payments"), "amount")

    @cached_property
    def takeovers(self) -> pl.DataFrame:
        """Positions the fund took over."""
        c = self._tick.columns("takeovers")
        at = pl.Series("at", np.where(c["mark"], "mark", "bankruptcy"), pl.String)
        return self._frame(
            "account", c, *self._leg(c), "lots", at, self._price(c), "value", "realized_pnl", "fund_loss"
        )

    @cached_property
    def adl_fills(self) -> pl.DataFrame:
        """Auto-deleveraging fills, in the order they happened; `side` is the bankrupt row's."""
        c = self._tick.columns("adl_fills")
        score = pl.Series("score", c["score"], pl.Float64)
        return self._frame(
            "bankrupt", c, self._names("counterparty", c["counterparty"]), *self._leg(c), "lots",
            self._price(c), "value", "bankrupt_realized_pnl", "realized_pnl", "rank", score,
        )  # fmt: skip

    @cached_property
    def socialized(self) -> pl.DataFrame:
        """Cash charged (negative), paid to those in debt, and left to the fund by rounding (positive)."""
        return self._frame("account", self._tick.columns("socialized"), "amount")

    @cached_property
    def uncovered(self) -> pl.DataFrame:
        """Losses nobody paid, with the rows that stay open."""
        c = self._tick.columns("uncovered")
        items: list[list[dict[str, Any]]] = [[] for _ in c["account"]]
        for which, instrument, is_long, lots in self._tick.open_rows:
            side = "long" if is_long else "short"
            items[which].append({"symbol": self._instruments.symbols[instrument], "side": side, "lots": lots})
        row = pl.Struct({"symbol": pl.String, "side": pl.String, "lots": pl.Int64})
        return self._frame("account", c, "amount", pl.Series("open", items, pl.List(row)))

    @cached_property
    def refused(self) -> pl.DataFrame:
        """Lots that a guard kept from counterparties, and why (rule R86); `side` is the bankrupt row's."""
        c = self._tick.columns("refused")
        reason = pl.Series("reason", np.where(c["health"], "health", "below_zero"), pl.String)
        bankrupt = self._names("bankrupt", c["bankrupt"])
        return self._frame("account", c, bankrupt, *self._leg(c), "lots", reason)

    @cached_property
    def notices(self) -> pl.DataFrame:
        """One line per ADL fill for the trader who was deleveraged; `side` is that of the trader's row."""
        c = self._tick.columns("adl_fills")
        return pl.DataFrame(
            [
                self._names("account", c["counterparty"]),
                self._symbol(c),
                pl.Series("side", np.where(c["long"], "short", "long"), pl.String),
                pl.Series("lots", c["lots"], pl.Int64),
                self._price(c),
                pl.Series("rank", c["rank"], pl.Int64),
                pl.Series("score", c["score"], pl.Float64),
                pl.Series("realized_pnl", c["realized_pnl"], pl.Int64),
                self._money_of(self._currency[c["counterparty"]]),
                pl.Series("cancel_orders", [self._cancel_orders] * len(c["lots"]), pl.String),
            ]
        )

    @cached_property
    def summary(self) -> pl.DataFrame:
        """One row (one per currency, if the book has several): counts, totals in atoms, seconds."""
        return pl.DataFrame(
            [self._summary(i, code) for i, code in enumerate(self._instruments.currencies)],
            schema_overrides={"tick": pl.Int64, "time": pl.Int64},
        )

    def columns(self, name: str) -> dict[str, IntArray]:
        """A list as arrays, building no frame: accounts as places in the book (−1: the fund), sides as bool.

        Parameters
        ----------
        name : str
            A name of `LISTS`, whose columns these are.
        """
        return self._tick.columns(name)

    def lots(self, name: str) -> Int64Array:
        """Lots of a list's entries by leg (2 · instrument, + 1 where the side is short), building no frame.

        Parameters
        ----------
        name : {"executions", "takeovers", "adl_fills", "refused"}
        """
        instrument, is_long, lots = (self._tick.column(name, c) for c in ("instrument", "long", "lots"))
        return sums(2 * instrument + ~is_long, lots, 2 * len(self._instruments))

    def frames(self) -> dict[str, pl.DataFrame]:
        """All lists, then ``notices`` and ``summary``, by name."""
        return {name: getattr(self, name) for name in (*LISTS, "notices", "summary")}

    def to_parquet(self, folder: str | os.PathLike[str]) -> Path:
        """Write every frame as ``NAME.parquet`` into a new or empty folder, whole or not at all.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        InputError
            If the folder holds something or cannot be written.
        """
        with new_folder(folder) as partial:
            for name in (*LISTS, "notices", "summary"):
                self._write(name, partial / f"{name}.parquet")
        return Path(folder)

    def _write(self, name: str, path: Path) -> None:
        getattr(self, name).write_parquet(path)

    def _summary(self, currency: int, code: str) -> dict[str, Any]:
        tick = self._tick
        lists = {}
        for name in LISTS:
            columns = tick.columns(name)
            mine = self._currency_of("bankrupt" if name == "adl_fills" else "account", columns) == currency
            lists[name] = {column: values[mine] for column, values in columns.items()}

        def total(name: str, column: str) -> int:
            return exact_sum(lists[name][column])

        charged = lists["socialized"]["amount"]
        return {
            "tick": self.tick,
            "time": self.time,
            "currency": code,
            "liquidatable": int((~lists["liquidations"]["bankrupt"]).sum()),
            "bankrupt": int(lists["liquidations"]["bankrupt"].sum()),
            **{f"n_{name}": len(next(iter(lists[name].values()))) for name in LISTS},
            "shortfall": total("liquidations", "shortfall"),
            "fees": total("fees", "amount"),
            "fund_paid": total("fund_payments", "amount"),
            "takeover_loss": total("takeovers", "fund_loss"),
            "adl_lots": total("adl_fills", "lots"),
            "adl_value": exact_sum(np.abs(lists["adl_fills"]["value"])),
            "socialized": -int(charged[charged < 0].sum()),
            "uncovered": total("uncovered", "amount"),
            "fund_equity_before": tick.fund_before[currency],
            "fund_equity_after": tick.fund_after[currency],
            **{f"seconds_{stage}": seconds for stage, seconds in tick.seconds.items()},
            "seconds_total": sum(tick.seconds.values()),
        }

    # ------------------------------------------------------------------ columns

    def _frame(self, who: str, columns: dict[str, IntArray], *rest: str | pl.Series) -> pl.DataFrame:
        series = [self._names(who, columns[who])]
        series += [
            pl.Series(item, columns[item], pl.Int64) if isinstance(item, str) else item for item in rest
        ]
        if any(item in _MONEY for item in rest if isinstance(item, str)):
            series.append(self._money_of(self._currency_of(who, columns)))
        return pl.DataFrame(series)

    def _currency_of(self, who: str, columns: dict[str, IntArray]) -> IntArray:
        """Currency of each entry: stated where there is no symbol to tell it and it may be the fund's."""
        if "currency" in columns:
            return columns["currency"]
        if "instrument" in columns:
            return np.asarray(self._instruments.currency[columns["instrument"]])
        return self._currency[columns[who]]

    def _names(self, name: str, codes: IntArray) -> pl.Series:
        places = pl.Series(codes, dtype=pl.Int64)
        return self._ids.gather(places.set(places < 0, None)).fill_null(FUND).alias(name)

    def _money_of(self, currency: IntArray) -> pl.Series:
        return _pick("currency", self._instruments.currencies, currency)

    def _symbol(self, columns: dict[str, IntArray]) -> pl.Series:
        return _pick("symbol", self._instruments.symbols, columns["instrument"])

    def _leg(self, columns: dict[str, IntArray]) -> tuple[pl.Series, pl.Series]:
        side = pl.Series("side", np.where(columns["long"], "long", "short"), pl.String)
        return self._symbol(columns), side

    def _price(self, columns: dict[str, IntArray]) -> pl.Series:
        scale = np.array([float(item.scale) for item in self._instruments])
        inverse = np.array([item.kind is Kind.INVERSE for item in self._instruments], np.bool_)
        price = prices(
            columns["value"], columns["lots"], columns["long"],
            scale[columns["instrument"]], inverse[columns["instrument"]],
        )  # fmt: skip
        return pl.Series("price", price, pl.Float64).fill_nan(None)


def exact_sum(values: IntArray) -> int:
    """Sum of integers, however large."""
    if np.abs(values.astype(np.float64)).sum() < 2.0**62:
        return int(values.sum())
    return sum(values.tolist())


def prices(
    value: Int64Array, lots: Int64Array, is_long: BoolArray, scale: Float64Array, inverse: BoolArray
) -> Float64Array:
    """Price at which rows are worth `value`; NaN where an inverse price is infinite."""
    unit = value / np.where(is_long, lots, -lots)
    with np.errstate(divide="ignore", invalid="ignore"):
        out = np.where(inverse, -scale / unit, unit / scale)
    out[inverse & (value == 0)] = np.nan
    return np.asarray(out + 0.0)


def _pick(name: str, names: tuple[str, ...], codes: IntArray) -> pl.Series:
    return pl.Series(name, names, pl.String).gather(codes.astype(np.uint32)).alias(name)
