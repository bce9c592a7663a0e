"""Lots that shocks of many sizes would leave beyond the fund, for those few accounts that fall (rule R111).

A common shock multiplies all prices by one factor, so that an account's equity is a number, plus one times
the factor, plus one divided by it: three sums over its rows, whatever the number of shocks. Only where it is
below zero are margins looked at, and rows added up.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from fastadl.kernels._jit import borrowing, kernel, parallel
from fastadl.kernels.mark import margin
from fastadl.kernels.pressure import BINS, _unhedged
from fastadl.kernels.standing import _look_up

__all__ = ["Falls", "count_debts", "sum_fallen"]

#: As in `fastadl.kernels.pressure`.
_SHIFT, _SHALLOWEST, _NOTHING = 49, ((1023 - 12) << 3) - 1, 1e-9
_EPSILON = 2.0**-53
#: Accounts whose sums are made together.
_TOGETHER = 512


class Falls(NamedTuple):
    """Shocks, by size, of prices that fall and of prices that rise; and where margins come from."""

    linear: Any  # float64 (legs)  unit values; 0 for inverse contracts
    inverse: Any  # float64 (legs)  those of inverse contracts; 0 for others
    upside_down: Any  # bool  whether there are any of these
    kept: Any  # float64 (2, sizes)  what a price is multiplied by; falls first
    back: Any  # float64 (2, sizes)  one divided by it
    currency: Any  # int32 (instruments)
    start: Any  # int32 (instruments + 1)  this and what follows as in `fastadl.kernels.mark.Margins`
    rate: Any  # float64 (tiers)
    deduction: Any  # float64 (tiers)
    plain: Any  # float64 (instruments)


class Held(NamedTuple):
    """Where the rows of one account are."""

    start: Any  # int  the first
    width: Any  # int  from one to the next
    count: Any  # int


@borrowing
def _held(slot, g, rows):
    width = rows.group_slot[g + 1] - rows.group_slot[g]
    return Held(rows.group_row[g] + slot - rows.group_slot[g], width, rows.group_rows[g])


@borrowing
def _add_values(lots, unit, leg, at, most, value, total, error):
    """Add the values of a column of rows, and what bounds their error."""
    _look_up(unit, leg, at, value)
    for i in range(value.shape[0]):
        value[i] *= lots[i]
    for i in range(value.shape[0]):
        total[i] += value[i]
    for i in range(value.shape[0]):
        error[i] += most * abs(value[i])


@borrowing
def _sum_rows(first, n, g, rows, falls, sums):
    """Equity of `n` accounts in three sums: what is fixed, what goes with prices, what goes against them.

    A fourth bounds the error of what is made of them, up to the largest shock.
    """
    fixed, direct, inverse, error, value = sums[0], sums[1], sums[2], sums[3], sums[4]
    for i in range(n):
        fixed[i] = rows.cash[first + i]
        direct[i] = 0.0
        inverse[i] = 0.0
        error[i] = abs(fixed[i])
    most = 3.0 * max(falls.kept[1, -1], falls.back[0, -1])
    width = rows.group_slot[g + 1] - rows.group_slot[g]
    at = rows.group_row[g] + first - rows.group_slot[g]
    for _ in range(rows.group_rows[g]):
        lots, entry = rows.lots[at : at + n], rows.entry[at : at + n]
        for i in range(n):
            fixed[i] -= entry[i]
        for i in range(n):
            error[i] += abs(float(entry[i]))
        _add_values(lots, falls.linear, rows.leg, at, most, value[:n], direct, error)
        if falls.upside_down:
            _add_values(lots, falls.inverse, rows.leg, at, most, value[:n], inverse, error)
        at += width
    rounding = _EPSILON * (16.0 + 8.0 * rows.group_rows[g])
    for i in range(n):
        error[i] *= rounding


@borrowing
def _first_fall(fixed, direct, inverse, error, kept, back, debt):
    """Debts at the sizes of one direction; the first with one, or how many there are if none has.

    −1 if float64 cannot tell of one of them.
    """
    # concave: who stands at both ends stands in between
    settled = inverse <= 0.0 and fixed + direct + inverse > error
    least, sure = kept.shape[0], True
    for k in range(kept.shape[0] - 1, -1, -1):
        left = fixed + direct * kept[k] + inverse * back[k]
        debt[k] = 0.0
        sure &= abs(left) > error
        if left < 0.0:
            debt[k] = np.ceil(-left)
            least = k
        elif settled and left > error:
            break
    return least if sure else -1


@borrowing
def _look_ahead(n, sums, falls, safe):
    """Which accounts surely stand at every shock: above zero now and at the largest ones, and concave."""
    fixed, direct, inverse, error = sums[0], sums[1], sums[2], sums[3]
    down, back_down = falls.kept[0, -1], falls.back[0, -1]
    up, back_up = falls.kept[1, -1], falls.back[1, -1]
    for i in range(n):
        now = fixed[i] + direct[i] + inverse[i]
        fallen = fixed[i] + direct[i] * down + inverse[i] * back_down
        risen = fixed[i] + direct[i] * up + inverse[i] * back_up
        safe[i] = min(now, min(fallen, risen)) > error[i] and inverse[i] <= 0.0


@borrowing
def _falls(i, sums, falls, debt, least):
    """Debts of an account, and the first sizes with one, of both directions; whether there are any."""
    for way in range(2):
        least[way] = _first_fall(
            sums[0, i], sums[1, i], sums[2, i], sums[3, i], falls.kept[way], falls.back[way], debt[way]
        )
    return min(least[0], least[1]) < falls.kept.shape[1]


@borrowing
def _currency(held, rows, falls):
    """Currency of an account by its first open row; −1 without one."""
    for j in range(held.count):
        at = held.start + j * held.width
        if rows.lots[at] != 0.0:
            return falls.currency[rows.leg[at] >> 1]
    return -1


@borrowing
def _first_tiers(held, way, rows, falls, need):
    """Margin in two sums, what goes with prices and what goes against them; NaN beyond first tiers."""
    need[0] = 0.0
    need[1] = 0.0
    sizes = falls.kept.shape[1]
    most = max(1.0, falls.kept[way, sizes - 1])
    least = max(1.0, falls.back[way, sizes - 1])
    for j in range(held.count):
        at = held.start + j * held.width
        if rows.lots[at] != 0.0:
            leg, lots = rows.leg[at], abs(rows.lots[at])
            direct, inverse = lots * abs(falls.linear[leg]), lots * abs(falls.inverse[leg])
            rate = falls.rate[falls.start[leg >> 1]]
            need[0] += rate * direct
            need[1] += rate * inverse
            if direct * most + inverse * least > falls.plain[leg >> 1]:
                need[0] = np.nan


@borrowing
def _class(debt, held, kept, back, rows, falls, need, depth):
    """The class of depth of an account with a debt (rule R102)."""
    needed = need[0] * kept + need[1] * back
    if np.isnan(needed):
        needed = 0.0
        for j in range(held.count):
            at = held.start + j * held.width
            if rows.lots[at] != 0.0:
                leg = rows.leg[at]
                unit = falls.linear[leg] * kept + falls.inverse[leg] * back
                needed += margin(abs(rows.lots[at] * unit), leg >> 1, falls)
    depth[0] = debt / max(needed, _NOTHING)
    return min(max((depth.view(np.int64)[0] >> _SHIFT) - _SHALLOWEST, 0), BINS - 1)


@kernel
def _count_part(part, parts, blocks, rows, falls, waiting, depths):
    sizes = falls.kept.shape[1]
    sums, debt, depth = np.empty((5, _TOGETHER)), np.empty((2, sizes)), np.empty(1)
    need, least, safe = np.empty(2), np.empty(2, np.int64), np.empty(_TOGETHER, np.bool_)
    for b in range(part, blocks.shape[0], parts):
        g, last = blocks[b, 0], blocks[b, 2]
        for first in range(blocks[b, 1], last, _TOGETHER):
            n = min(_TOGETHER, last - first)
            _sum_rows(first, n, g, rows, falls, sums)
            _look_ahead(n, sums, falls, safe)
            for i in range(n):
                if safe[i] or waiting[first + i] or not _falls(i, sums, falls, debt, least):
                    continue
                held = _held(first + i, g, rows)
                currency = _currency(held, rows, falls)
                if currency < 0 or least[0] < 0 or least[1] < 0:
                    continue
                for way in range(2):
                    kept, back = falls.kept[way], falls.back[way]
                    _first_tiers(held, way, rows, falls, need)
                    for k in range(least[way], sizes):
                        if debt[way, k] > 0.0:
                            deep = _class(debt[way, k], held, kept[k], back[k], rows, falls, need, depth)
                            depths[currency, way, k, deep] += debt[way, k]


@parallel
def count_debts(rows, falls, blocks, waiting, depths):
    """How far accounts are below zero at every shock, by class of depth.

    Those of which float64 cannot tell (`sum_fallen`) owe next to nothing, and are left out.

    Parameters
    ----------
    rows : Rows
    falls : Falls
    blocks : int64 (blocks, 3)
        Group, first slot and last slot + 1 of each block.
    waiting : bool (slots)
        Accounts that are left out.
    depths : float64 (parts, currencies, 2, sizes, `BINS`)
        Added to: debts, each rounded up to whole atoms. Every part has its share of the blocks.
    """
    parts = depths.shape[0]
    for p in prange(parts):
        _count_part(p, parts, blocks, rows, falls, waiting, depths[p])


@borrowing
def _add_rows(held, way, least, behind, at_edge, rows, legs):
    """Add an account's lots of one side, beyond those of the other, where they begin or cease to count."""
    for j in range(held.count):
        at = held.start + j * held.width
        if rows.leg[at] & 1 != way:
            continue
        size = _unhedged(at, j, held.width, held.count, rows.leg, rows.lots)
        if size > 0.0:
            total, whole, part = legs[rows.leg[at]], 0.0, 0.0
            for k in range(least, behind.shape[0]):
                if behind[k] != whole:
                    total[0, k] += size * (behind[k] - whole)
                    whole = behind[k]
                if at_edge[k] != part:
                    total[1, k] += size * (at_edge[k] - part)
                    part = at_edge[k]


