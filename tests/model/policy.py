"""R66, R67, R68, R80, R81, R89, R96: the choices and their numbers, resolved."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from model.exact import decimal
from model.formats import plain

Policy = dict[str, Any]

CHOICES: dict[str, tuple[str, ...]] = {
    "trigger": ("bankrupt", "none"),
    "space": ("contract", "wealth"),
    "score": (
        "bitmex",
        "binance",
        "hyperliquid",
        "hyperliquid_recovered",
        "okx",
        "htx",
        "extended",
        "profit_ratio",
        "size",
    ),
    "allocation": ("queue", "whole", "pro_rata_size", "pro_rata_profit", "leverage_fill"),
    "price": ("bankruptcy", "mark", "mark_capped", "previous_mark"),
    "guard": ("none", "solvent"),
    "split": ("maintenance_margin", "notional"),
    "rerank": ("never", "each"),
}

#: R80: further values of the same choices, and further choices.
MORE_CHOICES: dict[str, tuple[str, ...]] = {
    "trigger": ("unfilled", "drawdown", "pool_profit"),
    "score": (
        "bitget_a",
        "bitget_c",
        "gate_2022",
        "kucoin_v1",
        "leverage",
        "profit",
        "low_cash",
        "newest",
        "given",
        "random",
    ),
    "allocation": (
        "pro_rata_equity",
        "capped_pro_rata",
        "risk_aware",
        "quadratic_projection",
        "factor_fill",
        "min_max",
    ),
    "price": ("oracle", "entry"),
    "guard": ("health",),
    "tiers": ("given", "delta_neutral", "delta_neutral_flagged"),
    "severity": ("full", "matched", "fraction", "trigger_loss"),
    "socialization": (
        "profit",
        "profit_floor",
        "haircut",
        "open_interest",
        "opposite_side",
        "session_profit",
        "clawback",
    ),
}

#: R80: what is taken unless given. Numbers are Fractions, whole numbers integers.
DEFAULTS: Policy = {choice: values[0] for choice, values in CHOICES.items()} | {
    "then": [],
    "tiers": "given",
    "severity": "full",
    "socialization": "profit",
}
PARAMETERS: Policy = {
    "seed": 0,
    "delta_limit": Fraction("0.05"),
    "max_share": Fraction("0.5"),
    "exponent": 1,
    "min_leverage": Fraction(0),
    "betas": {},
    "fraction": Fraction(1),
    "session": 86400,
    "drawdown_start": Fraction("0.3"),
    "drawdown_stop": Fraction("0.25"),
    "drawdown_scope": "fund",
    "drawdown_reference": "peak",
    "drawdown_amount": Fraction(0),
    "drawdown_window": 28800,
    "pool_max": Fraction("0.5"),
    "pool_min": Fraction(0),
}

BOTH_SIDES: Policy = {"space": "wealth", "socialization": "open_interest"}
PRESETS: dict[str, Policy] = {
    "bitmex": {"split": "notional"},
    "binance_2025": {"score": "binance"},
    "okx_2025": {"score": "okx", "price": "mark"},
    "hyperliquid_2025": {"score": "hyperliquid", "price": "previous_mark", "split": "notional"},
    "extended_2026": {"score": "extended"},
}
MORE_PRESETS: dict[str, Policy] = {
    "bybit_2025": {"trigger": "drawdown", "drawdown_scope": "symbol", "tiers": "delta_neutral_flagged"},
    "bitget_2025a": {"trigger": "drawdown", "drawdown_stop": "0.27", "score": "bitget_a"},
    "bitget_2025c": {"trigger": "drawdown", "drawdown_stop": "0.27", "score": "bitget_c", "price": "entry"},
    "gate_2022": {"score": "gate_2022", "rerank": "each"},
    "kucoin_v1": {"score": "kucoin_v1"},
    "kucoin_2025": {"trigger": "unfilled", "score": "bitmex"},
    "htx": {"trigger": "drawdown", "drawdown_scope": "symbol", "score": "htx"},
    "deribit": {"space": "wealth", "socialization": "session_profit"},
    "aevo": {"score": "binance", "price": "mark"},
    "aster": {"score": "binance"},
    "ethereal": {"score": "leverage", "then": ["profit", "low_cash", "newest"], "price": "mark_capped"},
    "lighter_2025": {"score": "bitmex", "guard": "health"},
    "hyperliquid_recovered": {
        "score": "hyperliquid_recovered",
        "price": "previous_mark",
        "split": "notional",
    },
    "dydx_v4": {"score": "random", "guard": "solvent"},
    "gmx_v2": {
        "trigger": "pool_profit",
        "pool_max": "0.85",
        "pool_min": "0.77",
        "score": "profit",
        "price": "oracle",
    },
    "drift_v2": BOTH_SIDES,
    "vertex": BOTH_SIDES,
    "mango_v4": BOTH_SIDES,
    "vega": {"space": "wealth", "socialization": "profit_floor"},
    "percolator": {"allocation": "pro_rata_size"},
    "pro_rata": {"allocation": "pro_rata_profit"},
    "capped_pro_rata": {"allocation": "capped_pro_rata"},
    "risk_aware": {"allocation": "risk_aware"},
    "leverage_fill": {"allocation": "leverage_fill"},
    "factor_fill": {"allocation": "factor_fill"},
    "min_max": {"allocation": "min_max"},
    "quadratic_projection": {"allocation": "quadratic_projection"},
}


def resolve(policy: str | Policy) -> Policy:
    """R66, R80: from the preset, or from the first value of every list; only parameters that are used."""
    given = {"preset": policy} if isinstance(policy, str) else dict(policy)
    preset = given.pop("preset", None)
    named = (PRESETS | MORE_PRESETS)[preset] if preset is not None else {}
    resolved = DEFAULTS | named | given
    for name in PARAMETERS:
        if used(resolved, name):
            resolved[name] = read(name, resolved.get(name, usual(resolved, name)))
        else:
            resolved.pop(name, None)
    if resolved["space"] == "wealth":
        resolved["allocation"] = "pro_rata_profit"
    return resolved


def used(policy: Policy, parameter: str) -> bool:
    """The second column of the parameters of R80."""
    if parameter == "seed":
        return "random" in (policy["score"], *policy["then"])
    if parameter == "delta_limit":
        return bool(policy["tiers"] != "given")
    if parameter == "session":
        return policy["socialization"] in ("session_profit", "clawback")
    if parameter in ("drawdown_reference", "drawdown_amount"):
        return bool(policy["trigger"] == "drawdown" and policy.get("drawdown_scope", "fund") == "fund")
    choice, value = {
        "max_share": ("allocation", "capped_pro_rata"),
        "exponent": ("allocation", "risk_aware"),
        "min_leverage": ("allocation", "risk_aware"),
        "betas": ("allocation", "factor_fill"),
        "fraction": ("severity", "fraction"),
        "pool_max": ("trigger", "pool_profit"),
        "pool_min": ("trigger", "pool_profit"),
    }.get(parameter, ("trigger", "drawdown"))
    return bool(policy[choice] == value)


def usual(policy: Policy, parameter: str) -> Any:
    """What is taken unless given; a stop never lies above its start."""
    if parameter == "drawdown_stop":
        return min(PARAMETERS["drawdown_stop"], policy["drawdown_start"])
    return PARAMETERS[parameter]


def read(parameter: str, value: Any) -> Any:
    if parameter == "betas":
        return {symbol: decimal(beta) for symbol, beta in value.items()}
    return decimal(value) if isinstance(PARAMETERS[parameter], Fraction) else value


def shown(policy: Policy) -> Policy:
    """R81: the eight choices of R66, then whatever is not as it is unless given."""
    result = {choice: policy[choice] for choice in CHOICES}
    for choice in ("then", "tiers", "severity", "socialization"):
        if policy[choice] != DEFAULTS[choice]:
            result[choice] = list(policy[choice]) if choice == "then" else policy[choice]
    for name in PARAMETERS:
        if name in policy and policy[name] != usual(policy, name):
            result[name] = spell(policy[name])
    return result


def spell(value: Any) -> Any:
    if isinstance(value, dict):
        return {symbol: plain(beta) for symbol, beta in value.items()}
    return plain(value) if isinstance(value, Fraction) else value


@dataclass(frozen=True)
class Limit:
    """R89, for one symbol; None where there is none. `max_loss` in atoms."""

    max_loss: Fraction | None
    daily_share: Fraction | None


@dataclass(frozen=True)
class FundRule:
    """The limits of R27 and R89, in atoms and seconds."""

    min_equity: Fraction
    max_drawdown: Fraction | None
    peak_window: int
    daily_share: Fraction | None = None
    limits: dict[str, Limit] = field(default_factory=dict)


def fund_rule(raw: dict[str, Any] | None, decimals: int) -> FundRule:
    given = raw or {}
    limits = {}
    for symbol, limit in given.get("limits", {}).items():
        max_loss, share = optional(limit.get("max_loss")), optional(limit.get("daily_share"))
        limits[symbol] = Limit(None if max_loss is None else max_loss * 10**decimals, share)
    return FundRule(
        decimal(given.get("min_equity", "0")) * 10**decimals,
        optional(given.get("max_drawdown")),
        given.get("peak_window", 28800),
        optional(given.get("daily_share")),
        limits,
    )


def optional(number: str | int | None) -> Fraction | None:
    return None if number is None else decimal(number)


@dataclass(frozen=True)
class Liquidity:
    """R68, R101. Depth in quantity, `slice_above` in units of the currency."""

    depth: dict[str, Fraction]
    slippage: Fraction
    fee: Fraction
    surplus: str
    slice: Fraction | None
    slice_above: Fraction
    cooldown: int
    in_cooldown: str
    step_down: bool
    bankrupt: str


def liquidity_model(raw: dict[str, Any] | None) -> Liquidity | None:
    if raw is None:
        return None
    return Liquidity(
        {symbol: decimal(depth) for symbol, depth in raw.get("depth", {}).items()},
        decimal(raw.get("slippage", "0")),
        decimal(raw.get("fee", "0")),
        raw.get("surplus", "trader"),
        optional(raw.get("slice")),
        decimal(raw.get("slice_above", "0")),
        raw.get("cooldown", 0),
        raw.get("in_cooldown", "wait"),
        raw.get("step_down", False),
        raw.get("bankrupt", "book"),
    )
