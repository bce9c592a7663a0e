"""The metrics of a market's health, and what each is told by (rule R119)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from fastadl.errors import InputError

__all__ = ["METRICS", "PARAMETERS", "Metric", "nearest"]

Parameter = Literal["window", "leverage", "shock"]

#: What a metric may be asked for.
PARAMETERS: tuple[Parameter, ...] = ("window", "leverage", "shock")


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes
    ----------
    name : str
    says : str
        One line: what it is, and its unit.
    parameter : {"window", "leverage", "shock"}, optional
        What it is asked for: a window in seconds, a leverage, or the size of a shock.
    default : float
        Of that parameter.
    by_symbol : bool
        Whether every symbol has one, besides the market as a whole.
    """

    name: str
    says: str
    parameter: Parameter | None = None
    default: float = 0.0
    by_symbol: bool = True


_ALL = (
    Metric("mark_move", "size of the move of the mark in the window, as a part of it", "window", 300),
    Metric("mark_move_max", "the largest such move of any symbol", "window", 300, by_symbol=False),
    Metric("volatility", "realised volatility of the mark in the window, a year", "window", 3600),
    Metric("funding_rate", "size of the last funding rate"),
    Metric("funding_spike", "how far it is from the median of the 20 before"),
    Metric("liquidation_volume", "worth of lots liquidated in the window", "window", 3600),
    Metric("liquidation_share", "the same as a part of open interest", "window", 3600),
    Metric("adl_volume", "worth of lots deleveraged in the window", "window", 3600),
    Metric("open_interest", "worth of all lots held long, or short where they are more"),
    Metric("leveraged_share", "part of open interest of accounts above the leverage", "leverage", 20),
    Metric("concentration", "part of open interest that the ten largest hold"),
    Metric("fund_coverage", "how often the fund could pay the shock", "shock", 0.1, by_symbol=False),
    Metric("adl_pressure", "lots beyond the fund after the shock, over those that pay", "shock", 0.1),
    Metric("fund_drawdown", "fall of the fund from its peak in the window", "window", 3600, by_symbol=False),
    Metric("uncovered", "losses nobody paid, of the window's worst tick", "window", 3600, by_symbol=False),
)

#: All metrics by name.
METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}


def nearest(given: object, known: Iterable[str], path: tuple[str | int, ...]) -> InputError:
    """The error that refuses an unknown name, and tells the one nearest to it."""
    names: list[Any] = list(known)
    near = difflib.get_close_matches(str(given), names, n=1, cutoff=0.0)
    return InputError(path, given, f"give one of {', '.join(names)}; the nearest is {near[0]}")
