"""The money that moves when debts are charged, in the order it is listed in (rule R92)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from fastadl.book import Book
from fastadl.engine.collective import Most, Steps
from fastadl.engine.state import FUND, State
from fastadl.schema import FUND as FUND_ID
from fastadl.schema import Int64Array, IntArray

__all__ = ["Moves", "by_id", "fund_place", "move", "move_to_fund"]


@dataclass(frozen=True, slots=True)
class Moves:
    """Entries of the list `socialized`.

    Attributes
    ----------
    place : int64 (n)
        Ascends with the id: twice the place of an account among all, and an odd number of the fund.
    account : int (n)
        Positions in the book of a part; −1 is the fund.
    currency : int (n)
    amount : int64 (n)
        Atoms; charges are negative.
    """

    place: Int64Array
    account: IntArray
    currency: IntArray
    amount: Int64Array


def move(state: State, amount: Int64Array) -> Moves:
    """Change the cash of accounts by `amount` (slots) and tell what there is to list."""
    rows, book = state.book.rows, state.book
    some = np.flatnonzero(amount)
    state.touch_rows(some, np.empty(0, np.int64))
    rows.cash[some] += amount[some]
    account = rows.account[some]
    return Moves(2 * book.rank[account].astype(np.int64), account, book.currency[account], amount[some])


def move_to_fund(state: State, rest: Sequence[int], place: int) -> Moves:
    """Give the fund what is left in every currency."""
    amount = np.array(rest, np.int64)
    some = np.flatnonzero(amount)
    if len(some):
        state.touch_reserves()
        state.reserve_cash[FUND] += amount
        state.check_reserve(FUND)
    return Moves(np.full(len(some), place), np.full(len(some), -1), some, amount[some])


def fund_place(book: Book) -> Steps[int]:
    """Place of the fund among the accounts of all parts: behind the last id before its own."""
    last = yield Most(int(book.rank[(book.accounts < FUND_ID).to_numpy()].max(initial=-1)))
    return 2 * int(last) + 1


def by_id(parts: Sequence[Moves]) -> Moves:
    """Entries of all parts by account id; those of the fund by currency."""
    columns = [np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Moves)]
    order = np.argsort(columns[0], kind="stable")
    return Moves(*(column[order] for column in columns))
