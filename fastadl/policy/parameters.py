"""Numbers that some choices of a policy take (rule R80): which, with what, within what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral
from typing import Any

from fastadl.decimals import exact
from fastadl.errors import PolicyError

__all__ = ["PARAMETERS", "Parameter"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter.

    Parameters
    ----------
    needs : callable
        From a policy to whether it uses the parameter.
    told : str
        The choice that uses it, for people.
    read : callable
        From (path, given value) to the checked value.
    default : Any
        What holds where the parameter is used and not given.
    """

    needs: Callable[[Any], bool]
    told: str
    read: Callable[[tuple[str, ...], Any], Any]
    default: Any


def _number(
    lowest: int, highest: int | None, *, above: bool = False
) -> Callable[[tuple[str, ...], Any], Fraction]:
    limits = f"{'above' if above else 'of at least'} {lowest}" + (
        "" if highest is None else f" and at most {highest}"
    )

    def read(path: tuple[str, ...], value: Any) -> Fraction:
        try:
            number = exact(value)
        except ValueError as error:
            raise PolicyError(path, value, f"{error} (rule R80)") from None
        if number < lowest or (above and number == lowest) or (highest is not None and number > highest):
            raise PolicyError(path, value, f"give a number {limits} (rule R80)")
        return number

    return read


def _integer(lowest: int, highest: int) -> Callable[[tuple[str, ...], Any], int]:
    def read(path: tuple[str, ...], value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, Integral) or not lowest <= int(value) <= highest:
            raise PolicyError(path, value, f"give an integer from {lowest} to {highest} (rule R80)")
        return int(value)

    return read


def _word(*allowed: str) -> Callable[[tuple[str, ...], Any], str]:
    def read(path: tuple[str, ...], value: Any) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise PolicyError(path, value, f"take one of {', '.join(allowed)} (rule R80)")
        return value

    return read


def _betas(path: tuple[str, ...], value: Any) -> tuple[tuple[str, Fraction], ...]:
    """Symbol and beta, by symbol; a tuple, so that a policy stays a value."""
    try:
        items = dict(value) if isinstance(value, (tuple, Mapping)) else None
    except (TypeError, ValueError):
        items = None
    if items is None or not all(isinstance(symbol, str) for symbol in items):
        raise PolicyError(path, value, "give an object of symbol to number (rule R80)")
    positive = _number(0, None, above=True)
    return tuple(sorted((symbol, positive((*path, symbol), beta)) for symbol, beta in items.items()))


def _drawdown(policy: Any) -> bool:
    return bool(policy.trigger == "drawdown")


def _drawdown_of_fund(policy: Any) -> bool:
    return _drawdown(policy) and policy.drawdown_scope in (None, "fund")


def _random(policy: Any) -> bool:
    return "random" in (policy.score, *policy.then)


def _session(policy: Any) -> bool:
    return policy.socialization in ("session_profit", "clawback")


_SECONDS = _integer(1, 2**62)

#: Name → parameter, in the order of rule R80; `drawdown_scope` stands before those that depend on it.
PARAMETERS: dict[str, Parameter] = {
    "seed": Parameter(_random, "score random", _integer(0, 2**63 - 1), 0),
    "delta_limit": Parameter(
        lambda p: p.tiers != "given",
        "tiers delta_neutral or delta_neutral_flagged",
        _number(0, 1),
        Fraction(1, 20),
    ),
    "max_share": Parameter(
        lambda p: p.allocation == "capped_pro_rata",
        "allocation capped_pro_rata",
        _number(0, 1, above=True),
        Fraction(1, 2),
    ),
    "exponent": Parameter(lambda p: p.allocation == "risk_aware", "allocation risk_aware", _integer(0, 4), 1),
    "min_leverage": Parameter(
        lambda p: p.allocation == "risk_aware", "allocation risk_aware", _number(0, 1 << 62), Fraction(0)
    ),
    "betas": Parameter(lambda p: p.allocation == "factor_fill", "allocation factor_fill", _betas, ()),
    "fraction": Parameter(
        lambda p: p.severity == "fraction", "severity fraction", _number(0, 1), Fraction(1)
    ),
    "session": Parameter(_session, "socialization session_profit or clawback", _SECONDS, 86400),
    "drawdown_start": Parameter(_drawdown, "trigger drawdown", _number(0, 1, above=True), Fraction(3, 10)),
    "drawdown_stop": Parameter(_drawdown, "trigger drawdown", _number(0, 1, above=True), Fraction(1, 4)),
    "drawdown_scope": Parameter(_drawdown, "trigger drawdown", _word("fund", "symbol"), "fund"),
    "drawdown_reference": Parameter(
        _drawdown_of_fund, "trigger drawdown of scope fund", _word("peak", "mean"), "peak"
    ),
    "drawdown_amount": Parameter(
        _drawdown_of_fund, "trigger drawdown of scope fund", _number(0, None), Fraction(0)
    ),
    "drawdown_window": Parameter(_drawdown, "trigger drawdown", _SECONDS, 28800),
    "pool_max": Parameter(
        lambda p: p.trigger == "pool_profit", "trigger pool_profit", _number(0, None), Fraction(1, 2)
    ),
    "pool_min": Parameter(
        lambda p: p.trigger == "pool_profit", "trigger pool_profit", _number(0, None), Fraction(0)
    ),
}
