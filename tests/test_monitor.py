"""Metrics of a market's health (R118, R119), rules over them and their alerts (R120, R121)."""

from __future__ import annotations

import logging
import math
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

import fastadl as fa
from engines import RATE, book, state_of
from fastadl import Engine, InputError, Monitor, StageError
from fastadl.monitor import DEFAULT_RULES, METRICS, Alert, Rule, log, read_rules
from fastadl.monitor.alerts import Watched
from fastadl.monitor.windows import SLICES, Window
from fastadl.testing import books
from uncompiled import fewer

few = settings(max_examples=fewer(60), deadline=None, suppress_health_check=list(HealthCheck))
X = {"X": {"mark": "100"}}
RICH = {"ann": "9999", "bob": "9999"}
TWO = {
    "X": {"mark": "100"},
    "I": {"mark": "50", "kind": "inverse", "contract_size": "100", "currency": "BTC"},
}


# ---------------------------------------------------------------------- exposures, in plain Python


def accounts_of(engine: Engine) -> tuple[dict[str, int], list[tuple[str, int, int, int]]]:
    """Cash by account; and account, instrument, lots and entry value of every trader's row."""
    instruments, accounts, positions = engine.frames()
    place = {symbol: i for i, symbol in enumerate(instruments["symbol"])}
    rows = positions.select("account", "symbol", "lots", "entry_value_atoms").iter_rows()
    cash = dict(accounts.select("id", "cash_atoms").iter_rows())
    return cash, [(who, place[symbol], lots, entry) for who, symbol, lots, entry in rows if who in cash]


def equities(engine: Engine, move: Fraction) -> dict[str, Fraction]:
    """Equity of accounts with rows, after all prices moved."""
    cash, rows = accounts_of(engine)
    worth = {who: Fraction(cash[who]) for who, *_ in rows}
    for who, i, lots, entry in rows:
        unit = engine._state.marks.units[i]
        worth[who] += lots * (unit / (1 + move) if engine._state.inverse[i] else unit * (1 + move)) - entry
    return worth


def of_the_largest(sizes: list[Fraction | int]) -> float:
    whole = sum(sizes)
    return float(Fraction(sum(sorted(sizes)[-10:])) / whole) if whole else 0.0


@few
@given(books(max_accounts=16))
def test_open_interest_leverage_and_concentration(drawn: fa.Book) -> None:
    engine = Engine(drawn)
    assume(not np.isnan(engine.marks).any())
    found, (_, rows) = engine.exposures(leverages=[2, 10]), accounts_of(engine)
    units, equity = engine._state.marks.units, equities(engine, Fraction(0))
    gross: dict[str, Fraction] = {}
    for who, i, lots, _ in rows:
        gross[who] = gross.get(who, Fraction(0)) + abs(lots * units[i])
    assume(all(abs(gross[who] - bound * equity[who]) > 1e-3 for who in gross for bound in (2, 10)))
    for i in range(len(units)):
        sides = [[abs(lots) for _, j, lots, _ in rows if i == j and (lots > 0) == long] for long in (1, 0)]
        reserves = engine._state.book.reserve_lots[:, i]
        long, short = (sum(side) for side in sides)
        held = max(long + reserves.clip(0).sum(), short + (-reserves).clip(0).sum())
        one = 10.0 ** found.instruments.decimals[found.instruments.currency[i]]
        assert found.open_interest[i] == pytest.approx(held * abs(float(units[i])) / one)
        assert found.concentration[i] == pytest.approx(max(map(of_the_largest, sides)))
        for b, bound in enumerate((2, 10)):
            above = sum(abs(lots) for who, j, lots, _ in rows if i == j and gross[who] > bound * equity[who])
            assert found.leveraged[b, i] == pytest.approx(above / (long + short) if long + short else 0.0)
    currency = dict(engine.frames()[1].select("id", "currency").iter_rows())
    for c, code in enumerate(found.instruments.currencies):
        mine = {who: size for who, size in gross.items() if currency[who] == code}
        assert found.market_concentration[c] == pytest.approx(of_the_largest(list(mine.values())))
        above_bound = sum(size for who, size in mine.items() if size > 10 * equity[who])
        whole = sum(mine.values())
        assert found.market_leveraged[1, c] == pytest.approx(float(above_bound / whole) if whole else 0.0)


