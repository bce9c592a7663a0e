"""Stage 3: detected accounts are closed in an order book (rules R22, R77, R100)."""

from __future__ import annotations

from fractions import Fraction
from itertools import groupby
from math import floor

import numpy as np

from fastadl.engine import partial
from fastadl.engine.executions import Executions
from fastadl.engine.live.orders import fill
from fastadl.engine.results import Tick
from fastadl.engine.state import FUND, MARKET, State, bounded, sums
from fastadl.engine.worth import values_at
from fastadl.errors import BoundsError, InputError
from fastadl.kernels.layout import expand
from fastadl.kernels.money import close_rows, first_come
from fastadl.policy import AnyOrderBook
from fastadl.schema import ROW_BOUND, SUM_BOUND, Int64Array, IntArray

__all__ = ["close", "close_out", "settle"]


def close_out(state: State, tick: Tick, orders: AnyOrderBook) -> None:
    """Close what fits of the detected accounts' rows, then take fee and surplus (rules R22, R100, R101)."""
    rows = state.book.rows
    slots = state.book.slot[tick.accounts]
    start, row = expand(rows, slots)
    owner = np.repeat(np.arange(len(slots)), np.diff(start))
    leg = rows.leg[row].astype(np.int64)
    held = np.abs(rows.lots[row]).astype(np.int64)
    asked = held
    if orders.partial:
        asked = partial.ordered(
            state, orders.partial, tick.time, tick.accounts, tick.was_bankrupt, owner, leg, held,
            [orders.partial.slice_above] * len(state.instruments.currencies),
        )  # fmt: skip
    if len(state.orders):
        asked = np.where(state.orders.among(tick.accounts)[owner], 0, asked)
    closed, units = _filled(state, orders, leg, asked)
    gone = np.bincount(owner[closed == held], minlength=len(slots)) == np.diff(start)
    if orders.partial:
        sliced = np.bincount(owner[(closed > 0) & (asked < held)], minlength=len(slots)) > 0
        partial.remember(state, tick, sliced)
    some = np.flatnonzero(closed)
    owner, row, leg, closed = owner[some], row[some], leg[some], closed[some]
    value = values_at(np.where(leg & 1, -closed, closed), leg, units)
    profit, _ = close(state, slots[owner], row, closed, value, MARKET)
    tick.add(
        "executions",
        account=tick.accounts[owner],
        instrument=leg >> 1,
        long=(leg & 1) == 0,
        lots=closed,
        value=value,
        realized_pnl=profit,
    )
    fee = _fees(state, slots, owner, value, orders.fee)
    surplus = np.zeros(len(slots), np.int64)
    if orders.surplus == "fund":
        surplus = np.where(gone, np.maximum(rows.cash[slots] - fee, 0), 0)
    _pay_fund(state, tick, tick.accounts, fee, surplus)


def settle(state: State, tick: Tick, executions: Executions) -> Int64Array:
    """Book the caller's executions; what each realised, in atoms (rules R77, R108)."""
    fill(state, executions, tick.time)
    row, other = executions.places(state)
    slots = state.book.slot[executions.account]
    traders = other[0] >= 0
    if traders.any():
        state.touch(np.unique(other[0][traders]))
    profit, of_fund = np.empty(len(executions), np.int64), executions.counterparty == -1 - FUND
    for fund, run in groupby(range(len(executions)), of_fund.__getitem__):
        some, who = list(run), FUND if fund else MARKET
        lots, value = executions.lots[some], executions.value[some]
        profit[some], _ = close(state, slots[some], row[some], lots, value, who, other[:, some])
    tick.add(
        "executions",
        account=executions.account,
        instrument=executions.instrument,
        long=executions.long,
        lots=executions.lots,
        value=executions.value,
        realized_pnl=profit,
    )
    _pay_fund(state, tick, executions.account, executions.fee, np.zeros(len(executions), np.int64))
    for i in np.flatnonzero(np.abs(state.book.rows.cash[slots]) > SUM_BOUND):
        cash = int(state.book.rows.cash[slots[i]])
        raise BoundsError(("executions", int(i), "value"), cash, "keep cash within 2^62 atoms (rule R1)")
    for i in np.flatnonzero(traders):
        _check_counterparty(state, int(executions.counterparty[i]), int(i))
    return profit


