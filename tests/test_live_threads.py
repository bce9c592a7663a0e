"""Two Python threads: one trades and ticks, the other reads everything, and only ever finished calls."""

from __future__ import annotations

import threading

import numpy as np
import polars as pl

import fastadl as fa
from test_live import batch, check_layout, market
from uncompiled import fewer

_ROUNDS = fewer(60)


def test_a_reader_sees_finished_calls_only() -> None:
    engine = fa.Engine(market(accounts=200, symbols=12), fund="1000")
    engine.mark(engine.marks)
    failed: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        seen = 0
        try:
            while not done.is_set() or not seen:
                _look(engine)
                seen += 1
        except BaseException as error:  # handed to the test, whatever it is
            failed.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        _go_on(engine, failed)
    finally:
        done.set()
        reader.join()
    assert not failed, failed
    check_layout(engine)
    assert engine.check().ok


def _go_on(engine: fa.Engine, failed: list[BaseException]) -> None:
    random = np.random.default_rng(0)
    who = np.arange(50, dtype=np.int32)
    for step in range(_ROUNDS):
        engine.apply_fills(batch(random, engine.book, 40))
        engine.deposit({"account": who, "amount_atoms": np.full(50, 1000)})
        engine.pay_funding(dict.fromkeys(engine.symbols, "0.0001"))
        if step % 5 == 0:
            engine.tick(engine.marks * random.uniform(0.98, 1.02, len(engine.marks)))
        if failed:
            return


def _look(engine: fa.Engine) -> None:
    """Everything that can be read; longs and shorts balance at every moment."""
    assert engine.check().ok
    _, accounts, positions = engine.frames()
    assert not positions.group_by("symbol").agg(pl.col("lots").sum())["lots"].to_numpy().any()
    assert len(accounts) == len(engine.equity()) == len(engine.maintenance_margin())
    for name in engine.accounts[:5]:
        found = engine.positions(name)
        assert (found["lots"] > 0).all()
        engine.free_collateral(name)
    engine.lights()
    engine.percentiles()
    engine.rank("S0", "long")
    engine.reserves()
    engine.estimates()
    engine.values()
    assert engine.copy().check().ok
