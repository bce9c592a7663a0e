"""One run: a book driven along a path under one policy, the whole waterfall at every step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import polars as pl

from fastadl.engine import Engine, Report
from fastadl.policy import AdlPolicy
from fastadl.schema import Float64Array, Int64Array
from fastadl.stress.compare import totals
from fastadl.stress.order_book import OrderBook
from fastadl.stress.payers import Holders, Ledger

__all__ = ["Course", "Outcome", "Progress", "Run", "Sink", "uninterrupted"]

#: Called with what is going on, how many steps are done, and of how many.
Progress: TypeAlias = Callable[[str, int, int], object]

_LAWS = ("lots", "money", "fills", "bankrupt_closed_at_zero")


class Sink(Protocol):
    """Takes the reports of a run."""

    def add(self, which: dict[str, Any], report: Report) -> None:
        """Take a report; `which` says by name of which run it is."""


class Course(NamedTuple):
    """What all runs of a seed go along.

    Attributes
    ----------
    times : int64 (steps)
    marks : float64 (steps, instruments)
    weight : float64 (instruments)
        Of each market in levels, 1 in all.
    holders : Holders
    """

    times: Int64Array
    marks: Float64Array
    weight: Float64Array
    holders: Holders


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one run.

    Attributes
    ----------
    which : dict
        ``seed``, ``feedback`` and ``policy``.
    steps : DataFrame
        One row a step, in atoms and float64: ``Report.summary``; ``closed_value`` (closed in the order book),
        ``takeover_value``, ``adl_long`` and ``adl_short`` (notional of longs and shorts that were
        deleveraged), and what `Ledger.add` says; ``price`` of the first market; levels of all markets,
        weighted by open interest, as multiples of the first step: ``path`` as the scenario has it, ``market``
        as it was, of which ``by_liquidations`` and ``by_adl`` are what these added; ``depth`` of all order
        books.
    totals : dict
        See `fastadl.stress.compare.totals`.
    payers, haircuts, largest : DataFrame
        See `Ledger.by_class`, `Ledger.haircuts` and `Ledger.largest`.
    checks : dict of str to bool
        The four conservation laws, over the whole run.
    finished : bool
        Whether every step was run.
    """

    which: dict[str, Any]
    steps: pl.DataFrame
    totals: dict[str, Any]
    payers: pl.DataFrame
    haircuts: pl.DataFrame
    largest: pl.DataFrame
    checks: dict[str, bool]
    finished: bool


class Run:
    """One book on one path.

    Parameters
    ----------
    which : dict
        See `Outcome`.
    engine : Engine
        Its liquidity is the order book; used up.
    orders : OrderBook
    course : Course
    """

    def __init__(self, which: dict[str, Any], engine: Engine, orders: OrderBook, course: Course) -> None:
        self._which, self._engine, self._orders, self._course = which, engine, orders, course
        self._ledger = Ledger(len(course.holders.gross))
        self._steps: list[dict[str, Any]] = []
        self._begun: dict[str, float] | None = None
        self._unsent: list[Report] = []

    def go(self, tell: Progress, sink: Sink | None) -> Outcome:
        """Run every step that is left; an interrupt ends it after a whole one."""
        finished = True
        self._send(sink)
        try:
            for at in range(len(self._steps), len(self._course.times)):
                tell("marking", at, len(self._course.times))
                with uninterrupted():
                    if self._begun is None:
                        self._begin()
                    report = self._end()
                    if sink is not None:
                        sink.add(self._which, report)
        except KeyboardInterrupt:
            finished = False
        return self._outcome(finished)

    def go_until_loss(self, tell: Progress, sink: Sink | None) -> Outcome | None:
        """Run steps until the fund leaves something, and stop in the middle of that step: here policies part.

        Parameters
        ----------
        tell : callable
        sink : Sink, optional
            If there is one, all reports so far are kept for it until it is known whose they are.

        Returns
        -------
        Outcome or None
            What there is, if it was interrupted.
        """
        try:
            for at in range(len(self._course.times)):
                tell("marking", at, len(self._course.times))
                with uninterrupted():
                    self._begin()
                    if self._engine.left():
                        return None
                    report = self._end()
                    if sink is not None:
                        self._unsent.append(report)
        except KeyboardInterrupt:
            self._send(sink)
            return self._outcome(finished=False)
        return None

    def _send(self, sink: Sink | None) -> None:
        for report in self._unsent:
            if sink is not None:
                sink.add(self._which, report)
        self._unsent = []

    def fork(self, which: dict[str, Any], policy: AdlPolicy) -> Run:
        """The same run so far, that goes on under another policy."""
        other = object.__new__(Run)
        other.__dict__.update(self.__dict__)
        other._which, other._orders = which, deepcopy(self._orders)
        other._engine = self._engine.fork(policy, other._orders)
        other._ledger, other._steps = self._ledger.copy(), self._steps.copy()
        return other

    def _outcome(self, finished: bool) -> Outcome:
        laws, steps = self._engine.check(), pl.DataFrame(self._steps, infer_schema_length=None)
        holders = self._course.holders
        return Outcome(
            which=self._which,
            steps=steps,
            totals=totals(steps, self._ledger, holders) if self._steps else {},
            payers=self._ledger.by_class(holders),
            haircuts=self._ledger.haircuts(),
            largest=self._ledger.largest(holders, self._engine.accounts),
            checks={law: bool(getattr(laws, law)) for law in _LAWS},
            finished=finished,
        )

    def _begin(self) -> None:
        """The part of a step in which policies do the same."""
        started, at = perf_counter(), len(self._steps)
        time = int(self._course.times[at])
        price = self._orders.marks(self._course.marks[at], time)
        moved = self._levels(at, price)
        self._engine.mark(price, time)
        self._engine.settle()
        self._engine.takeover()
        self._begun = {**moved, "seconds_step": perf_counter() - started}

    def _end(self) -> Report:
        started, begun = perf_counter(), self._begun
        assert begun is not None
        report = self._engine.deleverage()
        self._orders.absorb(report)
        step: dict[str, Any] = report.summary.row(0, named=True)
        step |= {
            "closed_value": _value(report, "executions"),
            "takeover_value": _value(report, "takeovers"),
            **_sides(report),
            **self._ledger.add(self._engine, report, step["fund_paid"] + step["takeover_loss"]),
            **begun,
        }
        step["seconds_step"] += perf_counter() - started
        self._steps.append(step)
        self._begun = None
        return report

    def _levels(self, at: int, price: Float64Array) -> dict[str, float]:
        weight, path = self._course.weight, self._course.marks[at] / self._course.marks[0]
        held = self._orders.displacement
        by_liquidations = float(weight @ (path * held["liquidations"]))
        level, market = float(weight @ path), float(weight @ (price / self._course.marks[0]))
        return {
            "price": float(price[0]),
            "path": level,
            "market": market,
            "by_liquidations": by_liquidations,
            "by_adl": market - level - by_liquidations if held["adl"].any() else 0.0,
            "depth": float(self._orders.depth.sum()),
        }


def _value(report: Report, name: str) -> int:
    return int(np.abs(report.columns(name)["value"]).sum())


def _sides(report: Report) -> dict[str, int]:
    """Notional of the longs and of the shorts that were deleveraged: the side against the bankrupt one."""
    fills = report.columns("adl_fills")
    value = np.abs(fills["value"])
    return {"adl_long": int(value[~fills["long"]].sum()), "adl_short": int(value[fills["long"]].sum())}


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C waits for the end of the block, so that a step is counted whole or not at all."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: caught.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if caught:
        signal.raise_signal(signal.SIGINT)  # to whoever takes it here; a worker may ignore it
