"""Runs a sweep: what is not done yet goes to an executor, what comes back is kept at once."""

from __future__ import annotations

import os
from contextlib import closing, suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any

import polars as pl

from fastadl.errors import FastadlError
from fastadl.stress.lab import prepare
from fastadl.stress.run import Progress, uninterrupted
from fastadl.sweep.executor import Executor, Lost, Trial
from fastadl.sweep.result import SweepResult, runs_of
from fastadl.sweep.store import Store, opened

if TYPE_CHECKING:
    from fastadl.sweep.sweep import Sweep

__all__ = ["perform"]

#: Frames of single trials after which they are made one, which takes less memory.
_MANY = 256


def perform(
    sweep: Sweep, *, out: str | os.PathLike[str] | None, executor: Executor, progress: Progress | None
) -> SweepResult:
    """Run a sweep, as `Sweep.run` says."""
    if out is None:
        return _Pass(sweep, executor, progress, None).result()
    with opened(out, sweep) as store:
        result = _Pass(sweep, executor, progress, store).result()
        with suppress(KeyboardInterrupt), uninterrupted():  # what is done is worth the moment it takes
            store.finish(result)
    return result


class _Pass:
    """One pass through a sweep."""

    def __init__(
        self, sweep: Sweep, executor: Executor, progress: Progress | None, store: Store | None
    ) -> None:
        self._sweep, self._executor, self._store = sweep, executor, store
        self._tell = progress or (lambda *_: None)
        self._started = perf_counter()
        self._frames = [] if store is None or store.found is None else [store.found]
        self._lost: dict[Trial, str] = {}

    def result(self) -> SweepResult:
        finished = set() if self._store is None else self._store.finished
        left = [trial for trial in self._sweep.trials if trial not in finished]
        with suppress(KeyboardInterrupt):
            self._run(left)
        if not self._frames:
            raise self._nothing()
        runs = runs_of(self._sweep, self._frames)
        return SweepResult(self._sweep, runs, self._lost, perf_counter() - self._started)

    def _run(self, left: list[Trial]) -> None:
        of = len(self._sweep.trials)
        done = found = of - len(left)
        before = f"; {found} of them found finished" if found else ""
        self._tell(f"starting{before}", done, of)
        if not left:
            return
        prepare(self._sweep.experiment)  # or every worker would compile the same kernels
        results: Any = self._executor.run(self._sweep.work, left)
        with closing(results):
            for trial, what in results:
                done += 1
                if isinstance(what, Lost):
                    self._lost[trial] = what.why
                else:
                    with uninterrupted():
                        self._keep(trial, what)
                self._tell(f"trials{before}", done, of)

    def _keep(self, trial: Trial, frame: pl.DataFrame) -> None:
        self._frames.append(frame)
        if self._store is not None:
            self._store.keep(trial, frame)
        if len(self._frames) >= 2 * _MANY:
            self._frames[_MANY:] = [pl.concat(self._frames[_MANY:], how="vertical_relaxed")]

    def _nothing(self) -> BaseException:
        """The error when not a single trial was done."""
        if not self._lost:
            return KeyboardInterrupt()
        trial, why = next(iter(self._lost.items()))
        return FastadlError(f"no trial could be done; seed {trial.seed} of point {trial.point}: {why}")