@few
@given(books(max_accounts=16))
def test_coverage_and_pressure(drawn: fa.Book) -> None:
    engine = Engine(drawn, fund=dict.fromkeys(drawn.instruments.currencies, "3"))
    assume(not np.isnan(engine.marks).any())
    found, (_, rows) = engine.exposures(shocks=["0.125", "0.25"]), accounts_of(engine)
    currency = dict(engine.frames()[1].select("id", "currency").iter_rows())
    sizes = (Fraction(1, 8), Fraction(1, 4))  # exact in float64, so that whole atoms are whole
    for k, size in enumerate(sizes):
        coverage: dict[int, list[float]] = {c: [] for c in range(len(found.fund))}
        pressure: dict[int, list[float]] = {i: [] for i in range(len(found.unit))}
        for way in (-1, 1):
            fallen = set[str]()
            for step in sizes[: k + 1]:  # what a smaller shock fells is fallen
                worth = equities(engine, way * step)
                assume(all(abs(each) > 1e-3 for each in worth.values()))
                fallen |= {who for who, each in worth.items() if each < 0}
            for c, code in enumerate(found.instruments.currencies):
                debts = [math.ceil(-w) for who, w in worth.items() if w < 0 and currency[who] == code]
                room = max(0, fund_at(engine, c, way * size))
                coverage[c].append(float(room) / sum(debts) if debts else math.inf)
            for i in pressure:
                unpaid = 1 - min(1.0, coverage[int(found.instruments.currency[i])][-1])
                for side in (1, -1):
                    left = unhedged(rows, i, side, fallen)
                    across = sum(abs(lots) for who, j, lots, _ in rows if j == i and lots * side < 0)
                    across -= unhedged(rows, i, -side, fallen)
                    beyond = left * unpaid
                    pressure[i].append(beyond / across if across else math.inf if beyond else 0.0)
        for c, told in coverage.items():
            assert found.coverage[k, c] == pytest.approx(min(told))
        for i, each in pressure.items():
            assert found.pressure[k, i] == pytest.approx(max(each), abs=1e-12)


def unhedged(rows: list[tuple[str, int, int, int]], i: int, side: int, whose: set[str]) -> int:
    """Lots that accounts hold on a side beyond what they hold on the other."""
    net = dict.fromkeys(whose, 0)
    for who, j, lots, _ in rows:
        if who in whose and j == i:
            net[who] += lots * side
    return sum(max(0, lots) for lots in net.values())


def fund_at(engine: Engine, currency: int, move: Fraction) -> Fraction:
    state = engine._state
    worth = Fraction(int(state.reserve_cash[0, currency]))
    for i in np.flatnonzero(state.instruments.currency == currency).tolist():
        unit = state.marks.units[i]
        unit = unit / (1 + move) if state.inverse[i] else unit * (1 + move)
        worth += int(state.book.reserve_lots[0, i]) * unit - int(state.book.reserve_entry[0, i])
    return worth


def test_exposures_depend_on_neither_order_nor_threads() -> None:
    drawn = fa.synth.book("pareto", positions=30_000, accounts=12_000, instruments=7, seed=4)
    instruments, accounts, positions = drawn.to_frames()
    mixed = fa.Book.from_frames(
        instruments, accounts.sample(fraction=1, shuffle=True, seed=1), positions.sample(fraction=1, seed=2)
    )
    one, two = Engine(drawn, threads=1).exposures(), Engine(mixed).exposures()
    for name in type(one).__slots__:
        if name != "instruments":
            assert np.array_equal(getattr(one, name), getattr(two, name), equal_nan=True), name
    assert one.leveraged.any()
    assert one.pressure.any()


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"shocks": [1]}, ("shocks", 0)),
        ({"shocks": ["0"]}, ("shocks", 0)),
        ({"shocks": []}, ("shocks",)),
        ({"shocks": "0.1"}, ("shocks",)),
        ({"leverages": [5, float("nan")]}, ("leverages", 1)),
        ({"leverages": [-1]}, ("leverages", 0)),
        ({"leverages": range(1, 18)}, ("leverages",)),
    ],
)
def test_what_exposures_cannot_be_asked(given: dict[str, Any], path: tuple[str | int, ...]) -> None:
    engine = Engine(book("a X 1 100\nb X -1 100", cash={"a": "50", "b": "50"}, listed=X))
    with pytest.raises(InputError) as error:
        engine.exposures(**given)
    assert error.value.path == path


# ---------------------------------------------------------------------- windows


def test_a_window_ends_to_the_second() -> None:
    window = Window(10, "sum")
    for time in (100, 100, 105, 109):
        window.add(time, np.array([1.0]))
    assert window.total() == [4]
    window.add(110, np.array([0.0]))
    assert window.total() == [2]  # both of 100 are ten seconds old
    window.add(119, np.array([0.0]))
    assert window.total() == [0]


