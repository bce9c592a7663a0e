"""The pool as counterparty of all (rule R90)."""

from __future__ import annotations

from typing import Any

import pytest

from engines import book, cash, lots
from fastadl import Engine, InputError
from test_triggers import OKX, filled, held, served, ticked, uncovered


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
