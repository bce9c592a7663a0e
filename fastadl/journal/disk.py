"""Every call by which a journal changes what is on disk, in one place where tests make each of them fail."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

__all__ = ["Disk", "write_all", "write_file"]

_BINARY = getattr(os, "O_BINARY", 0)


class Disk:
    """The operating system's files; one method is one system call."""

    def make_folder(self, path: Path) -> None:
        """Make a folder, and those above it."""
        path.mkdir(parents=True, exist_ok=True)

    def create(self, path: Path) -> int:
        """Descriptor of a file that did not exist."""
        return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | _BINARY, 0o644)

    def reopen(self, path: Path) -> int:
        """Descriptor of a file that exists; what is written goes to its end."""
        return os.open(path, os.O_WRONLY | os.O_APPEND | _BINARY)

    def write(self, descriptor: int, data: memoryview) -> int:
        """Bytes that were written, which may be fewer than were given."""
        return os.write(descriptor, data)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut a file."""
        os.ftruncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        """Return when a file's bytes are on the device."""
        _sync(descriptor)

    def close(self, descriptor: int) -> None:
        """Close a file."""
        os.close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file or folder another name that is free."""
        old.rename(new)

    def remove(self, path: Path) -> None:
        """Remove a file, or a folder and what is in it."""
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()

    def sync_folder(self, path: Path) -> None:
        """Return when a folder's list of names is on the device."""
        _sync_folder(path)


def write_all(disk: Disk, descriptor: int, data: bytes) -> None:
    """Write all bytes, however many a call takes."""
    left = memoryview(data)
    while left:
        left = left[disk.write(descriptor, left) :]


def write_file(disk: Disk, path: Path, data: bytes) -> None:
    """A new file whose bytes are on the device; its name is not before the folder is synced."""
    descriptor = disk.create(path)
    try:
        write_all(disk, descriptor, data)
        disk.sync(descriptor)
    finally:
        disk.close(descriptor)


if sys.platform == "darwin":
    import fcntl

    def _sync(descriptor: int) -> None:
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
else:
    _sync = getattr(os, "fdatasync", os.fsync)

if sys.platform == "win32":

    def _sync_folder(path: Path) -> None:
        """Windows has no such call."""
else:

    def _sync_folder(path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
