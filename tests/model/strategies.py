"""Hypothesis strategies for valid scenarios (section 6), biased to bankruptcies, ties and ugly rounding."""

from typing import Any

from hypothesis import strategies as st

from model.draws import Draw, Raw, chance, money, one_of, percents_of_price, whole_number
from model.formats import plain
from model.holdings import Listed, draw_holders, draw_instrument, draw_listing, draw_reserved_rows
from model.policy import CHOICES, PRESETS

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


@st.composite
def scenarios(
    draw: Draw,
    *,
    policy: st.SearchStrategy[Any] | None = None,
    max_accounts: int = 12,
    max_ticks: int = 4,
    always_liquidity: bool = False,
) -> Raw:
    """A valid scenario; `policy` replaces the strategy of that field."""
    decimals = draw(one_of(*DECIMALS))
    listing = draw_listing(draw, decimals)
    scenario: Raw = {"currency": {"code": "USDC", "decimals": decimals}}
    if decimals == 6 and chance(draw, 2):
        del scenario["currency"]
    accounts, positions, typical = draw_holders(draw, listing, max_accounts, decimals)
    positions += draw_reserved_rows(draw, listing, positions)
    ticks = draw_ticks(draw, listing, max_ticks)
    scenario["instruments"] = [draw_instrument(draw, listed) for listed in listing]
    mark_first(draw, scenario["instruments"], listing, ticks)
    scenario |= {"accounts": accounts, "positions": positions}
    scenario |= draw_fund(draw, typical, decimals)
    scenario |= draw_policy(draw) if policy is None else {"policy": draw(policy)}
    scenario |= draw_liquidity(draw, listing, always_liquidity)
    scenario["ticks"] = ticks
    if chance(draw, 3):
        spell_integers(scenario)
    return scenario


def draw_ticks(draw: Draw, listing: list[Listed], max_ticks: int) -> list[Raw]:
    ticks: list[Raw] = []
    time = 0
    for _ in range(draw(one_of(1, 2, 1, 2, 3, 2, 4, 1, 3, 2, 1, 0))):
        marks = {}
        for listed in listing:
            if not chance(draw, 4):
                marks[listed.symbol] = plain(listed.price * draw(percents_of_price))
        tick: Raw = {"marks": marks}
        if chance(draw, 2):
            time += draw(one_of(0, 1, 30, 61, 40_000))
            tick["time"] = time
        ticks.append(tick)
    return ticks[:max_ticks]


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
    model: Raw = {"model": "fixed", "depth": depth}
    model |= {name: value for name, value in given.items() if value is not None}
    return {"liquidity": model}


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
