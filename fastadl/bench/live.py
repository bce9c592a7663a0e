"""A book that changes: fills in batches of a thousand, nine in ten on positions that are there."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import mkdtemp
from time import perf_counter, perf_counter_ns, thread_time
from typing import Any

import numpy as np

from fastadl import Engine
from fastadl.bench.loads import Load, Loads
from fastadl.bench.registry import Group, Work
from fastadl.journal import NEVER
from fastadl.recording import LiveEngine
from fastadl.schema import Float64Array

__all__ = ["LIVE"]

_BATCH = 1000
#: Batches of one round at most; a book is traded in no more fills than it has positions.
_BATCHES = 2000
#: Batches of withdrawals, and accounts whose positions are read, in one round.
_WITHDRAWN, _LOOKED_AT = 100, 200
#: Of all trades, how many close a position, and how many open one; the other side has a position.
_CLOSING = _OPENING = 0.1
_SEED = 20_250_102

Batch = dict[str, Any]

LIVE = Group(
    "live",
    "fills",
    "What it costs to book what a matching engine trades, all of a batch or nothing, guards included.",
    "fill",
    lambda loads: loads,
)


@LIVE.case(
    "fastadl, fills of a thousand",
    left_out="the first batch, which moves the book to where it can grow; making the arrays",
    held_back="some twenty cache lines of an account, anywhere in the book, asked for eight fills ahead",
    rounds=3,
)
def _fills(loads: Loads) -> Work:
    """Engine.apply_fills of integer codes: 90 % on open positions, 5 % opening, 5 % closing, one core."""
    engine = Engine(loads.calm.book)
    engine.mark(loads.calm.before)
    return _traded(loads, engine.copy)


@LIVE.case(
    "fastadl, fills of a thousand, each in a journal",
    left_out="the first batch, which moves the book to where it can grow; making the arrays; fsync",
    held_back="as fills of a thousand, and SHA-256 of what is written",
    rounds=3,
)
def _recorded_fills(loads: Loads) -> Work:
    """The same of a LiveEngine that forces nothing to the device; each batch is an entry of its journal."""
    folder = Path(mkdtemp(prefix="fastadl-"))
    weakref.finalize(loads, shutil.rmtree, folder, ignore_errors=True)

    def made() -> Engine:
        engine = LiveEngine.create(folder / str(perf_counter_ns()), loads.calm.book, fsync=NEVER)
        weakref.finalize(engine, engine.journal.close)
        engine.mark(loads.calm.before)
        engine.deleverage()
        return engine

    return _traded(loads, made)


def _traded(loads: Loads, made: Callable[[], Engine]) -> Work:
    """Fills on an engine made anew for each round."""
    load = loads.calm
    batches = trades(load, min(_BATCHES, max(loads.positions // _BATCH, 2)))

    def setup() -> tuple[Engine, list[Batch]]:
        each = made()
        each.apply_fills(batches[0])
        return each, batches[1:]

    def check(result: tuple[Engine, Float64Array, Float64Array]) -> None:
        assert result[0].check().ok
        assert result[0].mark(load.before).tick > 0

    def facts(result: tuple[Engine, Float64Array, Float64Array]) -> Mapping[str, float]:
        traded, seconds, busy = result
        return {
            "median_batch_seconds": float(np.median(seconds)),
            "p99_batch_seconds": float(np.percentile(seconds, 99)),
            "p99_batch_busy_seconds": float(np.percentile(busy, 99)),
            "longest_batch_busy_seconds": float(busy.max()),
            "groups": float(len(traded.book.rows.group_rows)),
            "spare_rows_share": 1.0 - len(traded.book) / len(traded.book.rows.lots),
        }

    return Work(_apply, _BATCH * (len(batches) - 1), setup=setup, check=check, facts=facts)


@LIVE.case(
    "fastadl, withdrawals of a thousand",
    unit="withdrawal",
    left_out="the first batch; making the arrays",
    rounds=3,
)
def _withdrawals(loads: Loads) -> Work:
    """Engine.withdraw of a little from accounts with more than that free, margins looked at, one core."""
    load, rng = loads.calm, np.random.default_rng(_SEED)
    engine = Engine(load.book)
    engine.mark(load.before)
    found = engine.estimates()
    rich = np.flatnonzero(np.minimum(found.equity, load.book.cash) > 20 * found.maintenance_margin + 1e6)
    batches = [
        {"account": rng.choice(rich, _BATCH).astype(np.int32), "amount_atoms": np.ones(_BATCH, np.int64)}
        for _ in range(_WITHDRAWN)
    ]
    engine.withdraw(batches[0])

    def run() -> Float64Array:
        took = np.empty(len(batches))
        for i, batch in enumerate(batches):
            start = thread_time()
            engine.withdraw(batch)
            took[i] = thread_time() - start
        return took

    def check(_: Float64Array) -> None:
        assert engine.check().ok

    def facts(busy: Float64Array) -> Mapping[str, float]:
        return {"p99_batch_busy_seconds": float(np.percentile(busy, 99))}

    return Work(run, _BATCH * len(batches), check=check, facts=facts)


@LIVE.case(
    "fastadl, positions of an account",
    unit="account",
    left_out="finding accounts by name for the first time",
    held_back="a frame of fourteen columns, built anew",
    rounds=3,
)
def _positions(loads: Loads) -> Work:
    """Engine.positions of accounts by name, liquidation prices included, one core."""
    load, rng = loads.calm, np.random.default_rng(_SEED)
    engine = Engine(load.book)
    engine.mark(load.before)
    names = engine.accounts.gather(
        rng.integers(0, len(engine.accounts), _LOOKED_AT).astype(np.uint32)
    ).to_list()
    engine.positions(names[0])
    return Work(lambda: [engine.positions(name) for name in names], len(names))


@LIVE.case("fastadl, funding of every position", unit="position", left_out="nothing", rounds=3)
def _funding(loads: Loads) -> Work:
    """Engine.pay_funding of all instruments, exact, and every guard to be made anew by the next mark."""
    load = loads.calm
    engine = Engine(load.book)
    engine.mark(load.before)
    rates = dict.fromkeys(engine.symbols, "0.0001")

    def check(_: Any) -> None:
        assert engine.check().ok

    return Work(lambda: engine.pay_funding(rates), len(load.book), check=check)


def _apply(engine: Engine, batches: list[Batch]) -> tuple[Engine, Float64Array, Float64Array]:
    """Book all batches; how long each took, and how long of that this thread ran."""
    took = np.empty((2, len(batches)))
    for i, batch in enumerate(batches):
        start, ran = perf_counter(), thread_time()
        engine.apply_fills(batch)
        took[:, i] = perf_counter() - start, thread_time() - ran
    return engine, took[0], took[1]


def trades(load: Load, batches: int) -> list[Batch]:
    """Batches of fills at mark, two to a trade, as integer codes and atoms."""
    rng = np.random.default_rng(_SEED)
    _, accounts, rows = load.book.columns()
    people = np.flatnonzero(rows.account >= 0)
    account, instrument, lots = (each[people] for each in (rows.account, rows.instrument, rows.lots))
    count = batches * _BATCH // 2
    first = rng.integers(0, len(account), count)
    kind = rng.random(count)
    closing, opening = kind < _CLOSING, kind > 1.0 - _OPENING
    first[closing] = rng.permutation(len(account))[: np.count_nonzero(closing)]
    which = instrument[first]
    by_instrument = np.argsort(instrument, kind="stable")
    start = np.searchsorted(instrument[by_instrument], np.arange(len(load.before) + 1))
    second = by_instrument[(start[which] + rng.random(count) * np.diff(start)[which]).astype(np.int64)]
    bought = rng.choice(np.array([1, -1]), count)
    bought[closing] = -lots[first[closing]]
    buyer = account[first]
    buyer[opening] = rng.integers(0, len(accounts.cash), np.count_nonzero(opening))
    unit = load.before * np.array([float(item.scale) for item in load.book.instruments])
    paid = np.rint(bought * unit[which]).astype(np.int64)
    columns = {
        "account": np.stack([buyer, account[second]], axis=1).astype(np.int32).ravel(),
        "symbol": np.repeat(which, 2).astype(np.int32),
        "lots": np.stack([bought, -bought], axis=1).ravel(),
        "value_atoms": np.stack([paid, -paid], axis=1).ravel(),
        "fee_atoms": np.ones(2 * count, np.int64),
    }
    cuts = [slice(at, at + _BATCH) for at in range(0, 2 * count, _BATCH)]
    return [{name: column[cut] for name, column in columns.items()} for cut in cuts]
