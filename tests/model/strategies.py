"""Hypothesis strategies for valid scenarios (section 6), biased to bankruptcies, ties and ugly rounding."""

from typing import Any

from hypothesis import strategies as st

from model.draws import Draw, Raw, chance, money, one_of, percents_of_price, whole_number
from model.formats import plain
from model.holdings import SYMBOLS, Listed, draw_holders, draw_instrument, draw_listing, draw_reserved_rows
from model.policy import CHOICES, MORE_CHOICES, MORE_PRESETS, PARAMETERS, PRESETS, resolve, used

DECIMALS = (2, 0, 6, 8, 1, 3, 4, 5, 7)
FUND_PERCENT = (0, 0, 0, 1, 5, 20, 100, 1000, -10)
DEPTH_LOTS = (1000, 10, 200, 3, 0, 60)


choices: dict[str, st.SearchStrategy[str | None]] = {
    "preset": one_of(*[None] * 4, *PRESETS),
    "trigger": one_of(*[None] * 8, "bankrupt", "none"),
    "space": one_of(*[None] * 3, "contract", "wealth"),
} | {
    choice: one_of(None, *CHOICES[choice])
    for choice in ("score", "allocation", "price", "guard", "split", "rerank")
}

DAYS_AND_SESSIONS = (0, 1, 30, 61, 40_000, 50_000, 86_400, 200_000)
SCORES = (*CHOICES["score"], *MORE_CHOICES["score"] * 2)

# What a policy of section 9 is drawn from: choices by what it is about, and values of every parameter.
themes = one_of(*["contract"] * 6, *["wealth"] * 4, *["pool"] * 2, "preset")
wide_choices: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "contract": {
        "trigger": one_of(None, None, "unfilled", "unfilled", "drawdown", "drawdown", "none"),
        "score": one_of(*SCORES),
        "then": one_of(
            None, None, ("random",), ("size", "newest"), ("leverage", "profit", "low_cash", "given")
        ),
        "tiers": one_of(None, *MORE_CHOICES["tiers"]),
        "allocation": one_of(None, *CHOICES["allocation"], *MORE_CHOICES["allocation"] * 3),
        "price": one_of(None, *CHOICES["price"], *MORE_CHOICES["price"] * 2),
        "guard": one_of(None, None, "solvent", "health", "health", "health"),
        "severity": one_of(None, None, None, "full", "fraction"),
        "split": one_of(None, *CHOICES["split"]),
        "rerank": one_of(None, *CHOICES["rerank"]),
    },
    "wealth": {
        "space": st.just("wealth"),
        "trigger": one_of(None, None, None, None, "drawdown", "drawdown", "none"),
        "socialization": one_of(None, *MORE_CHOICES["socialization"]),
        "severity": one_of(None, None, "matched", "matched", "trigger_loss", "fraction"),
        "split": one_of(None, *CHOICES["split"]),
        "score": one_of(None, None, "random", "size"),
    },
    "pool": {
        "trigger": st.just("pool_profit"),
        "score": one_of(*SCORES),
        "then": one_of(None, None, ("random",), ("size", "newest")),
        "tiers": one_of(None, *MORE_CHOICES["tiers"]),
        "price": one_of("mark", "oracle", "oracle"),
        "rerank": one_of(None, *CHOICES["rerank"]),
    },
    "preset": {"preset": one_of(*MORE_PRESETS), "split": one_of(None, None, *CHOICES["split"])},
}
parameters: dict[str, st.SearchStrategy[Any]] = {
    "seed": one_of(None, 0, 1, 2**63 - 1),
    "delta_limit": one_of(None, "0.5", "0", 1, "0.90", "0.5"),
    "max_share": one_of(None, "1", "0.3", "0.01", "0.999"),
    "exponent": one_of(None, 0, 1, 2, 3, 4),
    "min_leverage": one_of(None, "1", "0.1", 2, "7.5"),
    "betas": st.dictionaries(one_of(*SYMBOLS), one_of("0.5", 2, "0.01", "1.30"), max_size=4),
    "fraction": one_of("0.5", None, "0", 1, "0.333", "0.99"),
    "session": one_of(None, 60, 1, 3600, 86_400, 100_000),
    "drawdown_start": one_of(None, "0.2", "0.05", "1", "0.5"),
    "drawdown_stop": one_of(None, None, "0.04", "0.01", "0.05"),
    "drawdown_scope": one_of(None, "symbol", "symbol", "fund"),
    "drawdown_reference": one_of(None, "mean", "mean", "peak"),
    "drawdown_amount": one_of(None, None, "0.01", 7, "1000", "250000.5"),
    "drawdown_window": one_of(None, None, 60, 1, 90_000),
    "pool_max": one_of(None, "0.85", "0.10", "0", "0.77", 1, "2.5"),
    "pool_min": one_of(None, "0.1", "0.07", "0"),
}


