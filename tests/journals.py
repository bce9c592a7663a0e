"""Journals that tests work on, and what is to be found in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fastadl.journal import NEVER, Journal, Verified, read, verify
from faulty import Faulty

FILLS = pl.DataFrame({"account": [3, 1], "symbol": ["BTC", "ETH"], "lots": [-5, 2**60], "price": [0.1, -0.0]})


def payload(number: int) -> dict[str, Any]:
    """What entry `number` holds in these tests."""
    plain = {"number": number, "text": "µ" * (number % 7), "nested": [1.5, None, {"deep": True}]}
    if number % 5 == 0:
        return {**plain, "fills": FILLS.with_columns(pl.lit(number).alias("of"))}
    if number % 5 == 1:
        return {**plain, "marks": np.arange(number % 9, dtype=np.float64)}
    return plain


def same(left: Any, right: Any) -> bool:
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and list(left) == list(right)
            and all(same(left[k], right[k]) for k in left)
        )
    if isinstance(left, pl.DataFrame):
        return isinstance(right, pl.DataFrame) and left.schema == right.schema and left.equals(right)
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and left.tobytes() == right.tobytes()
    return type(left) is type(right) and repr(left) == repr(right)


def by_name(values: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(values.items()))


def check(folder: Path, last: int) -> Verified:
    """All entries up to the last are there and are what was given."""
    found = verify(folder)
    assert found.last == last
    entries = list(read(folder, until=last))
    assert [entry.sequence for entry in entries] == list(range(1, last + 1))
    for entry in entries:
        assert same(by_name(entry.payload), by_name(payload(entry.sequence))), entry
    return found


def filled(folder: Path, entries: int = 12, **options: Any) -> Path:
    with Journal.create(folder, **{"segment_bytes": 700, "disk": Faulty(), **options}) as journal:
        for number in range(1, entries + 1):
            journal.append("kind", payload(number), time=number)
    return folder


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.journal"))


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def boundaries(folder: Path) -> dict[int, tuple[str, int]]:
    """Where each entry ends, by its length alone."""
    ends, last = {}, 0
    for path in segments(folder):
        data, offset = path.read_bytes(), 64
        while offset < len(data):
            offset += 56 + int.from_bytes(data[offset : offset + 8], "little")
            last += 1
            ends[last] = (path.name, offset)
    return ends


def flip(path: Path, offset: int, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1 << bit
    path.write_bytes(data)


def with_snapshots(folder: Path) -> Path:
    with Journal.create(folder, fsync=NEVER) as journal:
        journal.snapshot({"state": 0, "book": FILLS})
        for number in range(1, 10):
            journal.append("kind", payload(number), time=number)
            if number % 3 == 0:
                journal.snapshot({"state": number, "book": FILLS, "marks": np.arange(number)})
        journal.append("kind", payload(10), time=10)
    return folder
