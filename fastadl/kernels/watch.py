"""Who carries a market's risk, and who would fall, in one streaming pass over a book (rule R118).

All that is added up are whole numbers, and accounts are weighed one by one, so that sums do not depend on the
order of the rows or on threads.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from fastadl.kernels._jit import borrowing, kernel, parallel
from fastadl.kernels.demand import _currency, _held
from fastadl.kernels.lanes import prefetch
from fastadl.kernels.pressure import _unhedged
from fastadl.kernels.standing import _look_up

__all__ = ["Exposed", "Exposure", "expose"]

#: Accounts looked at together: what is worked out for them stays in the first-level cache.
_TOGETHER = 512
_FIXED, _DIRECT, _INVERSE, _GROSS, _WORST, _VALUE = range(6)


class Exposure(NamedTuple):
    """What prices are, and would be: shocks by size, of prices that fall and of prices that rise."""

    linear: Any  # float64 (legs)  unit values; 0 for inverse contracts
    inverse: Any  # float64 (legs)  those of inverse contracts; 0 for others
    backward: Any  # bool  whether there are any
    kept: Any  # float64 (2, sizes)  what a price is multiplied by; falls first
    back: Any  # float64 (2, sizes)  one divided by it
    leverage: Any  # float64 (bounds)  rising
    currency: Any  # int32 (instruments)


class Exposed(NamedTuple):
    """What `expose` writes, zero at first; every part of the book has its own.

    The largest are the last dimension, rising; how many there are is up to the caller.
    """

    lots: Any  # float64 (parts, bounds + 1, legs)  by how many bounds the account's leverage passes
    rows: Any  # float64 (parts, legs, largest)  lots of the largest positions
    accounts: Any  # float64 (parts, currencies, largest)  notional of the largest accounts
    debts: Any  # float64 (parts, currencies, 2, sizes)  atoms that accounts are below zero
    fallen: Any  # float64 (parts, legs, 2, sizes)  lots of those this or a smaller shock fells, hedges netted


@borrowing
def _weigh(first, n, g, exposure, rows, figures):
    """What of `n` accounts is fixed, what goes with prices, what against them, and gross notional."""
    fixed, direct, inverse = figures[_FIXED], figures[_DIRECT], figures[_INVERSE]
    gross, value = figures[_GROSS], figures[_VALUE]
    cash = rows.cash[first : first + n]
    for i in range(n):
        fixed[i] = cash[i]
        direct[i] = 0.0
        inverse[i] = 0.0
        gross[i] = 0.0
    width = rows.group_slot[g + 1] - rows.group_slot[g]
    at = rows.group_row[g] + first - rows.group_slot[g]
    for _ in range(rows.group_rows[g]):
        lots, entry = rows.lots[at : at + n], rows.entry[at : at + n]
        for i in range(n, 2 * n, 8):  # those that come next
            prefetch(rows.lots, at + i)
            prefetch(rows.entry, at + i)
            prefetch(rows.leg, at + i)
        _look_up(exposure.linear, rows.leg, at, value[:n])
        for i in range(n):
            worth = value[i] * lots[i]
            direct[i] += worth
            gross[i] += abs(worth)
            fixed[i] -= entry[i]
        if exposure.backward:
            _look_up(exposure.inverse, rows.leg, at, value[:n])
            for i in range(n):
                worth = value[i] * lots[i]
                inverse[i] += worth
                gross[i] += abs(worth)
        at += width


@borrowing
def _judge(n, legs, exposure, figures, offset):
    """Where the lots of `n` accounts are added up, and their equity at the worst of all shocks."""
    fixed, direct, inverse = figures[_FIXED], figures[_DIRECT], figures[_INVERSE]
    gross, worst, equity = figures[_GROSS], figures[_WORST], figures[_VALUE]
    for i in range(n):
        equity[i] = fixed[i] + direct[i] + inverse[i]
        offset[i] = 0
        worst[i] = 0.0
    for b in range(exposure.leverage.shape[0]):
        most = exposure.leverage[b]
        for i in range(n):
            offset[i] += legs if gross[i] > most * equity[i] else 0
    for way in range(2):
        for k in range(exposure.kept.shape[1]):
            kept, back = exposure.kept[way, k], exposure.back[way, k]
            for i in range(n):
                worst[i] = min(worst[i], fixed[i] + direct[i] * kept + inverse[i] * back)


@borrowing
def _keep(size, largest):
    """Put one more among the largest, rising, of which the first goes."""
    k = 1
    while k < largest.shape[0] and largest[k] < size:
        largest[k - 1] = largest[k]
        k += 1
    largest[k - 1] = size


@borrowing
def _add_lots(first, n, g, rows, offset, lots, least, largest):
    """Add the lots of `n` accounts; `least` are those of the smallest of the largest positions."""
    width = rows.group_slot[g + 1] - rows.group_slot[g]
    at = rows.group_row[g] + first - rows.group_slot[g]
    for _ in range(rows.group_rows[g]):
        held, leg = rows.lots[at : at + n], rows.leg[at : at + n]
        for i in range(n):
            size = abs(held[i])
            lots[offset[i] + leg[i]] += size
            if size > least[leg[i]]:
                _keep(size, largest[leg[i]])
                least[leg[i]] = largest[leg[i], 0]
        at += width


@borrowing
def _add_fallen(i, held, currency, exposure, rows, figures, debts, fallen):
    """Add the debts of an account, and its lots where the smallest shock fells it."""
    fixed, direct, inverse = figures[_FIXED, i], figures[_DIRECT, i], figures[_INVERSE, i]
    sizes = exposure.kept.shape[1]
    for way in range(2):
        least = sizes
        for k in range(sizes - 1, -1, -1):
            left = fixed + direct * exposure.kept[way, k] + inverse * exposure.back[way, k]
            if left < 0.0:
                debts[currency, way, k] += np.ceil(-left)
                least = k
        if least < sizes:
            for j in range(held.count):
                at = held.start + j * held.width
                size = _unhedged(at, j, held.width, held.count, rows.leg, rows.lots)
                fallen[rows.leg[at], way, least] += size


@kernel
def _expose_part(blocks, exposure, rows, lots, largest, accounts, debts, fallen):
    figures, offset = np.empty((6, _TOGETHER)), np.empty(_TOGETHER, np.int64)
    legs, sizes = largest.shape[0], exposure.kept.shape[1]
    least, floor = np.zeros(legs), 0.0
    gross, worst = figures[_GROSS], figures[_WORST]
    for b in range(blocks.shape[0]):
        g, last = blocks[b, 0], blocks[b, 2]
        if rows.group_rows[g] == 0:
            continue
        for first in range(blocks[b, 1], last, _TOGETHER):
            n = min(_TOGETHER, last - first)
            _weigh(first, n, g, exposure, rows, figures)
            _judge(n, legs, exposure, figures, offset)
            _add_lots(first, n, g, rows, offset, lots, least, largest)
            for i in range(n):
                if gross[i] <= floor and worst[i] >= 0.0:
                    continue
                held = _held(first + i, g, rows)
                currency = _currency(held, rows, exposure)
                if currency < 0:
                    continue
                if gross[i] > accounts[currency, 0]:
                    _keep(gross[i], accounts[currency])
                    floor = accounts[:, 0].min()
                if worst[i] < 0.0:
                    _add_fallen(i, held, currency, exposure, rows, figures, debts, fallen)
    for leg in range(legs):
        for way in range(2):
            for k in range(1, sizes):
                fallen[leg, way, k] += fallen[leg, way, k - 1]


@parallel
def expose(exposure, rows, blocks, out):
    """Lots by leverage, the largest positions and accounts, and what shocks would leave.

    Parameters
    ----------
    exposure : Exposure
    rows : Rows
    blocks : int64 (blocks, 3)
        Group, first slot and last slot + 1 of each block.
    out : Exposed
        Written. An account without equity passes every bound of leverage.
    """
    parts = out.lots.shape[0]
    for p in prange(parts):
        mine = blocks[blocks.shape[0] * p // parts : blocks.shape[0] * (p + 1) // parts]
        lots = out.lots[p].reshape(-1)
        _expose_part(mine, exposure, rows, lots, out.rows[p], out.accounts[p], out.debts[p], out.fallen[p])
