"""Accounts that move between the book where they are at home and the docket, with all they have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import polars as pl

from fastadl.book import Book
from fastadl.engine.live.accounts import set_flags
from fastadl.engine.live.room import room_of
from fastadl.engine.state import State, places
from fastadl.io.flags import Flags
from fastadl.kernels.layout import expand
from fastadl.kernels.money import find_rows
from fastadl.schema import BoolArray, Int64Array, IntArray

__all__ = ["Holdings", "Moving", "come_back", "joined", "leave", "look"]

#: Columns of `Moving` that are one after another where several books' are.
_COLUMNS = (
    *("account", "adl_tier", "exempt", "cash", "leg", "lots", "entry"),
    *("code", "rank", "currency", "isolated"),
)


@dataclass(frozen=True, slots=True)
class Holdings:
    """What changes of accounts while they are away: cash, flags and open rows.

    Attributes
    ----------
    account : int32 (n)
        Position in the book they come from or go to.
    adl_tier, exempt : arrays (n)
    cash : int64 (n)
    start : int32 (n + 1)
        Where each account's rows begin.
    leg, lots, entry : arrays (rows)
    opening, ended : int64 (n) or None
        What is remembered of sessions (rule R95).
    sliced : int64 (n) or None
        When an order last closed a part (rule R101).
    """

    account: IntArray
    adl_tier: IntArray
    exempt: BoolArray
    cash: Int64Array
    start: Int64Array
    leg: IntArray
    lots: IntArray
    entry: Int64Array
    opening: Int64Array | None
    ended: Int64Array | None
    sliced: Int64Array | None

    def __len__(self) -> int:
        return len(self.account)

    @property
    def owner(self) -> IntArray:
        """Place of each row's account."""
        return np.repeat(np.arange(len(self)), np.diff(self.start))


@dataclass(frozen=True, slots=True)
class Moving(Holdings):
    """Accounts with all they have.

    Attributes
    ----------
    code : int64 (n)
        Position among the accounts of all shards.
    id : String
    trader : String or None
        Owner of each; None where all are their own.
    rank : int32 (n)
        Place of the id among those of all shards.
    currency, isolated : arrays (n)
    """

    code: Int64Array
    id: pl.Series
    trader: pl.Series | None
    rank: IntArray
    currency: IntArray
    isolated: BoolArray

    @property
    def held(self) -> Holdings:
        """What has to go home: all else is known there."""
        return Holdings(**{field.name: getattr(self, field.name) for field in fields(Holdings)})


def look(state: State, account: IntArray, code: Int64Array) -> Moving:
    """Accounts as they stand; nothing changes."""
    book, session = state.book, state.session
    slots, at = book.slot[account], account.astype(np.uint32)
    start, row = expand(book.rows, slots)
    return Moving(
        account=account,
        code=code,
        id=book.accounts.gather(at).rechunk(),
        trader=None if book._owner is None else book._owner.gather(at).rechunk(),
        rank=book.rank[account],
        currency=book.currency[account],
        isolated=book.isolated[account],
        adl_tier=book.adl_tier[account],
        exempt=book.exempt[account],
        cash=book.rows.cash[slots],
        start=start.astype(np.int32),
        leg=book.rows.leg[row],
        lots=book.rows.lots[row],
        entry=book.rows.entry[row],
        opening=None if session is None else session.opening[account],
        ended=None if session is None or session.ended is None else session.ended[account],
        sliced=None if state.sliced is None else state.sliced[account],
    )


def joined(several: Sequence[Moving]) -> Moving:
    """Accounts of several books, one after another; None where none of them remembers anything."""

    def column(name: str) -> Any:
        return np.concatenate([getattr(each, name) for each in several])

    def remembered(name: str, otherwise: int) -> Int64Array | None:
        columns = [getattr(each, name) for each in several]
        if all(each is None for each in columns):
            return None
        filled = zip(several, columns, strict=True)
        return np.concatenate([np.full(len(a), otherwise) if each is None else each for a, each in filled])

    traders = [each.id if each.trader is None else each.trader for each in several]
    mine = all(each.trader is None for each in several)
    return Moving(
        **{name: column(name) for name in _COLUMNS},
        start=np.cumsum(np.concatenate([[0], *(np.diff(each.start) for each in several)])),
        opening=remembered("opening", 0),
        ended=remembered("ended", 0),
        sliced=remembered("sliced", -1),
        id=pl.concat([each.id.alias("id") for each in several]),
        trader=None if mine else pl.concat([each.alias("owner") for each in traders]),
    )


def leave(state: State, account: IntArray, code: Int64Array) -> Moving:
    """Take accounts out of a book: what is left of them there is a place without cash and open rows."""
    found = look(state, account, code)
    held = found.held
    state.undoable(lambda: _put(state, held))  # by then they may have another place
    state.changed(state.book.slot[account])
    _empty(state, account)
    return found


def come_back(state: State, coming: Holdings) -> None:
    """Put accounts where they are at home; `leave` took them out, or they are as that left them."""
    book, account = state.book, coming.account
    state.undoable(lambda: _empty(state, account))
    _put(state, coming)
    slots = book.slot[account]
    state.changed(slots)
    state.refresh(slots)  # the mark that has all go home follows before anything is committed
    np.maximum.at(state.most_lots, coming.leg >> 1, np.abs(coming.lots))
    if not ((book.adl_tier[account] == coming.adl_tier) & (book.exempt[account] == coming.exempt)).all():
        set_flags(state, Flags(account, coming.adl_tier, coming.exempt))
    if state.session is not None and coming.opening is not None:
        opening, ended = state.session.opening.copy(), state.session.ended
        opening[coming.account] = coming.opening
        if ended is not None and coming.ended is not None:
            ended = ended.copy()
            ended[coming.account] = coming.ended
        state.remember(replace(state.session, opening=opening, ended=ended))
    if coming.sliced is not None:
        for time in np.unique(coming.sliced).tolist():
            state.remember_slices(coming.account[coming.sliced == time], time)


def _put(state: State, coming: Holdings) -> None:
    """Write cash and rows of accounts that have none."""
    at, rows = _rows(state, coming), state.book.rows
    rows.cash[state.book.slot[coming.account]] = coming.cash
    rows.lots[at] = coming.lots
    rows.entry[at] = coming.entry


def _empty(state: State, account: IntArray) -> None:
    """Take cash and rows of accounts away."""
    rows, slots = state.book.rows, state.book.slot[account]
    at = places(state.book, slots)
    rows.cash[slots] = 0
    rows.lots[at] = 0
    rows.entry[at] = 0


def _rows(state: State, coming: Holdings) -> Int64Array:
    """Place of each of their rows, opened where there was none."""
    owner = coming.account[coming.owner]
    at = _found(state.book, owner, coming.leg)
    new = np.flatnonzero(at < 0)
    if len(new):
        room_of(state).open(owner[new].astype(np.int32), coming.leg[new].astype(np.int32))
        at = _found(state.book, owner, coming.leg)
    return at


def _found(book: Book, owner: IntArray, leg: IntArray) -> Int64Array:
    at = np.empty(len(owner), np.int64)
    find_rows(book.rows, book.slot[owner], leg.astype(np.int64), at)
    return at
