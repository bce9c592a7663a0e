"""Mark and detect: new prices for every instrument, and who cannot carry his positions at them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import polars as pl

from fastadl import Engine
from fastadl.bench.loads import Load, Loads, calm
from fastadl.bench.registry import Group, Work
from fastadl.bench.rivals import c, duckdb, pointers
from fastadl.kernels.mark import scan
from fastadl.schema import Float64Array, IntArray

__all__ = ["MARK", "SCALE", "scan_arguments"]

_ROUNDS = 20


class Flat(NamedTuple):
    """The calm book as anybody would hold it: a line per position, by account, and a line per account."""

    load: Load
    account: IntArray
    instrument: IntArray
    lots: Float64Array
    base: Float64Array  # cash less the sum of entry values
    unit: Float64Array  # of each instrument at the new prices
    rate: Float64Array  # of its first tier
    moved: int

    @property
    def positions(self) -> int:
        """How many."""
        return len(self.lots)


def _flat(loads: Loads) -> Flat:
    load = loads.calm
    table, accounts, rows = load.book.columns()
    held = np.flatnonzero(rows.account >= 0)
    held = held[np.argsort(rows.account[held], kind="stable")]
    account = rows.account[held]
    entries = np.bincount(account, rows.entry_value[held].astype(np.float64), len(accounts.cash))
    return Flat(
        load=load,
        account=account,
        instrument=rows.instrument[held],
        lots=rows.lots[held].astype(np.float64),
        base=accounts.cash.astype(np.float64) - entries,
        unit=np.array([float(item.scale) for item in table]) * load.after,
        rate=np.array([float(item.tiers[0].maintenance_rate) for item in table]),
        moved=_must_move(load),
    )


def _must_move(load: Load) -> int:
    """Bytes the pass cannot do without: lots and leg of a row, one float64 of an account."""
    rows = load.book.rows
    return int(rows.lots.nbytes + rows.leg.nbytes + 8 * len(rows.cash))


MARK = Group(
    "mark",
    "mark and detect",
    "What a tick costs in which nothing happens, and how near the pass is to the memory limit.",
    "position",
    _flat,
)
_EASIER = "exactness: floats, first tiers only, prices as given, cash and entry values summed before"


@MARK.case(
    "fastadl",
    left_out="building the book; guards, made anew only when a price has risen by a quarter since",
    held_back="the pass (next line), and some 50 µs of Python: prices checked, one unit value an instrument, "
    "a tick opened; then deciding the accounts that the pass cannot clear",
    rounds=_ROUNDS,
)
def _mark(flat: Flat) -> Work:
    """Engine.mark: prices checked and made exact, all tiers, accounts near their margin decided exactly."""
    load = flat.load
    engine = Engine(load.book)
    engine.mark(load.before)

    def check(found: Any) -> None:
        below = found.liquidatable + found.bankrupt
        assert len(_numpy(flat)) <= below < 0.02 * len(engine.accounts) + 2

    return Work(engine.mark, flat.positions, (load.after,), moved=flat.moved, check=check)


@MARK.case(
    "fastadl, scan alone",
    left_out="prices, and the exact decision of the accounts it finds",
    held_back="weights are loaded one a lane, which costs instructions and not bandwidth; headroom is stored "
    "and loaded once for every four columns; accounts of very many positions fill their lanes badly",
    rounds=_ROUNDS,
)
def _scan(flat: Flat) -> Work:
    """The kernel of the streaming pass: one packed multiply-add a position, no division, no conversion."""
    engine = Engine(flat.load.book)
    engine.mark(flat.load.before)
    return Work(scan, flat.positions, scan_arguments(engine), moved=flat.moved)


def scan_arguments(engine: Engine) -> tuple[Any, ...]:
    """What detection hands to the kernel; the one place that knows its signature."""
    state = engine._state
    rows, blocks, unit = state.book.rows, state.blocks, state.marks.unit
    needed = state.margins.rate[state.margins.start[:-1]] * np.abs(unit)
    weight = np.stack([unit - needed, unit + needed], axis=1).ravel()
    return (
        rows, state.guard, weight, blocks, np.zeros(len(rows.cash), np.int32), np.zeros(len(blocks), np.int64)
    )  # fmt: skip


def _numpy(flat: Flat) -> IntArray:
    value = flat.lots * flat.unit[flat.instrument]
    equity = flat.base + np.bincount(flat.account, value, len(flat.base))
    needed = np.bincount(flat.account, np.abs(value) * flat.rate[flat.instrument], len(flat.base))
    return np.flatnonzero(equity < needed)


def _rival(flat: Flat, run: Any, arguments: tuple[Any, ...]) -> Work:
    """A pass that gives account numbers; numpy's are what they must be."""

    def check(found: Any) -> None:
        assert np.array_equal(np.sort(found), _numpy(flat))

    return Work(run, flat.positions, arguments, moved=flat.moved, check=check)


