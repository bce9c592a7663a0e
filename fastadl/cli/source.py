"""An engine to ask, from what a person has: a journal, a scenario file, or a book on disk (rule R123)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fastadl.cli.terminal import Several
from fastadl.errors import InputError, JournalError, StageError

if TYPE_CHECKING:
    from fastadl.engine import Engine

__all__ = ["Source", "State"]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Which state of a source is asked.

    Parameters
    ----------
    until
        After this entry of the journal, or this tick of the scenario, not after the last.
    mark
        At another mark price, e.g. BTC-PERP=41000; may be given several times.
    policy
        Of a book on disk, a preset such as okx_2025; bitmex unless given.
    fund
        Of a book on disk, cash of the insurance fund; none unless given.
    """

    until: int | None = None
    mark: Several = None
    policy: str | None = None
    fund: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """An engine, and where its state is from.

    Attributes
    ----------
    engine : Engine
        Marked.
    told : str
        What the state is of, in words.
    timestamp : int or None
        When that was, in milliseconds of the epoch; None where nothing says so.
    """

    engine: Engine
    told: str
    timestamp: int | None = None

    @classmethod
    def of(cls, place: str, state: State = State()) -> Source:
        """The engine of a journal's folder, a book's folder, or a scenario file.

        Raises
        ------
        InputError
            Naming what cannot be read, or does not go with it.
        """
        _check(Path(place))
        is_book = Path(place).is_dir() and any(Path(place).glob("instruments.*"))
        for name in () if is_book else ("policy", "fund"):
            if (value := getattr(state, name)) is not None:
                raise InputError((name,), value, "leave it out: a journal or a scenario has its own")
        if is_book:
            found = _of_book(place, state)
        else:
            found = (_of_journal if Path(place).is_dir() else _of_scenario)(place, state.until)
        found._mark(state.mark or ())
        return found

    def _mark(self, given: Iterable[str]) -> None:
        """Set the marks that were given, and refuse a book that lacks some."""
        prices = {}
        for each in given:
            symbol, equals, price = each.rpartition("=")
            if not equals:
                raise InputError(("mark",), each, "give a symbol and its price: BTC-PERP=41000")
            prices[symbol] = price
        try:
            if prices:
                self.engine.mark(prices)
            self.engine.estimates()
        except StageError as error:
            raise InputError(("mark",), str(error), "give --mark SYMBOL=PRICE for it") from None


def _check(place: Path) -> None:
    """Refuse what is neither."""
    from fastadl.journal.recovery import present

    try:
        if place.is_dir() and not any(place.glob("instruments.*")):
            present(place)
        known = place.exists()
    except JournalError:
        known = False
    if not known:
        remedy = "give the folder of a journal or of a book, or a scenario file"
        raise InputError(("source",), str(place), remedy)


def _of_book(folder: str, state: State) -> Source:
    from fastadl.book import Book
    from fastadl.engine import Engine

    if state.until is not None:
        raise InputError(("until",), state.until, "leave it out: a book is of one moment")
    engine = Engine(Book.read(folder), policy=state.policy or "bitmex", fund=state.fund or "0", copy=False)
    return Source(engine, folder)


def _of_journal(folder: str, until: int | None) -> Source:
    """The state after an entry, done again from the snapshot before it; its engine may be running."""
    from fastadl.journal import read, whole_snapshots
    from fastadl.recording import replay

    kept = {snapshot.end.sequence: snapshot.end.time for snapshot in whole_snapshots(folder)}
    before = [sequence for sequence in kept if until is None or sequence <= until]
    replayed = replay(folder, until=until, since=max(before, default=None))
    if not replayed.ok:
        where = replayed.difference
        found = "entries are lost" if where is None else f"entry {where.sequence}, {where.kind}: {where.what}"
        raise JournalError(
            (), found, "fastadl replay tells more; or name an entry before it by --until", folder
        )
    last = replayed.last
    time = kept[last] if last in kept else next(read(folder, after=last - 1, until=last)).time
    return Source(replayed.engine, f"{folder} after entry {last}", time // 10**6 if last else None)


def _of_scenario(file: str, until: int | None) -> Source:
    from fastadl.scenario import Scenario

    run = Scenario.load(file).start()
    if until is not None and not 0 <= until < len(run):
        raise InputError(("until",), until, f"give a tick of the scenario, 0 to {len(run) - 1}")
    last = None
    for tick in run:
        last = tick["tick"]
        if last == until:
            break
    return Source(run.engine, file if last is None else f"{file} after tick {last}")
