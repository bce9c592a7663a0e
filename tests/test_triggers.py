"""When others than bankrupt accounts are closed, and how much the fund bears first (rules R87 to R90)."""

from __future__ import annotations

from typing import Any

import pytest

from engines import book, cash, lots, state_of
from fastadl import Engine, Fund, InputError, PolicyError, Report, Scenario
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


# ---------------------------------------------------------------------- R89

#: two accounts short of 20 a lot at 80, and one of 10
LIMITED = "ann X 1000 100\ndan X 1000 100\neve Y 1000 100\nbob X -2000 100\nbob Y -1000 100"
LIMITED_CASH = {"ann": "0", "dan": "0", "eve": "10000", "bob": "900000"}
LIMITED_LISTED = {"X": {"mark": "100"}, "Y": {"mark": "100"}}
FALL = {"X": 80, "Y": 80}


def limited(limits: dict[str, Any] | None = None, **fund: Any) -> Engine:
    """Who is not taken over keeps what he has."""
    return Engine(
        book(LIMITED, cash=LIMITED_CASH, listed=LIMITED_LISTED),
        policy={"trigger": "none"},
        fund=Fund(**{"cash": "1000000", **fund}, **({} if limits is None else {"limits": limits})),
    )


@pytest.mark.parametrize(
    ("limits", "fund", "lots"),
    [
        ({}, {}, {"ann": 1000, "dan": 1000, "eve": 1000}),
        ({"X": {"max_loss": "15000"}}, {}, {"ann": 750, "dan": 750, "eve": 1000}),  # each row by itself
        ({"X": {"max_loss": "19.99"}}, {}, {"eve": 1000}),
        ({"X": {"max_loss": "0"}, "Y": {"max_loss": "9999.99"}}, {}, {"eve": 999}),
        ({"X": {"daily_share": "0.025"}}, {}, {"ann": 1000, "dan": 250, "eve": 1000}),  # 25000 a day
        ({"X": {"daily_share": "0"}}, {}, {"eve": 1000}),
        ({}, {"daily_share": "0.025"}, {"ann": 1000, "dan": 250}),
        ({"X": {"max_loss": "15000", "daily_share": "0.025"}}, {}, {"ann": 750, "dan": 500, "eve": 1000}),
        ({"X": {"daily_share": "0.02"}}, {"daily_share": "0.025"}, {"ann": 1000, "eve": 500}),
        ({"X": {"max_loss": "15000"}}, {"cash": "20000"}, {"ann": 750, "dan": 250}),  # and rule R27
        ({"X": {"daily_share": "1"}}, {"cash": "50000", "max_drawdown": "0.5"}, {"ann": 1000, "dan": 250}),
    ],
)
def test_limits_of_the_fund(limits, fund, lots):
    assert dict(taken(ticked(limited(limits, **fund), FALL))) == lots


@pytest.mark.parametrize("money", ["1000000", "25000", "-5"])
@pytest.mark.parametrize("depth", [0, 1000])
def test_limits_that_do_not_bind_change_nothing(money, depth):
    wide = {"limits": {"X": {"max_loss": "9999999"}, "Y": {}}}
    one, other = (
        Engine(
            book(LIMITED, cash=LIMITED_CASH, listed=LIMITED_LISTED),
            fund={"cash": money, **limits},
            liquidity={"depth": {"X": depth}},
        )
        for limits in ({}, wide)
    )
    for marks in (FALL, {"X": 75}, {"Y": 50}):
        assert ticked(one, marks).takeovers.equals(ticked(other, marks).takeovers)
        assert state_of(one) == state_of(other)


def test_a_day_is_a_day_of_the_clock():
    """25000 of the million it begins with; on the next day 2.5 % of 975000, enough for the other 750 lots."""
    engine = limited({"X": {"daily_share": "0.025"}})
    assert dict(taken(ticked(engine, FALL, 86400 + 5))) == {"ann": 1000, "dan": 250, "eve": 1000}
    assert taken(ticked(engine, {}, 2 * 86400 - 1)) == []
    assert taken(ticked(engine, {}, 2 * 86400)) == [("dan", 750)]


