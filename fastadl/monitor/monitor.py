"""The monitor: metrics of a market's health at every tick, and alerts where rules say so."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import polars as pl

from fastadl.contracts import Instruments
from fastadl.engine import Engine, Report
from fastadl.errors import InputError, StageError
from fastadl.io.files import new_file
from fastadl.monitor.alerts import Alert, Watched, frame_of
from fastadl.monitor.metrics import METRICS
from fastadl.monitor.prometheus import Family, Sample, exposition
from fastadl.monitor.rules import DEFAULT_RULES, Rule, checked_rules
from fastadl.monitor.series import Asked, Reading, Seen, Series

__all__ = ["Monitor", "log"]

_LOGGER = logging.getLogger("fastadl.monitor")
_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "critical": logging.CRITICAL}


class Monitor:
    """Watches an engine, tick by tick: metrics (rule R119), and alerts by rules over them (rule R120).

    Parameters
    ----------
    rules : iterable of Rule or mapping, optional
        `DEFAULT_RULES` unless given; `read_rules` reads a TOML file.
    sinks : iterable of callable
        Each is called with every alert, when the monitor has done its own. What one raises is logged and
        counted, and stops nobody.
    keep : int
        How many of the last alerts `alerts` shows.

    Raises
    ------
    InputError
        Naming what cannot be of a rule.

    Notes
    -----
    One thread observes; others may read. A monitor changes nothing of the engine, and what it remembers is
    bounded: 121 slices of every window. A new one begins anew.

    Examples
    --------
    >>> import fastadl as fa
    >>> engine = fa.Engine(fa.synth.book("pareto", positions=1000, accounts=400, instruments=5, seed=1))
    >>> monitor = fa.Monitor([fa.monitor.Rule(metric="mark_move_max", above=0.1)])
    >>> for time, share in ((0, 1.0), (60, 0.8)):
    ...     alerts = monitor.observe(engine, engine.tick(engine.marks * share, time=time))
    >>> print(alerts[0])
    warning raised: mark_move_max of USD (window 300) is 0.2, above 0.1
    """

    def __init__(
        self,
        rules: Iterable[Rule | Mapping[str, Any]] = DEFAULT_RULES,
        *,
        sinks: Iterable[Callable[[Alert], object]] = (),
        keep: int = 10_000,
    ) -> None:
        self.rules = checked_rules(rules)
        if type(keep) is not int or keep < 1:
            raise InputError(("keep",), keep, "give a whole number of 1 or more")
        self._sinks = tuple(sinks)
        for place, sink in enumerate(self._sinks):
            if not callable(sink):
                raise InputError(("sinks", place), sink, "give what can be called with an alert")
        asked = {(name, metric.default) for name, metric in METRICS.items()}
        asked |= {(rule.metric, rule.parameter) for rule in self.rules}
        self._series = Series(sorted(asked, key=lambda each: (list(METRICS).index(each[0]), each[1])))
        self._leverages, self._shocks = (
            sorted({value for name, value in asked if METRICS[name].parameter == parameter})
            for parameter in ("leverage", "shock")
        )
        self._watched = [Watched(rule) for rule in self.rules]
        self._alerts: deque[Alert] = deque(maxlen=keep)
        self._raised = dict.fromkeys((rule.name for rule in self.rules), 0)
        self._failures = 0
        self._at: tuple[int, int] | None = None  # tick and time of the last report
        self._last: Report | None = None
        self._now: tuple[Instruments, dict[Asked, Reading]] | None = None

    # ------------------------------------------------------------------ a tick

    def observe(
        self,
        engine: Engine,
        report: Report,
        *,
        funding: Mapping[str, Any] | None = None,
        executed: Mapping[str, int] | None = None,
        time: int | None = None,
    ) -> list[Alert]:
        """Look at an engine after a tick; what was raised and cleared.

        Parameters
        ----------
        engine : Engine
        report : Report
            Of the tick, each once and in their order. What a report that is not shown tells of is in no
            metric.
        funding : mapping of symbol to decimal, optional
            Rates that were paid since the last tick.
        executed : mapping of symbol to int, optional
            Lots that the order book closed of accounts in liquidation and that are in no report: those of
            `Engine.settle` between ticks.
        time : int, optional
            Seconds, not before the last; the report's if left out. Windows, `for_seconds` and `cooldown` go
            by it.

        Raises
        ------
        InputError
            For a time before the last, no time at all (0 at two ticks), a report that was shown already or is
            of an earlier tick, rates and lots that cannot be, and a rule of an unknown symbol; the monitor is
            as it was.
        StageError
            While a symbol that somebody holds was never marked.
        """
        self._check_order(report)
        now = self._checked_time(report, time)
        exposures = engine.exposures(leverages=self._leverages, shocks=self._shocks)
        for rule in self.rules:
            if rule.symbol not in (None, "*"):
                exposures.instruments.lookup(rule.symbol, ("rules", rule.name, "symbol"))
        seen = Seen.of(engine, report, exposures, now, funding, executed)
        self._series.add(seen)
        self._at, self._last = (report.tick, now), report
        self._now = exposures.instruments, self._series.read(exposures)
        alerts = self._judged()
        self._alerts.extend(alerts)
        for alert in alerts:
            self._raised[alert.rule] += alert.state == "raised"
            self._tell(alert)
        return alerts

    def _check_order(self, report: Report) -> None:
        if self._at is not None and (report is self._last or report.tick < self._at[0]):
            remedy = f"give each report once, in their order: after that of tick {self._at[0]}"
            raise InputError(("report",), f"tick {report.tick}", remedy)

    def _checked_time(self, report: Report, given: object) -> int:
        time = report.time if given is None else given
        if type(time) is not int:
            raise InputError(("time",), time, "give whole seconds")
        if time == 0 and given is None and self._at is not None and report.tick > self._at[0]:
            raise InputError(("time",), "none", "give ticks or observe their time: windows go by seconds")
        if self._at is not None and time < self._at[1]:
            raise InputError(("time",), time, f"give a time from {self._at[1]} on, or begin a new monitor")
        return time

    def _judged(self) -> list[Alert]:
        instruments, readings = self._state()
        tick, time = self._at or (0, 0)
        by_symbol = [instruments.currencies[c] for c in instruments.currency.tolist()]
        alerts = []
        for watched in self._watched:
            rule = watched.rule
            reading = readings[rule.metric, rule.parameter]
            if rule.symbol is None:
                alerts += watched.observe(reading.market, None, instruments.currencies, time, tick)
            elif reading.symbols is not None:
                alerts += watched.observe(reading.symbols, instruments.symbols, by_symbol, time, tick)
        return alerts

    def _tell(self, alert: Alert) -> None:
        for sink in self._sinks:
            try:
                sink(alert)
            except Exception:
                self._failures += 1
                _LOGGER.exception("an alert did not get through: %s", alert)

    def _state(self) -> tuple[Instruments, dict[Asked, Reading]]:
        if self._now is None:
            raise StageError("nothing was observed yet: call observe after a tick")
        return self._now

    # ------------------------------------------------------------------ reading

    @property
    def raised(self) -> int:
        """How many alerts are raised and not cleared."""
        return sum(int(watched.raised.sum()) for watched in self._watched)

    def alerts(self) -> pl.DataFrame:
        """The last alerts, raised and cleared, oldest first; columns as the attributes of `Alert`."""
        return frame_of(self._alerts)

    def metrics(self) -> pl.DataFrame:
        """All metrics after the last tick.

        Returns
        -------
        DataFrame
            ``metric``, ``parameter`` (window, leverage or shock; null where it takes none), ``symbol`` (null
            for the market as a whole), ``currency``, ``value`` (null where there is none).
        """
        rows = [
            (name, None if METRICS[name].parameter is None else parameter, symbol, currency, value)
            for (name, parameter), symbol, currency, value in self._values()
        ]
        columns = {"metric": pl.String, "parameter": pl.Float64, "symbol": pl.String, "currency": pl.String}
        frame = pl.DataFrame(rows, {**columns, "value": pl.Float64}, orient="row")
        return frame.with_columns(pl.col("value").fill_nan(None))

    def value(self, metric: str, *, symbol: str | None = None, **parameter: float) -> float:
        """One metric after the last tick, of a symbol, or of the market as a whole in a one-currency book.

        Parameters
        ----------
        metric : str
        symbol : str, optional
        **parameter
            ``window``, ``leverage`` or ``shock``; the default unless given.
        """
        rule = Rule(metric=metric, above=0, symbol=symbol, **parameter)  # type: ignore[arg-type]
        instruments, readings = self._state()
        reading = readings.get((metric, rule.parameter))
        if reading is None:
            asked = [each for name, each in readings if name == metric]
            remedy = f"have a rule ask for it; there are {', '.join(f'{each:g}' for each in asked)}"
            raise InputError((str(METRICS[metric].parameter),), rule.parameter, remedy)
        if symbol is None:
            if len(reading.market) > 1:
                remedy = f"read it from metrics(): there are {', '.join(instruments.currencies)}"
                raise InputError(("symbol",), "none", remedy)
            return float(reading.market[0])
        assert reading.symbols is not None
        return float(reading.symbols[instruments.lookup(symbol, ("symbol",))])

    def _values(self) -> Iterator[tuple[Asked, str | None, str, float]]:
        """Every value: what was asked, symbol, currency."""
        instruments, readings = self._state()
        for asked, reading in readings.items():
            for code, value in zip(instruments.currencies, reading.market.tolist(), strict=True):
                yield asked, None, code, value
            if reading.symbols is not None:
                currency = instruments.currency.tolist()
                for i, value in enumerate(reading.symbols.tolist()):
                    yield asked, instruments.symbols[i], instruments.currencies[currency[i]], value

    # ------------------------------------------------------------------ Prometheus

    def prometheus(self) -> str:
        """Metrics and alerts in Prometheus' text format 0.0.4.

        ``fastadl_<metric>`` by symbol, ``fastadl_market_<metric>`` by currency, each with its window,
        leverage or shock as a label; ``fastadl_alert`` is 1 while an alert is raised.
        """
        return exposition([*self._metric_families(), *self._alert_families()])

    def write(self, file: str | os.PathLike[str]) -> None:
        """Write `prometheus` to a file, which is replaced as a whole (node_exporter's textfile collector).

        Raises
        ------
        InputError
            If it cannot be written.
        """
        text = self.prometheus()
        with new_file(file) as partial:
            partial.write_text(text, "utf-8")
            partial.chmod(0o644)  # another user reads it

    def _metric_families(self) -> Iterator[Family]:
        samples: dict[tuple[str, bool], list[Sample]] = {}
        for (name, parameter), symbol, currency, value in self._values():
            kind = METRICS[name].parameter
            where = {"currency": currency} if symbol is None else {"symbol": symbol}
            asked: dict[str, str] = {} if kind is None else {kind: f"{parameter:g}"}
            samples.setdefault((name, symbol is None), []).append(Sample(value, {**where, **asked}))
        for (name, market), found in samples.items():
            says = METRICS[name].says
            yield Family(f"fastadl_{'market_' if market else ''}{name}", says, "gauge", found)

    def _alert_families(self) -> Iterator[Family]:
        instruments, _ = self._state()
        tick, time = self._at or (0, 0)
        up = []
        for watched in self._watched:
            rule = watched.rule
            names = instruments.currencies if rule.symbol is None else instruments.symbols
            for name, raised in zip(names, watched.raised.tolist(), strict=True):
                if rule.symbol in (None, "*", name):
                    where = {"currency" if rule.symbol is None else "symbol": name}
                    up.append(Sample(raised, {"rule": rule.name, "severity": rule.severity, **where}))
        yield Family("fastadl_alert", "1 while an alert is raised", "gauge", up)
        counted = [Sample(count, {"rule": name}) for name, count in self._raised.items()]
        yield Family("fastadl_alerts_raised_total", "alerts raised so far", "counter", counted)
        failures = "alerts that a sink failed on"
        yield Family("fastadl_sink_failures_total", failures, "counter", [Sample(self._failures, {})])
        yield Family("fastadl_tick", "number of the last tick observed", "gauge", [Sample(tick, {})])
        yield Family("fastadl_tick_seconds", "its time", "gauge", [Sample(time, {})])


def log(alert: Alert) -> None:
    """A sink: one line to the logger ``fastadl.monitor``, at the level of the alert's severity."""
    _LOGGER.log(_LEVELS[alert.severity] if alert.state == "raised" else logging.INFO, "%s", alert)
