"""Loss socialisation in wealth space (rules R91 to R95), with numbers worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import engines
import fastadl as fa
from fastadl.engine.collective import alone
from fastadl.engine.socialize import winners
from fastadl.policy import SideIndex, index_delta

ATOMS = {"X": {"decimals": 0}}
FAMILIES = (
    "profit",
    "profit_floor",
    "haircut",
    "open_interest",
    "opposite_side",
    "session_profit",
    "clawback",
)
SEVERITIES = ({"severity": "full"}, {"severity": "matched"}, {"severity": "fraction", "fraction": "0.3"})


def engine(
    positions: str, cash: dict[str, Any], socialization: str, *, listed: Any = ATOMS, **other: Any
) -> fa.Engine:
    """Whole atoms, and shortfalls shared by notional, so that no margin matters."""
    fund, liquidity = other.pop("fund", "0"), other.pop("liquidity", None)
    columns = {name: other.pop(name) for name in ("currency",) if name in other}
    book = engines.book(positions, cash={name: str(c) for name, c in cash.items()}, listed=listed, **columns)
    policy = {"space": "wealth", "socialization": socialization, "split": "notional", **other}
    return fa.Engine(book, policy=policy, fund=fund, liquidity=liquidity)


def moved(report: fa.Report) -> dict[str, int]:
    """The list `socialized`, which adds up to 0 and stands by id."""
    lines = [*report.socialized.iter_rows()]
    assert sum(amount for _, amount, _ in lines) == 0
    assert [name for name, *_ in lines] == sorted(name for name, *_ in lines)
    return {name: amount for name, amount, _ in lines}


def uncovered(report: fa.Report) -> dict[str, int]:
    return dict(report.uncovered.select("account", "amount").iter_rows())


# ---------------------------------------------------------------------- floors (rule R93)

#: Vega, core/integration/features (commit a50750c): position, balance, and what the winners receive of their
#: profit. The number before a winner's name is his place among them, as the rest goes to the last.
VEGA = {
    "0002-STTL case 2": (
        100, 180, 0,
        {"party1": (-100, 2500), "2party2": (25, 10_000), "3party3": (75, 10_000), "aux1": (-1, 10**8),
         "1aux2": (1, 10**8)},
        {"2party2": 638, "3party3": 1917},
    ),
    "0002-STTL case 3": (
        100, 180, 0,
        {"party1": (-30, 2000), "1party2": (90, 10_000), "party3": (-70, 3000), "3party4": (10, 10_000),
         "2party5": (10, 10**8), "party6": (-10, 10**8)},
        {"1party2": 4745, "3party4": 528},
    ),
    # upstream rounds the ratio first and gives the last winner 1709; 1916 · 3416/3832 is 1708 exactly
    "0002-STTL at expiry": (
        1000, 42, 500,
        {"2party1": (-2, 10_000), "party2": (2, 1000), "aux1": (2, 10**6), "1aux2": (-2, 10**6)},
        {"1aux2": 1708, "2party1": 1708},
    ),
    "0012-POSR-011": (
        150, 145, 120,
        {"network": (250, 0), "1sellSideProvider": (-250, 10**12), "2aux": (-1, 10**12), "aux2": (1, 10**12)},
        {"1sellSideProvider": 124, "2aux": 1},
    ),
}  # fmt: skip


def vega(case: str, socialization: str) -> tuple[fa.Report, dict[str, int], fa.Engine]:
    """The tick of a case, and what each account receives or pays of its profit in it."""
    entry, mark, fund, accounts, _ = VEGA[case]
    lines = "\n".join(f"{name} X {lots} {entry}" for name, (lots, _) in accounts.items())
    cash = {name: balance for name, (_, balance) in accounts.items()}
    one = engine(lines, cash, socialization, fund=str(fund))
    report = one.tick({"X": mark})
    assert one.check().ok
    equity = dict(zip(one.accounts, one.equity().tolist(), strict=True))
    return report, {name: equity[name] - cash[name] for name in cash}, one


@pytest.mark.parametrize("case", VEGA)
def test_floors_give_what_vega_gives(case: str) -> None:
    report, received, one = vega(case, "profit_floor")
    assert {name: received[name] for name in VEGA[case][4]} == VEGA[case][4]
    assert "fund" not in moved(report)
    assert len(report.uncovered) == 0
    assert one.reserves()["equity"][0] == 0


def test_what_floors_leave_goes_to_the_fund_with_a_haircut() -> None:
    report, received, one = vega("0002-STTL case 2", "haircut")
    assert (received["2party2"], received["3party3"], received["1aux2"]) == (638, 1915, 25)
    assert moved(report)["fund"] == 2
    assert one.reserves()["cash"][0] == 2


def test_the_last_payer_may_gain_by_the_floors() -> None:
    # W = 11, B = 1: kept ⌊50/11⌋ = 4, 4 and ⌊10/11⌋ = 0; of the 10 to be kept 2 are left for c
    book = "a X 5 10\nb X 5 10\nc X 1 10\nz X -11 10"
    one = engine(book, {"a": 9, "b": 9, "c": 9, "z": 10}, "profit_floor")
    assert moved(one.tick({"X": 11})) == {"a": -1, "b": -1, "c": 1, "z": 1}


def test_floors_take_whole_profits_where_the_debt_is_larger_and_ask_no_equity() -> None:
    # b's profit of 4 is charged although b's equity is 0
    one = engine("a X 6 10\nb X 4 10\nz X -20 10", {"a": 0, "b": -4, "z": 5}, "profit_floor")
    report = one.tick({"X": 11})
    assert moved(report) == {"a": -6, "b": -4, "z": 10}
    assert uncovered(report) == {"z": 5}


def test_floors_are_exact_beyond_64_bits() -> None:
    weight = np.array([(1 << 62) - 5, (1 << 62) - 7, 3 << 60], np.int64)
    total, part = sum(weight.tolist()), (1 << 61) + 1
    standing = winners.Standing(np.arange(3), np.zeros(3, np.int16), np.arange(3), weight, weight)
    charged = alone(winners.charge_floored(standing, True, 0, total - part))
    assert charged.amount.tolist() == [int(w) - int(w) * part // total for w in weight]
    assert charged.covered == total - part


# ---------------------------------------------------------------------- index (rule R94)


def test_both_sides_pay_half_as_on_drift() -> None:
    # a loss of 100.00 over 5 long and 5 short: 10 a lot, whoever wins
    book = "a X 5 100\nb X -5 100\nz X 4 100"
    one = engine(book, {"a": 1000, "b": 1000, "z": 100}, "open_interest", listed={"X": {}})
    assert moved(one.tick({"X": 50})) == {"a": -50_00, "b": -50_00, "z": 100_00}


def test_index_rounds_up_and_the_fund_keeps_the_rest() -> None:
    # 7 over 3 short lots: δ = 2.333333334; one lot pays 3, two pay 5, and 1 is left
    book = "a X -1 10\nb X -2 10\nl X 9 10\nz X 7 10"
    one = engine(book, {"a": 9, "b": 9, "l": 99, "z": 7}, "opposite_side")
    assert moved(one.tick({"X": 8})) == {"a": -3, "b": -5, "fund": 1, "z": 7}


def test_index_charges_without_a_cap() -> None:
    # both sides: 7 over 12 lots is 0.583333334 a lot; l has no profit and b pays more than it has
    book = "a X -1 10\nb X -2 10\nl X 9 10\nz X 7 10"
    one = engine(book, {"a": 9, "b": -3, "l": 99, "z": 7}, "open_interest")
    report = one.tick({"X": 8})
    assert len(report.uncovered) == 0
    assert moved(report) == {"a": -1, "b": -2, "fund": 2, "l": -6, "z": 7}
    assert one.equity()[1] == -1


def test_index_charges_more_than_int64_holds_in_nano_atoms() -> None:
    # 2^40 atoms a lot are 2^70 nano-atoms
    loss = 1 << 40
    book = f"a X -3 {loss}\nz X 3 {loss}"
    one = engine(book, {"a": 0, "z": 0}, "opposite_side")
    price = loss >> 1
    assert moved(one.tick({"X": price})) == {"a": -3 * price, "z": 3 * price}


TWO = {"X": {"decimals": 0}, "Y": {"decimals": 0}}


def test_a_debt_is_shared_over_the_rows_taken_at_mark_by_value() -> None:
    # debt 10, rows worth 20 and 10: 6⅔ and 3⅓, so 7 on X and 3 on Y; Y has nobody on the other side
    book = "a X -2 10\nz X 2 20\nz Y 1 20"
    one = engine(book, {"a": 99, "z": 20}, "opposite_side", listed=TWO)
    report = one.tick({"X": 10, "Y": 10})
    assert moved(report) == {"a": -7, "z": 7}
    assert uncovered(report) == {"z": 3}


def test_equal_remainders_go_to_the_first_symbol() -> None:
    # a debt of 1 over two rows of equal value, whatever the order of the instruments
    book = "a X -1 10\nc Y 1 10\nz Y -1 5\nz X 1 15"
    listed = {"Y": {"decimals": 0}, "X": {"decimals": 0}}
    one = engine(book, {"a": 99, "c": 99, "z": 9}, "opposite_side", listed=listed)
    assert moved(one.tick({"X": 10, "Y": 10})) == {"a": -1, "z": 1}


def test_a_debt_without_rows_taken_at_mark_is_not_socialised() -> None:
    # the order book closes y whole, and one of z's two lots
    book = "a X -1 10\ny X -1 20\nz X 2 20"
    liquidity = {"model": "fixed", "depth": {"X": "1"}}
    one = engine(book, {"a": 99, "y": -15, "z": 5}, "opposite_side", liquidity=liquidity)
    report = one.tick({"X": 10})
    assert moved(report) == {"a": -15, "z": 15}
    assert uncovered(report) == {"y": 5}


def test_debts_are_shared_exactly_beyond_64_bits() -> None:
    # four rows worth 2^61 each: a debt of 5 is 2 on A and 1 on each of the others
    listed = {name: {"decimals": 0} for name in "ABCD"}
    held = [("a", -1, "AB"), ("b", 1, "CD"), ("z", 1 << 50, "AB"), ("z", -(1 << 50), "CD")]
    lines = [f"{name} {symbol} {lots} 1" for name, lots, symbols in held for symbol in symbols]
    one = engine("\n".join(lines), {"a": 10**6, "b": 10**6, "z": -5}, "opposite_side", listed=listed)
    assert moved(one.tick(dict.fromkeys("ABCD", 2048))) == {"a": -3, "b": -2, "z": 5}
    assert one.check().ok


# ---------------------------------------------------------------------- severity (rule R91)

SLIPPING = {"model": "fixed", "depth": {"X": "4"}, "slippage": "0.5"}


def test_trigger_loss_leaves_out_what_close_out_lost_beyond_the_mark() -> None:
    # z falls to −10 at mark; four of its five lots are sold at 4 instead of 8, which loses 16 more
    book = "a X -5 10\nz X 5 10"
    one = engine(book, {"a": 99, "z": 0}, "profit", liquidity=SLIPPING, severity="trigger_loss")
    report = one.tick({"X": 8})
    assert moved(report) == {"a": -10, "z": 10}
    assert uncovered(report) == {"z": 16}


def test_trigger_loss_pays_each_up_to_its_own_part() -> None:
    # y is detected at −2 and loses 4 more, z at −1 and loses 12 more
    book = "a X -9 10\ny X 1 10\nz X 4 10"
    one = engine(book, {"a": 99, "y": 0, "z": 7}, "profit", liquidity=SLIPPING, severity="trigger_loss")
    report = one.tick({"X": 8})
    assert moved(report) == {"a": -3, "y": 2, "z": 1}
    assert uncovered(report) == {"y": 4, "z": 12}


def test_matched_charges_no_more_than_winners_could_pay() -> None:
    # debt 20; a has a profit of 10 and an equity of 4: B = 4 over 10 lots of both sides
    book = "a X -5 10\nb X 5 8\nz X 20 9"
    one = engine(book, {"a": -6, "b": 50, "z": 0}, "open_interest", severity="matched")
    report = one.tick({"X": 8})
    assert moved(report) == {"a": -2, "b": -2, "z": 4}
    assert uncovered(report) == {"z": 16}


@pytest.mark.parametrize(("fraction", "charged"), [("0", 0), ("0.34", 6), ("0.5", 10), ("1", 20)])
def test_fraction_charges_its_floor(fraction: str, charged: int) -> None:
    book = "a X -20 10\nz X 20 9"
    one = engine(book, {"a": 99, "z": 0}, "profit", severity="fraction", fraction=fraction)
    report = one.tick({"X": 8})
    assert moved(report) == ({"a": -charged, "z": charged} if charged else {})
    assert sum(uncovered(report).values()) == 20 - charged


def test_fractions_of_an_index_are_shared_by_the_parts_of_the_debts() -> None:
    # debt 30, 20 on X and 10 on Y; ⌊0.25 · 30⌋ = 7 is 4⅔ and 2⅓: 5 on X, 2 on Y
    book = "a X -1 20\nb Y -1 20\nz X 2 20\nz Y 1 20"
    one = engine(
        book, {"a": 99, "b": 99, "z": 0}, "opposite_side", listed=TWO, severity="fraction", fraction="0.25"
    )
    report = one.tick({"X": 10, "Y": 10})
    assert moved(report) == {"a": -5, "b": -2, "z": 7}
    assert uncovered(report) == {"z": 23}


def test_equal_shares_of_an_index_go_to_the_first_symbol() -> None:
    # ⌊0.25 · 20⌋ = 5 over debts of 10 on X and on Y, whatever the order of the instruments
    book = "a X -1 20\nb Y -1 20\nz X 1 20\nz Y 1 20"
    listed = {"Y": {"decimals": 0}, "X": {"decimals": 0}}
    cash = {"a": 99, "b": 99, "z": 0}
    one = engine(book, cash, "opposite_side", listed=listed, severity="fraction", fraction="0.25")
    assert moved(one.tick({"X": 10, "Y": 10})) == {"a": -3, "b": -2, "z": 5}


def test_trigger_loss_is_refused_with_clawback() -> None:
    with pytest.raises(fa.PolicyError, match="R91"):
        fa.AdlPolicy.of({"space": "wealth", "socialization": "clawback", "severity": "trigger_loss"})


# ---------------------------------------------------------------------- sessions (rule R95)


def deribit(socialization: str = "session_profit") -> fa.Engine:
    """w has won since entry, v only today; z falls to −30 at 13 in the second session."""
    book = "v X -3 10\nw Y -5 20\nz X 10 10"
    cash = {"v": 100, "w": 100, "z": 0}
    return engine(book, cash, socialization, listed=TWO, session=100)


def test_winners_of_the_session_pay() -> None:
    one = deribit()
    one.tick({"X": 10, "Y": 10}, time=50)
    # w won 50 in the first session and 5 in this one, v won 9: B = 14 of the debt of 30
    report = one.tick({"X": 7, "Y": 9}, time=100)
    assert moved(report) == {"v": -9, "w": -5, "z": 14}
    assert uncovered(report) == {"z": 16}


def test_the_session_opens_at_the_marks_before_its_first_tick() -> None:
    one = deribit()
    one.tick({"X": 10, "Y": 10}, time=0)
    one.tick({"X": 10, "Y": 6}, time=250)  # won in the session of 200 already: 20
    report = one.tick({"X": 9, "Y": 5}, time=299)
    # w has won 25 and v 3: the debt of 10 is shared 25 : 3, 8.93 and 1.07
    assert moved(report) == {"v": -1, "w": -9, "z": 10}


def test_the_first_session_opens_at_the_first_marks() -> None:
    # the book brings no marks, so nothing has been won at the first tick, whatever the entries
    assert uncovered(deribit().tick({"X": 9, "Y": 9})) == {"z": 10}
    # and if it does, what was won since them counts: v has 3, w 0
    listed = {"X": {"decimals": 0, "mark": "10"}, "Y": {"decimals": 0, "mark": "9"}}
    one = engine("v X -3 10\nw Y -5 20\nz X 10 10", {"v": 9, "w": 9, "z": 0}, "session_profit", listed=listed)
    assert moved(one.tick({"X": 9})) == {"v": -3, "z": 3}


def clawed() -> fa.Engine:
    """z owes 30 after a tick of the first session, in which v won 9 and w 15."""
    one = deribit("clawback")
    one.tick({"X": 10, "Y": 10}, time=0)
    report = one.tick({"X": 7, "Y": 7}, time=1)
    assert moved(report) == {}
    assert uncovered(report) == {"z": 30}
    return one


def test_clawback_charges_when_the_session_has_ended() -> None:
    one = clawed()
    assert moved(one.tick({"X": 1, "Y": 1}, time=99)) == {}
    # at the marks before, v had won 3 · 9 and w 5 · 9; what the new mark brings does not count
    report = one.tick({"X": 5, "Y": 7}, time=130)
    assert moved(report) == {"v": -11, "w": -19, "z": 30}
    assert len(report.liquidations) == 0
    assert one.check().ok
    assert moved(one.tick({}, time=131)) == {}


def test_clawback_takes_no_more_than_equity_now() -> None:
    one = clawed()
    # v won 9 and w 15; v has 100 − 96 left, so all of 4 and 15
    report = one.tick({"X": 42, "Y": 7}, time=100)
    assert moved(report) == {"v": -4, "w": -15, "z": 19}
    assert engines.cash(one)["z"] == -11
    assert moved(one.tick({"X": 7}, time=199)) == {}


def test_clawback_pays_by_id_all_debts_of_accounts_without_rows() -> None:
    # y came with a debt, x owes but holds a row
    book = "v X -3 10\nx X 1 5\nz X 10 10"
    one = engine(book, {"v": 100, "x": -3, "y": -8, "z": 0}, "clawback", session=10)
    one.tick({"X": 14}, time=0)
    one.tick({"X": 9}, time=1)
    report = one.tick({"X": 14}, time=10)
    assert moved(report) == {"v": -15, "y": 8, "z": 7}
    assert engines.cash(one)["x"] == -3


def test_the_memory_of_sessions_is_undone_and_copied() -> None:
    one = clawed()
    before = engines.state_of(one)
    unknown = {"account": ["?"], "symbol": ["X"], "side": ["short"], "lots": [1], "price": ["7"]}
    with pytest.raises(fa.InputError):
        one.tick({}, time=100, executions=unknown)
    assert engines.state_of(one) == before
    assert moved(one.tick({}, time=99)) == {}
    two = one.copy()
    for each in (one, two):
        assert moved(each.tick({}, time=100)) == {"v": -9, "w": -15, "z": 24}


def test_the_memory_of_sessions_outlives_a_new_layout() -> None:
    one = clawed()
    opened = {"account": ["v"], "symbol": ["X"], "side": ["short"], "lots": [1], "price": ["7"]}
    one.tick({"X": 7}, time=2, executions={**opened, "counterparty": ["w"]})
    assert engines.lots(one)["w", "X"] == -1
    assert moved(one.tick({}, time=100)) == {"v": -9, "w": -15, "z": 24}


def test_debts_of_a_session_are_charged_in_the_first_tick_that_ends() -> None:
    one = clawed()
    one.mark({}, time=100)
    one.mark({}, time=101)
    for each in (one.copy(), one):
        assert moved(each.deleverage()) == {"v": -9, "w": -15, "z": 24}


# ---------------------------------------------------------------------- side index


@pytest.mark.parametrize(
    ("quantity", "multiplier", "deficit", "closed", "fund", "expected"),
    [  # percolator-09 to -12: paid by the fund, ΔK, A′, what is open
        (10_000_000, 10**15, 1000, 4_000_000, 0, (0, -(10**17), 6 * 10**14, 6_000_000)),
        (10_000_000, 10**15, 1000, 4_000_000, 300, (300, -7 * 10**16, 6 * 10**14, 6_000_000)),
        (3_000_000, 10**15, 7, 1_000_000, 0, (0, -2333333333333334, 666666666666666, 2_000_000)),
        (7_000_000, 6 * 10**14, 1, 2_000_000, 0, (0, -85714285714286, 428571428571428, 5_000_000)),
    ],
)
def test_side_index_moves_as_on_percolator(
    quantity: int, multiplier: int, deficit: int, closed: int, fund: int, expected: tuple[int, ...]
) -> None:
    after, paid = SideIndex(quantity, multiplier).absorb(deficit, closed=closed, fund=fund)
    assert (paid, after.index, after.multiplier, after.quantity) == expected


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 10**9), min_size=1, max_size=5),
    st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), max_size=4),
    st.data(),
)
def test_lazy_positions_pay_at_least_the_deficit(
    held: list[int], events: list[tuple[int, int]], data: st.DataObject
) -> None:
    side = SideIndex(sum(held))
    stakes = [side.stake(quantity) for quantity in held]
    total = 0
    for deficit, closed in events:
        if side.quantity == 0:
            break
        side, _ = side.absorb(deficit, closed=min(closed, side.quantity))
        total += deficit
    settled = [side.settled(stake) for stake in stakes]
    assert -sum(profit for _, profit in settled) >= total
    assert sum(quantity for quantity, _ in settled) <= side.quantity


def test_side_index_refuses_what_nobody_bears() -> None:
    for wrong in (
        lambda: SideIndex(-1),
        lambda: SideIndex(1, 0),
        lambda: SideIndex(0, 0).stake(1),
        lambda: SideIndex(5).absorb(-1),
        lambda: SideIndex(5).absorb(0, closed=-1),
        lambda: SideIndex(5).absorb(1, closed=6),
        lambda: SideIndex(0).absorb(1),
        lambda: SideIndex(1.5),
        lambda: SideIndex("10"),
        lambda: SideIndex(10).absorb(1.5),
        lambda: SideIndex(10).stake(-5),
        lambda: index_delta(-1, 1, 1),
    ):
        with pytest.raises(fa.InputError):
            wrong()
    assert SideIndex(0).absorb(5, fund=9) == (SideIndex(0), 5)
    assert SideIndex(5).absorb(5, fund=-9) == SideIndex(5).absorb(5)


def test_a_side_is_closed_where_nothing_is_left_of_its_positions() -> None:
    side = SideIndex(3_000_000, 1)
    stake = side.stake(3_000_000)
    closed, _ = side.absorb(9, closed=1)  # ⌊1 · 2999999/3000000⌋ = 0
    assert (closed.quantity, closed.multiplier) == (0, 0)
    assert closed.settled(stake) == (0, -9)
    with pytest.raises(fa.InputError):
        closed.absorb(1)


# ---------------------------------------------------------------------- every family


def test_currencies_are_charged_apart_and_the_fund_has_an_entry_in_each() -> None:
    # ⌊0.16667 · 300⌋ = 50 over 3 lots, ⌊0.16667 · 699999999⌋ = 116668999 over 7: one more is charged in each
    listed = {"X": {}, "B": {"currency": "BTC"}}
    book = "a X -3 10\nz X 3 10\ng B -7 10\ny B 7 10"
    cash = {"a": "9", "z": "0", "g": "9", "y": "0.00000001"}
    one = engine(
        book,
        cash,
        "opposite_side",
        listed=listed,
        currency=["USD", "USD", "BTC", "BTC"],
        severity="fraction",
        fraction="0.16667",
        fund={"USD": "0", "BTC": "0"},
    )
    report = one.tick({"X": 9, "B": 9})
    assert [*report.socialized.iter_rows()] == [
        ("a", -51, "USD"),
        ("fund", 1, "BTC"),
        ("fund", 1, "USD"),
        ("g", -116669000, "BTC"),
        ("y", 116668999, "BTC"),
        ("z", 50, "USD"),
    ]
    assert report.summary["n_socialized"].to_list() == [3, 3]
    assert one.check().ok


@pytest.mark.parametrize("severity", SEVERITIES, ids=lambda choice: choice["severity"])
@pytest.mark.parametrize("socialization", FAMILIES)
def test_laws_hold(socialization: str, severity: dict[str, str]) -> None:
    choices: dict[str, Any] = {"space": "wealth", "socialization": socialization, **severity}
    if socialization in ("session_profit", "clawback"):
        choices["session"] = 10
    book = fa.synth.book("pareto", positions=120, accounts=50, instruments=3, seed=3)
    one = fa.Engine(book, policy=choices, fund="10")
    marks, entries = one.marks, 0
    for time, change in ((0, 1.0), (5, 0.8), (10, 1.3), (20, 1.25)):
        before = one.copy()
        report = one.tick(marks * change, time=time)
        fa.testing.check_invariants(before, report, one)
        assert one.check().ok
        moved(report)
        entries += len(report.socialized)
    assert entries
