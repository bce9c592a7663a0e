"""What lots change hands for, who is spared, and how much of the loss is shared (R85, R86, R91, R98)."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines import book, cash, lots, state_of
from fastadl import Engine, InputError, Scenario, StageError
from fastadl.contracts import Instrument, Kind, Tier, derived_deductions
from fastadl.engine import by_hand
from fastadl.errors import BoundsError
from fastadl.kernels.fill import SOUND, Bankrupt, Ranked
from fastadl.kernels.guard import BELOW_ZERO, HEALTH, UNCUT, allowed
from fastadl.kernels.layout import expand
from twins.books import case
from twins.fills import Queue
from uncompiled import fewer

#: ann is bankrupt at 80 by 100 dollars: her bankruptcy price is 90
POSITIONS = """
ann X  10 100
bob X  -6 100
cy  X  -4  98
"""
CASH = {"ann": "100", "bob": "500", "cy": "500"}
TIERS = [{"min_notional": "0", "maintenance_rate": "0.1"}]


def engine(positions=POSITIONS, money=None, listed=None, **options):
    return Engine(book(positions, cash=money or CASH, listed=listed), **options)


def fills(report, *columns):
    return report.adl_fills.select("counterparty", "lots", *(columns or ("value",))).rows()


def refused(report):
    return report.refused.select("account", "bankrupt", "side", "lots", "reason").rows()


# ---------------------------------------------------------------------- oracle prices


def test_fills_at_the_oracle_price():
    one = engine(policy={"price": "oracle"})
    report = one.tick({"X": 80}, oracle={"X": "84.5"})
    assert fills(report) == [("bob", 6, 50700), ("cy", 4, 33800)]
    assert report.uncovered.select("account", "amount").rows() == [("ann", 5500)]
    assert one.check().ok


def test_an_oracle_price_is_the_mark_until_named_and_then_stays():
    for oracle, value in ((None, 8000), ({}, 8000), ({"X": "85"}, 8500), ([85.0], 8500)):
        one = engine("ann X 2 100\nbob X -2 100", {"ann": "30", "bob": "500"}, policy={"price": "oracle"})
        one.tick({"X": 90}, oracle=oracle)
        assert one.tick({"X": 80}).adl_fills["value"].to_list() == [2 * value]


def test_a_symbol_named_alone_leaves_the_others_at_their_marks():
    listed = {"X": {"mark": "100"}, "Y": {"mark": "100"}}
    positions = "ann X 2 100\nbob X -2 100\ndee Y 2 100\neve Y -2 100"
    money = {"ann": "30", "bob": "500", "dee": "30", "eve": "500"}
    one = engine(positions, money, listed, policy={"price": "oracle"})
    one.tick({}, oracle={"Y": "70"})
    assert fills(one.tick({"X": 80, "Y": 80})) == [("bob", 2, 16000), ("eve", 2, 14000)]


def test_a_copy_has_the_oracle_prices_and_a_refused_tick_leaves_them():
    one = engine("ann X 2 100\nbob X -2 100", {"ann": "30", "bob": "500"}, policy={"price": "oracle"})
    one.tick({"X": 90}, oracle={"X": 85})
    other = one.copy()
    other.mark({"X": 90}, oracle={"X": 70})
    with pytest.raises(InputError, match="executions"):
        one.tick({"X": 80}, oracle={"X": 60}, executions={"account": ["zoe"]})
    values = [each.tick({"X": 80}).adl_fills["value"].item() for each in (one.copy(), one, other.copy())]
    assert values == [17000, 17000, 14000]


@pytest.mark.parametrize(
    ("oracle", "path", "remedy"),
    [
        ({"Z": 1}, ("oracle", "Z"), "name one of"),
        ({"X": 0}, ("oracle", "X"), "above zero"),
        ({"X": float("nan")}, ("oracle", "X"), "finite"),
        ([1, 2], ("oracle",), "one price for each"),
        ({"X": 2 * 10**16}, ("oracle", "X"), "R1"),
        ({"X": 10**30}, ("oracle", "X"), "R1"),
    ],
)
def test_bad_oracle_prices_are_refused(oracle, path, remedy):
    one = engine()
    state = state_of(one)
    with pytest.raises(InputError, match=remedy) as refusal:
        one.tick({"X": 80}, oracle=oracle)
    assert refusal.value.path == path
    assert state_of(one) == state


def test_an_oracle_price_too_large_for_the_row_it_meets_is_refused():
    """eve's row grew after the price was named: 2^62 atoms at most change hands."""
    positions = "ann X 2 100\ncat X 2 100\nbob X -2 100\neve X -2 100"
    money = {"ann": "90", "cat": "90", "bob": "90", "eve": "70"}
    one = engine(positions, money, policy={"price": "oracle"})
    one.tick({"X": 100}, oracle={"X": 2 * 10**16})
    grow = {"account": ["bob"], "symbol": ["X"], "side": ["short"], "lots": [2], "price": [100]}
    one.tick({"X": 100}, executions={**grow, "counterparty": ["eve"]})
    state = state_of(one)
    with pytest.raises(BoundsError, match="transfer value"):
        one.tick({"X": 120})
    assert state_of(one) == state


