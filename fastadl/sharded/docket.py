"""The docket: a small book of the accounts that a tick works on, beside the fund and the market account."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import polars as pl

from fastadl.book import Book, _lay_out
from fastadl.contracts import Instruments
from fastadl.engine.live.accounts import moved
from fastadl.engine.prices import Marks
from fastadl.engine.socialize.sessions import Session
from fastadl.engine.state import MOST_ALIKE, State
from fastadl.io.frames import refuse_sums
from fastadl.kernels.layout import Rows
from fastadl.schema import AccountColumns, BoolArray, Float64Array, Int64Array, IntArray, PositionColumns
from fastadl.sharded.moving import Holdings, Moving, joined, look

__all__ = ["Docket", "empty_book"]

#: Columns of a book with one entry per account.
_COLUMNS = ("rank", "currency", "isolated", "adl_tier", "exempt")
#: What of a docket changes when accounts come or go.
_MINE = (
    *("part", "home", "code", "room", "register", "exempt", "ceiling", "most_lots"),
    *("guard", "blocks", "session", "sliced"),
)


def empty_book(instruments: Instruments) -> Book:
    """A book of nobody."""
    none = np.empty(0, np.int64)
    flags = none.astype(np.bool_)
    accounts = AccountColumns(pl.Series("id", [], pl.String), None, none, flags, none, none)
    return Book._from_columns(
        instruments, accounts, PositionColumns(none.astype(np.int32), none.astype(np.int32), none, none)
    )


class Others(Protocol):
    """The shards, as far as a docket asks them."""

    def all(self, what: str, *given: Any) -> list[Any]:
        """Call a method of every shard alike; what each answered."""


class Docket(State):
    """What the waterfall works on: accounts on loan from shards, with all they have.

    It is a state like that of any engine. Accounts are added behind the others, so codes, slots and rows stay
    what they are until all have gone home.

    Parameters
    ----------
    book : Book
        Of nobody; its reserves are those of all shards.
    others : Others
        Where all other accounts are.
    everybody : int
        How many accounts there are, those of all shards.

    Attributes
    ----------
    part : int16 (accounts)
        Shard where each account is at home.
    home : int32 (accounts)
        Its position there.
    """

    everybody: int = 0

    def __init__(self, book: Book, others: Others, everybody: int) -> None:
        super().__init__(book)
        self._others, self.everybody = others, everybody
        self.part: IntArray = np.zeros(len(book.slot), np.int16)
        self.home: IntArray = np.zeros(len(book.slot), np.int32)
        self.given = np.zeros(len(book.slot), np.int64)

    @property
    def code(self) -> Int64Array:
        """Position of each account among those of all shards: int64 (accounts)."""
        return self.given

    @code.setter
    def code(self, code: Int64Array) -> None:
        self.given = code

    def admit(self, lent: Sequence[Moving | None]) -> None:
        """Add accounts of shards, by shard, where any come: those of all at once, as all columns grow."""
        came = [(part, each) for part, each in enumerate(lent) if each is not None and len(each)]
        if came:
            part = np.repeat([part for part, _ in came], [len(each) for _, each in came])
            self._add(part.astype(np.int16), joined([each for _, each in came]))

    def _add(self, part: IntArray, coming: Moving) -> None:
        book, first = self.book, len(self.book.slot)
        self._undoable()
        slot, rows = _lay_out(
            self.instruments, coming.cash, coming.owner.astype(np.int32), coming.leg,
            coming.lots.astype(np.int64), coming.entry,
        )  # fmt: skip
        book.slot = np.concatenate([book.slot, slot + np.int32(len(book.rows.cash))])
        book.rows = _behind(book.rows, rows, first)
        for name in _COLUMNS:
            now = getattr(book, name)
            setattr(book, name, np.concatenate([now, getattr(coming, name)]).astype(now.dtype))
        if book._owner is not None or coming.trader is not None:
            trader = coming.id if coming.trader is None else coming.trader
            book._owner = pl.concat([book.owners, trader.alias("owner")], rechunk=True)
        book._id = pl.concat([book._id, coming.id.alias(book._id.name)], rechunk=True)
        book._index = None
        self.part = np.concatenate([self.part, part])
        self.home = np.concatenate([self.home, coming.account])
        self.code = np.concatenate([self.code, coming.code])
        self.room = self.register = None
        self.exempt = np.flatnonzero(book.exempt)
        self.ceiling = np.zeros(len(self.instruments))
        self.most_lots = self.most_lots.copy()
        np.maximum.at(self.most_lots, coming.leg >> 1, np.abs(coming.lots))
        self.laid_out(np.full(len(book.rows.cash), np.inf), np.ones(len(book.rows.group_rows), np.bool_))
        self._recall(coming, first)

    def by_home(self) -> Callable[[int, IntArray], Int64Array]:
        """What tells, of a shard and accounts there that are all here, their codes here: int64 (n)."""
        order = np.lexsort((self.home, self.part))
        part_of, home = self.part[order], self.home[order]

        def codes(part: int, account: IntArray) -> Int64Array:
            mine = slice(*np.searchsorted(part_of, [part, part + 1]))
            return order[mine][np.searchsorted(home[mine], account)]

        return codes

    def homeward(self) -> dict[int, Holdings]:
        """Have all leave but those in liquidation; who goes home, by shard."""
        staying = np.zeros(len(self.book.slot), np.bool_)
        staying[self.orders.accounts] = True
        going, kept = self._by_part(~staying), self._by_part(staying)
        orders, ordering = self.orders, self.code[self.orders.account]
        self._clear()
        self.admit([kept.get(part) for part in range(max(kept, default=-1) + 1)])
        if len(orders):
            self.have_orders(replace(orders, account=self.places_of(ordering)))
        return {part: moving.held for part, moving in going.items()}

    def _by_part(self, which: BoolArray) -> dict[int, Moving]:
        """Some accounts as they stand, by shard, with their positions there."""
        some = np.flatnonzero(which).astype(np.int32)
        some = some[np.argsort(self.part[some], kind="stable")]
        parts, begin = np.unique(self.part[some], return_index=True)
        by_part = zip(parts.tolist(), np.split(some, begin[1:]), strict=False)  # nobody is in one piece too
        return {
            part: replace(look(self, codes, self.code[codes]), account=self.home[codes])
            for part, codes in by_part
        }

    def _clear(self) -> None:
        """Have nobody, the reserves apart."""
        self._undoable()
        book, old = empty_book(self.instruments), self.book
        book.reserve_lots, book.reserve_entry = old.reserve_lots, old.reserve_entry
        self.book = book
        self.part, self.home, self.code = self.part[:0], self.home[:0], self.code[:0]
        self.room = self.register = None
        self.exempt = np.empty(0, np.int64)
        self.laid_out(np.empty(0), np.zeros(0, np.bool_))
        if self.session is not None:
            none = self.session.opening[:0]
            ended = None if self.session.ended is None else none
            self.session = Session(self.session.number, none, ended)
        self.sliced = None if self.sliced is None else self.sliced[:0]

    def places_of(self, codes: Int64Array) -> Int64Array:
        """Codes here of accounts by those among all, −1 where they are not here: int64 (n)."""
        order = np.argsort(self.code)
        if not len(order):
            return np.full(len(codes), -1, np.int64)
        at = order[np.minimum(np.searchsorted(self.code[order], codes), len(order) - 1)]
        return np.where(self.code[at] == codes, at, -1)

    def beside(self, seen: Sequence[Moving | None]) -> Docket:
        """One to read, with accounts of shards, by shard, that stay at home."""
        other = copy.copy(self)
        other.book, other._undo, other._touched = copy.copy(self.book), [], []
        other.admit(seen)
        return other

    def alike(self, name: str) -> list[str]:
        """Ids of all shards that a name may stand for, in the order of the book."""
        codes, ids = zip(*self._others.all("alike", name, self.everybody), strict=True)
        order = np.argsort(np.concatenate(codes))[:MOST_ALIKE]
        return pl.concat(ids).gather(order).to_list()

    def came(self, many: int, smaller: Int64Array) -> None:
        """More accounts are there, ahead of whose ids, ascending, stand so many others."""
        book, before = self.book, (self.everybody, self.book.rank)

        def undo() -> None:
            self.everybody, book.rank = before

        self.undoable(undo)
        self.everybody += many
        book.rank = moved(book.rank, smaller)

    # ------------------------------------------------------------------ all or nothing, here and there

    def commit(self) -> None:
        """Keep what was changed, shards too."""
        super().commit()
        self._others.all("commit")

    def rollback(self) -> None:
        """Put everything back as it was at the last commit, shards too."""
        self._others.all("rollback")  # first: what is left to do here ends in a commit
        super().rollback()

    def refresh(self, slots: IntArray) -> None:  # noqa: ARG002 - all of them, or none
        """Have the guards made anew at the next mark: who was here may have gone."""
        self.ceiling = np.zeros(len(self.instruments))

    # ------------------------------------------------------------------ sums over everybody

    def unmarked(self, marks: Marks) -> IntArray:
        """Instruments that somebody holds and that have no mark."""
        mine = super().unmarked(marks)
        return mine if marks.complete else np.unique(np.concatenate([mine, *self._others.all("unmarked")]))

    def sizes(self) -> tuple[Float64Array, Float64Array]:
        """Lots by instrument, and money by currency, unsigned (R1)."""
        lots, money = zip(super().sizes(), *self._others.all("figure", "sizes"), strict=True)
        return np.sum(lots, axis=0), np.sum(money, axis=0)

    def money(self, currency: int) -> int:
        """Cash and entry values of a currency, unsigned."""
        return super().money(currency) + sum(self._others.all("money", currency))

    def check_sums(self) -> None:
        """Refuse what all shards have together beyond 2^62 (rule R1)."""
        legs = np.array([self.open_lots(), *self._others.all("figure", "open_lots")], object)
        lots = legs.sum(axis=0).reshape(-1, 2).sum(axis=1) + np.abs(self.book.reserve_lots).sum(axis=0)
        money = (self.money(c) for c in range(len(self.instruments.currencies)))
        refuse_sums(self.instruments, enumerate(lots.tolist()), enumerate(money))

    def totals(self) -> tuple[list[int], list[int]]:
        """Σ lots of every instrument, and Σ (cash − entry value) of every currency (laws 1 and 2)."""
        lots, money = zip(super().totals(), *self._others.all("figure", "totals"), strict=True)
        return _summed(lots), _summed(money)

    def _recall(self, coming: Moving, first: int) -> None:
        """What is remembered of those who come."""
        if self.session is not None:
            opening = _longer(self.session.opening, coming.opening, first, len(coming), 0)
            ended = self.session.ended
            if ended is not None:
                ended = _longer(ended, coming.ended, first, len(coming), 0)
            self.session = Session(self.session.number, opening, ended)
        if self.sliced is not None or coming.sliced is not None:
            before = np.full(first, -1, np.int64) if self.sliced is None else self.sliced
            self.sliced = _longer(before, coming.sliced, first, len(coming), -1)

    def _undoable(self) -> None:
        """Remember who is here, and how they are laid out."""
        book = self.book
        names = ("slot", "rows", "_id", "_owner", "_index", *_COLUMNS)
        of_book: dict[str, Any] = {name: getattr(book, name) for name in names}
        of_state = {name: getattr(self, name) for name in _MINE}

        def undo() -> None:
            self.book = book
            for name, value in of_book.items():
                setattr(book, name, value)
            for name, value in of_state.items():
                setattr(self, name, value)

        self.undoable(undo)


def _behind(rows: Rows, more: Rows, first: int) -> Rows:
    """Groups of rows behind others; accounts are numbered from `first` on."""
    joined = [np.concatenate([a, b]) for a, b in zip(rows, more, strict=True)]
    found = Rows(*joined)
    return found._replace(
        group_slot=np.concatenate([rows.group_slot, rows.group_slot[-1] + more.group_slot[1:]]),
        group_row=np.concatenate([rows.group_row, rows.group_row[-1] + more.group_row[1:]]),
        account=np.concatenate([rows.account, more.account + np.int32(first)]),
    )


def _longer(column: Int64Array, more: Int64Array | None, first: int, many: int, fill: int) -> Int64Array:
    assert len(column) == first
    return np.concatenate([column, np.full(many, fill, np.int64) if more is None else more])


def _summed(lines: Sequence[Sequence[int]]) -> list[int]:
    return [sum(column) for column in zip(*lines, strict=True)]
