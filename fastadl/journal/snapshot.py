"""Snapshots: folders of Parquet files with a manifest that vouches for every byte of them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl

from fastadl.errors import JournalError
from fastadl.journal.disk import Disk, write_file
from fastadl.journal.entry import End, frame_of, plain, shape_of, shaped
from fastadl.journal.segment import FORMAT, Lost, name_of

__all__ = [
    "FOLDER",
    "PART",
    "Contents",
    "DamagedError",
    "Snapshot",
    "check",
    "contents_of",
    "lost",
    "path_for",
    "seal_of",
    "snapshots",
    "write",
]

FOLDER, PART = "snapshots", ".part"
_MANIFEST = "manifest.json"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class DamagedError(JournalError):
    """A snapshot that is not what was written."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state as it was after an entry.

    Attributes
    ----------
    end : End
        That entry's sequence, time and hash.
    path : Path
        The folder.
    """

    end: End
    path: Path

    def read(self) -> dict[str, Any]:
        """What was given to `Journal.snapshot`, each under its name.

        Raises
        ------
        JournalError
            If a byte of it has changed.
        """
        manifest = _manifest(self.path)
        contents: dict[str, Any] = dict(manifest["values"])
        for name, file in manifest["files"].items():
            contents[name] = shaped(pl.read_parquet(BytesIO(_file(self.path, name, file))), file["shape"])
        return contents


@dataclass(frozen=True, slots=True)
class Contents:
    """What a snapshot holds: frames with the shape they are read back in, and plain values."""

    frames: dict[str, pl.DataFrame]
    shapes: dict[str, str]
    values: dict[str, Any]


def snapshots(folder: Path) -> list[Path]:
    """A journal's snapshots, the last one first; some may be damaged."""
    within = folder / FOLDER
    found = [path for path in within.iterdir() if path.name.isdecimal()] if within.is_dir() else []
    return sorted(found, reverse=True)


def check(path: Path) -> Snapshot:
    """The snapshot in a folder, every byte of it compared with its manifest.

    Raises
    ------
    DamagedError
        If anything is missing or has changed.
    JournalError
        If another version of the package wrote it.
    """
    manifest = _manifest(path)
    for name, file in manifest["files"].items():
        _file(path, name, file)
    end = End(manifest["sequence"], manifest["time"], bytes.fromhex(manifest["hash"]))
    if path.name != name_of(end.sequence):
        raise _damaged(path, f"it is of entry {end.sequence}, by its manifest")
    return Snapshot(end, path)


def lost(path: Path, error: DamagedError) -> Lost:
    """A damaged snapshot as something lost."""
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else 0
    return Lost(f"{FOLDER}/{path.name}", 0, size, 0, str(error.value))


def contents_of(given: Mapping[str, Any]) -> Contents:
    """What a snapshot is to hold, checked.

    Raises
    ------
    JournalError
        For a value that would not be read back as what it is, or a name that no file can have.
    """
    frames: dict[str, pl.DataFrame] = {}
    values: dict[str, Any] = {}
    for name, value in given.items():
        if type(name) is not str or not _NAME.fullmatch(name):
            raise JournalError(("contents",), name, "give names of at most 64 letters, digits, _ and -")
        frame = frame_of(value, ("contents", name))
        if frame is None:
            values[name] = value
        else:
            frames[name] = frame
    plain(values, ("contents",))
    return Contents(frames, {name: shape_of(given[name]) for name in frames}, values)


def path_for(folder: Path, end: End) -> Path:
    """Where a snapshot goes; refused where there is one of the same entry."""
    path = folder / FOLDER / name_of(end.sequence)
    if path.exists():
        remedy = "append an entry first: a state has one snapshot"
        raise JournalError((), f"a snapshot of entry {end.sequence} is there", remedy, str(folder))
    return path


def seal_of(path: Path) -> str:
    """SHA-256 of a snapshot's manifest, which vouches for all of it; hexadecimal."""
    return sha256((path / _MANIFEST).read_bytes()).hexdigest()


def write(disk: Disk, path: Path, end: End, contents: Contents) -> Snapshot:
    """Write a snapshot whole or not at all.

    Parameters
    ----------
    disk : Disk
    path : Path
        From `path_for`.
    end : End
        The entry after which the state was as given.
    contents : Contents
    """
    disk.make_folder(path.parent)
    disk.sync_folder(path.parent.parent)
    partial = path.with_name(path.name + PART)
    if partial.exists():
        disk.remove(partial)
    try:
        _fill(disk, partial, end, contents)
        disk.rename(partial, path)
        disk.sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            if path.exists():
                disk.rename(path, partial)
            disk.remove(partial)
        raise
    return Snapshot(end, path)


def _fill(disk: Disk, folder: Path, end: End, contents: Contents) -> None:
    disk.make_folder(folder)
    files = {}
    for name, frame in contents.frames.items():
        data = _parquet(frame)
        write_file(disk, folder / f"{name}.parquet", data)
        files[name] = {"sha256": sha256(data).hexdigest(), "shape": contents.shapes[name], "size": len(data)}
    manifest = {
        "files": files,
        "format": FORMAT,
        "hash": end.hash.hex(),
        "sequence": end.sequence,
        "time": end.time,
        "values": contents.values,
    }
    write_file(disk, folder / _MANIFEST, _sealed(manifest))
    disk.sync_folder(folder)


def _parquet(frame: pl.DataFrame) -> bytes:
    stream = BytesIO()
    frame.write_parquet(stream)
    return stream.getvalue()


def _sealed(manifest: dict[str, Any]) -> bytes:
    """The manifest and its own hash; one text for one manifest, so that it can be compared."""
    text = json.dumps(manifest, indent=1, sort_keys=True)
    digest = sha256(text.encode()).hexdigest()
    return json.dumps({"manifest": manifest, "sha256": digest}, indent=1, sort_keys=True).encode() + b"\n"


def _manifest(path: Path) -> dict[str, Any]:
    try:
        data = (path / _MANIFEST).read_bytes()
        manifest = json.loads(data)["manifest"]
        whole = _sealed(manifest) == data
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise _damaged(path, f"{_MANIFEST} is missing or not what was written")
    if manifest["format"] != FORMAT:
        remedy = f"read it with the version that wrote it; this one reads format {FORMAT}"
        raise JournalError((), f"a snapshot of format {manifest['format']}", remedy, str(path))
    return manifest


def _file(path: Path, name: str, file: Mapping[str, Any]) -> bytes:
    try:
        data = (path / f"{name}.parquet").read_bytes()
    except OSError as error:
        raise _damaged(path, f"{name}.parquet: {error.strerror}") from None
    if len(data) != file["size"] or sha256(data).hexdigest() != file["sha256"]:
        raise _damaged(path, f"{name}.parquet is not what was written, by its hash")
    return data


def _damaged(path: Path, what: str) -> DamagedError:
    return DamagedError((), what, "recover from the snapshot before it", str(path))
