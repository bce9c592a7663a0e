"""Where every position of a book stands: lights and percentiles, beside a ranked window."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import polars as pl

from fastadl import Engine
from fastadl.bench.loads import Loads
from fastadl.bench.mark import scan_arguments
from fastadl.bench.registry import Group, Work
from fastadl.bench.rivals import duckdb
from fastadl.book import row_slots
from fastadl.engine.ranking import candidates
from fastadl.engine.state import held_legs
from fastadl.kernels.mark import scan
from fastadl.schema import Float64Array, Int64Array, IntArray

__all__ = ["STANDING"]

_ROUNDS = 5


class Crowd(NamedTuple):
    """The calm book after its small move, and its rows as anybody would hold them, scores made before."""

    engine: Engine
    leg: IntArray
    score: Float64Array
    lots: Int64Array
    tie: IntArray
    row: IntArray

    @property
    def positions(self) -> int:
        """How many."""
        return len(self.lots)

    def lights(self, light: IntArray) -> IntArray:
        """Those of our rows, in the order of the candidates."""
        return light[self.row]


def _crowd(loads: Loads) -> Crowd:
    load = loads.calm
    engine = Engine(load.book)
    engine.mark(load.after)
    state = engine._state
    none = np.zeros(len(state.book.rows.cash), np.bool_)
    found = candidates(state, held_legs(state.book), engine.policy, none, 0)
    row = np.concatenate([each.row for each in found])
    account = state.book.rows.account[row_slots(state.book.rows)[row]]
    return Crowd(
        engine=engine,
        leg=state.book.rows.leg[row],
        score=np.concatenate([each.parts[0] for each in found]),
        lots=np.concatenate([each.lots for each in found]),
        tie=state.book.rank[account],
        row=row,
    )


STANDING = Group(
    "standing",
    "where every position stands",
    "Five lights or a percentile for every position among those of its symbol and side, exact to the tie.",
    "position",
    _crowd,
)
_OURS = "frames, built when read"


def _must_move(crowd: Crowd, answer: int) -> int:
    """Bytes it cannot do without: lots, leg and entry value of a row, the answer, and an account's cash."""
    rows = crowd.engine._state.book.rows
    return int(rows.lots.nbytes + rows.leg.nbytes + rows.entry.nbytes + rows.cash.nbytes) + answer * len(
        rows.lots
    )


_EASIER = "scores, which were made before"


@STANDING.case(
    "fastadl, lights",
    left_out=_OURS,
    held_back="scoring takes half: two divisions and some twenty loads and stores a position, all packed; "
    "then a histogram with one random access a position, and fresh memory for scores and cells",
    rounds=_ROUNDS,
)
def _lights(crowd: Crowd) -> Work:
    """Engine.lights: scores of all rows, lots by cell, a light by cell, the few open rows one by one."""

    def check(found: Any) -> None:
        assert np.isin(crowd.lights(found.values), range(1, 6)).all()

    return Work(crowd.engine.lights, crowd.positions, moved=_must_move(crowd, 1), check=check)


@STANDING.case(
    "fastadl, percentiles",
    left_out=_OURS,
    held_back="as lights; then every row goes to its group, is sorted there and sends its share back: "
    "writes of 24 and 8 bytes to thousands of places in turn",
    rounds=_ROUNDS,
)
def _percentiles(crowd: Crowd) -> Work:
    """Engine.percentiles: the same, and every cell sorted."""

    def check(found: Any) -> None:
        share = found.values[crowd.row]
        assert ((share > 0.0) & (share <= 1.0)).all()

    return Work(crowd.engine.percentiles, crowd.positions, moved=_must_move(crowd, 8), check=check)


@STANDING.case("fastadl, one mark pass", left_out="everything but the streaming pass", rounds=20)
def _pass(crowd: Crowd) -> Work:
    """The kernel of the mark pass over the same book, as a measure."""
    return Work(scan, crowd.positions, scan_arguments(crowd.engine))


def _rival(crowd: Crowd, run: Any, arguments: tuple[Any, ...]) -> Work:
    """A window that gives lights of the candidates; ours are what they must be."""

    def check(found: IntArray) -> None:
        assert np.array_equal(found, crowd.lights(crowd.engine.lights().values))

    return Work(run, crowd.positions, arguments, check=check)


@STANDING.case("polars", left_out=_EASIER, rounds=1)
def _with_polars(crowd: Crowd) -> Work:
    """Running totals of lots by leg over (score, id), lazily, on all threads."""
    rows = pl.DataFrame({"leg": crowd.leg, "score": crowd.score, "lots": crowd.lots, "tie": crowd.tie})
    return _rival(crowd, _polars, (rows,))


def _polars(rows: pl.DataFrame) -> IntArray:
    lots = pl.col("lots")
    reached = lots.cum_sum().over("leg", order_by=pl.struct(-pl.col("score"), "tie"))
    return (
        rows.lazy()
        .select(light=6 - (5 * reached + lots.sum().over("leg") - 1) // lots.sum().over("leg"))
        .collect()["light"]
        .to_numpy()
    )


_SQL = """
SELECT 6 - (5 * sum(lots) OVER (PARTITION BY leg ORDER BY score DESC, tie ROWS UNBOUNDED PRECEDING)
            + sum(lots) OVER (PARTITION BY leg) - 1) // sum(lots) OVER (PARTITION BY leg) AS light, i
FROM rows
ORDER BY i
"""


@STANDING.case("DuckDB", left_out=_EASIER, rounds=1)
def _with_duckdb(crowd: Crowd) -> Work:
    """The same window in SQL, on a table in memory and all threads."""
    i = np.arange(crowd.positions)
    database = duckdb(
        rows={"leg": crowd.leg, "score": crowd.score, "lots": crowd.lots, "tie": crowd.tie, "i": i}
    )
    return _rival(crowd, lambda: database.execute(_SQL).fetchnumpy()["light"].astype(np.int64), ())
