"""Closing detected accounts in an order book, whole and in parts (rules R22, R100, R101)."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest

from engines import book, cash, lots, state_of
from fastadl import Engine, InputError, Liquidity, synth
from fastadl.engine import stages
from fastadl.engine.results import Tick
from fastadl.policy import AnyOrderBook, Partial

STEPS = [
    {"min_notional": "0", "maintenance_rate": "0.01"},
    {"min_notional": "4000", "maintenance_rate": "0.02"},
    {"min_notional": "8000", "maintenance_rate": "0.05"},
]
LISTED = {"X": {"tiers": STEPS}, "Y": {"tiers": STEPS}}
#: ann's equity at 98 is 150, her margin 210: she is liquidatable
ANN = {"ann": "350", "bob": "90000"}
POSITIONS = "ann X 100 100\nbob X -100 100"
FULL = {"X": 1000, "Y": 1000}


def engine(positions: str = POSITIONS, money: dict[str, str] = ANN, **liquidity: Any) -> Engine:
    orders = {"depth": FULL, **liquidity}
    return Engine(
        book(positions, cash=money, listed=LISTED), liquidity=orders, policy={"trigger": "none"}, fund="0"
    )


def closed(one: Engine, price: Any, time: int = 0) -> list[tuple[Any, ...]]:
    report = one.tick({"X": price, "Y": 100}, time=time)
    return report.executions.select("account", "symbol", "lots").rows()


# ---------------------------------------------------------------------- any order book (R100)


class Half:
    """Half of what is asked, at another price for every leg."""

    fee = Fraction(0)
    surplus = "trader"
    partial = Partial()

    def __init__(self, *factors: Fraction) -> None:
        self.factors = factors
        self.asked: list[list[int]] = []

    def check(self, instruments: Any) -> None:
        if len(instruments) > 2:
            raise InputError(("liquidity",), "Half", "give two instruments")

    def fits(self, demand: np.ndarray, instruments: Any) -> tuple[np.ndarray, dict[int, Fraction]]:
        self.asked.append(demand.tolist())
        return demand // 2, {int(leg): self.factors[leg] for leg in np.flatnonzero(demand // 2)}


def test_the_engine_takes_any_order_book() -> None:
    orders = Half(Fraction(9, 10), Fraction(11, 10), Fraction(8, 10), Fraction(12, 10))
    assert isinstance(orders, AnyOrderBook)
    positions = "ann X 60 100\nann Y -10 100\nbob X -60 100\nbob Y 10 100\ncy X 40 100\nbob2 X -40 100"
    money = {"ann": "150", "bob": "9000", "cy": "81", "bob2": "9000"}
    one = Engine(book(positions, cash=money, listed=LISTED), liquidity=orders, policy={"trigger": "none"})
    report = one.tick({"X": 98, "Y": 100})
    assert orders.asked == [[100, 0, 0, 10]]
    # cy comes first, 1 / 39.2 of margin; ann gets what is left of the 50
    assert report.executions.select("account", "symbol", "side", "lots", "value").rows() == [
        ("cy", "X", "long", 40, 40 * 8820),
        ("ann", "X", "long", 10, 10 * 8820),
        ("ann", "Y", "short", 5, -5 * 12000),
    ]
    assert one.check().ok


def test_an_order_book_may_refuse_the_instruments() -> None:
    listed = {name: {} for name in "XYZ"}
    positions = "ann X 60 100\nbob X -60 100"
    with pytest.raises(InputError, match="give two instruments"):
        Engine(book(positions, cash={"ann": "1", "bob": "1"}, listed=listed), liquidity=Half())


@pytest.mark.parametrize("step", [Fraction(1, 10**9), Fraction(1, 10**30), Fraction(1, 7 * 3**50)])
def test_executions_pay_the_exact_value_rounded_down_at_any_price(step: Fraction) -> None:
    """R15, with unit values of 62 bits and wider."""
    for factor in (1 - step, 1 + step, Fraction(97, 100) + step, Fraction(1)):
        one = Engine(
            book("ann X 99 100\nbob X -99 100", cash={"ann": "350", "bob": "9000"}, listed=LISTED),
            liquidity=Half(factor),
            policy={"trigger": "none"},
        )
        report = one.tick({"X": "96.7", "Y": 1})
        assert report.executions["value"].to_list() == [floor(49 * 9670 * factor)]


# ---------------------------------------------------------------------- slices (R101)


def test_a_slice_is_a_share_of_the_row_in_lots_rounded_up() -> None:
    one = engine(slice="0.201")
    assert closed(one, 98) == [("ann", "X", 21)]
    assert lots(one)["ann", "X"] == 79
    assert cash(one)["ann"] == 35000 - 21 * 200
    assert one.check().ok


def test_a_row_of_no_more_than_the_least_notional_is_closed_whole() -> None:
    assert closed(engine(slice="0.2", slice_above="9800"), 98) == [("ann", "X", 100)]
    assert closed(engine(slice="0.2", slice_above="9799.99"), 98) == [("ann", "X", 20)]


def test_notional_is_that_at_the_mark_of_the_tick() -> None:
    for options, order in (({"slice": "0.2", "slice_above": "9850"}, 100), ({"step_down": True}, 19)):
        one = engine(**options)
        one.tick({"X": 100, "Y": 100})
        assert closed(one, 98) == [("ann", "X", order)]


def test_an_account_closed_in_part_keeps_its_surplus() -> None:
    one = engine(slice="0.2", surplus="fund", fee="0.01")
    report = one.tick({"X": 98, "Y": 100})
    assert report.fees.select("kind", "amount").rows() == [("liquidation_fee", 20 * 98)]


def test_every_row_is_looked_at_by_itself() -> None:
    positions = f"{POSITIONS}\nann Y 10 100\nbob Y -10 100"
    one = engine(positions, slice="0.5", slice_above="1000")
    assert closed(one, 98) == [("ann", "X", 50), ("ann", "Y", 10)]


def test_a_bankrupt_account_is_closed_whole() -> None:
    assert closed(engine(slice="0.2", step_down=True), 96) == [("ann", "X", 100)]


def test_depth_is_handed_out_to_orders() -> None:
    """ann asks for 20 of 30 lots, which leaves 10 to cy."""
    positions = f"{POSITIONS}\ncy X 100 100\nbob2 X -100 100"
    one = engine(positions, {**ANN, "cy": "360", "bob2": "90000"}, slice="0.2", depth={"X": 30})
    assert closed(one, 98) == [("ann", "X", 20), ("cy", "X", 10)]


# ---------------------------------------------------------------------- stepping down (R101)


@pytest.mark.parametrize(
    ("money", "price", "order"),
    [
        ("350", "98", 100 - 81),  # 8,000 / 98 is 81.6 lots
        ("1900", "81", 100 - 98),  # 98.8 lots
        ("2001", "80", 100 - 50),  # a row on the border is in the tier below it: down to 4,000
        ("6030", "40", 100),  # the first tier is left for nothing
    ],
)
def test_an_order_closes_what_is_above_the_lower_border_of_the_tier(
    money: str, price: str, order: int
) -> None:
    one = engine(money={**ANN, "ann": money}, step_down=True)
    assert closed(one, price) == [("ann", "X", order)]


def test_with_both_the_smaller_order_counts() -> None:
    assert closed(engine(slice="0.1", step_down=True), 98) == [("ann", "X", 10)]
    assert closed(engine(slice="0.3", step_down=True), 98) == [("ann", "X", 19)]
    assert closed(engine(slice="0.1", slice_above="9800", step_down=True), 98) == [("ann", "X", 19)]


@pytest.mark.parametrize(("money", "price", "order"), [("300", "0.5", 60 - 40), ("720", "0.52", 60 - 41)])
def test_shorts_of_inverse_contracts_step_down_by_their_notional(money: str, price: str, order: int) -> None:
    """A lot is worth 100 / price: 8,000 are 40 lots, and 41.6."""
    listed = {"X": {"kind": "inverse", "contract_size": "100", "tiers": STEPS}}
    given = book("ann X -60 0.49\nbob X 60 0.49", cash={"ann": money, "bob": "90000"}, listed=listed)
    orders = {"depth": {"X": 1000}, "step_down": True}
    one = Engine(given, liquidity=orders, policy={"trigger": "none"})
    assert one.tick({"X": price}).executions["lots"].to_list() == [order]


@pytest.mark.parametrize(("least", "order"), [("12000", 60), ("11999", 6)])
def test_rows_of_inverse_contracts_are_sliced_by_their_notional(least: str, order: int) -> None:
    listed = {"X": {"kind": "inverse", "contract_size": "100", "tiers": STEPS}}
    given = book("ann X -60 0.49\nbob X 60 0.49", cash={"ann": "300", "bob": "90000"}, listed=listed)
    orders = {"depth": {"X": 1000}, "slice": "0.1", "slice_above": least}
    one = Engine(given, liquidity=orders, policy={"trigger": "none"})
    assert one.tick({"X": "0.5"}).executions["lots"].to_list() == [order]


# ---------------------------------------------------------------------- cooldown (R101)

SLICED = {"slice": "0.01", "cooldown": 30}


def test_a_sliced_account_is_left_alone_for_the_cooldown() -> None:
    one = engine(**SLICED)
    seen = [closed(one, 98, time) for time in (5, 5, 34, 35, 64, 65)]
    assert seen == [[("ann", "X", 1)], [], [], [("ann", "X", 1)], [], [("ann", "X", 1)]]


def test_or_it_is_closed_whole_then() -> None:
    one = engine(**SLICED, in_cooldown="whole", depth={"X": 60})
    seen = [closed(one, 98, time) for time in (5, 34, 35)]
    assert seen == [[("ann", "X", 1)], [("ann", "X", 60)], []]


def test_a_bankrupt_account_is_closed_whole_in_cooldown_too() -> None:
    one = engine(**SLICED)
    assert closed(one, 98, 0) == [("ann", "X", 1)]
    assert closed(one, 95, 1) == [("ann", "X", 99)]


def test_or_a_bankrupt_account_goes_straight_on_to_the_fund() -> None:
    one = engine(bankrupt="fund")
    assert closed(one, 95, 0) == []
    other = engine(bankrupt="fund")
    assert closed(other, 98, 0) == [("ann", "X", 100)]


def test_only_an_order_for_a_part_that_closed_something_begins_a_cooldown() -> None:
    one = engine(**SLICED, depth={})
    assert closed(one, 98, 0) == []
    one.liquidity = Liquidity(depth={"X": 1000}, **SLICED)
    assert closed(one, 98, 1) == [("ann", "X", 1)]
    whole = engine(slice="0.01", slice_above="9800", cooldown=30, depth={"X": 1})
    assert [closed(whole, 98, time) for time in (0, 1)] == [[("ann", "X", 1)]] * 2


def test_a_copy_remembers_the_cooldown_of_its_own() -> None:
    one = engine(**SLICED)
    fresh = one.copy()
    closed(one, 98, 0)
    other = one.copy()
    assert closed(other, 98, 1) == []
    assert closed(fresh, 98, 1) == [("ann", "X", 1)]
    assert closed(other, 98, 30) == [("ann", "X", 1)]
    assert closed(one, 98, 30) == [("ann", "X", 1)]


def test_a_tick_that_fails_leaves_no_cooldown(monkeypatch: pytest.MonkeyPatch) -> None:
    one = engine(**SLICED)
    one.tick({"X": 100, "Y": 100}, time=0)
    before = state_of(one)

    def fail(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(stages, "spread", fail)
        with pytest.raises(KeyboardInterrupt):
            one.tick({"X": 98, "Y": 100}, time=5)
    assert state_of(one) == before
    assert closed(one, 98, 6) == [("ann", "X", 1)]


def test_surplus_that_was_taken_is_given_back_where_the_stage_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an account that the caller has closed, which the order book has nothing left to close of."""
    one = engine(surplus="fund")
    one.mark({"X": 98, "Y": 100})
    one.settle({"account": ["ann"], "symbol": ["X"], "side": ["long"], "lots": [100], "price": [98]})
    before, add = state_of(one), Tick.add

    def fail(tick: Tick, name: str, **columns: Any) -> None:
        add(tick, name, **columns)
        if name == "fees":
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Tick, "add", fail)
        with pytest.raises(KeyboardInterrupt):
            one.settle()
    assert state_of(one) == before
    one.settle()
    assert cash(one)["ann"] == 0


def test_without_partial_close_outs_nothing_is_remembered() -> None:
    one = engine()
    closed(one, 98)
    assert one._state.sliced is None


# ---------------------------------------------------------------------- lots by leg


def test_a_report_adds_up_lots_by_leg() -> None:
    given = synth.book("pareto", positions=1000, accounts=400, instruments=4, seed=3)
    one = Engine(given, liquidity={"depth": dict.fromkeys(given.instruments.symbols, 400)})
    report = one.tick(one.marks * np.array([0.6, 1.5, 0.7, 1.3]))
    for name in ("executions", "adl_fills"):
        frame = getattr(report, name)
        assert len(frame) > 20
        wanted = np.zeros(8, np.int64)
        for symbol, side, many in frame.select("symbol", "side", "lots").rows():
            wanted[2 * one.symbols.index(symbol) + (side == "short")] += many
        assert report.lots(name).tolist() == wanted.tolist()
