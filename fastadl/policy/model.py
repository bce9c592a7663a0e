"""A policy: eight independent choices (rule R66)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, get_args

from fastadl.errors import PolicyError
from fastadl.policy.venues import VENUES, CancelOrders

__all__ = ["CHOICES", "AdlPolicy", "nearest"]

Trigger: TypeAlias = Literal["bankrupt", "none"]
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
]
Allocation: TypeAlias = Literal["queue", "whole", "pro_rata_size", "pro_rata_profit", "leverage_fill"]
Price: TypeAlias = Literal["bankruptcy", "mark", "mark_capped", "previous_mark"]
Guard: TypeAlias = Literal["none", "solvent"]
Split: TypeAlias = Literal["maintenance_margin", "notional"]
Rerank: TypeAlias = Literal["never", "each"]

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
    }
)


@dataclass(frozen=True, slots=True)
class AdlPolicy:
    """How a loss that the fund does not take is shared (rules R40 to R46, R50, R51, R66).

    Parameters
    ----------
    trigger : {"bankrupt", "none"}
        Deleverage for bankrupt accounts, or never.
    space : {"contract", "wealth"}
        Lots change hands, or losses are charged in cash. In wealth space the allocation is always
        ``pro_rata_profit``, and score, price, guard and rerank are not used.
    score : str
        What candidates are ranked by (rule R46).
    allocation : str
        How many lots each candidate gives (rule R43).
    price : {"bankruptcy", "mark", "mark_capped", "previous_mark"}
        What a fill is settled at (rule R44).
    guard : {"none", "solvent"}
        Whether a fill may push its counterparty below zero (rule R45); not with ``whole``.
    split : {"maintenance_margin", "notional"}
        How the shortfall of a cross account is shared by its rows (rule R25).
    rerank : {"never", "each"}
        One ranking a tick, or a new one before every bankrupt row (rule R41).
    cancel_orders : {"none", "symbol", "account"}
        Which open orders a deleveraged trader loses; only told in ``notices``, comes with a preset.

    Raises
    ------
    PolicyError
        If a value does not exist or two choices contradict each other.

    Examples
    --------
    >>> AdlPolicy.of({"preset": "okx_2025", "allocation": "pro_rata_size"}).price
    'mark'
    """

    trigger: Trigger = "bankrupt"
    space: Space = "contract"
    score: Score = "bitmex"
    allocation: Allocation = "queue"
    price: Price = "bankruptcy"
    guard: Guard = "none"
    split: Split = "maintenance_margin"
    rerank: Rerank = "never"
    cancel_orders: CancelOrders = "none"

    def __post_init__(self) -> None:
        for choice, allowed in (*CHOICES.items(), ("cancel_orders", get_args(CancelOrders))):
            _one_of(getattr(self, choice), allowed, choice)
        if self.space == "wealth":
            object.__setattr__(self, "allocation", "pro_rata_profit")
        elif self.guard == "solvent" and self.allocation == "whole":
            raise PolicyError(
                ("policy", "guard"),
                "solvent",
                "take guard none or another allocation: whole positions cannot be cut (rule R45)",
            )

    @classmethod
    def of(cls, policy: str | Mapping[str, Any] | AdlPolicy) -> AdlPolicy:
        """A policy from the name of a preset, or from a mapping as in a scenario file (rules R66, R67).

        Parameters
        ----------
        policy : str, mapping or AdlPolicy
            A mapping starts from its ``preset``, or else from the first value of every choice.

        Raises
        ------
        PolicyError
            If a name, key or value does not exist, or two choices contradict each other.
        """
        if isinstance(policy, AdlPolicy):
            return policy
        if isinstance(policy, str):
            return cls._preset(policy, {}, ("policy",))
        if not isinstance(policy, Mapping):
            raise PolicyError(("policy",), policy, "give the name of a preset, a mapping or an AdlPolicy")
        for key in policy:
            if key not in CHOICES and key != "preset":
                raise PolicyError(
                    ("policy", str(key)), policy[key], f"no such choice{nearest(key, ('preset', *CHOICES))}"
                )
        given = {key: value for key, value in policy.items() if key != "preset"}
        if "preset" not in policy:
            return cls(**given)
        return cls._preset(policy["preset"], given, ("policy", "preset"))

    @classmethod
    def _preset(cls, name: object, given: dict[str, Any], path: tuple[str, ...]) -> AdlPolicy:
        venue = VENUES.get(name) if isinstance(name, str) else None
        if venue is None:
            raise PolicyError(path, name, f"name one of {', '.join(VENUES)}{nearest(name, VENUES)}")
        choices: dict[str, Any] = {**venue.choices, **given}
        return cls(**choices, cancel_orders=venue.cancel_orders)

    def choices(self) -> dict[str, str]:
        """The eight choices by name, as a result shows them."""
        return {choice: getattr(self, choice) for choice in CHOICES}


def nearest(name: object, known: Iterable[str]) -> str:
    """The ending of a remedy that suggests a known name; empty if none is near."""
    close = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def _one_of(value: object, allowed: tuple[str, ...], choice: str) -> None:
    if not isinstance(value, str) or value not in allowed:
        raise PolicyError(
            ("policy", choice), value, f"take one of {', '.join(allowed)}{nearest(value, allowed)} (rule R66)"
        )
