"""An experiment: a book, a scenario, order books, a fund and policies, from a file or from Python."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastadl.errors import InputError
from fastadl.policy import AdlPolicy
from fastadl.policy.funding import refuse_unknown
from fastadl.stress import paths, toml
from fastadl.stress.drawn import Drawn, FundOf
from fastadl.stress.engines import where
from fastadl.stress.lab import perform, pressure_of
from fastadl.stress.order_book import Depth
from fastadl.stress.paths import Scenario
from fastadl.stress.pressure import Pressure
from fastadl.stress.result import StressResult
from fastadl.stress.run import Progress

__all__ = ["FEEDBACK", "Experiment", "changed", "read_tables", "run"]

#: Whose orders move later prices: nobody's, those of liquidations, those of deleveraged traders too.
FEEDBACK = ("off", "liquidations", "all")
_TABLES = ("book", "scenario", "liquidity", "fund", "policies", "seeds", "feedback")


@dataclass(frozen=True, slots=True, init=False)
class Experiment:
    """A book along a scenario under any number of policies, seeds and kinds of feedback.

    Every policy meets the same books, paths and order books. A seed draws the book and what is random in the
    scenario; equal experiments give equal results, whatever the number of threads.

    Parameters
    ----------
    book : Drawn or mapping
        `Drawn`'s parameters.
    scenario : str, mapping or Scenario
        A name of `fastadl.stress.SCENARIOS`; ``{"name": …}`` and its parameters; or ``{"prices": …}``, one or
        more files.
    liquidity : Depth or mapping, optional
        `Depth`'s parameters.
    fund : decimal, mapping or Fund, optional
        Cash, the fields of `Fund`, or ``{"share": …}`` of the open interest; 0.5 % of it unless given.
    policies : str, sequence of str, or mapping
        Presets; or names of one's own, each with what `AdlPolicy.of` takes.
    seeds : int or sequence of int
    feedback : str or sequence of str, optional
        Of `FEEDBACK`, one run for each, in place of `Depth`'s. Unless either says something, a path that
        somebody has seen already holds its cascade and gets ``off``; others get ``all``.

    Raises
    ------
    InputError
        Naming the field.

    Examples
    --------
    >>> from fastadl.stress import Experiment
    >>> result = Experiment(book={"positions": 2000, "instruments": 3}, policies=["bitmex", "pro_rata"]).run()
    >>> result.ok, result.policies["policy"].to_list()
    (True, ['bitmex', 'pro_rata'])
    """

    book: Drawn
    scenario: Scenario
    scenario_table: Mapping[str, Any]
    liquidity: Depth
    fund: FundOf
    policies: Mapping[str, AdlPolicy]
    seeds: tuple[int, ...]
    feedback: tuple[str, ...]

    def __init__(
        self,
        *,
        book: Any = None,
        scenario: Any = "2020-03-12",
        liquidity: Any = None,
        fund: Any = None,
        policies: Any = ("bitmex",),
        seeds: Any = (1,),
        feedback: Any = None,
    ) -> None:
        put = object.__setattr__
        put(self, "book", Drawn.of({} if book is None else book))
        found, table = _scenario(scenario)
        put(self, "scenario", found)
        put(self, "scenario_table", table)
        put(self, "liquidity", Depth.of(liquidity))
        put(self, "fund", FundOf.of(fund))
        put(self, "policies", _policies(policies))
        put(self, "seeds", _seeds(seeds))
        spoken = isinstance(liquidity, Depth) or (isinstance(liquidity, Mapping) and "feedback" in liquidity)
        usual = self.liquidity.feedback if spoken else "off" if found.anchors else "all"
        put(self, "feedback", _feedback(usual if feedback is None else feedback))

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Experiment:
        """From tables as in an experiment's file."""
        refuse_unknown(given, _TABLES)
        return cls(**given)

    @classmethod
    def load(cls, file: str | os.PathLike[str]) -> Experiment:
        """Read an experiment from TOML, or again from the ``result.json`` of one that was run.

        Raises
        ------
        InputError
            Naming the file and the field.
        """
        return cls.of_file(file, {})

    @classmethod
    def of_file(cls, file: str | os.PathLike[str], changes: Mapping[str, Any]) -> Experiment:
        """Read an experiment as `load` does, some tables or fields of tables replaced.

        Parameters
        ----------
        file : path
        changes : mapping
            By table: a mapping goes into a table of the file, anything else takes its place. Names of
            policies that the file defines stand for these.
        """
        tables = changed(read_tables(file), changes)
        try:
            return cls.of(tables)
        except InputError as error:
            raise error if error.file is not None else error.within(os.fspath(file)) from None

    def to_dict(self) -> dict[str, Any]:
        """The tables that `of` reads."""
        return {
            "seeds": list(self.seeds),
            "feedback": list(self.feedback),
            "book": self.book.to_dict(),
            "scenario": dict(self.scenario_table),
            "fund": self.fund.to_dict(),
            "liquidity": {
                name: value for name, value in self.liquidity.to_dict().items() if name != "feedback"
            },
            "policies": {name: policy.choices() for name, policy in self.policies.items()},
        }

    def to_toml(self) -> str:
        """The text of a file that `load` reads."""
        return toml.written(self.to_dict())

    @property
    def runs(self) -> int:
        """How many runs it takes."""
        return len(self.seeds) * len(self.feedback) * len(self.policies)

    def run(
        self,
        *,
        out: str | os.PathLike[str] | None = None,
        progress: Progress | None = None,
        shards: int | None = None,
        address: str | None = None,
        snapshots: str | os.PathLike[str] | None = None,
        deadline: float | None = None,
        threads: int | None = None,
    ) -> StressResult:
        """Run everything: seed by seed, kind of feedback by kind, policy by policy.

        An interrupt (Ctrl-C) ends it: what is finished is kept, and written. Shards give the same result.

        Parameters
        ----------
        out : path, optional
            A new or empty folder for ``result.json``, ``experiment.toml``, the frames of the result, and a
            folder of Parquet files for each list of the reports. Written whole or not at all.
        progress : callable, optional
            Told what is going on, how many steps are done, and of how many.
        shards : int, optional
            Run on `fastadl.ShardedEngine` of so many; those of a dataset read it themselves.
        address, snapshots, deadline, threads : optional
            As that takes them; ``snapshots`` is its ``folder``.

        Raises
        ------
        InputError
            For a parameter or file that is refused, before anything is run; for Ray that is not installed, or
            a cluster that does not answer.
        ShardError
            For a shard that cannot go on, or is late.
        UnwrittenError
            If the folder could not be written in the end; it holds the result.
        KeyboardInterrupt
            If not a single step was done.
        """
        how = {"address": address, "snapshots": snapshots, "deadline": deadline, "threads": threads}
        return perform(self, out, progress, where(shards, **how))

    def pressure(self, symbol: str | None = None) -> Pressure:
        """What one shock would leave of the book of the first seed, before anything has happened.

        Parameters
        ----------
        symbol : str, optional
            Shock this market alone.

        Returns
        -------
        Pressure
            See `fastadl.stress.pressure`; shortfalls are split as the first policy says.
        """
        return pressure_of(self, symbol)


