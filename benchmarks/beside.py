"""A book in shards on a Ray cluster of this machine beside the same book in one process."""

from __future__ import annotations

import os
from collections.abc import Sequence
from statistics import median
from time import perf_counter

from fastadl import Engine, ShardedEngine
from fastadl.bench import loads as named
from fastadl.schema import Float64Array

__all__ = ["Pair", "markdown"]

#: Ticks before those that count: guards are made, and every process has run what it needs.
_WARM = 4


class Pair:
    """Seconds of the same quiet ticks, of an engine of all cores and of shards, taken in turn.

    Parameters
    ----------
    positions, shards, ticks : int
    """

    def __init__(self, positions: int, shards: int, ticks: int) -> None:
        self.positions, self.shards = positions, shards
        load = named.calm(positions)
        with ShardedEngine(load.book, shards=shards, deadline=600.0) as apart:
            one = Engine(load.book, copy=False)
            both = [
                (_seconds(one, prices), _seconds(apart, prices))
                for prices in (load.before, load.after) * ((_WARM + ticks + 1) // 2)
            ]
        self.one, self.apart = zip(*both[_WARM : _WARM + ticks], strict=True)


def _seconds(engine: Engine | ShardedEngine, prices: Float64Array) -> float:
    start = perf_counter()
    engine.tick(prices)
    return perf_counter() - start


def markdown(pairs: Sequence[Pair]) -> str:
    """A table, and what it was measured on."""
    ticks, shards = len(pairs[0].one), pairs[0].shards
    lines = [
        f"Medians of {ticks} ticks, in brackets the best, of an `Engine` on all {os.cpu_count()} cores and",
        f"of {shards} shards on a local Ray cluster, in turn:",
        "",
        f"| positions | one process, ms | {shards} shards on Ray, ms | ratio |",
        "|--:|--:|--:|--:|",
    ]
    for pair in pairs:
        one, apart = ((median(each), min(each)) for each in (pair.one, pair.apart))
        times = (f"{1e3 * mid:,.3g} ({1e3 * best:,.3g})" for mid, best in (one, apart))
        ratio = f"{apart[0] / one[0]:.2g} ({apart[1] / one[1]:.2g})"
        lines.append(f"| {pair.positions:,} | {' | '.join(times)} | {ratio} |")
    return "\n".join(lines)
