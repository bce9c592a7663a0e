"""Lights and percentiles of whole books (rule R99)."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

import fastadl as fa
from fastadl.engine.indicator import standing
from fastadl.engine.indicator.sides import Sides
from fastadl.errors import InputError, StageError
from fastadl.policy import CHOICES
from fastadl.policy.choices import alone
from uncompiled import fewer

TIERS = [{"min_notional": "0", "maintenance_rate": "0.005"}]


def book_of(rows: list[tuple[str, str, int]], cash: dict[str, str], symbols: str = "X") -> fa.Book:
    """Rows as (account, symbol, lots), entered at 100."""
    count = len(symbols)
    account, symbol, lots = map(list, zip(*rows, strict=True)) if rows else ([], [], [])
    return fa.Book.from_frames(
        {
            "symbol": list(symbols),
            "kind": ["linear"] * count,
            "contract_size": ["1"] * count,
            "lot": ["1"] * count,
            "tiers": [TIERS] * count,
            "mark": ["100"] * count,
        },
        {"id": pl.Series(list(cash), dtype=pl.String), "cash": list(cash.values())},
        {
            "account": pl.Series(account, dtype=pl.String),
            "symbol": pl.Series(symbol, dtype=pl.String),
            "lots": pl.Series(lots, dtype=pl.Int64),
            "entry_price": pl.Series(["100"] * len(rows), dtype=pl.String),
        },
    )


def value_of(standings: fa.Standings) -> dict[str, Any]:
    frame = standings.frame()
    return dict(zip(frame["account"], frame[standings.what], strict=True))


def six_longs() -> fa.Engine:
    """Lots and ranking of BitMEX's example; the lower the balance, the better ranked."""
    lots = {"1": 10, "2": 10, "3": 20, "4": 30, "5": 20, "6": 10}
    score = {"1": 3, "2": 6, "3": 1, "4": 4, "5": 5, "6": 2}
    rows = [(name, "X", held) for name, held in lots.items()] + [("s", "X", -100)]
    cash = {name: str(100_000 - worth) for name, worth in score.items()} | {"s": "100000"}
    return fa.Engine(book_of(rows, cash), policy={"score": "low_cash"})


def test_the_published_lights_of_six_longs() -> None:
    """https://www.bitmex.com/app/autoDeleveragingExamples: percentiles 20, 40, 60, 80, 80, 100."""
    found = value_of(six_longs().lights())
    assert {name: 20 * (6 - light) for name, light in found.items() if name != "s"} == {
        "2": 20, "5": 40, "4": 60, "1": 80, "6": 80, "3": 100,
    }  # fmt: skip
    assert found["s"] == 1  # alone, it is the last as well as the first


def test_by_count_every_position_is_one_lot() -> None:
    shares = value_of(six_longs().percentiles(by="count"))
    assert [shares[name] for name in "254163"] == [1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1.0]
    lights = value_of(six_longs().lights(by="count"))
    assert [lights[name] for name in "254163"] == [5, 4, 3, 2, 1, 1]


def test_percentiles_by_quantity() -> None:
    shares = value_of(six_longs().percentiles())
    assert [shares[name] for name in "254163"] == [0.1, 0.3, 0.6, 0.7, 0.8, 1.0]


def test_who_is_below_zero_has_no_light_and_moves_nobody() -> None:
    rows = [("a", "X", 10), ("b", "X", 10), ("lost", "X", 50), ("s", "X", -70)]
    engine = fa.Engine(
        book_of(rows, {"a": "1000", "b": "2000", "lost": "-0.000001", "s": "9999"}),
        policy={"score": "low_cash"},
    )
    assert value_of(engine.lights()) == {"a": 3, "b": 1, "s": 1}
    assert len(engine.percentiles()) == 3
    assert np.isnan(engine.percentiles().values).sum() == 1


