"""The exact model against pencil: triggers, the fund, and socialised losses of section 9 (R87 to R95)."""

import pytest

from model.pencil import BANKRUPT, Raw, fills, play, socialized, takeovers

# ---------------------------------------------------------------------- triggers and the fund


def test_r87_unfilled() -> None:
    """Equity 5, MM 40: the rows go for 800 - 5, first to the fund."""
    tiers = [{"min_notional": "0", "maintenance_rate": "0.05"}]
    rows, cash = "b X 10 100, p X -10 100", "b 205, p 300"
    to_fund = play(rows, cash, [{"X": 80}], tiers=tiers, policy={"trigger": "unfilled"}, fund={"cash": "1"})[
        0
    ]
    assert [(entry["qty"], entry["value"]) for entry in to_fund["takeovers"]] == [("10", "795")]
    assert to_fund["liquidations"][0]["shortfall"] == "0"
    to_trader = play(rows, cash, [{"X": 80}], tiers=tiers, policy={"trigger": "unfilled"})[0]
    assert fills(to_trader) == [("p", 10, 795)]
    assert fills(play(rows, cash, [{"X": 80}], tiers=tiers)[0]) == []


def test_r88_the_fund_rests_until_it_has_recovered() -> None:
    """b costs 100. Then 300, 260 and 240 below the peak of 1000: on at 300, off below 250."""
    rows, cash = f"{BANKRUPT}, c Y 1 100", "b 100, c 30"
    ticks: list[Raw] = [{"X": 80, "Y": 100}, {"X": 60}, {"X": 64, "Y": 64}, {"X": 66}]
    ran = play(rows, cash, ticks, policy={"trigger": "drawdown"}, fund={"cash": "1000"})
    assert [takeovers(tick) for tick in ran] == [[("bX", 10)], [], [], [("cY", 1)]]


def test_r88_lots_left_set_the_switch() -> None:
    """Of ten lots at a loss of 70, four fit into 300; after that 280 are gone and the fund rests."""
    rows, cash = "b X 10 100, c Y 1 100", "b -500, c 30"
    ticks: list[Raw] = [{"X": 80, "Y": 100}, {"Y": 60}]
    for start, after in (("0.3", []), ("0.8", [("cY", 1)])):
        policy = {"trigger": "drawdown", "drawdown_start": start}
        ran = play(rows, cash, ticks, policy=policy, fund={"cash": "1000"})
        assert takeovers(ran[0]) == [("bX", 4 if start == "0.3" else 10)]
        assert takeovers(ran[1]) == after


def test_r88_limits_of_the_fund_leave_the_switch_alone() -> None:
    """The limit lets four lots in; the rest is closed at mark, and the fund pays that debt of 60."""
    fund: Raw = {"cash": "1000", "limits": {"X": {"max_loss": "45"}}}
    policy = {"trigger": "drawdown", "price": "mark"}
    for more, paid in (({}, ["60"]), ({"drawdown_start": "0.08"}, [])):  # 80 is too little for ten lots
        tick = play(f"{BANKRUPT}, p X -10 100", "b 100, p 0", [{"X": 80}], policy=policy | more, fund=fund)[0]
        assert takeovers(tick) == [("bX", 4)]
        assert [entry["amount"] for entry in tick["fund_payments"]] == paid


def test_r88_mean_and_amount() -> None:
    """Equity 1000, then 700: of the mean of 850 a drawdown of 255 is allowed; of the peak none is left."""
    rows, cash = "fund X 10 100, b Y 20 100", "b 200"
    ticks: list[Raw] = [{"X": 100, "Y": 100}, {"X": 70, "Y": 80}]
    for more, lots in (
        ({"drawdown_reference": "mean"}, [("bY", 10)]),
        ({}, []),
        ({"drawdown_amount": "350"}, [("bY", 5)]),
    ):
        ran = play(rows, cash, ticks, policy={"trigger": "drawdown"} | more, fund={"cash": "1000"})
        assert takeovers(ran[1]) == lots


