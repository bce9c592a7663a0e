"""The pressure curve: at every shock what an engine marked there finds, and what the fund leaves (R102)."""

from __future__ import annotations

from fractions import Fraction
from io import StringIO
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from rich.console import Console

from engines import book, state_of
from fastadl import Book, Engine, InputError, StageError, synth
from fastadl.decimals import plain
from fastadl.report.pressure import show
from fastadl.stress import pressure
from fastadl.stress.pressure import SHOCKS, Pressure
from fastadl.testing import books
from uncompiled import fewer

few = settings(max_examples=fewer(40), deadline=None, suppress_health_check=list(HealthCheck))
moves = st.sampled_from(["-0.9", "-0.5", "-0.2", "-0.03", "0", "0.01", "0.25", "1.5"])


def marked(engine: Engine, shock: str) -> Engine:
    """A copy whose prices have moved."""
    copy = engine.copy()
    items = engine.book.instruments
    copy.mark({item.symbol: plain(item.mark * (1 + Fraction(shock))) for item in items})
    return copy


def near(engine: Engine) -> int:
    """Accounts so near a threshold that float64 cannot tell."""
    state = engine._state
    equity, margin, _, error = state.evaluated(state.book.slot)
    return int(((abs(equity) <= error) | (abs(equity - margin) <= error)).sum())


def only(curve: Pressure) -> dict[str, Any]:
    """The only row of a curve."""
    return curve.frame.row(0, named=True)


def leg(curve: Pressure, symbol: str, side: str) -> dict[str, Any]:
    rows = curve.by_instrument.filter((pl.col("symbol") == symbol) & (pl.col("side") == side))
    return rows.row(0, named=True)


# ---------------------------------------------------------------- beside the engine


@few
@given(found=books(), shock=moves)
def test_the_accounts_are_those_that_an_engine_marked_there_finds(found: Book, shock: str) -> None:
    engine = Engine(found)
    curve = pressure(engine, shocks=[shock]).frame
    there = marked(engine, shock)
    status = there.liquidations()["status"]
    unsure = near(there)
    assert abs(curve["liquidatable"].sum() - len(status)) <= unsure
    assert abs(curve["bankrupt"].sum() - (status == "bankrupt").sum()) <= unsure


@pytest.mark.jit
@pytest.mark.parametrize("shape", list(synth.SHAPES))
def test_whole_books_fall_as_an_engine_says(shape: str) -> None:
    engine = Engine(synth.book(shape, positions=3000, accounts=1200, instruments=20, seed=7))
    shocks = ["-0.4", "-0.1", "0", "0.05", "0.3"]
    curve = pressure(engine, shocks=shocks).frame
    for shock, row in zip(shocks, curve.iter_rows(named=True), strict=True):
        there = marked(engine, shock)
        there.takeover()
        found = there.liquidations()
        doomed = there._doomed
        left = np.bincount(doomed.work.leg, doomed.left, 2 * len(engine.symbols))
        assert row["liquidatable"] == len(found)
        assert row["bankrupt"] == (found["shortfall"] > 0).sum()
        assert row["shortfall"] == pytest.approx(found["shortfall"].sum(), rel=1e-6)
        worth = (left * np.abs(np.repeat(there._state.marks.unit, 2))).sum()
        assert row["notional_bankrupt"] == pytest.approx(worth, rel=1e-9)
        assert row["notional_beyond"] == row["notional_bankrupt"]


@pytest.mark.parametrize("split", ["notional", "maintenance_margin"])
def test_what_is_beyond_the_fund_is_near_what_an_engine_leaves(split: str) -> None:
    drawn = synth.book("hedged", positions=3000, accounts=1200, instruments=20, seed=7)
    short = pressure(drawn, shocks=["0.3"]).frame["shortfall"][0]
    engine = Engine(drawn, policy={"split": split}, fund=str(int(short / 10**6 * 0.4)))
    curve = pressure(engine, shocks=["0.3"])
    there = marked(engine, "0.3")
    there.takeover()
    doomed, unit = there._doomed, np.abs(there._state.marks.unit)
    left = (doomed.left * unit[doomed.work.leg >> 1]).sum()
    assert only(curve)["notional_beyond"] == pytest.approx(left, rel=0.02)
    assert only(curve)["beyond_fund"] == pytest.approx(0.6 * short, rel=1e-4)
    by_leg = np.bincount(doomed.work.leg, doomed.left * unit[doomed.work.leg >> 1], 2 * len(unit))
    assert np.abs(curve.by_instrument["notional_beyond"] - by_leg).sum() < 0.05 * left