def test_a_day_begins_with_the_equity_after_its_first_mark():
    """2.5 % of 1000000 whatever Z wins later that day; on the next 2.5 % of 1000000 - 1250 · 40."""
    engine = Engine(
        book(
            f"{LIMITED}\nfund Z 1000 100", cash=LIMITED_CASH, listed=LIMITED_LISTED | {"Z": {"mark": "100"}}
        ),
        policy={"trigger": "none"},
        fund=Fund("1000000", limits={"X": {"daily_share": "0.025"}}),
    )
    ticked(engine, {}, 10)
    assert dict(taken(ticked(engine, {"X": 80, "Z": 600}, 30))) == {"ann": 1000, "dan": 250}
    report = ticked(engine, {"X": 60, "Z": 100}, 86400)
    assert taken(report) == [("dan", 593)]  # 23750 at 40 a lot


def test_debts_count_against_the_share_of_the_fund_only():
    """ann's thousand lots are closed at 80: she owes 20000 in cash, 5000 are left for the rest of the day."""
    engine = Engine(
        book(LIMITED, cash=LIMITED_CASH, listed=LIMITED_LISTED),
        policy={"trigger": "none"},
        fund={"cash": "1000000", "limits": {"X": {"daily_share": "0.001"}}, "daily_share": "0.025"},
        liquidity={"depth": {"X": 1000}},
    )
    report = ticked(engine, FALL)
    assert report.fund_payments.select("account", "amount").rows() == [("ann", 2_000_000)]
    assert taken(report) == [("dan", 50), ("eve", 400)]  # 1000 of X, and 4000 of what the fund has left


def test_the_second_pass_pays_within_the_share_of_the_day():
    """Closed at mark ann owes 200, of which 100 are paid; nothing of what dan owes later that day."""
    engine = Engine(
        book("ann X 10 100\ndan Y 10 100\nbob X -10 100\nbob Y -10 100",
             cash={"ann": "0", "dan": "0", "bob": "900"}, listed=LIMITED_LISTED),
        policy={"price": "mark"},
        fund=Fund("1000", limits={"X": {"max_loss": 0}, "Y": {"max_loss": 0}}, daily_share="0.1"),
    )  # fmt: skip
    assert uncovered(ticked(engine, {"X": 80}, 0)) == {"ann": 10000}
    later = engine.copy()
    assert uncovered(ticked(engine, {"Y": 80}, 86399)) == {"dan": 20000}
    assert uncovered(ticked(later, {"Y": 80}, 86400)) == {"dan": 20000 - 9000}


def test_a_gain_is_not_a_loss_given_back():
    """ann is unfilled and leaves the fund 4; of cy, who costs 1 a lot, it takes 5 % of 100 all the same."""
    engine = Engine(
        book("ann X 10 100\ncy Y 10 100\nbob X -10 100\nbob Y -10 100",
             cash={"ann": "104", "cy": "190", "bob": "900"}, listed=LIMITED_LISTED),
        policy={"trigger": "unfilled"},
        fund={"cash": "100", "daily_share": "0.05"},
    )  # fmt: skip
    assert taken(ticked(engine, {"X": 90})) == [("ann", 10)]
    assert taken(ticked(engine, {"Y": 80})) == [("cy", 5)]


def test_a_limit_does_not_switch_the_fund_off():
    """X is limited, but the fund had room: R30 pays ann's debt as if nothing was."""
    engine = Engine(
        book("ann X 1 100\nbob X -1 100", cash={"ann": "20", "bob": "500"}),
        policy={"trigger": "drawdown", "price": "mark"},
        fund={"cash": "100", "limits": {"X": {"max_loss": 0}}},
    )
    assert ticked(engine, {"X": 60}).fund_payments["amount"].to_list() == [2000]


def test_rounding_is_in_favour_of_the_fund():
    """Of ann's three lots for 1.00 it takes one for 0.33, not a third; 0.07 of 0.30 are left, just enough."""
    engine = Engine(
        book("ann X 3 1\ndan Y 1 1", cash={"ann": "2", "dan": "0"}, listed=LIMITED_LISTED),
        policy={"trigger": "none"},
        fund={"cash": "0.30", "limits": {"X": {"max_loss": "0.24"}}},
    )
    assert taken(ticked(engine, {"X": "0.10", "Y": "0.93"})) == [("ann", 1), ("dan", 1)]