def test_r88_by_symbol() -> None:
    """The fund is 250 down in X, where 50 are left of 300, and not at all in Y."""
    rows, cash = "fund X 10 100, b X 20 95, c Y 40 100", "b 200, c 400"
    ticks: list[Raw] = [{"X": 100, "Y": 100}, {"X": 75, "Y": 80}]
    policy = {"trigger": "drawdown", "drawdown_scope": "symbol"}
    ran = play(rows, cash, ticks, policy=policy, fund={"cash": "1000"})
    assert takeovers(ran[1]) == [("bX", 5), ("cY", 30)]


def test_r89_limits() -> None:
    rows, cash = "b X 20 100", "b 200"
    fund: Raw = {"cash": "1000", "limits": {"X": {"max_loss": "45"}}}
    assert takeovers(play(rows, cash, [{"X": 80}], fund=fund)[0]) == [("bX", 4)]
    days = [{"marks": {"X": 80}, "time": time} for time in (0, 86399, 86400)]
    for limit in ({"daily_share": "0.1"}, {"limits": {"X": {"daily_share": "0.1"}}}):
        ran = play(rows, cash, days, fund={"cash": "1000"} | limit)  # 100 of 1000, then 90 of 900
        assert [takeovers(tick) for tick in ran] == [[("bX", 10)], [], [("bX", 9)]]


def test_r89_a_debt_paid_counts_for_the_fund_alone() -> None:
    book_depth = {"model": "fixed", "depth": {"X": "10"}}
    for limit, paid in (
        ({"daily_share": "0.05"}, ["50"]),
        ({"limits": {"X": {"daily_share": "0"}}}, ["100"]),
    ):
        ran = play(BANKRUPT, "b 100", [{"X": 80}], fund={"cash": "1000"} | limit, liquidity=book_depth)
        assert [entry["amount"] for entry in ran[0]["fund_payments"]] == paid


@pytest.mark.parametrize(
    ("fund", "pool_min", "lots"),
    [
        ("1000", "0.4", 4),  # 600 - 60k <= 0.5 * (1000 - 60k) from k = 4 on
        ("1000", "0.48", 3),  # 360 would be less than 0.48 * 760
        ("100", "0", 10),  # the pool is empty first
        ("1200", "0", 0),
    ],
)
def test_r90_pool_profit(fund: str, pool_min: str, lots: int) -> None:
    rows, cash = "fund X -10 100, p X 10 100", "p 0"
    policy = {"trigger": "pool_profit", "pool_min": pool_min, "price": "mark"}
    tick = play(rows, cash, [{"X": 160}], policy=policy, fund={"cash": fund})[0]
    assert [
        (fill["bankrupt"], fill["counterparty"], fill["side"], fill["qty"], fill["value"])
        for fill in tick["adl_fills"]
    ] == ([("fund", "p", "short", str(lots), str(-160 * lots))] if lots else [])
    for fill in tick["adl_fills"]:
        assert (fill["realized_pnl"], fill["bankrupt_realized_pnl"]) == (str(60 * lots), str(-60 * lots))


def test_r90_a_pool_that_owes_more_than_it_has_closes_every_winner() -> None:
    """300 owed in all, 600 to p: after 7 of 10 lots it is -120 of -220, which is no better."""
    policy = {"trigger": "pool_profit", "price": "mark"}
    tick = play("p X 10 100, q X 10 190", "p 0, q 500", [{"X": 160}], policy=policy, fund={"cash": "200"})[0]
    assert [(fill["counterparty"], fill["qty"]) for fill in tick["adl_fills"]] == [("p", "10")]


# ---------------------------------------------------------------------- socialised losses

WEALTH = {"space": "wealth"}
WINNERS = "b X 10 100, p X -1 110, q X -1 100, r X -1 100"  # at 80: b owes 50, they have won 30, 20, 20
MONEY = "b 150, p 100, q 100, r 100"


def test_r91_a_fraction_of_the_lots() -> None:
    policy = {"severity": "fraction", "fraction": "0.25"}
    tick = play(f"{BANKRUPT}, p X -10 100", "b 100, p 0", [{"X": 80}], policy=policy)[0]
    assert fills(tick) == [("p", 2, 180)]
    assert tick["uncovered"] == [
        {"account": "b", "amount": "80", "open": [{"symbol": "X", "side": "long", "qty": "8"}]}
    ]