# ---------------------------------------------------------------- by hand

TWO = {
    "X": {"mark": "100"},
    "Y": {"mark": "50", "tiers": [{"min_notional": "0", "maintenance_rate": "0.02"}]},
}


def test_a_shortfall_is_split_by_the_policy() -> None:
    """At −10 %: values 900 and −315, equity 100 − 100 + 35 − 50 of cash."""
    drawn = book("ann X 10 100\nann Y -7 50", cash={"ann": "-50"}, listed=TWO)
    for split, weights in (("notional", (900, 315)), ("maintenance_margin", (9, 6.3))):
        curve = pressure(Engine(drawn, policy={"split": split}), shocks=["-0.1"])
        assert only(curve)["shortfall"] == 11500
        first = leg(curve, "X", "long")["shortfall"]
        assert first == int(11500 * weights[0] / sum(weights))
        assert leg(curve, "Y", "short")["shortfall"] == 11500 - first


def test_without_margin_the_split_is_by_notional() -> None:
    free = [{"min_notional": "0", "maintenance_rate": "0"}]
    listed = {"X": {"mark": "100", "tiers": free}, "Y": {"mark": "50", "tiers": free}}
    drawn = book("ann X 10 100\nann Y 20 50", cash={"ann": "-50"}, listed=listed)
    curve = pressure(Engine(drawn, policy={"split": "maintenance_margin"}), shocks=["0"])
    assert [leg(curve, symbol, "long")["shortfall"] for symbol in "XY"] == [2500, 2500]


def test_hedges_are_netted_before_anybody_has_to_take_them() -> None:
    """In W2 the fund pays 33 of 100: of 100 lots 67 are left."""
    drawn = book("ann X 150 50\nann X -50 50", cash={"ann": "800"}, listed={"X": {"mark": "50"}})
    curve = pressure(drawn, shocks=["-0.18"], fund="330")
    row, long, short = only(curve), leg(curve, "X", "long"), leg(curve, "X", "short")
    assert (row["liquidatable"], row["bankrupt"], row["shortfall"]) == (1, 1, 10000)
    assert row["notional_liquidatable"] == pytest.approx(200 * 4100)
    assert row["notional_bankrupt"] == pytest.approx(100 * 4100)
    assert row["beyond_fund"] == 0
    assert (long["lots_liquidatable"], long["lots_bankrupt"], long["lots_beyond"]) == (150, 100, 0)
    assert (short["lots_liquidatable"], short["lots_bankrupt"], short["shortfall"]) == (50, 0, 0)
    curve = pressure(drawn, shocks=["-0.18"], fund="33")
    assert (only(curve)["beyond_fund"], leg(curve, "X", "long")["lots_beyond"]) == (6700, 67)


def test_a_debt_without_lots_is_in_the_total_alone() -> None:
    drawn = book("ann X 5 120\nann X -5 100", cash={"ann": "50"}, listed={"X": {"mark": "100"}})
    curve = pressure(drawn, shocks=["0"], fund="20")
    assert (only(curve)["shortfall"], only(curve)["beyond_fund"]) == (5000, 3000)
    assert curve.by_instrument["shortfall"].sum() == curve.by_instrument["lots_bankrupt"].sum() == 0


def test_the_fund_pays_the_deepest_first() -> None:
    """Both are short of 10; of the one with a tenth of the lots the loss is the deeper."""
    drawn = book(
        "ann X 1 100\nbob X 10 100", cash={"ann": "-10", "bob": "-10"}, listed={"X": {"mark": "100"}}
    )
    curve = pressure(drawn, shocks=["0"], fund="10")
    assert leg(curve, "X", "long")["lots_beyond"] == 10
    curve = pressure(drawn, shocks=["0"], fund="15")
    assert leg(curve, "X", "long")["lots_beyond"] == 5
    assert only(curve)["notional_beyond"] == 5 * 10000
    assert leg(pressure(drawn, shocks=["0"], fund="19.99"), "X", "long")["lots_beyond"] == 1
    assert leg(pressure(drawn, shocks=["0"], fund="20"), "X", "long")["lots_beyond"] == 0
    assert leg(pressure(drawn, shocks=["0"], fund="9"), "X", "long")["lots_beyond"] == 11


