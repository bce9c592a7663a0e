"""A sweep: an experiment at many seeds and at many values of its parameters."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastadl.errors import InputError
from fastadl.policy import OwnScore
from fastadl.stress import Depth, Experiment, toml
from fastadl.stress.experiment import changed, read_tables
from fastadl.stress.run import Progress
from fastadl.sweep.design import Point, Range, Vary, changed_at, points_of, said, vary_of, whole_number
from fastadl.sweep.executor import Executor, Trial, Work
from fastadl.sweep.identity import MADE
from fastadl.sweep.local import Local
from fastadl.sweep.run import perform
from fastadl.sweep.store import folder_of

if TYPE_CHECKING:
    from fastadl.sweep.result import SweepResult

__all__ = ["Sweep"]

#: Seeds, and trials, that are not a slip of the hand.
_MOST = 10_000_000


@dataclass(frozen=True, slots=True, init=False)
class Sweep:
    """An experiment at every seed and at every point of its parameters.

    The seeds are the same at every point, so that points differ by nothing but their parameters. Equal sweeps
    give equal results, whoever runs them and however often they were interrupted.

    Parameters
    ----------
    experiment : Experiment or mapping
        What is run; or its tables, as in a file.
    seeds : int or sequence of int, optional
        How many, from 1 on; or which. Those of the experiment unless given.
    vary : mapping, optional
        By parameter, a list of values; or a range, ``{"low": …, "high": …}``, drawn evenly in the logarithm
        with ``"log": True`` and in whole numbers with ``"whole": True``. A parameter is a field of the
        experiment's tables such as ``fund.share``, ``book.shape``, ``scenario.depth`` or
        ``policies.NAME.CHOICE``; or a whole table, or policy: ``scenario``, ``fund``, ``policies.NAME``.
        Lists alone give all combinations.
    points : int, optional
        How many points are drawn, if there is a range.

    Attributes
    ----------
    experiment : Experiment
        As it is unless varied.
    seeds : tuple of int
    vary : dict
    drawn : int or None
        How many points are drawn.
    points : tuple of dict
        Values by parameter.
    experiments : tuple of Experiment
        One a point, at the first seed.
    trials : tuple of Trial
        Every seed of every point.

    Raises
    ------
    InputError
        For any point that could not be run.

    Examples
    --------
    >>> from fastadl.sweep import Sweep
    >>> sweep = Sweep({"book": {"positions": 2000}}, seeds=50, vary={"fund.share": ["0.001", "0.01"]})
    >>> len(sweep.points), len(sweep.trials)
    (2, 100)
    """

    experiment: Experiment
    seeds: tuple[int, ...]
    vary: Vary
    drawn: int | None
    points: tuple[Point, ...]
    experiments: tuple[Experiment, ...]
    trials: tuple[Trial, ...]
    _tables: Mapping[str, Any]

    def __init__(
        self,
        experiment: Experiment | Mapping[str, Any],
        *,
        seeds: int | Sequence[int] | None = None,
        vary: Mapping[str, Any] | None = None,
        points: int | None = None,
    ) -> None:
        put, spread = object.__setattr__, vary_of(vary)
        base, tables = _base(experiment, _seeds(seeds), spread)
        put(self, "experiment", base)
        put(self, "seeds", base.seeds)
        if max(base.seeds) >= 1 << 63:
            raise InputError(("seeds",), max(base.seeds), "give whole numbers below 2^63")
        put(self, "vary", spread)
        put(self, "drawn", points)
        put(self, "points", points_of(spread, points))
        if len(self.points) * len(self.seeds) > _MOST:
            found = f"{len(self.points)} points at {len(self.seeds)} seeds"
            raise InputError(("seeds",), found, f"give fewer: at most {_MOST:,} trials in all")
        put(self, "experiments", tuple(_at(base, tables, point) for point in self.points))
        at = range(len(self.points))
        put(self, "trials", tuple(Trial(point, seed) for point in at for seed in self.seeds))
        put(self, "_tables", tables)

    @classmethod
    def of(cls, given: Mapping[str, Any], *, seeds: int | Sequence[int] | None = None) -> Sweep:
        """From tables as in a file: those of an experiment, ``vary`` and ``points``.

        Parameters
        ----------
        given : mapping
            A number as its ``seeds`` is a seed, as in a file.
        seeds : int or sequence of int, optional
            How many, or which, in place of those of the tables.
        """
        tables = dict(given)
        vary, points = tables.pop("vary", None), tables.pop("points", None)
        return cls(tables, seeds=seeds, vary=vary, points=points)

    @classmethod
    def load(
        cls,
        file: str | os.PathLike[str],
        changes: Mapping[str, Any] | None = None,
        *,
        seeds: int | Sequence[int] | None = None,
    ) -> Sweep:
        """Read a sweep from TOML, or again from the folder, or the ``result.json``, of one that was run.

        Parameters
        ----------
        file : path
            That of an experiment, with a table ``[vary]`` and a number ``points`` if there is a range.
        changes : mapping, optional
            By table: a mapping goes into a table of the file, anything else takes its place.
        seeds : int or sequence of int, optional
            How many, or which, in place of those of the file.

        Raises
        ------
        InputError
            Naming the file and the field.
        """
        folder, seeds = folder_of(file), _seeds(seeds)
        name = os.fspath(file if folder is None else folder / "sweep.toml")
        tables = read_tables(name)
        if isinstance(tables.get("sweep"), dict):
            tables = tables["sweep"]
        for key in MADE:
            tables.pop(key, None)
        try:
            return cls.of(changed(tables, changes or {}), seeds=seeds)
        except InputError as error:
            raise error if error.file is not None else error.within(name) from None

    def to_dict(self) -> dict[str, Any]:
        """The tables that `of` reads."""
        vary = {
            name: values.to_dict() if isinstance(values, Range) else list(values)
            for name, values in self.vary.items()
        }
        points = {} if self.drawn is None else {"points": self.drawn}
        return {**self._tables, **points, **({"vary": vary} if vary else {})}

    def to_toml(self) -> str:
        """The text of a file that `load` reads."""
        return toml.written(self.to_dict())

    @property
    def work(self) -> Work:
        """What those who perform the trials are told."""
        return Work(self.experiments, tuple(map(said, self.points)))

    def run(
        self,
        *,
        out: str | os.PathLike[str] | None = None,
        executor: str | Executor = "local",
        workers: int | None = None,
        address: str | None = None,
        progress: Progress | None = None,
    ) -> SweepResult:
        """Run every trial that is not in the folder already.

        An interrupt (Ctrl-C) ends it: what is finished is kept, and written.

        Parameters
        ----------
        out : path, optional
            A folder, new, empty, or of this very sweep with any seeds: it goes on where that ended. Each
            trial is written when it is finished; all frames and ``result.json`` at the end.
        executor : str or Executor
            ``local``: processes of this machine; ``ray``: a cluster.
        workers : int, optional
            How many trials run at a time; one for each core unless given, fewer where memory is short. A
            single one runs in this process.
        address : str, optional
            Of a Ray cluster that is running; without it one is started on this machine, and stopped.
        progress : callable, optional
            Told what is going on, how many trials are done, and of how many.

        Raises
        ------
        InputError
            For a folder that is of another sweep, in use, or cannot be written, and for a parameter that can
            only be checked when it is used; what is finished stays there.
        MemoryLimitError
            If books do not fit the memory that is free as often as `workers` says.
        KeyboardInterrupt
            If not a single trial was done.
        FastadlError
            If every one of them failed.
        """
        return perform(self, out=out, executor=_executor(executor, workers, address), progress=progress)


def _base(
    experiment: Experiment | Mapping[str, Any], seeds: Sequence[int] | None, vary: Vary
) -> tuple[Experiment, dict[str, Any]]:
    """The experiment that is varied, and its tables; no feedback in them where each scenario has its own."""
    if not isinstance(experiment, (Experiment, Mapping)):
        raise InputError(("experiment",), experiment, "give an Experiment, or its tables")
    given = experiment.to_dict() if isinstance(experiment, Experiment) else dict(experiment)
    if seeds is not None:
        given["seeds"] = seeds
    base = Experiment.of(given)
    if base.book.folder is not None:
        remedy = "leave it out: a sweep draws its books"
        raise InputError(("book", "folder"), base.book.folder, remedy)
    for name, policy in base.policies.items():
        own = [score.name for score in (policy.score, *policy.then) if isinstance(score, OwnScore)]
        if own:
            remedy = "name a score of fastadl: one of your own is not known to other processes"
            raise InputError(("policies", name, "score"), own[0], remedy)
    tables, liquidity = base.to_dict(), given.get("liquidity")
    spoken = isinstance(liquidity, Depth) or "feedback" in {*given, *(liquidity or ())}
    if not spoken and {"scenario", "scenario.name"} & vary.keys():
        del tables["feedback"]
    return base, tables


def _at(base: Experiment, tables: Mapping[str, Any], point: Point) -> Experiment:
    """The experiment at a point; what is not varied is not read again."""
    at = {**changed_at(tables, point), "seeds": base.seeds[:1]}
    varied = {name.partition(".")[0] for name in point}
    if "scenario" not in varied:
        at["scenario"] = base.scenario
    try:
        return Experiment.of(at)
    except InputError as error:
        if not point:
            raise
        remedy = f"{error.remedy} (at {said(point)})"
        raise type(error)(error.path, error.value, remedy, error.file) from None


def _seeds(given: int | Sequence[int] | None) -> Sequence[int] | None:
    if not isinstance(given, int):
        return given
    if whole_number(given, "seeds") > _MOST:
        raise InputError(("seeds",), given, f"give at most {_MOST:,}")
    return range(1, given + 1)


def _executor(given: str | Executor, workers: int | None, address: str | None) -> Executor:
    """The executor that is meant."""
    if workers is not None:
        whole_number(workers, "workers")
    if address is not None and address.strip() in ("", "local"):
        raise InputError(("address",), address, "leave it out: without one, a cluster is started here")
    if given == "ray":
        from fastadl.sweep.on_ray import Ray

        return Ray(workers, address)
    if address is not None:
        raise InputError(("address",), address, "only the executor ray has one")
    if given == "local":
        return Local(workers)
    if isinstance(given, str):
        raise InputError(("executor",), given, "name local or ray")
    if workers is not None:
        raise InputError(("workers",), workers, "an executor of one's own has its workers already")
    return given
