"""Flags of accounts: who is exempt from ADL, and tiers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import fastadl as fa
from engines import book, ipc, lots
from test_live_grow import CASH, frames, refused

CROWD = """\
z X 100 10
b X -40 12
c X -30 13
d X -20 11
e X -10 14
"""
MONEY = {"z": "50", "b": "500", "c": "400", "d": "300", "e": "200"}


def crowd(policy: Any, fund: str = "0", exempt: tuple[str, ...] = ()) -> fa.Engine:
    engine = fa.Engine(book(CROWD, cash=MONEY, listed={"X": {"mark": "10"}}), policy=policy, fund=fund)
    engine.tick({}, time=0)
    if exempt:
        engine.set_flags({"account": list(exempt), "exempt": [True] * len(exempt)})
    return engine


@pytest.mark.parametrize(
    "name", ["bitmex", "binance_2025", "pro_rata", "leverage_fill", "kucoin_v1", "dydx_v4"]
)
def test_the_exempt_are_never_deleveraged(name: str) -> None:
    engine = crowd(name, exempt=("b", "d"))
    fills = engine.tick({"X": "8"}, time=1).adl_fills
    assert fills["lots"].sum() == 40
    assert set(fills["counterparty"]) == {"c", "e"}
    assert lots(engine)["b", "X"] == -40
    assert engine.check().ok


@pytest.mark.parametrize("score", ["bitmex", "random"])
@pytest.mark.parametrize("by", ["quantity", "count"])
def test_the_exempt_have_no_place_in_the_ranking(score: str, by: str) -> None:
    """As for a book in which somebody else's rank is made by sorting."""
    engine = crowd({"score": score}, exempt=("c", "z"))
    assert set(engine.rank("X", "short")["account"]) == {"b", "d", "e"}
    assert engine.rank("X", "long").is_empty()
    sorted_ = crowd({"score": score, "then": ["profit"]}, exempt=("c", "z"))
    for each in ("lights", "percentiles"):
        frame = getattr(engine, each)(by=by).frame()
        assert frame["account"].to_list() == ["b", "d", "e"]
        if score == "bitmex":
            assert ipc(frame) == ipc(getattr(sorted_, each)(by=by).frame())
    assert engine.percentiles(by=by).frame()["percentile"].max() == 1.0