@pytest.mark.parametrize(
    ("severity", "charged"),
    [({"severity": "matched"}, 60), ({}, 100), ({"severity": "fraction", "fraction": "0.255"}, 25)],
)
def test_r91_matched_to_what_winners_have(severity: Raw, charged: int) -> None:
    """p has won 120, but has 60."""
    policy = WEALTH | {"socialization": "profit_floor"} | severity
    tick = play(f"{BANKRUPT}, p X -6 100", "b 100, p -60", [{"X": 80}], policy=policy)[0]
    assert socialized(tick) == {"b": charged, "p": -charged}


def test_r91_slippage_is_not_charged() -> None:
    """Five lots go at 72 instead of 80: of the debt of 140, 100 was there when the loss was seen."""
    liquidity = {"model": "fixed", "depth": {"X": "5"}, "slippage": "0.1"}
    for severity, charged in (("trigger_loss", 100), ("full", 140)):
        policy = WEALTH | {"severity": severity}
        tick = play(f"{BANKRUPT}, p X -9 100", "b 100, p 0", [{"X": 80}], policy=policy, liquidity=liquidity)[
            0
        ]
        assert socialized(tick) == {"b": charged, "p": -charged}


@pytest.mark.parametrize(
    ("socialization", "expected"),
    [
        ("profit", {"b": 50, "p": -22, "q": -14, "r": -14}),  # 21.43, 14.29, 14.29
        ("profit_floor", {"b": 50, "p": -22, "q": -15, "r": -13}),  # they keep 8, 5, 5, and r the odd 2
        ("haircut", {"b": 50, "fund": 2, "p": -22, "q": -15, "r": -15}),
        ("open_interest", {"b": 50, "fund": 1, "p": -17, "q": -17, "r": -17}),
    ],
)
def test_r93_floors(socialization: str, expected: dict[str, int]) -> None:
    policy = WEALTH | {"socialization": socialization}
    assert socialized(play(WINNERS, MONEY, [{"X": 80}], policy=policy)[0]) == expected


def test_r94_both_sides_or_one() -> None:
    """50 over 7 lots moves the index by 7.142857143, so that four lots pay 28.571428572."""
    for socialization, expected in (
        ("open_interest", {"b": 50, "fund": 3, "p": -8, "q": -8, "r": -8, "s": -29}),
        ("opposite_side", {"b": 50, "fund": 1, "p": -17, "q": -17, "r": -17}),
    ):
        policy = WEALTH | {"socialization": socialization}
        assert (
            socialized(play(f"{WINNERS}, s X 4 80", f"{MONEY}, s 9", [{"X": 80}], policy=policy)[0])
            == expected
        )


def test_r94_a_symbol_without_holders_is_not_charged() -> None:
    """A debt of 50 on rows of 800 and 200; nobody else holds Y."""
    policy = WEALTH | {"socialization": "open_interest"}
    tick = play("b X 10 100, b Y 2 100, p X -4 80", "b 150, p 9", [{"X": 80, "Y": 100}], policy=policy)[0]
    assert socialized(tick) == {"b": 40, "p": -40}
    assert tick["uncovered"][0]["amount"] == "10"


def test_r95_winners_of_the_session() -> None:
    """From 90, the last mark of the session before, to 80 each has won 10."""
    policy = WEALTH | {"socialization": "session_profit", "session": 100}
    ticks = [{"marks": {"X": mark}, "time": time} for mark, time in ((100, 0), (90, 50), (80, 100))]
    assert socialized(play(WINNERS, MONEY, ticks, policy=policy)[2]) == {
        "b": 30,
        "p": -10,
        "q": -10,
        "r": -10,
    }
    ticks[2]["time"] = 99
    assert socialized(play(WINNERS, MONEY, ticks, policy=policy)[2]) == {
        "b": 50,
        "p": -17,
        "q": -17,
        "r": -16,
    }


def test_r95_clawback_when_the_next_session_begins() -> None:
    policy = WEALTH | {"socialization": "clawback", "session": 100}
    ticks = [
        {"marks": {"X": mark}, "time": time} for mark, time in ((100, 0), (80, 50), (85, 100), (85, 101))
    ]
    ran = play(WINNERS, MONEY, ticks, policy=policy)
    assert [tick["uncovered"] != [] for tick in ran] == [False, True, False, False]
    assert [socialized(tick) for tick in ran] == [{}, {}, {"b": 50, "p": -17, "q": -17, "r": -16}, {}]
