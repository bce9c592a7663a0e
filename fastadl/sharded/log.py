"""What shards were told since their last snapshots, so that one that is lost can be made again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from fastadl.sharded.packing import packed
from fastadl.sharded.shard import READING

__all__ = ["COMMIT", "ROLLBACK", "Log", "message"]

#: Bytes of messages to a shard after which it is time for a snapshot.
_MOST = 1 << 26


def message(what: str, given: Sequence[Any]) -> bytes:
    """A call as it is sent and kept."""
    return packed((what, tuple(given)))


COMMIT, ROLLBACK = message("commit", ()), message("rollback", ())


class Log:
    """Messages that change shards, by transaction.

    What is rolled back never was. A commit is one step: it is done for all shards, or for none.

    Parameters
    ----------
    origins : sequence
        Where each shard begins: how it is built, or its snapshot.
    every : int
        Transactions from one snapshot of a shard to the next.

    Attributes
    ----------
    count : int
        Transactions that were committed.
    """

    def __init__(self, origins: Sequence[Any], every: int) -> None:
        self.origins = list(origins)
        self.count = 0
        self._every = every
        self._first = [0] * len(self.origins)
        self._kept: list[dict[int, list[bytes]]] = []
        self._open: dict[int, list[bytes]] = defaultdict(list)
        self._bytes = [0] * len(self.origins)

    def __len__(self) -> int:
        return len(self.origins)

    def told(self, shard: int, what: str, text: bytes) -> None:
        """Note a message that is about to be sent."""
        if what not in READING:
            self._open[shard].append(text)

    def history(self, shard: int, what: str = "") -> list[bytes]:
        """All that a shard was told since its origin but the message under way, if there is one."""
        told: list[bytes] = []
        for each in self._kept[self._first[shard] + len(self._kept) - self.count :]:
            if shard in each:
                told += [*each[shard], COMMIT]
        told += self._open.get(shard, [])
        return told[:-1] if what and what not in READING else told

    def commit(self) -> list[int]:
        """Keep what was told since the last commit; shards that it changes."""
        done = self._open
        if not done:
            return []
        self._kept.append(done)
        self._open, self.count = defaultdict(list), self.count + 1
        for shard, told in done.items():
            self._bytes[shard] += sum(map(len, told))
        return sorted(done)

    def rollback(self) -> list[int]:
        """Forget what was told since the last commit; shards that have to take it back."""
        forgotten, self._open = self._open, defaultdict(list)
        return sorted(forgotten)

    def due(self, shard: int) -> bool:
        """Whether it is time for a snapshot; not for all shards at once."""
        turn = (self.count + shard * self._every // len(self)) % self._every == 0
        return self._first[shard] < self.count and (turn or self._bytes[shard] > _MOST)

    def cut(self, shard: int, count: int, origin: Any) -> None:
        """Begin a shard with a snapshot that was taken after so many commits."""
        self.origins[shard], self._first[shard] = origin, count
        gone = min(self._first) - (self.count - len(self._kept))
        del self._kept[:gone]
        later = self._kept[count - self.count :] if count < self.count else []
        self._bytes[shard] = sum(len(text) for each in later for text in each.get(shard, ()))
