"""When others than bankrupt accounts are closed, and how much the fund bears first (rules R87 to R90)."""

from __future__ import annotations

from typing import Any

import pytest

from engines import book, cash
from fastadl import Engine, Fund, PolicyError, Report
from fastadl.engine import stages
from fastadl.testing import check_invariants


def ticked(engine: Engine, marks: dict[str, Any], time: int | None = None, **options: Any) -> Report:
    """One tick that has to keep the laws."""
    before = engine.copy()
    report = engine.tick(marks, time=time, **options)
    check_invariants(before, report, engine)
    assert engine.check().ok
    return report


def taken(report: Report) -> list[tuple[Any, ...]]:
    return report.takeovers.select("account", "lots").rows()


def filled(report: Report) -> list[tuple[Any, ...]]:
    return report.adl_fills.select("bankrupt", "counterparty", "lots", "value").rows()


def uncovered(report: Report) -> dict[str, int]:
    return dict(report.uncovered.select("account", "amount").iter_rows())


# ---------------------------------------------------------------------- R87

#: at 90 ann has 4 dollars and needs 9
UNFILLED = "ann X 10 100\nbob X -10 100"
UNFILLED_CASH = {"ann": "104", "bob": "500"}


def unfilled(positions: str = UNFILLED, money: dict[str, str] | None = None, **options: Any) -> Engine:
    return Engine(
        book(positions, cash=money or UNFILLED_CASH), **{"policy": {"trigger": "unfilled"}, **options}
    )


def test_what_the_order_book_left_is_closed_at_its_bankruptcy_price_while_solvent():
    engine = unfilled()
    report = ticked(engine, {"X": 90})
    assert report.liquidations.select("status", "equity", "shortfall").rows() == [("liquidatable", 400, 0)]
    assert filled(report) == [("ann", "bob", 10, 89600)]  # ten at 89.60, so that 100 - 89.60 costs all of 104
    assert report.adl_fills["price"].to_list() == [89.6]
    assert cash(engine) == {"ann": 0, "bob": 50000 + 10400}
    assert (len(report.uncovered), len(report.fund_payments)) == (0, 0)


def test_a_fund_with_room_takes_all_of_it_and_keeps_what_was_left():
    engine = unfilled(fund="1")
    report = ticked(engine, {"X": 90})
    assert taken(report) == [("ann", 10)]
    assert report.takeovers.select("value", "fund_loss").rows() == [(89600, 0)]
    assert report.summary["fund_equity_after"].to_list() == [100 + 400]
    assert not len(report.adl_fills)


def test_only_with_this_trigger():
    report = ticked(unfilled(policy={}, fund="1"), {"X": 90})
    assert (len(report.liquidations), len(report.takeovers), len(report.adl_fills)) == (1, 0, 0)


@pytest.mark.parametrize(("depth", "fills"), [("5", 1), ("6", 0), ("10", 0)])
def test_who_has_enough_margin_again_is_spared(depth, fills):
    """Five of ten closed at mark leave 4.50 to need, six 3.60; equity stays at 4."""
    report = ticked(unfilled(liquidity={"depth": {"X": depth}}), {"X": 90})
    assert len(report.adl_fills) == fills


def test_in_detection_order_and_never_against_each_other():
    """eve would win 10 a lot at 90, but is below her margin herself; cy is below zero."""
    engine = unfilled(
        "ann X 10 100\ncy X 4 100\neve X -9 100\nbob X -5 100",
        {"ann": "104", "cy": "39", "eve": "-83", "bob": "900"},
    )
    report = ticked(engine, {"X": 90})
    assert report.liquidations["account"].to_list() == ["cy", "ann", "eve"]
    assert filled(report) == [("cy", "bob", 4, 36100), ("ann", "bob", 1, 8960)]
    assert uncovered(report) == {}


