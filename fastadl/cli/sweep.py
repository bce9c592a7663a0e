"""``fastadl stress`` over many seeds and parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastadl.cli.terminal import Several, console, tell
from fastadl.errors import InputError

if TYPE_CHECKING:
    from fastadl.sweep import SweepResult

__all__ = ["Many", "is_sweep", "spelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Many:
    """What is run many times.

    Parameters
    ----------
    seeds
        Run so many seeds, from 1 on, and say how sure the answers are.
    vary
        A parameter and its values, e.g. fund.share=0.001,0.005 or scenario.depth=0.2..0.5 (0.001..0.1:log
        in the logarithm, 10..300:whole in whole numbers); may be given several times.
    points
        How many points are drawn if a parameter has a range.
    executor
        local: processes of this machine; ray: a cluster. local unless given.
    workers
        Trials that run at a time; one for each core unless given.
    address
        Of a Ray cluster that is running; without it one is started here, and stopped. For shards also
        inline: all of them in this process, without Ray.
    """

    seeds: int | None = None
    vary: Several = None
    points: int | None = None
    executor: str | None = None
    workers: int | None = None
    address: str | None = None

    @property
    def asked(self) -> bool:
        """Whether anything was given that only a sweep has."""
        given = (self.seeds, self.vary, self.points, self.executor, self.workers, self.address)
        return any(each is not None for each in given)

    def run(
        self, file: str | None, changes: Mapping[str, Any], *, json: bool, out: str | None, html: str | None
    ) -> int:
        """Run the sweep, show what it answers, and return the exit code (rule R70)."""
        from fastadl.report.sweep import show, watching
        from fastadl.sweep import Sweep
        from fastadl.sweep.store import folder_of

        if self.seeds is not None and "seeds" in changes:
            raise InputError(("seeds",), self.seeds, "give either how many, or each with --seed")
        changes = {**changes, **self._changes()}
        if file is None:
            sweep = Sweep.of(changes, seeds=self.seeds)
        else:
            sweep = Sweep.load(file, changes, seeds=self.seeds)
        folder = None if file is None else folder_of(file)
        if out is None and folder is not None:
            out = str(folder)
        with watching(console(stderr=True)) as progress:
            result = sweep.run(
                out=out,
                executor=self.executor or "local",
                workers=self.workers,
                address=self.address,
                progress=progress,
            )
        tell(result, show, _write, json=json, html=html)
        return 1 if result.lost or not result.ok else 0 if result.finished else 130

    def _changes(self) -> dict[str, Any]:
        """What was given, by table of a sweep's file."""
        vary = None if self.vary is None else spelled(self.vary)
        given = {"vary": vary, "points": self.points}
        return {name: value for name, value in given.items() if value is not None}


def _write(result: SweepResult, file: str) -> None:
    from fastadl.report.page import write_sweep

    write_sweep(result, file)


def spelled(texts: Iterable[str]) -> dict[str, Any]:
    """What `Sweep` takes as ``vary``.

    Parameters
    ----------
    texts : iterable of str
        ``NAME=VALUE,VALUE,…``, or ``NAME=LOW..HIGH`` for a range, with ``:log`` or ``:whole`` behind it.

    Raises
    ------
    InputError
        At ``vary``.

    Examples
    --------
    >>> spelled(["fund.share=0.001,0.01", "scenario.depth=0.2..0.6"])
    {'fund.share': [0.001, 0.01], 'scenario.depth': {'low': 0.2, 'high': 0.6}}
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not (name and equals and values) or name in found:
            remedy = "give NAME=VALUE,VALUE,… or NAME=LOW..HIGH, each name once"
            raise InputError(("vary",), text, remedy)
        found[name] = _range(name, values) or [_value(value) for value in values.split(",")]
    return found


def _range(name: str, text: str) -> dict[str, Any] | None:
    """A range, of which both ends are numbers; a path with dots in it is none."""
    ends, *how = text.split(":")
    low, _, high = map(_value, ends.partition(".."))
    if isinstance(low, str) or isinstance(high, str):
        return None
    if not {"log", "whole"} >= {*how}:
        raise InputError(("vary", name), text, "give LOW..HIGH, with :log or :whole behind it or neither")
    return {"low": low, "high": high, **dict.fromkeys(how, True)}


def _value(text: str) -> Any:
    """A number if it is one, true or false, or the text."""
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return {"true": True, "false": False}.get(text, text)


def is_sweep(file: str) -> bool:
    """Whether a file or folder holds a sweep rather than one experiment."""
    from fastadl.stress.experiment import read_tables

    return Path(file).is_dir() or bool(read_tables(file).keys() & {"vary", "points", "sweep"})