SCENARIO = {
    "instruments": [
        {"symbol": "X", "kind": "linear", "contract_size": "1", "lot": "0.1", "tiers": TIERS, "mark": "80"},
        {"symbol": "Y", "kind": "linear", "contract_size": "1", "lot": "1", "tiers": TIERS, "mark": "5"},
    ],
    "accounts": [{"id": "ann", "cash": "100"}, {"id": "bob", "cash": "3"}, {"id": "cy", "cash": "500"}],
    "positions": [
        {"account": "ann", "symbol": "X", "qty": "10", "entry_price": "100"},
        {"account": "bob", "symbol": "X", "qty": "-6", "entry_price": "86"},
        {"account": "cy", "symbol": "X", "qty": "-4", "entry_price": "98"},
    ],
    "currency": {"decimals": 2},
    "policy": {"price": "oracle"},
}  # fmt: skip


def test_a_scenario_names_oracle_prices():
    ticks = [{"marks": {}, "oracle": {"X": "82"}}, {"marks": {}, "oracle": {}}]
    result = Scenario.load({**SCENARIO, "ticks": ticks}).run()
    assert [fill["price"] for fill in result["ticks"][0]["adl_fills"]] == ["82", "82"]
    assert not {"oracle", "refused"} & set(result["ticks"][0])


@pytest.mark.parametrize(
    ("oracle", "where", "told"),
    [
        ({"Z": "1"}, "oracle/Z", "name one of"),
        ({"X": "0"}, "oracle/X", "above zero"),
        ({"X": "-1"}, "oracle/X", "above zero"),
        ({"X": 1.5}, "oracle/X", "text"),
        ({"X": None}, "oracle/X", "text"),
        ({"X": "1e3"}, "oracle/X", "exponent"),
        ({"X": "99999999999999999"}, "oracle/X", "R1"),
        (None, "oracle", "object"),
        (["1"], "oracle", "object"),
    ],
)
def test_bad_oracle_prices_are_refused_before_the_first_tick(oracle, where, told):
    ticks = [{"marks": {}}, {"marks": {}, "oracle": oracle}]
    with pytest.raises(InputError, match=told) as refusal:
        Scenario.load({**SCENARIO, "ticks": ticks})
    assert "/".join(map(str, refusal.value.path)) == f"ticks/1/{where}"


# ---------------------------------------------------------------------- entry


def test_at_entry_the_counterparty_gains_and_loses_nothing():
    """bob's 6 lots cost 599.97 in all: one of them trunc(59997 / 6) = 99.99, the rest 499.98."""
    positions = "ann X 1 100\ncat X 9 100\nbob X -6 99.995\ncy X -4 98"
    money = {"ann": "5", "cat": "45", "bob": "500", "cy": "10"}
    one = engine(positions, money, policy={"price": "entry", "score": "size"})
    before = one.copy()
    report = one.tick({"X": 80})
    assert fills(report, "bankrupt", "value", "realized_pnl") == [
        ("bob", 1, "ann", 9999, 0),
        ("bob", 5, "cat", 49998, 0),
        ("cy", 4, "cat", 39200, 0),
    ]
    assert cash(one) == {**cash(before), "ann": 499, "cat": 4500 + 49998 + 39200 - 90000}
    assert one.check().ok


def test_a_short_row_closes_at_the_entry_of_the_longs():
    one = engine("ann X -3 100\nbob X 5 110", {"ann": "30", "bob": "500"}, policy={"price": "entry"})
    assert fills(one.tick({"X": 120}), "value", "price", "realized_pnl") == [("bob", 3, -33000, 110.0, 0)]
    assert (cash(one)["ann"], one.check().ok) == (3000 - 3000, True)


