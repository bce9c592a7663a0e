"""Accounts that come, and their flags (rule R106)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from fastadl.engine.live.room import room_of
from fastadl.engine.state import State
from fastadl.io.flags import Flags
from fastadl.schema import AccountColumns, Int64Array, IntArray

__all__ = ["Register", "moved", "open_accounts", "register_of", "set_flags", "smaller"]

#: Columns of `Book` with one entry per account.
_COLUMNS = ("currency", "isolated", "adl_tier", "exempt", "slot", "rank")
#: Columns are given room for so many more accounts, and as many more as there are.
_LEAST = 1 << 12


def open_accounts(
    state: State, accounts: AccountColumns, ranks: IntArray | None = None
) -> tuple[IntArray, list[int]]:
    """Add accounts behind the others; their positions, and what cash came in by currency.

    Those of a part of a book bring the `ranks` of their ids among all, for which others have made room.
    """
    first, many, cash = len(state.book.slot), len(accounts.id), accounts.cash
    state.claim(float(np.abs(cash.astype(np.float64)).sum()))
    room = room_of(state)
    codes = np.arange(first, first + many, dtype=np.int32)
    slots = room.take(codes)
    register_of(state).append(accounts, slots, ranks)
    state.undoable(lambda: room.give_back(state.book.slot[first:]))
    state.book.rows.cash[slots] = cash
    _begin(state, cash)
    came = np.zeros(len(state.instruments.currencies), np.int64)
    np.add.at(came, accounts.currency, cash)
    return codes, came.tolist()


def set_flags(state: State, flags: Flags) -> None:
    """Change the flags of accounts."""
    book = state.book
    if flags.adl_tier is not None:
        _set(state, book.adl_tier, flags.account, flags.adl_tier)
    if flags.exempt is not None:
        _set(state, book.exempt, flags.account, flags.exempt)
        _exempt(state)


def _set(state: State, column: IntArray, account: IntArray, values: IntArray) -> None:
    before = column[account]

    def undo() -> None:
        column[account] = before

    state.undoable(undo)
    column[account] = values


def _exempt(state: State) -> None:
    """Note anew who is exempt."""
    before = state.exempt

    def undo() -> None:
        state.exempt = before

    state.undoable(undo)
    state.exempt = np.flatnonzero(state.book.exempt)


def _begin(state: State, cash: Int64Array) -> None:
    """New accounts have won nothing in the session that runs, and no order sliced them (R95, R101)."""
    session, sliced = state.session, state.sliced
    if session is not None:
        ended = None if session.ended is None else np.append(session.ended, cash)
        state.remember(replace(session, opening=np.append(session.opening, cash), ended=ended))
    if sliced is not None:

        def undo() -> None:
            state.sliced = sliced

        state.undoable(undo)
        state.sliced = np.append(sliced, np.full(len(cash), -1))


def register_of(state: State) -> Register:
    """Where accounts are added to the book of a state."""
    if state.register is None:
        state.register = Register(state)
    return state.register


class Register:
    """Columns of a book's accounts as the first part of longer ones, and the order of the ids.

    Parameters
    ----------
    state : State
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._long: dict[str, IntArray] = {name: getattr(state.book, name) for name in _COLUMNS}
        rank = state.book.rank
        self._last: str = state.book.accounts[int(np.argmax(rank))] if len(rank) else ""

    def append(self, accounts: AccountColumns, slots: IntArray, ranks: IntArray | None = None) -> None:
        """Add accounts that have these slots; if their `ranks` are given, nobody else's move."""
        book, many = self._state.book, len(slots)
        self._undoable()
        exempt = np.zeros(many, np.bool_) if accounts.exempt is None else accounts.exempt
        if accounts.owner is not None or book._owner is not None:
            owner = accounts.id if accounts.owner is None else accounts.owner
            book._owner = _appended(book.owners, owner)
        ranks = self._ranked(accounts.id) if ranks is None else ranks
        columns = (accounts.currency, accounts.isolated, accounts.adl_tier, exempt, slots, ranks)
        for name, values in zip(_COLUMNS, columns, strict=True):
            self._extend(name, values)
        first = len(book._id)
        book.opened.update(zip(accounts.id.to_list(), range(first, first + many), strict=True))
        book._id = _appended(book._id, accounts.id)
        if exempt.any():
            _exempt(self._state)

    def make_room(self, ahead: Int64Array) -> None:
        """Move ranks for new ids, ascending, ahead of which so many others stand."""
        book, long = self._state.book, self._long["rank"]
        before = book.rank

        def undo() -> None:
            book.rank, self._long["rank"] = before, long

        self._state.undoable(undo)
        book.rank = self._long["rank"] = moved(book.rank, ahead)

    def _undoable(self) -> None:
        book, first = self._state.book, len(self._state.book.slot)
        before = {name: getattr(book, name) for name in (*_COLUMNS, "_id", "_owner", "_index")}
        long, last = self._long.copy(), self._last

        def undo() -> None:
            for name in book._id[first:].to_list():
                del book.opened[name]
            for name, value in before.items():
                setattr(book, name, value)
            self._long, self._last = long, last

        self._state.undoable(undo)

    def _extend(self, name: str, values: IntArray) -> None:
        book = self._state.book
        now, long = getattr(book, name), self._long[name]
        size = len(now) + len(values)
        if size > len(long):
            long = np.empty(2 * size + _LEAST, now.dtype)
            long[: len(now)] = now
            self._long[name] = long
        long[len(now) : size] = values
        setattr(book, name, long[:size])

    def _ranked(self, ids: pl.Series) -> IntArray:
        """Places of new ids among all; those of the others move if need be."""
        book, many = self._state.book, len(ids)
        old = len(book.rank)
        order = ids.arg_sort().to_numpy()
        ascending = ids.gather(order)
        rank = np.empty(many, np.int32)
        if not many:
            return rank
        if old == 0 or ascending[0] > self._last:
            rank[order] = np.arange(old, old + many, dtype=np.int32)
        else:
            ahead = smaller(book._id, book.rank, ascending)
            rank[order] = ahead + np.arange(many)
            self.make_room(ahead)
        self._last = max(self._last, ascending[-1])
        return rank


def moved(rank: IntArray, ahead: Int64Array) -> IntArray:
    """Ranks once ids have come, ahead of which so many others stood."""
    return rank + np.searchsorted(ahead, rank, side="right").astype(np.int32)


def smaller(ids: pl.Series, rank: IntArray, wanted: pl.Series) -> IntArray:
    """How many ids are smaller than each of those wanted, by halving: int64 (wanted)."""
    by_rank = np.empty(len(rank), np.uint32)
    by_rank[rank] = np.arange(len(rank), dtype=np.uint32)
    low, high = np.zeros(len(wanted), np.int64), np.full(len(wanted), len(rank))
    while (low < high).any():
        middle = (low + high) >> 1
        below = (ids.gather(by_rank[np.minimum(middle, len(rank) - 1)]) < wanted).to_numpy()
        below &= low < high
        low = np.where(below, middle + 1, low)
        high = np.where(below, high, np.minimum(middle, high))
    return low


def _appended(texts: pl.Series, more: pl.Series) -> pl.Series:
    """Texts with more behind them; copied so seldom that there are never many chunks."""
    chunks = [*texts.get_chunks(), more.alias(texts.name)]
    while len(chunks) > 1 and len(chunks[-2]) <= 2 * len(chunks[-1]):
        chunks[-2:] = [pl.concat(chunks[-2:], rechunk=True)]
    return pl.concat(chunks, rechunk=False)
