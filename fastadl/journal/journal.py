"""A journal to append to: numbers, clock and hash follow on the last entry."""

from __future__ import annotations

import os
import time as clock
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from fastadl.errors import InputError, JournalError
from fastadl.journal.disk import Disk
from fastadl.journal.entry import GENESIS, Entry, encode, seal
from fastadl.journal.fsync import ALWAYS, Fsync
from fastadl.journal.recovery import Restored, present, read, refusals, restore, set_aside
from fastadl.journal.retention import forget
from fastadl.journal.segment import Lost
from fastadl.journal.snapshot import Snapshot, contents_of, path_for, write
from fastadl.journal.writer import Writer
from fastadl.lock import Lock

__all__ = ["Journal"]

_LOCK = ".lock"
_NEW = "give a new or empty folder, or open the journal in it"
_SEGMENT = 64 << 20


class Journal:
    """A journal to append to, from `Journal.create` or `Journal.open`; any thread may, one at a time.

    Attributes
    ----------
    restored : Restored
        What opening found: the last whole snapshot, the last valid entry, and what was lost.
    """

    restored: Restored

    def __init__(
        self, folder: Path, lock: Lock, restored: Restored, fsync: Fsync, segment_bytes: int, disk: Disk
    ) -> None:
        self._folder, self._disk, self.restored = folder, disk, restored
        self._writer = Writer(folder, lock, restored, fsync, segment_bytes, disk)
        self._group: list[bytes] | None = None
        self._grouped = restored.end

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str],
        *,
        fsync: Fsync = ALWAYS,
        segment_bytes: int = _SEGMENT,
        disk: Disk | None = None,
    ) -> Journal:
        """Begin a journal in a new or empty folder.

        Parameters
        ----------
        folder : path
        fsync : Fsync
        segment_bytes : int
            A new file is begun when one has so many.
        disk : Disk, optional
            What writes.

        Raises
        ------
        InputError
            For an option that cannot be.
        JournalError
            If the folder holds something, is in use, or cannot be written.
        """
        path, disk = _checked(folder, fsync, segment_bytes), disk or Disk()
        with refusals(path, "give a folder that can be written"):
            _refuse_full(path)
            disk.make_folder(path)
            disk.sync_folder(path.parent)
            with _locked(path) as lock:
                _refuse_full(path)
                return cls(path, lock, Restored(None, GENESIS, None, 0, ()), fsync, segment_bytes, disk)

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        fsync: Fsync = ALWAYS,
        segment_bytes: int = _SEGMENT,
        disk: Disk | None = None,
    ) -> Journal:
        """Go on with a journal where its longest valid prefix ends; see `restored` for what was lost.

        What is not valid is moved into its folder ``lost``, so that nothing is destroyed. Parameters are
        those of `create`.

        Raises
        ------
        JournalError
            If the folder holds no journal or one of another version, is in use, or cannot be written.
        """
        path, disk = _checked(folder, fsync, segment_bytes), disk or Disk()
        with refusals(path, "give a folder that can be written, with room for what is to be set aside"):
            present(path)
            with _locked(path) as lock:
                restored = restore(path)
                set_aside(disk, path, restored)
                return cls(path, lock, restored, fsync, segment_bytes, disk)

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self._folder

    @property
    def sequence(self) -> int:
        """Of the last entry that was acknowledged."""
        return self._writer.end.sequence

    @property
    def durable(self) -> int:
        """Sequence of the last entry that is surely on the device."""
        return self._writer.durable

    @property
    def time(self) -> int:
        """Of the last entry, in nanoseconds since 1970."""
        return self._writer.end.time

    @property
    def hash(self) -> str:
        """Of all entries so far, hexadecimal."""
        return self._writer.end.hash.hex()

    @property
    def lost(self) -> tuple[Lost, ...]:
        """What was not valid when it was opened."""
        return self.restored.lost

    def tail(self) -> Iterator[Entry]:
        """The entries after the snapshot that opening found, up to now."""
        snapshot = self.restored.snapshot
        return read(self._folder, after=snapshot.end.sequence if snapshot else 0, until=self.sequence)

    def append(
        self, kind: str, payload: Mapping[str, Any], *, time: int | None = None, sequence: int | None = None
    ) -> int:
        """Append an entry; when this returns it is as safe as `Fsync` says.

        Parameters
        ----------
        kind : str
        payload : mapping
            By name: None, bool, int, float, str, lists and dicts of these, frames, and one-dimensional arrays
            of numbers or booleans.
        time : int, optional
            In nanoseconds since 1970, not before the last entry's; by default the system's clock, or the last
            entry's time if the clock is behind that.
        sequence : int, optional
            What the entry is expected to be.

        Returns
        -------
        int
            Its sequence number.

        Raises
        ------
        JournalError
            For a sequence number that is not the next, a time before the last entry's, a value that would not
            be read back as what it is, and whatever the disk refuses. The entry is then not in the journal.
        """
        body = encode(kind, payload)
        with self._writer.turn:
            self._writer.prepare()
            end = self._writer.end if self._group is None else self._grouped
            if sequence is not None and sequence != end.sequence + 1:
                raise self._refused(("sequence",), sequence, f"the next is {end.sequence + 1}")
            least = max(end.time, 0)
            if time is None:
                time = max(clock.time_ns(), least)
            elif type(time) is not int or not least <= time < 2**63:
                since = f"{least}, the last entry's, or later" if end.sequence else "nanoseconds since 1970"
                raise self._refused(("time",), time, f"give {since}")
            data, end = seal(end, time, body)
            if self._group is None:
                self._writer.write(data, end)
            else:
                self._group.append(data)
                self._grouped = end
            return end.sequence

    @contextmanager
    def group(self) -> Iterator[None]:
        """Write what is appended within at once, with one fsync; acknowledged when the block is left.

        Other threads wait. If the block raises, nothing of it is in the journal.
        """
        with self._writer.turn:
            if self._group is not None:
                raise self._refused((), "a group within a group", "end the first one before")
            self._group, self._grouped = [], self._writer.end
            try:
                yield
                data, end = b"".join(self._group), self._grouped
            finally:
                self._group = None
            if data:
                self._writer.write(data, end)

    def sync(self) -> None:
        """Force all entries to the device now."""
        with self._writer.turn:
            self._writer.prepare()
            self._writer.sync()

    def snapshot(self, contents: Mapping[str, Any]) -> Snapshot:
        """Write a state as it is after the last entry; recovery begins from the last whole one.

        Parameters
        ----------
        contents : mapping
            Frames, one-dimensional arrays and plain values by name.

        Raises
        ------
        JournalError
            For a value that would not be read back as what it is, if there is one after this entry already,
            and whatever the disk refuses. The journal then goes on without it.
        """
        with (
            self._writer.turn,
            refusals(self._folder, "make room: the journal goes on without this snapshot"),
        ):
            self._writer.prepare()
            if self._group is not None:
                raise self._refused((), "a snapshot within a group", "end the group before")
            checked, path = contents_of(contents), path_for(self._folder, self._writer.end)
            self._writer.rotate()
            return write(self._disk, path, self._writer.end, checked)

    def forget(self, *, keep: int) -> int:
        """Remove all snapshots but the last so many whole ones, and what came before the first of these.

        What has to go, goes from the oldest on, each name off the device before the next, so that whatever
        happens meanwhile a journal is left.

        Parameters
        ----------
        keep : int
            1 or more.

        Returns
        -------
        int
            Sequence of the entry that the journal begins after.

        Raises
        ------
        JournalError
            Whatever the disk refuses; what is left is a journal, and the rest can be forgotten later.
        """
        if type(keep) is not int or keep < 1:
            raise self._refused(("keep",), keep, "give 1 or more snapshots to keep")
        with self._writer.turn, refusals(self._folder, "forget later: the journal goes on"):
            self._writer.prepare()
            return forget(self._disk, self._folder, keep)

    def close(self) -> None:
        """Force all entries to the device and let others write; closing twice is harmless."""
        self._writer.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _refused(self, path: tuple[str | int, ...], value: object, remedy: str) -> JournalError:
        return JournalError(path, value, remedy, str(self._folder))


def _checked(folder: object, fsync: object, segment_bytes: object) -> Path:
    """The folder, if options are what they have to be."""
    if not isinstance(folder, (str, os.PathLike)) or "\0" in str(folder):
        raise InputError(("folder",), folder, "give a path")
    if not isinstance(fsync, Fsync):
        raise InputError(("fsync",), fsync, "give a Fsync, ALWAYS or NEVER say")
    if type(segment_bytes) is not int or segment_bytes < 1:
        raise InputError(("segment_bytes",), segment_bytes, "give a whole number of bytes, 1 or more")
    return Path(folder).absolute()


@contextmanager
def _locked(folder: Path) -> Iterator[Lock]:
    """The folder's lock, kept if all goes well."""
    try:
        lock = Lock(folder / _LOCK, str(folder))
    except InputError as error:
        raise JournalError(error.path, error.value, error.remedy, error.file) from None
    try:
        yield lock
    except BaseException:
        lock.__exit__(None, None, None)
        raise


def _refuse_full(folder: Path) -> None:
    there = {path.name for path in folder.iterdir()} - {_LOCK} if folder.exists() else set()
    if there:
        raise JournalError((), f"holds {min(there)}", _NEW, str(folder))
