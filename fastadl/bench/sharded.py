"""A book in shards beside the same book in one process."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from itertools import cycle
from typing import Any, NamedTuple, TypeAlias

from fastadl import Engine, Report, ShardedEngine
from fastadl.bench import loads as named
from fastadl.bench.loads import Loads
from fastadl.bench.registry import Absent, Group, Work
from fastadl.schema import Float64Array
from fastadl.sharded.linking import INLINE

__all__ = ["SHARDED", "Ticked", "ticked"]

_ROUNDS = 30
#: Shards that run on Ray, each with a core.
_WORKERS = 2
_BEFORE = "building the book, dividing it, starting shards; frames of the report, built when read"
_TICKS = "A tick of a full pass at prices that move by a hundredth of a percent, to and fro"

AnyEngine: TypeAlias = "Engine | ShardedEngine"


class Ticked(NamedTuple):
    """A tick, and what it took of a shard in the mean: bytes to and from it, and calls; 0 without shards."""

    report: Report
    sent: float
    received: float
    calls: float

    def facts(self) -> Mapping[str, float]:
        """The same to stand beside a time."""
        if not self.calls:
            return {}
        return {
            "to_a_shard_bytes": self.sent,
            "from_a_shard_bytes": self.received,
            "calls_of_a_shard": self.calls,
        }


def ticked(engine: AnyEngine, prices: Float64Array) -> Ticked:
    """Have a tick, and see what was sent."""
    if not isinstance(engine, ShardedEngine):
        return Ticked(engine.tick(prices), 0.0, 0.0, 0.0)
    links: Any = engine._links
    before = links.sent, links.received, links.calls
    report = engine.tick(prices)
    after = links.sent, links.received, links.calls
    return Ticked(report, *((now - was) / len(links) for now, was in zip(after, before, strict=True)))


class Beside:
    """The calm book and its crash, and what that comes to in one process."""

    def __init__(self, loads: Loads) -> None:
        self._loads = loads
        self.quiet, self.fall = loads.calm, named.crash(loads.calm)
        self.crashed: Report = Engine.tick(*self.fall.starts()())
        self._ray: ShardedEngine | None = None

    def inline(self, shards: int) -> ShardedEngine:
        """New shards in this process, marked before."""
        engine = ShardedEngine(self.quiet.book, shards=shards, address=INLINE)
        engine.mark(self.quiet.before)
        return engine

    def on_ray(self) -> ShardedEngine:
        """Shards on a cluster of this machine, which is started when first asked for, marked before."""
        if find_spec("ray") is None:
            raise Absent('ray is not installed: pip install "fastadl[ray]"')
        if self._ray is None:
            self._ray = ShardedEngine(self.quiet.book, shards=_WORKERS)
            weakref.finalize(self._loads, self._ray.close)
        self._ray.mark(self.quiet.before)
        return self._ray


SHARDED = Group(
    "sharded",
    "a book in shards",
    "What it costs that the accounts of a book are apart: in a tick that looks at everybody and in which "
    "nothing happens, and in a crash.",
    "position",
    Beside,
)


def _quiet(beside: Beside, engine: AnyEngine) -> Work:
    """Ticks in which hardly anybody falls."""
    prices = cycle([beside.quiet.after, beside.quiet.before])
    positions = len(beside.quiet.book)

    def check(found: Ticked) -> None:
        assert found.report.summary["bankrupt"].item() < 0.001 * positions + 2

    return Work(ticked, positions, setup=lambda: (engine, next(prices)), check=check, facts=Ticked.facts)


def _crash(beside: Beside, made: Callable[[], AnyEngine]) -> Work:
    """A tick in which many fall."""
    expected = beside.crashed
    bankrupt = expected.summary["bankrupt"].item()

    def check(found: Ticked) -> None:
        assert found.report.summary["bankrupt"].item() == bankrupt > 0
        assert found.report.adl_fills.equals(expected.adl_fills)

    return Work(ticked, bankrupt, setup=lambda: (made(), beside.fall.after), check=check, facts=Ticked.facts)


@SHARDED.case("fastadl, one process", does=f"{_TICKS}.", left_out=_BEFORE, rounds=_ROUNDS)
def _one(beside: Beside) -> Work:
    engine = Engine(beside.quiet.book)
    engine.mark(beside.quiet.before)
    return _quiet(beside, engine)


def _several(shards: int) -> None:
    many = "one shard" if shards == 1 else f"{shards} shards"

    @SHARDED.case(
        f"fastadl, {many} in this process",
        does=f"The same in {many}, one after another; messages are copied as between processes.",
        left_out=_BEFORE,
        rounds=_ROUNDS,
    )
    def _inline(beside: Beside) -> Work:
        return _quiet(beside, beside.inline(shards))


for _shards in (1, 2, 8):
    _several(_shards)


@SHARDED.case(
    f"fastadl, {_WORKERS} shards on Ray",
    does=f"The same in {_WORKERS} processes of a Ray cluster on this machine.",
    left_out=_BEFORE,
    rounds=_ROUNDS,
)
def _on_ray(beside: Beside) -> Work:
    return _quiet(beside, beside.on_ray())


@SHARDED.case("fastadl, crash in one process", unit="bankrupt account", left_out=_BEFORE, rounds=3)
def _crash_of_one(beside: Beside) -> Work:
    """Every price falls by about a tenth at once."""
    start = beside.fall.starts()
    return _crash(beside, lambda: start()[0])


@SHARDED.case("fastadl, crash in 8 shards", unit="bankrupt account", left_out=_BEFORE, rounds=3)
def _crash_of_eight(beside: Beside) -> Work:
    """The same in this process; every fill is equal."""
    return _crash(beside, lambda: beside.inline(8))


@SHARDED.case(
    f"fastadl, crash in {_WORKERS} shards on Ray",
    unit="bankrupt account",
    left_out=_BEFORE,
    rounds=1,
    warm=False,
)
def _crash_on_ray(beside: Beside) -> Work:
    """The same on Ray, once; every fill is equal."""
    return _crash(beside, beside.on_ray)
