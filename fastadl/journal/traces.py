"""What can be made out in bytes of which nothing vouches for what came before."""

from __future__ import annotations

from collections.abc import Iterator

from fastadl.journal.entry import BARE, NUMBERS, chained

__all__ = ["entry_at", "is_all", "traces"]


def entry_at(data: memoryview, offset: int, before: bytes) -> bool:
    """Whether an entry that follows on a hash stands at an offset, whole."""
    if len(data) - offset < BARE:
        return False
    numbers, length, _ = _head(data, offset)
    body = data[offset + BARE : offset + BARE + length]
    return len(body) == length and chained(before, numbers, body) == hash_at(data, offset)


def hash_at(data: memoryview, offset: int) -> bytes:
    """The hash that an entry at an offset says it has."""
    return bytes(data[offset + NUMBERS.size : offset + BARE])


def is_all(data: memoryview, offset: int, before: bytes) -> bool:
    """Whether all bytes from an offset on are one entry, but for its length."""
    _, time, sequence = NUMBERS.unpack_from(data, offset)
    body = data[offset + BARE :]
    return chained(before, NUMBERS.pack(len(body), time, sequence), body) == hash_at(data, offset)


def traces(data: memoryview, offset: int, number: int, before: bytes | None) -> int:
    """Whole entries from an offset on, at which the one of a number begins, be it damaged.

    Parameters
    ----------
    data : memoryview
    offset : int
    number : int
    before : bytes or None
        What the first has to follow on, where that is known; each other one follows on that before it.
    """
    at, count = offset, 0
    while at >= 0 and len(data) - at >= BARE:
        whole = before is not None and entry_at(data, at, before)
        count += whole
        following = at + BARE + _head(data, at)[1]
        before, number = hash_at(data, at), number + 1
        at = following if whole or _is(data, following, number) else _found(data, at, number, before)
    return count


def _head(data: memoryview, offset: int) -> tuple[bytes, int, int]:
    numbers = bytes(data[offset : offset + NUMBERS.size])
    length, _, sequence = NUMBERS.unpack(numbers)
    return numbers, length, sequence


def _is(data: memoryview, offset: int, number: int) -> bool:
    """Whether there is room for the entry of a number at an offset, and it says that it is it."""
    if len(data) - offset < BARE:
        return False
    _, length, sequence = _head(data, offset)
    return sequence == number and length <= len(data) - offset - BARE


def _found(data: memoryview, offset: int, number: int, before: bytes) -> int:
    """Where the entry of a number begins after one that is damaged; −1 if nowhere."""
    for at in _named(data, offset + BARE, number):
        following = at + BARE + _head(data, at)[1]
        leads = following == len(data) or entry_at(data, following, hash_at(data, at))
        if leads or entry_at(data, at, before):
            return at
    return -1


def _named(data: memoryview, offset: int, number: int) -> Iterator[int]:
    """Where an entry of a number may begin."""
    whole, name = bytes(data[offset:]), number.to_bytes(8, "little")
    at = whole.find(name, NUMBERS.size - len(name))
    while at >= 0:
        start = offset + at - (NUMBERS.size - len(name))
        if _is(data, start, number):
            yield start
        at = whole.find(name, at + 1)