def test_equity_of_exactly_zero_is_let_in() -> None:
    """Float64 cannot tell: whole numbers do."""
    big = str(2**52 // 10**6)
    rows = [("zero", "X", 10**7), ("below", "X", 10**7), ("s", "X", -2 * 10**7)]
    book = book_of(rows, {"zero": "0", "below": "-0.000001", "s": big})
    engine = fa.Engine(book, policy={"score": "size"})
    assert value_of(engine.lights()) == {"zero": 1, "s": 1}


@pytest.fixture(scope="module")
def engine() -> fa.Engine:
    """A book in which profits, losses, hedges and several rows an account occur, and one account owes."""
    book = fa.synth.book("pareto", positions=fewer(3000), accounts=fewer(900), instruments=7, seed=1)
    made = fa.Engine(book, fund="1000000000")
    made.tick(made.marks * np.linspace(0.8, 1.15, 7))
    return made


def with_policy(engine: fa.Engine, choices: dict[str, Any]) -> fa.Engine:
    other = engine.copy()
    other.policy = fa.AdlPolicy.of(choices)
    return other


@pytest.mark.parametrize("by", ["quantity", "count"])
@pytest.mark.parametrize("score", CHOICES["score"])
def test_cells_say_what_the_whole_ranking_says(engine: fa.Engine, score: str, by: str) -> None:
    ours = with_policy(engine, alone("score", score))
    sides, number = Sides.alike(ours._state), ours._next()
    light = np.zeros(len(ours._state.book.rows.lots), np.uint8)
    share = np.full(len(light), np.nan)
    standing._by_ranking(sides, ours.policy, number, by == "count", None, light, np.empty(0))
    standing._by_ranking(sides, ours.policy, number, by == "count", None, np.empty(0, np.uint8), share)
    np.testing.assert_array_equal(ours.lights(by=by).values, light)
    np.testing.assert_array_equal(ours.percentiles(by=by).values, share)
    assert set(light) >= {1, 2, 3, 4, 5}


@pytest.mark.parametrize(
    "choices",
    [{"score": "size", "then": ["leverage"]}, {"tiers": "delta_neutral", "delta_limit": "0.3"}, {}],
    ids=["further keys", "tiers of the policy", "plain"],
)
def test_lights_follow_the_ranking_that_is_shown(engine: fa.Engine, choices: dict[str, Any]) -> None:
    ours = with_policy(engine, choices)
    shares = ours.percentiles().frame()
    for side in ("long", "short"):
        ranked = ours.rank("BTC-PERP", side)
        reached = ranked["lots"].cum_sum().to_numpy() / ranked["lots"].sum()
        mine = shares.filter(symbol="BTC-PERP", side=side).sort("percentile")
        assert mine["percentile"].to_list() == reached.tolist()
        assert mine["account"].to_list() == ranked["account"].to_list()


def test_a_score_of_ones_own(engine: fa.Engine) -> None:
    ours = with_policy(engine, {"score": fa.score(lambda c: c.profit)})
    built_in = with_policy(engine, {"score": "profit"})
    np.testing.assert_array_equal(ours.lights().values, built_in.lights().values)


@pytest.mark.parametrize("score", ["okx", "binance"])
def test_a_closed_row_needs_no_margin(score: str) -> None:
    """Not even where a negative deduction asks margin of a row worth nothing."""
    rows = [("a", "X", 10), ("b", "X", 10), ("c", "X", -20), ("a", "Y", 5), ("c", "Y", -5)]
    instruments, *others = book_of(rows, {"a": "1100", "b": "1000", "c": "9000"}, "XY").to_frames()
    tiers = [[{"min_notional": "0", "maintenance_rate": "0.005", "deduction": "-5"}]] * 2
    book = fa.Book.from_frames(
        {**instruments.drop("tiers").to_dict(as_series=False), "tiers": tiers}, *others
    )
    engine = fa.Engine(book, policy={"score": score})
    engine.mark([102.0, 100.0])
    engine.deleverage_account("a", "Y", price="mark")
    longs = engine.percentiles().frame().filter(symbol="X", side="long").sort("percentile")
    assert longs["account"].to_list() == engine.rank("X", "long")["account"].to_list()


def test_given_tiers_come_one_after_the_other() -> None:
    book = book_of([("a", "X", 10), ("b", "X", 10), ("s", "X", -20)], {"a": "1000", "b": "2000", "s": "9999"})
    frames = book.to_frames()
    later = frames[1].with_columns(adl_tier=pl.Series([1, 0, 0]))
    engine = fa.Engine(fa.Book.from_frames(frames[0], later, frames[2]), policy={"score": "low_cash"})
    assert value_of(engine.lights()) == {"a": 1, "b": 3, "s": 1}


def test_neither_threads_nor_the_order_of_rows_matter(engine: fa.Engine) -> None:
    frames = engine.book.to_frames()
    mixed = fa.Engine(
        fa.Book.from_frames(
            frames[0], frames[1].reverse(), frames[2].sample(fraction=1, shuffle=True, seed=1)
        ),
        threads=1,
    )
    mixed.mark(engine.marks)
    keys = ["account", "symbol", "side"]
    for by in ("quantity", "count"):
        assert mixed.lights(by=by).frame().sort(keys).equals(engine.lights(by=by).frame().sort(keys))
        assert (
            mixed.percentiles(by=by).frame().sort(keys).equals(engine.percentiles(by=by).frame().sort(keys))
        )


def test_many_instruments_have_coarser_cells(engine: fa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = engine.lights().values
    monkeypatch.setattr(standing, "_ALL_CELLS", 1)
    np.testing.assert_array_equal(engine.lights().values, expected)


def test_a_later_tick_leaves_lights_as_they_were(engine: fa.Engine) -> None:
    ours = engine.copy()
    lights = ours.lights()
    before = lights.values.copy()
    ours.tick(ours.marks * 0.5)
    np.testing.assert_array_equal(lights.values, before)


def test_an_empty_book_has_no_lights() -> None:
    engine = fa.Engine(book_of([], {"a": "1"}))
    assert engine.lights().frame().shape == (0, 4)
    assert engine.percentiles().frame().columns == ["account", "symbol", "side", "percentile"]


def test_what_is_refused(engine: fa.Engine) -> None:
    with pytest.raises(InputError, match="by: size: say quantity, or count"):
        engine.lights(by="size")
    frames = book_of([("a", "X", 1), ("b", "X", -1)], {"a": "1", "b": "1"}).to_frames()
    with pytest.raises(StageError, match="has no mark yet"):
        fa.Engine(fa.Book.from_frames(frames[0].drop("mark"), *frames[1:])).percentiles()