@st.composite
def scenarios(
    draw: Draw,
    *,
    policy: st.SearchStrategy[Any] | None = None,
    max_accounts: int = 12,
    max_ticks: int = 4,
    always_liquidity: bool = False,
    wide: bool = False,
) -> Raw:
    """A valid scenario; `policy` replaces the strategy of that field, `wide` draws what section 9 adds."""
    decimals = draw(one_of(*DECIMALS))
    listing = draw_listing(draw, decimals)
    scenario: Raw = {"currency": {"code": "USDC", "decimals": decimals}}
    if decimals == 6 and chance(draw, 2):
        del scenario["currency"]
    accounts, positions, typical = draw_holders(draw, listing, max_accounts, decimals)
    positions += draw_reserved_rows(draw, listing, positions)
    ticks = draw_ticks(draw, listing, max_ticks, wide=wide)
    scenario["instruments"] = [draw_instrument(draw, listed) for listed in listing]
    mark_first(draw, scenario["instruments"], listing, ticks)
    scenario |= {"accounts": accounts, "positions": positions}
    scenario |= draw_fund(draw, typical, decimals)
    if policy is None:
        scenario |= {"policy": draw(wide_policies())} if wide else draw_policy(draw)
    else:
        scenario["policy"] = draw(policy)
    if wide:
        limit_fund(draw, scenario, listing, typical, decimals)
        fit_policy(scenario, listing)
    scenario |= draw_liquidity(draw, listing, always_liquidity)
    if (scenario.get("liquidity") or {}).get("cooldown"):
        hold_prices(draw, ticks)
    scenario["ticks"] = ticks
    if chance(draw, 3):
        spell_integers(scenario)
    return scenario


def draw_ticks(draw: Draw, listing: list[Listed], max_ticks: int, *, wide: bool) -> list[Raw]:
    ticks: list[Raw] = []
    time = 0
    for _ in range(draw(one_of(1, 2, 1, 2, 3, 2, 4, 1, 3, 2, 1, 0))):
        marks = {}
        for listed in listing:
            if not chance(draw, 4):
                marks[listed.symbol] = plain(listed.price * draw(percents_of_price))
        tick: Raw = {"marks": marks}
        if wide and chance(draw, 2):
            tick["oracle"] = {
                listed.symbol: plain(listed.price * draw(percents_of_price))
                for listed in listing
                if not chance(draw, 4)
            }
        if chance(draw, 2):
            time += draw(one_of(*DAYS_AND_SESSIONS) if wide else one_of(0, 1, 30, 61, 40_000))
            tick["time"] = time
        ticks.append(tick)
    return ticks[:max_ticks]


def hold_prices(draw: Draw, ticks: list[Raw]) -> None:
    """Some ticks without a move, in which a sliced account is still where it was."""
    for tick in ticks[1:]:
        if chance(draw, 2):
            tick["marks"] = {}


def mark_first(draw: Draw, instruments: list[Raw], listing: list[Listed], ticks: list[Raw]) -> None:
    """The first tick marks every symbol that has no mark yet."""
    if not ticks:
        return
    for raw, listed in zip(instruments, listing, strict=True):
        if raw.get("mark") is None and listed.symbol not in ticks[0]["marks"]:
            ticks[0]["marks"][listed.symbol] = plain(listed.price * draw(percents_of_price))