def test_a_long_window_is_known_to_a_slice_of_it() -> None:
    window = Window(3600, "sum")
    assert window.step == 3600 / SLICES == 30
    window.add(29, np.array([1.0]))
    window.add(3599, np.array([1.0]))
    assert window.total() == [2]
    window.add(3600, np.array([0.0]))
    assert window.total() == [1]


def test_the_value_before_a_window_is_the_last_that_is_old_enough() -> None:
    window = Window(10, "last")
    for time, value in ((0, 1.0), (3, 2.0), (9, 3.0)):
        window.add(time, np.array([value]))
        assert window.before() == [1]  # the first there is
    for time, value in ((13, 2.0), (18, 2.0), (19, 3.0), (500, 3.0)):
        window.add(time, np.array([9.0]))
        expected = {13: 2.0, 18: 2.0, 19: 3.0, 500: 9.0}[time]
        assert window.before() == [expected], value


def test_the_most_of_a_window() -> None:
    window = Window(10, "most")
    for time, value, most in ((0, 5.0, 5), (4, 7.0, 7), (5, 1.0, 7), (13, 2.0, 7), (14, 2.0, 2)):
        window.add(time, np.array([value]))
        assert window.most() == [most]


def test_a_window_takes_what_is_listed_later() -> None:
    window = Window(10, "last")
    window.add(0, np.array([1.0]))
    window.add(20, np.array([2.0, 5.0]))
    assert window.before().tolist() == [1.0, 5.0]
    window = Window(10, "sum")
    window.add(0, np.array([1.0]))
    window.add(1, np.array([2.0, 5.0]))
    assert window.total().tolist() == [3.0, 5.0]


def test_a_window_is_bounded() -> None:
    window = Window(86_400, "sum")
    for time in range(0, 300_000, 7):
        window.add(time, np.array([1.0]))
    assert window._values.shape == (SLICES + 1, 1)


# ---------------------------------------------------------------------- rules on series by hand

#: What becomes of a rule at each value: + raised, - cleared, . nothing.
SERIES: list[tuple[dict[str, Any], list[float], str]] = [
    ({"above": 5}, [5, 5.1, 6, 5, 5.1], ".+.-+"),  # at the bound is not beyond it, and clears
    ({"above": 5, "clear_at": 3}, [6, 5, 4, 3.1, 3, 5.1, 3], "+...-+-"),  # at clear_at is cleared
    ({"above": 5, "clear_at": 3}, [6, 4, 6, 4, 6, 2, 4, 5, 6], "+....-..+"),  # no flapping between the two
    ({"below": 1}, [1, 0.9, 1, math.inf], ".+-."),
    ({"below": 1, "clear_at": 2}, [0, 1, 1.9, 2, 1.5, 0.5], "+..-.+"),
    ({"above": 5, "for_ticks": 3}, [6, 6, 4, 6, 6, 6, 6], ".....+."),  # three in a row
    ({"above": 5, "clear_at": 3, "for_ticks": 2}, [6, 4, 6, 6], "...+"),  # between the two is not beyond
    ({"above": 5, "for_seconds": 20}, [6, 6, 6, 4, 6, 6, 6], "..+-..+"),  # a tick is ten seconds
    ({"above": 5, "for_seconds": 21}, [6, 6, 6, 6], "...+"),
    ({"above": 5, "cooldown": 30}, [6, 4, 6, 6, 6, 6, 4], "+-..+.-"),  # and then it is raised, not forgotten
    ({"above": 5, "cooldown": 30}, [6, 4, 6, 6, 4, 6], "+-...+"),
    ({"above": 5, "clear_at": 3}, [math.nan, 6, math.nan, 4, math.nan, 2], ".+...-"),  # no value, no change
    ({"above": 5, "for_ticks": 2}, [6, math.nan, 6], "..+"),
    ({"above": 0}, [0, math.inf, 0], ".+-"),
    ({"above": 5, "for_ticks": 2, "cooldown": 20}, [6, 6, 4, 6, 6], ".+-.+"),
]


@pytest.mark.parametrize(("given", "values", "expected"), SERIES)
def test_a_rule_on_a_series(given: dict[str, Any], values: list[float], expected: str) -> None:
    watched, told = Watched(Rule(metric="concentration", **given)), ""
    for tick, value in enumerate(values):
        alerts = watched.observe(np.array([value]), None, ["USD"], 10 * tick, tick)
        told += {(): ".", ("raised",): "+", ("cleared",): "-"}[tuple(alert.state for alert in alerts)]
    assert told == expected


