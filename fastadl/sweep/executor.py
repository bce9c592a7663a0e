"""What the runs of a sweep are to whoever performs them, here or on other machines."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

import polars as pl

from fastadl import stress
from fastadl.book import Book
from fastadl.errors import BoundsError, InputError, MemoryLimitError
from fastadl.stress import Experiment

__all__ = ["ATTEMPTS", "Executor", "Found", "Lost", "Shelf", "Trial", "Work"]

#: How often a trial is begun whose worker is killed, before it is given up.
ATTEMPTS = 3


class Trial(NamedTuple):
    """One seed at one point of a sweep: every kind of feedback, every policy."""

    point: int
    seed: int


@dataclass(frozen=True, slots=True)
class Lost:
    """What comes of a trial that cannot be done.

    Attributes
    ----------
    why : str
        In one line.
    """

    why: str


Found: TypeAlias = "pl.DataFrame | Lost"


@dataclass(frozen=True, slots=True)
class Work:
    """What workers need to know; goes to other processes by pickle.

    Attributes
    ----------
    experiments : tuple of Experiment
        One a point.
    points : tuple of str
        What each is, in words.
    """

    experiments: tuple[Experiment, ...]
    points: tuple[str, ...]

    def perform(self, trial: Trial, book: Book | None = None) -> pl.DataFrame:
        """Run a trial.

        Parameters
        ----------
        trial : Trial
        book : Book, optional
            What `draw` gives for it, if somebody has it; it is only read.

        Returns
        -------
        DataFrame
            ``point``, and the columns of `fastadl.stress.trial`.
        """
        runs = stress.trial(self.experiments[trial.point], trial.seed, book)
        return runs.select(pl.lit(trial.point, pl.Int64).alias("point"), pl.all())

    def attempt(self, trial: Trial, book: Book | None = None) -> Found:
        """Run a trial as `perform` does; one that fails alone is lost, and the others go on.

        Raises
        ------
        InputError
            If a parameter is refused that could only be checked now: the sweep cannot go on as it is.
        """
        try:
            return self.perform(trial, book)
        except InputError as error:
            if isinstance(error, (BoundsError, MemoryLimitError)):
                return Lost(str(error))
            raise self._at(error, trial) from None
        except Exception as error:  # a defect, which must not take the rest of a long sweep with it
            return Lost(" ".join(f"{type(error).__name__}: {error}".split()))

    def book_key(self, trial: Trial) -> Hashable | None:
        """Equal for trials that run on the very same book; None where each draws its own."""
        experiment = self.experiments[trial.point]
        if experiment.book.seed is None:
            return None
        return repr((experiment.book.to_dict(), list(experiment.scenario.anchors.items())))

    def draw(self, trial: Trial) -> Book:
        """The book of a trial.

        Raises
        ------
        InputError
            As `attempt` does; MemoryLimitError if it does not fit the memory that is free.
        """
        try:
            return stress.draw(self.experiments[trial.point], trial.seed)
        except InputError as error:
            raise self._at(error, trial) from None

    def _at(self, error: InputError, trial: Trial) -> InputError:
        """The error, and at which point it is one."""
        point = self.points[trial.point]
        remedy = f"{error.remedy} (at {point})" if point else error.remedy
        return type(error)(error.path, error.value, remedy, error.file)


class Shelf:
    """Performs trials one after another and keeps the last book that may be needed again.

    Parameters
    ----------
    work : Work
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._key: Hashable | None = None
        self._book: Book | None = None

    def attempt(self, trial: Trial) -> Found:
        """Run a trial, as `Work.attempt` says."""
        key = self._work.book_key(trial)
        if key is None or key != self._key:
            self._book = None
            self._book = None if key is None else self._work.draw(trial)
            self._key = key
        return self._work.attempt(trial, self._book)


class Executor(Protocol):
    """Performs trials; the same come out, whoever does it."""

    def run(self, work: Work, trials: Sequence[Trial]) -> Iterator[tuple[Trial, Found]]:
        """Give what comes of each trial once, in any order, as they come; a generator.

        A worker that is killed is replaced and its trial begun again, `ATTEMPTS` times in all; then it is
        lost. Closing the generator stops all workers; none outlives this process.

        Parameters
        ----------
        work : Work
        trials : sequence of Trial
        """
        ...
