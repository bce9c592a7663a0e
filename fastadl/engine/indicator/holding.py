"""What one account holds, what could be done about a row of it, and what it would score (rule R113)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, floor
from typing import Any

import numpy as np

from fastadl import reference
from fastadl.engine.ranking import context_of
from fastadl.engine.scoring import scoring
from fastadl.engine.state import State
from fastadl.kernels.layout import Rows, expand
from fastadl.kernels.liquidation import liquidation_moves
from fastadl.kernels.measure import FIELDS, ONE_BY_ONE, Context, measure
from fastadl.policy import AdlPolicy
from fastadl.schema import BoolArray, Float64Array, Int64Array, IntArray

__all__ = ["Holding", "Judged", "choices", "judged", "moves"]

#: One lot in so many is tried closed, and so many times the equity is tried.
_CLOSED, _TIMES = (4, 2), (2, 4)


@dataclass(frozen=True, slots=True)
class Holding:
    """Cash and open rows of one account, and which row is looked at."""

    leg: IntArray
    lots: Float64Array
    entry: Int64Array
    cash: int
    at: int

    @classmethod
    def of(cls, state: State, account: int, leg: int) -> Holding:
        """As it is."""
        rows, slot = state.book.rows, state.book.slot[account : account + 1]
        _, row = expand(rows, slot)
        at = int(np.flatnonzero(rows.leg[row] == leg)[0])
        return cls(rows.leg[row], rows.lots[row], rows.entry[row], int(rows.cash[slot[0]]), at)

    @property
    def size(self) -> int:
        """Unsigned lots of the row."""
        return int(abs(self.lots[self.at]))

    def closed(self, lots: int, unit: Any) -> Holding:
        """After some lots of the row were closed at mark (rules R10, R15)."""
        sign = 1 if self.lots[self.at] > 0 else -1
        entry, left = self.entry.copy(), self.lots.copy()
        whole = int(entry[self.at]) * lots
        released = abs(whole) // self.size * (1 if whole >= 0 else -1)
        entry[self.at] -= released
        left[self.at] -= sign * lots
        return replace(self, lots=left, entry=entry, cash=self.cash + floor(sign * lots * unit) - released)


def choices(state: State, held: Holding, equity: float) -> dict[str, Holding]:
    """As it is, what could be done, and what the account would hold then."""
    unit = state.marks.units[int(held.leg[held.at]) >> 1]
    found = {"as it is": held}
    for part in _CLOSED:
        if held.size >= part:
            found[f"close {100 // part} %"] = held.closed(held.size // part, unit)
    for times in _TIMES if equity > 0.0 else ():
        found[f"leverage / {times}"] = replace(held, cash=held.cash + ceil((times - 1) * equity))
    return found


@dataclass(frozen=True, slots=True)
class Judged:
    """Holdings of the same rows, at some marks.

    Attributes
    ----------
    parts : float64 (8, holdings)
        One line per name in `fastadl.kernels.measure.FIELDS`, of the row that is looked at.
    able : bool (holdings)
        Whether equity is at least 0, exactly (rule R40).
    """

    parts: Float64Array
    able: BoolArray


def judged(state: State, policy: AdlPolicy, number: int, account: int, held: list[Holding]) -> Judged:
    """Judge what an account might hold; `number` is the tick's, for a ranking drawn by it."""
    count, context = len(held), _context(state, policy, number, account, held)
    how, row = scoring(policy.score), held[0].at * count + np.arange(count)
    parts, slots = np.empty((len(FIELDS), count)), np.arange(count, dtype=np.int32)
    measure(how.number, how.needs, how.own, row, slots, *ONE_BY_ONE, context, parts)
    able = parts[1] >= 0.0
    for slot in np.flatnonzero(np.abs(parts[1]) <= parts[2]).tolist():
        able[slot] = reference.equity(Rows(*context[: len(Rows._fields)]), slot, state.marks.units) >= 0
    return Judged(parts, able)


def moves(state: State, policy: AdlPolicy, number: int, account: int, held: list[Holding]) -> Float64Array:
    """How far the price of the row may go in each of some holdings (rule R112); arguments as in `judged`."""
    count, size = len(held), len(held[0].lots)
    context, out = _context(state, policy, number, account, held), np.empty(count * size)
    liquidation_moves(context, context.unit, context.inverse, context, np.array([[0, 0, count]]), out)
    return out[held[0].at * count + np.arange(count)]


def _context(state: State, policy: AdlPolicy, number: int, account: int, held: list[Holding]) -> Context:
    """A book of these holdings alone, each an account."""
    count, size = len(held), len(held[0].lots)
    return context_of(state, policy, number)._replace(
        group_rows=np.array([size]),
        group_slot=np.array([0, count]),
        group_row=np.array([0, count * size]),
        leg=np.stack([each.leg for each in held], 1).ravel(),
        lots=np.stack([each.lots for each in held], 1).ravel(),
        entry=np.stack([each.entry for each in held], 1).ravel(),
        cash=np.array([each.cash for each in held], np.int64),
        account=np.full(count, account, np.int32),
    )
