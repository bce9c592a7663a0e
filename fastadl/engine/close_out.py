"""Stage 3: detected accounts are closed in the order book, simulated or the caller's (rules R22, R77)."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np

from fastadl.engine.executions import Executions
from fastadl.engine.prices import reduced
from fastadl.engine.results import Tick
from fastadl.engine.state import FUND, MARKET, State, bounded
from fastadl.errors import BoundsError, InputError
from fastadl.kernels.layout import expand
from fastadl.kernels.money import close_rows, floors
from fastadl.policy import Liquidity
from fastadl.schema import ROW_BOUND, SUM_BOUND, Int64Array, IntArray

__all__ = ["close", "close_out", "settle", "values_at"]


def close_out(state: State, tick: Tick, liquidity: Liquidity) -> None:
    """Close detected accounts within the depth of the tick, then take fee and surplus (rule R22)."""
    rows = state.book.rows
    slots = state.book.slot[tick.accounts]
    start, row = expand(rows, slots)
    owner = np.repeat(np.arange(len(slots)), np.diff(start))
    leg = rows.leg[row].astype(np.int64)
    closed = _within_depth(
        leg, np.abs(rows.lots[row]).astype(np.int64), liquidity.depth_lots(state.instruments)
    )
    some = np.flatnonzero(closed)
    owner, row, leg, closed = owner[some], row[some], leg[some], closed[some]
    units = {int(i): _slipped(state, int(i), liquidity.slippage) for i in np.unique(leg)}
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
    fee = _fees(state, slots, owner, value, liquidity.fee)
    surplus = np.zeros(len(slots), np.int64)
    if liquidity.surplus == "fund":
        left, _ = expand(rows, slots)
        surplus = np.where(np.diff(left) == 0, np.maximum(rows.cash[slots] - fee, 0), 0)
    _pay_fund(state, tick, tick.accounts, fee, surplus)


def settle(state: State, tick: Tick, executions: Executions) -> None:
    """Book the caller's executions (rule R77)."""
    row, other = executions.places(state)
    slots = state.book.slot[executions.account]
    traders = other[0] >= 0
    if traders.any():
        state.touch(np.unique(other[0][traders]))
    profit, _ = close(state, slots, row, executions.lots, executions.value, MARKET, other)
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
    state.touch(slots)
    state.touch_reserves()
    profit, gained = np.empty(len(row), np.int64), np.empty(len(row), np.int64)
    if other is None:
        other = np.full((3, len(row)), -1, np.int64)
    close_rows(state.book.rows, slots, row, lots, value, other, state.reserve(who), profit, gained)
    state.check_reserve(who)
    return profit, gained


def values_at(lots: Int64Array, which: IntArray, units: dict[int, Fraction]) -> Int64Array:
    """Values of signed lots in whole atoms, rounded down (rule R15).

    Parameters
    ----------
    lots, which : int64 (n)
        Signed lots, and the key of their unit value.
    units : dict
        Exact unit value by key.
    """
    keys = sorted(units)
    at = np.searchsorted(np.array(keys, np.int64), which)
    most = np.zeros(len(keys))
    np.maximum.at(most, at, np.abs(lots))
    pairs = []
    for key, size in zip(keys, most, strict=True):
        if int(size) * abs(units[key]) > SUM_BOUND:
            raise BoundsError(("value",), float(size * units[key]), "keep it within 2^62 atoms (rule R1)")
        pairs.append(reduced(abs(units[key].numerator), units[key].denominator))
    table = np.array(pairs, np.int64).reshape(-1, 2)
    sign = np.array([-1 if units[key] < 0 else 1 for key in keys], np.int64)
    out = np.empty(len(lots), np.int64)
    fits = table[at, 1] > 0
    part = np.empty(int(fits.sum()), np.int64)
    floors((sign[at] * lots)[fits], table[at, 0][fits], table[at, 1][fits], part)
    out[fits] = part
    out[~fits] = [floor(int(n) * units[keys[k]]) for n, k in zip(lots[~fits], at[~fits], strict=True)]
    return out


def _within_depth(leg: IntArray, held: Int64Array, depth: Int64Array) -> Int64Array:
    """Lots of each row that fit the depth left for its symbol and direction, first come first served."""
    order = np.argsort(leg, kind="stable")
    total = np.cumsum(held[order])
    before = total - held[order]
    first = np.searchsorted(leg[order], leg[order], side="left")
    before -= before[first]
    closed = np.empty_like(held)
    closed[order] = np.clip(depth[leg[order] >> 1] - before, 0, held[order])
    return closed


def _slipped(state: State, leg: int, slippage: Fraction) -> Fraction:
    price = state.marks.units.mark(leg >> 1) * (1 + slippage if leg & 1 else 1 - slippage)
    unit: Fraction = state.instruments[leg >> 1].unit_value(price)
    return unit


def _fees(state: State, slots: IntArray, owner: IntArray, value: Int64Array, rate: Fraction) -> Int64Array:
    """Liquidation fee of each account: at most what equity it has left (rules R15, R22)."""
    fee = np.zeros(len(slots), np.int64)
    if rate == 0 or not len(owner):
        return fee
    closed = np.zeros(len(slots), np.int64)
    np.add.at(closed, owner, np.abs(value))
    due = values_at(-closed, np.zeros(len(slots), np.int64), {0: rate})
    return np.minimum(-due, np.maximum(state.equity_floor(slots), 0))


def _pay_fund(state: State, tick: Tick, account: IntArray, fee: Int64Array, surplus: Int64Array) -> None:
    """Move fees and surplus from accounts to the fund of their currency."""
    if not (fee.any() or surplus.any()):
        return
    slots = state.book.slot[account]
    state.touch(slots)
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
