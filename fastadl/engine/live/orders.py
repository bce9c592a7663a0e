"""Liquidation orders: made for what a tick detected, filled and cancelled whenever (rules R101, R108)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral
from typing import Any

import numpy as np
import polars as pl

from fastadl.contracts import Kind
from fastadl.engine import partial
from fastadl.engine.bankruptcy import bankruptcies
from fastadl.engine.executions import Executions
from fastadl.engine.open_orders import OpenOrders
from fastadl.engine.results import Tick, prices
from fastadl.engine.state import State
from fastadl.errors import InputError
from fastadl.kernels.layout import expand
from fastadl.kernels.live import Trades
from fastadl.policy import Partial
from fastadl.schema import SUM_BOUND, Float64Array, Int64Array, IntArray

__all__ = ["Terms", "cancel", "check_fills", "drop", "fill", "frame", "order", "reasons"]

#: More than float64 is off by in a price made from a value.
_OFF = 2.0**-49


@dataclass(frozen=True)
class Terms:
    """How much of each row an order is for.

    Attributes
    ----------
    partial : Partial
    above : list of Fraction
        Its `slice_above`, by currency.
    least : int
        Lots that no order and no rest of a row is below.
    """

    partial: Partial
    above: list[Fraction]
    least: int

    @classmethod
    def of(cls, currencies: Sequence[str], slice_above: Any, least: Any, **given: Any) -> Terms:
        """Refuses what rule R101 does, by argument."""
        if isinstance(least, (bool, np.bool_)) or not isinstance(least, Integral) or int(least) < 1:
            raise InputError(("least",), least, "give whole lots, 1 or more")
        by_currency = isinstance(slice_above, Mapping)
        amounts = slice_above if by_currency else dict.fromkeys(currencies, slice_above)
        try:
            partials = [Partial(slice_above=amounts.get(name, "0"), **given) for name in currencies]
        except InputError as error:
            raise type(error)(error.path[1:], error.value, error.remedy) from None
        known, above = f"give amounts of {', '.join(currencies)}", [each.slice_above for each in partials]
        for name in amounts:
            if name not in currencies:
                raise InputError(("slice_above", str(name)), amounts[name], known)
        if not by_currency and len(currencies) > 1 and any(above):
            raise InputError(("slice_above",), slice_above, f"{known}, by currency")
        return cls(partials[0], above, min(int(least), SUM_BOUND))


# ---------------------------------------------------------------------- ordering


def order(state: State, tick: Tick, wanted: Terms, by_notional: bool) -> tuple[OpenOrders, Int64Array]:
    """Order rows of the accounts detected that are still below their margin, and solvent.

    Parameters
    ----------
    state, tick : State, Tick
    wanted : Terms
    by_notional : bool
        How an account's equity is split into the limits of its rows (rule R25).

    Returns
    -------
    OpenOrders
        The new ones.
    int64 (n)
        Atoms that each is to be filled for at least, where it has a limit.
    """
    accounts = _solvent(state, tick.accounts)
    everything = bankruptcies(state, state.book.slot[accounts], by_notional)
    owner, held, leg = everything.owner, everything.left, everything.work.leg.astype(np.int64)
    nobody = np.zeros(len(accounts), np.bool_)
    lots = partial.ordered(state, wanted.partial, tick.time, accounts, nobody, owner, leg, held, wanted.above)
    small = (lots > 0) & (np.minimum(lots, held - lots) < wanted.least)
    lots[small] = held[small]
    some = np.flatnonzero((lots > 0) & (state.orders.on(accounts[owner], leg) < 0))
    count, last = len(some), state.orders.last
    owner, leg, lots, held, value = owner[some], leg[some], lots[some], held[some], everything.value[some]
    new = OpenOrders(
        last=last + count,
        order=last + 1 + np.arange(count),
        account=accounts[owner].astype(np.int64),
        leg=leg,
        lots=lots,
        ordered=lots,
        part=lots < held,
        limit_price=_limits(state, value, held, leg),
        tick=np.full(count, tick.number),
        time=np.full(count, tick.time),
    )
    state.have_orders(state.orders.joined(new))
    columns = zip(value.tolist(), lots.tolist(), held.tolist(), strict=True)
    return new, np.array([-(-total * some // whole) for total, some, whole in columns], np.int64)


def _solvent(state: State, accounts: IntArray) -> IntArray:
    """Those that are liquidatable now and not bankrupt."""
    slots = state.book.slot[accounts]
    values = state.evaluated(slots)
    return accounts[state.liquidatable(slots, values) & ~state.bankrupt(slots, values)]


def _limits(state: State, value: Int64Array, lots: Int64Array, leg: Int64Array) -> Float64Array:
    """Prices at which rows are worth `value` at least; NaN where any price will do."""
    instruments = state.instruments
    scale = np.array([float(item.scale) for item in instruments])[leg >> 1]
    inverse = np.array([item.kind is Kind.INVERSE for item in instruments])[leg >> 1]
    is_long = leg & 1 == 0
    price = prices(value, lots, is_long, scale, inverse)
    price[~(price > 0.0)] = np.nan
    return price * np.where(is_long, 1.0 + _OFF, 1.0 - _OFF)


# ---------------------------------------------------------------------- filling


def fill(state: State, executions: Executions, time: int) -> None:
    """Take executions off the orders they name; refuses what would close anything twice.

    Raises
    ------
    InputError
        For an order that is not open, of another row or too small, an execution without one on a row that is
        on order, or a counterparty in liquidation that would not merely close what is not on order.
    """
    orders = state.orders
    taken, free = np.zeros(len(orders), np.int64), _Free(state)
    leg, at = executions.legs(), orders.at(executions.order)
    on = orders.on(executions.account, leg)
    frozen, others = orders.among(executions.account), orders.among(executions.counterparty)
    for i in np.flatnonzero((executions.order > 0) | frozen | others).tolist():
        account, lots, number = int(executions.account[i]), int(executions.lots[i]), int(executions.order[i])
        if number:
            _check_named(executions, i, orders, int(at[i]), int(on[i]), taken)
            taken[at[i]] += lots
        elif on[i] >= 0:
            raise InputError(
                ("executions", i, "order"),
                "none",
                f"order {orders.order[on[i]]} is out for this row",
            )
        elif frozen[i]:
            free.close(account, int(leg[i]), lots)
        if others[i]:
            _check_other(executions, i, int(leg[i]) ^ 1, free)
    state.have_orders(orders.less(taken))
    sliced = np.unique(orders.account[(taken > 0) & orders.part])
    if len(sliced):
        state.remember_slices(sliced, time)


def _check_named(
    executions: Executions, i: int, orders: OpenOrders, at: int, on: int, taken: Int64Array
) -> None:
    number, lots = int(executions.order[i]), int(executions.lots[i])
    if at < 0:
        raise InputError(("executions", i, "order"), number, "name an open order")
    if at != on:
        raise InputError(("executions", i, "order"), number, "name the order of this row")
    left = int(orders.lots[at] - taken[at])
    if lots > left:
        raise InputError(("executions", i, "lots"), lots, f"order {number} has {left} lots left")


def _check_other(executions: Executions, i: int, leg: int, free: _Free) -> None:
    left = free.close(int(executions.counterparty[i]), leg, int(executions.lots[i]))
    if left < 0:
        remedy = "it is in liquidation: name one that is not, or lots that close what is not on order"
        raise InputError(
            ("executions", i, "counterparty"), free.name(int(executions.counterparty[i])), remedy
        )


class _Free:
    """Lots that accounts in liquidation hold and have not on order, followed through a batch."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._lots: dict[int, dict[int, int]] = {}

    def close(self, account: int, leg: int, lots: int) -> int:
        """Take lots off a row; what is left then, below 0 where there were not as many."""
        if account not in self._lots:
            self._lots[account] = self._of(account)
        free = self._lots[account]
        free[leg] = free.get(leg, 0) - lots
        return free[leg]

    def name(self, account: int) -> str:
        """Id of an account."""
        return str(self._state.book.accounts[account])

    def _of(self, account: int) -> dict[int, int]:
        rows, orders = self._state.book.rows, self._state.orders
        _, places = expand(rows, self._state.book.slot[account : account + 1])
        free = {int(rows.leg[at]): int(abs(rows.lots[at])) for at in places}
        for at in np.flatnonzero(orders.account == account):
            free[int(orders.leg[at])] -= int(orders.lots[at])
        return free