def test_its_hedges_net_and_its_rows_share_what_is_left():
    """8.99 of equity at marks 90 and 50, by margins of 9 and 1: T = V - 8.091 and V - 0.899."""
    engine = Engine(
        book(
            "ann X 12 100\nann X -2 100\nann Y 2 50\nbob X -10 100\nbob Y -2 50",
            cash={"ann": "108.99", "bob": "5000"},
            listed={"X": {}, "Y": {"mark": "50"}},
        ),
        policy={"trigger": "unfilled"},
    )
    report = ticked(engine, {"X": 90})
    assert report.netted.select("account", "lots", "realized_pnl").rows() == [("ann", 2, 0)]
    assert filled(report) == [("ann", "bob", 10, 89191), ("ann", "bob", 2, 9910)]
    assert cash(engine)["ann"] == 0
    with pytest.raises(PolicyError, match="space"):
        Engine(engine.book, policy={"trigger": "unfilled", "space": "wealth"})


# ---------------------------------------------------------------------- R88, scope fund

#: the fund has 400000 and a thousand X, bob the other side; ann falls by 5 below zero when Y does
FUND_POSITIONS = "fund X 1000 1000\nbob X -1000 1000\nann Y 1 100\nbob Y -1 100"
FUND_LISTED = {"X": {"mark": "1000"}, "Y": {"mark": "100"}}
OKX = {"trigger": "drawdown", "drawdown_amount": "50000"}


def held(policy: dict[str, Any] | None = None, **fund: Any) -> Engine:
    """An engine whose fund has 400000 - 1000 · (1000 - X)."""
    money = {"ann": "5", "bob": "9000000"}
    engine_book = book(FUND_POSITIONS, cash=money, listed=FUND_LISTED)
    return Engine(engine_book, policy=policy or OKX, fund={"cash": "400000", **fund})


def served(engine: Engine, path: list[tuple[int, Any]]) -> bool:
    """Whether the fund takes a loss of 5 over at the last of some marks (time, X)."""
    for time, price in path[:-1]:
        ticked(engine, {"X": price}, time)
    time, price = path[-1]
    report = ticked(engine, {"X": price, "Y": 90}, time)
    assert report.liquidations["account"].to_list() == ["ann"]
    assert len(report.takeovers) + len(report.adl_fills) == 1
    return bool(len(report.takeovers))


def test_okx_pays_down_to_280000_of_400000():
    engine = Engine(
        book("ann X 1000 1000\nbob X -1000 1000", cash={"ann": "0", "bob": "900000"}),
        policy=OKX,
        fund="400000",
    )
    report = ticked(engine, {"X": 800})
    assert taken(report) == [("ann", 600)]  # 200 a lot
    assert report.summary["fund_equity_after"].to_list() == [28_000_000]
    assert filled(report) == [("ann", "bob", 400, 40_000_000)]


@pytest.mark.parametrize(
    ("path", "serves"),
    [
        ([(0, 1000), (0, 800)], False),  # 200000, the case in the record
        ([(0, 1000), (0, 880)], False),  # 280000: at the threshold is below it
        ([(0, 1000), (0, "880.005")], True),  # room for 5 exactly
        ([(0, 1000), (0, "880.004")], False),
        ([(0, 1000), (0, 880), (0, 900)], False),  # 300000: not yet back above 75 %
        ([(0, 1000), (0, 880), (0, "900.001")], True),
        ([(0, 1000), (0, 900)], True),  # never switched on
        ([(0, 1000), (28800, 880)], False),  # the window of 8 hours holds its first second
        ([(0, 1000), (28801, 880)], True),
        ([(0, 1000), (9, 1100), (10, 880)], False),  # the peak is 500000 by then
        ([(0, 1000), (0, 1000), (0, 950)], True),
    ],
)
def test_the_switch_of_the_fund(path, serves):
    assert served(held({**OKX, "drawdown_stop": "0.25"}), path) == serves


