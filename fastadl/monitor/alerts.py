"""Alerts, and what a rule remembers of each symbol or currency it watches (rule R120)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import polars as pl

from fastadl.monitor.metrics import METRICS
from fastadl.monitor.rules import Rule
from fastadl.schema import Float64Array

__all__ = ["Alert", "Watched", "frame_of"]

_EVER = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class Alert:
    """What became of a rule at one tick.

    Attributes
    ----------
    state : {"raised", "cleared"}
    rule, metric, severity : str
    symbol : str or None
        None where the rule is of the market as a whole.
    currency : str
    value, bound : float
        Of the metric, and what it has to pass for the alert to be raised.
    parameter : float
        Window, leverage or shock; 0 where the metric takes none.
    since : int
        When the metric first passed the bound.
    time, tick : int
    """

    state: Literal["raised", "cleared"]
    rule: str
    metric: str
    severity: str
    symbol: str | None
    currency: str
    value: float
    bound: float
    above: bool
    parameter: float
    since: int
    time: int
    tick: int

    def __str__(self) -> str:
        kind = METRICS[self.metric].parameter
        asked = "" if kind is None else f" ({kind} {self.parameter:g})"
        where = self.symbol or self.currency
        side = "above" if self.above else "below"
        told = f"{side} {self.bound:g}" if self.state == "raised" else f"was {side} {self.bound:g}"
        return f"{self.severity} {self.state}: {self.metric} of {where}{asked} is {self.value:.4g}, {told}"


def frame_of(alerts: Iterable[Alert]) -> pl.DataFrame:
    """One row an alert, columns as its attributes."""
    schema = {
        **dict.fromkeys(("state", "rule", "metric", "severity", "symbol", "currency"), pl.String),
        "value": pl.Float64,
        "bound": pl.Float64,
        "above": pl.Boolean,
        "parameter": pl.Float64,
        **dict.fromkeys(("since", "time", "tick"), pl.Int64),
    }
    return pl.DataFrame([asdict(alert) for alert in alerts], schema)


class Watched:
    """State of one rule, for each symbol or currency."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.raised = np.zeros(0, np.bool_)
        self._ticks = np.zeros(0, np.int64)  # in a row that the metric has been past the bound
        self._since = np.zeros(0, np.int64)  # when the first of them was
        self._quiet = np.zeros(0, np.int64)  # until when it is not raised again

    def observe(
        self,
        values: Float64Array,
        symbols: Sequence[str] | None,
        currency: Sequence[str],
        time: int,
        tick: int,
    ) -> list[Alert]:
        """What is raised and cleared; without a value everything stays as it is.

        `symbols`, or None for the market as a whole, and `currency` are the names of the values.
        """
        self._grow(len(values))
        rule, sign = self.rule, 1.0 if self.rule.above is not None else -1.0
        past = sign * values > sign * rule.bound
        eased = sign * values <= sign * rule.clear_at  # type: ignore[operator]
        self._since[past & (self._ticks == 0) & ~self.raised] = time
        self._ticks = np.where(past, self._ticks + 1, np.where(np.isnan(values), self._ticks, 0))
        lasted = past & (self._ticks >= rule.for_ticks) & (time - self._since >= rule.for_seconds)
        raised = lasted & ~self.raised & (time >= self._quiet)
        cleared = eased & self.raised
        if symbols is not None and rule.symbol != "*":
            raised &= np.array([symbol == rule.symbol for symbol in symbols], np.bool_)
        self._quiet[cleared] = time + rule.cooldown
        self.raised = (self.raised | raised) & ~cleared
        return [
            Alert(
                state="raised" if raised[i] else "cleared",
                rule=rule.name,
                metric=rule.metric,
                severity=rule.severity,
                symbol=None if symbols is None else symbols[i],
                currency=currency[i],
                value=float(values[i]),
                bound=rule.bound,
                above=rule.above is not None,
                parameter=rule.parameter,
                since=int(self._since[i]),
                time=time,
                tick=tick,
            )
            for i in np.flatnonzero(raised | cleared).tolist()
        ]

    def _grow(self, count: int) -> None:
        more = count - len(self.raised)
        if more:
            self.raised = np.pad(self.raised, (0, more))
            self._ticks, self._since = np.pad(self._ticks, (0, more)), np.pad(self._since, (0, more))
            self._quiet = np.pad(self._quiet, (0, more), constant_values=_EVER)
