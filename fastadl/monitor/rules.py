"""Rules over metrics: when an alert is raised, and when it is cleared (rule R120)."""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from fastadl.errors import InputError
from fastadl.monitor.metrics import METRICS, PARAMETERS, Metric, nearest
from fastadl.monitor.windows import LONGEST

__all__ = ["DEFAULT_RULES", "SEVERITIES", "Rule", "checked_rules", "read_rules"]

#: From the mildest to what somebody is woken for.
SEVERITIES = ("info", "warning", "critical")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When an alert is raised and when it is cleared.

    Parameters
    ----------
    metric : str
        A name of `METRICS`.
    above, below : float
        One of the two: the alert is raised when the metric is more, or less, than this.
    clear_at : float, optional
        It is cleared when the metric is at this or beyond, away from the bound; at the bound by default.
    symbol : str, optional
        A symbol, ``"*"`` for every symbol by itself; the market as a whole, by currency, if left out.
    window, leverage, shock : float, optional
        What the metric is asked for, if it takes one; its default if left out. A window is in seconds.
    for_ticks, for_seconds : int
        How many ticks in a row, and how long, the metric has to be past the bound.
    cooldown : int
        Seconds after it was cleared in which it is not raised again.
    severity : {"info", "warning", "critical"}
    name : str, optional
        By which it is told from other rules; metric and severity if left out.

    Raises
    ------
    InputError
        Naming the field, for what cannot be.

    Examples
    --------
    >>> from fastadl.monitor import Rule
    >>> Rule(metric="mark_move", above=0.05, clear_at=0.03, symbol="*", window=300).name
    'mark_move_warning'
    """

    metric: str
    above: float | None = None
    below: float | None = None
    clear_at: float | None = None
    symbol: str | None = None
    window: int | None = None
    leverage: float | None = None
    shock: float | None = None
    for_ticks: int = 1
    for_seconds: int = 0
    cooldown: int = 0
    severity: str = "warning"
    name: str = ""

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise nearest(self.metric, METRICS, ("metric",))
        metric = METRICS[self.metric]
        self._check_bounds()
        if self.severity not in SEVERITIES:
            raise nearest(self.severity, SEVERITIES, ("severity",))
        _whole("for_ticks", self.for_ticks, 1)
        _whole("for_seconds", self.for_seconds, 0)
        _whole("cooldown", self.cooldown, 0)
        self._check_parameters(metric)
        for name in ("symbol", "name"):
            if getattr(self, name) is not None and not isinstance(getattr(self, name), str):
                raise InputError((name,), getattr(self, name), "give a text, or leave it out")
        if self.symbol is not None and not metric.by_symbol:
            raise InputError(("symbol",), self.symbol, f"leave it out: {self.metric} is of the whole market")
        object.__setattr__(self, "name", self.name or f"{self.metric}_{self.severity}")

    def _check_bounds(self) -> None:
        if (self.above is None) == (self.below is None):
            given = "neither" if self.above is None else "both"
            raise InputError(("above",), given, "give one of above and below")
        for name in ("above", "below", "clear_at"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _finite(name, value))
        if self.clear_at is None:
            object.__setattr__(self, "clear_at", self.bound)
        if self.above is not None and self.clear_at > self.above:  # type: ignore[operator]
            raise InputError(("clear_at",), self.clear_at, f"give {self.above:g} (above) or less")
        if self.below is not None and self.clear_at < self.below:  # type: ignore[operator]
            raise InputError(("clear_at",), self.clear_at, f"give {self.below:g} (below) or more")

    def _check_parameters(self, metric: Metric) -> None:
        for name in PARAMETERS:
            value = getattr(self, name)
            if value is None:
                continue
            if name != metric.parameter:
                takes = metric.parameter or "nothing"
                raise InputError((name,), value, f"leave it out: {self.metric} takes {takes}")
            if name == "window":
                _whole(name, value, 1, LONGEST)
            elif name == "shock" and not 0 < _finite(name, value) <= 0.999:
                raise InputError((name,), value, "give the size of a price move, above 0 and up to 0.999")
            elif name == "leverage" and not _finite(name, value) > 0:
                raise InputError((name,), value, "give a leverage above 0, such as 20")

    @property
    def bound(self) -> float:
        """What the metric has to pass."""
        return self.above if self.above is not None else self.below  # type: ignore[return-value]

    @property
    def parameter(self) -> float:
        """What the metric is asked for; 0 if it takes nothing."""
        metric = METRICS[self.metric]
        given = None if metric.parameter is None else getattr(self, metric.parameter)
        return float(metric.default if given is None else given)


def checked_rules(given: Iterable[Rule | Mapping[str, Any]]) -> tuple[Rule, ...]:
    """Rules, or mappings of their fields, no two of one name."""
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise InputError(("rules",), type(given).__name__, "give a list of rules; read_rules reads a file")
    rules: dict[str, Rule] = {}
    for place, each in enumerate(given):
        rule = each if isinstance(each, Rule) else _rule(each, ("rules", place))
        if rule.name in rules:
            raise InputError(("rules", place, "name"), rule.name, "give each rule a name of its own")
        rules[rule.name] = rule
    return tuple(rules.values())


def read_rules(file: str | os.PathLike[str]) -> tuple[Rule, ...]:
    """The rules of a TOML file: one table ``[[rule]]`` each, its fields as those of `Rule`.

    Raises
    ------
    InputError
        Naming file, rule and field.
    """
    name = os.fspath(file)
    try:
        with open(file, "rb") as stream:
            document = tomllib.load(stream)
    except OSError as error:
        raise InputError((), error.strerror or str(error), "give a file of rules", name) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError((), str(error), "give TOML", name) from None
    for key in document:
        if key != "rule":
            raise InputError((key,), "unknown table", "begin each rule with [[rule]]", name)
    tables = document.get("rule", [])
    if not isinstance(tables, list) or not tables:
        raise InputError(("rule",), "no rule", "begin each rule with [[rule]]", name)
    try:
        return checked_rules(tables)
    except InputError as error:
        raise error.within(name) from None


def _rule(given: Any, path: tuple[str | int, ...]) -> Rule:
    known = [field.name for field in fields(Rule)]
    if not isinstance(given, Mapping):
        raise InputError(path, given, "give a Rule, or a mapping of its fields")
    for key in given:
        if key not in known:
            raise nearest(key, known, (*path, str(key)))
    if "metric" not in given:
        raise InputError((*path, "metric"), "missing", f"give one of {', '.join(METRICS)}")
    try:
        return Rule(**given)
    except InputError as error:
        raise InputError((*path, *error.path), error.value, error.remedy) from None


def _finite(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InputError((name,), value, "give a finite number")
    return float(value)


def _whole(name: str, value: Any, least: int, most: int = 1 << 53) -> None:
    if type(value) is not int or not least <= value <= most:
        raise InputError((name,), value, f"give a whole number from {least} to {most}")


#: What a venue may begin with. Money differs from venue to venue: volumes and open interest have no rule.
DEFAULT_RULES: tuple[Rule, ...] = (
    Rule(metric="mark_move", symbol="*", window=300, above=0.05, clear_at=0.03, cooldown=300),
    Rule(
        metric="mark_move",
        symbol="*",
        window=300,
        above=0.15,
        clear_at=0.1,
        cooldown=300,
        severity="critical",
    ),
    Rule(metric="volatility", symbol="*", window=3600, above=2.5, clear_at=2.0, for_ticks=2, cooldown=600),
    Rule(metric="funding_rate", symbol="*", above=0.003, clear_at=0.002),
    Rule(metric="funding_spike", symbol="*", above=0.001, clear_at=0.0005),
    Rule(metric="liquidation_share", window=3600, above=0.02, clear_at=0.01, cooldown=600),
    Rule(
        metric="liquidation_share", window=3600, above=0.1, clear_at=0.05, cooldown=600, severity="critical"
    ),
    Rule(metric="leveraged_share", leverage=20, above=0.3, clear_at=0.25, for_ticks=3, cooldown=3600),
    Rule(metric="concentration", above=0.6, clear_at=0.5, for_ticks=3, severity="info"),
    Rule(metric="fund_coverage", shock=0.1, below=1, clear_at=1.25, for_ticks=2, cooldown=600),
    Rule(metric="fund_coverage", shock=0.05, below=1, clear_at=1.25, cooldown=600, severity="critical"),
    Rule(metric="adl_pressure", shock=0.1, above=0.02, clear_at=0.01, for_ticks=2, cooldown=600),
    Rule(metric="adl_pressure", shock=0.05, above=0.02, clear_at=0.01, cooldown=600, severity="critical"),
    Rule(metric="fund_drawdown", window=3600, above=0.2, clear_at=0.1, cooldown=600),
    Rule(metric="adl_volume", window=300, above=0, severity="critical", cooldown=300),
    Rule(metric="uncovered", window=3600, above=0, severity="critical", cooldown=300),
)