def test_an_alert_says_since_when_and_what() -> None:
    watched = Watched(
        Rule(metric="mark_move", above=5, for_ticks=3, symbol="*", window=60, severity="critical")
    )
    for tick, value in enumerate((1.0, 6.0, 7.0, 8.0)):
        alerts = watched.observe(np.array([0.0, value]), ["A", "B"], ["USD", "BTC"], 10 * tick, tick)
    expected = {
        "symbol": "B",
        "currency": "BTC",
        "value": 8.0,
        "bound": 5.0,
        "since": 10,
        "time": 30,
        "tick": 3,
    }
    assert {name: getattr(alerts[0], name) for name in expected} == expected
    assert str(alerts[0]) == "critical raised: mark_move of B (window 60) is 8, above 5"


def test_what_is_cleared_says_since_when_it_was_past_the_bound() -> None:
    watched = Watched(Rule(metric="mark_move", above=5, clear_at=3))
    for tick, value in enumerate((1.0, 6.0, 4.0, 6.0, 2.0)):
        alerts = watched.observe(np.array([value]), None, ["USD"], 10 * tick, tick)
    assert [(alert.state, alert.since) for alert in alerts] == [("cleared", 10)]


def test_every_symbol_by_itself_or_one_of_them() -> None:
    every = Watched(Rule(metric="mark_move", above=5, symbol="*"))
    one = Watched(Rule(metric="mark_move", above=5, symbol="B"))
    told = []
    for tick, values in enumerate(([6.0, 0.0], [0.0, 6.0], [6.0, 6.0, 6.0])):
        names = ["A", "B", "C"][: len(values)]
        for watched in (every, one):
            told.append(
                [
                    (alert.state, alert.symbol)
                    for alert in watched.observe(np.array(values), names, names, tick, tick)
                ]
            )
    assert told == [
        [("raised", "A")], [],
        [("cleared", "A"), ("raised", "B")], [("raised", "B")],
        [("raised", "A"), ("raised", "C")], [],
    ]  # fmt: skip


# ---------------------------------------------------------------------- metrics over ticks, by hand


def watch(engine: Engine, prices: dict[int, Any], monitor: Monitor, **given: Any) -> Monitor:
    for time, price in prices.items():
        marks = price if isinstance(price, dict) else {"X": price}
        monitor.observe(engine, engine.tick(marks, time=time), **given)
    return monitor


@pytest.fixture
def calm() -> Engine:
    """Ann and bob, who can bear anything."""
    return Engine(book("ann X 10 100\nbob X -10 100", cash={"ann": "100000", "bob": "100000"}, listed=X))


def test_a_move_is_of_the_window(calm: Engine) -> None:
    monitor = Monitor([Rule(metric="mark_move", above=0.3, window=100)])
    watch(calm, {0: "100", 50: "110", 99: "88"}, monitor)
    assert monitor.value("mark_move", window=100) == pytest.approx(0.12)
    watch(calm, {150: "121"}, monitor)
    assert monitor.value("mark_move", symbol="X", window=100) == pytest.approx(0.1)  # from 110
    assert monitor.value("mark_move_max") == pytest.approx(0.21)


def test_volatility_is_of_a_year_and_of_the_whole_window(calm: Engine) -> None:
    monitor = watch(calm, {0: "100", 60: "110", 120: "99"}, Monitor([]))
    squares = math.log(1.1) ** 2 + math.log(0.9) ** 2
    assert monitor.value("volatility") == pytest.approx(math.sqrt(squares * 365 * 24))
    watch(calm, {3600 + 60: "99"}, monitor)
    assert monitor.value("volatility") == pytest.approx(math.sqrt(math.log(0.9) ** 2 * 365 * 24))
    watch(calm, {3600 + 120: "99"}, monitor)
    assert monitor.value("volatility") == 0


def test_what_is_of_the_market_is_weighed_by_open_interest() -> None:
    listed = {"X": {"mark": "100"}, "Y": {"mark": "10"}}
    rows = "ann X 3 100\nbob X -3 100\nann Y 10 10\nbob Y -10 10"
    engine = Engine(book(rows, cash=RICH, listed=listed))
    monitor = watch(engine, {0: {"X": "100", "Y": "10"}, 9: {"X": "100", "Y": "20"}}, Monitor([]))
    assert monitor.value("open_interest") == 500
    assert monitor.value("mark_move") == pytest.approx(1 * 200 / 500)
    assert monitor.value("mark_move_max") == 1


