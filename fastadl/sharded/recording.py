"""A book in shards whose coordinator has a journal: one that was killed goes on (rule R109).

Entries are those of `LiveEngine`. A snapshot is one folder of each shard, ``shards/NUMBER/snapshots/ENTRY``,
that the shard writes, and that of the coordinator, which vouches for these and is written last: what a crash
leaves in between is never read.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from fastadl.book import Book
from fastadl.engine.saving import resume, saved_book
from fastadl.errors import InputError, JournalError
from fastadl.journal import ALWAYS, Fsync, Journal, Snapshot
from fastadl.journal.entry import End
from fastadl.journal.recovery import refusals
from fastadl.journal.snapshot import FOLDER, check, path_for, seal_of, snapshots
from fastadl.policy import AdlPolicy, Liquidity
from fastadl.recording.recorded import (
    Recorded,
    begun,
    check_contents,
    check_options,
    contents_of,
    foreign,
    start_of,
)
from fastadl.recording.settings import funds_of, liquidity_of, policy_of, settings_of
from fastadl.sharded.dataset import Dataset
from fastadl.sharded.engine import ShardedEngine
from fastadl.sharded.shard import Shard
from fastadl.sharded.source import Source

__all__ = ["LiveShardedEngine"]

_SHARDS = "shards"
#: Columns of the docket beside those of its book.
_DOCKET = ("part", "home", "code")


class LiveShardedEngine(Recorded, ShardedEngine):
    """A `ShardedEngine` whose calls are recorded, as those of `LiveEngine` are.

    The same calls have the same entries, and the same hash where clocks tell the same. The journal's folder
    is one that all machines of the cluster read and write. It is read by this class alone, with as many
    shards as it was written by; for `replay` and `audit` record the calls with a `LiveEngine` too.

    Examples
    --------
    >>> import fastadl as fa, tempfile
    >>> book = fa.synth.book("pareto", positions=1000, accounts=400, instruments=5, seed=1)
    >>> folder = tempfile.mkdtemp()
    >>> with fa.LiveShardedEngine.create(
    ...     folder, book, fund="1000000", shards=3, address="inline"
    ... ) as engine:
    ...     report = engine.tick(engine.marks * 0.8)
    >>> with fa.LiveShardedEngine.open(folder, address="inline") as engine:
    ...     engine.journal.sequence, engine.check().ok
    (1, True)
    """

    @classmethod
    def create(  # noqa: PLR0913 - what an engine takes, where its parts are, and what its journal does
        cls,
        folder: str | os.PathLike[str],
        book: Book | Dataset | str | os.PathLike[str],
        *,
        policy: str | Mapping[str, Any] | AdlPolicy = "bitmex",
        fund: Any = "0",
        liquidity: Mapping[str, Any] | Liquidity | None = None,
        threads: int | None = None,
        shards: int = 2,
        by: Any = "hash",
        address: str | None = None,
        deadline: float = 60.0,
        fsync: Fsync = ALWAYS,
        snapshot_every: int | None = None,
        keep: int | None = None,
        clock: Callable[[], int] | None = None,
        **journal: Any,
    ) -> Self:
        """An engine as `ShardedEngine` makes it, and its journal in a new or empty folder.

        Parameters
        ----------
        folder : path
        book, policy, fund, liquidity, threads, shards, by, address, deadline
            As in `ShardedEngine`, without scores and order books of one's own code.
        fsync, snapshot_every, keep, clock, **journal
            As in `LiveEngine.create`; ``disk`` is not that of the shards.

        Raises
        ------
        InputError
            As `ShardedEngine`, and for code of one's own; nothing was written.
        JournalError
            If the folder holds something, is in use, or cannot be written.
        """
        check_options(snapshot_every, keep, clock)
        engine = object.__new__(cls)
        with begun(folder, fsync, **journal) as written:
            ShardedEngine.__init__(
                engine,
                book,
                policy=policy,
                fund=fund,
                liquidity=liquidity,
                threads=threads,
                shards=shards,
                by=by,
                address=address,
                deadline=deadline,
                folder=_scratch(written.folder),
            )
            try:
                settings_of(engine)
                engine._write(written)
            except BaseException:
                engine.close()
                raise
        return engine._attached(written, snapshot_every, keep, clock)

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        threads: int | None = None,
        shards: int | None = None,
        address: str | None = None,
        deadline: float = 60.0,
        fsync: Fsync = ALWAYS,
        snapshot_every: int | None = None,
        keep: int | None = None,
        clock: Callable[[], int] | None = None,
        **journal: Any,
    ) -> Self:
        """The engine of a journal: shards from their last whole snapshots, and every entry after done again.

        Parameters
        ----------
        folder : path
        shards : int, optional
            As many as there were; to be refused otherwise.
        threads, address, deadline, fsync, snapshot_every, keep, clock, **journal
            As in `create`; the shards may run elsewhere than before.

        Raises
        ------
        InputError
            For another number of shards, and as `ShardedEngine`.
        JournalError
            If the folder holds no journal of a book in shards, or one of another version, is in use, or
            cannot be written; if a snapshot of a shard is missing or damaged; and if an entry, done again,
            has another result.
        """
        check_options(snapshot_every, keep, clock)
        written = Journal.open(folder, fsync=fsync, **journal)
        engine = object.__new__(cls)
        try:
            engine._restore(
                start_of(written),
                written,
                shards,
                threads=threads,
                address=address,
                deadline=deadline,
                folder=_scratch(written.folder),
            )
            engine._catch_up(written)
        except BaseException:
            written.close()
            engine.close()
            raise
        return engine._attached(written, snapshot_every, keep, clock)

    def close(self) -> None:
        """As `LiveEngine.close` and `ShardedEngine.close`."""
        if "_links" not in self.__dict__:
            return
        try:
            if "_lock" in self.__dict__:
                Recorded.close(self)
        finally:
            ShardedEngine.close(self)

    # ------------------------------------------------------------------ snapshots

    def snapshot(self) -> Snapshot:
        """As `LiveEngine.snapshot`; of shards, those that the journal has forgotten are removed."""
        with self._lock:
            found = super().snapshot()
            with suppress(OSError):  # removed at the next one
                _tidy(self.journal.folder)
            return found

    def _write(self, journal: Journal) -> Snapshot:
        """Have shards write theirs, and then that which names them."""
        folder = journal.folder
        end = End(journal.sequence, journal.time, bytes.fromhex(journal.hash))
        contents = {**contents_of(self), **self._docket_contents()}
        path_for(folder, end)
        with refusals(folder, "make room: the journal goes on without this snapshot"):
            _tidy(folder)
            paths = {i: path_for(_home(folder, i), end) for i in range(len(self._links))}
            for path in paths.values():
                path.parent.parent.mkdir(parents=True, exist_ok=True)
        seals = self._links.each("save", {i: (path, end) for i, path in paths.items()})
        contents["shards"] = [seals[i] for i in paths]
        written = journal.snapshot(contents)
        self._links.begin_with([_Kept(path, i, seals[i], self.policy) for i, path in paths.items()])
        return written

    def _docket_contents(self) -> dict[str, Any]:
        """What a docket has beside what any state has: accounts in liquidation are on it between ticks."""
        state = self._state
        own = {f"docket_{name}": getattr(state, name) for name in _DOCKET}
        return {**own, "docket_rank": state.book.rank, "everybody": state.everybody}

    def _restore(
        self, contents: Mapping[str, Any], journal: Journal, shards: int | None, **options: Any
    ) -> None:
        """Go on where `_write` was called."""
        check_contents(contents)
        if "shards" not in contents:
            remedy = "open it with LiveEngine"
            raise JournalError(("snapshot",), "a book in one place", remedy, str(journal.folder))
        seals = contents["shards"]
        if shards is not None and shards != len(seals):
            raise InputError(("shards",), shards, f"leave it out: the journal is of {len(seals)}")
        snapshot = journal.restored.snapshot
        assert snapshot is not None
        settings = contents["settings"]
        with foreign("the snapshot"):
            policy, desk = policy_of(settings), saved_book(contents)
            desk.rank = contents["docket_rank"].copy()
            parts = [
                _Kept(_home(journal.folder, i) / FOLDER / snapshot.path.name, i, seal, policy)
                for i, seal in enumerate(seals)
            ]
            for part in parts:
                part.check()
            ShardedEngine.__init__(
                self,
                Source(desk, contents["everybody"], parts),
                policy=policy,
                fund=funds_of(settings, desk.instruments),
                liquidity=liquidity_of(settings),
                shards=len(seals),
                **options,
            )
            for name in _DOCKET:
                setattr(self._state, name, contents[f"docket_{name}"].copy())
            resume(self, contents)

    # ------------------------------------------------------------------ recording

    def _outcome(self, result: Any) -> dict[str, Any]:
        """Nothing that can fail is left to do when it is told: all have gone home."""
        if self._tick is None:
            self._go_home()
        return super()._outcome(result)


@dataclass(frozen=True, slots=True)
class _Kept:
    """Reads the snapshot of a shard."""

    path: Path
    shard: int
    seal: str
    policy: AdlPolicy

    def __call__(self) -> Shard:
        with foreign("the snapshot"):
            return Shard.of(check(self.path).read(), self.policy)

    def check(self) -> None:
        """Refuse one that is not what the coordinator's names, before anything is made."""
        try:
            same = seal_of(self.path) == self.seal
        except OSError:
            raise self._refused("is missing") from None
        if not same:
            raise self._refused("is not the one that the coordinator's names")

    def _refused(self, what: str) -> JournalError:
        remedy = "bring it back: shards and coordinator are of one moment"
        return JournalError(("shards", self.shard), f"its snapshot {what}", remedy, str(self.path))


def _home(folder: Path, shard: int) -> Path:
    return folder / _SHARDS / str(shard)


def _scratch(folder: Path) -> Path:
    """A new folder for what shards write that does not outlive the engine."""
    scratch = folder / "scratch"
    with refusals(folder, "give a folder that can be written"):
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
    return scratch


def _tidy(folder: Path) -> None:
    """Remove snapshots of shards that no coordinator's names."""
    named = {path.name for path in snapshots(folder)}
    for path in folder.glob(f"{_SHARDS}/*/{FOLDER}/*"):
        if path.name not in named:
            shutil.rmtree(path)
