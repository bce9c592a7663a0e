"""How the coordinator talks to shards: here those of this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from fastadl.errors import StageError
from fastadl.sharded.packing import packed, unpacked
from fastadl.sharded.shard import Shard

__all__ = ["Here", "Links", "refuse_closed"]


class Links(Protocol):
    """Shards, by number; a call that one of them refuses is refused."""

    def __len__(self) -> int: ...

    def all(self, what: str, *given: Any) -> list[Any]:
        """Call a method of every shard alike; what each answered."""

    def each(self, what: str, given: Mapping[int, tuple[Any, ...]]) -> dict[int, Any]:
        """Call a method of some shards, each with its own arguments."""

    def begin_with(self, made: Sequence[Callable[[], Shard]]) -> None:
        """Have a shard that is lost begin with what gives it as it is now."""

    def close(self) -> None:
        """Let go of them."""


def refuse_closed(closed: bool) -> None:
    """Raise where shards have been let go."""
    if closed:
        raise StageError("the shards of this book have been let go")


class Here:
    """Shards of this process, one after another.

    Messages are copied as they would be between processes, and counted.

    Parameters
    ----------
    shards : sequence of Shard

    Attributes
    ----------
    sent, received : int
        Bytes to and from shards.
    calls : int
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
        self._shards, self._closed = list(shards), False
        self.sent = self.received = self.calls = 0

    def __len__(self) -> int:
        return len(self._shards)

    def all(self, what: str, *given: Any) -> list[Any]:
        """One after another."""
        refuse_closed(self._closed)
        return [self._call(shard, what, given) for shard in self._shards]

    def each(self, what: str, given: Mapping[int, tuple[Any, ...]]) -> dict[int, Any]:
        """One after another."""
        refuse_closed(self._closed)
        return {i: self._call(self._shards[i], what, mine) for i, mine in given.items()}

    def begin_with(self, made: Sequence[Callable[[], Shard]]) -> None:
        """None is lost while this process is there."""

    def close(self) -> None:
        """Forget them."""
        self._shards.clear()
        self._closed = True

    def _call(self, shard: Shard, what: str, given: tuple[Any, ...]) -> Any:
        message = packed(given)
        answer = packed(getattr(shard, what)(*unpacked(message)))
        self.sent += len(message)
        self.received += len(answer)
        self.calls += 1
        return unpacked(answer)