def test_rooms_in_two_currencies():
    """A limit is in the currency of its symbol, and costs are counted by currency."""
    positions = "ann X 10 100\ncat Z 10 100\nbob X -10 100\nzed Z -10 100"
    money = {"ann": "0", "cat": "0", "bob": "900", "zed": "900"}
    listed = {"X": {"mark": "100"}, "Z": {"mark": "100", "currency": "BTC"}}
    one = book(positions, cash=money, listed=listed, currency=["USD", "BTC", "USD", "BTC"])
    fund = {
        "USD": {"cash": "100", "daily_share": "0.5"},
        "BTC": {"cash": "80", "limits": {"Z": {"max_loss": 30}}},
    }
    report = ticked(Engine(one, policy={"trigger": "none"}, fund=fund), {"X": 90, "Z": 90})
    assert taken(report) == [("ann", 5), ("cat", 3)]
    fund["USD"]["limits"] = {"Z": {"max_loss": 30}}
    with pytest.raises(
        InputError, match="USD, column limits, column Z: Z: name a symbol that settles in USD"
    ):
        Engine(one, fund=fund)


@pytest.mark.parametrize(
    ("fund", "where", "remedy"),
    [
        ({"limits": []}, "limits", "object of symbol"),
        ({"limits": None}, "limits", "leave it out"),
        ({"limits": {"X": "5"}}, "limits/X", "max_loss"),
        ({"limits": {"Q": {}}}, "limits/Q", "such as X"),
        ({"limits": {"X": {"max_los": "5"}}}, "limits/X/max_los", "did you mean max_loss"),
        ({"limits": {"X": {"max_loss": "-0.01"}}}, "limits/X/max_loss", "0 or more"),
        ({"limits": {"X": {"max_loss": None}}}, "limits/X/max_loss", "decimal"),
        ({"limits": {"X": {"daily_share": "1.01"}}}, "limits/X/daily_share", "from 0 to 1"),
        ({"limits": {"X": {"daily_share": "-1"}}}, "limits/X/daily_share", "from 0 to 1"),
        ({"daily_share": "2"}, "daily_share", "from 0 to 1"),
        ({"daily_share": None}, "daily_share", "leave it out"),
        ({"max_drawdown": "0.3"}, "max_drawdown", "trigger drawdown"),
    ],
)
def test_bad_limits(fund, where, remedy):
    tree = {
        "instruments": [{"symbol": "X", "kind": "linear", "contract_size": "1", "lot": "1", "tiers": [
            {"min_notional": "0", "maintenance_rate": "0.01"}]}],
        "accounts": [], "positions": [], "ticks": [], "fund": fund, "policy": {"trigger": "drawdown"},
    }  # fmt: skip
    with pytest.raises(InputError, match=remedy) as refused:
        Scenario.load(tree)
    assert refused.value.pointer == f"/fund/{where}"
    with pytest.raises(InputError, match=remedy):
        Engine(book("", cash={}), fund=fund, policy=tree["policy"])


# ---------------------------------------------------------------------- R90


def pool(positions: str, money: dict[str, str], worth: str, **policy: Any) -> Engine:
    """A pool that is worth so much, and that holds the other side of its traders."""
    choices = {"trigger": "pool_profit", "price": "mark", "score": "profit", **policy}
    return Engine(book(positions, cash=money), policy=choices, fund=worth)


GMX = {"pool_max": "0.1", "pool_min": "0.02"}


