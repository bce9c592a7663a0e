"""Liquidation orders over many ticks, and what accounts in liquidation may do (rule R108)."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import polars as pl
import pytest

from engines import book, cash, lots, state_of
from fastadl import BoundsError, Engine, InputError, StageError, synth
from fastadl.decimals import exact
from fastadl.engine.live.ordering import orders as stage
from fastadl.engine.open_orders import OpenOrders

TIERS = [
    {"min_notional": "0", "maintenance_rate": "0.01"},
    {"min_notional": "4000", "maintenance_rate": "0.02"},
    {"min_notional": "8000", "maintenance_rate": "0.05"},
]
#: At 98 ann has 150 left of a margin of 210: her lots may go for 96.5.
CASH = {"ann": "350", "bob": "90000", "cat": "90000"}
POSITIONS = "ann X 100 100\nbob X -60 100\ncat X -40 100"


def engine(
    positions: str = POSITIONS, money: dict[str, str] = CASH, price: Any = 98, **options: Any
) -> Engine:
    listed = {symbol: {"tiers": TIERS} for symbol in ("X", "Y")}
    one = Engine(book(positions, cash=money, listed=listed), **{"fund": "10000"} | options)
    one.mark({"X": price, "Y": 100})
    return one


def executed(order: int | None, many: int, price: Any = 97, **changed: Any) -> dict[str, list[Any]]:
    row = {"account": "ann", "symbol": "X", "side": "long", "lots": many, "price": price, "order": order}
    return {name: [value] for name, value in (row | changed).items()}


def fills(who: list[Any], many: list[int], **changed: Any) -> dict[str, Any]:
    given = {"account": who, "symbol": ["X"] * len(who), "lots": many, "price": ["98"] * len(who)}
    return given | changed


def left(one: Engine) -> list[tuple[int, str, int, str | None]]:
    return one.orders().select("order", "account", "lots", "reason").rows()


# ---------------------------------------------------------------------- ordering


def test_a_whole_row_is_ordered_at_its_bankruptcy_price() -> None:
    one = engine()
    sent = one.order_liquidations()
    assert sent.select("order", "account", "symbol", "side", "lots").rows() == [(1, "ann", "X", "long", 100)]
    assert sent["limit_value"].to_list() == [9650_00]
    assert sent["limit_price"][0] == pytest.approx(96.5, rel=1e-14)
    assert exact(sent["limit_price"][0]) >= Fraction("96.5")
    assert one.orders().row(0, named=True) == {
        "order": 1, "account": "ann", "symbol": "X", "side": "long", "lots": 100, "lots_ordered": 100,
        "limit_price": sent["limit_price"][0], "tick": 0, "time": 0, "reason": None,
    }  # fmt: skip


def test_what_is_on_order_is_not_ordered_again() -> None:
    one = engine()
    one.order_liquidations()
    assert one.order_liquidations().height == 0
    one.deleverage()
    one.mark({"X": "97.9"})
    assert one.order_liquidations().height == 0


@pytest.mark.parametrize(
    ("asked", "lots_ordered"),
    [
        ({"slice": "0.2"}, 20),
        ({"slice": "0.201"}, 21),
        ({"slice": "0.2", "slice_above": "9800"}, 100),
        ({"slice": "0.2", "slice_above": "9799.99"}, 20),
        ({"step_down": True}, 100 - 81),
        ({"step_down": True, "slice": "0.1"}, 10),
        ({"slice": "0.2", "slice_above": {"USD": "9800"}}, 100),
        ({"slice": "0.2", "slice_above": {"USD": "9799.99"}}, 20),
        ({"slice": "0.2", "slice_above": {}}, 20),
        ({"slice": "0.2", "least": 20}, 20),
        ({"slice": "0.2", "least": 21}, 100),  # fewer than the least
        ({"slice": "0.8", "least": 20}, 80),
        ({"slice": "0.8", "least": 21}, 100),  # would leave fewer
        ({"slice": "0.8", "least": 2**70}, 100),
        ({"step_down": True, "least": 20}, 100),
    ],
)
def test_orders_are_for_parts_as_rule_101_says(asked: dict[str, Any], lots_ordered: int) -> None:
    one = engine()
    sent = one.order_liquidations(**asked)
    assert sent["lots"].to_list() == [lots_ordered]
    assert sent["limit_value"].to_list() == [9650_00 * lots_ordered // 100]


def test_the_limit_of_a_part_is_rounded_up() -> None:
    one = engine(money=CASH | {"ann": "350.01"})
    assert one.order_liquidations(slice="0.2")["limit_value"].to_list() == [1930_00]
    assert engine(money=CASH | {"ann": "349.99"}).order_liquidations(slice="0.2")[
        "limit_value"
    ].to_list() == [1930_01]


def test_a_bankrupt_account_is_not_ordered() -> None:
    assert engine(price=96).order_liquidations().height == 0


def test_an_account_that_a_deposit_has_saved_is_not_ordered() -> None:
    one = engine()
    one.deposit({"account": ["ann"], "amount": ["60"]})
    assert one.order_liquidations().height == 0


def test_a_long_with_more_cash_than_it_is_worth_has_no_limit() -> None:
    one = engine()
    prices = stage._limits(one._state, np.array([0, -5, 5]), np.array([1, 1, 1]), np.array([0, 0, 0]))
    assert np.isnan(prices[:2]).all()
    assert prices[2] > 0


@pytest.mark.parametrize(("argument", "value"), [
        ("slice", 2), ("cooldown", -1), ("in_cooldown", "x"), ("least", 0), ("least", True), ("least", "1"),
        ("slice_above", -1), ("slice_above", {"USD": -1}),
    ],
)  # fmt: skip
def test_bad_arguments_are_named(argument: str, value: Any) -> None:
    one = engine()
    before = state_of(one)
    with pytest.raises(InputError) as caught:
        one.order_liquidations(**{"slice": "0.5", argument: value})
    assert caught.value.path == (argument,)
    assert state_of(one) == before


def test_what_is_not_sliced_is_said_by_currency() -> None:
    """Rows of 9800 in either currency."""
    listed = {name: {"tiers": TIERS, "currency": of} for name, of in (("X", "USD"), ("E", "EUR"))}
    positions = "ann X 100 100\nbob X -100 100\neva E 100 100\nedi E -100 100"
    given = book(
        positions,
        cash={"ann": "350", "bob": "90000", "eva": "350", "edi": "90000"},
        listed=listed,
        currency=["USD", "USD", "EUR", "EUR"],
    )
    one = Engine(given, fund={"USD": "0", "EUR": "0"})
    one.mark({"X": 98, "E": 98})
    for bad, path in (("1", ("slice_above",)), ({"CHF": "1"}, ("slice_above", "CHF"))):
        with pytest.raises(InputError, match="give amounts of EUR, USD") as caught:
            one.order_liquidations(slice="0.2", slice_above=bad)
        assert caught.value.path == path
    for above, eur, usd in (("0", 20, 20), ({"EUR": "9800"}, 100, 20), ({"EUR": 1, "USD": 9800}, 20, 100)):
        sent = one.fork(one.policy).order_liquidations(slice="0.2", slice_above=above)
        assert dict(sent.select("account", "lots").iter_rows()) == {"ann": usd, "eva": eur}


@pytest.mark.parametrize("seed", range(4))
def test_an_account_closed_at_its_limits_ends_at_nothing(seed: int) -> None:
    given = synth.book("pareto", positions=400, accounts=120, instruments=6, seed=seed)
    one = Engine(given, fund="1000000")
    marks = one.marks
    for factor in np.linspace(0.97, 0.7, 7):
        one.mark(marks * factor)
        sent = one.order_liquidations().drop_nulls()
        by_value, by_price = one.copy(), one.copy()
        by_value.settle(sent.select("account", "symbol", "side", "lots", "order", value_atoms="limit_value"))
        by_price.settle(sent.select("account", "symbol", "side", "lots", "order", price="limit_price"))
        closed = set(sent["account"])
        held = {account for account, _ in lots(by_value)}
        for account in closed - held:
            assert cash(by_value)[account] == 0
            assert cash(by_price)[account] >= 0
        assert by_value.check().ok
        assert by_price.check().ok
        one.cancel_orders()
        one.deleverage()


# ---------------------------------------------------------------------- filling


def test_an_order_fills_over_ticks_and_between_them() -> None:
    one = engine()
    one.order_liquidations()
    assert one.settle(executed(1, 30)).tolist() == [-30 * 300]
    one.deleverage()
    numbers = repr(one)
    one.settle(executed(1, 20))
    assert repr(one) == numbers
    assert one._tick is None
    assert left(one) == [(1, "ann", 50, "safe")]  # what it sold above the limit has saved it
    one.mark({"X": "97"})
    assert left(one) == [(1, "ann", 50, None)]
    one.settle(executed(1, 50, "96.9"))
    assert left(one) == []
    assert lots(one).get(("ann", "X")) is None
    assert one.deleverage().executions["lots"].to_list() == [50]
    assert one.check().ok


def test_numbers_are_never_used_again() -> None:
    one = engine()
    for number in (1, 2, 3):
        assert one.order_liquidations()["order"].to_list() == [number]
        one.cancel_orders()
    one.settle(executed(None, 1))
    assert one.copy().order_liquidations()["order"].to_list() == [4]


@pytest.mark.parametrize(
    ("given", "path"),
    [
        (executed(1, 101), ("executions", 0, "lots")),
        (executed(2, 1), ("executions", 0, "order")),
        (executed(0, 1), ("executions", 0, "order")),
        (executed(True, 1), ("executions", 0, "order")),
        (executed(None, 1), ("executions", 0, "order")),
        (executed(1, 1, account="bob", side="short"), ("executions", 0, "order")),
        (executed(1, 1, side="short"), ("executions", 0, "order")),
    ],
)
def test_executions_that_do_not_fit_their_order_are_refused(given: Any, path: tuple[Any, ...]) -> None:
    one = engine()
    one.order_liquidations()
    before = state_of(one)
    with pytest.raises(InputError) as caught:
        one.settle(given)
    assert caught.value.path == path
    assert state_of(one) == before


def test_a_batch_with_one_bad_execution_takes_nothing_off_its_orders() -> None:
    one = engine()
    one.order_liquidations()
    before = state_of(one)
    two = {name: values * 2 for name, values in executed(1, 60).items()}
    with pytest.raises(InputError, match="40 lots left"):
        one.settle(two)
    assert state_of(one) == before


def test_executions_without_orders_begin_a_tick_as_before() -> None:
    one = engine()
    one.deleverage()
    one.settle(executed(None, 10))
    assert one._tick is not None
    assert one.deleverage().executions["lots"].to_list() == [10]


def test_rows_that_are_not_on_order_may_still_be_closed_once() -> None:
    one = engine("ann X 100 100\nann Y 10 100\nbob X -100 100\nbob Y -10 100")
    one.order_liquidations()
    one.cancel_orders([2])
    other = {"account": "bob", "symbol": "Y", "side": "short", "price": 100, "counterparty": "ann"}

    def two(lots_of_ann: int, lots_of_bob: int) -> pl.DataFrame:
        own = executed(None, lots_of_ann, 100, symbol="Y") | {"counterparty": [None]}
        rows = [pl.DataFrame(own), pl.DataFrame(executed(None, lots_of_bob, **other))]
        return pl.concat(rows, how="vertical_relaxed")

    before = state_of(one)
    with pytest.raises(InputError) as caught:
        one.settle(two(6, 5))
    assert caught.value.path == ("executions", 1, "counterparty")
    assert state_of(one) == before
    one.settle(two(6, 4))
    assert ("ann", "Y") not in lots(one)
    assert one.deleverage().executions["lots"].to_list() == [6, 4]
    assert one.check().ok


def test_a_tick_takes_executions_of_orders() -> None:
    one = engine()
    one.order_liquidations()
    one.deleverage()
    report = one.tick({"X": 97}, executions=executed(1, 30))
    assert report.executions["lots"].to_list() == [30]
    assert left(one) == [(1, "ann", 70, None)]


def test_executions_between_ticks_pay_their_fees() -> None:
    one = engine()
    one.order_liquidations()
    one.deleverage()
    fund = one.reserves().filter(account="fund")["cash"][0]
    one.settle(executed(1, 30, fee="5"))
    assert one.reserves().filter(account="fund")["cash"][0] == fund + 5_00
    assert one.check().ok


def test_settle_after_takeover_is_refused_for_orders_too() -> None:
    one = engine()
    one.order_liquidations()
    one.takeover()
    for call in (lambda: one.settle(executed(1, 1)), one.order_liquidations, one.cancel_orders):
        with pytest.raises(StageError):
            call()
    one.deleverage()
    one.settle(executed(1, 1))


def test_an_order_of_a_part_begins_the_cooldown_when_it_fills() -> None:
    asked: dict[str, Any] = {"slice": "0.2", "cooldown": 30}
    one = engine("ann X 1000 100\nbob X -1000 100", {"ann": "3500", "bob": "900000"})
    one.order_liquidations(**asked)
    one.cancel_orders()
    assert one.order_liquidations(**asked).height == 1
    one.settle(executed(2, 10, "96.6"))
    one.cancel_orders()
    assert one.order_liquidations(**asked).height == 0
    assert one.order_liquidations(**asked | {"in_cooldown": "whole"})["lots"].to_list() == [990]
    one.cancel_orders()
    one.deleverage()
    one.mark({"X": 98}, time=30)
    assert one.order_liquidations(**asked).height == 1


def test_a_slice_that_the_liquidity_model_took_is_remembered_though_it_waits_for_nothing() -> None:
    depth = {"X": 1000, "Y": 1000}
    one = engine(liquidity={"model": "fixed", "depth": depth, "slice": "0.1", "cooldown": 0})
    one.settle()
    one.deleverage()
    assert one.order_liquidations(slice="0.2", cooldown=30).height == 0
    assert one.order_liquidations(slice="0.2").height == 1


def test_an_order_of_a_whole_row_begins_no_cooldown() -> None:
    one = engine("ann X 1000 100\nbob X -1000 100", {"ann": "3500", "bob": "900000"})
    one.order_liquidations()
    one.settle(executed(1, 10, "96.6"))
    one.cancel_orders()
    assert one.order_liquidations(slice="0.2", cooldown=30)["lots"].to_list() == [198]


# ---------------------------------------------------------------------- no new risk


@pytest.mark.parametrize(
    ("many", "side"),
    [(1, None), (-81, None), (-200, None), (-1, "short"), (1, "long")],
)
def test_fills_may_not_touch_what_is_on_order(many: int, side: str | None) -> None:
    one = engine()
    one.order_liquidations(slice="0.2")
    before = state_of(one)
    changed = {} if side is None else {"side": [None, side]}
    with pytest.raises(InputError, match="liquidation") as caught:
        one.apply_fills(fills(["cat", "ann"], [-many, many], **changed))
    assert caught.value.path == ("fills", 1, "lots")
    assert state_of(one) == before


def test_fills_may_close_what_is_not_on_order() -> None:
    one = engine()
    one.order_liquidations(slice="0.2")
    one.apply_fills(fills(["ann", "cat", "ann", "cat"], [-50, 50, -30, 30]))
    assert lots(one)["ann", "X"] == 20
    with pytest.raises(InputError, match="close at most 0"):
        one.apply_fills(fills(["ann", "cat"], [-1, 1]))
    one.settle(executed(1, 20))
    one.apply_fills(fills(["ann", "cat"], [1, -1]))


def test_the_first_bad_fill_is_named_whoever_finds_it() -> None:
    one = engine()
    one.order_liquidations()
    before = state_of(one)
    poor, frozen, large = ["bob", "cat"] * 2, ["ann", "cat"], ["market", "fund"]
    for who, first, bounds in (
        (poor + frozen, 2, True),
        (frozen + poor, 0, False),
        (large + frozen, 0, True),
        (frozen + large, 0, False),
    ):
        many = [9 * 10**14 if name in large else 1 for name in who]
        many = [-size if i % 2 == 0 else size for i, size in enumerate(many)]
        values = [1 if size > 0 else -1 for size in many]
        fees = [2**53 if name == "bob" else 0 for name in who]
        given = {"account": who, "symbol": ["X"] * len(who), "lots": many, "value_atoms": values}
        with pytest.raises(InputError) as caught:
            one.apply_fills(given | {"fee_atoms": fees})
        assert caught.value.path[1] == first
        assert isinstance(caught.value, BoundsError) == bounds
        assert state_of(one) == before


def test_cash_stays_where_orders_are_out() -> None:
    one = engine("ann X 100 100\nbob X -100 100")
    one.order_liquidations(slice="0.2")
    one.mark({"X": 110})
    assert one.free_collateral("ann") == 0
    with pytest.raises(InputError, match="0 atoms are free"):
        one.withdraw({"account": ["ann"], "amount": ["1"]})
    one.deposit({"account": ["ann"], "amount": ["1"]})
    one.cancel_orders()
    assert one.free_collateral("ann") > 0


def test_the_fund_fills_an_order_and_nets_what_it_held() -> None:
    """It sells its short's worth of ann's lots first, for its share of 970.01, and keeps the rest."""
    one = engine(
        "ann X 100 100\nbob X -60 100\ncat X -37 100\nfund X -3 99", CASH | {"ann": "349"}, fund="100"
    )
    one.order_liquidations()
    given = executed(1, 10, value_atoms=97001, counterparty="fund")
    del given["price"]
    one.settle(given)
    assert left(one) == [(1, "ann", 90, None)]
    assert (lots(one)["fund", "X"], lots(one)["ann", "X"]) == (7, 90)
    paid = 97001 * 3 // 10
    assert one.reserves()["cash"].to_list() == [100_00 + 3 * 9900 - paid, 0]
    assert ("fund", "X", 7, 97001 - paid) in one.frames()[2].rows()
    assert one.check().ok


def test_who_is_in_liquidation_is_told_of_one_and_of_many() -> None:
    one = engine()
    assert one.in_liquidation("ann") is False
    one.order_liquidations()
    assert one.in_liquidation("ann") is True
    assert one.in_liquidation(1) is False
    assert one.in_liquidation(["bob", "ann"]).tolist() == [False, True]
    assert one.in_liquidation(one.codes(accounts=["ann", "cat"])).tolist() == [True, False]
    assert one.in_liquidation([]).tolist() == []
    for bad in ("eve", "fund", 3, True, ["ann", "eve"], ["fund"], np.array([0, 3]), np.array([-1])):
        with pytest.raises(InputError):
            one.in_liquidation(bad)


def test_a_counterparty_in_liquidation_only_closes() -> None:
    money = {"ann": "350", "bob": "90000", "eve": "90", "cat": "90000"}
    one = engine("ann X 100 100\nbob X -70 100\neve X -30 95", money)
    sent = one.order_liquidations(slice="0.5")
    assert sorted(sent.select("account", "lots").rows()) == [("ann", 50), ("eve", 15)]
    number = dict(sent.select("account", "order").iter_rows())
    with pytest.raises(InputError) as caught:
        one.settle(executed(number["ann"], 16, counterparty="eve"))
    assert caught.value.path == ("executions", 0, "counterparty")
    one.settle(executed(number["ann"], 15, counterparty="eve"))
    assert lots(one)["eve", "X"] == -15
    assert one.check().ok


# ---------------------------------------------------------------------- nothing else closes it


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"policy": {"trigger": "unfilled"}, "fund": "0"},
        {"policy": {"space": "wealth"}, "fund": "0"},
        {"policy": {"trigger": "none"}, "liquidity": {"depth": {"X": 1000, "Y": 1000}}},
    ],
)
@pytest.mark.parametrize("price", [98, 90])
def test_an_account_with_orders_out_waits(options: dict[str, Any], price: int) -> None:
    one = engine(**options)
    one.order_liquidations()
    report = one.tick({"X": price})
    assert report.liquidations["account"].to_list() == ["ann"]
    assert report.liquidations["shortfall"].to_list() == [0]
    for name in ("executions", "netted", "fund_payments", "takeovers", "adl_fills", "uncovered"):
        assert getattr(report, name).height == 0
    assert lots(one)["ann", "X"] == 100
    assert left(one) == [(1, "ann", 100, "bankrupt" if price == 90 else None)]
    assert one.cancel_orders(one.orders()["order"])["lots"].to_list() == [100]
    report = one.tick({"X": 90})
    assert ("ann", "X") not in lots(one)
    assert one.check().ok


def test_a_hedge_with_an_order_out_is_not_netted() -> None:
    one = engine("ann X 130 100\nann X -30 100\nbob X -100 100")
    sent = one.order_liquidations()
    assert sent["lots"].to_list() == [130, 30]
    one.cancel_orders([2])
    assert one.tick({"X": 90}).netted.height == 0


def test_an_account_in_liquidation_is_no_candidate() -> None:
    money = {"ann": "350", "bob": "250", "cat": "90000", "zed": "100"}
    one = engine("ann X 100 100\nbob X -70 98\ncat X -60 100\nzed X 30 100", money, 98)
    one.deleverage()
    one.mark({"X": "100.5"})
    assert one.order_liquidations()["account"].to_list() == ["bob"]
    assert one.rank("X", "short")["account"].to_list() == ["cat"]
    for standings in (one.lights(), one.percentiles()):
        assert "bob" not in standings.frame().filter(side="short")["account"].to_list()
    refused = (
        lambda: one.deleverage_account("bob", "X"),
        lambda: one.copy().deleverage_account("bob", "X"),
    )
    for call in refused:
        with pytest.raises(InputError, match="in liquidation"):
            call()
    report = one.deleverage_account("ann", "X", lots=65, counterparties=["bob", "cat"])
    assert report.adl_fills["counterparty"].to_list() == ["cat"]
    one.cancel_orders()
    assert sorted(one.rank("X", "short")["account"]) == ["bob"]


def test_final_settlement_ends_the_orders_of_its_symbol() -> None:
    one = engine("ann X 100 100\nann Y 1 100\nbob X -100 100\nbob Y -1 100")
    assert one.order_liquidations()["symbol"].to_list() == ["X", "Y"]
    one.settle_instrument("X", "98")
    assert one.orders()["symbol"].to_list() == ["Y"]


# ---------------------------------------------------------------------- cancelling, copies, undoing


@pytest.mark.parametrize("bad", [[7], [1, 1], ["1"], [True], 5, "1", [1, 2, 3]])
def test_only_open_orders_are_cancelled_each_once(bad: Any) -> None:
    one = engine("ann X 100 100\nann Y 1 100\nbob X -100 100\nbob Y -1 100")
    one.order_liquidations()
    before = state_of(one)
    with pytest.raises(InputError):
        one.cancel_orders(bad)
    assert state_of(one) == before
    assert one.cancel_orders([2])["symbol"].to_list() == ["Y"]
    assert one.orders()["order"].to_list() == [1]


@pytest.mark.parametrize("how", [Engine.copy, lambda one: one.fork("bitmex")])
def test_copies_have_orders_of_their_own(how: Callable[[Engine], Engine]) -> None:
    one = engine(policy="bitmex")
    one.order_liquidations()
    other = how(one)
    other.settle(executed(1, 10))
    assert left(one) == [(1, "ann", 100, None)]
    assert other.orders()["lots"].to_list() == [90]


def test_orders_are_what_their_frame_says() -> None:
    one = engine("ann X 100 100\nann Y 1 100\nbob X -100 100\nbob Y -1 100")
    one.order_liquidations(slice="0.3")
    one.settle(executed(1, 10))
    before, orders = one.orders(), one._state.orders
    one._state.orders = OpenOrders.of(orders.last, orders.frame())
    assert one.orders().equals(before)
    none = OpenOrders.none()
    assert OpenOrders.of(0, none.frame()).frame().equals(none.frame())


def test_what_fails_leaves_orders_as_they_were() -> None:
    one = engine()

    def undone(call: Any) -> None:
        before = state_of(one)

        def work() -> None:
            with one._together():
                call()
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            work()
        assert state_of(one) == before

    undone(lambda: one.settle(executed(None, 5)))
    undone(lambda: one.order_liquidations(slice="0.5"))
    assert one.order_liquidations()["order"].to_list() == [1]
    undone(lambda: one.settle(executed(1, 5)))
    undone(one.cancel_orders)


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_closed_twice(seed: int) -> None:
    random = np.random.default_rng(seed)
    given = synth.book("pareto", positions=300, accounts=100, instruments=4, seed=seed)
    one = Engine(given, fund="100000")
    for step in range(12):
        one.mark(one.marks * random.uniform(0.93, 1.06, 4) if step else one.marks * 0.9, time=step)
        one.order_liquidations(slice=random.choice([None, "0.3"]), cooldown=0)
        for _ in range(int(random.integers(0, 3))):
            out = one.orders()
            chosen = out.filter(pl.Series(random.random(out.height) < 0.5))
            part = np.maximum(1, (chosen["lots"].to_numpy() * random.choice([0.3, 1.0])).astype(np.int64))
            marks = dict(zip(one.symbols, one.marks, strict=True))
            one.settle(
                chosen.select("order", "account", "symbol", "side").with_columns(
                    lots=part,
                    price=pl.Series([marks[symbol] * 0.99 for symbol in chosen["symbol"]], dtype=pl.Float64),
                )
            )
        out = one.orders()
        one.cancel_orders(out.drop_nulls("reason")["order"])
        held = {
            (account, symbol, size > 0): abs(size)
            for account, symbol, size, _ in one.book.to_frames()[2].rows()
        }
        out = one.orders()
        assert out["reason"].null_count() == out.height
        for row in out.iter_rows(named=True):
            assert 0 < row["lots"] <= held[row["account"], row["symbol"], row["side"] == "long"]
            assert row["lots"] <= row["lots_ordered"]
        report = one.deleverage()
        waiting = set(out["account"])
        for frame, column in ((report.takeovers, "account"), (report.adl_fills, "bankrupt")):
            assert not waiting & set(frame[column])
        assert not waiting & set(report.adl_fills["counterparty"])
        assert one.check().ok
