"""What a policy does, in words: every choice in a line, and the order of events."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from fastadl.policy.choices import CHOICES
from fastadl.policy.model import AdlPolicy
from fastadl.policy.own_score import OwnScore

__all__ = ["events", "meaning", "used"]


@cache
def _meanings() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads((files("fastadl.policy") / "meaning.toml").read_text("utf-8"))


def meaning(choice: str, value: str | OwnScore) -> tuple[str, str]:
    """The rule and the meaning of one value of one choice."""
    if isinstance(value, OwnScore):
        return "R97", (value.function.__doc__ or "a function of one's own").strip().splitlines()[0]
    rule, text = _meanings()["score" if choice == "then" else choice][value]
    return rule, text


def used(policy: AdlPolicy) -> list[tuple[str, str | OwnScore]]:
    """The choices a policy makes use of, with their values, in the order of a tick."""
    order = ["trigger", "space", "split"]
    if policy.space == "contract":
        order += ["tiers", "score", "then", "allocation", "price", "guard", "rerank", "severity"]
    else:
        order += ["severity", "socialization"]
    found: list[tuple[str, str | OwnScore]] = []
    for choice in order:
        if choice == "then":
            found += [("then", key) for key in policy.then]
        elif choice in ("tiers", "guard", "rerank", "severity") and _is_first(policy, choice):
            continue
        else:
            found.append((choice, getattr(policy, choice)))
    return found


def _is_first(policy: AdlPolicy, choice: str) -> bool:
    return bool(getattr(policy, choice) == CHOICES[choice][0])


def events(policy: AdlPolicy) -> list[str]:
    """What happens in a tick under a policy, step by step (section 3 of the rules)."""
    steps = [
        "New marks. Accounts below their maintenance margin are found, the worst first (R20, R21).",
        "They are closed in the order book as far as it reaches (R22).",
    ]
    if policy.trigger == "unfilled":
        steps.append("Who is below zero, or was not closed, goes on; hedges are netted (R23, R24, R87).")
    else:
        steps.append("Who is below zero goes on; hedges are netted (R23, R24).")
    steps.append(
        "The fund takes positions at the bankruptcy price while it has room"
        + (
            ", down to its drawdown threshold (R25 to R27, R88)."
            if policy.trigger == "drawdown"
            else " (R25 to R27)."
        )
    )
    debts = "The fund pays debts it still has room for; what nobody paid is reported (R30, R31)."
    if policy.trigger == "none":
        return [*steps, "Nothing else is done: what is left stays open (R28).", debts]
    if policy.trigger == "pool_profit":
        pool = (
            "Where one side's profit is above the limit, its best ranked positions are closed against the "
            "pool until it is not (R90)."
        )
        return [*steps, debts, pool]
    if policy.space == "contract":
        lots = (
            "Opposite positions of solvent accounts are ranked and given quotas; bankrupt positions are "
            "closed against them (R40 to R46)."
        )
        return [*steps, lots, debts]
    return [
        *steps,
        "The fund takes the rest at mark and pays the debts it has room for (R50, R30).",
        "The others are charged in cash; what nobody paid is reported (R51, R92, R31).",
    ]
