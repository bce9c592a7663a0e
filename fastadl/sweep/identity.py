"""Which sweep a folder is of: all that decides what comes of a trial, and so everything but the seeds."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fastadl
from fastadl.errors import InputError
from fastadl.stress import toml

if TYPE_CHECKING:
    from fastadl.sweep.sweep import Sweep

__all__ = ["MADE", "digest", "file_of", "refuse_other"]

#: What stands in a sweep's file and is not the user's.
MADE = ("fastadl", "made")


def file_of(sweep: Sweep, seeds: Sequence[int]) -> str:
    """The text of ``sweep.toml``: the sweep, what it was made with, and seeds that it has been asked for."""
    version = {"fastadl": fastadl.__version__}
    return toml.written({**version, **sweep.to_dict(), "seeds": list(seeds), "made": _made(sweep)})


def digest(sweep: Sweep) -> str:
    """A short text that no other sweep has."""
    return _hash(json.dumps(_identity(sweep), sort_keys=True).encode())


def refuse_other(sweep: Sweep, file: Path, folder: str) -> list[int]:
    """Seeds that the sweep in a file was asked for.

    Raises
    ------
    InputError
        If it is another sweep: naming the first thing in which it differs.
    """
    try:
        there = tomllib.loads(file.read_text("utf-8"))
        seeds = list(map(int, there.pop("seeds")))
    except (ValueError, KeyError, TypeError, RecursionError):
        remedy = "give the folder of a sweep, or a new or empty one"
        raise InputError((), f"{file.name} cannot be read", remedy, folder) from None
    here = _identity(sweep)
    for name, was, now in _differences(there, here, ""):
        last = "go on with that version" if name == "fastadl" else "say what it was made with"
        remedy = f"{name} is {was} there and {now} here: give another folder, or {last}"
        raise InputError((), "the folder of another sweep", remedy, folder)
    return seeds


def _identity(sweep: Sweep) -> dict[str, Any]:
    """The sweep as its file says it, but for its seeds."""
    tables = tomllib.loads(file_of(sweep, ()))
    del tables["seeds"]
    return tables


def _made(sweep: Sweep) -> dict[str, Any]:
    """The points as they were drawn, and contents of files that experiments read."""
    files = {each.book.tiers for each in sweep.experiments if each.book.tiers is not None}
    for each in sweep.experiments:
        files.update(each.scenario.parameters.get("prices", ()))
    return {
        "points": _hash(json.dumps(sweep.points).encode()),
        "files": {file: _hash(Path(file).read_bytes()) for file in sorted(files)},
    }


def _differences(there: Any, here: Any, name: str) -> Iterator[tuple[str, str, str]]:
    """Names of fields that differ, and how they are shown; those that say most come first."""
    if not (isinstance(there, Mapping) and isinstance(here, Mapping)):
        if there != here:
            yield name, _shown(there), _shown(here)
        return
    for key in sorted({**here, **there}, key=lambda key: key == "made"):
        inner = f"{name}.{key}" if name else key
        yield from _differences(there.get(key), here.get(key), inner)


def _shown(value: Any) -> str:
    text = "not given" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _hash(data: bytes) -> str:
    return sha256(data).hexdigest()[:16]
