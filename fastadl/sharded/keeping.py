"""Files that hold a shard, or what it is made of: whole or not at all, and read only as they were written."""

from __future__ import annotations

import pickle
from contextlib import suppress
from hashlib import file_digest, sha256
from pathlib import Path
from typing import IO, Any, NamedTuple

from fastadl.errors import InputError
from fastadl.journal.disk import Disk

__all__ = ["Kept", "discard", "read", "write"]


class Kept(NamedTuple):
    """A file, and the SHA-256 of it."""

    path: Path
    digest: bytes


def write(path: Path, what: Any) -> Kept:
    """Write a file whole or not at all; it is on the device then."""
    part, disk = _part(path), Disk()
    try:
        with part.open("wb") as file:
            sink = _Digesting(file)
            pickle.dump(what, sink, pickle.HIGHEST_PROTOCOL)
            file.flush()
            disk.sync(file.fileno())
        part.replace(path)
        disk.sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)
    return Kept(path, sink.digest.digest())


def read(kept: Kept) -> Any:
    """What was written.

    Raises
    ------
    InputError
        If the file is missing, or a byte of it has changed.
    """
    try:
        with kept.path.open("rb") as file:
            if file_digest(file, "sha256").digest() == kept.digest:
                file.seek(0)
                return pickle.load(file)
        found = "not what was written"
    except OSError as error:
        found = error.strerror or type(error).__name__
    remedy = "make the engine again, and leave its files alone while it is there"
    raise InputError((), found, remedy, str(kept.path))


def discard(path: Path) -> None:
    """Remove a file, or what there is of it, as far as that can be done."""
    for each in (path, _part(path)):
        with suppress(OSError):
            each.unlink()


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")


class _Digesting:
    """Passes on what is written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.digest = file, sha256()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self._file.write(data)