# ---------------------------------------------------------------------- guards


def test_who_a_guard_spared_is_reported():
    """At 90 a lot costs 10 more than the mark: bob has 39 and gives 3 lots, cy has 20 and gives 1."""
    positions = "ann X 10 100\nbob X -6 80\ncy X -4 80"
    one = engine(positions, {"ann": "100", "bob": "39", "cy": "20"}, policy={"guard": "solvent"})
    report = one.tick({"X": 80})
    assert fills(report) == [("bob", 3, 27000), ("cy", 1, 9000)]
    assert refused(report) == [(who, "ann", "long", 3, "below_zero") for who in ("bob", "cy")]
    assert report.refused["symbol"].to_list() == ["X", "X"]
    assert report.summary["n_refused"].item() == 2
    assert cash(one) == {"ann": 10000 - 4 * 1000, "bob": 900, "cy": 1000}
    assert one.check().ok


def test_without_a_guard_nobody_is_refused():
    assert refused(engine().tick({"X": 80})) == []


@pytest.mark.parametrize(
    ("asked", "equity", "taken", "reason"),
    [
        (4, "24.01", 4, None),
        (3, "24.01", 0, "health"),
        (3, "24.02", 3, None),
        (4, "24", 0, "health"),
        (4, "20", 0, "health"),
        (4, "0.01", 0, "below_zero"),
    ],
)
def test_health_may_not_fall(asked, equity, taken, reason):
    """A lot costs 6; with one tier k of 4 lots go if k/4 of the equity covers 6·k and a cent."""
    positions = f"ann X {asked} 100\ncy X -4 80"
    one = engine(positions, {"ann": str(14 * asked), "cy": equity}, policy={"guard": "health"})
    report = one.tick({"X": 80})
    assert report.adl_fills["lots"].sum() == taken
    assert refused(report) == ([("cy", "ann", "long", asked, reason)] if reason else [])
    assert one.check().ok


@pytest.mark.parametrize(("equity", "taken"), [("25", 4), ("24.01", 4), ("24", 0)])
def test_a_row_that_is_closed_needs_no_margin(equity, taken):
    """A deduction of −5 charges every open row 5: three lots less leave 13 of 37, four leave none."""
    tiers = [{"min_notional": "0", "maintenance_rate": "0.1", "deduction": "-5"}]
    money = {"ann": "56", "cy": equity}
    one = engine("ann X 4 100\ncy X -4 80", money, {"X": {"tiers": tiers}}, policy={"guard": "health"})
    assert one.tick({"X": 80}).adl_fills["lots"].sum() == taken


#: 1 % up to 160, 3 % beyond: the last two of four lots at 80 carry the larger part of the margin
LADDER = [
    {"min_notional": "0", "maintenance_rate": "0.01"},
    {"min_notional": "160", "maintenance_rate": "0.03"},
]


@pytest.mark.parametrize(
    ("money", "equity", "price", "taken", "reason"),
    [
        ("56", "20", 86, 2, "health"),
        ("52", "24", 87, 2, "health"),
        ("52", "24.02", 87, 3, "below_zero"),
        ("52", "30", 87, 4, None),
    ],
)
def test_lots_that_carry_much_margin_may_go_where_others_may_not(money, equity, price, taken, reason):
    """Margin 6.4 falls by 2.4, 2.4, 0.8, 0.8, so 24 may lose 9, 18, 21, 24 less a cent: not 7, 14, 21, 28."""
    one = engine(
        "ann X 4 100\ncy X -4 80", {"ann": money, "cy": equity}, {"X": {"tiers": LADDER}},
        policy={"guard": "health"},
    )  # fmt: skip
    report = one.tick({"X": 80})
    assert fills(report) == [("cy", taken, 100 * taken * price)]
    assert refused(report) == [("cy", "ann", "long", 4 - taken, reason)] * (taken < 4)


def test_without_margin_only_the_last_atom_is_guarded():
    free = {"X": {"tiers": [{"min_notional": "0", "maintenance_rate": "0"}]}}
    one = engine("ann X 4 100\ncy X -4 80", {"ann": "56", "cy": "20"}, free, policy={"guard": "health"})
    report = one.tick({"X": 80})
    assert fills(report) == [("cy", 3, 25800)]
    assert refused(report) == [("cy", "ann", "long", 1, "below_zero")]