def check_fills(state: State, trades: Trades) -> Iterator[tuple[int, InputError]]:
    """The first fill by which an account in liquidation does anything but close what is not on order."""
    free = _Free(state)
    for i in np.flatnonzero(state.orders.among(trades.account)).tolist():
        account, lots = int(trades.account[i]), int(trades.lots[i])
        closes, side = 2 * int(trades.instrument[i]) + (lots > 0), int(trades.side[i])
        opens = side != 0 and (side > 0) == (lots > 0)
        left = -abs(lots) if opens else free.close(account, closes, abs(lots))
        if left < 0:
            can = max(left + abs(lots), 0)
            remedy = f"the account is in liquidation: close at most {can} lots of that side"
            yield i, InputError(("fills", i, "lots"), lots, remedy)
            return


# ---------------------------------------------------------------------- cancelling and reading


def cancel(state: State, numbers: Any) -> OpenOrders:
    """Take orders back, all of them if none are named; returns them as they were.

    Raises
    ------
    InputError
        For one that is not open, or named twice.
    """
    orders = state.orders
    at = np.arange(len(orders)) if numbers is None else orders.at(_numbers(numbers))
    for i in np.flatnonzero(at < 0):
        raise InputError(("orders", int(i)), int(_numbers(numbers)[i]), "name an open order")
    gone = np.zeros(len(orders), np.bool_)
    gone[at] = True
    if int(gone.sum()) < len(at):
        raise InputError(("orders",), "an order twice", "name every order once")
    state.have_orders(orders.select(~gone))
    return orders.select(gone)


