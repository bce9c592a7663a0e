"""Finds an ADL fill in a journal, and does the journal again up to just before it (rule R114)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isclose
from pathlib import Path
from typing import Any

import polars as pl

from fastadl.auditing.state import Before, by_hand_before, tables_of, tick_before
from fastadl.engine import Engine
from fastadl.errors import FastadlError, InputError, JournalError
from fastadl.journal import Entry, read, verify, whole_snapshots
from fastadl.policy.choices import nearest
from fastadl.recording.engine import engine_of
from fastadl.recording.entries import arguments, difference, outcome
from fastadl.recording.recorded import do

__all__ = ["Moment", "fills", "find", "recompute"]

_BY_HAND = "deleverage_account"
_FILLS, _SUMMARY = "result.adl_fills", "result.summary"
#: Calls between detection and takeover that leave the accounts as they were detected.
_HARMLESS = {"mark", "liquidations", "order_liquidations", "cancel_orders", "settle", "takeover"}
#: Other words for columns of a fill: who asks knows himself as an account.
_ALIKE = {"account": "counterparty"}
#: What a fill is looked for by, of which the nearest is told.
_NAMED = ("account", "symbol", "bankrupt")
_HOW = "fastadl audit JOURNAL lists the fills it has"


@dataclass(frozen=True, slots=True)
class Moment:
    """An event, as the journal has it and as it was just before.

    Attributes
    ----------
    entry : Entry
    before : str
        Hash of all entries before it, hexadecimal.
    manifest : dict
        Policy, currencies and number of the tick.
    tables : dict of DataFrame
        All text; see `fastadl.auditing.verify`.
    """

    entry: Entry
    before: str
    manifest: dict[str, Any]
    tables: dict[str, pl.DataFrame]


def fills(folder: str | os.PathLike[str], *, tick: int | None = None) -> pl.DataFrame:
    """ADL fills of a journal, in order, each with the entry it is in, and the number of the tick.

    Parameters
    ----------
    folder : path
        Of a `LiveEngine`; nothing in it is changed.
    tick : int, optional
        Only those of this tick.

    Raises
    ------
    JournalError
        If the folder holds no journal, or one that is not what was written.
    """
    found = [_lines(entry) for entry in _events(Path(folder)) if tick is None or _tick(entry) == tick]
    empty = pl.DataFrame(schema={"entry": pl.Int64, "tick": pl.Int64, **_COLUMNS})
    return pl.concat(found) if found else empty


def find(path: Path, fill: Mapping[str, Any], tick: int | None) -> tuple[Entry, list[int]]:
    """The one entry that has a fill, and the places in it of all fills that are told by the same.

    Raises
    ------
    InputError
        For a fill that no entry has, or that several have.
    """
    found, names = [], dict[str, set[str]]()
    for entry in _events(path):
        if tick is None or _tick(entry) == tick:
            frame = entry.payload[_FILLS]
            for name in _NAMED:
                names.setdefault(name, set()).update(frame[_ALIKE.get(name, name)].to_list())
            places = _places(frame, fill)
            if places:
                found.append((entry, places))
    if len(found) == 1:
        return found[0]
    if found:
        remedy = f"name the tick: it may be of {', '.join(str(_tick(entry)) for entry, _ in found)}"
        raise InputError(("fill",), dict(fill), remedy)
    first = verify(path).first
    gone = f"; entries up to {first - 1} were forgotten" if first > 1 else ""
    remedy = f"no such fill is in the journal{gone}; {_HOW}{_near(fill, names)}"
    raise InputError(("fill",), dict(fill), remedy, str(path))


def recompute(path: Path, wanted: Entry, threads: int | None) -> Moment:
    """Do a journal again up to an entry, from the last snapshot before it.

    Raises
    ------
    JournalError
        If an entry, done again, has another result, the wanted one included; the first is named.
    InputError
        For an event that is no matter of ranking, such as one of the trigger ``pool_profit``.
    """
    starts = [each for each in whole_snapshots(path) if each.end.sequence < wanted.sequence]
    if not starts:
        remedy = "keep a snapshot from before what is to be audited"
        raise JournalError((), f"no snapshot before entry {wanted.sequence}", remedy, os.fspath(path))
    engine: Engine = engine_of(starts[-1].read(), threads=threads)
    before, calls = starts[-1].end.hash.hex(), list[str]()
    taken: Before | None = None
    for entry in read(path, after=starts[-1].end.sequence, until=wanted.sequence):
        if engine._tick is None or entry.kind in ("mark", "tick"):
            calls, taken = [], None
        calls.append(entry.kind)
        if entry.sequence == wanted.sequence:
            break
        if entry.kind == "takeover":
            taken = tick_before(engine)
        _check(path, entry, _done(path, engine, entry))
        before = entry.hash
    return _moment(path, engine, entry, before, taken, set(calls[:-1]) <= _HARMLESS)


def _moment(
    path: Path, engine: Engine, entry: Entry, before: str, taken: Before | None, untouched: bool
) -> Moment:
    """The event itself, in its stages: what was before it is kept, what it does is compared."""
    given = arguments(entry.payload)
    if entry.kind == _BY_HAND:
        manifest, tables = tables_of(engine, by_hand_before(engine, given), untouched)
        report: Any = _done(path, engine, entry)
    else:
        if engine.policy.trigger == "pool_profit":
            remedy = "fastadl replay does it again: who has won most is closed against the fund (rule R90)"
            raise InputError(("policy", "trigger"), "pool_profit", remedy)
        if entry.kind == "tick":
            engine.mark(given["prices"], given.get("time"), given.get("oracle"))
            engine.settle(given.get("executions"))
        if taken is None:
            taken = tick_before(engine)
            engine.takeover()
        manifest, tables = tables_of(engine, taken, untouched)
        report = engine.deleverage()
    _check(path, entry, report)
    for name, columns in _STATED.items():
        tables[name.removeprefix("adl_")] = _stated(entry.payload.get(f"result.{name}"), columns)
    return Moment(entry, before, manifest, tables)


_COLUMNS = {
    **dict.fromkeys(("bankrupt", "counterparty", "symbol", "side"), pl.String), "lots": pl.Int64,
    "price": pl.Float64,
    **dict.fromkeys(("value", "bankrupt_realized_pnl", "realized_pnl", "rank"), pl.Int64),
    "score": pl.Float64, "currency": pl.String,
}  # fmt: skip
#: What the journal itself says came of it.
_STATED = {
    "adl_fills": tuple(name for name in _COLUMNS if name not in ("price", "currency")),
    "refused": ("account", "bankrupt", "symbol", "side", "lots", "reason"),
}  # fmt: skip


def _stated(frame: pl.DataFrame | None, columns: tuple[str, ...]) -> pl.DataFrame:
    if frame is None:
        return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    return frame.select(pl.col(columns).cast(pl.String))


def _events(path: Path) -> Iterator[Entry]:
    """Entries with ADL fills, of a journal that is whole."""
    found = verify(path)
    for lost in found.lost:
        if not lost.unfinished:
            last = found.last + 1
            where = f"entry {last}" if lost.file.endswith(".journal") else "a snapshot"
            remedy = f"{where} is not what was written; audit a copy from before"
            raise JournalError((), str(lost), remedy, os.fspath(path))
    for entry in read(path, after=found.first - 1, until=found.last):
        if _FILLS in entry.payload:
            yield entry


def _tick(entry: Entry) -> int:
    return int(entry.payload[_SUMMARY]["tick"][0])


def _lines(entry: Entry) -> pl.DataFrame:
    numbers = pl.lit(entry.sequence, pl.Int64).alias("entry"), pl.lit(_tick(entry), pl.Int64).alias("tick")
    return entry.payload[_FILLS].select(*numbers, pl.all())


def _near(fill: Mapping[str, Any], names: Mapping[str, set[str]]) -> str:
    """The first name that no fill has, and one that is near to it."""
    for name, known in names.items():
        given = fill.get(name, fill.get(_ALIKE.get(name, name)))
        if given is not None and given not in known:
            return f"; {name} {given} is in none of them{nearest(given, sorted(known))}"
    return ""


def _places(frame: pl.DataFrame, fill: Mapping[str, Any]) -> list[int]:
    """Of the lines that say the same wherever the two have the same column."""
    named = {_ALIKE.get(name, name): value for name, value in fill.items()}
    wanted = {name: value for name, value in named.items() if name in frame.columns and value is not None}
    return [
        place
        for place, line in enumerate(frame.iter_rows(named=True))
        if all(_same(line[name], value) for name, value in wanted.items())
    ]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return isclose(one, other, rel_tol=1e-12)  # a score that was printed has twelve digits
    return bool(one == other)


def _done(path: Path, engine: Engine, entry: Entry) -> Any:
    try:
        return do(engine, entry)
    except FastadlError as error:
        remedy = "the entries before it, or it itself, are not what was written"
        raise JournalError((), f"entry {entry.sequence}, {entry.kind}: {error}", remedy, str(path)) from error


def _check(path: Path, entry: Entry, result: Any) -> None:
    what = difference(entry.payload, outcome(result))
    if what is not None:
        found = f"entry {entry.sequence}, {entry.kind}, done again: {what} is another"
        raise JournalError((), found, "the journal is not what this version of the engine did", str(path))