@pytest.mark.parametrize(
    ("size", "entry", "price", "worth", "closed"),
    [
        (400, 5000, 10000, "10000000", 223),  # 0.20; (2000000 - 1115000) / (10000000 - 1115000) is below 0.10
        (100000, 20, 20, "5000000", 0),
        (100000, 20, 22, "5000000", 0),  # 0.04
        (100000, 20, 25, "5000000", 0),  # 0.10 is not above 0.10
        (100000, 20, 26, "5000000", 18519),  # 0.12; 111111.11 of profit to go, 6 a lot
    ],
)
def test_gmx(size, entry, price, worth, closed):
    engine = pool(f"user X {size} {entry}\nfund X -{size} {entry}", {"user": "500000"}, worth, **GMX)
    report = ticked(engine, {"X": price})
    assert report.adl_fills["lots"].to_list() == [closed] * (closed > 0)
    assert lots(engine)["user", "X"] == size - closed
    won = closed * (price - entry)
    assert cash(engine) == {"user": (500000 + won) * 100}
    assert engine.reserves()["cash"].to_list()[0] == (int(worth) - won) * 100


#: profits at 110: ann 60, bob 40, cy 5, dee -20
WINNERS = "ann X 6 100\nbob X 4 100\ncy X 5 109\ndee X 2 120\nfund X -16 100"
WINNERS_CASH = {"ann": "500", "bob": "500", "cy": "500", "dee": "500"}


@pytest.mark.parametrize(
    ("choices", "worth", "closed"),
    [
        # S = 85, dee's loss included; 85 of 170 is not above one half
        ({}, "170", []),
        ({}, "169.99", [("ann", 1)]),
        # (85 - 0.5 · 120) / 0.5 = 50
        ({}, "120", [("ann", 5)]),
        ({}, "100", [("ann", 6), ("bob", 1)]),  # 70 to go: 60, and 10 a lot
        ({}, "99", [("ann", 6), ("bob", 2)]),
        ({"score": "low_cash", "then": ["newest"]}, "100", [("dee", 0), ("cy", 5), ("bob", 4), ("ann", 3)]),
        # one lot less, or none, where what is left would be below pool_min
        ({"pool_min": "0.5"}, "100", [("ann", 6), ("bob", 1)]),  # 15 / 30 is not below
        ({"pool_min": "0.5"}, "99", [("ann", 6), ("bob", 1)]),  # 5 / 19 is
        ({"pool_min": "0.499"}, "119", [("ann", 5)]),
        ({"pool_min": "0.5"}, "169.99", []),
        # no closing helps once the traders have won all of the pool
        ({}, "85.01", [("ann", 6), ("bob", 2)]),  # three would leave less than nothing
        ({}, "85", [("ann", 6), ("bob", 4), ("cy", 5)]),
        ({"pool_max": "2"}, "40", [("ann", 6), ("bob", 4), ("cy", 5)]),
        ({"pool_max": "2"}, "42.5", []),
        ({}, "0", []),
    ],
)
def test_winners_are_closed_until_the_pool_is_worth_more(choices, worth, closed):
    engine = pool(WINNERS, WINNERS_CASH, worth, **choices)
    report = ticked(engine, {"X": 110})
    assert filled(report) == [("fund", name, count, -11000 * count) for name, count in closed if count]
    ranks = [place for place, (_, count) in enumerate(closed, 1) if count]
    assert report.adl_fills["rank"].to_list() == ranks  # among all candidates


def test_a_fill_of_the_pool_is_told_from_its_side():
    """The fund is short ten lots from 99: seven of ann's close those, three stay with it."""
    engine = pool("ann X 13 100\nfund X -10 99", {"ann": "500"}, "60", pool_max="0")
    report = ticked(engine, {"X": "104.999"})
    fill = report.adl_fills.row(0, named=True)
    told = {
        "bankrupt": "fund",
        "counterparty": "ann",
        "side": "short",
        "lots": 13,
        "currency": "USD",
        "rank": 1,
    }
    assert fill == fill | told | {
        "value": -136498,
        "realized_pnl": 6498,
        "bankrupt_realized_pnl": 99000 - 104998,
    }
    assert fill["price"] == pytest.approx(104.999, abs=1e-3)
    assert report.summary.select("n_adl_fills", "adl_lots").rows() == [(1, 13)]
    assert report.notices.select("account", "side").rows() == [("ann", "long")]
    assert lots(engine) == {("fund", "X"): 3}


