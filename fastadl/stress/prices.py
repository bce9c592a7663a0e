"""Price paths: closes of one or more symbols at common times, read exactly from CSV files."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path as File
from typing import TypeAlias

from fastadl.errors import InputError

__all__ = ["Path", "asset_of", "read"]

_TIMES = ("ts_ms", "timestamp", "open_time", "time", "datetime", "date")
_SYMBOLS = ("symbol", "ticker", "pair")
_QUOTES = ("USDT", "USDC", "BUSD", "USD", "PERP", "EUR")
_PRICE = re.compile(r"[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,2})?\Z")
#: Times from here on are milliseconds: as seconds they would be past the year 5000.
_MILLISECONDS = 100_000_000_000
_REMEDY = "give a time column and one close column per symbol, or columns time, open, high, low, close"
_Closes: TypeAlias = dict[str, dict[int, str]]


@dataclass(frozen=True, slots=True)
class Path:
    """Closes of some symbols at common times.

    Attributes
    ----------
    times : tuple of int
        Seconds since 1970 (UTC), rising.
    symbols : tuple of str
        As the files spell them.
    closes : tuple of tuple of str
        Per time, the close of each symbol: exact decimals above zero, without exponent.
    source : str
        Where the prices come from.
    """

    times: tuple[int, ...]
    symbols: tuple[str, ...]
    closes: tuple[tuple[str, ...], ...]
    source: str


def read(files: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> Path:
    """Read closes from CSV files.

    A file is either wide (a time column, and one column of closes for each symbol) or OHLCV (with columns
    ``open``, ``high``, ``low``, ``close``; the symbol stands in a column ``symbol`` or ``ticker``, or is the
    file's name up to the first ``_``). The time column is the first found of ``ts_ms``, ``timestamp``,
    ``open_time``, ``time``, ``datetime``, ``date``: seconds, milliseconds, or ISO dates, in UTC. Of several
    files, the span that all symbols cover is read; inside it their times must be the same.

    Raises
    ------
    InputError
        For a file that is missing, empty or not a CSV, a missing column, a price that is not above zero,
        times that do not rise, and times that one symbol has and another has not.
    """
    names = [os.fspath(files)] if isinstance(files, (str, os.PathLike)) else [os.fspath(f) for f in files]
    if not names:
        raise InputError(("prices",), "no file", "give at least one CSV file")
    closes: _Closes = {}
    origin: dict[str, str] = {}
    for name in names:
        for symbol, series in _read_file(name).items():
            for other in closes:
                if asset_of(other) == asset_of(symbol):
                    raise InputError(("header",), symbol, f"{origin[other]} has {other} already", name)
            closes[symbol], origin[symbol] = series, name
    times = _common_times(closes, origin)
    return Path(
        times=times,
        symbols=tuple(closes),
        closes=tuple(tuple(series[time] for series in closes.values()) for time in times),
        source=", ".join(File(name).name for name in names),
    )


def asset_of(symbol: str) -> str:
    """Leading asset of a symbol: ``BTCUSD``, ``BTC-PERP`` and ``btc/usdt:usdt`` are all ``BTC``."""
    asset = re.split(r"[-/_: .]", symbol.strip().upper())[0]
    for quote in _QUOTES:
        if len(asset) > len(quote) and asset.endswith(quote):
            return asset.removesuffix(quote)
    return asset


def _common_times(closes: Mapping[str, Mapping[int, str]], origin: Mapping[str, str]) -> tuple[int, ...]:
    """Times from the latest beginning to the earliest end; none of them may be missing in any symbol."""
    first = max(min(series) for series in closes.values())
    last = min(max(series) for series in closes.values())
    every = sorted(time for time in set().union(*closes.values()) if first <= time <= last)
    for symbol, series in closes.items():
        missing = next((time for time in every if time not in series), None)
        if missing is not None or not every:
            gap = "no time in common" if missing is None else f"no close at {_shown(missing)}"
            raise InputError((symbol,), gap, "give closes of all symbols at the same times", origin[symbol])
    return tuple(every)


def _shown(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _read_file(name: str) -> _Closes:
    lines = _lines(name)
    _, header = next(lines, (0, []))
    columns = [column.strip().lower() for column in header]
    clock = next((column for column in _TIMES if column in columns), None)
    if clock is None:
        raise InputError(("header",), ",".join(header) or "nothing", _REMEDY, name)
    if len(set(columns)) < len(columns):
        raise InputError(("header",), ",".join(header), "name every column once", name)
    at = columns.index(clock)
    if "close" in columns:
        return _read_ohlcv(name, lines, columns, at)
    prices = [i for i, column in enumerate(columns) if column not in _TIMES]
    if not prices or "open" in columns:
        raise InputError(("header",), ",".join(header), _REMEDY, name)
    closes: _Closes = {header[i].strip(): {} for i in prices}
    last: int | None = None
    for line, cells in lines:
        last = time = _time(name, line, clock, _cell(name, line, cells, columns, at), last)
        for i in prices:
            text = _cell(name, line, cells, columns, i)
            closes[header[i].strip()][time] = _price(name, line, header[i].strip(), text)
    return _not_empty(name, closes)


def _read_ohlcv(name: str, lines: Iterator[tuple[int, list[str]]], columns: list[str], at: int) -> _Closes:
    close = columns.index("close")
    kind = next((columns.index(column) for column in _SYMBOLS if column in columns), None)
    symbol = "" if kind is not None else File(name).stem.partition("_")[0]
    series: dict[int, str] = {}
    last: int | None = None
    for line, cells in lines:
        last = time = _time(name, line, columns[at], _cell(name, line, cells, columns, at), last)
        if kind is not None:
            given = _cell(name, line, cells, columns, kind)
            if not given or (symbol and given != symbol):
                remedy = f"give one symbol a file, here {symbol}" if symbol else "name the symbol"
                raise InputError(("line", line, columns[kind]), given, remedy, name)
            symbol = given
        series[time] = _price(name, line, "close", _cell(name, line, cells, columns, close))
    return _not_empty(name, {symbol: series})


def _not_empty(name: str, closes: _Closes) -> _Closes:
    if not all(closes.values()):
        raise InputError(("line", 2), "nothing", "give at least one row of prices", name)
    return closes


def _lines(name: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of every line that is not empty."""
    try:
        with open(name, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for cells in reader:
                if cells:
                    yield reader.line_num, cells
    except OSError as error:
        raise InputError((), error.strerror or "cannot be read", "give a readable CSV file", name) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError((), str(error), "give a CSV file in UTF-8", name) from None


def _cell(name: str, line: int, cells: list[str], columns: list[str], i: int) -> str:
    if len(cells) != len(columns):
        raise InputError(
            ("line", line), f"{len(cells)} cells", f"give {len(columns)}, as in the header", name
        )
    return cells[i].strip()


def _price(name: str, line: int, column: str, text: str) -> str:
    if not _PRICE.match(text) or not Decimal(text):
        raise InputError(("line", line, column), text, "give a price above zero", name)
    plain = format(Decimal(text), "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def _time(name: str, line: int, column: str, text: str, last: int | None) -> int:
    try:
        if re.fullmatch("[0-9]{1,14}", text):
            number = int(text)
            time, part = (
                divmod(number, 1000) if column.endswith("_ms") or number >= _MILLISECONDS else (number, 0)
            )
        else:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            time, part = int(moment.timestamp()), moment.microsecond
    except ValueError:
        time, part = -1, 0
    if time < 0 or part:
        remedy = "give whole seconds or milliseconds since 1970, or a date such as 2020-03-12 10:00:00"
        raise InputError(("line", line, column), text, remedy, name)
    if last is not None and time <= last:
        raise InputError(("line", line, column), text, "give times that rise from line to line", name)
    return time
