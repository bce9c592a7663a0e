"""A disk of which any call can fail, and which can lose its power."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from random import Random

from fastadl.journal import Disk


class Crash(BaseException):
    """The process is gone; no handler of it may run."""


def _moved(path: Path, old: Path, new: Path) -> Path:
    """What a path is called after a folder above it, or itself, was given another name."""
    return new / path.relative_to(old) if path == old or old in path.parents else path


class Faulty(Disk):
    """A disk whose call of a given number fails, and that knows what is on the device.

    Parameters
    ----------
    fails_at : int, optional
        The call that fails, from 0.
    how : str
        ``ENOSPC`` and ``EIO``: that call only; ``short``: half of what is to be written is, and the next call
        has no room; ``full``: every write from there on, until `mend`; ``crash``: the process ends within
        that call; ``crash after``: right behind it.
    part : float
        Of the bytes that a crash writes.
    """

    def __init__(self, fails_at: int | None = None, how: str = "EIO", part: float = 0.5) -> None:
        self.fails_at, self.how, self.part = fails_at, how, part
        self.calls = 0
        self.names: list[str] = []
        self.failed = self.dead = False
        self._open: dict[int, Path] = {}
        self._sizes: dict[Path, int] = {}
        self._undo: list[tuple[Path, str, Path, bytes]] = []

    # ------------------------------------------------------------------ failing

    def mend(self) -> None:
        """Let nothing fail any more."""
        self.fails_at = None

    def die(self) -> None:
        """Close what a dead process had open."""
        self.dead = True
        for descriptor in self._open:
            os.close(descriptor)
        self._open.clear()

    def _call(self, name: str) -> bool:
        """Whether the process ends behind this call; raises if the call fails."""
        if self.dead:
            raise Crash
        number, self.calls = self.calls, self.calls + 1
        self.names.append(name)
        if self.fails_at is None or number < self.fails_at:
            return False
        if self.how == "full":
            if name in ("create", "write", "make_folder"):
                self.failed = True
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return False
        if number > self.fails_at + (self.how == "short"):
            return False
        self.failed = True
        if self.how == "short":
            if number == self.fails_at:
                return False
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self.how in ("ENOSPC", "EIO"):
            code = getattr(errno, self.how)
            raise OSError(code, os.strerror(code))
        if self.how == "crash":
            self.dead = True
            raise Crash
        self.dead = True
        return True

    def _behind(self, crashes: bool) -> None:
        if crashes:
            raise Crash

    # ------------------------------------------------------------------ calls

    def make_folder(self, path: Path) -> None:
        crashes = self._call("make_folder")
        if not path.exists():
            self._undo.append((path.parent, "make_folder", path, b""))
        super().make_folder(path)
        self._behind(crashes)

    def create(self, path: Path) -> int:
        crashes = self._call("create")
        descriptor = super().create(path)
        self._open[descriptor], self._sizes[path] = path, 0
        self._undo.append((path.parent, "create", path, b""))
        self._behind(crashes)
        return descriptor

    def reopen(self, path: Path) -> int:
        crashes = self._call("reopen")
        descriptor = super().reopen(path)
        self._open[descriptor] = path
        self._sizes.setdefault(path, path.stat().st_size)
        self._behind(crashes)
        return descriptor

    def write(self, descriptor: int, data: memoryview) -> int:
        try:
            crashes = self._call("write")
        except Crash:
            if self.names[-1] == "write" and self.calls - 1 == self.fails_at:
                super().write(descriptor, data[: int(len(data) * self.part)])
                self.fails_at = -1
            raise
        if self.how == "short" and self.calls - 1 == self.fails_at:
            data = data[: max(len(data) // 2, 1)]
        written = super().write(descriptor, data)
        self._behind(crashes)
        return written

    def truncate(self, descriptor: int, size: int) -> None:
        crashes = self._call("truncate")
        super().truncate(descriptor, size)
        path = self._open[descriptor]
        self._sizes[path] = min(self._sizes[path], size)
        self._behind(crashes)

    def sync(self, descriptor: int) -> None:
        """Nothing is forced, which takes long; what would be is noted."""
        crashes = self._call("sync")
        self._sizes[self._open[descriptor]] = os.fstat(descriptor).st_size
        self._behind(crashes)

    def close(self, descriptor: int) -> None:
        crashes = self._call("close")
        self._open.pop(descriptor)
        super().close(descriptor)
        self._behind(crashes)

    def rename(self, old: Path, new: Path) -> None:
        crashes = self._call("rename")
        super().rename(old, new)
        moved = {path: size for path, size in self._sizes.items() if path == old or old in path.parents}
        for path, size in moved.items():
            del self._sizes[path]
            self._sizes[new / path.relative_to(old)] = size
        self._undo = [
            (_moved(folder, old, new), how, _moved(path, old, new), data)
            for folder, how, path, data in self._undo
        ]
        self._undo = [
            (
                new / folder.relative_to(old) if folder == old or old in folder.parents else folder,
                how,
                path,
                data,
            )
            for folder, how, path, data in self._undo
        ]
        self._undo.append((new.parent, "rename", new, os.fsencode(old)))
        self._behind(crashes)

    def remove(self, path: Path) -> None:
        crashes = self._call("remove")
        data = path.read_bytes() if path.is_file() else None
        super().remove(path)
        self._sizes = {p: size for p, size in self._sizes.items() if p != path and path not in p.parents}
        self._undo = [undo for undo in self._undo if undo[2] != path and path not in undo[2].parents]
        if data is not None:
            self._undo.append((path.parent, "remove", path, data))
        self._behind(crashes)

    def sync_folder(self, path: Path) -> None:
        crashes = self._call("sync_folder")
        self._undo = [undo for undo in self._undo if undo[0] != path]
        self._behind(crashes)

    # ------------------------------------------------------------------ losing power

    def lose_power(self, random: Random) -> None:
        """Leave what a device may hold: bytes and names that no sync forced may be gone, or zeros."""
        for path, size in self._sizes.items():
            if not path.is_file():
                continue
            data = path.read_bytes()
            kept = random.randint(size, len(data)) if len(data) > size else len(data)
            blank = random.randint(size, kept) if random.random() < 0.5 and kept > size else kept
            path.write_bytes(data[:blank] + bytes(kept - blank))
        for _, how, path, data in reversed(self._undo):
            if random.random() < 0.5:
                continue
            if how == "create" and path.is_file():
                path.unlink()
            elif how == "make_folder" and path.is_dir():
                shutil.rmtree(path)
            elif how == "rename" and path.exists() and Path(os.fsdecode(data)).parent.is_dir():
                path.rename(Path(os.fsdecode(data)))
            elif how == "remove" and not path.exists() and path.parent.is_dir():
                path.write_bytes(data)