def test_an_account_on_its_margin_is_safe_and_one_below_it_is_not() -> None:
    listed = {"X": {"mark": "100"}}
    for money, fallen in (("1", 0), ("0.99", 1)):
        drawn = book("ann X 1 100", cash={"ann": money}, listed=listed)
        row = only(pressure(drawn, shocks=["0"]))
        assert (row["liquidatable"], row["bankrupt"]) == (fallen, 0)
        assert row["notional_liquidatable"] == fallen * 10000


def test_shortfalls_are_rounded_up_account_by_account() -> None:
    """One lot is worth 99.995: both are short of half an atom."""
    drawn = book("ann X 1 100\nbob X 1 100", cash={"ann": "0", "bob": "0"}, listed={"X": {"mark": "100"}})
    curve = pressure(drawn, shocks=["-0.00005"])
    assert only(curve)["shortfall"] == leg(curve, "X", "long")["shortfall"] == 2


def test_higher_tiers_count() -> None:
    tiers = [
        {"min_notional": "0", "maintenance_rate": "0.01"},
        {"min_notional": "1000", "maintenance_rate": "0.1"},
    ]
    drawn = book("ann X 20 100", cash={"ann": "60"}, listed={"X": {"mark": "100", "tiers": tiers}})
    assert only(pressure(drawn, shocks=["0"]))["liquidatable"] == 1  # 110 needed; the first tier needs 20


def test_only_open_rows_are_looked_at() -> None:
    """A debt that a tick left behind is not collected again, nor that of who never held anything."""
    money = {"ann": "-30", "bob": "900", "cy": "-5"}
    drawn = book("ann X 1 100\nbob X -1 100", cash=money, listed={"X": {"mark": "100"}})
    engine = Engine(drawn, policy={"price": "mark"})
    engine.tick({"X": "50"})
    assert engine.book.to_frames()[2].is_empty()
    assert min(engine.equity()) == -8000
    assert pressure(engine, shocks=["-0.5", "0"]).frame["liquidatable"].to_list() == [0, 0]


COINS = {
    "B": {"kind": "inverse", "contract_size": "100", "currency": "BTC", "mark": "50000"},
    "X": {"mark": "100"},
}


def two_currencies() -> Book:
    return book(
        "ann B 100 50000\nbob X 10 100\ncy B -100 50000",
        cash={"ann": "0.05", "bob": "50", "cy": "1"},
        listed=COINS,
        currency=["BTC", "USD", "BTC"],
    )


def test_every_currency_has_its_own_row_and_fund() -> None:
    """At −50 % the inverse long of 0.2 is worth −0.4, and the linear long has lost 500 of 50."""
    curve = pressure(two_currencies(), shocks=["-0.5"], fund={"BTC": "0.05", "USD": "45"})
    coin, dollar = curve.frame.to_dicts()
    assert (coin["currency"], dollar["currency"]) == ("BTC", "USD")
    assert (coin["shortfall"], coin["beyond_fund"]) == (15000000, 10000000)
    assert (dollar["shortfall"], dollar["beyond_fund"]) == (45000, 40500)
    assert leg(curve, "B", "long")["lots_beyond"] == 67
    assert leg(curve, "X", "long")["lots_beyond"] == 9
    assert coin["notional_beyond"] == pytest.approx(40000000 * 2 / 3)
    assert dollar["notional_beyond"] == pytest.approx(10 * 5000 * 0.9)


def test_an_inverse_short_falls_as_the_price_rises() -> None:
    drawn = book("cy B -100 50000", cash={"cy": "0.05"}, listed=COINS, currency=["BTC"])
    curve = pressure(drawn, shocks=["-0.5", "0", "0.25", "1"]).frame
    assert curve.filter(pl.col("currency") == "BTC")["bankrupt"].to_list() == [0, 0, 0, 1]
    assert curve.filter(pl.col("currency") == "BTC")["shortfall"].to_list() == [0, 0, 0, 5000000]


# ---------------------------------------------------------------- shocks, betas, one instrument


