"""Stages 1 and 2: new marks, and which accounts cannot carry their positions at them (rules R20, R21)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fractions import Fraction

import numpy as np

from fastadl.engine.prices import Marks, nearest_units
from fastadl.engine.results import Tick
from fastadl.engine.state import State
from fastadl.errors import InputError
from fastadl.kernels.mark import scan
from fastadl.schema import Float64Array, IntArray

__all__ = ["detect", "mark"]


def mark(
    state: State, prices: Mapping[int, Fraction], oracle: Mapping[int, Fraction], *, first_tick: bool
) -> None:
    """Replace marks and oracle prices; refuses, with nothing changed, what R1, R20 or R106 does not allow."""
    unit = nearest_units(state.instruments, prices)
    old, marks = state.marks, state.marks.moved(prices, unit)
    if not old.complete and first_tick:  # later ones may leave out what nobody can hold yet
        _refuse_missing(state, marks)
    state.check_values(marks)
    if not old.complete:
        first = np.isnan(old.price)
        fresh = {i: (price, u) for (i, price), u in zip(prices.items(), unit, strict=True) if first[i]}
        old = old.moved({i: price for i, (price, _) in fresh.items()}, [u for _, u in fresh.values()])
    told = {**state.told, **oracle}
    spoken = marks.moved(told, nearest_units(state.instruments, told, "oracle")) if told else marks
    if oracle:
        state.check_values(spoken, "oracle")
    state.set_prices((marks, old, spoken, told))


def _refuse_missing(state: State, marks: Marks) -> None:
    for i in np.flatnonzero(np.isnan(marks.price) & ~state.instruments.delisted):
        remedy = "the first tick marks every symbol that is traded"
        raise InputError(("prices", state.instruments.symbols[i]), "missing", remedy)


def detect(state: State, tick: Tick, moved: Collection[int], before: Marks) -> None:
    """Find liquidatable accounts, in order of work (rule R21); `moved` are those marked since `before`."""
    rows, found = state.book.rows, None
    if state.wake is not None:
        found = state.wake.found(moved, before)
    if found is None:
        found = _suspects(state)
    if not len(found):
        return
    values = state.evaluated(found)
    bankrupt = state.bankrupt(found, values)
    below = bankrupt | state.liquidatable(found, values)
    if len(found) > 2 * below.sum() + len(rows.cash) // 64:
        state.loosened()
    slots, values, bankrupt = found[below], values[:, below], bankrupt[below]
    equity, margin = values[0], values[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        health = np.where(margin > 0.0, equity / margin, -np.inf)
        ratio = np.where(equity > 0.0, margin / equity, np.nan)
    account = rows.account[slots]
    order = np.lexsort((state.book.rank[account], health))
    slots, bankrupt = slots[order], bankrupt[order]
    tick.accounts, tick.was_bankrupt, tick.health = account[order], bankrupt, health[order]
    tick.add(
        "liquidations",
        account=tick.accounts,
        bankrupt=bankrupt,
        equity=state.equity_floor(slots),
        maintenance_margin=state.margin_ceiling(slots),
        maintenance_ratio=ratio[order],
        shortfall=np.zeros(len(slots), np.int64),
    )


def _suspects(state: State) -> IntArray:
    """Slots that the streaming pass cannot clear."""
    if not len(state.blocks):
        return np.empty(0, np.int32)
    if not state.fitting:
        state.fit()
    rows, blocks = state.book.rows, state.blocks
    found, count = np.empty(len(rows.cash), np.int32), np.empty(len(blocks), np.int64)
    scan(rows, state.guard, _weights(state.marks, state), blocks, found, count)
    some = np.flatnonzero(count)
    if not len(some):
        return np.empty(0, np.int32)
    return np.concatenate([found[blocks[b, 1] : blocks[b, 1] + count[b]] for b in some])


def _weights(marks: Marks, state: State) -> Float64Array:
    """Unit value less first-tier margin, by leg (a lot owed needs margin too)."""
    needed = state.first_rate * np.abs(marks.unit)
    weights = np.empty(2 * len(needed))
    np.subtract(marks.unit, needed, out=weights[::2])
    np.add(marks.unit, needed, out=weights[1::2])
    return weights