@borrowing
def _weigh(currency, held, way, least, debt, edge, rows, falls, need, depth, behind, at_edge):
    """Which sizes an account counts at whole, and at which for the unpaid part of its class."""
    kept, back = falls.kept[way], falls.back[way]
    valued = False
    for k in range(least, kept.shape[0]):
        limit, owes = edge[currency, way, k], debt[k] > 0.0
        deep = 0
        if owes and 0 <= limit < BINS:
            if not valued:
                _first_tiers(held, way, rows, falls, need)
                valued = True
            deep = _class(debt[k], held, kept[k], back[k], rows, falls, need, depth)
        behind[k] = 1.0 if owes and deep < limit else 0.0
        at_edge[k] = 1.0 if owes and deep == limit else 0.0


@kernel
def _sum_part(part, parts, blocks, rows, falls, waiting, edge, legs, near, near_count):
    sizes = falls.kept.shape[1]
    sums, debt, depth = np.empty((5, _TOGETHER)), np.empty((2, sizes)), np.empty(1)
    behind, at_edge, need, least = np.empty(sizes), np.empty(sizes), np.empty(2), np.empty(2, np.int64)
    safe = np.empty(_TOGETHER, np.bool_)
    for b in range(part, blocks.shape[0], parts):
        g, begin, last, many = blocks[b, 0], blocks[b, 1], blocks[b, 2], 0
        for first in range(begin, last, _TOGETHER):
            n = min(_TOGETHER, last - first)
            _sum_rows(first, n, g, rows, falls, sums)
            _look_ahead(n, sums, falls, safe)
            for i in range(n):
                if safe[i] or waiting[first + i] or not _falls(i, sums, falls, debt, least):
                    continue
                held = _held(first + i, g, rows)
                currency = _currency(held, rows, falls)
                if currency < 0:
                    continue
                if least[0] < 0 or least[1] < 0:
                    near[begin + many] = first + i
                    many += 1
                    continue
                for way in range(2):
                    if least[way] < sizes:
                        _weigh(
                            currency, held, way, least[way], debt[way], edge, rows, falls,
                            need, depth, behind, at_edge,
                        )  # fmt: skip
                        _add_rows(held, way, least[way], behind, at_edge, rows, legs)
        near_count[b] = many


@parallel
def sum_fallen(rows, falls, blocks, waiting, edge, legs, near, near_count):
    """Lots of accounts below zero that the fund may not pay for: longs as prices fall, shorts as they rise.

    Parameters
    ----------
    rows, falls, blocks, waiting : as in `count_debts`
    edge : int64 (currencies, 2, sizes)
        A class of depth: lots of accounts in it, and of those less deep, are added up apart. −1 for none,
        `BINS` for all less deep.
    legs : float64 (parts, legs, 2, sizes)
        Added to: lots, beyond what the account holds on the other side, of accounts less deep than the edge,
        and of those in it, each as what is more or less than at the size before.
    near : int32 (slots)
        Written: from each block's first place on, accounts that are left out because at one of the shocks
        float64 cannot tell whether they are below zero.
    near_count : int64 (blocks)
        Written: how many of each block.
    """
    parts = legs.shape[0]
    for p in prange(parts):
        _sum_part(p, parts, blocks, rows, falls, waiting, edge, legs[p], near, near_count)