def test_a_price_moves_by_beta_times_the_shock() -> None:
    drawn = book("ann X 10 100\nbob Y 20 50", cash={"ann": "150", "bob": "150"}, listed=TWO)
    shocks = ["-0.1", "0.1"]
    assert pressure(drawn, shocks=shocks).frame["bankrupt"].to_list() == [0, 0]
    curve = pressure(drawn, shocks=shocks, betas={"X": "2"})
    assert curve.frame["bankrupt"].to_list() == [1, 0]
    assert curve.betas == {"X": 2.0}
    assert only(curve)["shortfall"] == 5000
    assert pressure(drawn, shocks=shocks, betas={"X": -2}).frame["bankrupt"].to_list() == [0, 1]


def test_one_instrument_alone() -> None:
    drawn = book("ann X 10 100\nbob Y 20 50", cash={"ann": "150", "bob": "150"}, listed=TWO)
    curve = pressure(drawn, shocks=["-0.2"], symbol="Y")
    assert (only(curve)["bankrupt"], curve.symbol) == (1, "Y")
    assert leg(curve, "X", "long")["lots_liquidatable"] == 0
    assert only(pressure(drawn, shocks=["-0.1"], symbol="Y", betas={"Y": "2"}))["bankrupt"] == 1


def test_a_price_keeps_a_thousandth() -> None:
    drawn = book("ann X 10 100", cash={"ann": "0"}, listed=TWO)
    curve = pressure(drawn, shocks=["-0.5"], betas={"X": "3"})
    assert only(curve)["notional_bankrupt"] == pytest.approx(10 * 10)
    assert only(curve)["shortfall"] == 99900
    assert only(pressure(drawn, shocks=["-0.999"]))["shortfall"] == 99900


def test_unless_given_there_are_41_shocks() -> None:
    curve = pressure(book("ann X 10 100", cash={"ann": "50"}, listed=TWO))
    assert curve.frame["shock"].to_list() == list(SHOCKS) == [round(x / 40, 3) for x in range(-20, 21)]
    assert len(curve.by_instrument) == 41 * 4


@pytest.mark.jit
def test_more_shocks_than_are_looked_at_together() -> None:
    drawn = synth.book("hedged", positions=300, accounts=100, instruments=5, seed=2)
    shocks = np.linspace(-0.6, 0.6, 150)
    whole = pressure(drawn, shocks=shocks, fund="1000")
    parts = [pressure(drawn, shocks=part, fund="1000") for part in np.split(shocks, 3)]
    assert_frame_equal(whole.frame, pl.concat([part.frame for part in parts]))
    assert_frame_equal(whole.by_instrument, pl.concat([part.by_instrument for part in parts]))


# ---------------------------------------------------------------- the fund


def test_what_the_fund_holds_is_worth_what_prices_make_of_it() -> None:
    listed = {"X": {"mark": "100"}}
    drawn = book("fund X 2 100\nann X 10 100", cash={"ann": "0"}, listed=listed)
    curve = pressure(Engine(drawn, fund="30"), shocks=["-0.2", "-0.1", "0"])
    assert curve.frame["fund"].to_list() == [0.0, 1000.0, 3000.0]
    assert curve.frame["beyond_fund"].to_list() == [20000.0, 9000.0, 0.0]


def test_a_fund_keeps_its_floor() -> None:
    drawn = book("ann X 10 100", cash={"ann": "0"}, listed={"X": {"mark": "100"}})
    for fund, room in (
        ({"cash": "100", "min_equity": "40"}, 6000),
        ({"cash": "100", "max_drawdown": "0.3"}, 3000),
        ({"cash": "100", "max_drawdown": "0.3", "min_equity": "90"}, 1000),
    ):
        assert only(pressure(drawn, shocks=["-0.1"], fund=fund))["fund"] == room
        engine = Engine(drawn, fund=fund)
        assert only(pressure(engine, shocks=["-0.1"]))["fund"] == room
        engine.mark({})
        assert only(pressure(engine, shocks=["-0.1"]))["fund"] == room
    assert only(pressure(engine, shocks=["-0.1"], fund="7"))["fund"] == 700


def test_a_fund_that_falls_by_symbol_keeps_its_least_equity() -> None:
    drawn = book("ann X 10 100", cash={"ann": "0"}, listed={"X": {"mark": "100"}})
    policy = {"trigger": "drawdown", "drawdown_scope": "symbol"}
    engine = Engine(drawn, policy=policy, fund={"cash": "9", "min_equity": "4"})
    assert only(pressure(engine, shocks=["-0.1"]))["fund"] == 500