def draw_fund(draw: Draw, typical: int, decimals: int) -> Raw:
    form = draw(one_of("object", "object", "object", "left out", "null"))
    if form == "left out":
        return {}
    if form == "null":
        return {"fund": None}
    fund: Raw = {"cash": money(typical * draw(one_of(*FUND_PERCENT)) // 100, decimals)}
    if chance(draw, 4):
        fund["min_equity"] = money(typical * draw(one_of(1, -5, 20)) // 100, decimals)
    if chance(draw, 3):
        fund["max_drawdown"] = draw(one_of("0.3", "0", "0.1", "0.505", "1", None))
    if chance(draw, 3):
        fund["peak_window"] = draw(one_of(28800, 60, 30, 1))
    return {"fund": fund}


def limit_fund(draw: Draw, scenario: Raw, listing: list[Listed], typical: int, decimals: int) -> None:
    """R89."""
    fund = scenario.get("fund")
    if fund is None or not chance(draw, 3):
        return
    shares = one_of(None, "0.1", "0.02", "0", 1, "0.5")
    limits: Raw = {}
    for listed in listing:
        limit = {
            "max_loss": draw(
                one_of(None, *(money(typical * percent // 100, decimals) for percent in (1, 5, 0)))
            ),
            "daily_share": draw(shares),
        }
        limits[listed.symbol] = {name: value for name, value in limit.items() if value is not None}
    daily_share = draw(shares)
    if daily_share is not None:
        fund["daily_share"] = daily_share
    if daily_share is None or chance(draw, 2):
        fund["limits"] = limits


def fit_policy(scenario: Raw, listing: list[Listed]) -> None:
    """Betas of listed symbols only; no fund limit that the policy refuses (R88)."""
    policy = scenario["policy"]
    if isinstance(policy, dict) and "betas" in policy:
        listed = {each.symbol for each in listing}
        policy["betas"] = {symbol: beta for symbol, beta in policy["betas"].items() if symbol in listed}
    if resolve(policy)["trigger"] == "drawdown" and scenario.get("fund"):
        scenario["fund"].pop("max_drawdown", None)


@st.composite
def wide_policies(draw: Draw) -> Raw:
    """A policy of section 9: any legal combination, and parameters only where they are used."""
    given = {name: draw(values) for name, values in wide_choices[draw(themes)].items()}
    policy: Raw = {name: value for name, value in given.items() if value is not None}
    if "then" in policy:
        policy["then"] = list(policy["then"])
    guard_in_vain = (
        policy.get("allocation") == "whole"
        or policy.get("price") == "entry"
        or (policy.get("price"), policy.get("guard")) == ("mark", "health")
    )
    if guard_in_vain:
        policy.pop("guard", None)
    if policy.get("socialization") == "clawback" and policy.get("severity") == "trigger_loss":
        del policy["severity"]
    for name in PARAMETERS:
        if "preset" not in policy and used(resolve(policy), name):
            value = draw(parameters[name])
            if value is not None:
                policy[name] = value
    for stop, start in (("drawdown_stop", "drawdown_start"), ("pool_min", "pool_max")):
        if stop in policy and resolve(policy)[stop] > resolve(policy)[start]:
            del policy[stop]
    return policy


def draw_policy(draw: Draw) -> Raw:
    form = draw(whole_number(0, 9))
    if form == 0:
        return {}
    if form == 1:
        return {"policy": draw(one_of(*PRESETS))}
    return {"policy": draw(policies())}


@st.composite
def policies(draw: Draw) -> dict[str, str]:
    """A policy object: any legal combination of choices, any of them left out."""
    given = {choice: draw(choices[choice]) for choice in choices}
    policy = {choice: value for choice, value in given.items() if value is not None}
    if policy.get("space") == "wealth" and "allocation" in policy:
        policy["allocation"] = "pro_rata_profit"
    if policy.get("allocation") == "whole" and policy.get("guard") == "solvent":
        policy["guard"] = "none"
    return policy


def draw_liquidity(draw: Draw, listing: list[Listed], always: bool) -> Raw:
    form = "fixed" if always else draw(one_of("left out", "fixed", "null", "fixed"))
    if form == "left out":
        return {}
    if form == "null":
        return {"liquidity": None}
    depth = {}
    for listed in listing:
        if not chance(draw, 6):
            depth[listed.symbol] = listed.quantity(draw(one_of(*DEPTH_LOTS)) * listed.multiple)
    given = {
        "slippage": draw(one_of(None, "0.01", "0.05", "0", "0.003", "0.777")),
        "fee": draw(one_of("0.001", "0.01", "0.1", "0", None)),
        "surplus": draw(one_of(None, "fund", "fund", "trader")),
    }
    if chance(draw, 2):
        given |= draw_partial(draw)
    model: Raw = {"model": "fixed", "depth": depth}
    model |= {name: value for name, value in given.items() if value is not None}
    return {"liquidity": model}


def draw_partial(draw: Draw) -> Raw:
    """R101: orders for a part, and what goes with them; where the bankrupt go."""
    given: Raw = {
        "slice": draw(one_of("0.2", "0.5", None, "0.001", "0.3334", "0.99")),
        "step_down": draw(one_of(None, True, False, True)),
        "bankrupt": draw(one_of(None, "fund", "book")),
    }
    if given["slice"] is not None:
        given["slice_above"] = draw(one_of(None, "100", None, 1, "2500.5", "0"))
    if given["slice"] is not None or given["step_down"]:
        given["cooldown"] = draw(one_of(None, 30, 1, 0, 40_000))
        given["in_cooldown"] = draw(one_of(None, "whole", "wait"))
    return given


def spell_integers(scenario: Raw) -> None:
    """Write whole decimals as JSON integers, as section 6 allows."""
    for group, fields in (
        ("instruments", ("contract_size", "lot", "mark")),
        ("accounts", ("cash",)),
        ("positions", ("qty", "entry_price", "entry_value")),
    ):
        for raw in scenario[group]:
            for name in fields:
                if isinstance(raw.get(name), str) and "." not in raw[name]:
                    raw[name] = int(raw[name])
