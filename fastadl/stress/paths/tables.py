"""Closes in one CSV or Parquet table, checked cell by cell."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path as File
from typing import Any, NoReturn

import numpy as np
import polars as pl

from fastadl.errors import InputError
from fastadl.schema import Float64Array, Int64Array

__all__ = ["Closes", "read_table"]

_TIMES = ("ts_ms", "timestamp", "open_time", "time", "datetime", "date")
_SYMBOLS = ("symbol", "ticker", "pair")
#: Times from here on are milliseconds: as seconds they would be past the year 5000.
_MILLISECONDS = 100_000_000_000
_PARQUET = (".parquet", ".pq")
_REMEDY = (
    "give a time column and one close column per symbol, or columns time and close, with the symbol in a "
    "column or in the file's name"
)
_TIME_REMEDY = "give whole seconds or milliseconds since 1970, or a date such as 2020-03-12 10:00:00"


@dataclass(frozen=True, slots=True)
class Closes:
    """One symbol's times, int64 (steps), rising, in seconds since 1970, and prices, float64 (steps)."""

    times: Int64Array
    prices: Float64Array


def read_table(name: str) -> dict[str, Closes]:
    """Read one file (see `fastadl.stress.paths.files.read`): closes by symbol."""
    parquet = File(name).suffix.lower() in _PARQUET
    try:
        with open(name, "rb"):
            pass
    except OSError as error:
        remedy = "give a readable CSV or Parquet file"
        raise InputError((), error.strerror or "cannot be read", remedy, name) from None
    table = _Table(name, _parquet(name) if parquet else _csv(name), parquet)
    return table.long() if table.close is not None else table.wide()


class _Table:
    """A frame of one row per record, which knows where its cells stand in the file."""

    def __init__(self, name: str, frame: pl.DataFrame, parquet: bool) -> None:
        self.name, self.frame, self.parquet = name, frame, parquet
        columns = {column.strip().lower(): column for column in frame.columns}
        shown = ",".join(frame.columns)
        if len(columns) < frame.width:
            raise InputError(("header",), shown, "name every column once", name)
        clock = next((column for column in _TIMES if column in columns), None)
        if clock is None:
            raise InputError(("header",), shown or "nothing", _REMEDY, name)
        self.clock = columns[clock]
        self.close = columns.get("close")
        self.symbol = next((columns[column] for column in _SYMBOLS if column in columns), None)
        self.prices = [given for column, given in columns.items() if column not in _TIMES]
        bars = self.symbol is not None or "open" in columns
        if self.close is None and (bars or not self.prices):
            raise InputError(("header",), shown, _REMEDY, name)
        if self.close is not None and not bars and not columns.keys() <= {*_TIMES, "close", "volume"}:
            remedy = "give either one close column per symbol or a column close, not both"
            raise InputError(("header",), shown, remedy, name)
        if not frame.height:
            raise InputError(self.place(0), "nothing", "give at least one row of prices", name)

    def wide(self) -> dict[str, Closes]:
        times = self.times()
        self.check_rising(times, np.arange(len(times)))
        found = [self.numbers(column) for column in self.prices]
        wrong = [(int(np.argmax(bad)), i) for i, (_, bad) in enumerate(found) if bad.any()]
        if wrong:
            row, i = min(wrong)
            self.refuse_price(row, self.prices[i])
        return {
            column.strip(): Closes(times, prices)
            for column, (prices, _) in zip(self.prices, found, strict=True)
        }

    def long(self) -> dict[str, Closes]:
        assert self.close is not None
        times = self.times()
        prices, bad = self.numbers(self.close)
        parts = self.by_symbol()
        for rows in parts.values():
            self.check_rising(times[rows], rows)
        if bad.any():
            self.refuse_price(int(np.argmax(bad)), self.close)
        return {symbol: Closes(times[rows], prices[rows]) for symbol, rows in parts.items()}

    def by_symbol(self) -> dict[str, Int64Array]:
        """Rows of each symbol, in the order they stand in."""
        if self.symbol is None:
            return {File(self.name).stem.partition("_")[0]: np.arange(self.frame.height)}
        symbols = self.frame[self.symbol].cast(pl.String).str.strip_chars().fill_null("")
        empty = symbols == ""
        if empty.any():
            row = int(empty.arg_max() or 0)
            raise InputError((*self.place(row), self.symbol.strip()), "", "name the symbol", self.name)
        names = symbols.unique(maintain_order=True)
        codes = symbols.replace_strict(names, np.arange(len(names)), return_dtype=pl.Int64).to_numpy()
        order = np.argsort(codes, kind="stable")
        ends = np.cumsum(np.bincount(codes))[:-1]
        return dict(zip(names.to_list(), np.split(order, ends), strict=True))

    def times(self) -> Int64Array:
        """Seconds since 1970 of every row."""
        column, dtype = self.frame[self.clock], self.frame[self.clock].dtype
        milliseconds = self.clock.strip().lower().endswith("_ms")
        if not (dtype.is_integer() or dtype == pl.String or dtype.base_type() in (pl.Datetime, pl.Date)):
            raise InputError(("header", self.clock), str(dtype), _TIME_REMEDY, self.name)
        distinct = column.unique(maintain_order=True)
        seconds = [_seconds(value, milliseconds) for value in distinct.to_list()]
        if None in seconds:
            wrong = column.eq_missing(distinct[[seconds.index(None)]])
            self.refuse(int(wrong.arg_max() or 0), self.clock, _TIME_REMEDY)
        return column.replace_strict(distinct, seconds, return_dtype=pl.Int64).to_numpy()

    def numbers(self, column: str) -> tuple[Float64Array, Any]:
        """Prices of a column, and where they are none."""
        given = self.frame[column]
        if given.dtype == pl.String:
            given = given.str.strip_chars()
        elif not given.dtype.is_numeric():
            raise InputError(("header", column), str(given.dtype), "give a column of prices", self.name)
        if given.dtype == pl.Float32:  # 9.9 is meant, not the float64 9.899999618530273
            prices = given.to_numpy().astype("U").astype(np.float64)
        else:
            prices = given.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy()
        return prices, ~((prices > 0) & (prices < np.inf))

    def check_rising(self, times: Int64Array, rows: Int64Array) -> None:
        late = np.diff(times) <= 0
        if late.any():
            remedy = "give times that rise from line to line"
            self.refuse(int(rows[np.argmax(late) + 1]), self.clock, remedy)

    def refuse_price(self, row: int, column: str) -> NoReturn:
        self.refuse(row, column, "give a price above zero")

    def refuse(self, row: int, column: str, remedy: str) -> NoReturn:
        value = self.frame[column][row]
        if not self.parquet:
            value = (value or "").strip()
        raise InputError(
            (*self.place(row), column.strip()),
            value if isinstance(value, str) else str(value),
            remedy,
            self.name,
        )

    def place(self, row: int) -> tuple[str, int]:
        """Where a row of the frame stands: the line of a CSV file; the row, from 0, of a Parquet file."""
        if self.parquet:
            return "row", row
        for number, (line, _) in enumerate(_lines(self.name)):
            if number == row + 1:
                return "line", line
        return "line", 2


