"""The best ranked of many until their lots cover a need, beside the sorts one would write."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest

from benchmarks.conftest import Measure
from fastadl import Book, Engine
from fastadl.kernels.rank import keys, select
from fastadl.schema import Float64Array, Int64Array, IntArray

#: lrvx needs time in the square of its close-outs.
_DEEP = 100_000


class Candidates(NamedTuple):
    """Scores, who wins a tie, lots, and how many lots are needed."""

    score: Float64Array
    tie: IntArray
    lots: Int64Array
    need: int


@pytest.fixture(scope="module")
def candidates(positions: int) -> Candidates:
    rng = np.random.default_rng(1)
    count = positions * 4 // 10
    lots = np.ceil(10.0 / (1.0 - rng.random(count)) ** 0.8).astype(np.int64)
    return Candidates(
        score=np.round(rng.standard_normal(count), 6),
        tie=rng.permutation(count).astype(np.int32),
        lots=lots,
        need=int(lots.sum()) // 40,
    )


def _select(c: Candidates) -> IntArray:
    key = np.empty(len(c.score), np.int64)
    keys(c.score.view(np.int64), key)
    chosen: IntArray = select(key, c.tie, c.lots, c.need)
    return chosen


def _argsort(c: Candidates) -> IntArray:
    order: IntArray = np.argsort(-c.score)
    return order[: np.searchsorted(np.cumsum(c.lots[order]), c.need) + 1]


def _lexsort(c: Candidates) -> IntArray:
    order = np.lexsort((c.tie, -c.score))
    return order[: np.searchsorted(np.cumsum(c.lots[order]), c.need) + 1]


def _heapq(c: Candidates) -> IntArray:
    heap = list(zip((-c.score).tolist(), c.tie.tolist(), range(len(c.score)), strict=True))
    heapq.heapify(heap)
    chosen, left = [], c.need
    while left > 0:
        chosen.append(heapq.heappop(heap)[2])
        left -= int(c.lots[chosen[-1]])
    return np.array(chosen)


def _polars(c: Candidates) -> IntArray:
    ranked = (
        pl.DataFrame({"score": c.score, "tie": c.tie, "lots": c.lots})
        .lazy()
        .with_row_index("at")
        .sort("score", "tie", descending=[True, False])
        .filter(pl.col("lots").cum_sum() - pl.col("lots") < c.need)
        .select("at")
        .collect()
    )
    return ranked["at"].to_numpy()


@pytest.mark.benchmark(group="selection without a sort")
@pytest.mark.parametrize(
    ("who", "function", "rounds"),
    [
        ("fastadl", _select, 10),
        ("numpy argsort, ties in any order", _argsort, 3),
        ("numpy lexsort", _lexsort, 3),
        ("polars sort", _polars, 3),
        ("heapq", _heapq, 1),
    ],
    ids=["fastadl", "argsort", "lexsort", "polars", "heapq"],
)
def test_select(
    measure: Measure, candidates: Candidates, who: str, function: Callable[[Candidates], Any], rounds: int
) -> None:
    """Candidates by score, ties by id, until they hold a fortieth of all lots.

    Intent: the choice of whom to deleverage, alone. Unit: one candidate (0.4 a position). Scores are random
    with some ties. From float scores to the chosen, in order. Left out: computing scores, closing anybody.
    """
    chosen = measure(function, candidates, who=who, unit=(len(candidates.score), "candidate"), rounds=rounds)
    if function is _argsort:
        assert abs(len(chosen) - len(_select(candidates))) < 10
    else:
        assert np.array_equal(chosen, _select(candidates))


class Deep(NamedTuple):
    """Shorts with one bankrupt long whose close-out needs about a twelfth of them."""

    lots: Int64Array
    cash: Int64Array
    long: int


@pytest.fixture(scope="module")
def deep(positions: int) -> Deep:
    rng = np.random.default_rng(1)
    count = min(positions, _DEEP) - 1
    lots = rng.integers(1, 100, count)
    return Deep(lots, np.ceil(rng.uniform(2.0, 50.0, count) * lots).astype(np.int64), int(lots.sum()) // 12)


@pytest.mark.benchmark(group="one deep deleveraging of one instrument")
def test_deep(measure: Measure, deep: Deep) -> None:
    """Shorts of one position each; the mark falls from 100 to 40 and the one long is bankrupt.

    Intent: a like task for the one package that can be installed and does ADL. Unit: one close-out. fastadl
    pairs every lot and settles it exactly. Left out: building the book.
    """
    count = len(deep.lots)
    names = [f"s{i:06d}" for i in range(count)] + ["whale", "desk"]
    lots = np.append(-deep.lots, [deep.long, int(deep.lots.sum()) - deep.long])
    book = Book.from_frames(
        {
            "symbol": ["X"],
            "kind": ["linear"],
            "contract_size": [1],
            "lot": [1],
            "tiers": [[{"min_notional": "0", "maintenance_rate": "0.005"}]],
        },
        {"id": names, "cash": np.append(deep.cash, [10 * deep.long, 1 << 32])},
        {
            "account": names,
            "symbol": ["X"] * len(names),
            "lots": lots,
            "entry_value_atoms": lots * 100_000_000,
        },
    )
    engine = Engine(book)

    def setup() -> tuple[tuple[Engine, Float64Array], dict[str, object]]:
        each = engine.copy()
        each.mark(np.array([100.0]))
        return (each, np.array([40.0])), {}

    fills = len(engine.copy().tick(np.array([40.0])).adl_fills)
    report = measure(Engine.tick, setup=setup, who="fastadl", unit=(fills, "close-out"))
    assert len(report.adl_fills) == fills


@pytest.fixture
def lrvx() -> Any:
    remedy = 'no rival to deleveraging: pip install ".[bench]"'
    return pytest.importorskip("lrvx", reason=remedy, exc_type=ImportError)


@pytest.mark.benchmark(group="one deep deleveraging of one instrument")
def test_deep_lrvx(lrvx: Any, measure: Measure, deep: Deep) -> None:
    """The same book in lrvx (``pip install ".[bench]"``).

    Unit: one close-out. It closes whole winners until their profit covers the deficit, in floats, and pairs
    nothing. Left out: loading the positions.
    """

    def engine() -> Any:
        made = lrvx.LiquidationEngine()
        made.add_tier(0, 0.005)
        made.set_adl_enabled(True)
        made.set_adl_ranking("pnl_ratio")
        made.set_insurance_fund_capital(0.0)
        for i, (lots, cash) in enumerate(zip(deep.lots.tolist(), deep.cash.tolist(), strict=True)):
            made.open_position(i, 1, -lots, 100.0, cash)
        made.open_position(len(deep.lots), 1, 1.2 * deep.long, 100.0, 12.0 * deep.long)
        return made

    closed = engine().on_mark(1, 40.0)["adl_closeouts_count"]
    out = measure(
        lambda made: made.on_mark(1, 40.0),
        setup=lambda: ((engine(),), {}),
        who="lrvx",
        unit=(closed, "close-out"),
        rounds=3,
    )
    assert out["liquidations_count"] == 1
