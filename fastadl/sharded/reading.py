"""What can be read of a book in shards."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, overload

import numpy as np
import polars as pl

from fastadl.book import Book
from fastadl.engine.bankruptcy import Bankruptcies
from fastadl.engine.exposure import Exposures
from fastadl.engine.facade import Engine
from fastadl.engine.indicator.demand import Demand
from fastadl.engine.indicator.distance import Distances
from fastadl.engine.indicator.explanation import Explanation
from fastadl.engine.indicator.standing import Standings
from fastadl.engine.live.room import room_of
from fastadl.engine.results import Estimates, Tick
from fastadl.engine.settings import running_on
from fastadl.engine.socialize.sessions import Session
from fastadl.engine.state import State
from fastadl.errors import FastadlError
from fastadl.kernels.money import find_rows
from fastadl.policy import AdlPolicy, AnyOrderBook
from fastadl.schema import AccountColumns, BoolArray, Int64Array, PositionColumns
from fastadl.sharded.live import ShardedLive
from fastadl.sharded.moving import look
from fastadl.sharded.naming import Named, recoded, table_of
from fastadl.sharded.report import in_codes, people

__all__ = ["ShardedReadable"]


class ShardedReadable(ShardedLive):
    """The part of `ShardedEngine` that changes nothing.

    What is asked of named accounts has these looked up in their shards; sums and lists of all accounts come
    from all shards. What ranks everybody, and copies, *gather* the book: all of it is then in this process
    once more, some 60 bytes an account and 20 a position, for the time of the call or the life of the copy.
    """

    # ------------------------------------------------------------------ accounts that are named

    @contextmanager
    def _seen(self, given: Any) -> Iterator[Any]:
        """A table in the codes of the docket, on which its accounts can be looked at in the block."""
        with self._reading():
            state = self._state
            table, names = table_of(given)
            if names:
                named = Named([table[name] for name in names], state.everybody)
                seen = state.beside(self._links.all("look_at", named.ids, named.codes))
                table |= {name: recoded(table[name], seen.places_of) for name in names}
                self._state = seen
            try:
                with self._in_codes_of_all():
                    yield table
            finally:
                self._state = state

    @overload
    def free_collateral(self, accounts: str | int) -> int: ...

    @overload
    def free_collateral(self, accounts: Any) -> Int64Array: ...

    def free_collateral(self, accounts: Any) -> int | Int64Array:
        """As `Engine.free_collateral`."""
        with self._seen_alone(accounts) as given:
            return super().free_collateral(given)

    @overload
    def in_liquidation(self, accounts: str | int) -> bool: ...

    @overload
    def in_liquidation(self, accounts: Any) -> BoolArray: ...

    def in_liquidation(self, accounts: Any) -> bool | BoolArray:
        """As `Engine.in_liquidation`."""
        with self._seen_alone(accounts) as given:
            return super().in_liquidation(given)

    def positions(self, account: str | int) -> pl.DataFrame:
        """As `Engine.positions`."""
        with self._seen_alone(account) as given:
            return super().positions(given)

    @contextmanager
    def _seen_alone(self, accounts: Any) -> Iterator[Any]:
        """One account, or a column of them."""
        alone = isinstance(accounts, (str, int, np.integer))
        with self._seen({"account": [accounts] if alone else accounts}) as table:
            yield table["account"][0] if alone else table["account"]

    def initial_margin(self, orders: Any) -> Int64Array:
        """As `Engine.initial_margin`."""
        with self._seen(orders) as given:
            return super().initial_margin(given)

    # ------------------------------------------------------------------ lists of everybody

    @property
    def accounts(self) -> pl.Series:
        """Ids of all accounts, in the order given; fetched from shards."""
        with self._lock:
            codes, ids = zip(*self._links.all("ids"), strict=True)
            return pl.concat(ids).gather(np.argsort(np.concatenate(codes)))

    def equity(self) -> Int64Array:
        """As `Engine.equity`."""
        with self._reading():
            self._check_marked()
            return self._of_all("equity_floor")

    def maintenance_margin(self) -> Int64Array:
        """As `Engine.maintenance_margin`."""
        with self._reading():
            self._check_marked()
            return self._of_all("margin_ceiling")

    def values(self) -> tuple[Int64Array, Int64Array]:
        """As `Engine.values`."""
        with self._reading():
            return self._of_all("equity_floor"), self._of_all("margin_ceiling")

    def estimates(self) -> Estimates:
        """As `Engine.estimates`."""
        with self._reading():
            self._check_marked()
            equity, margin, gross, _ = self._of_all("evaluated")
            return Estimates(equity, margin, gross)

    def cash(self) -> Int64Array:
        """As `Engine.cash`."""
        with self._reading():
            return self._of_all("cash")

    def _of_all(self, name: str) -> Any:
        """What a method of `State` says of the slots of all accounts, in the order of these."""
        state = self._state
        codes, found = zip(*self._links.all("worth", name), strict=True)
        everybody = np.concatenate(found, axis=-1)
        out = np.empty_like(everybody)
        out[..., np.concatenate(codes)] = everybody
        out[..., state.code] = getattr(state, name)(state.book.slot)
        return out

    # ------------------------------------------------------------------ the book, gathered

    @property
    def book(self) -> Book:
        """The book as it stands, gathered and read only; it does not change as the engine goes on."""
        with self._lock:
            return self._gathered().book.read_only()

    def frames(self) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        """As `Engine.frames`; gathers the book."""
        with self._reading():
            return self._gathered().book.to_frames()

    def rank(self, symbol: str, side: str) -> pl.DataFrame:
        """As `Engine.rank`; gathers the book."""
        with self._alone() as engine:
            return engine.rank(symbol, side)

    def lights(self, *, by: str = "quantity") -> Standings:
        """As `Engine.lights`, by the rows of `book`; gathers the book."""
        with self._alone() as engine:
            return engine.lights(by=by)

    def percentiles(self, *, by: str = "quantity") -> Standings:
        """As `Engine.percentiles`, by the rows of `book`; gathers the book."""
        with self._alone() as engine:
            return engine.percentiles(by=by)

    def demand(self, *, shocks: Iterable[Any] | None = None) -> Demand:
        """As `Engine.demand`; gathers the book."""
        with self._alone() as engine:
            return engine.demand(shocks=shocks)

    def distances(self, demand: Demand | None = None, *, ranking: str = "shocked") -> Distances:
        """As `Engine.distances`, by the rows of `book`; gathers the book."""
        with self._alone() as engine:
            return engine.distances(demand, ranking=ranking)

    def liquidation_distances(self) -> pl.DataFrame:
        """As `Engine.liquidation_distances`; gathers the book."""
        with self._alone() as engine:
            return engine.liquidation_distances()

    def explain(
        self, account: str, symbol: str, *, side: str | None = None, demand: Demand | None = None
    ) -> Explanation:
        """As `Engine.explain`; gathers the book."""
        with self._alone() as engine:
            return engine.explain(account, symbol, side=side, demand=demand)

    def exposures(
        self, *, leverages: Iterable[Any] = (20,), shocks: Iterable[Any] = (0.05, 0.1)
    ) -> Exposures:
        """As `Engine.exposures`; gathers the book."""
        with self._alone() as engine:
            return engine.exposures(leverages=leverages, shocks=shocks)

    def copy(self) -> Engine:
        """As `Engine.copy`: an ordinary engine of the book, gathered."""
        with self._lock:
            other = self._gathered_engine()
            other._tick = other._doomed = None
            other._totals = other._state.totals()
            other._fills_lawful = other._closed_at_zero = True
            return other

    def fork(
        self, policy: str | Mapping[str, Any] | AdlPolicy, liquidity: AnyOrderBook | None = None
    ) -> Engine:
        """As `Engine.fork`: an ordinary engine of the book, gathered."""
        with self._alone() as engine:
            if self._doomed is not None:
                engine._doomed = self._doomed_among(self._doomed, engine._state)
            return engine.fork(policy, liquidity)

    def __repr__(self) -> str:
        with self._lock:
            state, links = self._state, self._links
            try:
                held = f"{len(state.book) + sum(links.all('rows'))} positions, {len(links)} shards"
            except FastadlError as error:
                held = str(error)
            accounts, instruments = state.everybody, len(state.instruments)
            ticks = self._number + 1
            return f"<ShardedEngine: {accounts} accounts, {instruments} instruments, {held}, {ticks} ticks>"

    @contextmanager
    def _alone(self) -> Iterator[Engine]:
        """The same book in one ordinary engine, as it stands; it remembers its demand for the next time."""
        with self._lock, running_on(self._threads):
            engine = self._gathered_engine()
            yield engine
            self._known = engine._known

    def _gathered_engine(self) -> Engine:
        """An ordinary engine of the gathered book, in the same tick."""
        other = object.__new__(Engine)
        for name in ("policy", "liquidity", "_threads", "_totals", "_time", "_number", "_known"):
            setattr(other, name, getattr(self, name))
        other._state = state = self._gathered()
        other._rules = [rule.copy() for rule in self._rules]
        other._lock = threading.RLock()
        other._fills_lawful, other._closed_at_zero = self._fills_lawful, self._closed_at_zero
        other._trading, other._within = None, False
        other._tick = None if self._tick is None else self._tick_of_all(self._tick, state)
        other._doomed = None
        return other

    def _gathered(self) -> State:
        """All accounts in one state, with closed rows and free slots left out.

        It takes some 60 bytes an account and 20 a position, and twice that while it is made.
        """
        mine = self._state
        here = look(mine, np.arange(len(mine.book.slot), dtype=np.int32), mine.code)
        parts = [here, *self._links.all("contents")]
        order = np.argsort(np.concatenate([each.code for each in parts]))
        place = np.empty(len(order), np.int32)
        place[order] = np.arange(len(order), dtype=np.int32)
        first = np.cumsum([0, *(len(each) for each in parts)])

        def column(name: str) -> Any:
            return np.concatenate([getattr(each, name) for each in parts])[order]

        def rows(name: str) -> Any:
            return np.concatenate([getattr(each, name) for each in parts])

        ids = pl.concat([each.id.alias("id") for each in parts])
        owner = None
        if any(each.trader is not None for each in parts):
            owners = [each.id if each.trader is None else each.trader for each in parts]
            owner = pl.concat([each.alias("owner") for each in owners]).gather(order)
        accounts = AccountColumns(
            id=ids.gather(order),
            owner=owner,
            currency=column("currency"),
            isolated=column("isolated"),
            adl_tier=column("adl_tier"),
            cash=column("cash"),
            exempt=column("exempt"),
        )
        held = [place[start + each.owner] for start, each in zip(first, parts, strict=False)]
        leg = rows("leg").astype(np.int32)
        lots = rows("lots").astype(np.int64)
        positions = PositionColumns(np.concatenate(held), leg >> 1, lots, rows("entry"))
        book = Book._from_columns(mine.instruments, accounts, positions)
        book.reserve_lots, book.reserve_entry = mine.book.reserve_lots.copy(), mine.book.reserve_entry.copy()
        state = State(book)
        state.set_prices(mine.prices())
        state.reserve_cash = mine.reserve_cash.copy()
        state.reserve_realized = mine.reserve_realized.copy()
        state.orders = replace(mine.orders, account=mine.code[mine.orders.account])
        if mine.session is not None:
            ended = None if mine.session.ended is None else column("ended")
            state.session = Session(mine.session.number, column("opening"), ended)
        if any(each.sliced is not None for each in parts):
            never = [np.full(len(each), -1) if each.sliced is None else each.sliced for each in parts]
            state.sliced = np.concatenate(never)[order]
        return state

    def _tick_of_all(self, tick: Tick, state: State) -> Tick:
        """The same tick in codes of all accounts, with those who were detected and stayed in shards."""
        other, code = tick.copy(), self._state.code
        for name, parts in other.lists.items():
            for part in parts:
                part.update({each: in_codes(part[each], code) for each in people(name) & part.keys()})
        stayed = self._links.all("detected", tick.number)
        mine = other.columns("liquidations")
        key = np.concatenate([tick.health, *(each.health for each in stayed)])
        found = [mine, *({**each.columns, "account": each.code} for each in stayed)]
        joined = {name: np.concatenate([each[name] for each in found]) for name in mine}
        order = np.lexsort((state.book.rank[joined["account"]], key))
        joined = {name: column[order] for name, column in joined.items()}
        if len(order):
            other.lists["liquidations"] = [joined]
            other.accounts, other.was_bankrupt = joined["account"].astype(np.int32), joined["bankrupt"]
            other.health = key[order]
        return other

    def _doomed_among(self, doomed: Bankruptcies, state: State) -> Bankruptcies:
        """The same bankrupt accounts in the gathered state, where their closed rows are opened anew."""
        mine, work = self._state.book, doomed.work
        account = self._state.code[mine.rows.account[work.slot]].astype(np.int32)
        owner, leg = account[doomed.owner], work.leg.astype(np.int64)
        row = np.empty(len(owner), np.int64)
        find_rows(state.book.rows, state.book.slot[owner], leg, row)
        new = np.flatnonzero(row < 0)
        if len(new):
            room_of(state).open(owner[new], leg[new].astype(np.int32))
            find_rows(state.book.rows, state.book.slot[owner], leg, row)
        work = work._replace(slot=state.book.slot[account], row=row)
        return replace(doomed.copy(), work=work)