@pytest.mark.parametrize(
    ("choices", "path", "serves"),
    [
        # mean of 400000 and 270000 is 335000, 30 % of it 100500
        ({"drawdown_reference": "mean"}, [(0, 1000), (0, 870)], True),
        ({"drawdown_reference": "mean"}, [(0, 1000), (0, 700)], False),
        # 400000 forgotten after its window, the mean is 290000, from which 40000 is not gone
        (
            {"drawdown_reference": "mean", "drawdown_start": "0.1", "drawdown_amount": "40000"},
            [(0, 1000), (1, 900), (28801, 880)],
            True,
        ),
        # the first second of the window counts: 60000 of a mean of 340000
        (
            {"drawdown_reference": "mean", "drawdown_start": "0.1", "drawdown_amount": "40000"},
            [(0, 1000), (28800, 880)],
            False,
        ),
        # on at 350000 - 300000, off below a fifth of that; 340000 - 320000 is not
        (
            {"drawdown_reference": "mean", "drawdown_start": "0.05", "drawdown_stop": "0.01"},
            [(0, 1000), (1, 900), (2, 920)],
            False,
        ),
        # what is left of 400000 must be below 250000 before an amount of 150000 is gone
        ({"drawdown_amount": "150000"}, [(0, 1000), (0, 870)], True),
        ({"drawdown_amount": "150000"}, [(0, 1000), (0, 850)], False),
        # stop at the start: off as soon as above it
        ({"drawdown_start": "0.25", "drawdown_stop": "0.25"}, [(0, 1000), (0, 900), (0, "900.01")], True),
        ({"drawdown_window": 60}, [(0, 1000), (61, 880)], True),
    ],
)
def test_other_references(choices, path, serves):
    assert served(held({**OKX, **choices}), path) == serves


@pytest.mark.parametrize(("least", "serves"), [("280995", True), ("280995.01", False)])
def test_the_least_equity_is_kept_as_well(least, serves):
    assert served(held(min_equity=least), [(0, 1000), (0, 881)]) == serves


def test_the_fund_rests_for_the_rest_of_the_tick_that_asked_too_much():
    """Room 30 is less than the 40 that the lot costs; closed at mark, its debt stays unpaid as well."""
    positions, money = "ann X 1 100\nbob X -1 100", {"ann": "10", "bob": "500"}
    policy = {"trigger": "drawdown", "price": "mark"}
    engine = Engine(book(positions, cash=money), policy=policy, fund="100")
    assert uncovered(ticked(engine, {"X": 50})) == {"ann": 4000}
    engine = Engine(
        book(positions, cash=money), policy={"price": "mark"}, fund=Fund("100", max_drawdown="0.3")
    )
    assert uncovered(ticked(engine, {"X": 50})) == {"ann": 1000}  # rule R27 has no switch


@pytest.mark.parametrize("limits", [{}, {"limits": {"X": {"max_loss": "99"}}}], ids=["", "limits"])
def test_a_debt_left_switches_as_lots_do(limits):
    """ann's lot is closed in the order book; of her debt of 50 the fund pays 30 and rests.

    By Z it is back at 80 of 100 then, which is neither the start nor the stop level.
    """
    engine = Engine(
        book("fund Z 1 100\nbob Z -1 100\nann X 1 100\ncy Y 1 100\nbob X -1 100\nbob Y -1 100",
             cash={"ann": "0", "cy": "19", "bob": "500"},
             listed={"X": {}, "Y": {"mark": "100"}, "Z": {"mark": "100"}}),
        policy={"trigger": "drawdown", "drawdown_stop": "0.1"},
        fund={"cash": "100", **limits},
        liquidity={"depth": {"X": 1}},
    )  # fmt: skip
    report = ticked(engine, {"X": 50})
    assert report.fund_payments.select("account", "amount").rows() == [("ann", 3000)]
    assert uncovered(report) == {"ann": 2000}
    later = engine.copy()
    assert taken(ticked(engine, {"Y": 80, "Z": 110}, 28800)) == []
    assert taken(ticked(later, {"Y": 80, "Z": 110}, 28801)) == [("cy", 1)]  # 100 is forgotten


# ---------------------------------------------------------------------- R88, scope symbol

BYBIT = {"trigger": "drawdown", "drawdown_scope": "symbol"}


@pytest.mark.parametrize(("mark", "ann"), [("1400", []), ("1400.01", [("ann", 10)])])
def test_bybit_fires_at_minus_30_percent(mark, ann):
    """A pool of 2 million, of which symbol A made 1 million and loses 600000: (0.4 - 1.0) / 2 = -0.30."""
    engine = Engine(
        book("fund A 1000 1000\nbob A -1010 1000\nann A 10 2000\ncy B 10 100\nbob B -10 100",
             cash={"ann": "5990", "cy": "100", "bob": "9000000"},
             listed={"A": {"mark": "2000"}, "B": {"mark": "100"}}),
        policy=BYBIT,
        fund="1000000",
    )  # fmt: skip
    ticked(engine, {}, 0)
    report = ticked(engine, {"A": mark, "B": 80}, 28800)
    assert sorted(taken(report)) == [*ann, ("cy", 10)]  # B has lost nothing


