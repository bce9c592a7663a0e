"""Stage 4: who is bankrupt, what closing them takes, and what nobody paid (rules R23 to R26, R31, R87)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from fastadl import reference
from fastadl.engine.results import Tick
from fastadl.engine.state import State, bounded
from fastadl.kernels.bankruptcy import Work, bankruptcy_values, net_hedges
from fastadl.kernels.layout import expand
from fastadl.policy import AdlPolicy
from fastadl.schema import BoolArray, Int64Array, IntArray

__all__ = ["Bankruptcies", "bankruptcies", "declare", "report_uncovered"]


@dataclass(slots=True)
class Bankruptcies:
    """The bankrupt accounts of a tick and what is left of their rows.

    Attributes
    ----------
    work : Work
        Their open rows after netting.
    owner : int64 (rows)
        Place of each row's account.
    left, value : int64 (rows)
        Lots not closed yet, and their bankruptcy value.
    cut : bool (accounts)
        Where rule R26 cut a price off at zero, so that a debt may remain.
    """

    work: Work
    owner: IntArray
    left: Int64Array
    value: Int64Array
    cut: BoolArray

    def copy(self) -> Bankruptcies:
        """The same, with what is left kept apart."""
        return Bankruptcies(self.work, self.owner, self.left.copy(), self.value.copy(), self.cut)


def declare(state: State, tick: Tick, policy: AdlPolicy) -> Bankruptcies:
    """Decide who is bankrupt, net hedges, and split the shortfalls (rules R23 to R26).

    With trigger ``unfilled`` accounts that the order book left below their maintenance margin go the same way
    (rule R87): what they have left is split like a shortfall below zero. Who has orders out waits (R108).
    """
    if not len(tick.accounts):
        return _nobody(state.book.rows.leg.dtype)
    slots = state.book.slot[tick.accounts]
    values = state.evaluated(slots)
    waiting = state.orders.among(tick.accounts)
    doomed = state.bankrupt(slots, values) & ~waiting
    shortfall = np.zeros(len(doomed), np.int64)
    shortfall[doomed] = -state.equity_floor(slots[doomed])
    for part in tick.lists["liquidations"]:
        part["shortfall"] = shortfall
    if policy.trigger == "unfilled":
        doomed |= state.liquidatable(slots, values) & ~waiting
    slots = slots[doomed]
    state.touch(slots)
    _net(state, tick, slots)
    return bankruptcies(state, slots, policy.split == "notional")


def bankruptcies(state: State, slots: IntArray, by_notional: bool) -> Bankruptcies:
    """What every row of some accounts has to close for (rules R25, R26)."""
    rows = state.book.rows
    start, row = expand(rows, slots)
    work = Work(
        start=start,
        slot=slots,
        cash=rows.cash[slots],
        row=row,
        leg=rows.leg[row],
        lots=rows.lots[row].astype(np.int64),
        entry=rows.entry[row],
    )
    value = _values(state, work, by_notional)
    owner = np.repeat(np.arange(len(slots)), np.diff(start))
    inverse = state.marks.exact.inverse[work.leg >> 1]
    below = ((work.lots < 0) != inverse) & (value > 0)
    value[below] = 0
    cut = np.bincount(owner[below], minlength=len(slots)) > 0
    return Bankruptcies(work=work, owner=owner, left=np.abs(work.lots), value=value, cut=cut)


@cache
def _nobody(leg: np.dtype[Any]) -> Bankruptcies:
    none = np.empty(0, np.int64)
    work = Work(np.zeros(1, np.int64), none.astype(np.int32), none, none, none.astype(leg), none, none)
    return Bankruptcies(work=work, owner=none, left=none, value=none, cut=none.astype(np.bool_))


def _net(state: State, tick: Tick, slots: IntArray) -> None:
    rows = state.book.rows
    start, row = expand(rows, slots)
    lots, profit = np.zeros(len(row), np.int64), np.zeros(len(row), np.int64)
    net_hedges(start, row, slots, rows, lots, profit)
    pairs = np.flatnonzero(lots)
    owner = np.searchsorted(start, pairs, side="right") - 1
    tick.add(
        "netted",
        account=rows.account[slots[owner]],
        instrument=(rows.leg[row[pairs]] >> 1).astype(np.int64),
        lots=lots[pairs],
        realized_pnl=profit[pairs],
    )


def _values(state: State, work: Work, by_notional: bool) -> Int64Array:
    value = np.zeros(len(work.row), np.int64)
    sure = np.empty(len(work.slot), np.bool_)
    bankruptcy_values(work, by_notional, state.margins, state.marks.exact, value, sure)
    units = state.marks.units
    for a in np.flatnonzero(~sure):
        part = slice(int(work.start[a]), int(work.start[a + 1]))
        instrument = [int(leg) >> 1 for leg in work.leg[part]]
        lots = [int(n) for n in work.lots[part]]
        margins = None
        if not by_notional:
            margins = [
                state.instruments[i].maintenance_margin(abs(n * units[i]))
                for i, n in zip(instrument, lots, strict=True)
            ]
        entry = [int(e) for e in work.entry[part]]
        exact = reference.bankruptcy_values(
            lots, [units[i] for i in instrument], margins, entry, int(work.cash[a])
        )
        value[part] = [bounded(v, "bankruptcy value") for v in exact]
    return value


def report_uncovered(state: State, tick: Tick, doomed: Bankruptcies) -> None:
    """Report what nobody paid (rule R31)."""
    slots = doomed.work.slot
    below = np.flatnonzero(state.bankrupt(slots, state.evaluated(slots)))
    slots = slots[below]
    start, row = expand(state.book.rows, slots)
    tick.add("uncovered", account=state.book.rows.account[slots], amount=-state.equity_floor(slots))
    for which in range(len(slots)):
        for at in row[start[which] : start[which + 1]]:
            lots = int(state.book.rows.lots[at])
            tick.open_rows.append((which, int(state.book.rows.leg[at]) >> 1, lots > 0, abs(lots)))