def close(
    state: State,
    slots: IntArray,
    row: IntArray,
    lots: Int64Array,
    value: Int64Array,
    who: int,
    other: Int64Array | None = None,
) -> tuple[Int64Array, Int64Array]:
    """Close parts of rows against a reserve (or other accounts); returns what each side realised."""
    again = slots[1:] == slots[:-1]
    state.touch(np.delete(slots, np.flatnonzero(again) + 1))
    state.touch_reserves()
    profit, gained = np.empty(len(row), np.int64), np.empty(len(row), np.int64)
    if other is None:
        other = np.full((3, len(row)), -1, np.int64)
    close_rows(state.book.rows, slots, row, lots, value, other, state.reserve(who), profit, gained)
    state.check_reserve(who)
    return profit, gained


def _filled(
    state: State, orders: AnyOrderBook, leg: Int64Array, asked: Int64Array
) -> tuple[Int64Array, dict[int, Fraction]]:
    """Lots closed of each row, first come first served, and by leg what one lot is sold for in atoms."""
    demand = sums(leg, asked, 2 * len(state.instruments))
    left, factors = orders.fits(demand, state.instruments)
    closed = np.empty_like(asked)
    first_come(leg, asked, left, closed)
    marks, instruments = state.marks.units, state.instruments
    return closed, {
        i: instruments[i >> 1].unit_value(marks.mark(i >> 1) * factor) for i, factor in factors.items()
    }


def _fees(state: State, slots: IntArray, owner: IntArray, value: Int64Array, rate: Fraction) -> Int64Array:
    """Liquidation fee of each account: at most what equity it has left (rules R15, R22)."""
    fee = np.zeros(len(slots), np.int64)
    if rate == 0 or not len(owner):
        return fee
    closed = sums(owner, np.abs(value), len(slots))
    due = values_at(-closed, np.zeros(len(slots), np.int64), {0: rate})
    return np.minimum(-due, np.maximum(state.equity_floor(slots), 0))


def _pay_fund(state: State, tick: Tick, account: IntArray, fee: Int64Array, surplus: Int64Array) -> None:
    """Move fees and surplus from accounts to the fund of their currency."""
    if not (fee.any() or surplus.any()):
        return
    slots, nobodys_rows = state.book.slot[account], np.empty(0, np.int64)
    state.touch_rows(slots[(fee != 0) | (surplus != 0)], nobodys_rows)
    state.touch_reserves()
    np.subtract.at(state.book.rows.cash, slots, fee + surplus)
    np.add.at(state.reserve_cash[FUND], state.book.currency[account], fee + surplus)
    amount = np.stack([fee, surplus], axis=1).ravel()
    paid = np.flatnonzero(amount)
    tick.add(
        "fees",
        account=np.repeat(account, 2)[paid],
        surplus=np.tile(np.array([False, True]), len(account))[paid],
        amount=amount[paid],
    )


def _check_counterparty(state: State, account: int, i: int) -> None:
    """Refuse what would break rule R1 or put a second position into an isolated account."""
    rows = state.book.rows
    _, places = expand(rows, state.book.slot[account : account + 1])
    if state.book.isolated[account] and len(places) > 1:
        raise InputError(
            ("executions", i, "counterparty"),
            state.book.accounts[account],
            "an isolated account holds one position; name another counterparty",
        )
    most = max(
        abs(int(rows.cash[state.book.slot[account]])),
        *(abs(int(v)) for v in rows.entry[places]),
        *(abs(int(v)) for v in rows.lots[places]),
        0,
    )
    if most > ROW_BOUND:
        raise BoundsError(("executions", i, "counterparty"), most, "keep it within 2^53 (rule R1)")
    instrument = rows.leg[places] >> 1
    np.maximum.at(state.most_lots, instrument, np.abs(rows.lots[places]))
    for place, item in zip(places, instrument, strict=True):
        bounded(floor(abs(int(rows.lots[place]) * state.marks.units[item])), "value")
