"""One engine's state, its lock, and calls that are kept whole or not at all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastadl.engine.bankruptcy import Bankruptcies
from fastadl.engine.fund_rules import FundRule
from fastadl.engine.indicator.demand import Demand
from fastadl.engine.results import Tick
from fastadl.engine.settings import running_on
from fastadl.engine.state import State, known_account
from fastadl.errors import StageError
from fastadl.io.fills import read_accounts
from fastadl.io.index import Index
from fastadl.policy import AdlPolicy
from fastadl.schema import IntArray

__all__ = ["Core"]


class Core:
    """What every call of an engine works on; `Engine` fills it in."""

    policy: AdlPolicy
    _state: State
    _rules: list[FundRule]
    _totals: tuple[list[int], list[int]]
    _lock: threading.RLock
    _threads: int | None
    _time: int
    _number: int
    _tick: Tick | None
    _doomed: Bankruptcies | None
    _within: bool
    _fills_lawful: bool
    _closed_at_zero: bool
    #: The demand as things stand, and under which policy; None once anything may have changed.
    _known: tuple[AdlPolicy, Demand] | None = None

    def _next(self) -> int:
        """Number of the tick in progress, or of the next one."""
        return self._number + (self._tick is None)

    def _find(self) -> Index:
        return self._state.book.index()

    def _code(self, account: object, path: tuple[str | int, ...] = ("account",)) -> int:
        """Position of an account by its id, or by the code given; refuses an unknown one at `path`."""
        return known_account(self._state, account, path)

    def _who(self, accounts: Any) -> tuple[IntArray, bool]:
        """Positions of accounts by their ids or codes, and whether one was named by itself, in no list."""
        if isinstance(accounts, (str, int, np.integer)):
            return np.array([self._code(accounts)], np.int32), True
        return read_accounts(accounts, self._state.everybody, self._find), False

    def _check_between(self) -> None:
        """Refuse to change accounts of which it has been decided that they are bankrupt."""
        if self._doomed is not None:
            raise StageError("the fund has taken over in this tick: end it with deleverage first")

    def _check_alone(self) -> None:
        """Refuse a second call that changes accounts within one block of `_together`."""
        if self._within and self._state.pending:
            raise RuntimeError("one call that changes accounts per block: leave the block of the last first")

    @contextmanager
    def _reading(self) -> Iterator[State]:
        with self._lock, running_on(self._threads):
            yield self._state

    def _check_marked(self) -> None:
        """Refuse to value rows of instruments that were never marked."""
        state = self._state
        for i in () if state.marks.complete else state.unmarked(state.marks):
            raise StageError(f"{state.instruments.symbols[i]} has no mark yet: call mark(prices) first")

    def _came(self, money: list[int]) -> None:
        """Law 2 allows for what came in from outside, by currency."""
        lots, before = self._totals
        self._totals = lots, [have + more for have, more in zip(before, money, strict=True)]

    @contextmanager
    def _whole(self, *, anew: bool = False) -> Iterator[None]:
        """Keep everything the block did, or nothing; `anew` where it adds nothing to the tick in progress."""
        with self._lock, running_on(self._threads):
            self._known = None
            if self._within:
                self._check_alone()
                yield
                return
            state = self._state
            prices, saved = state.prices(), (self._time, self._number, self._totals)
            tick = self._tick if self._tick is None or anew else self._tick.copy()
            doomed = None if self._doomed is None else self._doomed.copy()
            memories = [rule.memory for rule in self._rules]
            laws = self._fills_lawful, self._closed_at_zero
            try:
                yield
                state.commit()
            except BaseException:
                state.rollback()
                state.set_prices(prices)
                self._time, self._number, self._totals = saved
                self._tick, self._doomed = tick, doomed
                for rule, memory in zip(self._rules, memories, strict=True):
                    rule.memory = memory
                self._fills_lawful, self._closed_at_zero = laws
                raise
            finally:
                self._known = None

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Keep a call and what else the block does, or nothing of both.

        The block is for one call that changes accounts: what undoes a call knows where the rows of accounts
        were, and guards are renewed at the end of the block.
        """
        with self._whole():
            self._within = True
            try:
                yield
            finally:
                self._within = False
