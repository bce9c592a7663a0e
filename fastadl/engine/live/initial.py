"""What orders would need of their accounts in initial margin, were they filled (rule R104)."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import numpy as np

from fastadl.engine.live.fills import add_up, listing_of, refusal, sums_of
from fastadl.engine.state import State
from fastadl.engine.worth import values_at
from fastadl.kernels.live import EXCEEDS, Trades
from fastadl.kernels.money import find_rows
from fastadl.schema import SUM_BOUND, BoolArray, Int64Array, IntArray

__all__ = ["needed"]


def needed(state: State, orders: Trades) -> Int64Array:
    """Atoms that each order by itself would need at the present marks; 0 of one that opens nothing.

    Raises
    ------
    InputError
        Naming the first that no book could take.
    """
    add_up(state, orders, listing_of(state), sums_of(state), "orders")
    units, out = state.marks.units, np.zeros(len(orders.lots), np.int64)
    traders = np.flatnonzero(orders.account >= 0)
    account, instrument, lots, value, fee, side = (column[traders] for column in orders)
    slots, own = state.book.slot[account], 2 * instrument.astype(np.int64) + (lots < 0)
    same, opposite = _held(state, slots, own), _held(state, slots, own ^ 1)
    size = np.abs(lots)
    closes = np.where(side == 0, np.minimum(size, opposite), np.where(side * lots < 0, size, 0))
    for i in np.flatnonzero(closes > opposite):
        raise refusal(orders, int(traders[i]), EXCEEDS, "orders")
    opens = size - closes
    rows = np.stack([same + opens, same, opposite - closes, opposite])
    changes = np.stack([opens, opens, closes, closes]) > 0
    margins = np.zeros(rows.shape, np.int64)
    after = np.broadcast_to(np.array([True, False, True, False])[:, None], rows.shape)
    listed = np.broadcast_to(instrument, rows.shape)
    margins[changes] = _margins(state, listed[changes], rows[changes], after[changes])
    lost = value - values_at(lots, instrument, {int(i): units[i] for i in np.unique(instrument)})
    need = margins[0] - margins[1] + margins[2] - margins[3] + np.maximum(lost, 0) + fee
    out[traders] = np.where(opens > 0, np.maximum(need, 0), 0)
    return out


def _held(state: State, slots: IntArray, leg: Int64Array) -> Int64Array:
    """Lots that accounts hold of a side."""
    place = np.empty(len(leg), np.int64)
    find_rows(state.book.rows, slots, leg, place)
    lots = np.zeros(len(leg), np.int64)
    lots[place >= 0] = np.abs(state.book.rows.lots[place[place >= 0]])
    return lots


def _margins(state: State, instrument: IntArray, lots: Int64Array, up: BoolArray) -> Int64Array:
    """Initial margins of rows of so many lots, rounded up or down."""
    start, sign = state.instruments.tiers.start, np.where(up, -1, 1)
    tier, per_lot, others = np.zeros(len(lots), np.int64), dict[int, Fraction](), list[int]()
    for i in np.unique(instrument):
        item, unit = state.instruments[i], abs(state.marks.units[i])
        mine = np.flatnonzero(instrument == i)
        least = [min(ceil(step.min_notional / unit), SUM_BOUND) for step in item.tiers]
        at = np.searchsorted(least, lots[mine], side="right") - 1
        tier[mine] = start[i] + at
        for t in np.unique(at):
            most = item.tiers[t].max_leverage
            per_lot[int(start[i] + t)] = Fraction(0) if most is None else unit / most
            others += [] if most is not None else mine[at == t].tolist()
    out = sign * values_at(sign * lots, tier, per_lot)
    for r in others:
        item, unit = state.instruments[instrument[r]], abs(state.marks.units[instrument[r]])
        out[r] = (ceil if up[r] else floor)(item.initial_margin(int(lots[r]) * unit))
    return out