def test_the_list_of_the_refused_stands_behind_the_uncovered():
    ticks = [{"marks": {"X": "80"}}]
    policy = {"guard": "health"}
    result = Scenario.load({**SCENARIO, "policy": policy, "ticks": ticks}).run()["ticks"][0]
    assert list(result)[-2:] == ["uncovered", "refused"]
    assert result["refused"] == [
        {"account": "bob", "bankrupt": "ann", "symbol": "X", "side": "long", "qty": "6.0", "reason": "health"}
    ]
    for guard, cut in (("solvent", 1), ("none", 0)):
        scenario = Scenario.load({**SCENARIO, "policy": {"guard": guard}, "ticks": ticks}).start()
        assert list(next(iter(scenario)))[-1] == "uncovered"
        assert len(scenario.frames()["refused"]) == cut


@settings(max_examples=fewer(150), deadline=None)
@given(st.data())
def test_health_is_kept_to_the_lot(data):
    """Against counting: of all k up to what is asked the largest that leaves health where it was."""
    count = data.draw(st.integers(1, 3))
    rates = sorted(data.draw(st.lists(st.integers(0, 30), min_size=count, max_size=count)))
    steps = [
        (Fraction(60 * t * data.draw(st.integers(1, 9))), Fraction(rate, 100)) for t, rate in enumerate(rates)
    ]
    cuts = derived_deductions(steps)
    if data.draw(st.integers(0, 4)) == 0:
        cuts = [Fraction(data.draw(st.integers(-9, 9))) for _ in cuts]
    tiers = tuple(Tier(*step, cut) for step, cut in zip(steps, cuts, strict=True))
    mark = Fraction(data.draw(st.integers(10, 99)))
    listed = [
        Instrument("A", Kind.LINEAR, Fraction(1), Fraction(1), tiers, decimals=0, mark=mark),
        Instrument("B", Kind.LINEAR, Fraction(1), Fraction(1), tiers, decimals=0, mark=Fraction(50)),
    ]
    held, loss, other = (data.draw(st.integers(*ends)) for ends in ((1, 12), (1, 9), (0, 3)))
    asked = data.draw(st.integers(1, held))
    equity = data.draw(
        st.one_of(st.integers(-1, 2 * loss * held), st.integers(loss * held, (loss + 1) * held + 9))
    )
    rows = [(0, -held, -int(held * mark))] + [(1, other, other * 50)] * (other > 0)
    found = case(listed, [(-9, [(0, 12, int(12 * mark))]), (equity, rows)])
    slot = found.rows.account.argsort().astype(np.int32)
    at = [int(expand(found.rows, slot[i : i + 1])[1][0]) for i in (0, 1)]
    twelve = np.array([12], np.int64)
    bankrupt = Bankrupt(
        slot[:1], np.array(at[:1]), twelve, twelve, 12 * (int(mark) + loss) * np.ones(1, np.int64),
        np.ones(1, bool), np.zeros(1, np.int64),
    )  # fmt: skip
    queue = Queue(found, bankrupt, Ranked(slot[1:], np.array(at[1:]), np.array([asked])), mark, guard=SOUND)

    def margin(lots: int) -> Fraction:
        mine = listed[0].maintenance_margin(lots * mark) if lots else Fraction(0)
        return mine + (listed[1].maintenance_margin(Fraction(other * 50)) if other else 0)

    def keeps(k: int) -> bool:
        left = equity - k * loss - 1
        return left >= 0 and left * margin(held) >= equity * margin(held - k)

    most = max((k for k in range(1, asked + 1) if keeps(k)), default=0)
    solvent = max((k for k in range(1, asked + 1) if equity - k * loss >= 1), default=0)
    reason = UNCUT if most == asked else HEALTH if most < solvent else BELOW_ZERO
    assert queue.exactly(0, 0, asked) == (most, reason)
    inputs = queue.side, queue.transfer, True, found.margins, found.marks.exact
    got = allowed(bankrupt, 0, slot[1], at[1], asked, found.rows, *inputs)
    assert got[0] == -1 or got == (most, reason)


# ---------------------------------------------------------------------- severity


