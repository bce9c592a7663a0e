"""Price paths from CSV and Parquet files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from functools import partial
from pathlib import Path as File
from typing import TypeAlias

import numpy as np

from fastadl.contracts import Instruments
from fastadl.errors import InputError
from fastadl.schema import Int64Array
from fastadl.stress.paths.path import Path, asset_of
from fastadl.stress.paths.scenario import BETA, Scenario, following
from fastadl.stress.paths.tables import Closes, read_table

__all__ = ["Files", "read", "read_path"]

Files: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

#: Where this share of the steps between times are of one length and all others are multiples of it, rows are
#: missing; where fewer are, the times are uneven on purpose.
_REGULAR = 0.9


def read(files: Files) -> Scenario:
    """A scenario from closes in CSV or Parquet files.

    A table is wide (a time column, and one column of closes for each symbol) or has a column ``close``; then
    the symbol stands in a column ``symbol``, ``ticker`` or ``pair``, of which there may be several one below
    the other (long form), or is the file's name up to the first ``_``. Further columns beside ``open`` or a
    symbol are not looked at. The time column is the first found of ``ts_ms``, ``timestamp``, ``open_time``,
    ``time``, ``datetime``, ``date``: seconds, milliseconds, ISO dates, or a Parquet file's own dates, in UTC.
    Of several symbols, the span that all cover is read; inside it their times must be the same.

    Parameters
    ----------
    files : path or sequence of path
        Ending in ``.parquet`` or ``.pq`` for Parquet; all others are CSV.

    Returns
    -------
    Scenario
        Markets of the files' assets are marked by their closes, all others at ``level ** 1.2``.

    Raises
    ------
    InputError
        For a file that is missing, empty or of another kind, a missing column, a price that is not above
        zero, times that do not rise, rows missing from otherwise even times, and times that one symbol has
        and another has not: naming file, line or row, column and value.
    """
    names = _names(files)
    own = read_path(names)
    return Scenario(
        name="prices",
        title=f"Prices of {own.source}",
        source=own.source,
        parameters={"prices": names},
        anchors={
            asset_of(symbol): Fraction(repr(float(mark)))
            for symbol, mark in zip(own.symbols, own.marks[0], strict=True)
        },
        draw=partial(_draw, own=own),
    )


def _names(files: object) -> list[str]:
    listed = [files] if isinstance(files, (str, os.PathLike)) else files
    if not isinstance(listed, Sequence) or not all(isinstance(file, (str, os.PathLike)) for file in listed):
        raise InputError(("prices",), files, "give the name of a CSV or Parquet file, or a list of them")
    return [os.fspath(file) for file in listed]


def read_path(names: Sequence[str]) -> Path:
    """Closes of the files' own symbols at their common times (see `read`)."""
    if not names:
        raise InputError(("prices",), "no file", "give at least one CSV or Parquet file")
    closes: dict[str, Closes] = {}
    origin: dict[str, str] = {}
    for name in names:
        for symbol, series in read_table(name).items():
            for other in closes:
                if asset_of(other) == asset_of(symbol):
                    raise InputError(("header",), symbol, f"{origin[other]} has {other} already", name)
            closes[symbol], origin[symbol] = series, name
    times = _common_times(closes, origin)
    marks = np.empty((len(times), len(closes)))
    for column, series in enumerate(closes.values()):
        start = int(np.searchsorted(series.times, times[0]))
        marks[:, column] = series.prices[start : start + len(times)]
    return Path(times, tuple(closes), marks, ", ".join(File(name).name for name in names))


def _draw(instruments: Instruments, _seed: int, *, own: Path) -> Path:
    return following(own, own.symbols, BETA, instruments)


def _common_times(closes: Mapping[str, Closes], origin: Mapping[str, str]) -> Int64Array:
    """Times from the latest beginning to the earliest end; none of them may be missing in any symbol."""
    first = max(int(series.times[0]) for series in closes.values())
    last = min(int(series.times[-1]) for series in closes.values())
    # Symbols of one table share their times: only different ones are joined.
    distinct = {id(series.times): series.times for series in closes.values()}.values()
    every = np.unique(np.concatenate([times[(times >= first) & (times <= last)] for times in distinct]))
    remedy = "give closes of all symbols at the same times"
    for symbol, series in closes.items():
        if not len(every):
            raise InputError((symbol,), "no time in common", remedy, origin[symbol])
        own = series.times[(series.times >= first) & (series.times <= last)]
        if len(own) < len(every):
            missing = np.setdiff1d(every, own, assume_unique=True)[0]
            raise InputError((symbol,), f"no close at {_shown(missing)}", remedy, origin[symbol])
    _refuse_holes(every, next(iter(origin.values())))
    return every


def _refuse_holes(times: Int64Array, name: str) -> None:
    steps = np.diff(times)
    if not len(steps):
        return
    usual = int(steps.min())
    even = steps == usual
    if not even.all() and even.mean() >= _REGULAR and not np.count_nonzero(steps % usual):
        at = int(np.argmin(even))
        gap = f"nothing between {_shown(times[at])} and {_shown(times[at + 1])}"
        raise InputError(("times",), gap, f"give a row every {usual} seconds, as elsewhere", name)


def _shown(time: int) -> str:
    return datetime.fromtimestamp(int(time), UTC).strftime("%Y-%m-%d %H:%M:%S")
