"""``fastadl stress``: a synthetic book through a crash."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, cast

from cyclopts import Parameter

from fastadl.cli.sweep import Many, is_sweep
from fastadl.cli.terminal import Flag, Several, check_page, console, print_json, tell
from fastadl.errors import InputError, UnwrittenError

if TYPE_CHECKING:
    from fastadl.stress import Pressure, StressResult

__all__ = ["stress"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stress:
    """What is run, in place of what the experiment's file says.

    Parameters
    ----------
    book
        The folder of a book or of a dataset, which is read in place of one that is drawn.
    positions
        Open positions of traders; a million unless given.
    accounts
        Two for every five positions unless given.
    instruments
        Those that the scenario names come first; 300 unless given.
    shape
        How positions and accounts are drawn; an unknown name lists them.
    seed
        The same seed draws the same book and path; may be given several times.
    scenario
        A crash such as flash-crash or 2020-03-12; an unknown name lists them.
    prices
        CSV or Parquet files in place of a scenario: a time column and one column of closes per symbol, or
        OHLCV with one symbol a file.
    tiers
        JSON file of leverage tiers as ccxt gives them, for every asset named there.
    policy
        A preset of fastadl policies; may be given several times.
    fund
        Cash of the insurance fund; 0.5 % of the open interest unless given.
    feedback
        Whose orders move later prices: off, liquidations or all; may be given several times.
    """

    book: str | None = None
    positions: int | None = None
    accounts: int | None = None
    instruments: int | None = None
    shape: str | None = None
    seed: Annotated[list[int] | None, Parameter(negative="")] = None
    scenario: str | None = None
    prices: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None
    tiers: str | None = None
    policy: Several = None
    fund: str | None = None
    feedback: Several = None

    def changes(self) -> dict[str, Any]:
        """What was given, by table of an experiment's file."""
        if self.scenario is not None and self.prices is not None:
            raise InputError(("prices",), ", ".join(self.prices), "give prices or a scenario, not both")
        drawn = ("positions", "accounts", "instruments", "shape", "tiers")
        made = {name: getattr(self, name) for name in drawn if getattr(self, name) is not None}
        given = {
            "book": (made if self.book is None else {"folder": self.book, **made}) or None,
            "scenario": {"prices": self.prices} if self.prices is not None else self.scenario,
            "seeds": self.seed,
            "policies": self.policy,
            "fund": self.fund,
            "feedback": self.feedback,
        }
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shards:
    """Where the accounts of a book are.

    Parameters
    ----------
    shards
        Divide them over so many processes of a Ray cluster; see fastadl docs sharded. The result is the same.
    snapshots
        A folder that all machines of the cluster share, for what shards are made of again.
    deadline
        Seconds in which a shard answers; 60 unless given.
    threads
        Of each shard; all cores over shards unless given.
    """

    shards: int | None = None
    snapshots: str | None = None
    deadline: float | None = None
    threads: int | None = None

    def where(self, many: Many) -> dict[str, Any]:
        """What `Experiment.run` takes; refuses what only a sweep has."""
        how = {"snapshots": self.snapshots, "deadline": self.deadline, "threads": self.threads}
        if self.shards is None:
            for name, value in how.items():
                if value is not None:
                    raise InputError((name,), value, "say how many --shards, or leave it out")
            return {}
        for name in ("seeds", "vary", "points", "executor", "workers"):
            value = getattr(many, name)
            if value is not None:
                remedy = "leave it out, or --shards: trials of a sweep have a book each"
                raise InputError((name,), value, remedy)
        return {"shards": self.shards, "address": many.address, **how}


def stress(
    file: str | None = None,
    /,
    what: Annotated[_Stress, Parameter(name="*")] = _Stress(),
    many: Annotated[Many, Parameter(name="*")] = Many(),
    apart: Annotated[_Shards, Parameter(name="*")] = _Shards(),
    *,
    pressure: str | None = None,
    html: str | None = None,
    json: Flag = False,
    out: str | None = None,
) -> int:
    """Drive a book through a crash, under one policy or several side by side.

    Without anything: a million positions through bitcoin's 12 and 13 March 2020. Ctrl-C keeps what is done.

    Parameters
    ----------
    file
        An experiment in TOML, or the result.json of one to run it again; what is given beside it replaces
        what it says. Or the folder of a sweep, or its result.json: it goes on where it ended.
    pressure
        Show the pressure curve of the book instead: a market such as BTC-PERP that moves alone, or all.
    html
        Also write a report for people into this file: one page that needs nothing else.
    json
        Print one JSON object instead of tables.
    out
        Write result.json and every frame as Parquet into this new or empty folder; a sweep writes every
        trial as it comes, and goes on in its own folder.
    """
    # on a machine that does other work too, threads that wait for each other busily take it from the others
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    changes, place = what.changes(), apart.where(many)
    if html is not None:
        check_page(html)
    sweep = file is not None and is_sweep(file)
    if place and (sweep or pressure is not None):
        name, value = ("file", file) if sweep else ("pressure", pressure)
        raise InputError((name,), value, "leave out --shards: one crash runs in shards, and nothing else")
    if sweep or (many.asked and not place):
        if pressure is not None:
            raise InputError(("pressure",), pressure, "leave it out of a sweep: it is of one book")
        return many.run(file, changes, json=json, out=out, html=html)
    from fastadl.report.stress import show, watching
    from fastadl.stress import Experiment

    experiment = Experiment.of(changes) if file is None else Experiment.of_file(file, changes)
    if pressure is not None and html is not None:
        raise InputError(("html",), html, "leave out --pressure: a report holds the curve")
    if pressure is not None:
        _show_pressure(experiment.pressure(None if pressure == "all" else pressure), json=json, out=out)
        return 0
    unwritten: UnwrittenError | None = None
    with watching(console(stderr=True)) as progress:
        try:
            result = experiment.run(out=out, progress=progress, **place)
        except UnwrittenError as error:
            result, unwritten = cast("StressResult", error.result), error
    tell(result, show, _write, json=json, html=html)
    if unwritten is not None:
        raise unwritten
    return 130 if not result.finished else 0 if result.ok else 1


def _write(result: StressResult, file: str) -> None:
    from fastadl.report.page import write

    write(result, file)


def _show_pressure(curve: Pressure, *, json: bool, out: str | None) -> None:
    from fastadl.report.pressure import show
    from fastadl.scenario import write_result

    if out is not None:
        frames = {"pressure": curve.frame, "by_instrument": curve.by_instrument}
        write_result(curve.to_dict(), frames, out)
    if json:
        print_json(curve.to_dict())
    else:
        show(curve, console())
