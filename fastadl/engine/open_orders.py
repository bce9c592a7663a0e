"""Liquidation orders that are out: what of which rows is spoken for (rule R108)."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
import polars as pl

from fastadl.schema import BoolArray, Float64Array, Int64Array, IntArray

__all__ = ["OpenOrders"]


@dataclass(frozen=True)
class OpenOrders:
    """Open orders as columns, in the order of their numbers; replaced, never changed in place.

    There is at most one of an account's row, and never for more than the row holds.

    Attributes
    ----------
    last : int
        Number of the last order that was made; they begin with 1 and none is given twice.
    order, account, leg : int64 (n)
    lots, ordered : int64 (n)
        What is left of each, above 0, and what was ordered.
    part : bool (n)
        Whether it was for less than the row.
    limit_price : float64 (n)
        NaN where there is none.
    tick, time : int64 (n)
        In which it was ordered.
    """

    last: int
    order: Int64Array
    account: Int64Array
    leg: Int64Array
    lots: Int64Array
    ordered: Int64Array
    part: BoolArray
    limit_price: Float64Array
    tick: Int64Array
    time: Int64Array

    @classmethod
    def none(cls) -> OpenOrders:
        """As before the first order."""
        whole, flags, prices = np.empty(0, np.int64), np.empty(0, np.bool_), np.empty(0)
        return cls(0, whole, whole, whole, whole, whole, flags, prices, whole, whole)

    @classmethod
    def of(cls, last: int, frame: pl.DataFrame) -> OpenOrders:
        """What `frame` gave, and the number that was `last`."""
        return cls(last, **{name: frame[name].to_numpy() for name in _COLUMNS})

    def frame(self) -> pl.DataFrame:
        """All columns, accounts and legs as integers."""
        return pl.DataFrame({name: getattr(self, name) for name in _COLUMNS})

    def __len__(self) -> int:
        return len(self.order)

    def select(self, which: BoolArray | IntArray) -> OpenOrders:
        """Some of them."""
        return OpenOrders(self.last, **{name: getattr(self, name)[which] for name in _COLUMNS})

    def joined(self, new: OpenOrders) -> OpenOrders:
        """With others, whose numbers are all behind these."""
        columns = {name: np.concatenate([getattr(self, name), getattr(new, name)]) for name in _COLUMNS}
        return OpenOrders(new.last, **columns)

    def less(self, lots: Int64Array) -> OpenOrders:
        """With so many lots off each; those of which nothing is left are open no more."""
        left = self.lots - lots
        return replace(self, lots=left).select(left > 0)

    # ------------------------------------------------------------------ finding

    @cached_property
    def accounts(self) -> Int64Array:
        """Accounts in liquidation, ascending, each once."""
        return np.unique(self.account)

    def among(self, accounts: IntArray) -> BoolArray:
        """Which of some accounts are in liquidation."""
        if not len(self):
            return np.zeros(len(accounts), np.bool_)
        return _find(self.accounts, np.asarray(accounts, np.int64)) >= 0

    def at(self, orders: Int64Array) -> IntArray:
        """Place of orders by their numbers, −1 where none is open."""
        return _find(self.order, orders)

    def on(self, account: IntArray, leg: IntArray) -> IntArray:
        """Place of the order on each (account, leg) row, −1 where none is open."""
        rows, places = self._by_row
        found = _find(rows, _row_keys(account, leg))
        return np.where(found >= 0, places[found], -1) if len(self) else found

    @cached_property
    def _by_row(self) -> tuple[Int64Array, IntArray]:
        keys = _row_keys(self.account, self.leg)
        places = np.argsort(keys)
        return keys[places], places


_COLUMNS = tuple(field.name for field in fields(OpenOrders) if field.name != "last")


def _row_keys(account: IntArray, leg: IntArray) -> Int64Array:
    return (np.asarray(account, np.int64) << 32) | np.asarray(leg, np.int64)


def _find(keys: Int64Array, wanted: Int64Array) -> IntArray:
    """Place of each among unique ascending keys, or −1."""
    if not len(keys):
        return np.full(len(wanted), -1, np.int64)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, at, -1)
