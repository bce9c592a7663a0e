"""Mark and detect: new prices for every instrument, and who cannot carry his positions at them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
import polars as pl
import pytest

from benchmarks.conftest import Measure
from benchmarks.loads import Load
from fastadl import Engine
from fastadl.kernels.mark import scan
from fastadl.schema import Float64Array, IntArray

pytestmark = pytest.mark.benchmark(group="mark and detect")

_ROUNDS = 20


class Flat(NamedTuple):
    """The book as anybody would hold it: one line per position, sorted by account."""

    account: IntArray
    instrument: IntArray
    lots: Float64Array
    entry: Float64Array
    cash: Float64Array
    scale: Float64Array
    rate: Float64Array


@pytest.fixture(scope="module")
def flat(calm: Load) -> Flat:
    table, accounts, rows = calm.book.columns()
    held = rows.account >= 0
    return Flat(
        account=rows.account[held],
        instrument=rows.instrument[held],
        lots=rows.lots[held].astype(np.float64),
        entry=rows.entry_value[held].astype(np.float64),
        cash=accounts.cash.astype(np.float64),
        scale=np.array([float(item.scale) for item in table]),
        rate=np.array([float(item.tiers[0].maintenance_rate) for item in table]),
    )


def _read(calm: Load) -> int:
    """Bytes that the scan cannot do without: lots and leg of a row, one float64 of an account."""
    rows = calm.book.rows
    return int(rows.lots.nbytes + rows.leg.nbytes + 8 * len(rows.cash))


def test_mark_and_detect(measure: Measure, calm: Load) -> None:
    """Engine.mark with an array of prices.

    Intent: what a tick costs in which nothing happens. Unit: one position. Prices are checked, become exact
    fractions and weights; the scan's suspects are decided exactly. Left out: building the book, and the
    guards, which are made anew only when a price has risen by a quarter since they were made.
    """
    engine = Engine(calm.book)
    engine.mark(calm.before)
    found = measure(
        engine.mark,
        calm.after,
        who="fastadl",
        unit=(len(calm.book), "position"),
        moved=_read(calm),
        rounds=_ROUNDS,
    )
    assert found.liquidatable + found.bankrupt < 0.02 * len(engine.accounts)


def test_scan(measure: Measure, calm: Load) -> None:
    """The kernel of the streaming pass alone.

    Intent: how near the pass is to the memory limit. Unit: one position. Left out: prices, and the exact
    decision of the accounts it finds.
    """
    engine = Engine(calm.book)
    engine.mark(calm.before)
    state = engine._state
    rows, blocks = state.book.rows, state.blocks
    needed = state.margins.rate[state.margins.start[:-1]] * np.abs(state.marks.unit)
    weight = np.stack([state.marks.unit - needed, state.marks.unit + needed], axis=1).ravel()
    found, count = np.zeros(len(rows.cash), np.int32), np.zeros(len(blocks), np.int64)
    measure(
        scan,
        rows,
        state.guard,
        weight,
        blocks,
        found,
        count,
        who="fastadl, scan alone",
        unit=(len(calm.book), "position"),
        moved=_read(calm),
        rounds=_ROUNDS,
        bytes_per_position=rows.lots.itemsize + rows.leg.itemsize,
    )


def test_numpy(measure: Measure, calm: Load, flat: Flat) -> None:
    """The same pass in numpy: gather, two bincounts, compare.

    Unit: one position. Easier than the engine's: floats only, first tier only, prices as given.
    """
    measure(
        _numpy, flat, calm.after, who="numpy", unit=(len(flat.lots), "position"), moved=_read(calm), rounds=3
    )


def _numpy(flat: Flat, prices: Float64Array) -> IntArray:
    value = flat.lots * (flat.scale * prices)[flat.instrument]
    equity = flat.cash + np.bincount(flat.account, value - flat.entry, len(flat.cash))
    needed = np.bincount(flat.account, np.abs(value) * flat.rate[flat.instrument], len(flat.cash))
    return np.flatnonzero(equity < needed)


def test_polars(measure: Measure, calm: Load, flat: Flat) -> None:
    """The same pass in polars, lazily: join prices, group by account, filter.

    Unit: one position. Easier than the engine's, as numpy's is; all threads.
    """
    rows = pl.DataFrame(
        {"account": flat.account, "instrument": flat.instrument, "lots": flat.lots, "entry": flat.entry}
    )
    accounts = pl.DataFrame({"account": np.arange(len(flat.cash), dtype=np.int32), "cash": flat.cash})
    unit = flat.scale * calm.after
    prices = pl.DataFrame(
        {"instrument": np.arange(len(unit), dtype=np.int32), "unit": unit, "rate": flat.rate}
    )
    found = measure(
        _polars,
        rows,
        accounts,
        prices,
        who="polars",
        unit=(len(rows), "position"),
        moved=_read(calm),
        rounds=3,
    )
    assert np.array_equal(np.sort(found), _numpy(flat, calm.after))


def _polars(rows: pl.DataFrame, accounts: pl.DataFrame, prices: pl.DataFrame) -> IntArray:
    value = pl.col("lots") * pl.col("unit")
    sums = (
        rows.lazy()
        .join(prices.lazy(), on="instrument")
        .group_by("account")
        .agg(
            profit=(value - pl.col("entry")).sum(),
            needed=(value.abs() * pl.col("rate")).sum(),
        )
    )
    below = pl.col("cash") + pl.col("profit") < pl.col("needed")
    return sums.join(accounts.lazy(), on="account").filter(below).collect()["account"].to_numpy()


def test_triad(measure: Measure, positions: int) -> None:
    """STREAM triad ``a = b + s · c`` on all threads, in arrays far larger than the cache.

    Intent: the machine's limit, in the same process as what is held against it. Unit: one element, 24 bytes
    as STREAM counts them (the write's own read of the line is not counted). Left out: nothing.
    """
    count = min(20 * positions, 20_000_000)
    a, b, c = np.zeros(count), np.ones(count), np.full(count, 2.0)
    triad = numba.njit(parallel=True)(_triad)
    measure(
        triad, a, b, c, 3.0, who="STREAM triad", unit=(count, "element"), moved=24 * count, rounds=_ROUNDS
    )
    assert a[0] == a[-1] == 7.0


def _triad(a: Any, b: Any, c: Any, s: float) -> None:
    for i in numba.prange(a.shape[0]):
        a[i] = b[i] + s * c[i]