def drop(state: State, instrument: int) -> None:
    """Orders of a symbol that is no longer traded are open no more."""
    if len(state.orders):
        state.have_orders(state.orders.select(state.orders.leg >> 1 != instrument))


def _numbers(given: Any) -> Int64Array:
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise InputError(("orders",), given, "give numbers of orders")
    numbers = list(given)
    for i, number in enumerate(numbers):
        if isinstance(number, (bool, np.bool_)) or not isinstance(number, (int, np.integer)):
            raise InputError(("orders", i), number, "give the number of an order")
        if abs(int(number)) > SUM_BOUND:
            raise InputError(("orders", i), number, "name an open order")
    return np.array(numbers, np.int64)


def reasons(state: State) -> pl.Series:
    """Why each order should be cancelled: its account is bankrupt now, or safe; null where it is neither."""
    slots = state.book.slot[state.orders.account]
    values = state.evaluated(slots)
    safe, bankrupt = ~state.liquidatable(slots, values), state.bankrupt(slots, values)
    codes = np.where(bankrupt, 1, np.where(safe, 2, 0)).astype(np.uint32)
    return pl.Series([None, "bankrupt", "safe"]).gather(codes)


def frame(state: State, orders: OpenOrders) -> pl.DataFrame:
    """Orders by name: what each is, and what is left of it."""
    symbols = pl.Series(state.instruments.symbols, dtype=pl.String)
    return pl.DataFrame(
        {
            "order": orders.order,
            "account": state.book.accounts.gather(orders.account.astype(np.uint32)),
            "symbol": symbols.gather((orders.leg >> 1).astype(np.uint32)),
            "side": pl.Series(["long", "short"]).gather((orders.leg & 1).astype(np.uint32)),
            "lots": orders.lots,
            "lots_ordered": orders.ordered,
            "limit_price": pl.Series(orders.limit_price, dtype=pl.Float64).fill_nan(None),
            "tick": orders.tick,
            "time": orders.time,
        }
    )
