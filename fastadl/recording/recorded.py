"""Calls of an engine that are in a journal before they are done (rule R109)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any, Self

from polars.exceptions import PolarsError

from fastadl.engine import Engine
from fastadl.engine.saving import saved
from fastadl.errors import FastadlError, InputError, JournalError, StageError
from fastadl.journal import Disk, Entry, Fsync, Journal, Lost, Snapshot
from fastadl.recording.entries import arguments, difference, inputs, outcome, settled
from fastadl.recording.settings import settings_of

__all__ = [
    "RECORDED",
    "Recorded",
    "again",
    "begun",
    "check_contents",
    "check_options",
    "contents_of",
    "do",
    "foreign",
    "start_of",
]

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


class Recorded(Engine):
    """The part of an engine that records its calls."""

    _journal: Journal | None = None
    _every: int | None = None
    _keep: int | None = None
    _snapped: int = 0
    _broken: str = ""
    _stamp: tuple[int | None, int | None] | None = None
    _spent: bool = False
    _clock: Callable[[], int] | None = None

    def _catch_up(self, journal: Journal) -> None:
        """Do the entries after the snapshot again."""
        for entry in journal.tail():
            differs = again(self, entry)
            if differs is not None:
                remedy = "open it with the version that wrote it; fastadl replay tells more"
                found = f"entry {entry.sequence}, {entry.kind}, done again: {differs}"
                raise JournalError((), found, remedy, str(journal.folder))

    def _write(self, journal: Journal) -> Snapshot:
        """Write a snapshot."""
        return journal.snapshot(contents_of(self))

    def _attached(
        self, journal: Journal, every: int | None, keep: int | None, clock: Callable[[], int] | None
    ) -> Self:
        """The engine, whose calls are entries of a journal from now on."""
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
            name = type(self).__name__
            raise StageError(f"no journal: make the engine with {name}.create or {name}.open")
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
            snapshot = self._write(journal)
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # ------------------------------------------------------------------ recording

    def _record(self, kind: str, given: dict[str, Any], call: Callable[..., Any]) -> Any:
        """Do a call and write its entry, or neither."""
        with self._lock:
            if kind == "liquidations" and self._tick is not None:
                return call(**given)
            journal, last = self.journal, self.journal.sequence
            if self._broken:
                raise JournalError((), self._broken, "open it again", str(journal.folder))
            stamp = self._stamped()
            noted = inputs(settled(given))
            given = arguments(noted)
            self._broken = f"{kind}, after entry {last}, was interrupted: engine and journal may differ"
            try:
                with self._together():
                    result = call(**given)
                    payload = {**noted, **self._outcome(result)}
                    journal.append(kind, payload, **stamp)
            except FastadlError:
                if journal.sequence == last:
                    self._broken = ""
                raise
            self._spent, self._broken = True, ""
            self._snapshot_if_due()
            return result

    def _outcome(self, result: Any) -> dict[str, Any]:
        """What came of a call, as its entry tells it."""
        return outcome(result)

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
    parameters = signature(getattr(Engine, name))

    @wraps(getattr(Engine, name))
    def call(self: Recorded, *args: Any, **options: Any) -> Any:
        given = parameters.bind(self, *args, **options).arguments
        del given["self"]
        return self._record(name, given, getattr(super(Recorded, self), name))

    return call


for _name in RECORDED:
    setattr(Recorded, _name, _recorded(_name))


def contents_of(engine: Engine) -> dict[str, Any]:
    """An engine between two ticks as a snapshot holds it."""
    return {**saved(engine), "settings": settings_of(engine), "contents": _CONTENTS}


def check_contents(contents: Mapping[str, Any]) -> None:
    """Refuse a snapshot that this version does not read."""
    if contents.get("contents") != _CONTENTS:
        found = f"contents of format {contents.get('contents')!r}"
        raise JournalError(("snapshot",), found, f"{_VERSION}; this one reads format {_CONTENTS}")


@contextmanager
def begun(folder: str | os.PathLike[str], fsync: Fsync, **journal: Any) -> Iterator[Journal]:
    """A journal in a new or empty folder; taken away again if the block raises."""
    there = Path(folder).exists()
    written = Journal.create(folder, fsync=fsync, **journal)
    try:
        yield written
    except BaseException:
        written.close()
        _take_away(Path(folder), journal.get("disk") or Disk(), there=there)
        raise


def start_of(journal: Journal) -> dict[str, Any]:
    """What the last whole snapshot of a journal holds."""
    snapshot = journal.restored.snapshot
    if snapshot is None:
        remedy = "remove the folder and create the engine again"
        raise JournalError((), "no snapshot of an engine", remedy, str(journal.folder))
    return snapshot.read()


def do(engine: Engine, entry: Entry) -> Any:
    """Do an entry again on an engine of no journal.

    Raises
    ------
    JournalError
        If this version has no such call, or one that takes something else.
    """
    if entry.kind not in RECORDED:
        raise JournalError(("kind",), entry.kind, _VERSION)
    with foreign(f"entry {entry.sequence}, {entry.kind}"):
        plain: Any = super(Recorded, engine) if isinstance(engine, Recorded) else engine
        return getattr(plain, entry.kind)(**arguments(entry.payload))


def again(engine: Engine, entry: Entry) -> str | None:
    """Do an entry again; what is not as it was then, if anything."""
    try:
        return difference(entry.payload, outcome(do(engine, entry)))
    except FastadlError as error:
        return f"refused: {error}"


@contextmanager
def foreign(what: str) -> Iterator[None]:
    """What this version cannot read, as an error of the journal."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, PolarsError) as error:
        if isinstance(error, FastadlError):
            raise
        raise JournalError(("journal",), f"{what}: {type(error).__name__}: {error}", _VERSION) from error


def check_options(snapshot_every: int | None, keep: int | None, clock: object) -> None:
    """Refuse what `LiveEngine.create` cannot be told."""
    if clock is not None and not callable(clock):
        raise InputError(("clock",), clock, "give what returns nanoseconds since 1970, or leave it out")
    for name, value in (("snapshot_every", snapshot_every), ("keep", keep)):
        if value is not None and (type(value) is not int or value < 1):
            raise InputError((name,), value, "give a whole number of 1 or more, or leave it out")


def _take_away(folder: Path, disk: Disk, *, there: bool) -> None:
    """What a journal that could not be begun has left; the folder itself unless it was there."""
    with suppress(OSError):
        for path in folder.iterdir():
            disk.remove(path)
        if not there:
            disk.remove(folder)
