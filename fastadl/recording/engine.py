"""The engine of an exchange: every call that changes it is in a journal before it is done (rule R109)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from fastadl.book import Book
from fastadl.engine import Engine
from fastadl.engine.saving import resume, saved_book
from fastadl.errors import JournalError
from fastadl.journal import ALWAYS, Fsync, Journal
from fastadl.policy import AdlPolicy, Liquidity
from fastadl.recording.recorded import Recorded, begun, check_contents, check_options, foreign, start_of
from fastadl.recording.settings import funds_of, liquidity_of, policy_of, settings_of

__all__ = ["LiveEngine", "engine_of"]


class LiveEngine(Recorded):
    """An `Engine` whose calls are recorded; from `LiveEngine.create` or `LiveEngine.open`.

    A call that changes the engine is one entry of the journal: what was given and what came of it. The entry
    is written before the call is done. Where it cannot be, a `JournalError` says why, and engine and journal
    are as before. Calls that are refused are not in the journal; `copy` and `fork` give engines without one.
    An interrupt while a call ends with a snapshot is raised when the call is done and in the journal; one
    before leaves the call in doubt, and every other is refused until the journal is opened again.

    Examples
    --------
    >>> import fastadl as fa, tempfile
    >>> book = fa.synth.book("pareto", positions=1000, accounts=400, instruments=5, seed=1)
    >>> folder = tempfile.mkdtemp()
    >>> with fa.LiveEngine.create(folder, book, fund="1000000") as engine:
    ...     report = engine.tick(engine.marks * 0.8)
    >>> with fa.LiveEngine.open(folder) as engine:
    ...     engine.journal.sequence, engine.check().ok
    (1, True)
    """

    @classmethod
    def create(  # noqa: PLR0913 - what an engine takes, and what its journal does
        cls,
        folder: str | os.PathLike[str],
        book: Book,
        *,
        policy: str | Mapping[str, Any] | AdlPolicy = "bitmex",
        fund: Any = "0",
        liquidity: Mapping[str, Any] | Liquidity | None = None,
        incremental: bool = False,
        threads: int | None = None,
        copy: bool = True,
        fsync: Fsync = ALWAYS,
        snapshot_every: int | None = None,
        keep: int | None = None,
        clock: Callable[[], int] | None = None,
        **journal: Any,
    ) -> LiveEngine:
        """An engine as `Engine` makes it, and its journal in a new or empty folder.

        Parameters
        ----------
        folder : path
        book, policy, fund, liquidity, incremental, threads, copy
            As in `Engine`, without scores and order books of one's own code.
        fsync : Fsync
            What a loss of power may cost; a killed process loses nothing.
        snapshot_every : int, optional
            Write a snapshot after so many entries, at the next end of a tick; by default only when
            `snapshot` is called.
        keep : int, optional
            Forget what is before the last so many snapshots; by default nothing.
        clock : callable, optional
            Gives the time of an entry, in nanoseconds since 1970; the last entry's stands where it is later.
            By default the system's: with another that tells the same, the same calls have the same hash.
        **journal
            ``segment_bytes`` and ``disk``, as in `Journal.create`.

        Raises
        ------
        InputError
            As `Engine`, and for code of one's own; nothing was written.
        JournalError
            If the folder holds something, is in use, or cannot be written.
        """
        engine = object.__new__(cls)
        Engine.__init__(
            engine,
            book,
            policy=policy,
            fund=fund,
            liquidity=liquidity,
            incremental=incremental,
            threads=threads,
            copy=copy,
        )
        settings_of(engine)
        check_options(snapshot_every, keep, clock)
        with begun(folder, fsync, **journal) as written:
            engine._write(written)
        return engine._attached(written, snapshot_every, keep, clock)

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        incremental: bool = False,
        threads: int | None = None,
        fsync: Fsync = ALWAYS,
        snapshot_every: int | None = None,
        keep: int | None = None,
        clock: Callable[[], int] | None = None,
        **journal: Any,
    ) -> LiveEngine:
        """The engine of a journal: its last whole snapshot, and every entry after it done again.

        A folder that was being created when the process ended has no snapshot, and is refused. Parameters
        are those of `create`.

        Raises
        ------
        JournalError
            If the folder holds no journal of an engine, is in use, or cannot be written; and if an entry,
            done again, has another result.
        """
        check_options(snapshot_every, keep, clock)
        written = Journal.open(folder, fsync=fsync, **journal)
        try:
            engine: LiveEngine = engine_of(
                start_of(written), incremental=incremental, threads=threads, cls=cls
            )
            engine._catch_up(written)
        except BaseException:
            written.close()
            raise
        return engine._attached(written, snapshot_every, keep, clock)


def engine_of(
    contents: Mapping[str, Any],
    *,
    policy: AdlPolicy | None = None,
    incremental: bool = False,
    threads: int | None = None,
    cls: type[Engine] = Engine,
) -> Any:
    """The engine that `contents_of` was given, or one that goes on from there under another policy.

    What funds or sessions remember is forgotten where the two policies do not remember the same.
    """
    check_contents(contents)
    if "shards" in contents:
        found = f"a book in {len(contents['shards'])} shards"
        raise JournalError(("snapshot",), found, "open it with LiveShardedEngine")
    with foreign("the snapshot"):
        return _engine_of(contents, policy, incremental, threads, cls)


def _engine_of(
    contents: Mapping[str, Any],
    policy: AdlPolicy | None,
    incremental: bool,
    threads: int | None,
    cls: type[Engine],
) -> Engine:
    settings, book = contents["settings"], saved_book(contents)
    before = policy_of(settings)
    policy = policy or before
    if policy != before and "drawdown" in (policy.trigger, before.trigger):
        contents = {**contents, "memories": None}
    if (policy.session, policy.socialization) != (before.session, before.socialization):
        contents = {**contents, "session": None}
    engine = object.__new__(cls)
    Engine.__init__(
        engine,
        book,
        policy=policy,
        fund=funds_of(settings, book.instruments),
        liquidity=liquidity_of(settings),
        incremental=incremental,
        threads=threads,
        copy=False,
    )
    resume(engine, contents)
    return engine