def test_what_a_symbol_has_lost_counts_from_before_the_fund_was_in_it():
    """Room 30 for X: ann costs 20, what she left then 2, so that 8 buys 80 of dan's lots at 0.10 each."""
    engine = Engine(
        book("ann X 20 10\ndan X 250 10\nbob X -270 10", cash={"ann": "160", "dan": "2250", "bob": "50"}),
        policy=BYBIT,
        fund="100",
    )
    assert taken(ticked(engine, {"X": 1}, 0)) == [("ann", 20)]
    report = ticked(engine, {"X": "0.9"}, 28800)
    assert taken(report) == [("dan", 80)]
    assert filled(report) == [("dan", "bob", 170, 17000)]


def test_rows_of_a_symbol_share_its_room():
    """30 for X: 20 go to ann, 10 are left for dan."""
    engine = Engine(
        book("ann X 20 10\ndan X 20 10\nbob X -40 10", cash={"ann": "160", "dan": "160", "bob": "50"}),
        policy=BYBIT,
        fund="100",
    )
    assert taken(ticked(engine, {"X": 1})) == [("ann", 20), ("dan", 10)]


def test_no_switch_goes_on_while_the_fund_has_never_had_anything():
    """Of 0 at first; then X makes 126 and Y loses 26, which is less than the 30 that 100 allows."""
    engine = Engine(
        book("fund X 1 100\nfund Y 1 100\nann Y 1 100\nbob X -1 100\nbob Y -2 100",
             cash={"ann": "25", "bob": "500"}, listed={"X": {"mark": "100"}, "Y": {"mark": "100"}}),
        policy=BYBIT,
    )  # fmt: skip
    ticked(engine, {})
    assert taken(ticked(engine, {"X": 226, "Y": 74})) == [("ann", 1)]


def test_what_the_fund_realised_is_profit_too(monkeypatch):
    """Short 20 A from 10 it makes 180; taking ann's for 50 leaves it 150 and no row: 30 less than at most.

    The start level is 30 % of 280, so dan is served as well.
    """
    engine = Engine(
        book("fund A -20 10\nann A 20 10\ndan A 1 10\nbob A -1 10",
             cash={"ann": "150", "dan": "9", "bob": "500"}, listed={"A": {"mark": "10"}}),
        policy=BYBIT,
        fund="100",
    )  # fmt: skip
    with monkeypatch.context() as broken:
        broken.setattr(stages, "spread", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            engine.tick({"A": 1})
    assert engine._state.reserve_realized.tolist() == [[0], [0]]
    report = ticked(engine, {"A": 1})
    assert report.takeovers.select("account", "value", "fund_loss").rows() == [("ann", 5000, 3000)]
    assert engine._state.reserve_realized.tolist() == [[15000], [0]]
    other = engine.copy()
    assert taken(ticked(engine, {"A": "0.5"})) == taken(ticked(other, {"A": "0.5"})) == [("dan", 1)]


def test_every_symbol_has_a_switch_and_debts_have_none():
    """ann asks 40 of the 30 for A, which rests once all are served that fit; B and debts have their own."""
    engine = Engine(
        book("ann A 1 100\neve A 1 100\nfay A 1 100\ncy B 1 100\ngus B 1 100\ndan C 1 100\n"
             "bob A -3 100\nbob B -2 100\nbob C -1 100",
             cash={"ann": "0", "cy": "5", "dan": "0", "eve": "15", "fay": "40", "gus": "30", "bob": "9000"},
             listed={name: {"mark": "100"} for name in "ABC"}),
        policy={**BYBIT, "drawdown_stop": "0.01"},
        fund="100",
        liquidity={"depth": {"C": 1}},
    )  # fmt: skip
    report = ticked(engine, {"A": 60, "B": 70, "C": 60})
    assert taken(report) == [("eve", 1), ("cy", 1)]
    assert report.fund_payments.select("account", "amount").rows() == [("dan", 4000)]
    assert filled(report) == [("ann", "bob", 1, 10000)]
    report = ticked(engine, {"A": 59, "B": 69})  # 26 lost in either, of 30
    assert taken(report) == [("gus", 1)]
    assert filled(report) == [("fay", "bob", 1, 6000)]
