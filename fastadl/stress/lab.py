"""Runs an experiment: one draw a seed, and steps in which policies do the same are run once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from fastadl import io, memory, synth
from fastadl.book import Book
from fastadl.engine import Engine
from fastadl.errors import InputError, UnwrittenError
from fastadl.policy import AdlPolicy, Fund
from fastadl.schema import Float64Array
from fastadl.sharded.dataset import Dataset
from fastadl.stress.compare import policies
from fastadl.stress.engines import InOnePlace, InShards, Where
from fastadl.stress.order_book import Depth, OrderBook
from fastadl.stress.payers import Holders
from fastadl.stress.portrait import Portrait
from fastadl.stress.pressure import Pressure, engine_to_read, pressure
from fastadl.stress.result import Facts, StressResult, Writer
from fastadl.stress.run import Course, Outcome, Progress, Run, uninterrupted

if TYPE_CHECKING:
    from fastadl.stress.experiment import Experiment

__all__ = [
    "Ground",
    "draw",
    "memory_of",
    "perform",
    "prepare",
    "pressure_of",
    "refuse_beyond_memory",
    "trial",
]

#: Bytes of a run for each position and each account (measured at 0.1 to 3 million positions).
_ROW = 180

#: Cash in atoms that no fund runs out of (rule R1 allows twice as much).
_ENDLESS = 1 << 61

_HERE = InOnePlace()


def perform(
    experiment: Experiment, out: str | os.PathLike[str] | None, progress: Progress | None, place: Where
) -> StressResult:
    """Run an experiment, as `Experiment.run` says."""
    refuse_beyond_memory(experiment)
    if out is None:
        with place.ready() as there:
            return _Lab(experiment, progress or _silent, None, there).result()
    io.check_folder(out)
    result: StressResult | None = None
    try:
        with io.new_folder(out) as folder, place.ready() as there:
            writer = Writer(folder)
            result = _Lab(experiment, progress or _silent, writer, there).result()
            with suppress(KeyboardInterrupt), uninterrupted():  # what is done is worth the moment it takes
                writer.finish(result)
    except InputError as error:
        if result is None:
            raise
        unwritten = UnwrittenError(error.path, error.value, error.remedy, error.file)
        unwritten.result = result
        raise unwritten from None
    return result


def pressure_of(experiment: Experiment, symbol: str | None) -> Pressure:
    """The pressure curve, as `Experiment.pressure` says."""
    book = draw(experiment, experiment.seeds[0])
    ground = Ground.of(experiment, experiment.seeds[0], book)
    policy = next(iter(experiment.policies.values()))
    engine = engine_to_read(book, policy)
    engine.mark(ground.course.marks[0])
    return pressure(engine, symbol=symbol, fund=ground.fund)


def memory_of(experiment: Experiment) -> int:
    """Bytes that a run takes, about."""
    return _ROW * sum(experiment.book.size())


def refuse_beyond_memory(experiment: Experiment) -> None:
    """Refuse an experiment whose runs do not fit the memory that is free.

    Raises
    ------
    MemoryLimitError
        Before anything is drawn.
    """
    positions, accounts = experiment.book.size()
    what = f"{positions:,} positions of {accounts:,} accounts"
    memory.refuse_beyond(memory_of(experiment), ("book", "positions"), what)


def draw(experiment: Experiment, seed: int) -> Book:
    """The book that a seed of an experiment is run on.

    Parameters
    ----------
    experiment : Experiment
    seed : int
    """
    anchors = experiment.scenario.anchors
    if "prices" not in experiment.scenario.parameters:  # of a file, every symbol is wanted
        anchors = dict(islice(anchors.items(), experiment.book.instruments))
    return experiment.book.draw(anchors, seed)


def trial(experiment: Experiment, seed: int, book: Book | None = None) -> pl.DataFrame:
    """One seed of an experiment, for one run among thousands: without files, progress, or compiling first.

    Parameters
    ----------
    experiment : Experiment
    seed : int
        In place of the experiment's seeds.
    book : Book, optional
        What `draw` gives for the experiment and the seed, unless it shall be drawn. It is only read, and its
        arrays may be read-only.

    Returns
    -------
    DataFrame
        The rows of `StressResult.policies`, without ``seconds``: equal experiments give equal frames.

    Raises
    ------
    InputError
        For a parameter or file that is refused.
    KeyboardInterrupt
        If it was interrupted; what was done is lost.

    Examples
    --------
    >>> from fastadl import stress
    >>> book = {"positions": 2000, "instruments": 3}
    >>> experiment = stress.Experiment(book=book, policies=["bitmex", "vega"])
    >>> stress.trial(experiment, 7).select("seed", "policy").rows()
    [(7, 'bitmex'), (7, 'vega')]
    """
    lab = _Lab(experiment, _silent, None, _HERE)
    lab.run(Ground.of(experiment, seed, book))
    return policies(lab.outcomes, lab.needed).drop("seconds")


def _silent(*_: object) -> None:
    """Progress that nobody watches."""


class _Lab:
    """One pass through an experiment."""

    def __init__(self, experiment: Experiment, tell: Progress, writer: Writer | None, place: Where) -> None:
        self._experiment, self._tell, self._writer, self._place = experiment, tell, writer, place
        self._started = perf_counter()
        self.outcomes: list[Outcome] = []
        self.needed: dict[tuple[int, str], int] = {}
        self._facts: list[Facts] = []
        self._portrait: Portrait | None = None
        self._decimals = 0

    def result(self) -> StressResult:
        try:
            self._tell("compiling kernels", 0, 1)
            prepare(self._experiment, self._place)
            self._every_seed()
        except KeyboardInterrupt:
            pass
        facts = tuple(self._facts)
        kept = tuple(outcome for outcome in self.outcomes if len(outcome.steps))
        if not kept or self._portrait is None:
            raise KeyboardInterrupt
        steps = sum(len(outcome.steps) for outcome in kept)
        self._tell("done", steps, self._experiment.runs * facts[0].steps)
        seconds = perf_counter() - self._started
        return StressResult(
            self._experiment, kept, facts, self.needed, self._portrait, self._decimals, seconds
        )

    def _every_seed(self) -> None:
        book = None
        for seed in self._experiment.seeds:
            self._tell(f"drawing the book of seed {seed}", 0, 1)
            ground = Ground.of(self._experiment, seed, book, self._portrait is None, self._place)
            self._portrait = self._portrait or ground.portrait
            self.run(ground)
            if self._experiment.book.same:
                book = ground.book

    def run(self, ground: Ground) -> None:
        """All runs of a seed; an interrupt leaves what was done in `outcomes`."""
        self._facts.append(ground.facts)
        self._decimals = ground.book.instruments.decimals[0]
        for feedback in self._experiment.feedback:
            for outcome in self._policies(ground, feedback):
                self.outcomes.append(outcome)
                if not outcome.finished:
                    raise KeyboardInterrupt
            done = len(self.outcomes) * ground.facts.steps
            self._tell("the fund that was needed", done, self._experiment.runs * ground.facts.steps)
            self.needed[ground.seed, feedback] = ground.fund_needed(feedback)

    def _policies(self, ground: Ground, feedback: str) -> Iterator[Outcome]:
        """The outcomes of all policies; those alike share the steps until the fund leaves a loss.

        In shards none do, for a fork would have the whole book in one place.
        """
        policies = self._experiment.policies
        alike: dict[str, list[str]] = {}
        for name, policy in policies.items():
            if policy.idle_until_loss and isinstance(self._place, InOnePlace):
                alike.setdefault(policy.split, []).append(name)
        common: dict[str, Run] = {}
        with ExitStack() as begun:
            for name, policy in policies.items():
                which = {"seed": ground.seed, "feedback": feedback, "policy": name}
                group = alike.get(policy.split, [])
                self._step(name)("beginning", 0, ground.facts.steps)
                if name not in group or len(group) == 1:
                    with ground.running(which, policy) as alone:
                        outcome = alone.go(self._step(name), self._writer)
                    yield outcome
                    continue
                if name == group[0]:
                    run = begun.enter_context(ground.running(which, policy))
                    common[policy.split] = run
                    interrupted = run.go_until_loss(self._step(name), self._writer)
                    if interrupted is not None:
                        yield interrupted
                run = common.pop(policy.split) if name == group[-1] else common[policy.split]
                yield run.fork(which, policy).go(self._step(name), self._writer)

    def _step(self, policy: str) -> Callable[[str, int, int], object]:
        done, runs = len(self.outcomes), self._experiment.runs

        def tell(what: str, at: int, of: int) -> None:
            self._tell(f"{policy}: {what}", done * of + at, runs * of)

        return tell


@dataclass(frozen=True, slots=True)
class Ground:
    """What all runs of a seed have in common."""

    seed: int
    book: Book | Dataset
    place: Where
    course: Course
    interest: Float64Array
    fund: Fund
    liquidity: Depth
    facts: Facts
    portrait: Portrait | None

    @classmethod
    def of(
        cls,
        experiment: Experiment,
        seed: int,
        given: Book | Dataset | None = None,
        portrayed: bool = False,
        place: Where = _HERE,
    ) -> Ground:
        """Draw the book of a seed, unless it is given, and the path; and the book's portrait, if wanted.

        A dataset is read here as well, for what is said of the book as a whole.
        """
        started = perf_counter()
        if given is None:
            given = (experiment.book.dataset() if isinstance(place, InShards) else None) or draw(
                experiment, seed
            )
        book = given.book() if isinstance(given, Dataset) else given
        seconds = perf_counter() - started
        path = experiment.scenario.path(book.instruments, seed)
        engine = engine_to_read(book, next(iter(experiment.policies.values())))
        engine.mark(path.marks[0])
        interest, holders = _open_interest(book, engine.unit_values), Holders.of(engine)
        decimals, total = book.instruments.decimals[0], float(interest.sum())
        fund = experiment.fund.for_interest(total, decimals)
        return cls(
            seed=seed,
            book=given,
            place=place,
            course=Course(path.times, path.marks, interest / max(total, 1.0), holders),
            interest=interest,
            fund=fund,
            liquidity=experiment.liquidity,
            facts=Facts(
                seed=seed,
                accounts=len(book.accounts),
                positions=len(book),
                instruments=len(book.instruments),
                steps=len(path.times),
                open_interest=int(total),
                fund=fund.cash_atoms(decimals),
                neutral=int(np.count_nonzero(holders.neutral)),
                source=path.source,
                symbol=book.instruments.symbols[0],
                seconds_book=seconds,
            ),
            portrait=Portrait.of(engine, holders, interest, fund) if portrayed else None,
        )

    def fund_needed(self, feedback: str) -> int:
        """Cash with which the fund would have left nothing to others, in atoms: what an endless one lost.

        How far it stood below its start after any step in which it took over or paid. No policy plays a part.
        """
        orders = self._orders(feedback)
        endless = Fraction(_ENDLESS, 10 ** self.book.instruments.decimals[0])
        needed = 0
        with self.place.engine(self.book, fund=endless, liquidity=orders) as engine:
            for time, marks in zip(self.course.times.tolist(), self.course.marks, strict=True):
                report = engine.tick(orders.marks(marks, time), time=time)
                orders.absorb(report)
                if len(report.columns("takeovers")["lots"]) or len(report.columns("fund_payments")["amount"]):
                    needed = max(needed, _ENDLESS - report.summary["fund_equity_after"].item())
        return needed

    def _orders(self, feedback: str) -> OrderBook:
        settings = replace(self.liquidity, feedback=feedback)  # type: ignore[arg-type]
        return OrderBook(settings, self.book.instruments, self.interest)

    @contextmanager
    def running(self, which: dict[str, Any], policy: AdlPolicy) -> Iterator[Run]:
        """A run of this seed from the beginning, whose engine lives as long as the block."""
        orders = self._orders(which["feedback"])
        with self.place.engine(self.book, policy=policy, fund=self.fund, liquidity=orders) as engine:
            yield Run(which, engine, orders, self.course)


def prepare(experiment: Experiment, place: Where = _HERE) -> None:
    """Have every kernel compiled that an experiment needs, so that no step of it waits for the compiler."""
    for policy in experiment.policies.values():
        _crash(policy, place.here)


def _crash(policy: AdlPolicy, place: Where) -> None:
    """A crash on a small book."""
    book = synth.book("pareto", positions=200, accounts=80, instruments=2, seed=1)
    engine = Engine(book, copy=False)
    engine.mark(engine.marks)
    interest, holders = _open_interest(book, engine.unit_values), Holders.of(engine)
    marks = np.array([[1.0, 1.0], [0.5, 1.5]]) * engine.marks
    course = Course(np.array([0, 60]), marks, np.full(2, 0.5), holders)
    orders = OrderBook(Depth(), book.instruments, interest)
    with place.engine(book, policy=policy, fund="1", liquidity=orders) as crashing:
        if not Run({}, crashing, orders, course).go(_silent, None).finished:
            raise KeyboardInterrupt


def _open_interest(book: Book, unit: Float64Array) -> Float64Array:
    """Value of all long lots of each instrument at its mark, in atoms: float64 (instruments)."""
    traders = np.bincount(book.rows.leg, np.abs(book.rows.lots), 2 * len(book.instruments))[::2]
    out: Float64Array = (traders + np.maximum(book.reserve_lots, 0).sum(axis=0)) * np.abs(unit)
    return out
