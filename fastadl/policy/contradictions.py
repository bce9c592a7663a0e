"""Choices that exclude each other (rules R45, R81)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastadl.policy.choices import FIRST_ALLOCATIONS

__all__ = ["CONTRADICTIONS", "Contradiction"]


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Choices that exclude each other, and which of them to change."""

    choice: str
    between: Callable[[Any], bool]
    remedy: str
    rule: str


def _in_contract(p: Any) -> bool:
    return bool(p.space == "contract")


CONTRADICTIONS = (
    Contradiction(
        "guard",
        lambda p: _in_contract(p) and p.guard != "none" and p.allocation == "whole",
        "take guard none or another allocation: whole positions cannot be cut",
        "R45",
    ),
    Contradiction(
        "guard",
        lambda p: _in_contract(p) and p.guard != "none" and p.price == "entry",
        "take guard none or another price: at his own entry price nobody can be protected",
        "R81",
    ),
    Contradiction(
        "guard",
        lambda p: _in_contract(p) and p.guard == "health" and p.price == "mark",
        "take guard none or another price: a fill at mark never lowers health",
        "R81",
    ),
    Contradiction(
        "allocation",
        lambda p: p.space == "wealth" and p.allocation not in FIRST_ALLOCATIONS,
        "take space contract: no lots are allocated in wealth space",
        "R81",
    ),
    Contradiction(
        "socialization",
        lambda p: _in_contract(p) and p.socialization != "profit",
        "take space wealth: losses are charged in cash there only",
        "R81",
    ),
    Contradiction(
        "severity",
        lambda p: _in_contract(p) and p.severity in ("matched", "trigger_loss"),
        "take space wealth, or severity full or fraction",
        "R81",
    ),
    Contradiction(
        "severity",
        lambda p: p.severity == "trigger_loss" and p.socialization == "clawback",
        "take another severity: the debts of a session were detected in other ticks",
        "R91",
    ),
    Contradiction(
        "trigger",
        lambda p: p.space == "wealth" and p.trigger in ("unfilled", "pool_profit"),
        "take space contract: there is no loss to charge",
        "R81",
    ),
    Contradiction(
        "price",
        lambda p: p.trigger == "pool_profit" and p.price not in ("mark", "oracle"),
        "take price mark or oracle: the pool pays what a position is worth",
        "R81",
    ),
    Contradiction(
        "severity",
        lambda p: p.trigger == "pool_profit" and p.severity != "full",
        "take severity full: the pool's limits say how much",
        "R81",
    ),
)