def test_a_fraction_of_every_row_is_closed_and_the_rest_stays():
    """⌊0.35 · 7⌋ = 2 and ⌊0.35 · 3⌋ = 1 lots; each row's price is that of the whole row."""
    positions = "ann X 7 100\ncat X 3 100\nbob X -6 100\ncy X -4 98"
    policy = {"severity": "fraction", "fraction": "0.35"}
    one = engine(positions, {"ann": "70", "cat": "33", "bob": "500", "cy": "500"}, policy=policy)
    report = one.tick({"X": 80})
    assert fills(report, "bankrupt", "value") == [("bob", 2, "ann", 18000), ("bob", 1, "cat", 8900)]
    assert lots(one) == {("ann", "X"): 5, ("cat", "X"): 2, ("bob", "X"): -3, ("cy", "X"): -4}
    assert report.uncovered.select("account", "amount").rows() == [("ann", 5000), ("cat", 1800)]
    assert one.check().ok


@pytest.mark.parametrize("rerank", ["never", "each"])
@pytest.mark.parametrize(("fraction", "closed"), [("0", 0), ("0.09", 0), ("0.1", 1), ("0.99", 9), ("1", 10)])
def test_fractions_round_down(fraction, closed, rerank):
    one = engine(policy={"severity": "fraction", "fraction": fraction, "rerank": rerank})
    assert one.tick({"X": 80}).adl_fills["lots"].sum() == closed
    assert one.check().ok


# ---------------------------------------------------------------------- one account by hand

BTC = {"X": {"contract_size": "1", "lot": "0.1", "tiers": TIERS, "mark": "50000"}}


@pytest.mark.parametrize(
    ("liquidated", "offsetting", "after"),
    [
        ("0", "-1", None),
        ("-1", "0", None),
        ("4999", "0", ("0", "4999")),
        ("0", "100000", ("0", "100000")),
        ("4999", "4999", ("0", "9998")),
        ("-1", "100000", ("0", "99999")),
        ("0", "4999", ("0", "4999")),
    ],
)
def test_bankruptcy_prices_must_overlap(liquidated, offsetting, after):
    """dYdX v4, TestProcessDeleveraging: a bitcoin at its bankruptcy price, if the other stays above zero."""
    one = engine(
        "ann X -1 50000\nbob X 1 50000", {"ann": liquidated, "bob": offsetting}, BTC, policy="dydx_v4"
    )
    before = state_of(one)
    report = one.deleverage_account("ann", "X", counterparties=["bob"])
    if after is None:
        assert fills(report) == []
        assert state_of(one) == before
    else:
        assert cash(one) == {"ann": int(after[0]) * 100, "bob": int(after[1]) * 100}
        assert lots(one) == {}
        assert one.check().ok


def test_a_part_is_closed_at_the_price_of_the_whole():
    """dYdX v4, partial fill: a tenth of −1 bitcoin and 54999 pays 5499.90."""
    one = engine("ann X -1 50000\nbob X 1 50000", {"ann": "4999", "bob": "100000"}, BTC, policy="dydx_v4")
    report = one.deleverage_account("ann", "X", lots=1)
    assert fills(report) == [("bob", 1, -549990)]
    assert lots(one) == {("ann", "X"): -9, ("bob", "X"): 9}
    _, accounts, positions = one.book.to_frames()
    quote = accounts["cash_atoms"] - positions["entry_value_atoms"]
    assert quote.to_list() == [4949910, 10000000 - 5000000 + 549990]
    assert one.check().ok


@pytest.mark.parametrize(("rate", "spare"), [("0.1", "800"), ("0.2", "1100")])
def test_spare_equity_is_split_by_maintenance_margin(rate, spare):
    """dYdX v4, two positions: of the 800 to spare five eighths go with the bitcoin, at 50500.

    With twice the margin on the other position it is five elevenths, of 1100.
    """
    tiers = [{"min_notional": "0", "maintenance_rate": rate}]
    one = engine(
        "ann X -1 50000\nann E -10 3000\nbob X 1 50000\ncat E 10 3000",
        {"ann": spare, "bob": "100000", "cat": "0"}, {**BTC, "E": {"tiers": tiers, "mark": "3000"}},
        policy="dydx_v4",
    )  # fmt: skip
    report = one.deleverage_account("ann", "X", side="short", counterparties=["cat", "bob"])
    assert fills(report, "price", "rank") == [("bob", 10, 50500.0, 2)]
    assert cash(one) == {"ann": 100 * int(spare) - 50000, "bob": 10050000, "cat": 0}
    assert lots(one) == {("ann", "E"): -10, ("cat", "E"): 10}
    assert one.check().ok


