"""Entries as bytes: plain values as JSON, columns as Arrow IPC streams, all under a running hash.

An entry on disk is ``length, time, sequence, hash`` (56 bytes, little endian) and a body of ``length`` bytes.
The hash is SHA-256 of the hash before it, the entry's length, time and sequence, and its body. The body is
the length of a JSON text (4 bytes), that text, and one Arrow IPC stream for each array or frame it lists.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from typing import Any

import numpy as np
import polars as pl

from fastadl.errors import JournalError

__all__ = [
    "BARE",
    "GENESIS",
    "NUMBERS",
    "End",
    "Entry",
    "chained",
    "decode",
    "encode",
    "frame_of",
    "plain",
    "seal",
    "shape_of",
    "shaped",
]

#: Length, time and sequence; then the hash.
NUMBERS = struct.Struct("<QqQ")
#: Bytes of an entry before its body.
BARE = NUMBERS.size + 32
#: How deep plain values may stand in one another.
_DEEPEST = 32
_TEXT = struct.Struct("<I")
_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode


@dataclass(frozen=True, slots=True)
class End:
    """What the next entry follows on.

    Attributes
    ----------
    sequence : int
        Of the last entry; 0 before the first.
    time : int
        Of the last entry, in nanoseconds since 1970.
    hash : bytes
        Of all entries so far, 32 bytes.
    """

    sequence: int
    time: int
    hash: bytes


GENESIS = End(0, -(2**63), bytes(32))


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a journal.

    Attributes
    ----------
    sequence : int
        1 for the first.
    time : int
        In nanoseconds since 1970.
    kind : str
    payload : dict
        Plain values, frames and arrays as they were given; names are in the order of the alphabet, frames
        and arrays last.
    hash : str
        SHA-256 over all entries up to this one, hexadecimal.
    """

    sequence: int
    time: int
    kind: str
    payload: dict[str, Any]
    hash: str


def seal(end: End, time: int, body: bytes) -> tuple[bytes, End]:
    """An entry as it goes to disk, and the end it makes.

    Parameters
    ----------
    end : End
        The end it follows on.
    time : int
    body : bytes
        From `encode`.
    """
    numbers = NUMBERS.pack(len(body), time, end.sequence + 1)
    digest = chained(end.hash, numbers, body)
    return b"".join((numbers, digest, body)), End(end.sequence + 1, time, digest)


def chained(before: bytes, numbers: bytes, body: bytes | memoryview) -> bytes:
    """The hash of an entry."""
    digest = sha256(before)
    digest.update(numbers)
    digest.update(body)
    return digest.digest()


def encode(kind: str, payload: Mapping[str, Any]) -> bytes:
    """The body of an entry; the same for the same values.

    Raises
    ------
    JournalError
        For a value that would not be read back as what it is.
    """
    values: dict[str, Any] = {}
    parts: list[tuple[str, str, int]] = []
    streams: list[bytes] = []
    if not isinstance(kind, str):
        raise JournalError(("kind",), kind, "give a text")
    for name, value in payload.items():
        if not isinstance(name, str):
            raise JournalError(("payload",), name, "give names that are texts")
        frame = frame_of(value, ("payload", name))
        if frame is None:
            values[name] = value
        else:
            stream = BytesIO()
            bare = frame[np.arange(len(frame))]  # in one piece, with no mask where nothing is masked
            bare.write_ipc_stream(stream)
            streams.append(stream.getvalue())
            parts.append((name, shape_of(value), len(streams[-1])))
    plain(values, ("payload",))
    text = _json({"kind": kind, "parts": parts, "values": values})
    return b"".join((_TEXT.pack(len(text)), text, *streams))


def decode(end: End, body: memoryview) -> Entry:
    """The entry that `seal` was given.

    Parameters
    ----------
    end : End
        The end it made.
    body : memoryview
    """
    (length,) = _TEXT.unpack_from(body)
    start = _TEXT.size + length
    head = json.loads(bytes(body[_TEXT.size : start]))
    payload = head["values"]
    for name, shape, size in head["parts"]:
        frame = pl.read_ipc_stream(bytes(body[start : start + size]))
        payload[name] = shaped(frame, shape)
        start += size
    return Entry(end.sequence, end.time, head["kind"], payload, end.hash.hex())


def frame_of(value: Any, path: tuple[str | int, ...]) -> pl.DataFrame | None:
    """A frame, or a one-dimensional array as the frame of one column; None for anything else."""
    if isinstance(value, np.ndarray):
        if value.ndim != 1 or value.dtype.kind not in "biuf" or not value.dtype.isnative:
            shown = f"{value.dtype} array of shape {value.shape}"
            raise JournalError(path, shown, "give one-dimensional arrays of numbers or booleans, or a frame")
        return pl.Series("", value).to_frame()
    if isinstance(value, pl.DataFrame):
        if pl.Object in value.schema.values():
            raise JournalError(path, "a column of Python objects", "give columns of a type that Arrow has")
        return value
    return None


def shape_of(value: Any) -> str:
    """What a frame or array is to be read back as."""
    return "array" if isinstance(value, np.ndarray) else "frame"


def shaped(frame: pl.DataFrame, shape: str) -> Any:
    """What `frame_of` was given."""
    return frame.to_series().to_numpy() if shape == "array" else frame


def _json(head: dict[str, Any]) -> bytes:
    try:
        return _dumps(head).encode()
    except ValueError as error:  # a lone surrogate, or more digits than Python writes
        raise JournalError(("payload",), str(error), "give whole characters and shorter numbers") from None


def plain(value: Any, path: tuple[str | int, ...]) -> None:
    """Refuse what JSON would give back as something else."""
    kind = type(value)
    if len(path) > _DEEPEST:
        raise JournalError(path[:1], f"values within values, more than {_DEEPEST} deep", "give flatter ones")
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise JournalError(path, key, "give names that are texts")
            plain(item, (*path, key))
    elif kind is list:
        for index, item in enumerate(value):
            plain(item, (*path, index))
    elif value is not None and kind not in (bool, int, float, str):
        remedy = "give None, bool, int, float, str, lists and dicts of these, frames or arrays"
        raise JournalError(path, f"{kind.__name__} {value!r}", remedy)
