"""The values of every choice, and the names they go by (rules R66, R80)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

from fastadl.errors import InputError

__all__ = [
    "CHOICES",
    "FIRST_ALLOCATIONS",
    "FIRST_CHOICES",
    "Allocation",
    "Guard",
    "Price",
    "Rerank",
    "Score",
    "Severity",
    "Socialization",
    "Space",
    "Split",
    "Tiers",
    "Trigger",
    "alone",
    "nearest",
    "one_of",
]

Trigger: TypeAlias = Literal["bankrupt", "none", "unfilled", "drawdown", "pool_profit"]
Space: TypeAlias = Literal["contract", "wealth"]
Score: TypeAlias = Literal[
    "bitmex",
    "binance",
    "hyperliquid",
    "hyperliquid_recovered",
    "okx",
    "htx",
    "extended",
    "profit_ratio",
    "size",
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
]
Allocation: TypeAlias = Literal[
    "queue",
    "whole",
    "pro_rata_size",
    "pro_rata_profit",
    "leverage_fill",
    "pro_rata_equity",
    "capped_pro_rata",
    "risk_aware",
    "quadratic_projection",
    "factor_fill",
    "min_max",
]
Price: TypeAlias = Literal["bankruptcy", "mark", "mark_capped", "previous_mark", "oracle", "entry"]
Guard: TypeAlias = Literal["none", "solvent", "health"]
Split: TypeAlias = Literal["maintenance_margin", "notional"]
Rerank: TypeAlias = Literal["never", "each"]
Tiers: TypeAlias = Literal["given", "delta_neutral", "delta_neutral_flagged"]
Severity: TypeAlias = Literal["full", "matched", "fraction", "trigger_loss"]
Socialization: TypeAlias = Literal[
    "profit",
    "profit_floor",
    "haircut",
    "open_interest",
    "opposite_side",
    "session_profit",
    "clawback",
]

#: Choice → its values; the first is the one taken when nothing is said.
CHOICES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "trigger": get_args(Trigger),
        "space": get_args(Space),
        "score": get_args(Score),
        "allocation": get_args(Allocation),
        "price": get_args(Price),
        "guard": get_args(Guard),
        "split": get_args(Split),
        "rerank": get_args(Rerank),
        "tiers": get_args(Tiers),
        "severity": get_args(Severity),
        "socialization": get_args(Socialization),
    }
)
#: The choices of rule R66, which every result shows.
FIRST_CHOICES = tuple(CHOICES)[:8]

#: Allocations of rule R43, which wealth space passes over in silence.
FIRST_ALLOCATIONS = CHOICES["allocation"][:5]


def alone(choice: str, value: str) -> dict[str, str]:
    """One value of one choice, with what it does not go without (rule R81)."""
    if value == "pool_profit":
        return {choice: value, "price": "mark"}
    if value in (*CHOICES["socialization"][1:], "matched", "trigger_loss"):
        return {choice: value, "space": "wealth"}
    return {choice: value}


def nearest(name: object, known: Iterable[str]) -> str:
    """The ending of a remedy that suggests a known name; empty if none is near."""
    close = difflib.get_close_matches(str(name).casefold(), list(known), n=1, cutoff=0.5)
    close = close or difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def one_of(path: tuple[str, ...], value: object, allowed: tuple[str, ...]) -> str:
    """The value, if it is one of those allowed."""
    if not isinstance(value, str) or value not in allowed:
        raise InputError(path, value, f"take one of {', '.join(allowed)}{nearest(value, allowed)}")
    return value
