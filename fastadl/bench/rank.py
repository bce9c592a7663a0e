"""The best ranked of many until their lots cover a need, beside the sorts one would write."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import polars as pl

from fastadl.bench.loads import Loads
from fastadl.bench.registry import Group, Work
from fastadl.bench.rivals import c, duckdb, pointers
from fastadl.kernels.rank import keys, select
from fastadl.schema import Float64Array, Int64Array, IntArray

__all__ = ["SELECT"]


class Candidates(NamedTuple):
    """Scores, who wins a tie, lots, and how many lots are needed."""

    score: Float64Array
    tie: IntArray
    lots: Int64Array
    need: int


def _candidates(loads: Loads) -> Candidates:
    rng = np.random.default_rng(1)
    count = loads.positions * 4 // 10
    lots = np.ceil(10.0 / (1.0 - rng.random(count)) ** 0.8).astype(np.int64)
    return Candidates(
        score=np.round(rng.standard_normal(count), 6),
        tie=rng.permutation(count).astype(np.int32),
        lots=lots,
        need=int(lots.sum()) // 40,
    )


SELECT = Group(
    "select",
    "selection without a sort",
    "The choice of whom to deleverage, alone: candidates by score, ties by id, until they hold a fortieth of "
    "all lots; from float scores to the chosen, in order.",
    "candidate",
    _candidates,
)
_ALONE = "computing scores, closing anybody"


def _choosing(candidates: Candidates, choose: Callable[[Candidates], IntArray], moved: int = 0) -> Work:
    """A choice that must be ours, in the same order."""

    def check(chosen: IntArray) -> None:
        assert np.array_equal(chosen, _select(candidates))

    return Work(choose, len(candidates.score), (candidates,), moved=moved, check=check)


def _select(of: Candidates) -> IntArray:
    key = np.empty(len(of.score), np.int64)
    keys(of.score.view(np.int64), key)
    chosen: IntArray = select(key, of.tie, of.lots, of.need)
    return chosen


@SELECT.case(
    "fastadl",
    left_out=_ALONE,
    held_back="the keys are written and read again; counters of two passes; the survivors' sort",
    rounds=10,
)
def _ours(candidates: Candidates) -> Work:
    """Radix select on integer keys that order as the scores do; only the chosen are sorted."""
    return _choosing(candidates, _select, moved=16 * len(candidates.score))


@SELECT.case("numpy argsort", left_out="the order of ties, which it leaves to chance", rounds=3)
def _with_argsort(candidates: Candidates) -> Work:
    """Sort the scores, add up lots, cut."""

    def check(chosen: IntArray) -> None:
        assert abs(len(chosen) - len(_select(candidates))) < 10

    return Work(_argsort, len(candidates.score), (candidates,), check=check)


def _argsort(of: Candidates) -> IntArray:
    order: IntArray = np.argsort(-of.score)
    return order[: np.searchsorted(np.cumsum(of.lots[order]), of.need) + 1]


@SELECT.case("numpy lexsort", left_out=_ALONE, rounds=3)
def _with_lexsort(candidates: Candidates) -> Work:
    """Sort by score and id, add up lots, cut."""
    return _choosing(candidates, _lexsort)


def _lexsort(of: Candidates) -> IntArray:
    order = np.lexsort((of.tie, -of.score))
    return order[: np.searchsorted(np.cumsum(of.lots[order]), of.need) + 1]


@SELECT.case("polars", left_out=_ALONE, rounds=3)
def _with_polars(candidates: Candidates) -> Work:
    """The same as a lazy query, on all threads."""
    return _choosing(candidates, _polars)


def _polars(of: Candidates) -> IntArray:
    ranked = (
        pl.DataFrame({"score": of.score, "tie": of.tie, "lots": of.lots})
        .lazy()
        .with_row_index("at")
        .sort("score", "tie", descending=[True, False])
        .filter(pl.col("lots").cum_sum() - pl.col("lots") < of.need)
        .select("at")
        .collect()
    )
    return ranked["at"].to_numpy()


_SQL = """
SELECT place
FROM (
    SELECT place, score, tie, sum(lots) OVER (ORDER BY score DESC, tie) - lots AS before
    FROM candidates
)
WHERE before < ?
ORDER BY score DESC, tie
"""


@SELECT.case("DuckDB", left_out=_ALONE, rounds=3)
def _with_duckdb(candidates: Candidates) -> Work:
    """The same in SQL: a running sum over a window, on a table in memory and all threads."""
    place = np.arange(len(candidates.score), dtype=np.int32)
    columns = {"place": place, "score": candidates.score, "tie": candidates.tie, "lots": candidates.lots}
    database = duckdb(candidates=columns)
    return _choosing(candidates, lambda of: database.execute(_SQL, [of.need]).fetchnumpy()["place"])


@SELECT.case("heapq", left_out=_ALONE, rounds=1, warm=False)
def _with_heapq(candidates: Candidates) -> Work:
    """A heap of Python tuples, popped until the need is met."""
    return _choosing(candidates, _heapq)


def _heapq(of: Candidates) -> IntArray:
    heap = list(zip((-of.score).tolist(), of.tie.tolist(), range(len(of.score)), strict=True))
    heapq.heapify(heap)
    chosen, left = [], of.need
    while left > 0:
        chosen.append(heapq.heappop(heap)[2])
        left -= int(of.lots[chosen[-1]])
    return np.array(chosen)


@SELECT.case("C", left_out=_ALONE, rounds=3)
def _with_c(candidates: Candidates) -> Work:
    """Library qsort of structs, then a walk; one thread."""
    choose, chosen = c().choose, np.empty(len(candidates.score), np.int32)

    def run(of: Candidates) -> IntArray:
        columns = pointers(of.score, of.tie, of.lots)
        return chosen[: choose(len(of.score), *columns, of.need, *pointers(chosen))]

    return _choosing(candidates, run)
