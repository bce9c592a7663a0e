"""What of a journal is valid: the last whole snapshot and the entries after it, or all from the first."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path
from types import MappingProxyType

import polars as pl

from fastadl.errors import JournalError
from fastadl.journal.disk import Disk, write_file
from fastadl.journal.entry import GENESIS, End, Entry, decode
from fastadl.journal.segment import Lost, Walk, first_of, segments
from fastadl.journal.snapshot import FOLDER, PART, DamagedError, Snapshot, check, snapshots
from fastadl.journal.snapshot import lost as lost_snapshot

__all__ = [
    "Restored",
    "Verified",
    "present",
    "read",
    "refusals",
    "restore",
    "set_aside",
    "verify",
    "whole_snapshots",
]

_ASIDE = "lost"
_ARROW = (pl.exceptions.PolarsError, pl.exceptions.PanicException)


@dataclass(frozen=True, slots=True)
class Restored:
    """Where a journal can go on.

    Attributes
    ----------
    snapshot : Snapshot or None
        The last whole one.
    end : End
        The last entry that is valid.
    segment : Path or None
        Where the next entry goes; None if a new segment has to be begun.
    size : int
        Valid bytes of that segment.
    lost : tuple of Lost
        Everything beyond.
    """

    snapshot: Snapshot | None
    end: End
    segment: Path | None
    size: int
    lost: tuple[Lost, ...]


@dataclass(frozen=True, slots=True)
class Verified:
    """What `verify` found.

    Attributes
    ----------
    first, last : int
        Sequence of the first entry that is there, and of the last that follows on it without a gap.
    hash : str
        Of all entries up to the last, hexadecimal.
    segments : int
    snapshots : tuple of int
        Sequences of entries after which there is a whole snapshot.
    lost : tuple of Lost
        Everything that is not valid. Entries cut off exactly between two of them at the very end leave no
        trace: compare `last` and `hash` with what was noted elsewhere.
    """

    first: int
    last: int
    hash: str
    segments: int
    snapshots: tuple[int, ...]
    lost: tuple[Lost, ...]


def present(folder: Path) -> list[Path]:
    """The segments of a journal; refused where there is none."""
    files = segments(folder) if folder.is_dir() else []
    if not files and not (folder / FOLDER).is_dir():
        raise JournalError((), "no journal", "give a folder that holds one", str(folder))
    return files


def verify(folder: str | os.PathLike[str]) -> Verified:
    """Check every byte of a journal, and change none.

    Parameters
    ----------
    folder : path
        Someone may be writing to it; the entry that is being written then counts as lost.

    Raises
    ------
    JournalError
        If it is no journal, or one of another version.
    """
    path = Path(folder)
    with refusals(path, "give a folder that can be read"):
        while True:
            files = present(path)
            try:
                return _verified(path, files)
            except FileNotFoundError:
                if all(file.exists() for file in files):
                    raise  # else its writer has forgotten some


def _verified(path: Path, files: list[Path]) -> Verified:
    whole, lost = _whole_snapshots(path)
    start = _origin(files[0]) if files else None
    bridges = {snapshot.end.sequence: snapshot.end for snapshot in whole}
    end, _, _, broken = _walked(files, start or GENESIS, bridges)
    kept = tuple(sorted(snapshot.end.sequence for snapshot in whole))
    first = (start or GENESIS).sequence + 1
    return Verified(first, end.sequence, end.hash.hex(), len(files), kept, (*lost, *broken))


def read(folder: str | os.PathLike[str], *, after: int = 0, until: int | None = None) -> Iterator[Entry]:
    """The entries of a journal in order, each checked before it is given.

    Parameters
    ----------
    folder : path
    after : int
        Give only entries after this one.
    until : int, optional
        Give none after this one. Up to an entry that was acknowledged, someone may be writing meanwhile.

    Raises
    ------
    JournalError
        If it is no journal or one of another version; and, when the entries before have been given, at the
        first byte that is not valid.
    """
    path = Path(folder)
    with refusals(path, "give a folder that can be read"):
        files = present(path)
        later = [file for file in files if first_of(file) > after + 1]
        files = files[max(len(files) - len(later) - 1, 0) :]
        if files and first_of(files[0]) > after + 1:
            remedy = f"read after entry {first_of(files[0]) - 1}, or put back the segments before"
            raise JournalError(("after",), after, remedy, str(path))
        end: End | None = None
        for file in files:
            if until is not None and until <= max(after, 0 if end is None else end.sequence):
                return
            walk = Walk(file, end)
            for after_it, body in walk:
                if after_it.sequence > after:
                    yield _decoded(file, after_it, body)
                if after_it.sequence == until:  # what follows may be half written by now
                    return
            if walk.lost is not None:
                remedy = f"what is valid ends with entry {walk.end.sequence}"
                raise JournalError((), str(walk.lost), remedy, str(path))
            end = walk.end


def whole_snapshots(folder: str | os.PathLike[str]) -> list[Snapshot]:
    """The snapshots of a journal that are what was written, the first one first."""
    path = Path(folder)
    with refusals(path, "give a folder that can be read"):
        return _whole_snapshots(path)[0][::-1]


def restore(folder: Path) -> Restored:
    """Where a journal can go on; nothing is changed.

    Raises
    ------
    JournalError
        If it is no journal, one of another version, or begins after the first entry without a snapshot.
    """
    files = present(folder)
    whole, damaged = _whole_snapshots(folder, only_last=True)
    snapshot = whole[0] if whole else None
    start = GENESIS if snapshot is None else snapshot.end
    if snapshot is None and files and first_of(files[0]) > 1:
        remedy = "put back its first segment, or a snapshot"
        raise JournalError((), f"no snapshot, and no entry before {first_of(files[0])}", remedy, str(folder))
    files = [file for file in files if first_of(file) > start.sequence]
    end, segment, size, lost = _walked(files, start)
    return Restored(snapshot, end, segment, size, (*damaged, *lost))


def set_aside(disk: Disk, folder: Path, restored: Restored) -> None:
    """Move all that is not valid into the folder ``lost``, and remove what a snapshot left unfinished."""
    within = folder / FOLDER
    for partial in within.glob(f"*{PART}") if within.is_dir() else ():
        disk.remove(partial)
    if not restored.lost:
        return
    aside = folder / _ASIDE
    disk.make_folder(aside)
    disk.sync_folder(folder)
    for lost in restored.lost:
        source = folder / lost.file
        target = _free(aside, f"{source.name}.{lost.offset}")
        if lost.offset == 0:
            disk.rename(source, target)
        else:
            write_file(disk, target, source.read_bytes()[lost.offset :])
            descriptor = disk.reopen(source)
            try:
                disk.sync_folder(aside)
                disk.truncate(descriptor, lost.offset)
            finally:
                disk.close(descriptor)
        disk.sync_folder(aside)
        disk.sync_folder(source.parent)


@contextmanager
def refusals(folder: Path, remedy: str) -> Iterator[None]:
    """What the operating system refuses, as an error of the journal."""
    try:
        yield
    except OSError as error:
        raise JournalError((), error.strerror or str(error), remedy, str(folder)) from None


def _origin(file: Path) -> End | None:
    """What the first segment says it follows on; none for a first entry."""
    return Walk(file, None).end if first_of(file) > 1 else None


def _whole_snapshots(folder: Path, *, only_last: bool = False) -> tuple[list[Snapshot], list[Lost]]:
    whole: list[Snapshot] = []
    damaged: list[Lost] = []
    found = snapshots(folder)
    for path in found:
        try:
            whole.append(check(path))
        except DamagedError as error:
            if path.exists():  # else its writer has forgotten it
                damaged.append(lost_snapshot(path, error))
        if whole and only_last:
            break
    if not whole and snapshots(folder) != found:  # nor is another one among those that were there
        return _whole_snapshots(folder, only_last=only_last)
    return whole, damaged


def _walked(
    files: list[Path], end: End, bridges: Mapping[int, End] = MappingProxyType({})
) -> tuple[End, Path | None, int, list[Lost]]:
    """The valid end of some segments, the segment it stands in, how much of that is valid, and what is not.

    Bridges are ends that snapshots vouch for, by sequence: there the walk goes on after damage.
    """
    segment, size, lost = None, 0, []
    for file in files:
        walk = Walk(file, end)
        if walk.lost is not None and first_of(file) - 1 in bridges:
            walk = Walk(file, bridges[first_of(file) - 1])
        for _ in walk:
            pass
        if walk.valid:
            segment, size = file, walk.valid
        if walk.lost is not None:
            last = file == files[-1]
            lost.append(walk.lost if last else replace(walk.lost, unfinished=False))
        end = walk.end
    return end, segment, size, lost


def _decoded(file: Path, end: End, body: memoryview) -> Entry:
    try:
        return decode(end, body)
    except (ValueError, LookupError, TypeError, struct.error, *_ARROW) as error:
        reason = f"entry {end.sequence} has its hash, but {type(error).__name__}: {error}"
        raise JournalError((), reason, "see what wrote it", str(file)) from None


def _free(folder: Path, name: str) -> Path:
    """A name that nothing has yet."""
    taken = {path.name for path in folder.iterdir()}
    names = chain([name], (f"{name}-{number}" for number in count(2)))
    return folder / next(found for found in names if found not in taken)
