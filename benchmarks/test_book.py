"""Getting a book into memory, and what it takes there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from benchmarks.conftest import Measure
from benchmarks.loads import Load
from fastadl import Book
from fastadl.schema import Float64Array

PROBE = Path(__file__).with_name("probe.py")

Frames = tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]


def _integers(book: Book) -> Frames:
    return book.to_frames()


def _floats(book: Book) -> Frames:
    """Quantities, prices and cash as Float64, as most data come."""
    table, accounts, rows = book.to_frames()
    items = book.instruments
    code = (
        rows["symbol"]
        .replace_strict(list(items.symbols), range(len(items)), return_dtype=pl.Int32)
        .to_numpy()
    )
    lots, entry = rows["lots"].to_numpy(), rows["entry_value_atoms"].to_numpy()
    # in numpy: a whole number divided by a power of ten is the float that the decimal text stands for
    lots_per_contract = np.array([float(1 / item.lot) for item in items])[code]
    price = entry / (lots * np.array([float(item.scale) for item in items])[code])
    return (
        table,
        pl.DataFrame({"id": accounts["id"], "cash": accounts["cash_atoms"].to_numpy() / 10**6}),
        rows.select("account", "symbol", qty=lots / lots_per_contract, entry_price=_rounded(price)),
    )


def _rounded(price: Float64Array) -> Float64Array:
    """Prices of seven digits."""
    power = 10.0 ** (6 - np.floor(np.log10(price)))
    return np.rint(price * power) / power


def _texts(book: Book) -> Frames:
    """The same numbers as decimal texts."""
    table, accounts, rows = _floats(book)
    return table, accounts.cast(pl.String), rows.cast(pl.String)


@pytest.mark.benchmark(group="book build")
@pytest.mark.parametrize(
    ("who", "spelling"),
    [("integers", _integers), ("floats", _floats), ("texts", _texts)],
    ids=["integers", "floats", "texts"],
)
def test_from_frames(measure: Measure, calm: Load, who: str, spelling: Any) -> None:
    """Book.from_frames of three polars frames.

    Intent: checking every row and laying it out. Unit: one position. ``integers`` is lots and atoms,
    ``floats`` and ``texts`` are quantities and prices, of which whole lots and atoms must come. Left out:
    making the frames.
    """
    frames = spelling(calm.book)
    book = measure(
        Book.from_frames,
        *frames,
        who=f"fastadl, frames of {who}",
        unit=(len(calm.book), "position"),
        rounds=3,
    )
    assert len(book) == len(calm.book)


@pytest.fixture(scope="module")
def folder(calm: Load, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return calm.book.write(tmp_path_factory.mktemp("book") / "calm")


@pytest.mark.benchmark(group="book build")
def test_from_parquet(measure: Measure, calm: Load, folder: Path) -> None:
    """Book.read of a folder of Parquet in the integer spelling, in the page cache. Unit: one position."""
    book = measure(Book.read, folder, who="fastadl, Parquet", unit=(len(calm.book), "position"), rounds=3)
    assert len(book) == len(calm.book)


@pytest.mark.benchmark(group="memory")
@pytest.mark.skipif(sys.platform != "linux", reason="a process's own peak is read from /proc")
def test_memory(measure: Measure, benchmark: Any, calm: Load, folder: Path) -> None:
    """A new process reads the Parquet folder and runs one tick; time is that of the process.

    Intent: bytes a book keeps, ids included, against 40 B a position and 64 B an account; and the peak of the
    process after import, after reading, and after a tick. Unit: one position.
    """
    out = measure(
        subprocess.check_output,
        [sys.executable, str(PROBE), "memory", str(folder)],
        who="fastadl, a process that reads and ticks",
        unit=(len(calm.book), "position"),
        rounds=1,
    )
    facts = json.loads(out)
    accounts = len(calm.book.accounts)
    benchmark.extra_info.update(facts, share_of_budget=facts["book"] / (40 * len(calm.book) + 64 * accounts))
    assert facts["positions"] == len(calm.book)
    assert facts["peak_import"] <= facts["peak_read"] <= facts["peak_tick"]


@pytest.mark.benchmark(group="cold start")
def test_cold_start(measure: Measure, benchmark: Any) -> None:
    """A new process imports fastadl, builds a book of three accounts and runs its first tick, all stages.

    Intent: what the first tick waits for when the kernels are in the cache on disk. Unit: one process, the
    interpreter's own start included. Left out: compiling, which ``fastadl warmup`` reports.
    """
    out = measure(
        subprocess.check_output,
        [sys.executable, str(PROBE), "cold"],
        who="fastadl, process to first tick",
        unit=(1, "process"),
        rounds=5,
    )
    benchmark.extra_info.update(json.loads(out))
