"""The exact model against pencil: choices, ranking, allocations, prices and guards (R80 to R86)."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.allocation import quotas
from model.book import Tier
from model.margin import AccountFloats, RowFloats
from model.pencil import BANKRUPT, Raw, fills, play
from model.policy import resolve, shown
from model.ranking import Candidate
from model.scores import GOLDEN, SCORES, Figures, mix

# ---------------------------------------------------------------------- choices


def test_r81_a_result_shows_what_differs() -> None:
    usual = {"trigger": "drawdown", "then": [], "tiers": "given", "drawdown_stop": "0.25", "seed": 0}
    assert set(shown(resolve(usual | {"score": "random"}))) == set(shown(resolve("bitmex")))
    given = {"score": "random", "seed": 5, "then": ("size",), "tiers": "delta_neutral", "delta_limit": "0.10"}
    more = {"then": ["size"], "tiers": "delta_neutral", "seed": 5, "delta_limit": "0.1"}
    assert list(shown(resolve(given)).items())[8:] == list(more.items())


def test_r80_a_stop_is_at_most_its_start() -> None:
    policy = resolve({"trigger": "drawdown", "drawdown_start": "0.2"})
    assert policy["drawdown_stop"] == Fraction("0.2")
    assert "drawdown_stop" not in shown(policy)


def test_r96_a_preset_gives_way_to_what_is_given() -> None:
    assert resolve("gmx_v2")["pool_min"] == Fraction("0.77")
    assert "pool_min" not in shown(resolve({"preset": "gmx_v2", "trigger": "none"}))


# ---------------------------------------------------------------------- ranking


def figures(
    *, profit: float = 0.0, notional: float = 100.0, cash: float = 0.0, margin: float = 10.0, **places: int
) -> Figures:
    """An account with one long row of entry value 50, equity 40 and a margin of 10 unless given."""
    row = RowFloats("X", 1, 3.0, 50.0, notional, notional, profit, 10.0)
    tiers = (
        Tier(Fraction("0.1"), Fraction(0)),
        Tier(Fraction("0.2"), Fraction(9), Fraction(90), Fraction(4)),
    )
    return Figures(AccountFloats(cash, 40.0, margin, 120.0, (row,)), row, "linear", tiers, 100.0, **places)


def test_r82_scores() -> None:
    def score(name: str, **given: Any) -> float:
        return SCORES[name](figures(**given))

    assert score("bitget_a", profit=25.0) == 0.5 * 0.25
    assert (score("bitget_c", profit=25.0), score("bitget_c", profit=-25.0)) == (1.5, 0.0)
    assert score("bitget_c", profit=25.0, margin=40.5) == 0.0
    assert (score("gate_2022", profit=7.0), score("gate_2022", profit=7.0, notional=80.0)) == (28.0, 35.0)
    assert score("kucoin_v1", profit=25.0) == 4 * (25 / 12.5)
    assert (score("leverage"), score("profit", profit=-3.0), score("low_cash", cash=8.0)) == (3.0, -3.0, -8.0)
    assert (score("newest", place=4, given_place=2), score("given", place=4, given_place=2)) == (4.0, -2.0)


def test_r82_random_is_splitmix() -> None:
    assert mix(GOLDEN) == 0xE220A8397B1DCDAF  # the first number of splitmix64 from 0, as published
    word = mix(mix(2 * GOLDEN % 2**64 + 7) + 3)
    assert SCORES["random"](figures(place=3, tick=1, seed=7)) == (word >> 11) / 2**53


def test_r82_places_are_those_of_ids_and_of_the_file() -> None:
    rows, cash = f"{BANKRUPT}, q X -6 100, a X -6 100, z X -6 100", "b 100, q 99, z 99, a 99"
    by_id = play(rows, cash, [{"X": 80}], policy={"score": "newest"})[0]
    by_file = play(rows, cash, [{"X": 80}], policy={"score": "given"})[0]
    assert [(fill["counterparty"], fill["score"]) for fill in by_id["adl_fills"]] == [("z", 3.0), ("q", 2.0)]
    assert [(fill["counterparty"], fill["score"]) for fill in by_file["adl_fills"]] == [
        ("q", -1.0),
        ("z", -2.0),
    ]


def test_r83_further_scores_decide_ties() -> None:
    rows, cash = f"{BANKRUPT}, p X -6 100, q X -6 100, r X -7 100", "b 100, p 50, q 20, r 99"
    for then, first in ((["low_cash"], "q"), (["profit_ratio", "newest"], "q"), ([], "p")):
        policy = {"score": "size", "then": then, "severity": "fraction", "fraction": "0.8"}
        assert [entry[0] for entry in fills(play(rows, cash, [{"X": 80}], policy=policy)[0])] == ["r", first]


@pytest.mark.parametrize(
    ("tiers", "expected"),
    [
        ("given", [("q", 6, 540), ("p", 4, 360)]),
        ("delta_neutral", [("q", 6, 540), ("r", 4, 360)]),  # p: 2 * 1 + 1, q: 1, r: 2
        ("delta_neutral_flagged", [("r", 6, 540), ("q", 4, 360)]),  # r is no longer hedged
    ],
)
def test_r83_tiers(tiers: str, expected: list[tuple[str, int, int]]) -> None:
    rows = f"{BANKRUPT}, p X -6 100, p Y 6 80, q X -6 100, q Y 6 80, r X -6 100"
    flagged = {"p": {"adl_tier": 1}, "r": {"adl_tier": 1}}
    policy = {"score": "given", "tiers": tiers}
    cash = "b 100, p 99, r 99, q 99"
    assert fills(play(rows, cash, [{"X": 80, "Y": 80}], policy=policy, accounts=flagged)[0]) == expected


def test_r83_an_isolated_account_is_never_neutral() -> None:
    flagged: Raw = {"p": {"adl_tier": 1}, "q": {"adl_tier": 1, "margin_mode": "isolated"}}
    policy = {"score": "given", "tiers": "delta_neutral_flagged", "delta_limit": 1}
    rows, cash = f"{BANKRUPT}, p X -6 100, q X -6 100", "b 100, p 99, q 99"
    tick = play(rows, cash, [{"X": 80}], policy=policy, accounts=flagged)[0]
    assert fills(tick) == [("q", 6, 540), ("p", 4, 360)]


# ---------------------------------------------------------------------- allocations


def candidate(account: str, lots: int, **figures: Any) -> Candidate:
    unit_notional = figures.pop("unit_notional", Fraction(10))
    usual = {"tier": 0, "profit": 0, "gross": 0, "equity": 10} | figures
    return Candidate(account=account, rank=0, score=0.0, lots=lots, unit_notional=unit_notional, **usual)


def shares(allocation: str, need: int, *ranked: Candidate, **parameters: Any) -> dict[str, int]:
    return quotas(resolve({"allocation": allocation} | parameters), need, ranked)


def test_r84_pro_rata_equity() -> None:
    three = (candidate("a", 9, equity=100), candidate("b", 9, equity=50), candidate("c", 9, equity=0))
    assert shares("pro_rata_equity", 6, *three) == {"a": 4, "b": 2, "c": 0}
    assert shares("pro_rata_equity", 20, *three) == {"a": 9, "b": 9, "c": 2}


def test_r84_capped_pro_rata_leaves_the_rest() -> None:
    two = (candidate("a", 10), candidate("b", 7), candidate("c", 1))
    assert shares("capped_pro_rata", 6, *two) == {"a": 4, "b": 2, "c": 0}
    assert shares("capped_pro_rata", 18, *two) == {"a": 5, "b": 3, "c": 0}
    assert shares("capped_pro_rata", 18, *two, max_share=1) == {"a": 10, "b": 7, "c": 1}


def test_r84_risk_aware() -> None:
    three = (
        candidate("a", 4, leverage=3.0),
        candidate("b", 8, leverage=2.0),
        candidate("c", 9, leverage=1.0),
    )
    above_one: Raw = {"min_leverage": "1"}
    assert shares("risk_aware", 6, *three, exponent=2, **above_one) == {"a": 4, "b": 2, "c": 0}
    assert shares("risk_aware", 6, *three, exponent=0, **above_one) == {"a": 2, "b": 4, "c": 0}
    assert shares("risk_aware", 14, *three, **above_one) == {"a": 4, "b": 8, "c": 2}


def test_r84_quadratic_projection() -> None:
    two = (candidate("a", 4, row_profit=30.0), candidate("b", 3, row_profit=10.0))
    others = (candidate("c", 9), candidate("d", 9, row_profit=-20.0))
    assert shares("quadratic_projection", 5, *two, *others) == {"a": 4, "b": 1, "c": 0, "d": 0}
    assert shares("quadratic_projection", 9, *two, *others) == {"a": 4, "b": 3, "c": 1, "d": 1}


def test_r84_factor_fill() -> None:
    two = (candidate("a", 8, exposure=100), candidate("b", 8, exposure=50))
    assert shares("factor_fill", 4, *two) == {"a": 4, "b": 0}
    assert shares("factor_fill", 7, *two) == {"a": 6, "b": 1}
    rows = f"{BANKRUPT}, p X -6 100, p Y 6 80, q X -6 100"
    for betas, expected in (
        ({}, [("q", 5, 450)]),  # the hedge of p is exact
        ({"Y": "0.5"}, [("p", 1, 90), ("q", 4, 360)]),  # from 240 and 480 to 160, in lots of 80
        ({"Y": "0.5", "X": 3}, [("p", 2, 180), ("q", 3, 270)]),  # from 1200 and 1440 to 720, in lots of 240
    ):
        policy = {"allocation": "factor_fill", "betas": betas, "severity": "fraction", "fraction": "0.5"}
        tick = play(rows, "b 100, p 880, q 880", [{"X": 80, "Y": 80}], policy=policy)[0]
        assert fills(tick) == expected


def test_r84_min_max() -> None:
    three = (candidate("a", 5, equity=10), candidate("b", 5, equity=25), candidate("c", 4, equity=0))
    assert shares("min_max", 5, *three) == {"a": 1, "b": 4, "c": 0}
    assert shares("min_max", 6, *three) == {"a": 2, "b": 4, "c": 0}  # 2/10 = 5/25: the smaller id
    assert shares("min_max", 7, *three) == {"a": 2, "b": 5, "c": 0}
    assert shares("min_max", 12, *three) == {"a": 5, "b": 5, "c": 2}


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(-1, 30)), min_size=1, max_size=6), st.data())
def test_r84_min_max_is_lot_by_lot(pairs: list[tuple[int, int]], data: st.DataObject) -> None:
    ranked = [candidate(str(index), lots, equity=equity) for index, (lots, equity) in enumerate(pairs)]
    rich = [each for each in ranked if each.equity > 0]
    need = data.draw(st.integers(0, sum(each.lots for each in rich)))
    given_lots = {each.account: 0 for each in ranked}
    for _ in range(need):
        below_cap = [each for each in rich if given_lots[each.account] < each.lots]
        least = min(below_cap, key=lambda c: ((given_lots[c.account] + 1) / c.equity, c.account))
        given_lots[least.account] += 1
    assert shares("min_max", need, *ranked) == given_lots


# ---------------------------------------------------------------------- prices and guards

SHORTS = f"{BANKRUPT}, p X -6 100, q X -6 103"
CASH = "b 100, p 500, q 500"


def test_r85_oracle_prices_are_remembered() -> None:
    policy = {"score": "given", "price": "oracle"}
    ticks: list[Raw] = [{"marks": {"X": 100}, "oracle": {"X": 85}}, {"X": 80}]
    assert fills(play(SHORTS, CASH, ticks, policy=policy)[1]) == [("p", 6, 510), ("q", 4, 340)]
    assert fills(play(SHORTS, CASH, [{"X": 80}], policy=policy)[0]) == [("p", 6, 480), ("q", 4, 320)]


def test_r85_at_entry_nobody_gains() -> None:
    tick = play(SHORTS, CASH, [{"X": 80}], policy={"score": "given", "price": "entry"})[0]
    assert fills(tick) == [("p", 6, 600), ("q", 4, 412)]
    assert [fill["realized_pnl"] for fill in tick["adl_fills"]] == ["0", "0"]


def test_r86_health_must_not_fall() -> None:
    """p: equity 81, MM 200 and none below 400. (81 - 10k - 1) * 200 >= 81 * max(0, 200 - 40k) up to k = 8."""
    tiers = [
        {"min_notional": "0", "maintenance_rate": "0"},
        {"min_notional": "400", "maintenance_rate": "0.5"},
    ]
    rows = f"{BANKRUPT}, p X -10 100, q X -10 100, a X -1 100"
    policy = {"score": "given", "guard": "health"}
    cash = "a -20, b 100, p -119, q 1000"
    tick = play(rows, cash, [{"X": 80}], tiers=tiers, policy=policy)[0]
    assert fills(tick) == [("p", 8, 720), ("q", 2, 180)]
    assert [tuple(entry.values()) for entry in tick["refused"]] == [
        ("a", "b", "X", "long", "1", "below_zero"),
        ("p", "b", "X", "long", "2", "below_zero"),
    ]
    assert list(tick)[-1] == "refused"
    without = play(rows, cash, [{"X": 80}], tiers=tiers, policy=policy | {"guard": "solvent"})[0]
    assert fills(without) == [("p", 8, 720), ("q", 2, 180)]
    assert "refused" not in without


def test_r86_a_fill_that_lowers_health_is_refused_though_it_leaves_equity() -> None:
    """p: equity 100, MM 80; nine tenths of it, (99 - 10k) * 80 >= 100 * 8 * (10 - k) for no k."""
    tiers = [{"min_notional": "0", "maintenance_rate": "0.1"}]
    rows, cash = f"{BANKRUPT}, p X -10 100", "b 100, p -100"
    for guard, lots in (("health", []), ("solvent", [("p", 9, 810)]), ("none", [("p", 10, 900)])):
        tick = play(rows, cash, [{"X": 80}], tiers=tiers, policy={"guard": guard})[0]
        assert fills(tick) == lots
        assert [entry["reason"] for entry in tick.get("refused", [])] == ["health"] * (guard == "health")
