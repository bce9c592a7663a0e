"""Segments: files of entries, each named by its first one and beginning with the hash of the one before.

The header of 64 bytes, little endian: the magic ``fastadl`` and a line feed, the format (4 bytes), sequence,
time and hash of the entry before the first one (8, 8 and 32 bytes), and CRC-32 of these 60 bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from fastadl.errors import JournalError
from fastadl.journal.entry import BARE, NUMBERS, End, chained
from fastadl.journal.traces import is_all, traces

__all__ = ["FORMAT", "HEADER", "Lost", "Walk", "first_of", "header", "name_of", "path_of", "segments"]

FORMAT = 1
#: Bytes of a segment before its first entry.
HEADER = 64
_MAGIC = b"fastadl\n"
_FIXED = struct.Struct("<8sIQq32s")
_SUFFIX = ".journal"
_DIGITS = 20


@dataclass(frozen=True, slots=True)
class Lost:
    """Bytes of a journal that are no part of its valid prefix.

    Attributes
    ----------
    file : str
        Segment or snapshot, relative to the journal's folder.
    offset : int
        Of the first of them in the file.
    size : int
        How many.
    entries : int
        Whole entries that can still be made out in them, though nothing vouches for what came before.
    reason : str
    unfinished : bool
        Whether it may be an entry, at the very end, that is being written.
    """

    file: str
    offset: int
    size: int
    entries: int
    reason: str
    unfinished: bool = False

    def __str__(self) -> str:
        entries = f", {self.entries} whole entries among them" if self.entries else ""
        return f"{self.file}: {self.size} bytes from byte {self.offset}{entries}: {self.reason}"


def name_of(sequence: int) -> str:
    """The name of a segment by its first entry, or of a snapshot by its last."""
    return f"{sequence:0{_DIGITS}d}"


def first_of(path: Path) -> int:
    """The first entry of a segment, by its name."""
    return int(path.stem)


def segments(folder: Path) -> list[Path]:
    """A journal's segments in order."""
    named = (path for path in folder.iterdir() if path.suffix == _SUFFIX)
    return sorted(path for path in named if len(path.stem) == _DIGITS and path.stem.isdecimal())


def path_of(folder: Path, first: int) -> Path:
    """Where the segment with a first entry stands."""
    return folder / f"{name_of(first)}{_SUFFIX}"


def header(end: End) -> bytes:
    """The header of a segment whose first entry follows on an end."""
    fixed = _FIXED.pack(_MAGIC, FORMAT, end.sequence, end.time, end.hash)
    return fixed + crc32(fixed).to_bytes(4, "little")


def origin(path: Path, data: bytes | memoryview) -> End | None:
    """The end that a segment says it follows on; None if its header is damaged.

    Raises
    ------
    JournalError
        If another version of the package wrote it.
    """
    fixed = bytes(data[: HEADER - 4])
    if len(data) < HEADER or crc32(fixed).to_bytes(4, "little") != data[HEADER - 4 : HEADER]:
        return None
    magic, version, sequence, time, digest = _FIXED.unpack(fixed)
    if magic != _MAGIC:
        return None
    if version != FORMAT:
        remedy = f"read it with the version that wrote it; this one reads format {FORMAT}"
        raise JournalError((), f"a journal of format {version}", remedy, str(path))
    return End(sequence, time, digest)


class Walk:
    """The entries of one segment, as far as they follow on what came before.

    Parameters
    ----------
    path : Path
    end : End or None
        The end that it must follow on; None takes the segment's own word for it.

    Attributes
    ----------
    end : End
        After the last entry given so far.
    valid : int
        Bytes up to there.
    lost : Lost or None
        What follows, once the entries have run out.
    """

    end: End
    valid: int
    lost: Lost | None

    def __init__(self, path: Path, end: End | None) -> None:
        self._path = path
        self._data = memoryview(path.read_bytes())
        own = origin(path, self._data)
        self.valid, self.lost = 0, None
        self.end = end or own or End(first_of(path) - 1, 0, b"")
        self._usable = own is not None and own == self.end and own.sequence == first_of(path) - 1
        if not self._usable:
            begun = end is not None and header(end).startswith(self._data[:HEADER])
            self.lost = self._rest(
                self._why(own), None if own is None else own.hash, begun and len(self._data) < HEADER
            )

    def __iter__(self) -> Iterator[tuple[End, memoryview]]:
        if not self._usable:
            return
        self.valid = HEADER
        while self.valid < len(self._data):
            found = self._entry(self.valid, self.end)
            if isinstance(found, str):
                self.lost = self._rest(found, self.end.hash, self._is_cut())
                return
            self.end, body = found
            self.valid += BARE + len(body)
            yield found

    def _entry(self, offset: int, before: End) -> tuple[End, memoryview] | str:
        """The entry at an offset, or why there is none."""
        data = self._data
        if len(data) - offset < BARE:
            return "the file ends within an entry"
        numbers = bytes(data[offset : offset + NUMBERS.size])
        length, time, sequence = NUMBERS.unpack(numbers)
        body = data[offset + BARE : offset + BARE + length]
        if len(body) < length:
            return "the file ends within an entry, or its length is damaged"
        digest = bytes(data[offset + NUMBERS.size : offset + BARE])
        if digest != chained(before.hash, numbers, body):
            return "an entry is not what was written, by its hash"
        return End(sequence, time, digest), body

    def _why(self, own: End | None) -> str:
        if own is None:
            return "the header is damaged"
        if own.sequence != self.end.sequence:
            return f"it follows on entry {own.sequence}, and what is valid ends with {self.end.sequence}"
        return "it does not follow on the segment before it, by its hash"

    def _rest(self, reason: str, before: bytes | None, cut: bool) -> Lost:
        offset, size = max(self.valid, HEADER), len(self._data) - self.valid
        number = self.end.sequence + 1 if self.valid else first_of(self._path)
        entries = traces(self._data, offset, number, before)
        return Lost(self._path.name, self.valid, size, entries, reason, cut and not entries)

    def _is_cut(self) -> bool:
        """Whether what follows may be the beginning of the next entry."""
        data, offset = self._data, self.valid
        if len(data) - offset < BARE:
            return True
        length, time, sequence = NUMBERS.unpack_from(data, offset)
        short = length > len(data) - offset - BARE
        follows = sequence == self.end.sequence + 1 and time >= self.end.time
        return short and follows and not is_all(data, offset, self.end.hash)
