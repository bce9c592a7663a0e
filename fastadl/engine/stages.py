"""The stages of the waterfall, one after another; `Engine` offers them whole."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from time import perf_counter
from typing import Any

import numpy as np

from fastadl.engine import bankruptcy, close_out, detect
from fastadl.engine import fund as fund_stage
from fastadl.engine.core import Core
from fastadl.engine.crowd import Crowd
from fastadl.engine.everybody import Everybody
from fastadl.engine.executions import Executions
from fastadl.engine.prices import Marks, given_prices
from fastadl.engine.results import Marked, Report, Tick
from fastadl.engine.settings import checked_time
from fastadl.engine.socialize import begin_session
from fastadl.engine.spread import spread
from fastadl.engine.state import FUND
from fastadl.errors import StageError
from fastadl.policy import AdlPolicy, AnyOrderBook
from fastadl.schema import Int64Array

__all__ = ["Stages"]


class Stages(Core):
    """The part of `Engine` that works through a tick."""

    liquidity: AnyOrderBook | None

    def _open(self) -> Tick:
        """The tick in progress; after a finished one a new one at the same marks."""
        if self._tick is None:
            if self._number < 0:
                raise StageError("nothing is marked yet: call mark(prices) first")
            self._mark({}, None, None)
        assert self._tick is not None
        return self._tick

    def _detected(self) -> Tick:
        """The same, with all who were detected at hand."""
        return self._open()

    def _mark(self, prices: Any, time: int | None, oracle: Any) -> Marked:
        state = self._state
        if self._doomed is not None:
            raise StageError("the fund has taken over in this tick: end it with deleverage before a new mark")
        start = perf_counter()
        now = checked_time(time, self._time)
        spoken = {} if oracle is None else given_prices(state.instruments, oracle, "oracle")
        before = state.marks
        named = before.after(given_prices(state.instruments, prices))
        detect.mark(state, named, spoken, first_tick=self._number < 0)
        begin_session(state, self.policy, now)
        self._time, self._number = now, self._number + 1
        tick = Tick(self._number, now, len(state.instruments.currencies))
        for c, rule in enumerate(self._rules):
            rule.marked(state, now)
            tick.fund_before[c] = state.reserve_floor(FUND, c)
        self._tick, self._doomed = tick, None
        between = perf_counter()
        found, bankrupt = self._detect(tick, named, spoken, before)
        tick.seconds["mark"] = between - start
        tick.seconds["detect"] = perf_counter() - between
        return Marked(tick.number, now, found - bankrupt, bankrupt)

    def _detect(
        self,
        tick: Tick,
        named: Mapping[int, Fraction],
        spoken: Mapping[int, Fraction],  # noqa: ARG002 - of oracles, for those who are elsewhere
        before: Marks,
    ) -> tuple[int, int]:
        """Find who fell below at the marks just set; how many did, and how many of them are bankrupt."""
        detect.detect(self._state, tick, named, before)
        found = len(tick.accounts)
        return found, int(np.count_nonzero(tick.was_bankrupt)) if found else 0

    def _crowd(self, policy: AdlPolicy, number: int) -> Crowd:
        """Everybody, as ranked and charged under a policy in a tick."""
        return Everybody(self._state, policy, number)

    def _settle(self, given: Executions | None) -> Int64Array:
        """Book executions, or let the liquidity model close; what each execution realised."""
        tick = self._tick
        assert tick is not None
        start, realized = perf_counter(), np.empty(0, np.int64)
        if given is not None:
            realized = close_out.settle(self._state, tick, given)
        elif self.liquidity is not None and len(tick.accounts):
            self._check_marked()
            close_out.close_out(self._state, tick, self.liquidity)
        tick.seconds["close_out"] += perf_counter() - start
        return realized

    def _executions(self, given: Any) -> Executions | None:
        return None if given is None else Executions.of(self._state, given)

    def _take_over(self) -> None:
        tick = self._tick
        assert tick is not None
        if self._doomed is not None:
            raise StageError("takeover was done in this tick: go on with deleverage")
        self._check_marked()
        start = perf_counter()
        self._doomed = bankruptcy.declare(self._state, tick, self.policy)
        if len(self._doomed.work.slot):
            fund_stage.take_over(self._state, tick, self._doomed, self._rules)
        tick.seconds["fund"] += perf_counter() - start

    def _deleverage(self) -> Report:
        tick, doomed, state = self._tick, self._doomed, self._state
        assert tick is not None
        assert doomed is not None
        start = perf_counter()
        crowd = self._crowd(self.policy, tick.number)
        self._closed_at_zero &= spread(state, tick, doomed, self.policy, self._rules, crowd)
        self._fills_lawful &= tick.fills_lawful
        for c in range(len(self._rules)):
            tick.fund_after[c] = state.reserve_floor(FUND, c)
        tick.seconds["adl"] += perf_counter() - start
        self._tick = self._doomed = None
        return self._report(tick, self.policy)

    def _report(self, tick: Tick, policy: AdlPolicy, *, alone: bool = False) -> Report:  # noqa: ARG002
        """What a tick did, done or in progress; `alone` where it is none but only has the number of one."""
        return Report(tick, self._state.book, policy.cancel_orders)
