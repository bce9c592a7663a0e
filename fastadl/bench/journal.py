"""A journal beside the file it is written to."""

from __future__ import annotations

import os
import shutil
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from fastadl.bench.loads import Loads
from fastadl.bench.registry import Group, Work
from fastadl.journal import ALWAYS, NEVER, Fsync, Journal
from fastadl.journal.entry import encode

__all__ = ["JOURNAL"]

_BATCH, _ENTRIES = 1000, 1000


class Fills(NamedTuple):
    """Batches of fills as an exchange hands them in, and a folder."""

    payload: dict[str, Any]
    folder: Path

    def path(self) -> Path:
        """A name that nothing has yet."""
        return self.folder / str(time.perf_counter_ns())


def _fills(loads: Loads) -> Fills:
    folder = Path(mkdtemp(prefix="fastadl-"))
    weakref.finalize(loads, shutil.rmtree, folder, ignore_errors=True)
    random = np.random.default_rng(1)
    frame = pl.DataFrame(
        {
            "account": random.integers(0, 4_000_000, _BATCH, dtype=np.int32),
            "symbol": random.integers(0, 300, _BATCH, dtype=np.int32),
            "lots": random.integers(-500, 500, _BATCH),
            "price": random.random(_BATCH),
        }
    )
    return Fills({"fills": frame}, folder)


JOURNAL = Group(
    name="journal",
    title="Journal",
    intent="What does it cost to note every fill, so that any day can be replayed.",
    unit="fill",
    shared=_fills,
)


def _appended(fills: Fills, fsync: Fsync, entries: int) -> Work:
    def run() -> int:
        with Journal.create(fills.path(), fsync=fsync) as journal:
            for _ in range(entries):
                journal.append("fills", fills.payload)
        return journal.sequence

    return Work(run, entries * _BATCH, check=_equal_to(entries))


def _equal_to(entries: int) -> Callable[[Any], None]:
    def check(last: Any) -> None:
        assert last == entries

    return check


@JOURNAL.case(
    "fastadl",
    left_out="the engine, which applies the fills",
    held_back="SHA-256 of every byte, some 0.5 ms a megabyte",
)
def _never(fills: Fills) -> Work:
    """A thousand entries of a thousand fills, each handed to the system at once; one fsync at the end."""
    return _appended(fills, NEVER, _ENTRIES)


@JOURNAL.case("fastadl, each forced", left_out="the engine, which applies the fills", held_back="the device")
def _always(fills: Fills) -> Work:
    """The same with an fsync an entry, a hundred entries."""
    return _appended(fills, ALWAYS, _ENTRIES // 10)


@JOURNAL.case("bytes alone", left_out="frames, hashes, numbers: the bytes are there before")
def _bytes(fills: Fills) -> Work:
    """The bytes of the same entries written to one file, with one fsync at the end."""
    body = encode("fills", fills.payload)

    def run() -> int:
        with fills.path().open("wb", buffering=0) as file:
            for _ in range(_ENTRIES):
                file.write(body)
            os.fsync(file.fileno())
        return _ENTRIES

    return Work(run, _ENTRIES * _BATCH, check=_equal_to(_ENTRIES))
