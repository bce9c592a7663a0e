"""Getting a book into memory, and what it takes there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import polars as pl

import fastadl
from fastadl import Book
from fastadl.bench.loads import Load, Loads
from fastadl.bench.registry import Absent, Group, Work
from fastadl.schema import Float64Array

__all__ = ["BUILD", "COLD", "MEMORY", "probe"]

_PROBE = Path(__file__).with_name("probe.py")
#: What a book may keep: bytes of a position, of an account.
_BUDGET = (40, 64)

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


BUILD = Group(
    "build",
    "book build",
    "Checking every row and laying it out.",
    "position",
    lambda loads: loads,
    several="spellings of the same book",
)


def _from_frames(who: str, does: str, spelling: Callable[[Book], Frames]) -> None:
    @BUILD.case(f"fastadl, frames of {who}", does=does, left_out="making the frames", rounds=3)
    def make(loads: Loads) -> Work:
        return _whole(loads.calm, Book.from_frames, spelling(loads.calm.book))


def _whole(calm: Load, build: Callable[..., Book], arguments: tuple[Any, ...]) -> Work:
    """A build that must give as many positions as there were."""

    def check(book: Book) -> None:
        assert len(book) == len(calm.book)

    return Work(build, len(calm.book), arguments, check=check)


_from_frames("integers", "Book.from_frames of lots and atoms.", _integers)
_from_frames("floats", "Quantities and prices as floats, of which whole lots and atoms must come.", _floats)
_from_frames("texts", "The same numbers as decimal texts.", _texts)


def _folder(loads: Loads) -> Path:
    """The calm book as Parquet files, which go when the loads go."""
    folder = Path(mkdtemp(prefix="fastadl-"))
    weakref.finalize(loads, shutil.rmtree, folder, ignore_errors=True)
    return loads.calm.book.write(folder / "calm")


@BUILD.case("fastadl, Parquet", left_out="the disk: files are in the page cache", rounds=3)
def _parquet(loads: Loads) -> Work:
    """Book.read of a folder of Parquet files of lots and atoms."""
    return _whole(loads.calm, Book.read, (loads.once(_folder),))


def probe(*arguments: str) -> dict[str, Any]:
    """What a new process says of itself, see `fastadl.bench.probe`."""
    root = str(Path(fastadl.__file__).parent.parent)
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-P", str(_PROBE), *arguments]
    out = subprocess.check_output(command, env={**os.environ, "PYTHONPATH": path})
    said: dict[str, Any] = json.loads(out)
    return said


MEMORY = Group(
    "memory",
    "memory",
    "Bytes a book keeps, ids included, against 40 a position and 64 an account; and the peak of a process.",
    "position",
    lambda loads: loads,
)


@MEMORY.case("fastadl, a process that reads and ticks", left_out="compiling", rounds=1, warm=False)
def _memory(loads: Loads) -> Work:
    """A new process reads the Parquet folder and runs one tick; its peaks are VmHWM after each step."""
    if sys.platform != "linux":
        raise Absent("a process's own peak is read from /proc: run it on Linux")

    def check(said: dict[str, Any]) -> None:
        assert said["positions"] == len(loads.calm.book)
        assert said["peak_import_bytes"] <= said["peak_read_bytes"] <= said["peak_tick_bytes"]

    def facts(said: dict[str, Any]) -> Mapping[str, float]:
        budget = sum(each * said[of] for each, of in zip(_BUDGET, ("positions", "accounts"), strict=True))
        peaks = {name: value for name, value in said.items() if name.endswith("_bytes")}
        return {**peaks, "of_budget_share": said["book_bytes"] / budget}

    return Work(probe, len(loads.calm.book), ("memory", str(loads.once(_folder))), check=check, facts=facts)


COLD = Group(
    "cold",
    "cold start",
    "What the first tick of a new process waits for when the kernels are in the cache on disk.",
    "process",
    lambda loads: loads,
)


@COLD.case("fastadl, process to first tick", left_out="compiling, which fastadl warmup does and reports")
def _cold(_: Loads) -> Work:
    """The interpreter starts, imports fastadl, builds a book of three accounts and ticks, all stages."""
    return Work(probe, 1, ("cold",), facts=lambda said: said)