def test_a_spike_is_held_against_the_median_of_the_rates_before(calm: Engine) -> None:
    monitor = watch(calm, {0: "100"}, Monitor([]))
    assert math.isnan(monitor.value("funding_rate", symbol="X"))
    assert monitor.value("funding_spike") == 0
    for time, rate in enumerate(("0.0001", "0.0003", "-0.0001", "0.004"), 1):
        watch(calm, {time: "100"}, monitor, funding={"X": rate})
        if time == 1:
            assert monitor.value("funding_spike") == 0
    watch(calm, {9: "100"}, monitor)
    assert monitor.value("funding_rate", symbol="X") == 0.004
    assert monitor.value("funding_spike", symbol="X") == pytest.approx(0.0039)
    for time in range(10, 60):
        watch(calm, {time: "100"}, monitor, funding={"X": "-0.002"})
    assert monitor.value("funding_spike", symbol="X") == 0
    assert monitor.value("funding_rate") == 0.002


def test_volumes_are_of_reports_and_of_what_was_executed_between() -> None:
    rows = "ann X 10 100\nbob X -10 100"
    engine = Engine(book(rows, cash={"ann": "100", "bob": "1000"}, listed=X))
    monitor = watch(engine, {0: "100"}, Monitor([]), executed={"X": 3})
    assert monitor.value("liquidation_volume") == 300
    assert monitor.value("adl_volume") == 0
    sold = {"account": ["ann"], "symbol": ["X"], "side": ["long"], "lots": [4], "price": ["90"]}
    monitor.observe(engine, engine.tick({"X": "89"}, time=60, executions=sold))
    assert monitor.value("liquidation_volume", symbol="X") == 300 + 10 * 89
    assert monitor.value("adl_volume") == 6 * 89
    assert monitor.value("liquidation_share") == pytest.approx((300 + 890) / (4 * 89))  # the market holds 4
    watch(engine, {3600: "89"}, monitor)
    assert monitor.value("liquidation_volume") == 890


def test_charges_in_cash_are_deleveraging_too() -> None:
    rows = "ann X 10 100\nbob X -10 100"
    engine = Engine(book(rows, cash={"ann": "100", "bob": "1000"}, listed=X), policy="drift_v2")
    report = engine.tick({"X": "80"}, time=0)
    charged = report.summary["socialized"][0]
    monitor = Monitor([])
    monitor.observe(engine, report)
    assert charged > 0
    assert monitor.value("adl_volume") == report.lots("adl_fills").sum() * 80 + charged / 100


def test_losses_nobody_paid_and_the_fall_of_the_fund() -> None:
    rows = "ann X 10 100\nbob X -10 100"
    prices = {"policy": "bitmex", "fund": "150"}
    engine = Engine(book(rows, cash={"ann": "100", "bob": "1000"}, listed=X), **prices)
    monitor = watch(engine, {0: "100", 10: "95"}, Monitor([]))
    assert monitor.value("fund_drawdown") == 0
    watch(engine, {20: "80"}, monitor)
    paid = 150 - float(engine.reserves().filter(account="fund")["equity"][0]) / 100
    assert monitor.value("fund_drawdown") == pytest.approx(paid / 150)
    assert paid > 0
    assert monitor.value("uncovered") == 0
    alone = Engine(book("ann X 10 100", cash={"ann": "100"}, listed=X))
    watch(alone, {0: "80"}, bare := Monitor([]))
    assert bare.value("uncovered") == 100
    watch(alone, {10: "80"}, bare)
    assert bare.value("uncovered") == 100, "the same loss again is no other"


def test_a_fund_that_is_below_zero_and_falls_is_an_alert() -> None:
    monitor = Monitor([Rule(metric="fund_drawdown", above=0.5)])
    engine = Engine(book("ann X 10 100\nbob X -10 100", cash=RICH, listed=X), fund="1")
    monitor.observe(engine, engine.tick({"X": "100"}, time=0))
    engine.withdraw({"account": ["fund"], "amount": ["1"]})
    (alert,) = monitor.observe(engine, engine.tick({"X": "100"}, time=1))
    assert (alert.state, alert.value) == ("raised", 1.0)


def test_currencies_are_told_apart() -> None:
    rows = "ann X 10 100\nbob X -10 100\ncy I 5 50\ndon I -5 50"
    cash = {"ann": "500", "bob": "500", "cy": "1", "don": "1"}
    engine = Engine(book(rows, cash=cash, listed=TWO, currency=["USD", "USD", "BTC", "BTC"]))
    monitor = watch(engine, {0: {"X": "100", "I": "50"}}, Monitor([]))
    found = monitor.metrics().filter(metric="open_interest").select("symbol", "currency", "value").rows()
    assert found == [(None, "BTC", 10.0), (None, "USD", 1000.0), ("X", "USD", 1000.0), ("I", "BTC", 10.0)]
    with pytest.raises(InputError, match="BTC, USD"):
        monitor.value("open_interest")