def test_lots_nobody_takes_stay():
    """dYdX v4, TestOffsetSubaccountPerpetualPosition: the only candidate is below zero."""
    one = engine("ann X -1 50000\nbob X 1 50000", {"ann": "0", "bob": "-1"}, BTC, policy="dydx_v4")
    report = one.deleverage_account("ann", "X")
    assert (fills(report), refused(report), lots(one)["ann", "X"]) == ([], [], -10)


CROWD = """
ann X  10 100
bob X  -3 100
cy  X  -4  98
dee X  -9  97
eve X   6 100
"""
RICH = {"ann": "300", "bob": "500", "cy": "400", "dee": "300", "eve": "900"}
MARKED = {"X": {"mark": "100"}}


def test_counterparties_are_tried_in_the_order_given():
    one = engine(CROWD, RICH, MARKED)
    report = one.deleverage_account("ann", "X", price="mark", counterparties=["dee", "eve", "bob", "cy"])
    assert fills(report, "value", "rank") == [("dee", 9, 90000, 1), ("bob", 1, 10000, 3)]
    ranking = one.rank("X", "short").select("account", "score").rows()
    assert {name for name, _ in ranking} == {"bob", "cy"}
    assert cash(one)["ann"] == 30000
    assert (report.tick, report.time, len(report.uncovered), len(report.liquidations)) == (0, 0, 0, 0)
    assert report.notices["account"].to_list() == ["dee", "bob"]


def test_without_counterparties_the_policy_ranks_and_allocates():
    one = engine(
        CROWD, RICH, MARKED, policy={"score": "size", "allocation": "pro_rata_size", "price": "mark"}
    )
    assert fills(one.deleverage_account("ann", "X", lots=8)) == [
        ("dee", 4, 40000), ("cy", 2, 20000), ("bob", 2, 20000)
    ]  # fmt: skip
    assert one.check().ok


def test_a_solvent_account_gives_up_its_equity_at_its_bankruptcy_price():
    """ann's 300 over 10 lots: she leaves at 70, and each short gains 30 a lot on the mark."""
    one = engine(CROWD, RICH, MARKED)
    report = one.deleverage_account("ann", "X", counterparties=["dee", "bob"])
    assert fills(report, "value", "realized_pnl") == [("dee", 9, 63000, 24300), ("bob", 1, 7000, 3000)]
    assert (cash(one)["ann"], one.check().ok) == (0, True)


@pytest.mark.parametrize(("price", "value"), [("mark", 8000), ("previous_mark", 10000), ("oracle", 7700),
                                              ("entry", 10000), ("mark_capped", 8000)])  # fmt: skip
def test_the_price_may_be_named(price, value):
    one = engine("ann X 1 90\nbob X -1 100", {"ann": "500", "bob": "500"}, MARKED, policy="bitmex")
    one.tick({"X": 80}, oracle={"X": 77})
    value = min(value, 9000 - 50000) if price == "mark_capped" else value
    assert fills(one.deleverage_account("ann", "X", price=price)) == [("bob", 1, value)]
    assert one.check().ok


def test_what_was_closed_beyond_zero_at_another_price_breaks_no_law():
    one = engine(policy={"trigger": "none"})
    one.tick({"X": 80})
    one.deleverage_account("ann", "X", price="mark")
    assert (cash(one)["ann"], one.check().ok) == (-10000, True)


@pytest.mark.parametrize("guard", ["solvent", "health"])
def test_the_guard_holds_by_hand(guard):
    one = engine(
        "ann X 4 100\ncy X -4 80", {"ann": "56", "cy": "20"}, policy={"guard": guard, "trigger": "none"}
    )
    one.tick({"X": 80})
    report = one.deleverage_account("ann", "X", counterparties=["cy"])
    left, reason = (1, "below_zero") if guard == "solvent" else (4, "health")
    assert refused(report) == [("cy", "ann", "long", left, reason)]
    assert report.adl_fills["lots"].sum() == 4 - left


