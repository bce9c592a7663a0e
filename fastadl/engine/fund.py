"""Stage 4: who is bankrupt, what closing them takes, and what the fund pays (rules R23 to R27, R30, R31)."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from fractions import Fraction
from math import floor

import numpy as np

from fastadl import reference
from fastadl.engine.close_out import close, values_at
from fastadl.engine.results import Tick
from fastadl.engine.state import FUND, State, bounded
from fastadl.kernels.bankruptcy import Work, bankruptcy_values, net_hedges
from fastadl.kernels.fund import DEBT, DONE, ROOM, takeover
from fastadl.kernels.layout import Rows, expand
from fastadl.policy import Fund
from fastadl.schema import BoolArray, Float64Array, Int64Array, IntArray

__all__ = [
    "Bankruptcies",
    "FundRule",
    "declare",
    "pay_debts",
    "report_uncovered",
    "take_at_mark",
    "take_over",
]

#: What pairs of float64 may be off by, relative to the room at the start.
_DRIFT = 1e-24


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


class FundRule:
    """Room of the fund of one currency (rule R27)."""

    def __init__(self, fund: Fund, decimals: int) -> None:
        self._least = fund.min_equity_atoms(decimals)
        self._drawdown = fund.max_drawdown
        self._window = fund.peak_window
        #: (time, equity) after each mark that can still be the peak; replaced, never changed in place
        self.history: tuple[tuple[int, Fraction], ...] = ()

    def copy(self) -> FundRule:
        """A rule of its own with the same memory."""
        return copy(self)

    def marked(self, state: State, currency: int, time: int) -> None:
        """Remember the fund's equity just after a mark; equity that a later one surpasses is forgotten."""
        if self._drawdown is not None:
            equity = state.reserve_equity(FUND, currency)
            start = time - self._window
            kept = (point for point in self.history if point[0] >= start and point[1] > equity)
            self.history = (*kept, (time, equity))

    def room(self, state: State, currency: int) -> Fraction:
        """Equity at mark above the floor."""
        lowest = self._least
        if self._drawdown is not None:
            peak = max(equity for _, equity in self.history)
            lowest = max(lowest, (1 - self._drawdown) * peak)
        return state.reserve_equity(FUND, currency) - lowest


def declare(state: State, tick: Tick, by_notional: bool) -> Bankruptcies:
    """Decide who is bankrupt, net hedges, and split the shortfalls (rules R23 to R26)."""
    rows = state.book.rows
    if not len(tick.accounts):
        return _nobody(rows)
    slots = state.book.slot[tick.accounts]
    doomed = state.bankrupt(slots, state.evaluated(slots))
    slots = slots[doomed]
    shortfall = np.zeros(len(doomed), np.int64)
    shortfall[doomed] = -state.equity_floor(slots)
    for part in tick.lists["liquidations"]:
        part["shortfall"] = shortfall
    state.touch(slots)
    _net(state, tick, slots)
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
    value = _bankruptcy_values(state, work, by_notional)
    owner = np.repeat(np.arange(len(slots)), np.diff(start))
    inverse = state.marks.exact.inverse[work.leg >> 1]
    below = ((work.lots < 0) != inverse) & (value > 0)
    value[below] = 0
    cut = np.bincount(owner[below], minlength=len(slots)) > 0
    return Bankruptcies(work=work, owner=owner, left=np.abs(work.lots), value=value, cut=cut)


def _nobody(rows: Rows) -> Bankruptcies:
    none = np.empty(0, np.int64)
    work = Work(
        np.zeros(1, np.int64), none.astype(np.int32), none, none, none.astype(rows.leg.dtype), none, none
    )
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


def _bankruptcy_values(state: State, work: Work, by_notional: bool) -> Int64Array:
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


def take_over(state: State, tick: Tick, doomed: Bankruptcies, rules: list[FundRule]) -> None:
    """The fund takes rows at their bankruptcy value while it has room (rule R27)."""
    work = doomed.work
    taken = np.zeros(len(work.row), np.int64)
    paid = np.zeros(len(work.slot), np.int64)
    before = doomed.value.copy()
    currency = state.book.currency[state.book.rows.account[work.slot]]
    entry = state.book.rows.entry[work.row].copy()
    state.touch_reserves()
    for c, rule in enumerate(rules):
        members = np.flatnonzero(currency == c)
        if len(members) and rule.room(state, c) > 0:
            _Takeover(state, doomed, members, c, rule, taken, paid).run()
    state.check_reserve(FUND)
    some = np.flatnonzero(taken)
    received = (before - doomed.value)[some]
    realized = received - (entry - state.book.rows.entry[work.row])[some]
    side = np.where(work.lots[some] > 0, taken[some], -taken[some])
    worth = values_at(side, work.leg[some] >> 1, _units(state, work.leg[some] >> 1))
    tick.add(
        "takeovers",
        account=state.book.rows.account[work.slot[doomed.owner[some]]],
        instrument=(work.leg[some] >> 1).astype(np.int64),
        long=work.lots[some] > 0,
        lots=taken[some],
        mark=np.zeros(len(some), np.bool_),
        value=received,
        realized_pnl=realized,
        fund_loss=np.maximum(received - worth, 0),
    )
    _add_payments(state, tick, work.slot, paid)


