"""The last segment of a journal: what is written to it is there whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Lock, RLock, Thread

from fastadl.errors import InputError, JournalError
from fastadl.journal.disk import Disk, write_all
from fastadl.journal.entry import End
from fastadl.journal.fsync import Fsync
from fastadl.journal.recovery import Restored, refusals
from fastadl.journal.segment import HEADER, header, path_of
from fastadl.lock import Lock as FolderLock

__all__ = ["Writer"]

_AGAIN, _CLOSED = "open it again", "closed"
_ROOM = "make room, and append again: nothing has changed"


class Writer:
    """What appends bytes to a journal's last segment, and begins the next one.

    Parameters
    ----------
    folder : Path
    lock : FolderLock
        Of the folder; let go by `close`.
    restored : Restored
        Where the journal goes on.
    fsync : Fsync
    segment_bytes : int
        A new segment is begun when one has so many.
    disk : Disk

    Attributes
    ----------
    end : End
        The last entry that was acknowledged.
    durable : int
        Sequence of the last entry that is on the device.
    turn : RLock
        Held by the thread that writes.
    """

    end: End
    durable: int

    def __init__(
        self,
        folder: Path,
        lock: FolderLock,
        restored: Restored,
        fsync: Fsync,
        segment_bytes: int,
        disk: Disk,
    ) -> None:
        self._folder, self._lock, self._disk = folder, lock, disk
        self._every, self._segment_bytes = fsync.entries, max(segment_bytes, HEADER)
        self.turn = RLock()
        self.end, self._size = restored.end, restored.size
        self._torn, self._broken = False, ""
        self._stray: Path | None = None
        self._file = self._first(restored.segment)
        self.durable = self.end.sequence
        self._closing, self._in_sync = Event(), Lock()
        if fsync.seconds is not None:
            Thread(target=self._flush_every, args=(fsync.seconds,), name="journal", daemon=True).start()

    def _first(self, segment: Path | None) -> int:
        if segment is None:
            file = self._begun()
            self._size, self._stray = HEADER, None
            return file
        file = self._disk.reopen(segment)
        try:
            self._disk.sync(file)
        except BaseException:
            self._disk.close(file)
            raise
        return file

    def prepare(self) -> None:
        """Raise if nothing can be written, and mend what a failed write left."""
        if self._broken:
            raise self._refused()
        with _as_ours():
            self._lock.refuse_removed()
        with refusals(self._folder, _ROOM):
            if self._torn:
                self._mend()
            if self._stray is not None:
                self._discard()

    def write(self, data: bytes, end: End) -> None:
        """Entries and the end they make, or nothing: whatever is raised, an interrupt as well."""
        with refusals(self._folder, _ROOM):
            if self._size >= self._segment_bytes:
                self.rotate()
            due = self._every is not None and end.sequence - self.durable >= self._every
            self._torn = True
            try:
                write_all(self._disk, self._file, data)
                if due:
                    self._force()
            except BaseException:
                with suppress(OSError):
                    self._mend()
                raise
            self.end, self._size = end, self._size + len(data)
            self._torn = False
            if due:
                self.durable = end.sequence

    def sync(self) -> None:
        """Force all entries to the device."""
        if self.durable < self.end.sequence:
            self._force()
            self.durable = self.end.sequence

    def rotate(self) -> None:
        """Go on in a new segment, unless this one has no entry."""
        if self._size == HEADER:
            return
        with _as_ours():
            self._lock.refuse_lost()
        self.sync()
        file = self._begun()
        with self._in_sync:
            old, self._file, self._size = self._file, file, HEADER
        self._stray = None
        with suppress(OSError):
            self._disk.close(old)

    def close(self) -> None:
        """Force all entries to the device and let others write."""
        with self.turn:
            if self._broken == _CLOSED:
                return
            self._closing.set()
            try:
                if not self._broken:
                    self.prepare()
                    self.sync()
            finally:
                self._broken = _CLOSED
                try:
                    with self._in_sync, suppress(OSError):
                        self._disk.close(self._file)
                finally:
                    self._lock.__exit__(None, None, None)

    def _mend(self) -> None:
        """Cut what was not acknowledged."""
        self._disk.truncate(self._file, self._size)
        self._torn = False

    def _force(self) -> None:
        """Fsync; if that fails nobody knows what is on the device, and a second call would not tell."""
        try:
            self._disk.sync(self._file)
        except OSError as error:
            self._doubt(error)
            raise self._refused() from None

    def _doubt(self, error: OSError) -> None:
        since = f"entries after {self.durable} may be off the device"
        self._broken = f"fsync failed ({error.strerror}): {since}"

    def _flush_every(self, seconds: float) -> None:
        """What the thread does."""
        while not self._closing.wait(seconds):
            with self.turn:
                if self._broken or self.durable == self.end.sequence:
                    continue
                file, last = self._file, self.end.sequence
                self._in_sync.acquire()
            failed = None
            try:
                self._disk.sync(file)
            except OSError as error:
                failed = error
            finally:
                self._in_sync.release()
            with self.turn:
                if failed is None:
                    self.durable = max(self.durable, last)
                elif not self._broken:
                    self._doubt(failed)

    def _begun(self) -> int:
        """A new segment, its name on the device; a stray one until it takes its place."""
        path = path_of(self._folder, self.end.sequence + 1)
        self._stray = path
        file = self._disk.create(path)
        try:
            write_all(self._disk, file, header(self.end))
            self._disk.sync_folder(self._folder)
        except BaseException:
            with suppress(OSError):
                self._disk.close(file)
            with suppress(OSError):
                self._discard()
            raise
        return file

    def _discard(self) -> None:
        """Remove a segment that was begun and never written to."""
        if self._stray is not None and self._stray.exists():
            self._disk.remove(self._stray)
        self._disk.sync_folder(self._folder)
        self._stray = None

    def _refused(self) -> JournalError:
        return JournalError((), self._broken, _AGAIN, str(self._folder))


@contextmanager
def _as_ours() -> Iterator[None]:
    """What the lock refuses, as an error of the journal."""
    try:
        yield
    except InputError as error:
        raise JournalError(error.path, error.value, error.remedy, error.file) from None
