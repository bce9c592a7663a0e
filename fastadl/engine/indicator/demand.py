"""Lots that common shocks would have deleveraged (rule R111)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import polars as pl

from fastadl.book import Book
from fastadl.engine.fund_rules import FundRule
from fastadl.engine.indicator.shocks import checked_sizes, sides_after
from fastadl.engine.pressure import PARTS, edges, fund_room, shocked_units
from fastadl.engine.state import FUND, State
from fastadl.engine.worth import values_at
from fastadl.errors import InputError
from fastadl.kernels.demand import Falls, count_debts, sum_fallen
from fastadl.kernels.pressure import BINS
from fastadl.policy import AdlPolicy
from fastadl.reference.demand import sum_fallen as lots_by_leg
from fastadl.schema import BoolArray, Float64Array, Int64Array, IntArray

__all__ = ["Demand", "checked_demand", "demand"]


@dataclass(frozen=True, slots=True)
class Demand:
    """Lots that shocks would have deleveraged, as of one moment (rule R111).

    Attributes
    ----------
    sizes : float64 (shocks)
        Sizes of the shocks, as parts of the price, rising.
    lots : int64 (legs, shocks)
        What a shock of this size would take from the positions of each leg, 2 · instrument, + 1 for the
        shorts: from the longs as prices rise, from the shorts as they fall.
    """

    sizes: Float64Array
    lots: Int64Array
    _exact: tuple[Fraction, ...]
    _book: Book

    def frame(self) -> pl.DataFrame:
        """``symbol``, ``side`` (of the positions that are taken from), ``shock`` and ``lots``, if any."""
        leg, at = np.nonzero(self.lots)
        return pl.DataFrame(
            {
                "symbol": pl.Series(self._book.instruments.symbols, dtype=pl.String).gather(leg >> 1),
                "side": pl.Series(["long", "short"]).gather(leg & 1),
                "shock": self.sizes[at] * np.where(leg & 1, -1.0, 1.0),
                "lots": self.lots[leg, at],
            }
        )


def checked_demand(state: State, given: object) -> Demand:
    """The demand, if it is one of the instruments of this book."""
    if not isinstance(given, Demand):
        raise InputError(("demand",), type(given).__name__, "give what Engine.demand returned")
    if given._book.instruments.symbols != state.instruments.symbols:
        raise InputError(("demand",), given._book, "give a demand of this engine: the symbols are others")
    return given


def demand(state: State, policy: AdlPolicy, rules: list[FundRule], sizes: Iterable[Any] | None) -> Demand:
    """The demand of every leg at each size of shock."""
    _refuse(policy)
    exact = checked_sizes(sizes)
    found = np.array([float(size) for size in exact])
    units = shocked_units(state, np.concatenate([-found, found]), np.ones(len(state.instruments)))
    room = fund_room(state, units, list(zip(rules, state.reserve_cash[FUND].tolist(), strict=True)))
    lots = _beyond(state, exact, room)
    taken = lots.reshape(-1, 2, len(found))[:, ::-1].reshape(lots.shape)  # from the other side
    whole = np.ceil(taken).astype(np.int64)
    if policy.fraction is not None:
        none = np.zeros(whole.size, np.int64)
        whole = values_at(whole.ravel(), none, {0: policy.fraction}).reshape(whole.shape)
    return Demand(found, whole, exact, state.book.read_only())


def _beyond(state: State, exact: tuple[Fraction, ...], room: Float64Array) -> Float64Array:
    """Lots beyond the fund, float64 (legs, sizes): longs as prices fall, shorts as they rise."""
    rows, blocks = state.book.rows, state.blocks
    falls, waiting = _falls(state, exact), _waiting(state)
    edge, unpaid = _edges(state, falls, waiting, room)
    lots = np.zeros((PARTS, len(falls.linear), 2, len(exact)))
    near, many = np.empty(len(rows.cash), np.int32), np.empty(len(blocks), np.int64)
    sum_fallen(rows, falls, blocks, waiting, edge, lots, near, many)
    total = np.cumsum(lots.sum(axis=0), axis=2)
    some = np.flatnonzero(many)
    if len(some):
        spans = zip(blocks[some, 1], many[some], strict=True)
        _add_near(state, exact, np.concatenate([near[at : at + n] for at, n in spans]), edge, total)
    behind, at_edge = total.swapaxes(0, 1)
    currency = np.repeat(state.instruments.currency, 2)
    way = np.arange(len(currency)) & 1
    found: Float64Array = behind + at_edge * unpaid[currency, way]
    return found


def _falls(state: State, exact: tuple[Fraction, ...]) -> Falls:
    unit = np.repeat(np.nan_to_num(state.marks.unit), 2)
    inverse = np.repeat(state.inverse, 2)
    kept = np.array([[float(1 - size) for size in exact], [float(1 + size) for size in exact]])
    linear, backward = np.where(inverse, 0.0, unit), np.where(inverse, unit, 0.0)
    currency = state.instruments.currency
    return Falls(linear, backward, bool(inverse.any()), kept, 1.0 / kept, currency, *state.margins)


def _waiting(state: State) -> BoolArray:
    """Slots of accounts whose orders are out: nobody takes them over (rule R108)."""
    waiting = np.zeros(len(state.book.rows.cash), np.bool_)
    waiting[state.book.slot[state.orders.accounts]] = True
    return waiting


def _edges(
    state: State, falls: Falls, waiting: BoolArray, room: Float64Array
) -> tuple[Int64Array, Float64Array]:
    """Where the fund runs out: the class and its unpaid part, (currencies, 2, sizes)."""
    shape = len(room), *falls.kept.shape
    if not room.any():
        return np.full(shape, BINS), np.zeros(shape)
    depths = np.zeros((PARTS, *shape, BINS))
    count_debts(state.book.rows, falls, state.blocks, waiting, depths)
    edge, unpaid = edges(depths.sum(axis=0).reshape(*room.shape, BINS), room)
    return edge.reshape(shape), unpaid.reshape(shape)


def _add_near(
    state: State, exact: tuple[Fraction, ...], near: IntArray, edge: Int64Array, total: Float64Array
) -> None:
    """Add the lots of accounts so near zero that only whole numbers tell; they are of the least depth."""
    lots = [[lots_by_leg(state.book.rows, int(slot), way) for slot in near] for way in (0, 1)]
    for k, size in enumerate(exact):
        after = sides_after(state, size)
        for way in (0, 1):
            below = np.flatnonzero(after.of(1 - way).equity_floor(near) < 0)
            for leg, held in (item for i in below for item in lots[way][i].items()):
                limit = edge[state.instruments.currency[leg >> 1], way, k]
                total[leg, 0, k] += held * (limit > 0)
                total[leg, 1, k] += held * (limit == 0)


def _refuse(policy: AdlPolicy) -> None:
    """Refuse policies under which nobody stands in a queue for lots of bankrupt accounts."""
    if policy.trigger not in ("bankrupt", "drawdown"):
        remedy = "ask under a policy that is set off by bankrupt accounts (rule R111)"
        raise InputError(("policy", "trigger"), policy.trigger, remedy)
    if policy.space != "contract":
        raise InputError(("policy", "space"), policy.space, "ask under contract space (rule R111)")
    if policy.allocation != "queue":
        remedy = "ask under the allocation queue: in others there is no place in line (rule R111)"
        raise InputError(("policy", "allocation"), policy.allocation, remedy)
