"""The engine: one book, one policy, and the stages of the waterfall, all or nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import polars as pl

from fastadl import memory
from fastadl.book import Book
from fastadl.engine import by_hand, close_out
from fastadl.engine import fund as fund_stage
from fastadl.engine.fund_rules import FundRule
from fastadl.engine.live.changing import Changing
from fastadl.engine.live.face import Live
from fastadl.engine.live.ordering import Ordering
from fastadl.engine.reading import Readable
from fastadl.engine.results import Checks, Marked, Report, Tick
from fastadl.engine.settings import (
    checked_funds,
    checked_incremental,
    checked_liquidity,
    checked_policy,
    checked_threads,
)
from fastadl.engine.state import FUND, State
from fastadl.engine.wake import Wake
from fastadl.errors import InputError, StageError
from fastadl.kernels._threads import refuse_fork
from fastadl.policy import AdlPolicy, AnyOrderBook
from fastadl.schema import Int64Array

__all__ = ["Checks", "Engine", "Marked"]


class Engine(Ordering, Live, Changing, Readable):
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
    incremental : bool
        Look in a mark only at accounts that its prices may have made liquidatable (rule R124). All answers
        are the same; a mark costs what moved, and up to 24 bytes a position are kept.
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
        refuse_fork()
        self.policy = checked_policy(book, policy)
        self.liquidity = checked_liquidity(book, liquidity)
        self._threads = checked_threads(threads)
        funds = checked_funds(book, fund, self.policy)
        if copy:
            memory.refuse_beyond(book.nbytes, ("copy",), f"a copy of {book!r}")
        self._state = State(book.copy() if copy else book)
        if checked_incremental(incremental):
            self._state.wake = Wake(self._state)
        for c, (each, decimals) in enumerate(zip(funds, book.instruments.decimals, strict=True)):
            self._state.endow(c, each.cash_atoms(decimals))
        self._rules = [FundRule(each, self.policy, book.instruments, c) for c, each in enumerate(funds)]
        self._totals = self._state.totals()
        self._lock = threading.RLock()
        self._time = 0
        self._number = -1
        self._tick = self._doomed = self._trading = None
        self._within = False
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
            self._settle(self._executions(executions))
            self._take_over()
            return self._deleverage()

    def mark(self, prices: Any, time: int | None = None, oracle: Any = None) -> Marked:
        """Set new marks and find the accounts that fell below (rules R20, R21, R85). Begins a tick."""
        with self._whole(anew=True):
            return self._mark(prices, time, oracle)

    def liquidations(self) -> pl.DataFrame:
        """Accounts detected in this tick, in order of work; between ticks it begins one at the same marks."""
        with self._whole():
            return self._report(self._open(), self.policy).liquidations

    def settle(self, executions: Any = None) -> Int64Array:
        """Book what the order book closed, or let the liquidity model close (rules R22, R77, R108).

        Executions of open orders alone are booked between ticks too, in the report of no tick; all others
        begin one, if none is in progress. One without an order may close a row of any account, detected or
        not: what the order book has done is booked.

        Parameters
        ----------
        executions : frame or mapping of columns, optional
            Those of rule R77, accounts by id or code, and ``order``: the number of the order that is filled.

        Returns
        -------
        int64 (executions)
            Atoms that each realised.

        Raises
        ------
        InputError
            Naming the first bad row; nothing has changed.
        StageError
            Between `takeover` and `deleverage`, or before the first mark.
        """
        with self._whole():
            if self._doomed is not None:
                raise StageError("settle before takeover: who is bankrupt has been decided for this tick")
            given = self._executions(executions)
            if self._tick is None and given is not None and given.of_orders:
                between = Tick(self._number, self._time, len(self._rules))
                return close_out.settle(self._state, between, given)
            self._open()
            return self._settle(given)

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
        account: str | int,
        symbol: str,
        *,
        side: str | None = None,
        lots: int | None = None,
        price: str | None = None,
        counterparties: Sequence[str | int] | None = None,
    ) -> Report:
        """Close a row of one account, solvent or not, against others, outside a tick (rule R98).

        Parameters
        ----------
        account : str or int
            Its id, or code as `codes` gives it.
        symbol : str
        side : {"long", "short"}, optional
            Side of the row; may be left out where the account holds only one.
        lots : int, optional
            How many of its lots to close; all of them if left out.
        price : str, optional
            What fills are settled at (rules R44, R85), in place of the policy's.
        counterparties : sequence of str or int, optional
            Accounts, by id or code, to try in this order, each for what it holds, in place of the policy's
            ranking and allocation; `rank` in the report is then the place in this order.

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
            number, crowd = self._next(), self._crowd(policy, self._next())
            self._closed_at_zero &= by_hand.close(state, tick, order, policy, number, crowd)
            self._fills_lawful &= tick.fills_lawful
            for c in range(len(self._rules)):
                tick.fund_before[c] = tick.fund_after[c] = state.reserve_floor(FUND, c)
            tick.seconds["adl"] = perf_counter() - start
            return self._report(tick, policy, alone=True)

    def copy(self) -> Engine:
        """An engine of its own with the same book, fund and marks; a tick in progress stays behind."""
        with self._lock:
            other = object.__new__(Engine)
            other.__dict__.update(self.__dict__)
            other._state = self._state.copy()
            other._rules = [rule.copy() for rule in self._rules]
            other._totals = other._state.totals()
            other._lock = threading.RLock()
            other._tick = other._doomed = other._trading = None
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

    @contextmanager
    def _alone(self) -> Iterator[Engine]:
        """An engine that has the whole book at hand: this one."""
        yield self

    def __repr__(self) -> str:
        return f"<Engine: {self._state.book!r}, {self._number + 1} ticks>"
