"""Any order of calls, good and bad: the laws hold after every step, and what is refused changes nothing."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engines import state_of, totals
from fastadl import Engine, Fund, InputError, StageError
from fastadl.decimals import plain
from fastadl.testing import assert_books_equal, books, check_invariants, marks
from model.policy import PRESETS
from model.strategies import policies
from uncompiled import fewer

OPPOSITE = {"long": "short", "short": "long"}
FUNDS = st.builds(
    Fund,
    cash=st.sampled_from(("0", "1", "25", "100000", "-3")),
    min_equity=st.sampled_from(("0", "0.5", "-2")),
    max_drawdown=st.sampled_from((None, "0.3", "1")),
    peak_window=st.sampled_from((60, 28800)),
)
WRONG_MARKS: list[Any] = [
    {"nobody": "1"}, {"first": "0"}, {"first": float("nan")}, {"first": -1}, {"first": "1e5"}, [1.0] * 9,
    "12", None,
]  # fmt: skip
#: column, and what its last value becomes
WRONG_EXECUTIONS: list[tuple[str, Any]] = [
    ("account", "nobody"), ("account", "fund"), ("account", None), ("symbol", "x"), ("side", "buy"),
    ("lots", 0), ("lots", 10**6), ("lots", "0.05"), ("price", "0"), ("price", float("inf")), ("fee", "-0.01"),
    ("fee", "0.000000001"), ("counterparty", "nobody"), ("counterparty", "self"), ("when", 5),
]  # fmt: skip


@st.composite
def liquidities(draw, book):
    depth = {item.symbol: plain(draw(st.sampled_from((0, 3, 1000))) * item.lot) for item in book.instruments}
    share = st.sampled_from(("0", "0.01", "0.3"))
    surplus = draw(st.sampled_from(("trader", "fund")))
    given = {
        "model": "fixed",
        "depth": depth,
        "slippage": draw(share),
        "fee": draw(share),
        "surplus": surplus,
    }
    if draw(st.booleans()):
        given |= {"slice": draw(st.sampled_from(("0.2", "0.5"))), "step_down": draw(st.booleans())}
        given["cooldown"] = draw(st.sampled_from((0, 1, 30)))
    return given


class Held:
    """Lots of every row while executions are drawn one after another."""

    def __init__(self, engine: Engine) -> None:
        _, accounts, positions = engine.book.to_frames()
        self.currency = dict(accounts.select("id", "currency").iter_rows())
        self.cross = set(accounts.filter(accounts["margin_mode"] == "cross")["id"])
        rows = positions.filter(positions["account"].is_in(list(self.currency))).iter_rows()
        self.lots = {(who, symbol, "long" if n > 0 else "short"): abs(n) for who, symbol, n, _ in rows}

    def move(self, account: str, symbol: str, side: str, lots: int, counterparty: str | None) -> None:
        self.lots[account, symbol, side] -= lots
        if counterparty is not None:
            against = (counterparty, symbol, OPPOSITE[side])
            netted = min(lots, self.lots.get(against, 0))
            self.lots[against] = self.lots.get(against, 0) - netted
            self.lots[counterparty, symbol, side] = (
                self.lots.get((counterparty, symbol, side), 0) + lots - netted
            )


@st.composite
def executions(draw, engine: Engine, to_traders: bool):
    """Columns of executions that are all good, one after another; None where nobody holds anything."""
    held = Held(engine)
    names = draw(
        st.sampled_from((("lots", "price"), ("qty", "price"), ("lots", "value"), ("qty", "value_atoms")))
    )
    columns: dict[str, list[Any]] = {
        name: [] for name in ("account", "symbol", "side", *names, "fee", "counterparty")
    }
    instruments = {item.symbol: item for item in engine.book.instruments}
    for _ in range(draw(st.integers(1, 4))):
        rows = sorted(row for row, lots in held.lots.items() if lots)
        if not rows:
            return None
        account, symbol, side = draw(st.sampled_from(rows))
        item = instruments[symbol]
        lots = draw(st.integers(1, held.lots[account, symbol, side]))
        price = item.mark * draw(st.integers(30, 200)) / 100
        value = floor(item.unit_value(price) * (lots if side == "long" else -lots))
        others = sorted(who for who in held.cross - {account} if held.currency[who] == item.currency)
        counterparty = draw(st.sampled_from([None, *others])) if to_traders else None
        spelled = {
            "account": account, "symbol": symbol, "side": side, "lots": lots, "qty": plain(lots * item.lot),
            "price": plain(price), "value": plain(Fraction(value, 10**item.decimals)), "value_atoms": value,
            "fee": draw(st.sampled_from((None, "0", "0.01", "3"))), "counterparty": counterparty,
        }  # fmt: skip
        for name, column in columns.items():
            column.append(spelled[name])
        held.move(account, symbol, side, lots, counterparty)
    if draw(st.booleans()):
        del columns["fee"]
    return columns


class Waterfall(RuleBasedStateMachine):
    """An engine, what it was before the tick in progress, and how far that tick has come."""

    @initialize(data=st.data())
    def build(self, data):
        self.book = data.draw(books(max_accounts=6))
        given = self.book.to_frames()
        self.policy = data.draw(st.sampled_from(sorted(PRESETS)) | policies())
        self.engine = Engine(
            self.book,
            policy=self.policy,
            fund={code: data.draw(FUNDS) for code in self.book.instruments.currencies},
            liquidity=data.draw(st.none() | liquidities(self.book)),
        )
        self.totals = totals(self.engine)
        self.given = [frame.clone() for frame in given]
        self.time = 0
        self.engine.mark({})
        self.begin()

    def begin(self):
        self.before = self.engine.copy()
        self.stage = "marked"
        self.counterparties: list[str | None] = []

    def finish(self, report):
        check_invariants(
            self.before, report, self.engine,
            counterparties=None if self.engine.liquidity else self.counterparties,
        )  # fmt: skip
        self.stage = "finished"

    def drawn_prices(self, data):
        form = data.draw(st.sampled_from(("mapping", "array", "list", "series")))
        if form == "mapping":
            return data.draw(marks(self.book))
        prices = data.draw(marks(self.book, every=True))
        array = np.array([float(prices[symbol]) for symbol in self.engine.symbols])
        return {"array": array, "list": array.tolist(), "series": pl.Series(array)}[form]

    def drawn_executions(self, data):
        columns = data.draw(executions(self.engine, self.engine.liquidity is None))
        if columns is not None:
            self.drawn = columns["counterparty"]
            if data.draw(st.booleans()):
                return pl.DataFrame(columns, strict=False)
        return columns

    @precondition(lambda self: self.stage != "declared")
    @rule(data=st.data(), later=st.sampled_from((None, 0, 30, 40_000)))
    def mark(self, data, later):
        prices = self.drawn_prices(data)
        self.time += later or 0
        before = self.engine.copy()
        marked = self.engine.mark(prices, None if later is None else self.time)
        self.begin()
        self.before = before
        detected = self.engine.liquidations()
        assert marked.time == self.time
        assert (marked.liquidatable, marked.bankrupt) == tuple(
            int((detected["status"] == status).sum()) for status in ("liquidatable", "bankrupt")
        )

    @precondition(lambda self: self.stage != "declared")
    @rule(data=st.data(), executed=st.booleans())
    def tick(self, data, executed):
        given = self.drawn_executions(data) if executed else None
        self.begin()
        self.counterparties = [] if given is None else self.drawn
        self.finish(self.engine.tick(self.drawn_prices(data), executions=given))

    @precondition(lambda self: self.stage != "declared")
    @rule(data=st.data())
    def settle(self, data):
        if self.stage == "finished":
            self.begin()
        given = self.drawn_executions(data)
        self.engine.settle(given)
        if given is not None:
            self.counterparties += self.drawn

    @precondition(lambda self: self.stage != "declared")
    @rule()
    def takeover(self):
        if self.stage == "finished":
            self.begin()
        self.engine.takeover()
        self.stage = "declared"

    @rule()
    def deleverage(self):
        if self.stage == "finished":
            self.begin()
        self.finish(self.engine.deleverage())

    @rule()
    def copy(self):
        other = self.engine.copy()
        assert_books_equal(other.book, self.engine.book)
        np.testing.assert_array_equal(other.marks, self.engine.marks)
        assert other.reserves().equals(self.engine.reserves())
        assert other.equity().tolist() == self.engine.equity().tolist()
        if self.stage == "declared":
            self.engine.deleverage()
        self.engine.tick(self.engine.marks * 0.5)
        self.engine = other
        self.stage = "finished"

    @precondition(lambda self: self.stage == "declared")
    @rule()
    def stage_done_twice(self):
        state = state_of(self.engine)
        for stage in (self.engine.takeover, self.engine.settle, lambda: self.engine.mark({})):
            with pytest.raises(StageError):
                stage()
        assert state_of(self.engine) == state

    @precondition(lambda self: self.stage != "declared")
    @rule(wrong=st.sampled_from(WRONG_MARKS), whole=st.booleans())
    def wrong_marks(self, wrong, whole):
        state = state_of(self.engine)
        if isinstance(wrong, dict) and "first" in wrong:
            wrong = {self.engine.symbols[0]: wrong["first"]}
        with pytest.raises(InputError):
            (self.engine.tick if whole else self.engine.mark)(wrong)
        assert state_of(self.engine) == state

    @precondition(lambda self: self.stage == "marked")
    @rule(data=st.data(), wrong=st.sampled_from(WRONG_EXECUTIONS))
    def wrong_executions(self, data, wrong):
        columns = data.draw(executions(self.engine, True))
        if columns is None:
            return
        name, value = wrong
        if name == "lots" and "qty" in columns:
            name, value = "qty", str(value)
        if name == "price" and "price" not in columns:
            name, value = "value" if "value" in columns else "value_atoms", "0.000000001"
        last = columns["account"][-1] if value == "self" else value
        columns[name] = [*columns.get(name, [None] * len(columns["account"]))[:-1], last]
        state = state_of(self.engine)
        with pytest.raises(InputError, match="executions"):
            self.engine.settle(columns)
        assert state_of(self.engine) == state

    @invariant()
    def laws_hold(self):
        assert self.engine.check().ok
        assert totals(self.engine) == self.totals

    def teardown(self):
        if hasattr(self, "given"):
            for frame, given in zip(self.book.to_frames(), self.given, strict=True):
                assert frame.equals(given)


TestWaterfall = Waterfall.TestCase
TestWaterfall.settings = settings(max_examples=fewer(40), stateful_step_count=15, deadline=None)
