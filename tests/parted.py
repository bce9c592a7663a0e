"""A book in parts, all in this process: their states, and algorithms that they run in step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np

from fastadl.book import Book
from fastadl.engine.collective import Steps, apart
from fastadl.engine.state import State
from fastadl.schema import AccountColumns, IntArray, PositionColumns
from test_collective import Exchange

T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """A state of some accounts, some of which it has lent to another part.

    Attributes
    ----------
    state : State
    accounts : int (accounts)
        Their positions in the whole book.
    lent : int (n)
        Slots.
    """

    state: State
    accounts: IntArray
    lent: IntArray


def book_of(book: Book, accounts: IntArray, *, reserves: bool = False) -> Book:
    """Some accounts of a book, each at its place among all of them."""
    instruments, columns, rows = book.columns()
    chosen = {field.name: getattr(columns, field.name) for field in fields(AccountColumns)}
    chosen = {name: None if column is None else column[accounts] for name, column in chosen.items()}
    place = np.full(len(book.slot), -1, np.int32)
    place[accounts] = np.arange(len(accounts), dtype=np.int32)
    owner = np.where(rows.account < 0, rows.account, place[rows.account])
    mine = (rows.account < 0) & reserves | (rows.account >= 0) & (owner >= 0)
    held = PositionColumns(owner[mine], rows.instrument[mine], rows.lots[mine], rows.entry_value[mine])
    other = Book._from_columns(instruments, AccountColumns(**chosen), held)
    other.rank = book.rank[accounts]
    return other


def part_of(state: State, accounts: IntArray, lent: IntArray) -> Part:
    """A part that has accounts of a state, and has lent some of them: at home these look richer than ever."""
    book = book_of(state.book, accounts)
    away = book.slot[np.isin(accounts, lent)]
    book.rows.cash[away] += 10**7
    other = State(book)
    other.set_prices(state.prices())
    if state.session is not None:
        other.session = state.session.of(accounts)
    return Part(other, accounts, away)


def divided(state: State, home: IntArray, lent: IntArray) -> list[Part]:
    """The part that has the accounts on loan, and those in which all accounts are at home."""
    nobody = np.empty(0, np.int64)
    homes = [np.flatnonzero(home == which) for which in range(int(home.max(initial=-1)) + 1)]
    return [part_of(state, lent, nobody), *(part_of(state, accounts, lent) for accounts in homes)]


def together(steps: Sequence[Steps[T]]) -> list[T]:
    """Run one algorithm in step in all parts, which see nothing of each other but messages."""
    return Exchange().run([apart(each) for each in steps])
