"""How close every position of a book is, beside a mark pass, and one position explained."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastadl import Engine
from fastadl.bench.loads import Loads
from fastadl.bench.mark import scan_arguments
from fastadl.bench.registry import Group, Work
from fastadl.engine.indicator.demand import Demand
from fastadl.kernels.mark import scan

__all__ = ["DISTANCE"]

_ROUNDS = 5


class Watch(NamedTuple):
    """The calm book in an engine, what shocks would take from it, and a position of its largest market."""

    engine: Engine
    demand: Demand
    account: str
    side: str

    @property
    def positions(self) -> int:
        """How many."""
        return len(self.engine.book)


def _watch(loads: Loads) -> Watch:
    engine = Engine(loads.calm.book)
    engine.mark(loads.calm.after)
    ranked = engine.rank(engine.symbols[0], "long")
    return Watch(engine, engine.demand(), str(ranked["account"][len(ranked) // 2]), "long")


DISTANCE = Group(
    "distance",
    "how close every position is",
    "The smallest of ten shocks at which deleveraging reaches a position, and the move that liquidates it.",
    "position",
    _watch,
)


@DISTANCE.case(
    "fastadl",
    left_out="building the book; the frame, built when read",
    held_back="every account valued up and down, every position scored and put into a cell of a histogram, "
    "at each size of shock that takes anything",
    rounds=_ROUNDS,
)
def _ours(watch: Watch) -> Work:
    """Engine.distances: the demand of ten shocks, all places at each of them, every move that liquidates."""
    return _distances(watch, "shocked")


@DISTANCE.case("fastadl, present ranking", left_out="the scores at shocked prices", rounds=_ROUNDS)
def _present(watch: Watch) -> Work:
    """The same by the places that positions have now."""
    return _distances(watch, "present")


def _distances(watch: Watch, ranking: str) -> Work:
    engine = watch.engine

    def run() -> Any:
        return engine.distances(engine.demand(), ranking=ranking)

    def check(found: Any) -> None:
        assert np.array_equal(found.demand.lots, watch.demand.lots)
        assert not np.isnan(found.liquidation).any()

    return Work(run, watch.positions, check=check)


@DISTANCE.case("fastadl, demand", left_out="places, liquidation moves", rounds=_ROUNDS)
def _demand(watch: Watch) -> Work:
    """Engine.demand: lots that ten shocks up and ten down would leave beyond the fund, by symbol and side."""
    return Work(watch.engine.demand, watch.positions)


@DISTANCE.case("fastadl, explain one position", left_out="the demand, made before", unit="call", rounds=20)
def _explain(watch: Watch) -> Work:
    """Engine.explain in the largest market: every candidate of its side is scored, now and at each shock."""
    symbol = watch.engine.symbols[0]

    def run() -> Any:
        return watch.engine.explain(watch.account, symbol, side=watch.side, demand=watch.demand)

    return Work(run, 1)


@DISTANCE.case("fastadl, one mark pass", left_out="everything but the streaming pass", rounds=20)
def _pass(watch: Watch) -> Work:
    """The kernel of the mark pass over the same book, as a measure."""
    return Work(scan, watch.positions, scan_arguments(watch.engine))
