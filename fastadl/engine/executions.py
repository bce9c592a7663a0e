"""Executions the caller's order book reports (rule R77)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from numbers import Integral
from typing import Any

import numpy as np
import polars as pl

from fastadl.decimals import exact, plain
from fastadl.engine.live.room import room_of
from fastadl.engine.state import State, account_codes, unknown_account
from fastadl.errors import BoundsError, InputError
from fastadl.kernels.money import find_rows
from fastadl.schema import MARKET, RESERVED, ROW_BOUND, SUM_BOUND, BoolArray, Int64Array, IntArray

__all__ = ["Executions"]

_COLUMNS = (
    "account", "symbol", "side", "qty", "lots", "price", "value", "value_atoms", "fee", "fee_atoms",
    "counterparty", "order",
)  # fmt: skip
_PARTIES = ("account", "counterparty")


@dataclass(frozen=True, slots=True)
class Executions:
    """Closes of positions, as columns (one entry per execution, in the order given).

    Attributes
    ----------
    account, counterparty : int32
        Positions in the book's accounts; counterparty −1 is the fund, −2 the market account.
    instrument : int32
    long : bool
        Side that is closed.
    lots, value, fee : int64
        Lots closed, atoms received, atoms paid to the fund.
    order : int64
        Number of the order that is filled, 0 for none (rule R108).
    """

    account: IntArray
    instrument: IntArray
    long: BoolArray
    lots: Int64Array
    value: Int64Array
    fee: Int64Array
    counterparty: IntArray
    order: Int64Array

    @classmethod
    def of(cls, state: State, given: Any) -> Executions:
        """Read executions from a frame or a mapping of columns.

        Raises
        ------
        InputError
            Naming column, row, value and remedy.
        """
        columns = _columns(given)
        count = len(next(iter(columns.values()), []))
        codes = {name: account_codes(state.book, columns[name]) for name in _PARTIES if name in columns}
        rows = [
            _one(state, {name: column[i] for name, column in columns.items()}, codes, i) for i in range(count)
        ]
        total = sum(abs(row[4]) + row[5] for row in rows)
        if total > SUM_BOUND >> 1:
            raise BoundsError(("executions",), total, "keep all values and fees within 2^61 atoms (rule R1)")
        table = np.array(rows, np.int64).reshape(count, 8)
        return cls(
            account=table[:, 0].astype(np.int32),
            instrument=table[:, 1].astype(np.int32),
            long=table[:, 2].astype(np.bool_),
            lots=table[:, 3],
            value=table[:, 4],
            fee=table[:, 5],
            counterparty=table[:, 6].astype(np.int32),
            order=table[:, 7],
        )

    def __len__(self) -> int:
        return len(self.lots)

    @property
    def of_orders(self) -> bool:
        """Whether there are executions, all of them of orders."""
        return len(self) > 0 and bool((self.order > 0).all())

    def legs(self) -> IntArray:
        """Leg that each execution closes."""
        return 2 * self.instrument.astype(np.int64) + ~self.long

    def places(self, state: State) -> tuple[IntArray, Int64Array]:
        """Rows that are closed, and account and rows on the other side of each, as `close_rows` takes them.

        Opens the rows that counterparties will need.

        Raises
        ------
        InputError
            For an execution that closes more than is held when its turn comes.
        """
        new = self._new_rows(state)
        if new:
            room_of(state).open(*np.array(new, np.int32).T.copy())
        legs = self.legs()
        other = np.full((3, len(self)), -1, np.int64)
        traders = np.flatnonzero(self.counterparty >= 0)
        other[0, traders] = state.book.slot[self.counterparty[traders]]
        other[1, traders] = _rows(state, self.counterparty[traders], legs[traders])
        other[2, traders] = _rows(state, self.counterparty[traders], legs[traders] ^ 1)
        return _rows(state, self.account, legs), other

    def _new_rows(self, state: State) -> list[tuple[int, int]]:
        """Account and leg of rows to open, found by following the lots from execution to execution."""
        legs = self.legs()
        account = np.concatenate([self.account, self.counterparty, self.counterparty])
        leg = np.concatenate([legs, legs, legs ^ 1])
        place = np.where(account < 0, -1, _rows(state, np.maximum(account, 0), leg))
        there = np.zeros(len(place), np.int64)
        there[place >= 0] = np.abs(state.book.rows.lots[place[place >= 0]])
        keys = list(zip(account.tolist(), leg.tolist(), strict=True))
        held = dict(zip(keys, there.tolist(), strict=True))
        missing = {key for key, at in zip(keys, place.tolist(), strict=True) if at < 0}
        new: dict[tuple[int, int], None] = {}
        for i, lots in enumerate(self.lots.tolist()):
            closed, same, opposite = keys[i], keys[i + len(self)], keys[i + 2 * len(self)]
            if lots > held[closed]:
                raise InputError(
                    ("executions", i), f"{lots} lots", f"the account holds {held[closed]} lots of that side"
                )
            held[closed] -= lots
            if same[0] >= 0:
                netted = min(lots, held[opposite])
                held[opposite] -= netted
                held[same] += lots - netted
                if lots > netted and same in missing:
                    new[same] = None
        return list(new)


def _rows(state: State, account: IntArray, leg: IntArray) -> IntArray:
    """Place of each (account, leg) row, or −1."""
    row = np.empty(len(account), np.int64)
    find_rows(state.book.rows, state.book.slot[account], leg, row)
    return row


def _columns(given: Any) -> dict[str, list[Any]]:
    if isinstance(given, pl.LazyFrame):
        given = given.collect()
    if isinstance(given, pl.DataFrame):
        given = given.to_dict(as_series=False)
    if not isinstance(given, Mapping):
        raise InputError(("executions",), type(given).__name__, "give a frame or a mapping of columns")
    columns = {}
    for name, column in given.items():
        if name not in _COLUMNS:
            raise InputError(("executions", str(name)), "unknown column", f"use {', '.join(_COLUMNS)}")
        values = column.tolist() if isinstance(column, np.ndarray) else column
        if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
            raise InputError(("executions", name), column, "give a list, array or Series")
        columns[name] = list(values)
    if len({len(column) for column in columns.values()}) > 1:
        raise InputError(("executions",), "columns of different lengths", "give one value per execution")
    for names in (("account",), ("symbol",), ("side",), ("qty", "lots"), ("price", "value", "value_atoms")):
        if sum(name in columns for name in names) != 1:
            raise InputError(("executions",), ", ".join(columns), f"give {' or '.join(names)}, once")
    if "fee" in columns and "fee_atoms" in columns:
        raise InputError(("executions",), ", ".join(columns), "give fee or fee_atoms, once")
    return columns


def _one(state: State, given: dict[str, Any], codes: dict[str, IntArray], i: int) -> tuple[int, ...]:
    book = state.book

    def refuse(name: str, remedy: str) -> InputError:
        return InputError(("executions", i, name), given[name], remedy)

    account = _account(state, given, codes, "account", i)
    instrument = book.instruments.lookup(given["symbol"], ("executions", i, "symbol"))
    item = book.instruments[instrument]
    if not isinstance(given["side"], str) or given["side"] not in ("long", "short"):
        raise refuse("side", "name the side that is closed, long or short")
    is_long = given["side"] == "long"
    if book.currency[account] != book.instruments.currency[instrument]:
        raise refuse("symbol", "name an instrument that settles in the account's currency")
    amount = "lots" if "lots" in given else "qty"
    lots = _exact(given, amount, i) / (1 if amount == "lots" else item.lot)
    if lots.denominator != 1 or lots <= 0:
        wanted = "whole number" if amount == "lots" else f"multiple of the lot {plain(item.lot)}"
        raise refuse(amount, f"give a positive {wanted}")
    if lots > ROW_BOUND:
        raise BoundsError(("executions", i, amount), given[amount], "keep it within 2^53 lots (rule R1)")
    signed = lots if is_long else -lots
    paid = next(name for name in ("price", "value", "value_atoms") if name in given)
    if paid == "price":
        price = _exact(given, paid, i)
        if price <= 0:
            raise refuse(paid, "give a price above zero")
        value = floor(signed * item.unit_value(price))
    else:
        value = _atoms(given, paid, item.decimals, i)
        if value * signed * (-1 if item.unit_value(Fraction(1)) < 0 else 1) < 0:
            raise refuse(paid, "give the sign the row's value has")
    if abs(value) > SUM_BOUND >> 1:
        raise BoundsError(("executions", i, paid), given[paid], "keep the value within 2^61 atoms (rule R1)")
    fee_name = next((name for name in ("fee", "fee_atoms") if given.get(name) is not None), None)
    fee = 0 if fee_name is None else _atoms(given, fee_name, item.decimals, i)
    if fee < 0 or fee > ROW_BOUND:
        raise refuse(str(fee_name), "give a fee from 0 to 2^53 atoms")
    other = given.get("counterparty")
    if other is None or (isinstance(other, str) and other in RESERVED):
        counterparty = -1 - RESERVED.index(other or MARKET)
    else:
        counterparty = _account(state, given, codes, "counterparty", i)
        if counterparty == account or book.currency[counterparty] != book.currency[account]:
            raise refuse("counterparty", "name another account of the same currency, or null for the market")
    return account, instrument, is_long, int(lots), value, fee, counterparty, _order(given.get("order"), i)


def _account(state: State, given: dict[str, Any], codes: dict[str, IntArray], name: str, i: int) -> int:
    found = int(codes[name][i])
    if found < 0:
        raise unknown_account(state, given[name], ("executions", i, name))
    return found


def _order(number: object, i: int) -> int:
    if number is None:
        return 0
    if isinstance(number, bool) or not isinstance(number, Integral) or not 0 < int(number) <= SUM_BOUND:
        raise InputError(("executions", i, "order"), number, "give the number of an order, or null for none")
    return int(number)


def _exact(given: dict[str, Any], name: str, i: int) -> Fraction:
    try:
        return exact(given[name])
    except ValueError as error:
        raise InputError(("executions", i, name), given[name], str(error)) from None


def _atoms(given: dict[str, Any], name: str, decimals: int, i: int) -> int:
    atoms = _exact(given, name, i) * (1 if name.endswith("_atoms") else 10**decimals)
    if atoms.denominator != 1:
        remedy = "give whole atoms" if name.endswith("_atoms") else f"give at most {decimals} decimal places"
        raise InputError(("executions", i, name), given[name], remedy)
    return int(atoms)
