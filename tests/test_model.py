"""The exact model: it reproduces the worked examples, keeps the laws, and its scenarios reach every rule."""

import copy
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from fastadl.policy.choices import alone
from model import run
from model.allocation import capped_shares, quotas
from model.book import Account, Row
from model.exact import largest_remainders
from model.features import features
from model.formats import fixed, plain, ratio, significant
from model.moves import close, take
from model.policy import DEFAULTS, MORE_CHOICES, resolve
from model.ranking import Candidate
from model.replay import check_laws
from model.strategies import policies, scenarios

EXAMPLES = sorted((Path(__file__).parent / "conformance" / "examples").glob("*.json"))

Raw = dict[str, Any]


def load(path: Path) -> Raw:
    example: Raw = json.loads(path.read_text(encoding="utf-8"))
    return example


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_worked_examples_to_the_last_character(path: Path) -> None:
    example = load(path)
    assert json.dumps(run(example["scenario"])) == json.dumps(example["expected"])


def test_all_worked_examples_are_here() -> None:
    assert len(EXAMPLES) == 10


EVERY = st.one_of(scenarios(), scenarios(wide=True))


@given(EVERY)
@settings(max_examples=200, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_laws_hold(scenario: Raw) -> None:
    output = run(scenario)
    check_laws(scenario, output)
    assert all(output["checks"].values())


@given(
    st.one_of(scenarios(max_accounts=6), scenarios(max_accounts=6, wide=True)),
    st.randoms(use_true_random=False),
)
@settings(max_examples=50, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_order_of_the_file_does_not_matter(scenario: Raw, random: Any) -> None:
    before = copy.deepcopy(scenario)
    output = run(scenario)
    assert scenario == before, "the scenario was changed"
    order_counts = "given" in str(output["policy"].get("then")) or output["policy"]["score"] == "given"
    for name in ("instruments", "positions") if order_counts else ("instruments", "positions", "accounts"):
        random.shuffle(scenario[name])
    assert json.dumps(run(scenario)) == json.dumps(output)


@pytest.mark.parametrize("field", ["value", "qty", "realized_pnl", "counterparty"])
def test_the_laws_catch_a_wrong_fill(field: str) -> None:
    example = load(EXAMPLES[-1])
    fill = example["expected"]["ticks"][0]["adl_fills"][0]
    fill[field] = {"value": "275.01", "qty": "2", "realized_pnl": "25.01", "counterparty": "q"}[field]
    with pytest.raises(AssertionError):
        check_laws(example["scenario"], example["expected"])


def test_the_laws_catch_a_bankrupt_left_with_cash() -> None:
    scenario: Raw = load(EXAMPLES[-1])["scenario"]
    at_mark = run(scenario | {"policy": {"price": "mark"}})
    at_mark["policy"]["price"] = "bankruptcy"
    with pytest.raises(AssertionError, match="law 4"):
        check_laws(scenario, at_mark)


@given(EVERY)
@settings(max_examples=200, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_scenarios_are_valid(scenario: Raw) -> None:
    """Section 6 and the limits of R1."""
    decimals = scenario.get("currency", {}).get("decimals", 6)
    instruments = {raw["symbol"]: raw for raw in scenario["instruments"]}
    accounts = {raw["id"]: raw for raw in scenario["accounts"]}
    assert len(instruments) == len(scenario["instruments"])
    assert len(accounts) == len(scenario["accounts"])
    assert not {"fund", "market"} & set(accounts)
    for instrument in instruments.values():
        starts = [Fraction(tier["min_notional"]) for tier in instrument["tiers"]]
        rates = [Fraction(tier["maintenance_rate"]) for tier in instrument["tiers"]]
        assert starts[0] == 0
        assert starts == sorted(set(starts))
        assert rates == sorted(rates)
        assert rates[-1] < 1
        assert len({"deduction" in tier for tier in instrument["tiers"]}) == 1
    rows = Counter((raw["account"], raw["symbol"], Fraction(raw["qty"]) > 0) for raw in scenario["positions"])
    assert set(rows.values()) <= {1}
    held = Counter(raw["account"] for raw in scenario["positions"])
    assert all(held[key] <= 1 for key, raw in accounts.items() if raw.get("margin_mode") == "isolated")
    by_reserved = Counter((account, symbol) for account, symbol, _ in rows if account in ("fund", "market"))
    assert set(by_reserved.values()) <= {1}
    for raw in scenario["positions"]:
        qty, inverse = Fraction(raw["qty"]), instruments[raw["symbol"]]["kind"] == "inverse"
        lots = qty / Fraction(instruments[raw["symbol"]]["lot"])
        assert lots.denominator == 1
        assert 0 < abs(lots) <= 2**53
        entry_value = Fraction(raw.get("entry_value", 0)) * 10**decimals
        assert entry_value.denominator == 1
        assert entry_value * qty * (-1 if inverse else 1) >= 0
    amounts = [raw["cash"] for raw in accounts.values()] + [(scenario.get("fund") or {}).get("cash", 0)]
    assert all(abs(Fraction(amount)) * 10**decimals <= 2**53 for amount in amounts)
    assert all((Fraction(amount) * 10**decimals).denominator == 1 for amount in amounts)
    times = [tick["time"] for tick in scenario["ticks"] if "time" in tick]
    assert times == sorted(times)
    if scenario["ticks"]:
        marked = {raw["symbol"] for raw in instruments.values() if raw.get("mark") is not None}
        assert marked | set(scenario["ticks"][0]["marks"]) == set(instruments)
    for tick in scenario["ticks"]:
        assert set(tick.get("oracle", {})) <= set(instruments)
    fund = scenario.get("fund") or {}
    assert set(fund.get("limits", {})) <= set(instruments)
    assert_policy_is_valid(scenario.get("policy", "bitmex"), fund)


def assert_policy_is_valid(given: str | Raw, fund: Raw) -> None:
    """R81, and parameters only where they are used (R80)."""
    policy = resolve(given)
    assert set(given if isinstance(given, dict) else {}) <= {"preset", *policy}
    assert policy["guard"] == "none" or "whole" not in policy["allocation"]
    assert policy["guard"] == "none" or policy["price"] != "entry"
    assert (policy["guard"], policy["price"]) != ("health", "mark")
    assert policy.get("drawdown_stop", 0) <= policy.get("drawdown_start", 0)
    assert policy.get("pool_min", 0) <= policy.get("pool_max", 0)
    assert policy["trigger"] != "drawdown" or fund.get("max_drawdown") is None
    assert (policy["socialization"], policy["severity"]) != ("clawback", "trigger_loss")
    if policy["space"] == "wealth":
        assert policy["trigger"] not in ("unfilled", "pool_profit")
    else:
        assert policy["socialization"] == "profit"
        assert policy["severity"] in ("full", "fraction")
    if policy["trigger"] == "pool_profit":
        assert policy["price"] in ("mark", "oracle")
        assert policy["severity"] == "full"


REACHED = {
    "bankrupt": 100,
    "liquidatable": 40,
    "several bankrupts": 60,
    "bankrupt by slippage": 2,
    "partial takeover": 10,
    "takeover at bankruptcy": 40,
    "takeover at mark": 15,
    "takeover under a drawdown limit": 5,
    "fund loss": 40,
    "fund inventory": 60,
    "fund_payments": 20,
    "executions": 40,
    "liquidation_fee": 5,
    "surplus": 1,
    "netted": 30,
    "fill": 60,
    "several fills of one row": 30,
    "one candidate, two bankrupt rows": 20,
    "walk starts again": 1,
    "two tiers": 10,
    "tie": 10,
    "loser deleveraged": 30,
    "closed for nothing": 5,
    "infinite entry price": 10,
    "uncovered": 60,
    "uncovered with open rows": 40,
    "socialized": 15,
    "socialized in part": 5,
    "unbalanced": 60,
    "balanced": 60,
    "no mark": 3,
    "0 ticks": 3,
    "4 ticks": 10,
    "linear": 60,
    "inverse": 60,
    "quanto": 60,
    "deductions given": 30,
    "deductions derived": 60,
    "guard matters": 2,
    "rerank matters": 3,
    "split matters": 10,
} | {
    f"{choice} {value}": 2
    for choice, values in {
        "score": (
            *("bitmex", "binance", "hyperliquid", "hyperliquid_recovered"),
            *("okx", "htx", "extended", "profit_ratio", "size"),
        ),
        "allocation": ("queue", "whole", "pro_rata_size", "pro_rata_profit", "leverage_fill"),
        "price": ("bankruptcy", "mark", "mark_capped", "previous_mark"),
        "guard": ("none", "solvent"),
        "split": ("maintenance_margin", "notional"),
        "rerank": ("never", "each"),
    }.items()
    for value in values
}


@pytest.mark.slow
def test_scenarios_reach_every_rule() -> None:
    seen: Counter[str] = Counter()

    def collect(scenario: Raw) -> None:
        output = run(scenario)
        seen.update(features(scenario, output))
        seen.update(choices_that_matter(scenario, output))

    kinds = (scenarios(), scenarios(always_liquidity=True, max_accounts=6), scenarios(policy=policies()))
    collect_from(kinds, collect, runs=36)
    missed = {name: (seen[name], least) for name, least in REACHED.items() if seen[name] < least}
    assert not missed


def collect_from(
    kinds: Sequence[st.SearchStrategy[Raw]], collect: Callable[[Raw], None], *, runs: int
) -> None:
    run_examples = settings(
        max_examples=20,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    for number in range(runs):  # many short runs, for within one run examples resemble each other
        seed(number)(run_examples(given(kinds[number % len(kinds)])(collect)))()


def choices_that_matter(scenario: Raw, output: Raw) -> set[str]:
    """The choices whose other value would have led elsewhere."""
    found = set()
    for choice, value, other in (
        ("guard", "solvent", "none"),
        ("rerank", "each", "never"),
        ("split", "notional", "maintenance_margin"),
    ):
        if output["policy"][choice] == value:
            changed = run(scenario | {"policy": output["policy"] | {choice: other}})
            if changed["ticks"] != output["ticks"]:
                found.add(f"{choice} matters")
    return found


MORE_REACHED = {
    f"{choice} {value}": 1
    for choice, values in MORE_CHOICES.items()
    for value in values
    if value != DEFAULTS[choice]
} | {"then": 1, "fund limits": 2, "refused": 1, "paid by the pool": 2, "fund gains by rounding": 2}


#: What a value needs beside it to show.
SHOWN_BY = {"fraction": {"fraction": "0.4"}, "matched": {"socialization": "open_interest"}}


@pytest.mark.slow
def test_every_choice_of_section_9_makes_a_difference() -> None:
    seen: Counter[str] = Counter()

    def collect(scenario: Raw) -> None:
        for name in [name for name, least in MORE_REACHED.items() if seen[name] < least]:
            choice, _, value = name.partition(" ")
            if choice in DEFAULTS and value:
                seen[name] += makes_a_difference(scenario, choice, value)
        seen.update(features_of_section_9(scenario, run(scenario)))

    kinds = (
        scenarios(wide=True, max_accounts=9),
        scenarios(wide=True, max_accounts=6, always_liquidity=True),
    )
    collect_from(kinds, collect, runs=40)
    missed = {name: (seen[name], least) for name, least in MORE_REACHED.items() if seen[name] < least}
    assert not missed


@pytest.mark.slow
def test_every_field_of_partial_close_outs_makes_a_difference() -> None:
    """R101."""
    seen: Counter[str] = Counter()
    others = {
        "slice": None,
        "slice_above": "0",
        "cooldown": 0,
        "in_cooldown": "whole",
        "step_down": False,
    } | {"bankrupt": "book"}

    def collect(scenario: Raw) -> None:
        liquidity = scenario["liquidity"]
        for name, other in others.items():
            if liquidity.get(name, other) != other:
                changed = scenario | {"liquidity": liquidity | {name: other}}
                seen[name] += run(changed)["ticks"] != run(scenario)["ticks"]
            elif name == "in_cooldown":
                changed = scenario | {"liquidity": liquidity | {name: "wait"}}
                seen[name] += run(changed)["ticks"] != run(scenario)["ticks"]

    collect_from([scenarios(always_liquidity=True, max_accounts=6)], collect, runs=60)
    assert all(seen[name] for name in others), seen


def makes_a_difference(scenario: Raw, choice: str, value: str) -> bool:
    """Whether one value, and nothing else, leads elsewhere than the first; a score need only have ranked."""
    policy = alone(choice, value) | SHOWN_BY.get(value, {})
    if scenario.get("fund") and value == "drawdown":
        scenario = scenario | {"fund": scenario["fund"] | {"max_drawdown": None}}
    output = run(scenario | {"policy": policy})
    if choice == "score":
        return any(fill["rank"] > 1 for tick in output["ticks"] for fill in tick["adl_fills"])
    changed = run(scenario | {"policy": policy | {choice: DEFAULTS[choice]}})
    return any(changed[name] != output[name] for name in ("positions", "accounts"))


def features_of_section_9(scenario: Raw, output: Raw) -> Iterator[str]:
    policy, fund = output["policy"], scenario.get("fund") or {}
    if "then" in policy:
        without_keys = run(scenario | {"policy": policy | {"then": []}} if "seed" not in policy else scenario)
        if without_keys["accounts"] != output["accounts"]:
            yield "then"
    unlimited = {name: value for name, value in fund.items() if name not in ("limits", "daily_share")}
    if unlimited != fund and run(scenario | {"fund": unlimited})["fund"] != output["fund"]:
        yield "fund limits"
    for tick in output["ticks"]:
        if tick.get("refused"):
            yield "refused"
        if any(fill["bankrupt"] == "fund" for fill in tick["adl_fills"]):
            yield "paid by the pool"
        if any(entry["account"] == "fund" for entry in tick["socialized"]):
            yield "fund gains by rounding"


def test_r16_ties_go_to_the_smaller_id() -> None:
    third = Fraction(2, 3)
    assert largest_remainders(2, {"b": third, "a": third, "c": third}) == {"a": 1, "b": 1, "c": 0}
    assert largest_remainders(-1, {"a": Fraction(-1, 4), "b": Fraction(-3, 4)}) == {"a": 0, "b": -1}


def test_r10_release_is_truncated() -> None:
    account = Account("a", "a", 0)
    account.open_rows["X", -1] = row = Row("X", -1, 3, -10)
    assert close(account, row, 1, -5) == -2  # releases -3, not -4
    assert (account.cash, row.entry_value, row.lots) == (-2, -7, 2)


def test_r12_opposite_row_is_closed_first() -> None:
    fund = Account("fund", "fund", 0)
    fund.open_rows["X", 1] = Row("X", 1, 2, 20)
    take(fund, "X", -1, 5, -53)  # two lots net for 21, three open for what remains of -53
    assert fund.cash == 1
    assert fund.rows() == [Row("X", -1, 3, -32)]


def candidate(
    account: str, lots: int, *, profit: int = 0, gross: int = 0, equity: int = 0, tier: int = 0
) -> Candidate:
    return Candidate(account, 0, 0.0, tier, lots, profit, gross, equity, Fraction(1))


def test_r43_whole_skips_what_does_not_fit() -> None:
    ranked = [candidate("a", 4), candidate("b", 7), candidate("c", 3), candidate("d", 1)]
    assert quotas({"allocation": "whole"}, 8, ranked) == {"a": 4, "b": 0, "c": 3, "d": 1}


def test_r43_profit_shares_saturate_then_losers_share_by_size() -> None:
    ranked = [
        candidate("a", 2, profit=100),
        candidate("b", 9, profit=10),
        candidate("c", 4),
        candidate("d", 2),
    ]
    assert quotas({"allocation": "pro_rata_profit"}, 5, ranked) == {"a": 2, "b": 3, "c": 0, "d": 0}
    assert quotas({"allocation": "pro_rata_profit"}, 14, ranked) == {"a": 2, "b": 9, "c": 2, "d": 1}


def test_r43_a_tier_is_used_up_before_the_next() -> None:
    ranked = [candidate("a", 2), candidate("b", 2), candidate("c", 5, tier=1), candidate("d", 5, tier=1)]
    assert quotas({"allocation": "pro_rata_size"}, 7, ranked) == {"a": 2, "b": 2, "c": 2, "d": 1}


def test_r43_leverage_comes_down_to_one_level() -> None:
    ranked = [
        candidate(key, lots, gross=10 * lots, equity=100) for key, lots in (("p", 100), ("r", 60), ("s", 30))
    ]
    ten = [Candidate(**{**vars(one), "unit_notional": Fraction(10)}) for one in ranked]
    assert quotas({"allocation": "leverage_fill"}, 70, ten) == {"p": 55, "r": 15, "s": 0}


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 10**6)), min_size=1, max_size=8), st.data())
def test_capped_shares_are_proportional_below_the_cap(
    pairs: list[tuple[int, int]], data: st.DataObject
) -> None:
    caps = {str(index): cap for index, (cap, _) in enumerate(pairs)}
    weights = {str(index): weight for index, (_, weight) in enumerate(pairs)}
    total = data.draw(st.integers(0, sum(caps.values())))
    shares = capped_shares(total, caps, weights)
    assert sum(shares.values()) == total
    rates = {key: Fraction(shares[key]) / weights[key] for key in caps}
    assert all(0 <= shares[key] <= caps[key] for key in caps)
    assert all(shares[key] == caps[key] or rates[key] == max(rates.values()) for key in caps)


