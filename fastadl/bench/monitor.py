"""Metrics and alerts of a whole book, beside a mark pass."""

from __future__ import annotations

from copy import copy
from typing import Any, NamedTuple

from fastadl import Engine, Monitor, Report
from fastadl.bench.loads import Loads
from fastadl.bench.mark import scan_arguments
from fastadl.bench.registry import Group, Work
from fastadl.kernels.mark import scan

__all__ = ["MONITOR"]


class Watch(NamedTuple):
    """The calm book after a tick, and the report of it."""

    engine: Engine
    report: Report

    @property
    def positions(self) -> int:
        """How many."""
        return len(self.engine.book)


def _watch(loads: Loads) -> Watch:
    engine = Engine(loads.calm.book)
    return Watch(engine, engine.tick(loads.calm.after))


MONITOR = Group(
    "monitor",
    "metrics and alerts",
    "What it costs to have every metric and every rule looked at after a tick.",
    "position",
    _watch,
)


@MONITOR.case(
    "fastadl",
    left_out="building the book; the tick; frames and text, made when read",
    held_back="cash and entry values are read, which a mark pass does without; lots are added up by symbol, "
    "side and leverage; each account that a shock fells is looked at by itself",
    rounds=20,
)
def _ours(watch: Watch) -> Work:
    """Monitor.observe with the default rules: all metrics of every symbol, shocks of 5 % and 10 %."""
    monitor = Monitor()

    def check(_: Any) -> None:
        assert monitor.value("open_interest") > 0
        assert monitor.value("fund_coverage") == 0

    # a report is observed once: a copy of it is another
    return Work(lambda: monitor.observe(watch.engine, copy(watch.report)), watch.positions, check=check)


@MONITOR.case("fastadl, exposures alone", left_out="rules, windows, alerts", rounds=20)
def _exposures(watch: Watch) -> Work:
    """Engine.exposures: the one pass over the book."""
    return Work(watch.engine.exposures, watch.positions)


@MONITOR.case("fastadl, one mark pass", left_out="everything but the streaming pass", rounds=20)
def _pass(watch: Watch) -> Work:
    """The kernel of the mark pass over the same book, as a measure."""
    return Work(scan, watch.positions, scan_arguments(watch.engine))
