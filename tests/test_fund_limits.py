"""Limits of what the fund takes and loses (rule R89)."""

from __future__ import annotations

from typing import Any

import pytest

from engines import book, state_of
from fastadl import Engine, Fund, InputError, Scenario
from test_triggers import taken, ticked, uncovered

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
