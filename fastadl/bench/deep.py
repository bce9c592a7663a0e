"""One deep deleveraging of one instrument, beside the one package that can be installed and does ADL."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastadl import Book, Engine
from fastadl.bench.loads import Loads
from fastadl.bench.registry import Group, Work
from fastadl.bench.rivals import lrvx
from fastadl.schema import Float64Array, Int64Array

__all__ = ["DEEP"]

#: lrvx needs time in the square of its close-outs.
_MOST = 100_000


class Shorts(NamedTuple):
    """Shorts, and the lots of one bankrupt long whose close-out needs about a twelfth of them."""

    lots: Int64Array
    cash: Int64Array
    long: int


def _shorts(loads: Loads) -> Shorts:
    rng = np.random.default_rng(1)
    count = min(loads.positions, _MOST) - 1
    lots = rng.integers(1, 100, count)
    return Shorts(lots, np.ceil(rng.uniform(2.0, 50.0, count) * lots).astype(np.int64), int(lots.sum()) // 12)


DEEP = Group(
    "deep",
    "one deep deleveraging of one instrument",
    f"A like task for the one package that can be installed and does ADL: up to {_MOST:,} shorts of one "
    "position each; the mark falls from 100 to 40 and the one long is bankrupt.",
    "close-out",
    _shorts,
)


@DEEP.case("fastadl", left_out="building the book", rounds=10)
def _ours(shorts: Shorts) -> Work:
    """Engine.tick: pairs every lot and settles it exactly, fund and report included."""
    engine = Engine(_book(shorts), copy=False)

    def setup() -> tuple[Engine, Float64Array]:
        each = engine.copy()
        each.mark(np.array([100.0]))
        return each, np.array([40.0])

    fills = len(Engine.tick(*setup()).adl_fills)

    def check(report: Any) -> None:
        assert len(report.adl_fills) == fills > 0

    return Work(Engine.tick, fills, setup=setup, check=check)


def _book(shorts: Shorts) -> Book:
    names = [*(f"s{i:06d}" for i in range(len(shorts.lots))), "whale", "desk"]
    lots = np.append(-shorts.lots, [shorts.long, int(shorts.lots.sum()) - shorts.long])
    return Book.from_frames(
        {
            "symbol": ["X"],
            "kind": ["linear"],
            "contract_size": [1],
            "lot": [1],
            "tiers": [[{"min_notional": "0", "maintenance_rate": "0.005"}]],
        },
        {"id": names, "cash": np.append(shorts.cash, [10 * shorts.long, 1 << 32])},
        {
            "account": names,
            "symbol": ["X"] * len(names),
            "lots": lots,
            "entry_value_atoms": lots * 100_000_000,
        },
    )


@DEEP.case("lrvx", left_out="loading the positions; pairing: it closes whole winners, in floats", rounds=3)
def _rival(shorts: Shorts) -> Work:
    """LiquidationEngine.on_mark: closes winners until their profit covers the deficit; pairs nothing."""
    package = lrvx()

    def engine() -> tuple[Any]:
        made = package.LiquidationEngine()
        made.add_tier(0, 0.005)
        made.set_adl_enabled(True)
        made.set_adl_ranking("pnl_ratio")
        made.set_insurance_fund_capital(0.0)
        for i, (lots, cash) in enumerate(zip(shorts.lots.tolist(), shorts.cash.tolist(), strict=True)):
            made.open_position(i, 1, -lots, 100.0, cash)
        made.open_position(len(shorts.lots), 1, 1.2 * shorts.long, 100.0, 12.0 * shorts.long)
        return (made,)

    def run(made: Any) -> Any:
        return made.on_mark(1, 40.0)

    closed = int(run(*engine())["adl_closeouts_count"])

    def check(out: Any) -> None:
        assert out["liquidations_count"] == 1
        assert out["adl_closeouts_count"] == closed

    return Work(run, closed, setup=engine, check=check)