def test_a_symbol_listed_later_joins(calm: Engine) -> None:
    monitor = Monitor([Rule(metric="mark_move", above=0.1, symbol="*")])
    watch(calm, {0: "100"}, monitor)
    new = {"symbol": ["NEW"], "kind": ["linear"], "contract_size": ["1"], "lot": ["1"], "tiers": [RATE]}
    calm.list_instruments(new | {"currency": ["USD"]})
    watch(calm, {10: "100", 20: {"X": "100", "NEW": "7"}}, monitor)
    assert monitor.value("mark_move", symbol="NEW") == 0
    alerts = monitor.observe(calm, calm.tick({"NEW": "8"}, time=30))
    assert [(alert.symbol, alert.state) for alert in alerts] == [("NEW", "raised")]


def test_a_book_nobody_holds_anything_in() -> None:
    monitor = Monitor()
    engine = Engine(book("", cash={"ann": "5"}, listed=X))
    assert monitor.observe(engine, engine.tick({"X": "100"}, time=0)) == []
    assert monitor.value("fund_coverage", shock=0.1) == math.inf
    assert (
        monitor.value("concentration")
        == monitor.value("adl_pressure")
        == monitor.value("leveraged_share")
        == 0
    )


# ---------------------------------------------------------------------- the monitor


def test_watching_changes_nothing(calm: Engine) -> None:
    report = calm.tick({"X": "70"}, time=9)
    before = state_of(calm)
    Monitor().observe(calm, report)
    assert state_of(calm) == before


def test_live_engines_are_watched_alike(tmp_path: Path, calm: Engine) -> None:
    plain, live = Monitor(), Monitor()
    with fa.LiveEngine.create(tmp_path / "journal", calm.book.copy()) as engine:
        watch(calm, {0: "100", 60: "80"}, plain)
        watch(engine, {0: "100", 60: "80"}, live)
        assert engine.journal.sequence == 2
    assert live.metrics().equals(plain.metrics())
    assert live.alerts().equals(plain.alerts())
    assert plain.alerts().height


def test_sinks_hear_of_every_alert_and_one_that_fails_stops_nobody(
    calm: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Alert] = []

    def broken(alert: Alert) -> None:
        raise OSError("no line")

    rule = Rule(metric="mark_move_max", above=0.1, severity="critical")
    monitor = Monitor([rule], sinks=[broken, heard.append, log])
    with caplog.at_level(logging.INFO, "fastadl.monitor"):
        watch(calm, {0: "100", 10: "80"}, monitor)
    assert [alert.state for alert in heard] == ["raised"]
    assert [record.levelname for record in caplog.records] == ["ERROR", "CRITICAL"]
    assert "fastadl_sink_failures_total 1.0\n" in monitor.prometheus()
    assert monitor.raised == 1


def test_the_frame_of_alerts_is_bounded(calm: Engine) -> None:
    monitor = Monitor([Rule(metric="mark_move_max", above=0.1, window=10)], keep=3)
    watch(calm, {20 * i + 10 * half: "100" if i % 2 else "80" for i in range(9) for half in (0, 1)}, monitor)
    frame = monitor.alerts()
    assert frame.height == 3
    assert frame["tick"].is_sorted()
    assert frame.columns == list(Alert.__slots__)
    assert Monitor([]).alerts().schema == frame.schema


def test_nothing_observed_nothing_told() -> None:
    for ask in (Monitor().metrics, Monitor().prometheus):
        with pytest.raises(StageError, match="observe"):
            ask()
    assert Monitor().raised == 0


def test_a_refused_observation_leaves_the_monitor_as_it_was(calm: Engine) -> None:
    monitor = watch(calm, {0: "100"}, Monitor())
    before, report = monitor.prometheus(), calm.tick({"X": "50"}, time=5)
    for options, path in [
        ({"time": -1}, ("time",)),
        ({"time": 1.5}, ("time",)),
        ({"funding": {"Y": "0.1"}}, ("rates", "Y")),
        ({"funding": {"X": "2"}}, ("rates", "X")),
        ({"executed": {"Y": 1}}, ("executed", "Y")),
        ({"executed": {"X": -1}}, ("executed", "X")),
        ({"executed": [1]}, ("executed",)),
    ]:
        with pytest.raises(InputError) as error:
            monitor.observe(calm, report, **options)
        assert error.value.path == path
    assert monitor.prometheus() == before
    assert monitor.observe(calm, report)