class _Takeover:
    """One currency's takeovers: the kernel runs until it needs unlimited integers, which decide here."""

    def __init__(
        self,
        state: State,
        doomed: Bankruptcies,
        members: IntArray,
        currency: int,
        rule: FundRule,
        taken: Int64Array,
        paid: Int64Array,
    ) -> None:
        self.state, self.doomed, self.members = state, doomed, members
        self.currency, self.rule, self.taken, self.paid = currency, rule, taken, paid

    def run(self) -> None:
        doomed, state = self.doomed, self.state
        place = np.array([0, 0, -1], np.int64)
        while True:
            free = self.rule.room(state, self.currency)
            if free <= 0:
                return
            room = _pair(free)
            answer = takeover(
                doomed.work,
                self.members,
                self.currency,
                doomed.left,
                doomed.value,
                state.book.rows,
                state.marks.exact,
                state.reserve(FUND),
                room,
                place,
                self.taken,
                self.paid,
            )
            if answer == DONE:
                return
            if answer != ROOM:
                place[2] = self._decide(answer, place, self.rule.room(state, self.currency))

    def _decide(self, answer: int, place: Int64Array, free: Fraction) -> int:
        work = self.doomed.work
        account = int(self.members[place[0]])
        if answer == DEBT:
            return min(-int(self.state.book.rows.cash[work.slot[account]]), floor(free))
        r = int(work.start[account] + place[1])
        lots = int(self.doomed.left[r])
        signed = lots if work.lots[r] > 0 else -lots
        worth = signed * self.state.marks.units[int(work.leg[r]) >> 1]
        return reference.fitting_lots(free, lots, int(self.doomed.value[r]), worth)


def _pair(number: Fraction) -> Float64Array:
    high = float(number)
    return np.array([high, float(number - Fraction(high)), abs(high) * _DRIFT])


def take_at_mark(state: State, tick: Tick, doomed: Bankruptcies) -> None:
    """The fund takes every remaining row at mark, whatever its room (rule R50)."""
    work = doomed.work
    some = np.flatnonzero(doomed.left)
    lots, is_long = doomed.left[some], work.lots[some] > 0
    instrument = work.leg[some].astype(np.int64) >> 1
    value = values_at(np.where(is_long, lots, -lots), instrument, _units(state, instrument))
    slots = work.slot[doomed.owner[some]]
    profit = close(state, slots, work.row[some], lots, value, FUND)
    tick.add(
        "takeovers",
        account=state.book.rows.account[slots],
        instrument=instrument,
        long=is_long,
        lots=lots,
        mark=np.ones(len(some), np.bool_),
        value=value,
        realized_pnl=profit,
        fund_loss=np.zeros(len(some), np.int64),
    )
    doomed.left[some] = 0


def pay_debts(state: State, tick: Tick, doomed: Bankruptcies, rules: list[FundRule]) -> None:
    """The fund's second pass: debts of bankrupt accounts without rows, in cash (rule R30)."""
    rows, slots = state.book.rows, doomed.work.slot
    start, _ = expand(rows, slots)
    debt = np.where(np.diff(start) == 0, np.maximum(-rows.cash[slots], 0), 0)
    if not debt.any():
        return
    currency = state.book.currency[rows.account[slots]]
    paid = np.zeros(len(slots), np.int64)
    for c, rule in enumerate(rules):
        members = np.flatnonzero((currency == c) & (debt > 0))
        if len(members):
            room = max(0, floor(rule.room(state, c)))
            before = np.cumsum(debt[members]) - debt[members]
            paid[members] = np.clip(room - before, 0, debt[members])
    state.touch(slots)
    state.touch_reserves()
    rows.cash[slots] += paid
    np.subtract.at(state.reserve_cash[FUND], currency, paid)
    _add_payments(state, tick, slots, paid)


def _add_payments(state: State, tick: Tick, slots: IntArray, paid: Int64Array) -> None:
    some = np.flatnonzero(paid)
    tick.add("fund_payments", account=state.book.rows.account[slots[some]], amount=paid[some])


def _units(state: State, instrument: IntArray) -> dict[int, Fraction]:
    return {int(i): state.marks.units[int(i)] for i in np.unique(instrument)}


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