def run(
    *,
    out: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    shards: int | None = None,
    address: str | None = None,
    snapshots: str | os.PathLike[str] | None = None,
    deadline: float | None = None,
    threads: int | None = None,
    **what: Any,
) -> StressResult:
    """Run an experiment: ``Experiment(**what)``, then its `run`.

    Examples
    --------
    >>> from fastadl import stress
    >>> result = stress.run(book={"positions": 2000, "instruments": 3})
    >>> result.ok, len(result.steps)
    (True, 48)
    """
    return Experiment(**what).run(
        out=out,
        progress=progress,
        shards=shards,
        address=address,
        snapshots=snapshots,
        deadline=deadline,
        threads=threads,
    )


def read_tables(file: str | os.PathLike[str]) -> dict[str, Any]:
    """The tables of an experiment's file, as they stand there."""
    name = os.fspath(file)
    try:
        data = Path(name).read_bytes()
        tables: Any = json.loads(data) if name.endswith(".json") else tomllib.loads(data.decode())
    except OSError as error:
        remedy = "give a readable TOML file, or the result.json of a run"
        raise InputError((), error.strerror or "cannot be read", remedy, name) from None
    except (ValueError, RecursionError) as error:
        raise InputError((), " ".join(str(error).split()), "give a TOML file in UTF-8", name) from None
    if isinstance(tables, dict) and isinstance(tables.get("experiment"), dict):
        tables = tables["experiment"]
    if not isinstance(tables, dict):
        raise InputError((), type(tables).__name__, "give the tables of an experiment", name)
    return tables