def test_every_side_meets_the_pool_that_the_one_before_left():
    """Longs of A win 60 of 100, then longs of Y 50 of 80; what the fund opens there, it has not lost yet."""
    engine = Engine(
        book("ann Y -9 115\nann A 6 100\nbob Y 5 100\nfund A -6 100\nfund Y 4 111.25",
             cash={"ann": "500", "bob": "500"}, listed={"Y": {}, "A": {}}),
        policy={"trigger": "pool_profit", "price": "mark"},
        fund="100",
    )  # fmt: skip
    report = ticked(engine, {"Y": 110, "A": 110})
    closed = report.adl_fills.select("counterparty", "symbol", "side", "lots", "bankrupt_realized_pnl").rows()
    assert closed == [
        ("ann", "A", "short", 2, -2000),
        ("bob", "Y", "short", 2, 0),
        ("ann", "Y", "long", 2, 22000 - 22166),  # of six for 665
    ]


def test_bankrupt_accounts_are_not_closed():
    """ann wins 60 in X and lost more in Y. The fund takes that; nothing is missing then, and she is spared.

    What she has won counts all the same.
    """
    free = [{"min_notional": "0", "maintenance_rate": "0"}]
    engine = Engine(
        book("ann X 6 100\nann Y 1 200\nbob X 1 100\ncy X 1 100\nfund X -8 100\nfund Y -1 200",
             cash={"ann": "30", "bob": "500", "cy": "-5"}, listed={"X": {"tiers": free}, "Y": {}}),
        policy={"trigger": "pool_profit", "price": "mark", "pool_max": "0.3"},
        fund={"cash": "100", "limits": {"X": {"max_loss": "0"}}},
    )  # fmt: skip
    report = ticked(engine, {"X": 110, "Y": 100})
    assert report.liquidations.select("account", "shortfall").rows() == [("ann", 1000)]
    assert report.takeovers.select("account", "symbol").rows() == [("ann", "Y")]
    assert filled(report) == [("fund", "cy", 1, -11000), ("fund", "bob", 1, -11000)]
    assert uncovered(report) == {}


def test_a_winner_wins_more_than_nothing():
    """At 104.999 cy wins 4.999, ann 0.9 of a cent, eve nothing, bob loses; the pool has 1."""
    positions = "cy X 1 100\nann X 1 104.99\nbob X 1 105\neve X 1000 104.999\nfund X -1003 100"
    engine = pool(positions, {"ann": "50", "bob": "50", "cy": "50", "eve": "5000"}, "1")
    report = ticked(engine, {"X": "104.999"})
    assert report.adl_fills.select("counterparty", "realized_pnl").rows() == [("cy", 499), ("ann", 0)]


def test_the_price_may_be_an_oracles_and_profits_are_at_mark():
    engine = pool(WINNERS, WINNERS_CASH, "120", price="oracle")
    report = ticked(engine, {"X": 110}, oracle={"X": "109.995"})
    assert filled(report) == [("fund", "ann", 5, -54997)]  # 549.975 rounded down


def test_one_ranking_of_all_sides_or_one_of_each():
    """By leverage ann stands before bob in Y, until half of her X is closed."""
    positions = "ann X 10 100\nann Y 5 100\nbob Y 6 100\nfund X -10 100\nfund Y -11 100"
    orders = {}
    for rerank in ("never", "each"):
        engine = Engine(
            book(positions, cash={"ann": "500", "bob": "300"}, listed={"X": {}, "Y": {}}),
            policy={"trigger": "pool_profit", "price": "mark", "score": "leverage", "rerank": rerank},
            fund="150",
        )
        report = ticked(engine, {"X": 110, "Y": 110})
        orders[rerank] = report.adl_fills.select("counterparty", "lots", "rank").rows()
    assert orders["never"] == [("ann", 5, 1), ("ann", 5, 1), ("bob", 6, 2)]
    assert orders["each"] == [("ann", 5, 1), ("bob", 6, 1), ("ann", 5, 2)]


def test_what_is_refused_leaves_no_switch_on():
    engine = held({**OKX, "drawdown_stop": "0.25"})
    ticked(engine, {}, 0)
    with pytest.raises(InputError, match="executions"):
        engine.tick({"X": 880}, time=1, executions={"account": ["nobody"]})
    assert served(engine, [(1, 900)])
