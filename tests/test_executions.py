"""Closing in the order book: the liquidity model, and executions given."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from engines import cash, lots, state_of
from fastadl import InputError, testing
from test_engine import CASH, POSITIONS, engine, executed, same_report


def test_the_liquidity_model_closes_within_its_depth_and_takes_its_fee():
    liquidity = {"depth": {"X": 4}, "slippage": "0.001", "fee": "0.001", "surplus": "fund"}
    one = engine("ann X 10 100\nbob X -10 100", {"ann": "205", "bob": "900"}, liquidity=liquidity)
    report = one.tick({"X": 80})
    assert report.executions.select("account", "lots", "price", "value").rows() == [("ann", 4, 79.92, 31968)]
    assert report.fees.rows() == [("ann", "liquidation_fee", 32, "USD")]
    assert cash(one)["ann"] == 20500 + 31968 - 40000 - 32
    assert one.reserves()["cash"].to_list() == [32, 0]


def test_the_fund_gets_the_surplus_of_an_account_closed_whole():
    liquidity = {"depth": {"X": 20}, "slippage": "0.001", "fee": "0.001", "surplus": "fund"}
    one = engine("ann X 10 100\nbob X -10 100", {"ann": "209", "bob": "900"}, liquidity=liquidity)
    report = one.tick({"X": "79.8"})
    assert report.executions["value"].to_list() == [79720]
    assert report.fees.select("kind", "amount").rows() == [("liquidation_fee", 80), ("surplus", 540)]
    assert cash(one)["ann"] == 0
    assert one.reserves()["cash"].to_list() == [620, 0]


def test_executions_close_against_the_market_account():
    one = engine()
    report = one.tick({"X": 80}, executions=executed(fee=["1.25"]))
    assert report.executions.select("account", "side", "lots", "price", "value", "realized_pnl").rows() == [
        ("ann", "long", 4, 79.5, 31800, -8200)
    ]
    assert report.fees.select("account", "kind", "amount").rows() == [("ann", "liquidation_fee", 125)]
    assert one.book.to_frames()[2].rows()[-1] == ("market", "X", 4, 31800)
    assert one.reserves()["cash"].to_list() == [125, 0]


@pytest.mark.parametrize(
    "spelling",
    [
        {"lots": None, "qty": ["4"]}, {"lots": None, "qty": [4.0]}, {"lots": np.array([4])},
        {"price": [79.5]}, {"price": None, "value": ["318.00"]}, {"price": None, "value": [318]},
        {"price": None, "value_atoms": [31800]}, {"fee": [None]}, {"fee_atoms": [0]},
        {"counterparty": [None]}, {"counterparty": ["market"]},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("frame", [dict, pl.DataFrame, pl.LazyFrame])
def test_executions_mean_the_same_however_they_are_spelled(spelling, frame):
    one, other = engine(), engine()
    report = one.tick({"X": 80}, executions=executed())
    given = {name: column for name, column in executed(**spelling).items() if column is not None}
    assert same_report(other.tick({"X": 80}, executions=frame(given)), report)
    assert state_of(other) == state_of(one)


def settled(positions, money, executions, **accounts):
    one = engine(positions, money, listed={"X": {"mark": "80"}, "Y": {"mark": "50"}}, accounts=accounts)
    before = one.copy()
    report = one.tick({"X": 80}, executions=executions)
    testing.check_invariants(before, report, one, counterparties=executions.get("counterparty"))
    return one


def test_fund_and_market_take_turns_in_the_order_given():
    """Each nets its own, and what ann releases at each step is cut off in the order of the steps."""
    given = {
        "account": ["ann"] * 3 + ["bob"], "symbol": ["X"] * 4, "side": ["long"] * 3 + ["short"],
        "lots": [4, 3, 2, 4], "price": ["79.5", "79", "78.25", "81"],
        "counterparty": ["market", "fund", None, "fund"],
    }  # fmt: skip
    one = settled(POSITIONS.replace("10 100", "10 100.007"), CASH, given)
    held = {row[0]: row[2:] for row in one.book.to_frames()[2].rows()}
    assert held["market"] == (6, 4 * 7950 + 2 * 7825)
    assert held["fund"] == (-1, -8100)
    assert one.reserves()["cash"].to_list() == [3 * (8100 - 7900), 0]


def test_a_counterparty_without_the_row_gets_one():
    one = settled(f"{POSITIONS}\ndee Y 1 50", {**CASH, "dee": "400"}, executed(counterparty=["dee"]))
    assert (lots(one)["dee", "X"], lots(one)["dee", "Y"]) == (4, 1)
    assert ("dee", "X", 4, 31800) in one.book.to_frames()[2].rows()
    assert cash(one)["dee"] == 40000


def test_accounts_are_named_by_id_or_by_code():
    named = engine(POSITIONS, CASH), engine(POSITIONS, CASH)
    parties: tuple[list[Any], list[Any]] = ["ann", "bob", "cy"], [0, 1, 2]
    for one, (ann, bob, cy) in zip(named, parties, strict=True):
        one.tick({"X": "100"})
        one.deleverage_account(cy, "X", lots=1, counterparties=[ann])
        one.mark({"X": "79.5"})
        one.settle(executed(account=[ann], counterparty=[bob]))
    assert state_of(named[0]) == state_of(named[1])
    for bad in (-1, 3, True, 2**70, 1.0, "nobody", "\ud800", None):
        for call in (
            lambda one, bad=bad: one.settle(executed(account=[bad])),
            lambda one, bad=bad: one.deleverage_account(bad, "X"),
            lambda one, bad=bad: one.deleverage_account("ann", "X", counterparties=["bob", bad]),
            lambda one, bad=bad: one.free_collateral(bad),
        ):
            with pytest.raises(InputError, match=r"name an account of the book|give a list"):
                call(named[0])
    assert state_of(named[0]) == state_of(named[1])


def test_a_counterparty_first_closes_its_opposite_row():
    one = settled(
        "ann X 10 100\nbob X -3 100\ncy X -7 100", {**CASH, "cy": "900"}, executed(counterparty=["bob"])
    )
    assert lots(one)["bob", "X"] == 1
    assert cash(one)["bob"] == 50000 + 3 * (10000 - 7950)


def test_what_a_counterparty_was_given_can_be_closed_in_the_same_call():
    given = executed(
        account=["ann", "dee"], symbol=["X"] * 2, side=["long"] * 2, lots=[4, 3], price=["80"] * 2
    )
    one = settled(POSITIONS, {**CASH, "dee": "400"}, given | {"counterparty": ["dee", None]})
    assert lots(one)["dee", "X"] == 1


def test_executions_follow_one_another_when_a_counterparty_closes_too():
    """bob's short is bought back first, so that what he then takes opens a row he never had."""
    one = settled(
        "ann X 10 100\nbob X -10 100\ncy X 3 100", {"ann": "300", "bob": "900", "cy": "900"},
        {"account": ["bob", "ann"], "symbol": ["X"] * 2, "side": ["short", "long"], "lots": [10, 10],
         "price": ["80"] * 2, "counterparty": [None, "bob"]},
    )  # fmt: skip
    assert lots(one) == {("bob", "X"): 10, ("cy", "X"): 3, ("market", "X"): -10}


