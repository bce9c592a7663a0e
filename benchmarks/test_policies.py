"""Every score and every allocation on the candidates of one instrument, at equal numbers of fills."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

import fastadl as fa
from benchmarks.conftest import Measure
from fastadl import AdlPolicy, Book, Engine
from fastadl.engine.allocation import NEEDS_DETAIL, quotas
from fastadl.engine.ranking import candidates
from fastadl.policy import CHOICES
from fastadl.policy.choices import alone

#: Candidates are a tenth of the positions asked for, fills a tenth of the candidates.
_SHARE, _FILLS = 10, 10


@fa.score
def own_score(c: Any) -> float:
    """The formula of `bitmex`, written by a user."""
    roi = c.profit / max(c.cost, 1.0)
    leverage = c.gross / max(c.equity, 1.0)
    return roi * leverage if roi > 0.0 else roi / leverage


@pytest.fixture(scope="module")
def engine(positions: int) -> Engine:
    """Shorts of X, each of an account of its own, every second one with a long of Y beside it."""
    rng = np.random.default_rng(1)
    count = max(positions // _SHARE, 100)
    names = [f"s{i:07d}" for i in range(count)]
    lots = np.ceil(30 / (1.0 - rng.random(count)) ** 0.6).astype(np.int64)
    hedge = np.arange(0, count, 2)
    cash = np.ceil(lots * 1e6 * rng.uniform(0.05, 2.0, count)).astype(np.int64)
    tiers = [
        {"min_notional": "0", "maintenance_rate": "0.005", "max_leverage": "100"},
        {"min_notional": "50000", "maintenance_rate": "0.01", "max_leverage": "50"},
    ]
    book = Book.from_frames(
        {
            "symbol": ["X", "Y"],
            "kind": ["linear"] * 2,
            "contract_size": [1, 1],
            "lot": ["0.01", "0.01"],
            "tiers": [tiers] * 2,
        },
        {"id": [*names, "desk"], "cash_atoms": np.append(cash, 1 << 52)},
        {
            "account": [*names, *(names[i] for i in hedge), "desk", "desk"],
            "symbol": ["X"] * count + ["Y"] * len(hedge) + ["X", "Y"],
            "lots": np.concatenate([-lots, lots[hedge], [lots.sum(), -lots[hedge].sum()]]),
            "entry_value_atoms": np.concatenate(
                [
                    -np.rint(lots * 1e6 * rng.uniform(0.9, 1.3, count)).astype(np.int64),
                    lots[hedge] * 1_000_000,
                    [lots.sum() * 1_000_000, -lots[hedge].sum() * 1_000_000],
                ]
            ),
        },
    )
    made = Engine(book, copy=False)
    made.mark({"X": 100.0, "Y": 100.0})
    return made


def _ranked(engine: Engine, policy: AdlPolicy, need: int) -> Any:
    """Scores, ranking and quotas of all shorts of X."""
    state = engine._state
    excluded = np.zeros(len(state.book.rows.cash), np.bool_)
    found = candidates(state, [1], policy, excluded, 0, detail=policy.allocation in NEEDS_DETAIL)[0]
    return quotas(state, found, policy, need)


def _need(engine: Engine, policy: AdlPolicy, fills: int) -> int:
    """The lots that make a policy touch so many candidates, or as near as it comes."""
    low, high = 1, int(-engine._state.book.rows.lots[engine._state.book.rows.leg == 1].sum())
    while high - low > max(1, low // 200):
        middle = (low + high) // 2
        if len(_ranked(engine, policy, middle).lots) < fills:
            low = middle
        else:
            high = middle
    return high


@pytest.mark.benchmark(group="ranking, by score")
@pytest.mark.parametrize("score", [*CHOICES["score"], own_score], ids=str)
def test_score(measure: Measure, engine: Engine, score: Any) -> None:
    """Candidates of one leg scored, and the best of them chosen, in order, for a tenth of them to be filled.

    Intent: no score costs more than three times the plainest one; a user's own costs what ours do. Unit: one
    candidate. Left out: writing the fills.
    """
    count = len(engine.rank("X", "short"))
    policy = AdlPolicy(score=score)
    need = _need(engine, policy, count // _FILLS)
    chosen = measure(
        partial(_ranked, engine, policy, need),
        who="fastadl, bitmex" if score == "bitmex" else policy.choices()["score"],
        unit=(count, "candidate"),
    )
    assert abs(len(chosen.lots) - count // _FILLS) <= count // 100 + 1


@pytest.mark.benchmark(group="ranking and allocating")
@pytest.mark.parametrize("allocation", CHOICES["allocation"])
def test_allocation(measure: Measure, engine: Engine, allocation: str) -> None:
    """The same with the quotas of every allocation; the need is such that each touches a tenth.

    Intent: within three times the queue, those that search a level six times. Unit: one candidate. Left out:
    writing the fills.
    """
    count = len(engine.rank("X", "short"))
    policy = AdlPolicy.of(alone("allocation", allocation))
    need = _need(engine, policy, count // _FILLS)
    chosen = measure(
        partial(_ranked, engine, policy, need),
        who="fastadl, queue" if allocation == "queue" else allocation,
        unit=(count, "candidate"),
        fills=len(_ranked(engine, policy, need).lots),
    )
    assert allocation == "queue" or chosen.lots.sum() <= need
