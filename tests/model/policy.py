"""R66, R67, R68: the choices, resolved."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from model.exact import decimal

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

PRESETS: dict[str, dict[str, str]] = {
    "bitmex": {"split": "notional"},
    "binance_2025": {"score": "binance"},
    "okx_2025": {"score": "okx", "price": "mark"},
    "hyperliquid_2025": {"score": "hyperliquid", "price": "previous_mark", "split": "notional"},
    "extended_2026": {"score": "extended"},
}


def resolve(policy: str | dict[str, str]) -> dict[str, str]:
    """R66: start from the preset, or from the first value of every list."""
    given = {"preset": policy} if isinstance(policy, str) else dict(policy)
    preset = given.pop("preset", None)
    resolved = {choice: values[0] for choice, values in CHOICES.items()}
    resolved |= PRESETS[preset] if preset is not None else {}
    resolved |= given
    if resolved["space"] == "wealth":
        resolved["allocation"] = "pro_rata_profit"
    return resolved


@dataclass(frozen=True)
class FundRule:
    """The limits of R27, in atoms and seconds."""

    min_equity: Fraction
    max_drawdown: Fraction | None
    peak_window: int


def fund_rule(raw: dict[str, Any] | None, decimals: int) -> FundRule:
    given = raw or {}
    drawdown = given.get("max_drawdown")
    return FundRule(
        decimal(given.get("min_equity", "0")) * 10**decimals,
        None if drawdown is None else decimal(drawdown),
        given.get("peak_window", 28800),
    )


@dataclass(frozen=True)
class Liquidity:
    """R68. Depth in quantity."""

    depth: dict[str, Fraction]
    slippage: Fraction
    fee: Fraction
    surplus: str


def liquidity_model(raw: dict[str, Any] | None) -> Liquidity | None:
    if raw is None:
        return None
    return Liquidity(
        {symbol: decimal(depth) for symbol, depth in raw.get("depth", {}).items()},
        decimal(raw.get("slippage", "0")),
        decimal(raw.get("fee", "0")),
        raw.get("surplus", "trader"),
    )
