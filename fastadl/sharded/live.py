"""What happens to a book in shards between ticks, and executions of ticks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import polars as pl

from fastadl.engine.executions import Executions
from fastadl.engine.facade import Engine
from fastadl.engine.live import funding, listing, settlement
from fastadl.engine.live.fills import Filled, Trading
from fastadl.engine.live.funding import Funding
from fastadl.engine.results import Report, Tick
from fastadl.errors import InputError
from fastadl.io.accounts import read_accounts
from fastadl.io.fills import read_codes, read_fills
from fastadl.io.index import Index
from fastadl.io.table import Table
from fastadl.schema import Int64Array, IntArray
from fastadl.sharded.docket import Docket
from fastadl.sharded.links import Links
from fastadl.sharded.naming import Named, recoded, table_of
from fastadl.sharded.undisturbed import undisturbed

__all__ = ["ShardedLive"]

#: What of an error's path says that its value is an account.
_NAMES = {"account", "accounts", "counterparty", "counterparties", "source", "target"}


class ShardedLive(Engine):
    """The part of `ShardedEngine` that changes the book.

    Accounts that a call names are lent before it, wherever they are, and go home after it.
    """

    _state: Docket
    _links: Links
    _inside: bool

    # ------------------------------------------------------------------ whole calls

    @contextmanager
    def _whole(self, *, anew: bool = False) -> Iterator[None]:
        """As in one process; outside a tick all go home at the end. A call within a call is part of it."""
        with self._lock:
            if self._inside:
                yield
                return
            self._inside = True
            try:
                with ExitStack() as ending, super()._whole(anew=anew):
                    try:
                        yield
                        if self._tick is None:
                            self._go_home()
                    finally:  # docket and shards keep all of it, or none
                        ending.enter_context(undisturbed())
            finally:
                self._inside = False

    def _go_home(self) -> None:
        """Have accounts on loan go home, but for those in liquidation."""
        if len(self._state.book.slot) > len(self._state.orders.accounts):
            self._links.each("come_back", {p: (each,) for p, each in self._state.homeward().items()})

    @contextmanager
    def _lent(self, given: Any) -> Iterator[Any]:
        """A table, in the codes of the docket, whose accounts are on it for the time of the block."""
        with self._whole(), self._in_codes_of_all():
            self._detected_here()
            yield self._lend(given)

    def _lend(self, given: Any, *, iterables: bool = False) -> Any:
        """Have all accounts that a table names here; the table in codes of the docket."""
        table, names = table_of(given, iterables=iterables)
        if names:
            named = Named([table[name] for name in names], self._state.everybody)
            self._state.admit(self._links.all("lend_named", named.ids, named.codes))
            table |= {name: recoded(table[name], self._state.places_of) for name in names}
        return table

    @contextmanager
    def _in_codes_of_all(self) -> Iterator[None]:
        """Have errors say codes of all accounts, not those of the docket."""
        try:
            yield
        except InputError as error:
            code, value = self._state.code, error.value
            if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
                raise
            if not 0 <= value < len(code) or _NAMES.isdisjoint(error.path):
                raise
            raise type(error)(error.path, type(value)(code[value]), error.remedy, error.file) from None

    def _detected_here(self) -> None:
        """In a tick, have all who were detected here, before anything changes."""
        tick, state = self._tick, self._state
        if tick is None or self._doomed is not None or self._everybody:
            return
        found, health = [tick.columns("liquidations")], [tick.health]
        answers = self._links.all("lend_detected")
        state.admit([lent for _, lent in answers])
        codes_of = state.by_home()
        for part, (stayed, _) in enumerate(answers):
            account = codes_of(part, stayed.columns["account"])
            found.append({**stayed.columns, "account": account})
            health.append(stayed.health)
        joined = {name: np.concatenate([each[name] for each in found]) for name in found[0]}
        if len(joined["account"]) == len(tick.accounts):
            return
        key = np.concatenate(health)
        order = np.lexsort((state.book.rank[joined["account"]], key))
        joined = {name: column[order] for name, column in joined.items()}
        tick.lists["liquidations"] = [joined]
        tick.accounts, tick.was_bankrupt = joined["account"].astype(np.int32), joined["bankrupt"]
        tick.health = key[order]

    @property
    def _everybody(self) -> bool:
        """Whether all who are detected are worked on, not only the bankrupt."""
        return self.liquidity is not None or self.policy.trigger == "unfilled"

    # ------------------------------------------------------------------ ticks

    def _detected(self) -> Tick:
        tick = self._open()
        self._detected_here()
        return tick

    def _executions(self, given: Any) -> Executions | None:
        if given is None:
            return None
        self._detected_here()
        with self._in_codes_of_all():
            return super()._executions(self._lend(given, iterables=True))

    def settle(self, executions: Any = None) -> Int64Array:
        """As `Engine.settle`."""
        with self._whole():
            table, _ = table_of(executions, iterables=True)
            if self._tick is None and self._doomed is None and executions is not None:
                given = self._executions(table)
                if given is not None and not given.of_orders:
                    self._open()  # at whose mark all are at home
            return super().settle(table)

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
        """As `Engine.deleverage_account`."""
        some = isinstance(counterparties, Sequence) and not isinstance(counterparties, str)
        named = {"account": [account], "counterparty": list(counterparties or ()) if some else []}
        with self._lent(named) as given:
            return super().deleverage_account(
                given["account"][0],
                symbol,
                side=side,
                lots=lots,
                price=price,
                counterparties=given["counterparty"] if some else counterparties,
            )

    # ------------------------------------------------------------------ accounts that are named

    def apply_fills(self, fills: Any) -> Filled:
        """As `Engine.apply_fills`."""
        with self._lent(fills) as given:
            self._check_between()
            state = self._state
            trades, priced = read_fills(given, state.instruments, state.everybody, self._find)
            return Trading(state).apply(trades, priced=priced, undoable=True)

    def _transfer(self, given: Any, sign: int) -> None:
        with self._lent(given) as table:
            super()._transfer(table, sign)

    def transfer(self, moves: Any) -> None:
        """As `Engine.transfer`."""
        with self._lent(moves) as given:
            super().transfer(given)

    def set_flags(self, flags: Any) -> None:
        """As `Engine.set_flags`."""
        with self._lent(flags) as given:
            super().set_flags(given)

    # ------------------------------------------------------------------ everybody

    def pay_funding(self, rates: Mapping[str, Any]) -> Funding:
        """As `Engine.pay_funding`."""
        with self._whole():
            self._detected_here()
            return super().pay_funding(rates)

    def _pay(self, rates: Mapping[int, Any]) -> Funding:
        state = self._state
        paid = funding.pay_rows(state, rates).by_code(state.code)
        parts = [paid, *self._links.all("pay_funding", dict(rates))]
        together = funding.Paid.of(parts)
        state.claim(float(together.moved.sum()))
        return funding.pay_reserves(state, rates, together)

    def set_tiers(self, tiers: Mapping[str, Any]) -> None:
        """As `Engine.set_tiers`."""
        with self._whole():
            self._detected_here()
            super().set_tiers(tiers)

    def _set_ladders(self, ladders: dict[int, Any]) -> None:
        super()._set_ladders(ladders)
        self._links.all("set_tiers", ladders)

    def _list(self, new: Sequence[Any]) -> None:
        listing.list_instruments(self._state, new)
        self._links.all("list_instruments", new)

    def settle_instrument(self, symbol: str, price: Any) -> settlement.Settled:
        """As `Engine.settle_instrument`."""
        with self._whole():
            self._detected_here()
            return super().settle_instrument(symbol, price)

    def _settle_at(self, instrument: int, price: Any) -> settlement.Settled:
        state = self._state
        closed = settlement.close_rows(state, instrument, price).by_code(state.code)
        parts = [closed, *self._links.all("settle_instrument", instrument, price)]
        together = settlement.Closed.of(parts)
        state.claim(float(np.abs(together.profit.astype(np.float64)).sum()))
        return settlement.close_reserves(state, instrument, price, together)

    def open_accounts(self, accounts: Any) -> IntArray:
        """As `Engine.open_accounts`; they come to the shard of fewest."""
        with self._whole():
            self._check_between()
            state, index = self._state, _Directory(self._links)
            found, _ = read_accounts(Table("new_accounts", accounts), state.instruments, index)
            state.claim(float(np.abs(found.cash.astype(np.float64)).sum()))
            first, many = state.everybody, len(found.id)
            order = found.id.arg_sort().to_numpy()
            asked = self._links.all("ahead_of", found.id.gather(order))
            ahead: Int64Array = np.sum([each for _, each in asked], axis=0)
            ranks, codes = np.empty(many, np.int32), first + np.arange(many, dtype=np.int64)
            ranks[order] = ahead + np.arange(many)
            state.came(many, ahead)
            self._links.all("make_room", ahead)
            fewest = int(np.argmin([size for size, _ in asked]))
            came = self._links.each("open_accounts", {fewest: (found, ranks, codes)})[fewest]
            self._came(came)
            self._renew()
            return codes.astype(np.int32)

    def codes(self, *, accounts: Any = None, symbols: Any = None) -> IntArray:
        """As `Engine.codes`."""
        if (accounts is None) == (symbols is None):
            return super().codes(accounts=accounts, symbols=symbols)
        with self._lock:
            return read_codes(accounts, symbols, self._state.instruments, lambda: _Directory(self._links))

    def _reserve(self, positions: int, accounts: int) -> None:
        self._links.all("prepare", -(-positions // len(self._links)), -(-accounts // len(self._links)))


class _Directory(Index):
    """Finds codes among all accounts by ids, wherever these are."""

    def __init__(self, links: Links) -> None:
        self._links, self.duplicate = links, None

    def find(self, wanted: pl.Series) -> IntArray:
        """Code of every id, −1 of nobody's."""
        found: list[IntArray] = self._links.all("codes_of", wanted)
        return np.maximum.reduce(found)
