"""Stage 4: what the fund takes over and pays (rules R27, R30, R50, R88, R89)."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np

from fastadl import reference
from fastadl.engine.bankruptcy import Bankruptcies
from fastadl.engine.close_out import close
from fastadl.engine.fund_rules import WHOLE, FundRule, Purse
from fastadl.engine.results import Tick
from fastadl.engine.state import FUND, State
from fastadl.engine.worth import values_at
from fastadl.kernels.fund import DEBT, DONE, ROOM, takeover
from fastadl.kernels.layout import expand
from fastadl.schema import BoolArray, Float64Array, Int64Array, IntArray

__all__ = ["left_open", "pay_debts", "take_at_mark", "take_over"]

#: What pairs of float64 may be off by, relative to the room at the start.
_DRIFT = 1e-24


def take_over(state: State, tick: Tick, doomed: Bankruptcies, rules: list[FundRule]) -> None:
    """The fund takes rows at their bankruptcy value while it has room (rules R27, R88, R89)."""
    work = doomed.work
    taken = np.zeros(len(work.row), np.int64)
    paid = np.zeros(len(work.slot), np.int64)
    before = doomed.value.copy()
    currency = state.book.currency[state.book.rows.account[work.slot]]
    entry = state.book.rows.entry[work.row].copy()
    state.touch_reserves()
    for rule in rules:
        members = np.flatnonzero(currency == rule.currency)
        if not len(members):
            continue
        if rule.row_by_row:
            _take_row_by_row(state, doomed, members, rule, taken, paid)
            continue
        if rule.room(state) > 0:
            _Takeover(state, doomed, members, rule, taken, paid).run()
        if _open(state, doomed)[members].any():
            rule.rest({WHOLE})
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


def left_open(state: State, doomed: Bankruptcies) -> int:
    """How many bankrupt accounts have lots, or nothing but a debt, left."""
    return int(np.count_nonzero(_open(state, doomed)))


def _open(state: State, doomed: Bankruptcies) -> BoolArray:
    lots = np.bincount(doomed.owner, doomed.left, len(doomed.work.slot))
    return (lots > 0) | (state.book.rows.cash[doomed.work.slot] < 0)


def _take_row_by_row(
    state: State,
    doomed: Bankruptcies,
    members: IntArray,
    rule: FundRule,
    taken: Int64Array,
    paid: Int64Array,
) -> None:
    """Takeovers of one currency where every row has a room of its own (rules R88, R89).

    All of it is decided with fractions first, in order, and then booked at once.
    """
    work, rows, purse = doomed.work, state.book.rows, Purse(rule, state)
    pays = np.zeros(len(work.row), np.int64)
    wanting: set[int] = set()
    for a in members:
        mine = range(int(work.start[a]), int(work.start[a + 1]))
        for r in mine:
            taken[r], pays[r] = _take_row(state, doomed, r, purse, wanting)
        received = sum(int(pays[r]) - int(work.entry[r]) for r in mine)
        debt = -(int(work.cash[a]) + received)
        if debt > 0 and all(taken[r] == doomed.left[r] for r in mine):
            paid[a] = max(0, min(debt, floor(purse.room(WHOLE))))
            if floor(purse.own(WHOLE)) < debt:
                wanting.add(WHOLE)
            purse.pay(int(paid[a]))
    purse.close()
    rule.rest(wanting)
    some = np.flatnonzero(np.isin(doomed.owner, members) & (taken > 0))
    close(state, work.slot[doomed.owner[some]], work.row[some], taken[some], pays[some], FUND)
    doomed.left[some] -= taken[some]
    doomed.value[some] -= pays[some]
    rows.cash[work.slot[members]] += paid[members]
    state.reserve_cash[FUND, rule.currency] -= int(paid[members].sum())


def _take_row(state: State, doomed: Bankruptcies, r: int, purse: Purse, wanting: set[int]) -> tuple[int, int]:
    """Lots that the fund takes of one row, and what it pays for them."""
    instrument = int(doomed.work.leg[r]) >> 1
    lots, value = int(doomed.left[r]), int(doomed.value[r])
    worth = (lots if doomed.work.lots[r] > 0 else -lots) * state.marks.units[instrument]
    if reference.fitting_lots(purse.own(instrument), lots, value, worth) < lots:
        wanting.add(instrument)
    fits = reference.fitting_lots(purse.room(instrument), lots, value, worth)
    pays = value * fits // lots
    share = Fraction(fits, lots)
    purse.take(instrument, worth * share - pays, max(Fraction(0), (value - worth) * share))
    return fits, pays


class _Takeover:
    """One currency's takeovers: the kernel runs until it needs unlimited integers, which decide here."""

    def __init__(
        self,
        state: State,
        doomed: Bankruptcies,
        members: IntArray,
        rule: FundRule,
        taken: Int64Array,
        paid: Int64Array,
    ) -> None:
        self.state, self.doomed, self.members = state, doomed, members
        self.rule, self.taken, self.paid = rule, taken, paid

    def run(self) -> None:
        doomed, state = self.doomed, self.state
        place = np.array([0, 0, -1], np.int64)
        while True:
            free = self.rule.room(state)
            if free <= 0:
                return
            room = _pair(free)
            answer = takeover(
                doomed.work,
                self.members,
                self.rule.currency,
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
                place[2] = self._decide(answer, place, self.rule.room(state))

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


def take_at_mark(state: State, tick: Tick, doomed: Bankruptcies) -> Int64Array:
    """The fund takes every remaining row at mark, whatever its room; what it paid for each row (rule R50)."""
    work = doomed.work
    some = np.flatnonzero(doomed.left)
    lots, is_long = doomed.left[some], work.lots[some] > 0
    instrument = work.leg[some].astype(np.int64) >> 1
    value = values_at(np.where(is_long, lots, -lots), instrument, _units(state, instrument))
    slots = work.slot[doomed.owner[some]]
    profit, _ = close(state, slots, work.row[some], lots, value, FUND)
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
    paid = np.zeros(len(work.row), np.int64)
    paid[some] = value
    return paid


def pay_debts(state: State, tick: Tick, doomed: Bankruptcies, rules: list[FundRule]) -> None:
    """The fund's second pass: debts of bankrupt accounts without rows, in cash (rule R30)."""
    rows, slots = state.book.rows, doomed.work.slot
    start, _ = expand(rows, slots)
    debt = np.where(np.diff(start) == 0, np.maximum(-rows.cash[slots], 0), 0)
    if not debt.any():
        return
    currency = state.book.currency[rows.account[slots]]
    paid = np.zeros(len(slots), np.int64)
    for rule in rules:
        members = np.flatnonzero((currency == rule.currency) & (debt > 0))
        if len(members):
            purse = Purse(rule, state)
            before = np.cumsum(debt[members]) - debt[members]
            paid[members] = np.clip(max(0, floor(purse.room(WHOLE))) - before, 0, debt[members])
            purse.pay(int(paid[members].sum()))
            purse.close()
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