# ---------------------------------------------------------------- what does not matter, what does not change


def test_the_engine_is_as_it_was() -> None:
    engine = Engine(two_currencies(), fund={"BTC": "1"})
    engine.mark({"X": "99"})
    before = state_of(engine)
    pressure(engine)
    pressure(engine, fund={"USD": "5"})
    assert state_of(engine) == before


@pytest.mark.jit
def test_threads_do_not_matter() -> None:
    drawn = synth.book("hedged", positions=20_000, accounts=8000, instruments=30, seed=2)
    one, two = (pressure(Engine(drawn, threads=threads), fund="100000") for threads in (1, 2))
    assert_frame_equal(one.frame, two.frame, check_exact=True)
    assert_frame_equal(one.by_instrument, two.by_instrument, check_exact=True)


@pytest.mark.jit
def test_the_order_of_rows_does_not_matter() -> None:
    drawn = synth.book("hedged", positions=3000, accounts=1000, instruments=10, seed=2)
    instruments, accounts, positions = drawn.to_frames()
    shuffled = [frame.sample(fraction=1.0, shuffle=True, seed=5) for frame in (accounts, positions)]
    one = pressure(drawn, fund="10000")
    two = pressure(Book.from_frames(instruments, *shuffled), fund="10000")
    assert_frame_equal(one.frame, two.frame, check_exact=True)
    assert_frame_equal(one.by_instrument, two.by_instrument, check_exact=True)


@pytest.mark.jit
@few
@given(found=books(), split=st.sampled_from(["notional", "maintenance_margin"]))
def test_parts_add_up_and_are_parts(found: Book, split: str) -> None:
    codes = found.instruments.currencies
    fund = dict.fromkeys(codes, "1") if len(codes) > 1 else "1"
    curve = pressure(Engine(found, policy={"split": split}, fund=fund), shocks=["-0.4", "0", "0.3"])
    for row in curve.frame.iter_rows(named=True):
        mine = curve.by_instrument.filter(
            (pl.col("shock") == row["shock"]) & (pl.col("currency") == row["currency"])
        )
        assert mine["shortfall"].sum() <= row["shortfall"]
        assert row["bankrupt"] <= row["liquidatable"]
        assert row["beyond_fund"] == max(row["shortfall"] - row["fund"], 0.0)
        for name in ("liquidatable", "bankrupt", "beyond"):
            assert mine[f"notional_{name}"].sum() == pytest.approx(row[f"notional_{name}"])
        assert (mine["shortfall"] >= 0).all()
        assert (mine["shortfall"].filter(mine["lots_bankrupt"] == 0) == 0).all()
        assert (mine["lots_beyond"] <= mine["lots_bankrupt"]).all()
        assert (mine["lots_bankrupt"] <= mine["lots_liquidatable"]).all()


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"shocks": []}, ("shocks", "none")),
        ({"shocks": "0.1"}, ("shocks", "0.1", "list")),
        ({"shocks": 0.1}, ("shocks", "0.1", "list")),
        ({"shocks": ["0", "-1"]}, ("shocks", "row 1", "-1", "-0.999")),
        ({"shocks": ["1001"]}, ("shocks", "row 0", "1001", "1000")),
        ({"shocks": [0.0, float("nan")]}, ("shocks", "row 1", "nan", "finite")),
        ({"shocks": [None]}, ("shocks", "row 0", "None")),
        ({"shocks": ["0.1", "0.1"]}, ("shocks", "row 1", "0.1", "rising")),
        ({"shocks": range(2000)}, ("shocks", "1000", "at most 1,000")),
        ({"betas": {"Z": 1}}, ("betas", "Z", "such as")),
        ({"betas": {"X": "much"}}, ("betas", "X", "much")),
        ({"betas": {"X": 101}}, ("betas", "X", "101", "100")),
        ({"betas": [1]}, ("betas", "[1]", "mapping")),
        ({"betas": {"Y": 2}, "symbol": "X"}, ("betas", "Y", "X alone")),
        ({"symbol": "Z"}, ("symbol", "Z", "such as")),
        ({"symbol": 3}, ("symbol", "3")),
        ({"fund": "much"}, ("fund", "much")),
        ({"fund": {"cash": "0.001"}}, ("fund", "cash", "0.001", "2 decimal places")),
    ],
)
def test_bad_input_is_named(arguments: dict[str, Any], parts: tuple[str, ...]) -> None:
    drawn = book("ann X 10 100", cash={"ann": "0"}, listed=TWO)
    with pytest.raises(InputError) as caught:
        pressure(drawn, **arguments)
    assert not [part for part in parts if part not in str(caught.value)], str(caught.value)