def _seconds(value: Any, milliseconds: bool) -> int | None:
    """Seconds since 1970; None for what is no whole second."""
    try:
        if isinstance(value, str):
            text = value.strip()
            value = int(text) if re.fullmatch("[0-9]{1,14}", text) else datetime.fromisoformat(text)
        if isinstance(value, int):
            time, part = divmod(value, 1000) if milliseconds or value >= _MILLISECONDS else (value, 0)
        else:
            moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
            moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
            time, part = int(moment.timestamp()), moment.microsecond
    except (ValueError, AttributeError):
        return None
    return None if time < 0 or part else time


def _parquet(name: str) -> pl.DataFrame:
    try:
        return pl.read_parquet(name, glob=False, hive_partitioning=False)
    except pl.exceptions.PolarsError as error:
        raise InputError((), _first_line(error), "give a Parquet file", name) from None


def _csv(name: str) -> pl.DataFrame:
    """All cells as text, without lines that are empty."""
    _, header = next(_lines(name), (0, []))
    if not header or len({column.strip().lower() for column in header}) < len(header):
        shown = ",".join(header) or "nothing"
        raise InputError(("header",), shown, "name every column once" if header else _REMEDY, name)
    try:
        frame = pl.read_csv(name, infer_schema=False, glob=False, new_columns=header)
    except pl.exceptions.PolarsError as error:
        _check_lines(name, len(header))
        raise InputError((), _first_line(error), "give a CSV file in UTF-8", name) from None
    if frame.width and frame[:, -1].null_count():
        _check_lines(name, len(header))
        frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    return frame


def _check_lines(name: str, width: int) -> None:
    """Refuse the first line without a cell for every column."""
    for line, cells in _lines(name):
        if len(cells) != width:
            remedy = f"give {width}, as in the header"
            raise InputError(("line", line), f"{len(cells)} cells", remedy, name)
        if not any(cells):
            raise InputError(("line", line), "nothing", "give values, or leave the line out", name)


def _lines(name: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of every line that is not empty."""
    try:
        with open(name, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for cells in reader:
                if cells:
                    yield reader.line_num, cells
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError((), str(error), "give a CSV file in UTF-8", name) from None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
