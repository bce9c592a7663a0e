"""What a monitor remembers from tick to tick, and the metrics read off it (rule R119)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from fastadl.engine import Engine, Exposures, Report
from fastadl.engine.settings import checked_rates
from fastadl.errors import InputError
from fastadl.monitor.metrics import METRICS
from fastadl.monitor.windows import Window
from fastadl.schema import Float64Array

__all__ = ["Asked", "Reading", "Seen", "Series"]

#: Name of a metric, and its window, leverage or shock; 0 where it has none.
Asked: TypeAlias = tuple[str, float]

_YEAR = 365 * 86_400
#: Funding rates that the last one is held against.
_RATES = 20


class Reading(NamedTuple):
    """One metric now: by currency for the market as a whole, and by symbol where there is such a one."""

    market: Float64Array  # float64 (currencies)
    symbols: Float64Array | None  # float64 (instruments)  NaN where there is nothing to tell


class Seen(NamedTuple):
    """What one tick brought, checked."""

    time: int
    exposures: Exposures
    liquidated: Float64Array  # float64 (instruments)  worth
    deleveraged: Float64Array  # float64 (instruments)  worth
    charged: Float64Array  # float64 (currencies)
    uncovered: Float64Array  # float64 (currencies)
    rates: Mapping[int, Any]

    @classmethod
    def of(
        cls, engine: Engine, report: Report, exposures: Exposures, time: int, funding: Any, executed: Any
    ) -> Seen:
        """What a report and what was given beside it say."""
        instruments, unit = exposures.instruments, exposures.unit
        closed, taken, deleveraged = (
            _lots(report, name, len(unit)) for name in ("executions", "takeovers", "adl_fills")
        )
        return cls(
            time=time,
            exposures=exposures,
            liquidated=(closed + _executed(executed, exposures) + taken + deleveraged) * unit,
            deleveraged=deleveraged * unit,
            charged=_charged(report, exposures),
            uncovered=_uncovered(engine, report, exposures),
            rates={} if funding is None else checked_rates(instruments, funding),
        )


class Series:
    """Windows over what was seen, of the lengths that are asked for; their memory is bounded."""

    def __init__(self, asked: Iterable[Asked]) -> None:
        self._asked = list(asked)
        self._windows = {
            (name, length): Window(length, keeps)
            for metric, parameter in self._asked
            for name, keeps in _KEPT.get(metric, {}).items()
            for length in [int(parameter)]
        }
        self._rates = np.empty((0, _RATES + 1))
        self._marks = np.empty(0)

    def add(self, seen: Seen) -> None:
        """Remember what a tick brought."""
        marks = seen.exposures.marks
        before = np.concatenate([self._marks, np.full(len(marks) - len(self._marks), np.nan)])
        returns = np.log(marks / before)
        self._marks = np.where(np.isnan(marks), before, marks)
        values = {
            "marks": marks,
            "squares": np.nan_to_num(returns * returns),
            "liquidated": seen.liquidated,
            "deleveraged": seen.deleveraged,
            "charged": seen.charged,
            "fund": seen.exposures.fund,
            "uncovered": seen.uncovered,
        }
        for (name, _), window in self._windows.items():
            window.add(seen.time, values[name])
        self._add_rates(seen)

    def _add_rates(self, seen: Seen) -> None:
        more = len(seen.exposures.marks) - len(self._rates)
        if more:
            self._rates = np.pad(self._rates, ((0, more), (0, 0)), constant_values=np.nan)
        for i, rate in seen.rates.items():
            self._rates[i] = np.append(self._rates[i, 1:], float(rate))

    # ------------------------------------------------------------------ metrics

    def read(self, now: Exposures) -> dict[Asked, Reading]:
        """All metrics that are asked for."""
        return {asked: self._read(*asked, now) for asked in self._asked}

    def _read(self, name: str, parameter: float, now: Exposures) -> Reading:
        if METRICS[name].parameter == "window":
            return self._of_window(name, int(parameter), now)
        if name == "funding_rate":
            return _weighed(np.abs(self._rates[:, -1]), now)
        if name == "funding_spike":
            return _weighed(self._spike(), now)
        if name == "open_interest":
            return Reading(_sum(now.open_interest, now), now.open_interest)
        if name == "concentration":
            return Reading(now.market_concentration, now.concentration)
        if name == "leveraged_share":
            at = int(np.searchsorted(now.leverages, parameter))
            return Reading(now.market_leveraged[at], now.leveraged[at])
        at = int(np.searchsorted(now.shocks, parameter))
        if name == "fund_coverage":
            return Reading(now.coverage[at], None)
        return Reading(now.market_pressure[at], now.pressure[at])

    def _of_window(self, name: str, length: int, now: Exposures) -> Reading:
        window = {kept: self._windows[kept, length] for kept in _KEPT[name]}
        if name in ("mark_move", "mark_move_max"):
            moves = np.abs(now.marks / window["marks"].before() - 1.0)
            return _weighed(moves, now) if name == "mark_move" else Reading(_most(moves, now), None)
        if name == "volatility":
            yearly = np.sqrt(window["squares"].total() * (_YEAR / length))
            return _weighed(np.where(np.isnan(now.marks), np.nan, yearly), now)
        if name == "fund_drawdown":
            peak = window["fund"].most()
            return Reading(_part(peak - now.fund, peak), None)
        if name == "uncovered":
            return Reading(window["uncovered"].most(), None)
        if name == "adl_volume":
            volume = window["deleveraged"].total()
            return Reading(_sum(volume, now) + window["charged"].total(), volume)
        volume = window["liquidated"].total()
        if name == "liquidation_volume":
            return Reading(_sum(volume, now), volume)
        market = _part(_sum(volume, now), _sum(now.open_interest, now))
        return Reading(market, _part(volume, now.open_interest))

    def _spike(self) -> Float64Array:
        out = np.where(np.isnan(self._rates[:, -1]), np.nan, 0.0)
        known = np.flatnonzero(~np.isnan(self._rates[:, -2:]).any(axis=1))
        if len(known):
            out[known] = np.abs(self._rates[known, -1] - np.nanmedian(self._rates[known, :-1], axis=1))
        return out


#: What a metric of a window is made from, and what a window keeps of it.
_KEPT: dict[str, dict[str, Any]] = {
    "mark_move": {"marks": "last"},
    "mark_move_max": {"marks": "last"},
    "volatility": {"squares": "sum"},
    "liquidation_volume": {"liquidated": "sum"},
    "liquidation_share": {"liquidated": "sum"},
    "adl_volume": {"deleveraged": "sum", "charged": "sum"},
    "fund_drawdown": {"fund": "most"},
    "uncovered": {"uncovered": "most"},
}


def _lots(report: Report, name: str, instruments: int) -> Float64Array:
    lots = report.lots(name).reshape(-1, 2).sum(axis=1)
    return np.pad(lots.astype(np.float64), (0, instruments - len(lots)))  # listed since


def _executed(given: Any, exposures: Exposures) -> Float64Array:
    """Lots by instrument of what the order book closed between ticks."""
    lots = np.zeros(len(exposures.unit))
    if given is None:
        return lots
    if not isinstance(given, Mapping):
        raise InputError(("executed",), type(given).__name__, "give a mapping of symbol to lots")
    for symbol, many in given.items():
        i = exposures.instruments.lookup(symbol, ("executed", str(symbol)))
        if isinstance(many, bool) or not isinstance(many, (int, np.integer)) or many < 0:
            raise InputError(("executed", str(symbol)), many, "give a whole number of lots, at least 0")
        lots[i] = many
    return lots


def _charged(report: Report, exposures: Exposures) -> Float64Array:
    columns = report.columns("socialized")
    amount = columns["amount"].astype(np.float64)
    return _of_currency(columns["currency"], np.maximum(-amount, 0.0), exposures)


def _uncovered(engine: Engine, report: Report, exposures: Exposures) -> Float64Array:
    columns = report.columns("uncovered")
    if not len(columns["account"]):
        return np.zeros(len(exposures.fund))
    currency = engine.book.currency[columns["account"]]
    return _of_currency(currency, columns["amount"].astype(np.float64), exposures)


def _of_currency(currency: Any, atoms: Float64Array, exposures: Exposures) -> Float64Array:
    one = np.array([10.0**decimals for decimals in exposures.instruments.decimals])
    return np.asarray(np.bincount(currency.astype(np.int64), atoms, len(one)) / one)


def _sum(values: Float64Array, now: Exposures) -> Float64Array:
    return np.asarray(np.bincount(now.instruments.currency, values, len(now.fund)))


def _most(values: Float64Array, now: Exposures) -> Float64Array:
    out = np.zeros(len(now.fund))
    np.fmax.at(out, now.instruments.currency, values)
    return out


def _weighed(values: Float64Array, now: Exposures) -> Reading:
    """By symbol, and its mean by open interest."""
    weight = np.where(np.isnan(values), 0.0, now.open_interest)
    return Reading(_part(_sum(weight * np.nan_to_num(values), now), _sum(weight, now)), values)


def _part(part: Float64Array, whole: Float64Array) -> Float64Array:
    """Part of a whole; 0 of nothing, and infinite where there is something of nothing."""
    return np.divide(part, whole, out=np.where(part > 0, np.inf, 0.0), where=whole > 0)