@MARK.case("numpy", left_out=_EASIER, rounds=3)
def _with_numpy(flat: Flat) -> Work:
    """Gather, two bincounts, compare; one thread."""
    return _rival(flat, _numpy, (flat,))


@MARK.case("polars", left_out=_EASIER, rounds=3)
def _with_polars(flat: Flat) -> Work:
    """Join prices, group by account, filter; lazily, on all threads."""
    rows = pl.DataFrame({"account": flat.account, "instrument": flat.instrument, "lots": flat.lots})
    accounts = pl.DataFrame({"account": np.arange(len(flat.base), dtype=np.int32), "base": flat.base})
    code = np.arange(len(flat.unit), dtype=np.int32)
    prices = pl.DataFrame({"instrument": code, "unit": flat.unit, "rate": flat.rate})
    return _rival(flat, _polars, (rows, accounts, prices))


def _polars(rows: pl.DataFrame, accounts: pl.DataFrame, prices: pl.DataFrame) -> IntArray:
    value = pl.col("lots") * pl.col("unit")
    sums = (
        rows.lazy()
        .join(prices.lazy(), on="instrument")
        .group_by("account")
        .agg(profit=value.sum(), needed=(value.abs() * pl.col("rate")).sum())
    )
    below = pl.col("base") + pl.col("profit") < pl.col("needed")
    return sums.join(accounts.lazy(), on="account").filter(below).collect()["account"].to_numpy()


_SQL = """
SELECT account
FROM (
    SELECT account, sum(lots * unit) AS profit, sum(abs(lots * unit) * rate) AS needed
    FROM rows JOIN prices USING (instrument)
    GROUP BY account
) JOIN accounts USING (account)
WHERE base + profit < needed
"""


@MARK.case("DuckDB", left_out=_EASIER, rounds=3)
def _with_duckdb(flat: Flat) -> Work:
    """The same in SQL: join, group by, filter, on tables in memory and all threads."""
    database = duckdb(
        rows={"account": flat.account, "instrument": flat.instrument, "lots": flat.lots},
        accounts={"account": np.arange(len(flat.base), dtype=np.int32), "base": flat.base},
        prices={
            "instrument": np.arange(len(flat.unit), dtype=np.int32),
            "unit": flat.unit,
            "rate": flat.rate,
        },
    )
    return _rival(flat, lambda: database.execute(_SQL).fetchnumpy()["account"], ())


@MARK.case("C", left_out=_EASIER, rounds=_ROUNDS)
def _with_c(flat: Flat) -> Work:
    """A loop over rows sorted by account, 2-byte instruments; -O3 -march=native -fopenmp, all threads."""
    accounts = len(flat.base)
    start = np.searchsorted(flat.account, np.arange(accounts + 1)).astype(np.int64)
    below, found = np.empty(accounts, np.uint8), np.empty(accounts, np.int32)
    columns = (
        start, flat.instrument.astype(np.uint16), flat.lots, flat.base, flat.unit, flat.rate, below, found
    )  # fmt: skip
    loop = c().mark
    return _rival(flat, lambda: found[: loop(accounts, *pointers(*columns))], ())


SCALE = Group(
    "scale",
    "mark and detect, by size of the book",
    "Whether a position costs the same in a book of any size.",
    "position",
    lambda loads: loads,
)


def _smaller(divisor: int) -> None:
    of = f"1/{divisor} of the positions" if divisor > 1 else "all positions"

    @SCALE.case(
        f"fastadl, {of}",
        does="Engine.mark of a calm book, again and again; a small one stays in the cache, and what "
        "is done per tick and instrument weighs more.",
        left_out="building the book",
        rounds=_ROUNDS,
    )
    def make(loads: Loads) -> Work:
        load = loads.calm if divisor == 1 else calm(max(loads.positions // divisor, 1))
        engine = Engine(load.book)
        engine.mark(load.before)
        return Work(engine.mark, len(load.book), (load.after,))


for _divisor in (1, 10, 100):
    _smaller(_divisor)
