"""Scores, further keys and tiers of a ranking against hand numbers (rules R82, R83), and one's own (R97)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cmp_to_key
from typing import Any

import numpy as np
import pytest

import fastadl as fa
from fastadl.kernels.scores import SCORES
from fastadl.policy import CHOICES

#: Symbol, kind, contract size, mark.
LINEAR, INVERSE = ("A", "linear", "1", "150"), ("I", "inverse", "3000", "150")
FLAT = [{"min_notional": "0", "maintenance_rate": "0.01"}]

#: Account → (cash, {symbol: (qty, entry price)}, ADL tier).
Accounts = dict[str, tuple[int, dict[str, tuple[int, int]], int]]


def book(
    accounts: Accounts,
    *,
    tiers: Sequence[Any] = FLAT,
    isolated: Sequence[str] = (),
    contracts: Sequence[Any] = (LINEAR, INVERSE),
) -> fa.Book:
    """A book of whole currency units: an atom is one, and so is a lot."""
    symbols, kinds, sizes, marks = zip(*contracts, strict=True)
    held = [(name, s, q, p) for name, (_, rows, _) in accounts.items() for s, (q, p) in rows.items()]
    account, symbol, qty, price = (list(column) for column in zip(*held, strict=True))
    return fa.Book.from_frames(
        {
            "symbol": symbols,
            "kind": kinds,
            "contract_size": sizes,
            "lot": ["1"] * len(symbols),
            "tiers": [tiers] * len(symbols),
            "decimals": [0] * len(symbols),
            "mark": marks,
        },
        {
            "id": list(accounts),
            "cash": [cash for cash, _, _ in accounts.values()],
            "adl_tier": [tier for _, _, tier in accounts.values()],
            "margin_mode": ["isolated" if name in isolated else "cross" for name in accounts],
        },
        {"account": account, "symbol": symbol, "qty": qty, "entry_price": price},
    )


def ranked(found: fa.Book, symbol: str = "A", side: str = "long", **policy: Any) -> dict[str, float]:
    """Account → score, in rank order."""
    frame = fa.Engine(found, policy=policy).rank(symbol, side)
    return dict(zip(frame["account"], frame["score"].to_list(), strict=True))


def crowd(count: int = 60, tiers: int = 2) -> Accounts:
    """Longs with few different figures, so that most scores are shared, and a short that goes bankrupt."""
    random = np.random.default_rng(3)
    found: Accounts = {}
    for i in random.permutation(count).tolist():
        rows = {"A": (int(random.integers(1, 3)), int(random.choice([100, 140, 160])))}
        if random.random() < 0.5:
            rows["I"] = (int(random.choice([-1, 1, 8])), 150)
        found[f"a{i:02}"] = (int(random.choice([90, 200, 1000])), rows, int(random.integers(0, tiers)))
    found["short"] = (100, {"A": (-30, 160)}, 0)
    return found


# ---------------------------------------------------------------------- R82: formulas


def test_the_scores_of_the_rules_are_those_of_the_kernels() -> None:
    assert CHOICES["score"] == SCORES


#: Long 10 at 100, marked 150, with 250 of cash: profit 500, notional 1500, equity 750, gross 1500, MM 15.
WINNER = (250, {"A": (10, 100)}, 0)
#: Long 10 at 160: profit −100, equity 200.
LOSER = (300, {"A": (10, 160)}, 0)
#: A second row: 6 of −3000/P, entered at 100 for −180, worth −120; profit 60, equity 810, gross 1620.
MIXED = (250, {"A": (10, 100), "I": (6, 100)}, 0)


@pytest.mark.parametrize(
    ("score", "winner", "loser", "mixed"),
    [
        ("bitmex", 0.5 * (1500 / 750), (-100 / 1600) / (1500 / 200), 0.5 * (1620 / 810)),
        ("bitget_a", 0.5 * (15 / 750), (-100 / 1600) / (15 / 200), 0.5 * ((15 + 1.2) / 810)),
        ("bitget_c", 0.5 * (1500 / 750), 0.0, 0.5 * (1620 / 810)),
        ("gate_2022", 500.0 * 50.0, -100.0 * 50.0, 500.0 * 50.0),
        ("kucoin_v1", 50.0 * (500 / 20), 50.0 * (-100 / 32), 50.0 * (500 / 20)),
        ("leverage", 1500 / 750, 1500 / 200, 1620 / 810),
        ("profit", 500.0, -100.0, 500.0),
        ("low_cash", -250.0, -300.0, -250.0),
        ("newest", 2.0, 0.0, 1.0),
        ("given", 0.0, -1.0, -2.0),
    ],
)
def test_formulas_give_the_numbers_of_a_hand_calculation(
    score: str, winner: float, loser: float, mixed: float
) -> None:
    accounts = {"won": WINNER, "lost": LOSER, "mixed": MIXED}
    found = ranked(book(accounts), score=score)
    assert found == {"won": winner, "lost": loser, "mixed": mixed}
    wanted = sorted(found, key=lambda name: (-found[name], name))
    assert list(found) == wanted


def test_the_example_of_kucoin_v1_is_leverage_times_return_on_initial_margin() -> None:
    """At 20 times an entry value of 1000 ties up 50; a profit of 500 is ten times that."""
    tiers = [{"min_notional": "0", "maintenance_rate": "0.01", "max_leverage": "20"}]
    assert ranked(book({"won": WINNER}, tiers=tiers), score="kucoin_v1") == {"won": 20 * 10.0}
    assert ranked(book({"won": WINNER}, tiers=tiers), score="gate_2022") == {"won": 500 * 20.0}


@pytest.mark.parametrize(
    ("notional", "leverage"),
    [(1499, 100.0), (1500, 1 / (2 * 0.004)), (1501, 1 / (2 * 0.004)), (30_000, 7.5), (600_000, 7.5)],
)
def test_leverage_is_that_of_the_last_tier_the_notional_reaches(notional: int, leverage: float) -> None:
    tiers = [
        {"min_notional": "0", "maintenance_rate": "0", "max_leverage": "100"},
        {"min_notional": "1500", "maintenance_rate": "0.004"},
        {"min_notional": "30000", "maintenance_rate": "0.05", "max_leverage": "7.5"},
    ]
    contracts = [("A", "linear", "1", "1")]
    accounts: Accounts = {"ann": (10**6, {"A": (notional, 2)}, 0)}
    (score,) = ranked(book(accounts, tiers=tiers, contracts=contracts), score="gate_2022").values()
    assert score == -notional * leverage


@pytest.mark.parametrize(("rate", "leverage"), [("0", 1.0), ("0.25", 2.0), ("0.003", 1 / (2 * 0.003))])
def test_a_tier_without_a_leverage_has_that_of_its_rate(rate: str, leverage: float) -> None:
    tiers = [{"min_notional": "0", "maintenance_rate": rate}]
    assert ranked(book({"won": WINNER}, tiers=tiers), score="gate_2022") == {"won": 500 * leverage}


@pytest.mark.parametrize("leverage", ["1" + "0" * 330, "0." + "0" * 340 + "1"], ids=["huge", "tiny"])
@pytest.mark.parametrize("score", ["gate_2022", "kucoin_v1"])
def test_numbers_beyond_float64_do_not_make_a_score_nan(score: str, leverage: str) -> None:
    tiers = [
        {"min_notional": "0", "maintenance_rate": "0.01", "max_leverage": leverage},
        {"min_notional": "1" + "0" * 330, "maintenance_rate": "0.02", "max_leverage": "1"},
    ]
    accounts: Accounts = {"even": (1000, {"A": (10, 150)}, 0)}
    with np.errstate(over="ignore"):
        assert ranked(book(accounts, tiers=tiers), score=score) == {"even": 0.0}


@pytest.mark.parametrize(
    ("cash", "score"), [(-485, 0.5 * (1500 / 15)), (-486, 0.0)], ids=["equity = MM", "equity < MM"]
)
def test_bitget_c_leaves_out_whoever_is_being_liquidated(cash: int, score: float) -> None:
    assert ranked(book({"won": (cash, {"A": (10, 100)}, 0)}), score="bitget_c") == {"won": score}


# ---------------------------------------------------------------------- R82: random


def drawn(seed: int, tick: int, place: int) -> float:
    """The rule, with integers of any size."""
    bits = (1 << 64) - 1

    def mix(z: int) -> int:
        z ^= z >> 30
        z = z * 0xBF58476D1CE4E5B9 & bits
        z ^= z >> 27
        z = z * 0x94D049BB133111EB & bits
        return z ^ (z >> 31)

    first = mix((seed + (tick + 1) * 0x9E3779B97F4A7C15) & bits)
    return float((mix((first + place) & bits) >> 11) * 2.0**-53)


def test_random_is_known_to_the_last_bit() -> None:
    """The inner mix of seed 0 is the first number of SplitMix64, 0xE220A8397B1DCDAF."""
    accounts: Accounts = dict.fromkeys(("b", "a", "c"), WINNER)
    engine = fa.Engine(book(accounts), policy={"score": "random"})
    engine.mark({})
    found = dict(zip(*engine.rank("A", "long").select("account", "score"), strict=True))
    assert found == {"a": 0.28176129772258496, "b": drawn(0, 0, 1), "c": drawn(0, 0, 2)}
    assert list(found) == sorted(found, key=lambda name: -found[name])


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
def test_random_draws_anew_in_every_tick(seed: int) -> None:
    engine = fa.Engine(book(dict.fromkeys("abcd", WINNER)), policy={"score": "random", "seed": seed})
    for tick in range(3):
        before = engine.rank("A", "long")
        engine.mark({})
        now = engine.rank("A", "long")
        engine.deleverage()
        assert sorted(now["score"]) == sorted(drawn(seed, tick, place) for place in range(4))
        assert before.equals(now)


def test_a_ranking_before_the_deleveraging_is_the_one_it_uses() -> None:
    engine = fa.Engine(book(crowd()), policy={"score": "random", "seed": 5, "then": ["newest"]})
    engine.mark({"A": "165"})
    shown = engine.rank("A", "long")
    fills = engine.deleverage().adl_fills
    assert len(fills) > 10
    assert fills.select("counterparty", "rank", "score").rows() == [
        (line["account"], line["rank"], line["score"])
        for line in shown.head(len(fills)).iter_rows(named=True)
    ]


# ---------------------------------------------------------------------- R83: further keys

ETHEREAL = {"score": "leverage", "then": ["profit", "low_cash", "newest"]}


def test_ethereal_orders_by_leverage_profit_balance_and_the_newest_id() -> None:
    """Every account but the first shares all keys but one with a neighbour."""
    accounts: Accounts = {
        "levered": (100, {"A": (10, 140)}, 0),  # profit 100, equity 200
        "profit": (200, {"A": (10, 130)}, 0),  # 1500/400 from here on, profit 200
        "poor": (250, {"A": (10, 135)}, 0),  # profit 150, as in the next ones
        "id 1": (300, {"A": (10, 140)}, 0),  # profit 100
        "id 2": (300, {"A": (10, 140)}, 0),
        "early": (1, {"A": (10, 149)}, 1),
    }
    order = ["levered", "profit", "poor", "id 2", "id 1", "early"]
    assert list(ranked(book(accounts), **ETHEREAL)) == order
    assert list(ranked(book(accounts), score="leverage")) == [
        "levered",
        "id 1",
        "id 2",
        "poor",
        "profit",
        "early",
    ]


def test_balance_decides_before_the_newest_id() -> None:
    """Equal leverage and profit of the row with different cash takes another row."""
    accounts: Accounts = {
        "rich": (300, {"A": (10, 100)}, 0),  # equity 800, gross 1500
        "poor": (270, {"A": (10, 100), "I": (3, 75)}, 0),  # 3 · (40 − 20) = 60 more
    }
    found = fa.Engine(book(accounts), policy={"score": "profit", "then": ["low_cash", "newest"]})
    assert found.rank("A", "long")["account"].to_list() == ["poor", "rich"]


def keyed(found: fa.Book, keys: Sequence[Any], **policy: Any) -> list[str]:
    """Accounts by tier, then by one score after the other, then by id; each score ranked on its own."""
    scores = [ranked(found, score=key, **policy) for key in keys]
    frame = fa.Engine(found, policy=policy).rank("A", "long")
    tier = dict(zip(frame["account"], frame["adl_tier"], strict=True))

    def before(one: str, other: str) -> int:
        for left, right in ((tier[one], tier[other]), *((s[other], s[one]) for s in scores), (one, other)):
            if left != right:
                return -1 if left < right else 1
        return 0

    return sorted(tier, key=cmp_to_key(before))


@pytest.mark.parametrize(
    "keys",
    [("size", "profit"), ("size", "bitget_c", "leverage", "newest"), ("profit_ratio", "size", "low_cash"),
     ("gate_2022", "given"), ("bitmex", "random")],
    ids=" ".join,
)  # fmt: skip
def test_keys_decide_one_after_the_other(keys: Sequence[str]) -> None:
    found = book(crowd())
    score, *then = keys
    order = list(ranked(found, score=score, then=then))
    assert order == keyed(found, keys)
    assert order != list(ranked(found, score=score))


@pytest.mark.parametrize(("allocation", "tiers"), [("queue", 1), ("queue", 2), ("whole", 2)])
def test_a_queue_takes_the_best_by_all_keys(allocation: str, tiers: int) -> None:
    policy = {"score": "size", "then": ["profit", "newest"], "allocation": allocation}
    engine = fa.Engine(book(crowd(tiers=tiers)), policy=policy)
    engine.mark({"A": "165"})
    order = engine.rank("A", "long")
    fills = engine.deleverage().adl_fills
    assert 5 < len(fills) < 50
    assert fills["rank"].is_sorted()
    assert fills["counterparty"].to_list() == order["account"].gather(fills["rank"] - 1).to_list()
    if allocation == "queue":
        assert fills["rank"].to_list() == list(range(1, len(fills) + 1))


def test_further_keys_do_not_move_the_dust() -> None:
    """Rule R16: of equal remainders the smaller id gets the unit, whoever ranks first."""
    accounts: Accounts = {name: (1000, {"A": (2, 100)}, 0) for name in "abc"} | {
        "s": (0, {"A": (-1, 100)}, 0)
    }
    policy = {"score": "size", "then": ["newest"], "allocation": "pro_rata_size"}
    engine = fa.Engine(book(accounts), policy=policy)
    fills = engine.tick({"A": "150"}).adl_fills
    assert fills["counterparty"].to_list() == ["a"]
    assert fills["rank"].to_list() == [3]


# ---------------------------------------------------------------------- R83: tiers


def hedge(long: int, short: int) -> tuple[int, dict[str, tuple[int, int]], int]:
    """Long A for so many times 150; 20 times so many of the inverse, whose longs are worth −20."""
    return 10**6, {"A": (long, 150), "I": (short, 150)}, 3


@pytest.mark.parametrize(
    ("legs", "limit", "hedged"),
    [
        ((2, -14), "0.05", True),  # 300 and 280: net 20 of 580
        ((2, -13), "0.05", False),  # 300 and 260: net 40 of 560
        ((2, -15), "0", True),
        ((2, 15), "0", False),
        ((2, -14), "0.03448", False),
        ((2, -9), "0.25", True),  # 300 and 180: 120 of 480, on the line
        ((2, -9), "0.2499999", False),
        ((2, 1), "1", True),
    ],
)
def test_an_account_is_neutral_up_to_the_limit(legs: tuple[int, int], limit: str, hedged: bool) -> None:
    found = book({"ann": hedge(*legs)})
    for tiers, tier in (("delta_neutral", 6 + hedged), ("delta_neutral_flagged", 3 * hedged)):
        frame = fa.Engine(found, policy={"tiers": tiers, "delta_limit": limit}).rank("A", "long")
        assert frame["adl_tier"].to_list() == [tier]


def test_an_isolated_account_is_never_neutral() -> None:
    """Both legs of one symbol cancel out."""
    accounts: Accounts = {"ann": (1000, {"A": (2, 150)}, 255), "bob": (1000, {"A": (2, 150)}, 255)}
    found = book(accounts, isolated=["bob"])
    for limit, tier in (("1", 511), ("0.999", 510)):
        policy = {"tiers": "delta_neutral", "delta_limit": limit}
        frame = fa.Engine(found, policy=policy).rank("A", "long")
        assert dict(zip(*frame.select("account", "adl_tier"), strict=True)) == {"ann": tier, "bob": 510}


@pytest.mark.parametrize("tiers", ["delta_neutral", "delta_neutral_flagged"])
def test_neutral_accounts_are_closed_after_all_others(tiers: str) -> None:
    accounts: Accounts = {
        "hedged": (50, {"A": (10, 100), "I": (-75, 150)}, 1),
        "plain": (10**6, {"A": (10, 149)}, 0),
        "short": (100, {"A": (-15, 100)}, 0),
    }
    assert next(iter(ranked(book(accounts)))) == ("plain")
    engine = fa.Engine(book(accounts), policy={"tiers": tiers})
    fills = engine.tick({"A": "150"}).adl_fills
    assert fills.select("counterparty", "lots").rows() == [("plain", 10), ("hedged", 5)]


def test_a_flag_counts_only_while_the_hedge_is_there() -> None:
    accounts: Accounts = {"flagged": (10**6, {"A": (10, 100)}, 1), "plain": (10**6, {"A": (10, 149)}, 0)}
    assert list(ranked(book(accounts))) == ["plain", "flagged"]
    assert list(ranked(book(accounts), tiers="delta_neutral_flagged")) == ["flagged", "plain"]


# ---------------------------------------------------------------------- order of the input


@pytest.mark.parametrize(
    "policy",
    [
        *({"score": score} for score in CHOICES["score"] if score != "given"),
        {**ETHEREAL, "tiers": "delta_neutral"},
        {"score": "size", "then": ["random"], "seed": 7, "tiers": "delta_neutral_flagged"},
    ],
    ids=lambda policy: " ".join(map(str, policy.values())),
)
def test_no_ranking_depends_on_the_order_of_the_rows(policy: dict[str, Any]) -> None:
    instruments, accounts, positions = book(crowd(30)).to_frames()
    wanted = fa.Engine(fa.Book.from_frames(instruments, accounts, positions), policy=policy).rank("A", "long")
    shuffled = [frame.sample(fraction=1.0, shuffle=True, seed=2) for frame in (accounts, positions)]
    moved = fa.Book.from_frames(instruments.reverse(), *shuffled)
    assert fa.Engine(moved, policy=policy).rank("A", "long").equals(wanted)
