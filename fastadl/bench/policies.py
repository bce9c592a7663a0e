"""Every score and every allocation on the candidates of one instrument, at equal numbers of fills."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastadl as fa
from fastadl import AdlPolicy, Book, Engine
from fastadl.bench.loads import Loads
from fastadl.bench.registry import Group, Work
from fastadl.engine.allocation import NEEDS_DETAIL, quotas
from fastadl.engine.ranking import candidates
from fastadl.policy import CHOICES
from fastadl.policy.choices import alone

__all__ = ["ALLOCATIONS", "SCORES"]

#: Candidates are a tenth of the positions asked for, fills a tenth of the candidates.
_SHARE, _FILLS = 10, 10


@fa.score
def own_score(c: Any) -> float:
    """The formula of `bitmex`, written by a user."""
    roi = c.profit / max(c.cost, 1.0)
    leverage = c.gross / max(c.equity, 1.0)
    return roi * leverage if roi > 0.0 else roi / leverage


def _engine(loads: Loads) -> Engine:
    """Shorts of X, each of an account of its own, every second one with a long of Y beside it."""
    rng = np.random.default_rng(1)
    count = max(loads.positions // _SHARE, 100)
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


def _shared(loads: Loads) -> Engine:
    return loads.once(_engine)


SCORES = Group(
    "scores",
    "ranking, by score",
    "Whether any score costs much more than the plainest, and a user's own what ours cost: candidates of one "
    "instrument are scored, and the best chosen, in order, until a tenth of them give.",
    "candidate",
    _shared,
    several="scores",
)
ALLOCATIONS = Group(
    "allocations",
    "ranking and allocating",
    "What other allocations cost beside the queue, at equal numbers of candidates that give lots.",
    "candidate",
    _shared,
    several="allocations",
)
_FILLING = "writing the fills"


def _candidates(engine: Engine) -> int:
    return len(engine.rank("X", "short"))


def _score(name: Any) -> None:
    does = "A score of the user's own, compiled as ours are." if name is own_score else f"Score {name}."

    @SCORES.case(f"fastadl, {getattr(name, 'name', name)}", does=does, left_out=_FILLING)
    def make(engine: Engine) -> Work:
        count, policy = _candidates(engine), AdlPolicy(score=name)
        need = _need(engine, policy, count // _FILLS)

        def check(chosen: Any) -> None:
            assert abs(len(chosen.lots) - count // _FILLS) <= count // 100 + 1

        return Work(_ranked, count, (engine, policy, need), check=check)


def _allocation(name: str) -> None:
    @ALLOCATIONS.case(f"fastadl, {name}", does=f"Allocation {name}.", left_out=_FILLING)
    def make(engine: Engine) -> Work:
        policy = AdlPolicy.of(alone("allocation", name))
        need = _need(engine, policy, _candidates(engine) // _FILLS)

        def check(chosen: Any) -> None:
            assert name == "queue" or chosen.lots.sum() <= need

        return Work(_ranked, _candidates(engine), (engine, policy, need), check=check)


for _name in (*CHOICES["score"], own_score):
    _score(_name)
for _name in CHOICES["allocation"]:
    _allocation(_name)
