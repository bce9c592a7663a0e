"""One process at a time in a folder, also if the last one was killed."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from fastadl.errors import InputError

__all__ = ["Lock"]


class Lock:
    """A file that the operating system locks for as long as this process has it open.

    Parameters
    ----------
    path : path
    name : str
        Of the folder, as errors call it.

    Raises
    ------
    InputError
        If another process holds it.
    OSError
        If it cannot be made.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name, self._new = path, name, not path.exists()
        self._file = path.open("a+b")
        try:
            _take(self._file.fileno())
        except BlockingIOError:
            self._file.seek(0)
            holder = self._file.read().decode("utf-8", "replace").strip() or "another process"
            self._file.close()
            remedy = "wait until it has ended, or give another folder"
            raise InputError((), f"in use by {holder}", remedy, name) from None
        except OSError:
            self._file.close()
            raise
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        self._file.flush()

    def refuse_lost(self) -> None:
        """Raise where the folder is not the one any more that was locked."""
        with self._path.open("rb") as now:
            same = os.path.sameopenfile(now.fileno(), self._file.fileno())
        if not same:
            raise InputError((), "another folder took its place", "run it again", self._name)

    def refuse_removed(self) -> None:
        """Raise where the file, perhaps with its folder, was removed: others would not find it locked."""
        if os.fstat(self._file.fileno()).st_nlink == 0:
            remedy = "put back a copy of the folder, if there is one"
            raise InputError((), f"{self._path.name} was removed", remedy, self._name)

    def leave_no_trace(self) -> None:
        """Remove the file unless it was there before, from a folder that is to be left alone."""
        if self._new:
            with suppress(OSError):  # where the system removes no file that is open
                self._path.unlink()

    def __enter__(self) -> Lock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


if sys.platform == "win32":
    import msvcrt

    def _take(descriptor: int) -> None:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            raise BlockingIOError from None
else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
