"""More instruments than two bytes can number: wider ids, the same results."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from fastadl import Book, Engine

TIERS = [
    {"min_notional": "0", "maintenance_rate": "0.05"},
    {"min_notional": "3000", "maintenance_rate": "0.1"},
]
COUNT = 33_000
#: The instruments somebody holds, and where they stand among many.
HELD = [0, 1, 32_767, 32_768, 32_999]


def book(symbols: list[str]) -> Book:
    count = len(symbols)
    instruments = pl.DataFrame(
        {
            "symbol": symbols,
            "kind": ["linear"] * count,
            "contract_size": ["1"] * count,
            "lot": ["0.1"] * count,
            "tiers": pl.Series([TIERS] * count),
        }
    )
    draw = np.random.default_rng(3)
    names = [f"t{i:03}" for i in range(120)]
    cash = draw.integers(50, 900, len(names)).astype(str).tolist()
    rows = []
    for at in HELD:
        lots = draw.integers(1, 60, len(names))
        side = np.where(np.arange(len(names)) % 2 == at % 2, 1, -1)
        rows += [(name, f"S{at}", int(n * s), "100") for name, n, s in zip(names, lots, side, strict=True)]
    positions = pl.DataFrame(rows, schema=["account", "symbol", "lots", "entry_price"], orient="row")
    return Book.from_frames(instruments, {"id": names, "cash": cash}, positions)


@pytest.fixture(scope="module")
def many() -> Book:
    return book([f"S{i}" for i in range(COUNT)])


@pytest.fixture(scope="module")
def few() -> Book:
    return book([f"S{i}" for i in HELD])


def results(book: Book, policy: Any) -> list[Any]:
    engine = Engine(book, policy=policy, fund="100")
    held = np.isin(engine.symbols, [f"S{at}" for at in HELD])
    found: list[Any] = []
    for factor in (1.0, 0.7, 1.5):
        prices = np.where(held, 100.0 * factor, 7.0)
        report = engine.tick(prices)
        frames = report.frames()
        summary = frames.pop("summary")
        found += [frame.rows() for frame in frames.values()]
        found.append(summary.drop(c for c in summary.columns if c.startswith("seconds_")).rows())
        found += [engine.equity().tolist(), engine.maintenance_margin().tolist()]
    found.append(engine.rank("S32768", "short").rows())
    found.append(engine.book.to_frames()[2].rows())
    assert engine.check().ok
    assert sum(map(len, frames.values())) > 20
    return found


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["bitmex", {"space": "wealth"}, {"allocation": "pro_rata_size"}], ids=str)
def test_many_instruments_give_the_results_of_few(many: Book, few: Book, policy: Any) -> None:
    assert many.rows.leg.dtype == np.uint32
    assert few.rows.leg.dtype == np.uint16
    assert results(many, policy) == results(few, policy)
