"""Who would fall at shocked prices, and what the fund would leave: the sums of the pressure curve (R102)."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from fastadl.engine.fund_rules import FundRule
from fastadl.engine.state import FUND, State
from fastadl.kernels.pressure import BINS, FALLEN, LEFT, Shocks, count_fallen, sum_rows
from fastadl.schema import Float64Array, Int64Array

__all__ = ["LEAST", "PARTS", "edges", "fund_room", "shocked_units", "sums"]

#: What a price keeps of itself at least.
LEAST = Fraction(1, 1000)
#: Shocks that are looked at in one pass over the book.
_TOGETHER = 64
#: Parts of the book that are added up by themselves, whatever the threads; most sums of all parts.
PARTS, _SUMS = 32, 1 << 24


def shocked_units(state: State, moves: Float64Array, betas: Float64Array) -> Float64Array:
    """Unit values of every instrument at every shock; 0 where nobody can hold it, for want of a mark."""
    kept = np.maximum(1.0 + np.outer(betas, moves), float(LEAST))
    unit = state.marks.unit[:, np.newaxis]
    return np.where(state.inverse[:, np.newaxis], unit / kept, unit * kept)


def sums(
    state: State, units: Float64Array, room: Float64Array, by_notional: bool
) -> tuple[Float64Array, Float64Array]:
    """Accounts and shortfalls (3, currencies, shocks), then lots and shares (4, legs, shocks).

    The lots are those below margin, those of the bankrupt, and of these those beyond the fund.
    """
    found = []
    for first in range(0, units.shape[1], _TOGETHER):
        part = slice(first, first + _TOGETHER)
        unit = np.ascontiguousarray(units[:, part])
        most = np.abs(unit).max(axis=1, initial=0.0)
        shocks = Shocks(unit, most, state.instruments.currency, by_notional, *state.margins)
        found.append(_some_sums(state, shocks, room[:, part]))
    accounts, legs = (np.concatenate(each, axis=2) for each in zip(*found, strict=True))
    return accounts, legs


def _some_sums(state: State, shocks: Shocks, room: Float64Array) -> tuple[Float64Array, Float64Array]:
    rows, blocks, legs = state.book.rows, state.blocks, 2 * len(shocks.unit)
    currencies, count = room.shape
    parts = min(max(_SUMS // (count * (legs * len(LEFT) + currencies * BINS)), 1), PARTS)
    accounts = np.zeros((parts, currencies, len(FALLEN), count))
    depths = np.zeros((parts, currencies, count, BINS))
    count_fallen(rows, shocks, blocks, accounts, depths)
    edge, beyond = edges(depths.sum(axis=0), room)
    lots = np.zeros((parts, legs, len(LEFT), count))
    sum_rows(rows, shocks, blocks, edge, lots)
    below, left, behind, at_edge, shares = lots.sum(axis=0).swapaxes(0, 1)
    behind += at_edge * beyond[np.repeat(shocks.currency, 2)]
    return accounts.sum(axis=0).swapaxes(0, 1), np.stack([below, left, behind, shares])


def edges(depths: Float64Array, room: Float64Array) -> tuple[Int64Array, Float64Array]:
    """The bin in which the fund runs out, deepest first, or −1; and the share of it that is not paid."""
    paid = np.cumsum(depths[:, :, ::-1], axis=2)[:, :, ::-1]  # with each bin and all that are deeper
    short = paid > room[:, :, np.newaxis]
    edge = short.sum(axis=2) - 1  # bins up to there are short: what is paid falls as bins rise
    here = np.maximum(edge, 0)[:, :, np.newaxis]
    missing = np.take_along_axis(paid, here, axis=2)[:, :, 0] - room
    debts = np.take_along_axis(depths, here, axis=2)[:, :, 0]
    return edge, np.where(edge < 0, 0.0, missing / np.where(edge < 0, 1.0, debts))


def fund_room(state: State, units: Float64Array, funds: list[tuple[FundRule, int]]) -> Float64Array:
    """What the fund of each currency can pay at each shock: float64 (currencies, shocks), at least 0."""
    lots, entry = state.book.reserve_lots[FUND], state.book.reserve_entry[FUND]
    profit = lots[:, np.newaxis] * units - entry[:, np.newaxis]
    room = np.empty((len(funds), units.shape[1]))
    for c, (rule, cash) in enumerate(funds):
        now = cash - int(state.reserve_cash[FUND, c]) + state.reserve_equity(FUND, c)
        held = profit[state.instruments.currency == c].sum(axis=0)
        room[c] = cash + held - float(_floor_of(rule, now))
    return np.maximum(room, 0.0)


def _floor_of(rule: FundRule, equity: Fraction) -> Fraction:
    """What the fund keeps as it stands (rules R27, R88); it falls from `equity` if it remembers none."""
    if rule.memory.equity or rule.fall is None:
        return rule.floor()
    return rule.least if rule.fall.by_symbol else max(rule.least, equity - rule.fall.allowed(equity))