def test_lights_leave_out_many_who_are_exempt() -> None:
    made = fa.synth.book("pareto", positions=4000, accounts=900, instruments=7, seed=3)
    engine = fa.Engine(made)
    exempt = made.accounts.gather_every(3)
    engine.set_flags({"account": exempt, "exempt": np.ones(len(exempt), np.bool_)})
    for by in ("quantity", "count"):
        frame = engine.lights(by=by).frame()
        for symbol in made.instruments.symbols[:3]:
            for side in ("long", "short"):
                ranked = engine.rank(symbol, side)
                here = (pl.col("symbol") == symbol) & (pl.col("side") == side)
                shown = dict(frame.filter(here).select("account", "light").iter_rows())
                size = ranked["lots"] if by == "quantity" else pl.Series([1] * len(ranked))
                reached, total = size.cum_sum(), int(size.sum())
                expected = [6 - -(-5 * int(c) // total) for c in reached]
                assert shown == dict(zip(ranked["account"], expected, strict=True))
    assert not set(frame["account"]) & set(exempt)


def test_whoever_comes_exempt_is_so_at_once() -> None:
    engine = crowd("bitmex")
    engine.open_accounts({"id": ["n", "o"], "cash": ["500", "500"], "exempt": [True, False]})
    engine.apply_fills(
        {"account": ["n", "o", "z"], "symbol": ["X"] * 3, "lots": [-5, -5, 10], "price": ["11"] * 3}
    )
    assert set(engine.rank("X", "short")["account"]) == {"b", "c", "d", "e", "o"}
    assert engine.copy().lights().frame()["account"].to_list() == ["z", "b", "c", "d", "e", "o"]


def test_nobody_names_the_exempt_as_counterparty_but_they_may_be_closed() -> None:
    engine = crowd("bitmex", exempt=("b", "z"))
    report = engine.deleverage_account("z", "X", lots=45, counterparties=["b", "c"])
    assert report.adl_fills.select("counterparty", "lots").rows() == [("c", 30)]
    assert engine.deleverage_account("z", "X", lots=45, price="mark").adl_fills["lots"].sum() == 30


WEALTH: list[Any] = [
    "drift_v2", "vega", {"preset": "deribit", "session": 100},
    {"preset": "drift_v2", "socialization": "opposite_side"}, {"preset": "vega", "socialization": "haircut"},
    {"space": "wealth", "socialization": "profit"},
    {"space": "wealth", "socialization": "profit", "severity": "matched"},
]  # fmt: skip


@pytest.mark.parametrize("policy", WEALTH, ids=str)
def test_the_exempt_pay_nothing_and_others_pay_it_all(policy: Any) -> None:
    paid = {}
    for exempt in ((), ("b", "e")):
        engine = crowd(policy, exempt=exempt)
        report = engine.tick({"X": "8"}, time=1)
        charged = report.socialized.filter((pl.col("amount") < 0) & (pl.col("account") != "fund"))
        assert set(charged["account"]) == {"b", "c", "d", "e"} - set(exempt)
        debt = 10000 if exempt and "session" in policy else 15000  # all that c and d won
        assert report.socialized.filter(pl.col("account") == "z")["amount"].to_list() == [debt]
        paid[exempt] = dict(charged.select("account", "amount").iter_rows())
        assert engine.check().ok
    assert paid["b", "e"]["c"] < paid[()]["c"]


def test_flags_are_refused_by_their_first_bad_row() -> None:
    engine = fa.Engine(fa.Book.from_frames(*frames()))
    for flags, words in (
        ({"account": ["m", "q"], "exempt": [True, True]}, "row 1, column account: q"),
        (
            {"account": ["m", "a", "m"], "adl_tier": [1, 2, 3]},
            "row 2, column account: m: name every account once",
        ),
        ({"account": ["m"], "adl_tier": [-1]}, "give 0 to 255"),
        ({"account": ["m"], "exempt": [1]}, "give true or false"),
        ({"account": ["m", "a"], "exempt": [True, None]}, "row 1, column exempt: null"),
        ({"account": ["m"]}, "add a column adl_tier or exempt"),
        ({"account": ["fund"], "exempt": [True]}, "name an account of the book"),
        ({"account": np.array([99]), "exempt": [True]}, "give a code from 0 to 6"),
    ):
        refused(engine, lambda flags=flags: engine.set_flags(flags), words)


def test_a_tier_is_a_flag_too() -> None:
    engine = crowd("bitmex")
    before = engine.rank("X", "short")["account"].to_list()
    engine.set_flags({"account": engine.codes(accounts=[before[0]]), "adl_tier": [1]})
    assert engine.rank("X", "short")["account"].to_list() == [*before[1:], before[0]]
    assert engine.book.adl_tier.max() == 1


@pytest.mark.parametrize("format", ["parquet", "arrow", "csv"])
def test_books_are_kept_with_who_is_exempt_and_what_is_delisted(format: str, tmp_path: Path) -> None:
    engine = fa.Engine(fa.Book.from_frames(*frames()))
    engine.book.write(tmp_path / "before", format=format)
    assert not {"exempt", "delisted"} & {name for frame in engine.book.to_frames() for name in frame.columns}
    engine.set_flags({"account": ["a", "é"], "exempt": [True, True]})
    engine.settle_instrument("B", "20")
    engine.book.write(tmp_path / "after", format=format)
    again = fa.Book.read(tmp_path / "after")
    assert [ipc(frame) for frame in again.to_frames()] == [ipc(frame) for frame in engine.book.to_frames()]
    assert again.exempt.tolist() == [name in ("a", "é") for name in CASH]
    assert again.instruments.delisted.tolist() == [False, True, False]
    other = fa.Engine(again)
    fill = {"account": ["a", "b"], "symbol": ["B", "B"], "lots": [1, -1], "price": ["20", "20"]}
    refused(other, lambda: other.apply_fills(fill), "it is delisted")