def test_a_report_is_observed_once_and_in_its_turn(calm: Engine) -> None:
    """Its volumes would count twice; a close by hand has the tick's number and a report of its own."""
    monitor, reports = Monitor(), [calm.tick({"X": price}, time=9) for price in ("100", "101")]
    monitor.observe(calm, reports[1])
    told = monitor.prometheus()
    for again in reports:
        with pytest.raises(InputError, match="give each report once, in their order: after that of tick 1"):
            monitor.observe(calm, again)
    assert monitor.prometheus() == told
    monitor.observe(calm, calm.deleverage_account("ann", "X", lots=1, price="mark"))
    assert monitor.value("adl_volume") == 101


def test_an_engine_that_is_never_told_the_time_is_not_watched(calm: Engine) -> None:
    monitor = Monitor()
    monitor.observe(calm, calm.tick({"X": "100"}))
    report = calm.tick({"X": "101"})
    with pytest.raises(InputError, match="give ticks or observe their time") as error:
        monitor.observe(calm, report)
    assert error.value.path == ("time",)
    monitor.observe(calm, report, time=0)
    monitor.observe(calm, calm.tick({"X": "100"}, time=1))
    monitor.observe(calm, calm.tick({"X": "100"}))


def test_a_rule_of_an_unknown_symbol_is_refused_with_the_nearest(calm: Engine) -> None:
    monitor = Monitor([Rule(metric="mark_move", above=1, symbol="XX", name="one")])
    with pytest.raises(InputError, match="such as X") as error:
        monitor.observe(calm, calm.tick({"X": "100"}))
    assert error.value.path == ("rules", "one", "symbol")


def test_marks_that_are_no_numbers_are_refused_before_anything_is_watched(calm: Engine) -> None:
    monitor = watch(calm, {0: "100"}, Monitor())
    with pytest.raises(InputError):
        watch(calm, {1: float("nan")}, monitor)
    assert monitor.value("mark_move") == 0
    unmarked = Engine(book("ann X 1 100\nbob X -1 100", cash={"ann": "500", "bob": "500"}))
    with pytest.raises(StageError, match="X has no mark"):
        monitor.observe(unmarked, calm.tick({"X": "100"}, time=2))


# ---------------------------------------------------------------------- rules that cannot be

BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"metric": "mark_mov", "above": 1}, "metric", "nearest is mark_move"),
    ({"above": 1}, "metric", "give one of mark_move"),
    ({"metric": "volatility"}, "above", "one of above and below"),
    ({"metric": "volatility", "above": 1, "below": 2}, "above", "one of above and below"),
    ({"metric": "volatility", "above": math.nan}, "above", "finite"),
    ({"metric": "volatility", "above": "1"}, "above", "finite"),
    ({"metric": "volatility", "above": 1, "clear_at": 1.1}, "clear_at", "1 .above. or less"),
    ({"metric": "fund_coverage", "below": 1, "clear_at": 0.9}, "clear_at", "1 .below. or more"),
    ({"metric": "volatility", "above": 1, "window": 0}, "window", "whole number from 1"),
    ({"metric": "volatility", "above": 1, "window": 60.5}, "window", "whole number"),
    ({"metric": "volatility", "above": 1, "window": 10**9}, "window", "to 31622400"),
    ({"metric": "volatility", "above": 1, "shock": 0.1}, "shock", "takes window"),
    ({"metric": "concentration", "above": 1, "window": 60}, "window", "takes nothing"),
    ({"metric": "fund_coverage", "below": 1, "shock": 1}, "shock", "0.999"),
    ({"metric": "leveraged_share", "above": 1, "leverage": 0}, "leverage", "above 0"),
    ({"metric": "fund_coverage", "below": 1, "symbol": "*"}, "symbol", "whole market"),
    ({"metric": "mark_move", "above": 1, "symbol": 3}, "symbol", "text"),
    ({"metric": "mark_move", "above": 1, "severity": "fatal"}, "severity", "critical"),
    ({"metric": "mark_move", "above": 1, "for_ticks": 0}, "for_ticks", "from 1"),
    ({"metric": "mark_move", "above": 1, "for_ticks": True}, "for_ticks", "from 1"),
    ({"metric": "mark_move", "above": 1, "for_seconds": -1}, "for_seconds", "from 0"),
    ({"metric": "mark_move", "above": 1, "cooldown": 1.0}, "cooldown", "from 0"),
    ({"metric": "mark_move", "above": 1, "clear": 0.5}, "clear", "nearest is clear_at"),
]


@pytest.mark.parametrize(("given", "field", "remedy"), BAD)
def test_a_rule_that_cannot_be(given: dict[str, Any], field: str, remedy: str) -> None:
    with pytest.raises(InputError, match=remedy) as error:
        Monitor([{"metric": "mark_move", "above": 1}, given])
    assert error.value.path == ("rules", 1, field)


