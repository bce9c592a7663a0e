"""An engine between two ticks as frames, arrays and plain values, and an engine that goes on from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl

from fastadl.book import Book
from fastadl.contracts import Instruments
from fastadl.engine.core import Core
from fastadl.engine.fund_rules import Memory
from fastadl.engine.open_orders import OpenOrders
from fastadl.engine.prices import Marks
from fastadl.engine.socialize.sessions import Session
from fastadl.engine.state import State
from fastadl.errors import StageError
from fastadl.io.instruments import instrument_frame, read_instruments
from fastadl.schema import AccountColumns, PositionColumns

__all__ = ["resume", "resume_state", "saved", "saved_book", "saved_state"]

_RESERVED = ("fund", "market")
_MARKS = ("marks", "previous", "oracle")


def saved(engine: Core) -> dict[str, Any]:
    """Everything that what comes next depends on; how it is laid out in memory is not part of it.

    Raises
    ------
    StageError
        While a tick is in progress.
    """
    if engine._tick is not None:
        raise StageError("a tick is in progress: end it with deleverage first")
    return {
        **saved_state(engine._state),
        "number": engine._number,
        "time": engine._time,
        "totals": [list(engine._totals[0]), list(engine._totals[1])],
        "laws": [engine._fills_lawful, engine._closed_at_zero],
        "memories": [_memory(rule.memory) for rule in engine._rules],
    }


def saved_state(state: State) -> dict[str, Any]:
    """Accounts, reserves, prices, orders and what is remembered of accounts."""
    instruments, accounts, positions = state.book.columns()
    traders = positions.account >= 0
    contents: dict[str, Any] = {
        "instruments": instrument_frame(instruments),
        "accounts": _frame(accounts),
        "positions": _frame(positions).filter(pl.Series(traders)),
        "reserve_money": pl.DataFrame({n: state.reserve_cash[i] for i, n in enumerate(_RESERVED)}),
        "reserve_positions": pl.DataFrame(
            {
                f"{name}_{what}": column[i]
                for what, column in (
                    ("lots", state.book.reserve_lots),
                    ("entry", state.book.reserve_entry),
                    ("realized", state.reserve_realized),
                )
                for i, name in enumerate(_RESERVED)
            }
        ),
        "currencies": dict(zip(instruments.currencies, instruments.decimals, strict=True)),
        "marks": {name: _prices(marks) for name, marks in zip(_MARKS, state.prices()[:3], strict=True)},
        "told": {str(i): str(price) for i, price in state.told.items()},
        "orders": state.orders.frame(),
        "last_order": state.orders.last,
        "session": None if state.session is None else state.session.number,
    }
    if state.session is not None:
        contents["session_opening"] = state.session.opening
        if state.session.ended is not None:
            contents["session_ended"] = state.session.ended
    if state.sliced is not None and (state.sliced >= 0).any():
        contents["sliced"] = state.sliced.copy()
    return contents


def saved_book(contents: Mapping[str, Any]) -> Book:
    """The book of what `saved` gave."""
    listed = read_instruments(contents["instruments"], "", 0)
    instruments = Instruments(tuple(listed), contents["currencies"])
    accounts = contents["accounts"]
    columns = {field.name: accounts[field.name] for field in fields(AccountColumns) if field.name in accounts}
    numbers = {name: column.to_numpy() for name, column in columns.items() if name not in ("id", "owner")}
    names = {"id": accounts["id"], "owner": columns.get("owner")}
    rows = {column.name: column.to_numpy() for column in contents["positions"]}
    book = Book._from_columns(instruments, AccountColumns(**names, **numbers), PositionColumns(**rows))
    for i, name in enumerate(_RESERVED):
        book.reserve_lots[i] = contents["reserve_positions"][f"{name}_lots"].to_numpy()
        book.reserve_entry[i] = contents["reserve_positions"][f"{name}_entry"].to_numpy()
    return book


def resume(engine: Core, contents: Mapping[str, Any]) -> None:
    """Have an engine, just made with `saved_book`, go on where `saved` was called."""
    resume_state(engine._state, contents)
    for rule, memory in zip(engine._rules, contents["memories"] or (), strict=False):
        rule.memory = _remembered(memory)
    engine._number, engine._time = contents["number"], contents["time"]
    lots, money = contents["totals"]
    engine._totals = lots, money
    engine._fills_lawful, engine._closed_at_zero = contents["laws"]


def resume_state(state: State, contents: Mapping[str, Any]) -> None:
    """Have a state, just made with `saved_book`, go on where `saved_state` was called."""
    for i, name in enumerate(_RESERVED):
        state.reserve_cash[i] = contents["reserve_money"][name].to_numpy()
        state.reserve_realized[i] = contents["reserve_positions"][f"{name}_realized"].to_numpy()
    told = {int(i): Fraction(price) for i, price in contents["told"].items()}
    now, previous, oracle = (_marked(state.instruments, contents["marks"][name]) for name in _MARKS)
    state.set_prices((now, previous, oracle, told))
    if contents["session"] is not None:
        ended = contents.get("session_ended")
        state.session = Session(contents["session"], contents["session_opening"], ended)
    state.orders = OpenOrders.of(contents["last_order"], contents["orders"])
    if "sliced" in contents:
        state.sliced = contents["sliced"].copy()


def _frame(columns: Any) -> pl.DataFrame:
    """Columns under their names; those that are left out are not there."""
    given = {field.name: getattr(columns, field.name) for field in fields(columns)}
    return pl.DataFrame({name: column for name, column in given.items() if column is not None})


def _prices(marks: Marks) -> list[str | None]:
    return [
        None if np.isnan(price) else str(marks.units.mark(i)) for i, price in enumerate(marks.price.tolist())
    ]


def _marked(instruments: Instruments, prices: list[str | None]) -> Marks:
    given = {i: Fraction(price) for i, price in enumerate(prices) if price is not None}
    return Marks.of(instruments, given)


def _memory(memory: Memory) -> dict[str, Any]:
    return {
        "time": memory.time,
        "equity": _history(memory.equity),
        "total": str(memory.total),
        "profit": {str(i): _history(history) for i, history in memory.profit.items()},
        "resting": sorted(memory.resting),
        "day": memory.day,
        "opening": str(memory.opening),
        "spent": {str(i): str(cost) for i, cost in memory.spent.items()},
    }


def _remembered(memory: Mapping[str, Any]) -> Memory:
    return Memory(
        time=memory["time"],
        equity=_points(memory["equity"]),
        total=Fraction(memory["total"]),
        profit=MappingProxyType({int(i): _points(history) for i, history in memory["profit"].items()}),
        resting=frozenset(memory["resting"]),
        day=memory["day"],
        opening=Fraction(memory["opening"]),
        spent=MappingProxyType({int(i): Fraction(cost) for i, cost in memory["spent"].items()}),
    )


def _history(history: Any) -> list[list[Any]]:
    return [[time, str(value)] for time, value in history]


def _points(history: Any) -> tuple[tuple[int, Fraction], ...]:
    return tuple((time, Fraction(value)) for time, value in history)