def changed(tables: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Tables with others in place of them or in them, as `Experiment.of_file` says."""
    found, defined = dict(tables), tables.get("policies")
    for name, change in changes.items():
        both = isinstance(change, Mapping) and isinstance(found.get(name), Mapping)
        found[name] = {**found[name], **change} if both and name != "scenario" else change
    if "policies" in changes and isinstance(defined, Mapping):
        found["policies"] = {policy: defined.get(policy, policy) for policy in changes["policies"]}
    return found


def _scenario(given: Any) -> tuple[Scenario, dict[str, Any]]:
    """A scenario, and the table that gives it again."""
    if isinstance(given, Scenario):
        return given, given.to_dict()
    if isinstance(given, str):
        return paths.named(given), {"name": given}
    table = dict(given) if isinstance(given, Mapping) else {}
    if ("prices" in table) == ("name" in table):
        remedy = "give a name with its parameters, or prices: one or more files"
        raise InputError(("scenario",), given, remedy)
    if "prices" in table:
        refuse_unknown(table, ("prices",), "scenario")
        files = [table["prices"]] if isinstance(table["prices"], (str, os.PathLike)) else table["prices"]
        return paths.read(files), {"prices": [os.fspath(file) for file in files]}
    name = table.pop("name")
    return paths.named(name, **table), {"name": name, **table}


def _policies(given: Any) -> dict[str, AdlPolicy]:
    if isinstance(given, str):
        given = [given]
    if isinstance(given, Mapping):
        named = {str(name): choices for name, choices in given.items()}
    elif isinstance(given, Sequence) and all(isinstance(name, str) for name in given):
        named = dict(zip(given, given, strict=True))
    else:
        raise InputError(("policies",), given, "name presets, or give a table of choices for each name")
    if not named or len(named) < len(given):
        remedy = "name every policy once" if named else "name at least one policy"
        raise InputError(("policies",), list(given), remedy)
    found = {}
    for name, choices in named.items():
        try:
            found[name] = AdlPolicy.of(choices)
        except InputError as error:
            path = ("policies", name, *error.path[1:])
            raise type(error)(path, error.value, error.remedy, error.file) from None
    return found


def _seeds(given: Any) -> tuple[int, ...]:
    seeds = [given] if isinstance(given, (int, np.integer)) else given
    if not isinstance(seeds, Sequence) or isinstance(seeds, str) or not seeds:
        raise InputError(("seeds",), given, "give a whole number, or a list of them")
    for place, seed in enumerate(seeds):
        if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool) or seed < 0:
            raise InputError(("seeds", place), seed, "give a whole number, 0 or more")
    if len(set(seeds)) < len(seeds):
        raise InputError(("seeds",), list(seeds), "name every seed once")
    return tuple(int(seed) for seed in seeds)


def _feedback(given: Any) -> tuple[str, ...]:
    kinds = [given] if isinstance(given, str) else given
    if not isinstance(kinds, Sequence) or not kinds or len(set(map(str, kinds))) < len(kinds):
        raise InputError(("feedback",), given, f"name each once, of {', '.join(FEEDBACK)}")
    for kind in kinds:
        if kind not in FEEDBACK:
            raise InputError(("feedback",), kind, f"give one or more of {', '.join(FEEDBACK)}")
    return tuple(kinds)