def test_r66_a_policy_object_without_preset_starts_from_first_values() -> None:
    assert resolve("bitmex")["split"] == "notional"
    assert resolve({})["split"] == "maintenance_margin"
    assert resolve({"preset": "okx_2025", "price": "bankruptcy"})["price"] == "bankruptcy"
    assert resolve({"space": "wealth", "preset": "bitmex"})["allocation"] == "pro_rata_profit"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (Fraction(280772, 3000), "93.5906666667"),
        (Fraction(10**15 + 5), "1000000000000000"),
        (Fraction(1234567890125, 10), "123456789012"),
        (Fraction(1234567890135, 10**9), "1234.56789014"),
        (Fraction(1, 3 * 10**9), "0.000000000333333333333"),
        (Fraction(9999999999999), "10000000000000"),
        (Fraction(0), "0"),
    ],
)
def test_r72_prices(number: Fraction, text: str) -> None:
    assert significant(number) == text


def test_r72_money_and_ratios() -> None:
    assert (fixed(-5, 2), fixed(0, 2), fixed(-7, 0), fixed(12345, 8)) == ("-0.05", "0.00", "-7", "0.00012345")
    assert plain(Fraction(-41000, 1000)) == "-41"
    assert str(ratio(-0.0)) == "0.0"
    assert ratio(2 / 3) == 0.666666666667
