"""Nothing but the input decides a result: not the order of rows, not the number of threads, not the run."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import polars as pl
import pytest

from engines import ipc, state_of
from fastadl import AdlPolicy, Book, Engine, synth
from fastadl.policy.choices import CHOICES, alone

POLICIES: list[Any] = [
    *(alone(choice, value) for choice, values in CHOICES.items() for value in values[1:]),
    *(
        {"allocation": value, "guard": "solvent", "rerank": "each"}
        for value in CHOICES["allocation"]
        if value != "whole"
    ),
    *("bitmex", "bybit_2025", "dydx_v4", "ethereal", "gmx_v2", "vega"),
]
TIERS = [
    {"min_notional": "0", "maintenance_rate": "0.15"},
    {"min_notional": "200", "maintenance_rate": "0.3"},
]
#: symbol, kind, contract size, lot, currency, decimals, mark
LISTED = [
    ("Y", "linear", "1", "0.01", "USD", 2, "40.01"),
    ("B", "inverse", "100", "1", "BTC", 8, "50000"),
    ("X", "linear", "1", "1", "USD", 2, "100"),
    ("É", "quanto", "0.5", "1", "USD", 2, "7"),
]
PATH = [0.93, 0.71, 1.4]


def frames(accounts: int) -> list[pl.DataFrame]:
    """A book of many equal accounts, so that ties are everywhere; some hedged, some isolated."""
    draw = np.random.default_rng(7)
    names = ("symbol", "kind", "contract_size", "lot", "currency", "decimals", "mark")
    instruments = pl.DataFrame(LISTED, schema=list(names), orient="row").with_columns(
        tiers=pl.Series([TIERS] * len(LISTED))
    )
    people, rows = [], []
    for i in range(accounts):
        name, currency = (
            f"{draw.choice(['a', 'é', 'B'])}{i * 7919 % 1000}",
            draw.choice(["USD", "USD", "BTC"]),
        )
        isolated = bool(draw.random() < 0.2)
        listed = [item for item in LISTED if item[4] == currency][: 1 if isolated else 3]
        cash = int(draw.choice([3, 10, 40, 150])) * (10**2 if currency == "USD" else 10**5)
        people.append(
            (name, currency, cash, "isolated" if isolated else "cross", int(draw.choice([0, 0, 0, 3])))
        )
        for symbol, _, _, _, _, _, mark in listed:
            for side in ([1, -1], [1], [1], [-1], [-1], [-1], [])[draw.integers(0 if not isolated else 1, 7)]:
                percent = int(draw.choice([90, 100, 110]))
                rows.append((name, symbol, side * int(draw.choice([1, 2, 5])), float(mark) * percent / 100))
    return [
        instruments,
        pl.DataFrame(
            people, schema=["id", "currency", "cash_atoms", "margin_mode", "adl_tier"], orient="row"
        ),
        pl.DataFrame(rows, schema=["account", "symbol", "lots", "entry_price"], orient="row"),
    ]


def results(tables: list[pl.DataFrame], policy: Any, threads: int | None = None) -> dict[str, bytes]:
    """Every frame of every tick, and the book and rankings after the last, as bytes."""
    drawdown = {} if AdlPolicy.of(policy).trigger == "drawdown" else {"max_drawdown": "0.9"}
    engine = Engine(
        Book.from_frames(*tables),
        policy=policy,
        fund={"USD": "150", "BTC": {"cash": "0.001", **drawdown}},
        liquidity={"depth": {"X": "9", "Y": "2", "B": "4"}, "slippage": "0.02", "fee": "0.01"},
        threads=threads,
    )
    found = {}
    for number, factor in enumerate(PATH):
        marks = {symbol: str(round(float(mark) * factor, 4)) for symbol, *_, mark in LISTED}
        for name, frame in engine.tick(marks, time=60 * number).frames().items():
            seconds = [column for column in frame.columns if column.startswith("seconds_")]
            found[f"{name} {number}"] = ipc(frame.drop(seconds))
        values = pl.DataFrame({"e": engine.equity(), "m": engine.maintenance_margin(), "id": engine.accounts})
        found[f"values {number}"] = ipc(values.sort("id"))
    _, accounts, positions = engine.book.to_frames()
    found["accounts"] = ipc(accounts.sort("id"))
    found["positions"] = ipc(positions.sort("account", "symbol", "lots"))
    found["reserves"] = ipc(engine.reserves())
    for symbol, side in (("X", "long"), ("X", "short"), ("B", "short")):
        found[f"rank {symbol} {side}"] = ipc(engine.rank(symbol, side))
    assert engine.check().ok
    return found


@pytest.fixture(scope="module")
def tables() -> list[pl.DataFrame]:
    return frames(80)


THREADS = min(2, numba.config.NUMBA_NUM_THREADS)


@pytest.mark.jit  # without it there is one thread
@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_neither_row_order_nor_threads_nor_the_run_changes_a_byte(tables, policy):
    once = results(tables, policy)
    assert differences(once, results(tables, policy, THREADS)) == []
    if policy == {"score": "given"}:
        return  # the order of the accounts is what it ranks by
    shuffled = [table.sample(fraction=1.0, shuffle=True, seed=len(str(policy))) for table in tables]
    assert not shuffled[2].equals(tables[2])
    assert differences(once, results(shuffled, policy, 1)) == []


def differences(one: dict[str, bytes], other: dict[str, bytes]) -> list[str]:
    return [name for name in one if other[name] != one[name]]


@pytest.mark.jit
@pytest.mark.parametrize("policy", ["bitmex", {"space": "wealth"}, {"allocation": "leverage_fill"}], ids=str)
def test_books_of_many_chunks_are_the_same_on_two_threads(policy):
    """Kernels work on chunks of a few thousand accounts; here every thread has several."""
    book = synth.book("pareto", positions=40_000, accounts=15_000, instruments=3, seed=5)
    states = []
    for threads in (1, THREADS):
        engine = Engine(book, policy=policy, fund="100000", threads=threads)
        frames = engine.tick(engine.marks * [0.8, 1.2, 1.0]).frames()
        states.append(
            {name: ipc(frame) for name, frame in frames.items() if name != "summary"} | state_of(engine)
        )
    assert len(frames["liquidations"]) > 1000
    assert differences(*states) == []


def test_the_load_reaches_every_list(tables):
    """Otherwise the test above would show little."""
    lists = set()
    for policy in ("bitmex", {"space": "wealth"}, {"guard": "health"}):
        engine = Engine(
            Book.from_frames(*tables),
            policy=policy,
            fund={"USD": "150"},
            liquidity={
                "depth": {"X": "9", "Y": "2"},
                "slippage": "0.02",
                "fee": "0.01",
                "surplus": "fund",
            },
        )
        for factor in PATH:
            report = engine.tick({symbol: str(round(float(mark) * factor, 4)) for symbol, *_, mark in LISTED})
            lists |= {name for name, frame in report.frames().items() if len(frame)}
    assert lists == set(report.frames())
