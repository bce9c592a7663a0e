"""The engine of an exchange: every call that changes it is in a journal before it is done (rule R109)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import wraps
from inspect import signature
from pathlib import Path
from types import TracebackType
from typing import Any

from polars.exceptions import PolarsError

from fastadl.book import Book
from fastadl.engine import Engine
from fastadl.engine.saving import resume, saved, saved_book
from fastadl.errors import FastadlError, InputError, JournalError, StageError
from fastadl.journal import ALWAYS, Disk, Entry, Fsync, Journal, Lost, Snapshot
from fastadl.policy import AdlPolicy, Liquidity
from fastadl.recording.entries import arguments, difference, inputs, outcome, settled
from fastadl.recording.settings import funds_of, liquidity_of, policy_of, settings_of

__all__ = ["RECORDED", "LiveEngine", "again", "contents_of", "do", "engine_of"]

#: Calls that change an engine; each is one entry of its journal, of the kind of its name.
RECORDED = (
    "tick", "mark", "liquidations", "settle", "takeover", "deleverage", "deleverage_account",
    "apply_fills", "deposit", "withdraw", "transfer", "pay_funding",
    "open_accounts", "list_instruments", "set_tiers", "set_flags", "settle_instrument",
    "order_liquidations", "cancel_orders",
)  # fmt: skip
#: Format of what snapshots and entries hold.
_CONTENTS = 1
_VERSION = "read it with the version that wrote it"


class LiveEngine(Engine):
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

    _journal: Journal | None = None
    _every: int | None = None
    _keep: int | None = None
    _snapped: int = 0
    _broken: str = ""
    _stamp: tuple[int | None, int | None] | None = None
    _spent: bool = False
    _clock: Callable[[], int] | None = None

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
        contents = contents_of(engine)
        _check_options(snapshot_every, keep, clock)
        written = Journal.create(folder, fsync=fsync, **journal)
        try:
            written.snapshot(contents)
        except BaseException:
            written.close()
            _take_away(Path(folder), journal.get("disk") or Disk())
            raise
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
        _check_options(snapshot_every, keep, clock)
        written = Journal.open(folder, fsync=fsync, **journal)
        try:
            snapshot = written.restored.snapshot
            if snapshot is None:
                remedy = "remove the folder and create the engine again"
                raise JournalError((), "no snapshot of an engine", remedy, os.fspath(folder))
            engine = engine_of(snapshot.read(), incremental=incremental, threads=threads, cls=cls)
            for entry in written.tail():
                differs = again(engine, entry)
                if differs is not None:
                    remedy = "open it with the version that wrote it; fastadl replay tells more"
                    found = f"entry {entry.sequence}, {entry.kind}, done again: {differs}"
                    raise JournalError((), found, remedy, os.fspath(folder))
        except BaseException:
            written.close()
            raise
        return engine._attached(written, snapshot_every, keep, clock)

    def _attached(
        self, journal: Journal, every: int | None, keep: int | None, clock: Callable[[], int] | None
    ) -> LiveEngine:
        snapshot = journal.restored.snapshot
        self._journal, self._every, self._keep, self._clock = journal, every, keep, clock
        self._snapped = 0 if snapshot is None else snapshot.end.sequence
        return self

    def __setattr__(self, name: str, value: Any) -> None:
        """What entries do not tell stays as it is."""
        if name in ("policy", "liquidity") and self._journal is not None:
            raise InputError((name,), value, "a journal is of one: fork the engine, and create another of it")
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        inner = super().__repr__()
        if self._journal is None:
            return inner
        return f"{inner[:-1]}, entry {self._journal.sequence} of {self._journal.folder}>"

    def __copy__(self) -> Engine:
        return self.copy()

    # ------------------------------------------------------------------ the journal

    @property
    def journal(self) -> Journal:
        """Sequence, time and hash of the last entry; append nothing to it."""
        if self._journal is None:
            raise StageError("no journal: make the engine with LiveEngine.create or LiveEngine.open")
        return self._journal

    @property
    def lost(self) -> tuple[Lost, ...]:
        """What of the journal was not valid when it was opened, and was set aside."""
        return self.journal.lost

    def snapshot(self) -> Snapshot:
        """Write the state as it is after the last entry; `open` begins from the last one.

        Calls of other threads wait.

        Raises
        ------
        StageError
            While a tick is in progress.
        JournalError
            If there is one after this entry already, and whatever the disk refuses; the engine goes on.
        """
        with self._lock:
            journal = self.journal
            snapshot = journal.snapshot(contents_of(self))
            self._snapped = snapshot.end.sequence
            if self._keep is not None:
                with suppress(JournalError):  # forgotten at the next one
                    journal.forget(keep=self._keep)
            return snapshot

    @contextmanager
    def numbered(self, sequence: int | None = None, *, time: int | None = None) -> Iterator[None]:
        """Have the next call, the only one within, be the entry of this number and time.

        Parameters
        ----------
        sequence : int, optional
            One more than that of the last entry.
        time : int, optional
            In nanoseconds since 1970, not before the last entry's; by default what the engine's clock says.

        Raises
        ------
        JournalError
            For a number that is not the next, be it a repeated one, a time before the last entry's, and a
            second call; nothing has changed.

        Examples
        --------
        ::

            with engine.numbered(message.number):
                engine.apply_fills(message.fills)
        """
        with self._lock:
            if self._stamp is not None:
                raise JournalError(("sequence",), sequence, "end the numbered block before")
            self._stamp, self._spent = (sequence, time), False
            try:
                self._stamped()
                yield
            finally:
                self._stamp = None

    def close(self) -> None:
        """Force all entries to the device and let others open the journal; closing twice is harmless."""
        with self._lock:
            if self._journal is not None:
                self._journal.close()

    def __enter__(self) -> LiveEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ------------------------------------------------------------------ recording

    def _record(self, kind: str, given: dict[str, Any], call: Callable[..., Any]) -> Any:
        """Do a call and write its entry, or neither."""
        with self._lock:
            if kind == "liquidations" and self._tick is not None:
                return call(self, **given)
            journal, last = self.journal, self.journal.sequence
            if self._broken:
                raise JournalError((), self._broken, "open it again", str(journal.folder))
            stamp = self._stamped()
            noted = inputs(settled(given))
            given = arguments(noted)
            self._broken = f"{kind}, after entry {last}, was interrupted: engine and journal may differ"
            try:
                with self._together():
                    result = call(self, **given)
                    payload = {**noted, **outcome(result)}
                    journal.append(kind, payload, **stamp)
            except FastadlError:
                if journal.sequence == last:
                    self._broken = ""
                raise
            self._spent, self._broken = True, ""
            self._snapshot_if_due()
            return result

    def _stamped(self) -> dict[str, int | None]:
        """Number and time of the next entry; refused before anything is done if they cannot be."""
        journal = self.journal
        if self._stamp is None:
            sequence = time = None
        else:
            sequence, time = self._stamp
            if sequence is not None and (type(sequence) is not int or sequence != journal.sequence + 1):
                raise JournalError(("sequence",), sequence, f"the next is {journal.sequence + 1}")
            if self._spent:
                raise JournalError(("numbered",), "a second call", "number each call in a block of its own")
        least = max(journal.time, 0)
        if time is None and self._clock is not None:
            time = self._clock()
            time = max(time, least) if type(time) is int else time
        elif time is None:
            return {"sequence": sequence, "time": None}
        if type(time) is not int or not least <= time < 2**63:
            raise JournalError(("time",), time, f"give nanoseconds since 1970, from {least} on")
        return {"sequence": sequence, "time": time}

    def _snapshot_if_due(self) -> None:
        """What was asked for is done by now: a snapshot that fails is tried again as many entries later."""
        sequence = self.journal.sequence
        if self._every is None or self._tick is not None or sequence - self._snapped < self._every:
            return
        self._snapped = sequence
        with suppress(Exception):
            self.snapshot()


def _recorded(name: str) -> Callable[..., Any]:
    method = getattr(Engine, name)
    parameters = signature(method)

    @wraps(method)
    def call(self: LiveEngine, *args: Any, **options: Any) -> Any:
        given = parameters.bind(self, *args, **options).arguments
        del given["self"]
        return self._record(name, given, method)

    return call


for _name in RECORDED:
    setattr(LiveEngine, _name, _recorded(_name))


def contents_of(engine: Engine) -> dict[str, Any]:
    """An engine between two ticks as a snapshot holds it."""
    return {**saved(engine), "settings": settings_of(engine), "contents": _CONTENTS}


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
    if contents.get("contents") != _CONTENTS:
        found = f"contents of format {contents.get('contents')!r}"
        raise JournalError(("snapshot",), found, f"{_VERSION}; this one reads format {_CONTENTS}")
    with _foreign("the snapshot"):
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


def do(engine: Engine, entry: Entry) -> Any:
    """Do an entry again on an engine of no journal.

    Raises
    ------
    JournalError
        If this version has no such call, or one that takes something else.
    """
    if entry.kind not in RECORDED:
        raise JournalError(("kind",), entry.kind, _VERSION)
    with _foreign(f"entry {entry.sequence}, {entry.kind}"):
        return getattr(Engine, entry.kind)(engine, **arguments(entry.payload))


def again(engine: Engine, entry: Entry) -> str | None:
    """Do an entry again; what is not as it was then, if anything."""
    try:
        return difference(entry.payload, outcome(do(engine, entry)))
    except FastadlError as error:
        return f"refused: {error}"


@contextmanager
def _foreign(what: str) -> Iterator[None]:
    """What this version cannot read, as an error of the journal."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, PolarsError) as error:
        if isinstance(error, FastadlError):
            raise
        raise JournalError(("journal",), f"{what}: {type(error).__name__}: {error}", _VERSION) from error


def _check_options(snapshot_every: int | None, keep: int | None, clock: object) -> None:
    if clock is not None and not callable(clock):
        raise InputError(("clock",), clock, "give what returns nanoseconds since 1970, or leave it out")
    for name, value in (("snapshot_every", snapshot_every), ("keep", keep)):
        if value is not None and (type(value) is not int or value < 1):
            raise InputError((name,), value, "give a whole number of 1 or more, or leave it out")


def _take_away(folder: Path, disk: Disk) -> None:
    """What a journal that could not be begun has left."""
    with suppress(OSError):
        for path in folder.iterdir():
            disk.remove(path)
