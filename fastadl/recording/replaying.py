"""A journal done again: is every result what it was, and what would another policy have done (rule R110)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from fastadl.decimals import fixed
from fastadl.engine import Engine
from fastadl.engine.results import Report
from fastadl.errors import FastadlError, InputError, JournalError
from fastadl.journal import Entry, Lost, Snapshot, read, verify, whole_snapshots
from fastadl.policy import AdlPolicy
from fastadl.recording.engine import engine_of
from fastadl.recording.entries import difference, outcome
from fastadl.recording.recorded import contents_of, do

__all__ = ["Course", "Difference", "Replayed", "replay"]

#: Called with how many entries are done, and of how many.
Progress: TypeAlias = Callable[[int, int], object]
#: How often it is begun anew where what was begun from is forgotten meanwhile.
_TRIES = 100
#: What a course adds up by currency, and the column of a report's summary it comes from.
_SUMS = {"adl_value": "adl_value", "charged": "socialized", "uncovered": "uncovered"}


@dataclass(frozen=True, slots=True)
class Difference:
    """The first entry, or snapshot after an entry, that is not what it was.

    Attributes
    ----------
    sequence : int
    kind : str
        Of the entry, or ``snapshot``.
    what : str
        The part that differs, or why the entry was refused.
    """

    sequence: int
    kind: str
    what: str


@dataclass(slots=True)
class Course:
    """What happened under one policy; money by currency, in atoms.

    Attributes
    ----------
    policy : dict
        Its choices.
    adl_fills, adl_accounts : int
        Fills, and accounts that were deleveraged, or charged, at least once.
    adl_value, charged, uncovered, fund : dict of currency to int
        Value of the fills, losses charged in cash, losses nobody paid, and the fund's equity at the end.
    refused : int
        Entries that could not be done.
    first_refused : Difference or None
    """

    policy: dict[str, Any]
    adl_fills: int = 0
    adl_accounts: int = 0
    adl_value: dict[str, int] = field(default_factory=dict)
    charged: dict[str, int] = field(default_factory=dict)
    uncovered: dict[str, int] = field(default_factory=dict)
    fund: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    first_refused: Difference | None = None

    def to_dict(self, decimals: Mapping[str, int]) -> dict[str, Any]:
        """The same for JSON, money in units of its currency."""
        first = self.first_refused
        return {
            "policy": self.policy,
            "adl_fills": self.adl_fills,
            "adl_accounts": self.adl_accounts,
            **{
                name: {code: fixed(atoms, decimals[code]) for code, atoms in getattr(self, name).items()}
                for name in (*_SUMS, "fund")
            },
            "refused": self.refused,
            "first_refused": None if first is None else _told(first),
        }


@dataclass(frozen=True, slots=True)
class Replayed:
    """What `replay` found.

    Attributes
    ----------
    first, last : int
        Sequences of the first and last entry that were done again; `last` is below `first` if none was.
    hash : str
        Of all entries up to the last, hexadecimal.
    snapshots : tuple of int
        Entries after which the state was compared with a snapshot.
    until : int
        The last entry that was to be done.
    difference : Difference or None
        The first; nothing after it was done.
    lost : tuple of Lost
        What of the journal is not valid, an entry that is just being written aside.
    courses : tuple of Course
        Under the journal's policy, and under the other one if there is one.
    engine : Engine
        As it was after the last entry.
    """

    first: int
    last: int
    hash: str
    snapshots: tuple[int, ...]
    until: int
    difference: Difference | None
    lost: tuple[Lost, ...]
    courses: tuple[Course, ...]
    engine: Engine

    @property
    def equal(self) -> bool:
        """Whether every result and every snapshot is what it was."""
        return self.difference is None

    @property
    def ok(self) -> bool:
        """Whether they are, all entries were done, and nothing of the journal is lost."""
        return self.equal and not self.lost and self.last == self.until

    @property
    def decimals(self) -> dict[str, int]:
        """Decimals of an atom by currency."""
        instruments = self.engine.book.instruments
        return dict(zip(instruments.currencies, instruments.decimals, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        return {
            "first": self.first,
            "last": self.last,
            "hash": self.hash,
            "snapshots": list(self.snapshots),
            "equal": self.equal,
            "ok": self.ok,
            "difference": None if self.difference is None else _told(self.difference),
            "lost": [str(lost) for lost in self.lost],
            "courses": [course.to_dict(self.decimals) for course in self.courses],
            "checks": bool(self.engine.check()),
        }


def replay(
    folder: str | os.PathLike[str],
    *,
    until: int | None = None,
    since: int | None = None,
    policy: str | Mapping[str, Any] | AdlPolicy | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Replayed:
    """Do a journal again from a snapshot, comparing every result, and every later snapshot.

    Parameters
    ----------
    folder : path
        Nothing in it is changed; another process may be writing to it.
    until : int, optional
        Do no entry after this one.
    since : int, optional
        Begin with the last snapshot that is not after this entry; by default with the first one.
    policy : str, mapping or AdlPolicy, optional
        Have a second engine do the same under this policy, from the same snapshot on.
    threads : int, optional
        As in `Engine`.
    progress : callable, optional
        Called with how many entries are done, and of how many.

    Returns
    -------
    Replayed

    Raises
    ------
    JournalError
        If the folder holds no journal of an engine.
    InputError
        For an entry that is not there, or a policy that cannot be.

    Examples
    --------
    >>> import fastadl as fa, tempfile
    >>> book = fa.synth.book("pareto", positions=1000, accounts=400, instruments=5, seed=1)
    >>> folder = tempfile.mkdtemp()
    >>> with fa.LiveEngine.create(folder, book, fund="1000") as engine:
    ...     report = engine.tick(engine.marks * 0.8)
    >>> fa.replay(folder).equal
    True
    """
    other = None if policy is None else AdlPolicy.of(policy)
    for _ in range(_TRIES):
        try:
            return _replayed(Path(folder), until, since, other, threads, progress)
        except _ForgottenError as error:
            forgotten = error
    raise forgotten


def _replayed(
    path: Path,
    until: int | None,
    since: int | None,
    policy: AdlPolicy | None,
    threads: int | None,
    progress: Progress | None,
) -> Replayed:
    found = verify(path)
    last = found.last if until is None else until
    if last > found.last or last < 0:
        raise InputError(("until",), until, f"give an entry of the journal, up to {found.last}")
    if since is not None and not 0 <= since <= last:
        raise InputError(("since",), since, f"give an entry from 0 up to {last}")
    snapshots = {snapshot.end.sequence: snapshot for snapshot in whole_snapshots(path)}
    most = last if since is None else since
    first = _begin(path, list(snapshots), most, earliest=since is None, there_was=found.snapshots)
    start = snapshots.pop(first)
    with _forgetting(start):
        contents = start.read()
    courses = [_Run(engine_of(contents, threads=threads))]
    if policy is not None:
        courses.append(_Run(engine_of(contents, policy=policy, threads=threads)))
    lost = tuple(each for each in found.lost if not each.unfinished)
    run = _Replay(courses, start.end.hash.hex(), snapshots)
    try:
        with _forgetting(start):
            for entry in read(path, after=first, until=last):
                if not run.goes_on(entry):
                    break
                if progress is not None:
                    progress(entry.sequence - first, last - first)
    except _ForgottenError:
        raise
    except JournalError:  # the rest is among what is lost
        if not lost:
            raise
    return Replayed(
        first=first + 1,
        last=run.last or first,
        hash=run.hash,
        snapshots=tuple(run.compared),
        until=last,
        difference=run.difference,
        lost=lost,
        courses=tuple(each.course() for each in courses),
        engine=courses[0].engine,
    )


def _begin(path: Path, there: list[int], most: int, *, earliest: bool, there_was: Sequence[int]) -> int:
    """Sequence of the snapshot to begin with."""
    fit = [sequence for sequence in there if sequence <= most]
    if not fit:
        error = _ForgottenError if there_was and min(there_was) <= most else JournalError
        remedy = f"the first snapshot is after entry {min(there)}" if there else "give a journal of an engine"
        raise error((), f"no snapshot up to entry {most}", remedy, str(path))
    return min(fit) if earliest else max(fit)


class _ForgottenError(JournalError):
    """What is done again was forgotten meanwhile by the engine that writes it."""


@contextmanager
def _forgetting(start: Snapshot) -> Iterator[None]:
    """Tell what is gone since the snapshot that was begun from was forgotten from what is damaged."""
    try:
        yield
    except JournalError as error:
        if start.path.exists():
            raise
        remedy = "its engine forgets faster than this: begin with --from, or have it keep more"
        raise _ForgottenError(error.path, error.value, remedy, error.file) from None


class _Replay:
    """One engine compared with the journal, and another beside it."""

    def __init__(self, courses: list[_Run], hash: str, snapshots: Mapping[int, Snapshot]) -> None:
        self._courses, self._snapshots = courses, snapshots
        self.compared: list[int] = []
        self.last, self.hash = 0, hash
        self.difference: Difference | None = None

    def goes_on(self, entry: Entry) -> bool:
        """Do an entry; whether everything is still what it was."""
        same, *others = self._courses
        result = same.do(entry)
        what = f"refused: {result}" if isinstance(result, FastadlError) else _differs(entry, result)
        if what is not None:
            self.difference = Difference(entry.sequence, entry.kind, what)
            return False
        for other in others:
            other.do(entry)
        self.last, self.hash = entry.sequence, entry.hash
        snapshot = self._snapshots.get(entry.sequence)
        if snapshot is not None and snapshot.path.exists():
            what = difference(snapshot.read(), contents_of(same.engine))
            if what is not None:
                self.difference = Difference(entry.sequence, "snapshot", what)
                return False
            self.compared.append(entry.sequence)
        return True


class _Run:
    """An engine, and what it did so far."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._course = Course(engine.policy.choices())
        self._accounts: set[int] = set()
        for name in _SUMS:
            setattr(self._course, name, dict.fromkeys(engine.book.instruments.currencies, 0))

    def do(self, entry: Entry) -> Any:
        """What an entry returns, or the error it is refused with."""
        try:
            result = do(self.engine, entry)
        except FastadlError as error:
            course = self._course
            course.refused += 1
            if course.first_refused is None:
                course.first_refused = Difference(entry.sequence, entry.kind, str(error))
            return error
        if isinstance(result, Report):
            self._add(result)
        return result

    def course(self) -> Course:
        """What it did, and what the fund has now."""
        reserves = self.engine.reserves()
        held = reserves.filter(reserves["account"] == "fund")
        self._course.fund = dict(held.select("currency", "equity").iter_rows())
        self._course.adl_accounts = len(self._accounts)
        return self._course

    def _add(self, report: Report) -> None:
        course = self._course
        fills, charged = report.columns("adl_fills"), report.columns("socialized")
        course.adl_fills += len(fills["counterparty"])
        self._accounts.update(fills["counterparty"].tolist())
        self._accounts.update(charged["account"][charged["amount"] < 0].tolist())
        for line in report.summary.iter_rows(named=True):
            for name, column in _SUMS.items():
                sums = getattr(course, name)
                sums[line["currency"]] = sums.get(line["currency"], 0) + line[column]


def _differs(entry: Entry, result: Any) -> str | None:
    return difference(entry.payload, outcome(result))


def _told(where: Difference) -> dict[str, Any]:
    return {"sequence": where.sequence, "kind": where.kind, "what": where.what}