HEDGED = "ann X 5 100\nann X -2 100\nbob X -5 100\ncy X 2 100\nfund X 1 100\ndee Y 1 100\ncy Y -1 100"
PAIR = {"X": {"mark": "100"}, "Y": {"mark": "100"}}
MONEY = {"ann": "300", "bob": "500", "cy": "400", "dee": "300"}


def test_a_hedge_is_closed_leg_by_leg():
    one = engine(HEDGED, MONEY, PAIR)
    assert fills(one.deleverage_account("ann", "X", side="short", price="mark")) == [("cy", 2, -20000)]
    assert lots(one)["ann", "X"] == 5
    assert fills(one.deleverage_account("ann", "X", price="mark")) == [("bob", 5, 50000)]


@pytest.mark.parametrize(
    ("arguments", "path", "remedy"),
    [
        ({"account": "zoe"}, ("account",), "account of the book"),
        ({"account": "fund"}, ("account",), "account of the book"),
        ({"symbol": "Z"}, ("symbol",), "name one of"),
        ({}, ("side",), "holds both"),
        ({"symbol": "Y"}, ("side",), "name a symbol it holds"),
        ({"symbol": "Y", "side": "long"}, ("side",), "name a symbol it holds: X"),
        ({"side": "both"}, ("side",), "long or short"),
        ({"account": "bob", "side": "long"}, ("side",), "holds: short"),
        ({"side": "long", "lots": 6}, ("lots",), "1 to 5"),
        ({"side": "long", "lots": 0}, ("lots",), "1 to 5"),
        ({"side": "long", "lots": 1.0}, ("lots",), "1 to 5"),
        ({"side": "long", "lots": True}, ("lots",), "1 to 5"),
        ({"side": "long", "counterparties": "bob"}, ("counterparties",), "list"),
        ({"side": "long", "counterparties": ["bob", "zoe"]}, ("counterparties", 1), "account of the book"),
        ({"side": "long", "counterparties": ["market"]}, ("counterparties", 0), "account of the book"),
        ({"side": "long", "counterparties": ["bob", "bob"]}, ("counterparties", 1), "once"),
        ({"side": "long", "counterparties": ["ann"]}, ("counterparties", 0), "itself"),
        ({"side": "long", "price": "best"}, ("policy", "price"), "take one of"),
        ({"side": "long", "price": "entry"}, ("policy", "guard"), "R81"),
    ],
)
def test_what_cannot_be_is_refused_by_hand(arguments, path, remedy):
    one = engine(HEDGED, MONEY, PAIR, policy={"guard": "solvent"})
    state = state_of(one)
    with pytest.raises(InputError, match=remedy) as refusal:
        one.deleverage_account(**{"account": "ann", "symbol": "X", **arguments})
    assert refusal.value.path == path
    assert state_of(one) == state


@pytest.mark.parametrize("policy", ["gmx_v2", "deribit", {"trigger": "none", "severity": "fraction"}])
def test_what_is_about_ticks_has_no_say_by_hand(policy):
    one = engine(CROWD, RICH, MARKED, policy=policy)
    assert fills(one.deleverage_account("ann", "X", price="bankruptcy"))[0][2] < 0.71 * 100 * 900
    assert (cash(one)["ann"], one.check().ok) == (0, True)


def test_not_between_takeover_and_the_end_of_a_tick():
    one = engine()
    with pytest.raises(StageError, match="no mark yet"):
        one.deleverage_account("ann", "X")
    one.mark({"X": 80})
    assert one.copy().deleverage_account("ann", "X").adl_fills["lots"].sum() == 10
    one.takeover()
    state = state_of(one)
    with pytest.raises(StageError, match="end it with deleverage"):
        one.deleverage_account("ann", "X")
    assert state_of(one) == state
    assert len(one.deleverage().adl_fills) == 2


def test_a_close_by_hand_within_a_tick_comes_before_the_takeover():
    one = engine()
    one.mark({"X": 80})
    one.deleverage_account("ann", "X", lots=4, counterparties=["cy"])
    report = one.deleverage()
    assert fills(report) == [("bob", 6, 54000)]
    assert (cash(one)["ann"], one.check().ok) == (0, True)


def test_nothing_is_left_half_done(monkeypatch):
    one = engine(CROWD, RICH, MARKED)
    state = state_of(one)
    monkeypatch.setattr(by_hand, "closed_at_zero", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        one.deleverage_account("ann", "X")
    assert state_of(one) == state
