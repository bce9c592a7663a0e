"""What an engine is told beside its book, as plain values (rule R109)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from fractions import Fraction
from typing import Any

from fastadl.contracts import Instruments
from fastadl.decimals import plain
from fastadl.engine import Engine
from fastadl.errors import InputError
from fastadl.policy import AdlPolicy, Fund, Liquidity, OwnScore
from fastadl.policy.partial import Partial

__all__ = ["funds_of", "liquidity_of", "policy_of", "settings_of"]


def settings_of(engine: Engine) -> dict[str, Any]:
    """Policy, funds and liquidity of an engine.

    Raises
    ------
    InputError
        If one of them is code of the user's own, which no journal can hold.
    """
    policy, liquidity = engine.policy, engine.liquidity
    for score in (policy.score, *policy.then):
        if isinstance(score, OwnScore):
            remedy = "name a score of the package: code is not in a journal, and cannot be done again from it"
            raise InputError(("policy", "score"), score.name, remedy)
    if liquidity is not None and type(liquidity) is not Liquidity:
        remedy = "give a Liquidity, or hand executions to settle: code is not in a journal"
        raise InputError(("liquidity",), type(liquidity).__name__, remedy)
    return {
        "policy": {**policy.choices(), "cancel_orders": policy.cancel_orders},
        "funds": [_without_cash(rule.fund) for rule in engine._rules],
        "liquidity": None if liquidity is None else _liquidity(liquidity),
    }


def policy_of(settings: Mapping[str, Any]) -> AdlPolicy:
    """The policy among settings."""
    choices = dict(settings["policy"])
    cancel_orders = choices.pop("cancel_orders")
    return replace(AdlPolicy.of(choices), cancel_orders=cancel_orders)


def funds_of(settings: Mapping[str, Any], instruments: Instruments) -> dict[str, Any]:
    """The funds among settings, by currency; what cash they have is not a setting."""
    return dict(zip(instruments.currencies, settings["funds"], strict=True))


def liquidity_of(settings: Mapping[str, Any]) -> Liquidity | None:
    """The liquidity among settings."""
    return Liquidity.of(settings["liquidity"])


def _without_cash(fund: Fund) -> dict[str, Any]:
    return {name: value for name, value in fund.to_dict().items() if name != "cash"}


def _liquidity(liquidity: Liquidity) -> dict[str, Any]:
    """The mapping that `Liquidity.of` reads; what is as it is unless given is left out."""
    table: dict[str, Any] = {
        "model": liquidity.model,
        "depth": {symbol: plain(quantity) for symbol, quantity in liquidity.depth.items()},
        "slippage": plain(liquidity.slippage),
        "fee": plain(liquidity.fee),
        "surplus": liquidity.surplus,
    }
    usual = Partial()
    for field in fields(Partial):
        value = getattr(liquidity.partial, field.name)
        if value != getattr(usual, field.name):
            table[field.name] = plain(value) if isinstance(value, Fraction) else value
    return table