def test_two_rules_need_two_names() -> None:
    with pytest.raises(InputError) as error:
        Monitor([Rule(metric="mark_move", above=1), Rule(metric="mark_move", above=2)])
    assert error.value.path == ("rules", 1, "name")
    Monitor([Rule(metric="mark_move", above=1), Rule(metric="mark_move", above=2, name="more")])


@pytest.mark.parametrize(
    "given",
    [{"rules": "rules.toml"}, {"rules": [3]}, {"keep": 0}, {"sinks": [3]}, {"rules": {"metric": "x"}}],
)
def test_a_monitor_that_cannot_be(given: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Monitor(**given)


def test_rules_are_read_from_toml(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(
        '[[rule]]\nmetric = "mark_move"\nsymbol = "*"\nwindow = 60\nabove = 0.05\nclear_at = 0.03\n'
    )
    assert read_rules(file) == (Rule(metric="mark_move", symbol="*", window=60, above=0.05, clear_at=0.03),)


@pytest.mark.parametrize(
    ("text", "path", "found"),
    [
        ('[[rule]]\nmetric = "mark_mvoe"\nabove = 1', ("rules", 0, "metric"), "nearest is mark_move"),
        ('[[rules]]\nmetric = "mark_move"', ("rules",), r"\[\[rule\]\]"),
        ("", ("rule",), "no rule"),
        ("rule = 3", ("rule",), "no rule"),
        ("[[rule]\n", (), "TOML"),
        (None, (), "No such file"),
    ],
)
def test_a_file_of_rules_that_cannot_be(
    tmp_path: Path, text: str | None, path: tuple[str | int, ...], found: str
) -> None:
    file = tmp_path / "rules.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InputError, match=found) as error:
        read_rules(file)
    assert (error.value.path, error.value.file) == (path, str(file))


def test_the_rules_to_begin_with_are_of_every_kind_and_clear_before_they_are_raised() -> None:
    assert {rule.severity for rule in DEFAULT_RULES} == {"info", "warning", "critical"}
    assert all(rule.clear_at != rule.bound or rule.bound == 0 for rule in DEFAULT_RULES)
    money = {"open_interest", "liquidation_volume"}
    assert {rule.metric for rule in DEFAULT_RULES} >= set(METRICS) - money - {"mark_move_max"}


# ---------------------------------------------------------------------- Prometheus


def test_the_text_that_prometheus_reads(calm: Engine) -> None:
    rules = [Rule(metric="mark_move", above=0.1, symbol="*"), Rule(metric="fund_coverage", below=1)]
    text = watch(calm, {0: "100", 60: "80"}, Monitor(rules)).prometheus()
    assert text.endswith("\n")
    sample = re.compile(r'[a-z_]+(\{[a-z]+="[^"\\]*"(,[a-z]+="[^"\\]*")*\})? ([-+]Inf|-?[\d.]+(e[-+]?\d+)?)')
    lines = text.splitlines()
    families = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(families) == len(set(families))
    assert all(sample.fullmatch(line) for line in lines if not line.startswith("# "))
    for line in (
        'fastadl_mark_move{symbol="X",window="300"} 0.19999999999999996',
        'fastadl_market_open_interest{currency="USD"} 800.0',
        'fastadl_market_fund_coverage{currency="USD",shock="0.1"} +Inf',
        'fastadl_alert{rule="mark_move_warning",severity="warning",symbol="X"} 1.0',
        'fastadl_alert{rule="fund_coverage_warning",severity="warning",currency="USD"} 0.0',
        'fastadl_alerts_raised_total{rule="mark_move_warning"} 1.0',
        "fastadl_tick_seconds 60.0",
    ):
        assert line in lines
    assert "fastadl_funding_rate{" not in text, "what has no value is left out"


def test_labels_are_escaped() -> None:
    listed = {'a"b\\c': {"mark": "5"}}
    engine = Engine(book("", cash={"ann": "5"}, listed=listed))
    monitor = Monitor([])
    monitor.observe(engine, engine.tick(engine.marks))
    assert r'fastadl_open_interest{symbol="a\"b\\c"} 0.0' in monitor.prometheus()


def test_a_file_is_replaced_as_a_whole(tmp_path: Path, calm: Engine) -> None:
    monitor, file = watch(calm, {0: "100"}, Monitor()), tmp_path / "fastadl.prom"
    for _ in range(2):
        monitor.write(file)
        assert file.read_text("utf-8") == monitor.prometheus()
    assert [path.name for path in tmp_path.iterdir()] == ["fastadl.prom"]
    assert file.stat().st_mode & 0o444 == 0o444
    with pytest.raises(InputError):
        monitor.write(tmp_path)
