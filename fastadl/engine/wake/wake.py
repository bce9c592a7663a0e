"""Which accounts a mark has to look at, and when it is cheaper to look at all of them."""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from fastadl.engine.wake.layout import laid_out
from fastadl.kernels.wake import Levels, Waiting, enlist, settle, wake
from fastadl.schema import IntArray

if TYPE_CHECKING:
    from fastadl.engine.prices import Marks
    from fastadl.engine.state import State

__all__ = ["Wake"]

#: To find an account or to look at it takes less than a third of what a full pass takes for so many rows,
#: and for so many more for each row that accounts have on average.
_ROWS, _MORE = 6144, 3072
#: As many accounts are looked at whatever the size of the book.
_LEAST = 16
#: After so many full passes in a row it is cheaper to make all levels anew than to go on in portions.
_ENOUGH = 128
#: Marks from when all levels are made to when they may be made anew.
_APART = 512
_NOBODY = np.empty(0, np.int32)
_NO_LEVELS = Levels(*[_NOBODY] * 6)
_NO_WAITING = Waiting(_NOBODY, np.empty(0, np.bool_), np.zeros(2, np.int64))


class Wake:
    """Levels of the rows of a state, and the accounts that wait to be looked at.

    It is told which accounts change (`changed`) and when all do (`all_changed`), and answers which accounts
    may have to be liquidated. What it does beside that is to keep within its means (rule R126).

    While levels or the list of those who wait are being changed they are not sure: whatever is interrupted
    leaves them so, and they are made anew.

    Parameters
    ----------
    state : State
        Whose `wake` this is going to be.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._levels, self._waiting = _NO_LEVELS, _NO_WAITING
        self._sure = False
        self._seen: Marks | None = None
        self._few = 0
        self._age = _APART
        self._passes = 0

    def copy(self, state: State) -> Wake:
        """The same for a copy of the state."""
        other = copy.copy(self)
        other._state = state
        other._levels = Levels(*(each.copy() for each in self._levels))
        other._waiting = Waiting(*(each.copy() for each in self._waiting))
        return other

    @property
    def nbytes(self) -> int:
        """Memory of the levels and of what finds them."""
        return sum(each.nbytes for each in (*self._levels, *self._waiting))

    def changed(self, accounts: IntArray) -> None:
        """Have accounts looked at whose cash or rows change; those below 0 are nobody's."""
        if self._sure:
            self._sure = False
            if len(self._state.book.slot) > len(self._waiting.among):
                self._grow()
            enlist(accounts.astype(np.int32, copy=False), self._waiting)
            self._sure = True

    def all_changed(self) -> None:
        """Have the levels of all accounts made anew."""
        self._sure = False

    def found(self, moved: Collection[int], before: Marks) -> IntArray | None:
        """Slots of accounts that may have to be liquidated at the present marks; None if any may.

        Parameters
        ----------
        moved : collection of int
            Instruments that were marked since `before`.
        before : Marks
        """
        self._age += 1
        if not self._sure:
            return self._anew() if self._age >= _APART else None
        self._sure = False
        waits = int(self._waiting.count[0])
        if waits > 2 * self._few:
            return self._crowded(self._few)
        named, most = self._named(moved, before), waits + self._few
        count = wake(named, self._state.marks.unit, self._levels, self._waiting, most)
        if count > most:
            return self._crowded(0)
        self._seen, self._passes = self._state.marks, 0
        if not count:
            self._sure = True
            return _NOBODY
        self._look(count)
        return self._found()

    def _crowded(self, portion: int) -> IntArray | None:
        """Look at so many of those who wait, too many for one mark, or make all levels anew."""
        self._seen, self._passes = None, self._passes + 1
        if self._passes <= _ENOUGH:
            self._look(portion)
        elif self._age >= _APART:
            return self._anew()
        else:
            self._sure = True
        return None

    def _look(self, most: int) -> None:
        """Look at so many of those who wait; levels are no longer sure if there was no room for all."""
        state, book = self._state, self._state.book
        self._sure = settle(
            book.rows, book.slot, state.marks.unit, state.margins, self._levels, self._waiting, most
        )

    def _named(self, moved: Collection[int], before: Marks) -> IntArray:
        """Instruments that may have another mark than when it was looked at last."""
        if before is self._seen:
            return np.fromiter(moved, np.int32, len(moved))
        return np.arange(len(self._state.instruments), dtype=np.int32)

    def _found(self) -> IntArray:
        return self._state.book.slot[self._waiting.account[: self._waiting.count[0]]]

    def _anew(self) -> IntArray:
        """Make all levels, and answer who may not be safe."""
        state, self._levels = self._state, _NO_LEVELS  # there is memory for one set of them
        if not state.fitting:
            state.fit()
        self._levels, among = laid_out(state)
        waiting = np.flatnonzero(among)
        rows, accounts = len(state.book.rows.lots), len(among)
        account = np.empty(accounts, np.int32)
        account[: len(waiting)] = waiting
        self._waiting = Waiting(account, among, np.array([len(waiting), 0]))
        self._few = max(rows * accounts // max(_ROWS * accounts + _MORE * rows, 1), _LEAST)
        self._seen, self._age, self._passes = state.marks, 0, 0
        self._sure = True
        return self._found()

    def _grow(self) -> None:
        """Have room for accounts that came."""
        account, among, many = self._waiting
        size = max(len(self._state.book.slot), 2 * len(account))
        self._levels = self._levels._replace(first=_longer(self._levels.first, size, -1))
        self._waiting = Waiting(_longer(account, size, 0), _longer(among, size, 0), many)


def _longer(array: IntArray, size: int, fill: int) -> IntArray:
    long = np.full(size, fill, array.dtype)
    long[: len(array)] = array
    return long