def test_only_books_and_engines_have_a_curve() -> None:
    with pytest.raises(InputError, match="give an Engine or a Book"):
        pressure({"X": 1})


def test_what_somebody_holds_must_have_a_mark() -> None:
    drawn = book("ann X 10 100", cash={"ann": "0"}, listed={"X": {}, "Y": {}})
    with pytest.raises(StageError, match="X has no mark"):
        pressure(drawn)
    engine = Engine(drawn)
    with pytest.raises(InputError):
        engine.mark({"X": "90"})
    listed = {"X": {"mark": "90"}, "Y": {}}
    curve = pressure(book("ann X 10 100", cash={"ann": "0"}, listed=listed), shocks=["0"])
    assert leg(curve, "Y", "long")["notional_liquidatable"] == 0.0
    assert only(curve)["shortfall"] == 10000


def test_a_book_that_refuses_to_be_written_will_do() -> None:
    drawn = book("ann X 10 100", cash={"ann": "0"}, listed=TWO)
    engine = Engine(drawn)
    assert_frame_equal(pressure(engine.book).frame, pressure(drawn).frame)


def test_an_empty_book_has_an_empty_curve() -> None:
    curve = pressure(book("", cash={"ann": "0"}, listed=TWO))
    assert curve.frame["liquidatable"].sum() == 0
    assert pressure(book("", cash={}, listed=TWO)).frame["shortfall"].sum() == 0


# ---------------------------------------------------------------- printed


def test_the_printed_curve_has_money_as_text() -> None:
    curve = pressure(two_currencies(), shocks=["-0.5", "0"], fund={"BTC": "0.05", "USD": "45"})
    printed = curve.to_dict()
    assert (printed["symbol"], printed["betas"], len(printed["curve"])) == (None, {}, 4)
    assert printed["curve"][0] | {"shock": 0} == {
        "shock": 0,
        "currency": "BTC",
        "liquidatable": 1,
        "bankrupt": 1,
        "notional_liquidatable": "0.40000000",
        "notional_bankrupt": "0.40000000",
        "shortfall": "0.15000000",
        "fund": "0.05000000",
        "beyond_fund": "0.10000000",
        "notional_beyond": "0.26666667",
    }
    assert [row["symbol"] for row in printed["by_instrument"]] == ["B", "X"]


def shown(curve: Pressure, width: int) -> str:
    """What is printed, every run of spaces one; it must fit."""
    console = Console(width=width, file=StringIO())
    show(curve, console)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    return " ".join(text.split())


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_shows_the_curve_whole(width: int) -> None:
    drawn = synth.book("pareto", positions=3000, accounts=1200, instruments=20, seed=7)
    text = shown(pressure(drawn, fund="30000"), width)
    assert "…" not in text
    for part in ("-50%", "+45%", "0%", "BTC-PERP", "The fund covers moves from", "█", "▓"):
        assert part in text, text


def test_the_terminal_says_when_nothing_happens_and_what_the_fund_covers() -> None:
    drawn = book("ann X 10 100", cash={"ann": "150"}, listed=TWO)
    assert "Nobody falls below" in shown(pressure(drawn, shocks=["-0.01", "0.01"]), 80)
    assert "the fund covers every move" in shown(pressure(drawn, shocks=["-0.2", "0"], fund="50"), 80)
    assert "The fund covers no move" in shown(pressure(drawn, shocks=["-0.2", "0"]), 80)
    assert "The fund covers no move" in shown(pressure(drawn, shocks=["-0.2"]), 80)
    some = shown(pressure(drawn, shocks=["-0.3", "-0.2", "-0.1", "0", "0.1"], fund="50"), 80)
    assert "The fund covers moves from -20% to +10%" in some


def test_the_terminal_tells_currencies_apart() -> None:
    text = shown(pressure(two_currencies(), shocks=["-0.5", "0"]), 80)
    assert "at once; BTC" in text
    assert "at once; USD" in text
