"""The engine: one book, one policy, and the stages of the waterfall, all or nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import floor
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl

from fastadl import memory
from fastadl.book import Book
from fastadl.engine import bankruptcy, by_hand, close_out, detect, readings, standing
from fastadl.engine import fund as fund_stage
from fastadl.engine.executions import Executions
from fastadl.engine.fund_rules import FundRule
from fastadl.engine.prices import given_prices
from fastadl.engine.results import Checks, Estimates, Marked, Report, Tick
from fastadl.engine.settings import (
    checked_funds,
    checked_liquidity,
    checked_policy,
    checked_threads,
    checked_time,
    running_on,
)
from fastadl.engine.socialize import begin_session
from fastadl.engine.spread import spread
from fastadl.engine.standing import Standings
from fastadl.engine.state import FUND, State, held_instruments
from fastadl.errors import InputError, StageError
from fastadl.kernels._threads import refuse_fork
from fastadl.policy import AdlPolicy, AnyOrderBook
from fastadl.schema import Float64Array, Int64Array

__all__ = ["Checks", "Engine", "Marked"]


class Engine:
    """Marks a book and runs the liquidation waterfall on it.

    Parameters
    ----------
    book : Book
    policy : str, mapping or AdlPolicy
        Name of a preset, or choices as in a scenario file.
    fund : decimal, mapping or Fund
        Cash of the insurance fund (one-currency book), a `Fund`, or one per currency.
    liquidity : mapping, Liquidity or AnyOrderBook, optional
        Simulated order book that detected accounts are closed in (rules R22, R100).
    threads : int, optional
        Threads of the kernels, at most what numba was started with (``NUMBA_NUM_THREADS``, by default the
        number of cores); numba's setting if left out. No result depends on it.
    copy : bool
        Work on a copy of the book. With False the engine takes the book over.

    Raises
    ------
    InputError
        For a policy, fund or liquidity that cannot be.
    MemoryLimitError
        If a copy of the book does not fit the memory that is free; copy=False needs none.

    Notes
    -----
    Every call either finishes or leaves the engine as it was. One lock per engine: calls from several threads
    wait for each other, and a reader sees the last finished call. Engines run beside each other in several
    threads; under numba's ``workqueue`` layer their kernels take turns. A child process forked after its
    parent used the package is refused with `ForkError`: start processes by spawn.

    Examples
    --------
    >>> import fastadl as fa
    >>> book = fa.synth.book("pareto", positions=1000, accounts=400, instruments=5, seed=1)
    >>> engine = fa.Engine(book, fund="1000000")
    >>> report = engine.tick(engine.marks * 0.8)
    >>> engine.check().ok
    True
    """

    def __init__(
        self,
        book: Book,
        *,
        policy: str | Mapping[str, Any] | AdlPolicy = "bitmex",
        fund: Any = "0",
        liquidity: Mapping[str, Any] | AnyOrderBook | None = None,
        incremental: bool = False,
        threads: int | None = None,
        copy: bool = True,
    ) -> None:
        if incremental:
            raise InputError(("incremental",), incremental, "leave it out; every mark is a full pass")
        refuse_fork()
        self.policy = checked_policy(book, policy)
        self.liquidity = checked_liquidity(book, liquidity)
        self._threads = checked_threads(threads)
        funds = checked_funds(book, fund, self.policy)
        if copy:
            memory.refuse_beyond(book.nbytes, ("copy",), f"a copy of {book!r}")
        self._state = State(book.copy() if copy else book)
        for c, (each, decimals) in enumerate(zip(funds, book.instruments.decimals, strict=True)):
            self._state.endow(c, each.cash_atoms(decimals))
        self._rules = [FundRule(each, self.policy, book.instruments, c) for c, each in enumerate(funds)]
        self._totals = self._state.totals()
        self._lock = threading.RLock()
        self._time = 0
        self._number = -1
        self._tick: Tick | None = None
        self._doomed: bankruptcy.Bankruptcies | None = None
        self._fills_lawful = self._closed_at_zero = True

    # ------------------------------------------------------------------ the waterfall

    def tick(
        self, prices: Any, *, time: int | None = None, executions: Any = None, oracle: Any = None
    ) -> Report:
        """Run every stage: mark, detect, close out, fund, deleverage, report.

        Parameters
        ----------
        prices : mapping of symbol to price, or array
            New marks; an array names every instrument in the order of `symbols`.
        time : int, optional
            Seconds, not before the last tick; that of the last tick if left out.
        executions : frame or mapping of columns, optional
            What the order book closed (rule R77); without it the liquidity model closes, if there is one.
        oracle : mapping of symbol to price, or array, optional
            New oracle prices; those not named stay, and where none was ever given it is the mark (rule R85).

        Returns
        -------
        Report

        Raises
        ------
        InputError
            Naming what is wrong with the prices or executions; nothing has changed.
        """
        with self._whole():
            self._mark(prices, time, oracle)
            self._settle(executions)
            self._take_over()
            return self._deleverage()

    def mark(self, prices: Any, time: int | None = None, oracle: Any = None) -> Marked:
        """Set new marks and find the accounts that fell below (rules R20, R21, R85). Begins a tick."""
        with self._whole(anew=True):
            return self._mark(prices, time, oracle)

    def liquidations(self) -> pl.DataFrame:
        """Accounts detected in this tick, in order of work."""
        with self._whole():
            return Report(self._open(), self._state.book, self.policy.cancel_orders).liquidations

    def settle(self, executions: Any = None) -> None:
        """Book what the order book closed, or let the liquidity model close (rules R22, R77)."""
        with self._whole():
            self._open()
            self._settle(executions)

    def takeover(self) -> None:
        """Decide who is bankrupt, net hedges, and let the fund take what it has room for (R23 to R27)."""
        with self._whole():
            self._open()
            self._take_over()

    def left(self) -> int:
        """How many bankrupt accounts the fund has left something of, between `takeover` and `deleverage`."""
        with self._reading() as state:
            return 0 if self._doomed is None else fund_stage.left_open(state, self._doomed)

    def deleverage(self) -> Report:
        """Close or charge what the fund left, and end the tick (rules R28 to R31).

        Runs `takeover` first if that has not been done in this tick.
        """
        with self._whole():
            self._open()
            if self._doomed is None:
                self._take_over()
            return self._deleverage()

    def deleverage_account(
        self,
        account: str,
        symbol: str,
        *,
        side: str | None = None,
        lots: int | None = None,
        price: str | None = None,
        counterparties: Sequence[str] | None = None,
    ) -> Report:
        """Close a row of one account, solvent or not, against others, outside a tick (rule R98).

        Parameters
        ----------
        account, symbol : str
        side : {"long", "short"}, optional
            Side of the row; may be left out where the account holds only one.
        lots : int, optional
            How many of its lots to close; all of them if left out.
        price : str, optional
            What fills are settled at (rules R44, R85), in place of the policy's.
        counterparties : sequence of str, optional
            Accounts to try in this order, each for what it holds, in place of the policy's ranking and
            allocation; `rank` in the report is then the place in this order.

        Returns
        -------
        Report
            Of these fills alone, with the number and the time of the last tick.

        Raises
        ------
        InputError
            For a row or lots the account does not hold, or accounts that cannot be; nothing has changed.
        StageError
            Between `takeover` and `deleverage`, or before the first mark.

        Examples
        --------
        >>> import fastadl as fa
        >>> engine = fa.Engine(fa.synth.book("pareto", positions=1000, accounts=400, instruments=5, seed=1))
        >>> position = engine.book.to_frames()[2].row(0, named=True)
        >>> report = engine.deleverage_account(position["account"], position["symbol"], lots=1, price="mark")
        >>> report.adl_fills["lots"].to_list()
        [1]
        """
        with self._whole():
            self._check_marked()
            if self._doomed is not None:
                raise StageError("the fund has taken over in this tick: end it with deleverage first")
            state, start = self._state, perf_counter()
            policy = by_hand.terms(self.policy, price)
            order = by_hand.Order.of(state, account, symbol, side, lots, counterparties)
            tick = Tick(max(self._number, 0), self._time, len(self._rules))
            self._closed_at_zero &= by_hand.close(state, tick, order, policy, self._next())
            self._fills_lawful &= tick.fills_lawful
            for c in range(len(self._rules)):
                tick.fund_before[c] = tick.fund_after[c] = floor(state.reserve_equity(FUND, c))
            tick.seconds["adl"] = perf_counter() - start
            return Report(tick, state.book, policy.cancel_orders)

    def _next(self) -> int:
        """Number of the tick in progress, or of the next one."""
        return self._number + (self._tick is None)

    def _open(self) -> Tick:
        """The tick in progress; after a finished one a new one at the same marks."""
        if self._tick is None:
            if self._number < 0:
                raise StageError("nothing is marked yet: call mark(prices) first")
            self._mark({}, None, None)
        assert self._tick is not None
        return self._tick

    def _mark(self, prices: Any, time: int | None, oracle: Any) -> Marked:
        state = self._state
        if self._doomed is not None:
            raise StageError("the fund has taken over in this tick: end it with deleverage before a new mark")
        start = perf_counter()
        now = checked_time(time, self._time)
        spoken = {} if oracle is None else given_prices(state.instruments, oracle, "oracle")
        detect.mark(state, given_prices(state.instruments, prices), spoken)
        begin_session(state, self.policy, now)
        self._time, self._number = now, self._number + 1
        tick = Tick(self._number, now, len(state.instruments.currencies))
        for c, rule in enumerate(self._rules):
            rule.marked(state, now)
            tick.fund_before[c] = floor(state.reserve_equity(FUND, c))
        self._tick, self._doomed = tick, None
        between = perf_counter()
        detect.detect(state, tick)
        tick.seconds["mark"] = between - start
        tick.seconds["detect"] = perf_counter() - between
        bankrupt = int(np.count_nonzero(tick.was_bankrupt))
        return Marked(tick.number, now, len(tick.accounts) - bankrupt, bankrupt)

    def _settle(self, executions: Any) -> None:
        tick = self._tick
        assert tick is not None
        if self._doomed is not None:
            raise StageError("settle before takeover: who is bankrupt has been decided for this tick")
        start = perf_counter()
        if executions is not None:
            close_out.settle(self._state, tick, Executions.of(self._state.book, executions))
        elif self.liquidity is not None and len(tick.accounts):
            close_out.close_out(self._state, tick, self.liquidity)
        tick.seconds["close_out"] += perf_counter() - start

    def _take_over(self) -> None:
        tick = self._tick
        assert tick is not None
        if self._doomed is not None:
            raise StageError("takeover was done in this tick: go on with deleverage")
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
        self._closed_at_zero &= spread(state, tick, doomed, self.policy, self._rules)
        self._fills_lawful &= tick.fills_lawful
        for c in range(len(self._rules)):
            tick.fund_after[c] = floor(state.reserve_equity(FUND, c))
        tick.seconds["adl"] += perf_counter() - start
        self._tick = self._doomed = None
        return Report(tick, state.book, self.policy.cancel_orders)

    # ------------------------------------------------------------------ reading

    @property
    def book(self) -> Book:
        """The book as it stands, read only."""
        with self._lock:
            return self._state.book.read_only()

    @property
    def accounts(self) -> pl.Series:
        """Account ids, in the order given; the order of `equity` and `maintenance_margin`."""
        return self._state.book.accounts

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols, in the order given; the order of `marks` and of price arrays."""
        return self._state.instruments.symbols

    @property
    def marks(self) -> Float64Array:
        """Mark prices by `symbols`; NaN where none was given yet."""
        with self._lock:
            return self._state.marks.price.copy()

    def equity(self) -> Int64Array:
        """Equity of every account in atoms, rounded down, in the order of `accounts`."""
        with self._reading() as state:
            self._check_marked()
            return state.equity_floor(state.book.slot)

    def maintenance_margin(self) -> Int64Array:
        """Maintenance margin of every account in atoms, rounded up, in the order of `accounts`."""
        with self._reading() as state:
            self._check_marked()
            return state.margin_ceiling(state.book.slot)

    def values(self) -> tuple[Int64Array, Int64Array]:
        """Equity and maintenance margin as above, rows of an instrument never marked counted as worth 0."""
        with self._reading() as state:
            return state.equity_floor(state.book.slot), state.margin_ceiling(state.book.slot)

    def estimates(self) -> Estimates:
        """Equity, maintenance margin and gross notional of every account in float64, in one quick pass."""
        with self._reading() as state:
            self._check_marked()
            equity, margin, gross, _ = state.evaluated(state.book.slot)
            return Estimates(equity, margin, gross)

    @property
    def unit_values(self) -> Float64Array:
        """Value of one lot of each instrument at its mark, in atoms, negative for an inverse one."""
        with self._lock:
            return self._state.marks.unit.copy()

    def reserves(self) -> pl.DataFrame:
        """Cash and equity (rounded down) of the fund and the market account, by currency, in atoms."""
        with self._reading() as state:
            return readings.reserves(state)

    def rank(self, symbol: str, side: str) -> pl.DataFrame:
        """The ranking of one side of an instrument, as an ADL would use it now (rules R41, R82, R83).

        Parameters
        ----------
        symbol : str
        side : {"long", "short"}
            Side of the ranked positions.

        Returns
        -------
        DataFrame
            ``rank``, ``account``, ``adl_tier``, ``lots``, ``score``, then its parts: ``unrealized_pnl``,
            ``notional`` and ``position_margin`` of the row, ``equity``, ``maintenance_margin``, ``gross`` and
            ``leverage`` of the account; money in atoms, Float64.
        """
        with self._reading() as state:
            self._check_marked()
            return readings.ranking(state, self.policy, self._next(), symbol, side)

    def lights(self, *, by: str = "quantity") -> Standings:
        """How soon every position would be deleveraged: 5 for the first fifth, 1 for the last (rule R99).

        Parameters
        ----------
        by : {"quantity", "count"}
            Fifths of the lots of a symbol and side, or of its positions.

        Returns
        -------
        Standings
            ``values`` at once, ``frame()`` by account and symbol; 0 where nothing can be deleveraged.

        Raises
        ------
        InputError
            For another `by`.
        StageError
            Before the first mark.

        Examples
        --------
        >>> import fastadl as fa
        >>> engine = fa.Engine(fa.synth.book("pareto", positions=1000, accounts=400, instruments=5, seed=1))
        >>> engine.lights().frame().columns
        ['account', 'symbol', 'side', 'light']
        """
        with self._reading() as state:
            self._check_marked()
            return standing.lights(state, self.policy, self._next(), by)

    def percentiles(self, *, by: str = "quantity") -> Standings:
        """Share of its symbol and side that is deleveraged before every position is done with (rule R99).

        Near 0 for the first in line, 1 for the last; parameters and errors as in `lights`.
        """
        with self._reading() as state:
            self._check_marked()
            return standing.percentiles(state, self.policy, self._next(), by)

    def check(self) -> Checks:
        """The four conservation laws, from the books themselves, since the engine was made (rule R32)."""
        with self._lock:
            lots, money = self._state.totals()
            return Checks(
                lots=lots == self._totals[0],
                money=money == self._totals[1],
                fills=self._fills_lawful,
                bankrupt_closed_at_zero=self._closed_at_zero,
            )

    def copy(self) -> Engine:
        """An engine of its own with the same book, fund and marks; a tick in progress stays behind."""
        with self._lock:
            other = object.__new__(type(self))
            other.__dict__.update(self.__dict__)
            other._state = self._state.copy()
            other._rules = [rule.copy() for rule in self._rules]
            other._totals = other._state.totals()
            other._lock = threading.RLock()
            other._tick = other._doomed = None
            other._fills_lawful = other._closed_at_zero = True
            return other

    def fork(
        self, policy: str | Mapping[str, Any] | AdlPolicy, liquidity: AnyOrderBook | None = None
    ) -> Engine:
        """An engine of its own that goes on from here under another policy, the tick in progress included.

        As long as the fund leaves nothing (`left`), policies do the same: what comes of the fork is what
        comes of a run from the beginning.

        Parameters
        ----------
        policy : str, mapping or AdlPolicy
        liquidity : AnyOrderBook, optional
            In place of this engine's.

        Raises
        ------
        InputError
            If the two would not have come here alike: by `AdlPolicy.idle_until_loss`, or another ``split``.
        """
        with self._lock:
            other = self.copy()
            other.policy = new = checked_policy(self._state.book, policy)
            alike = self.policy.idle_until_loss and new.idle_until_loss and self.policy.split == new.split
            if not alike:
                raise InputError(
                    ("policy",), policy, "start an engine of its own: it would have come elsewhere"
                )
            if liquidity is not None:
                other.liquidity = checked_liquidity(self._state.book, liquidity)
            other._tick = None if self._tick is None else self._tick.copy()
            other._doomed = None if self._doomed is None else self._doomed.copy()
            other._totals = self._totals
            other._fills_lawful, other._closed_at_zero = self._fills_lawful, self._closed_at_zero
            return other

    def __repr__(self) -> str:
        return f"<Engine: {self._state.book!r}, {self._number + 1} ticks>"

    # ------------------------------------------------------------------ all or nothing

    @contextmanager
    def _reading(self) -> Iterator[State]:
        with self._lock, running_on(self._threads):
            yield self._state

    def _check_marked(self) -> None:
        """Refuse to value rows of instruments that were never marked."""
        state = self._state
        never = np.isnan(state.marks.price)
        if never.any():
            for i in np.flatnonzero(never & held_instruments(state.book)):
                raise StageError(f"{self.symbols[i]} has no mark yet: call mark(prices) first")

    @contextmanager
    def _whole(self, *, anew: bool = False) -> Iterator[None]:
        """Keep everything the block did, or nothing; `anew` where it adds nothing to the tick in progress."""
        with self._lock, running_on(self._threads):
            state = self._state
            prices, saved = state.prices(), (self._time, self._number)
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
                self._time, self._number = saved
                self._tick, self._doomed = tick, doomed
                for rule, memory in zip(self._rules, memories, strict=True):
                    rule.memory = memory
                self._fills_lawful, self._closed_at_zero = laws
                raise