def test_a_row_closed_in_an_earlier_tick_opens_again():
    """ann's long is closed, then she takes lots of both sides: one row is new, the other was hers before."""
    one = engine("ann X 5 80\nbob X 5 80\ncy X -5 80", {"ann": "900", "bob": "900", "cy": "900"})
    one.tick({"X": 80}, executions=executed(lots=[5], price=["80"]))
    before = one.copy()
    given = {
        "account": ["bob", "cy"], "symbol": ["X"] * 2, "side": ["long", "short"], "lots": [2, 3],
        "price": ["80"] * 2, "counterparty": ["ann", "ann"],
    }  # fmt: skip
    testing.check_invariants(
        before, one.tick({}, executions=given), one, counterparties=given["counterparty"]
    )
    assert lots(one) == {("ann", "X"): -1, ("bob", "X"): 3, ("cy", "X"): -2, ("market", "X"): 5}


@pytest.mark.parametrize("held", ["dee Y 1 50", "dee X 1 50"], ids=["another symbol", "the same row"])
def test_an_isolated_counterparty_takes_no_second_position(held):
    modes = ["cross"] * 3 + ["isolated"]
    given = executed(counterparty=["dee"])
    arguments = (f"{POSITIONS}\n{held}", {**CASH, "dee": "400"}, given)
    if held == "dee X 1 50":
        assert lots(settled(*arguments, margin_mode=modes))["dee", "X"] == 5
    else:
        with pytest.raises(InputError, match="an isolated account holds one position"):
            settled(*arguments, margin_mode=modes)
