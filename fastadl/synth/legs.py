"""Who holds what: instruments and sides of the rows of a synthetic book."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from fastadl.kernels.layout import Rows
from fastadl.schema import BoolArray, Float64Array, Int64Array, IntArray
from fastadl.synth.blocks import Block, Draw
from fastadl.synth.degrees import MAKER, WHALE
from fastadl.synth.laws import crowding, market_shares
from fastadl.synth.shapes import Shape

__all__ = ["draw_legs"]

#: The chance that an account holds an instrument is counted in units of 1 / _UNITS.
_UNITS = 1 << 40
#: Accounts that choose along one order of the instruments.
_CHOOSERS = 2048


def draw_legs(draw: Draw, laws: Shape, kind: IntArray, count: int) -> None:
    """Write the leg of every row, no two of an account alike; an instrument of two rows has both sides."""
    crowd, shares = crowding(laws, count), market_shares(laws, count)

    @cache
    def chances(distinct: int, of_whales: bool) -> Int64Array:
        return _inclusion(shares if of_whales else crowd, distinct)

    def work(rng: np.random.Generator, block: Block) -> IntArray:
        size, accounts = block.leg.shape
        if size == 0:
            return np.zeros(2 * count, np.int64)
        who = kind[block.account]
        least = max(0, size - count)
        hedged = rng.random(accounts, np.float32) < (laws.hedged_share if size > 1 else 0)
        for mine, pairs in ((~hedged, least), (hedged, max(1, least))):
            if np.any(mine):
                block.leg[:, mine] = _legs(rng, laws, who[mine], size - pairs, pairs, chances)
        return np.bincount(block.leg.ravel(), minlength=2 * count)

    _two_sided(draw.rows, np.array(draw.each(work)).sum(axis=0), count)


def _legs(
    rng: np.random.Generator,
    laws: Shape,
    who: IntArray,
    distinct: int,
    pairs: int,
    chances: Callable[[int, bool], Int64Array],
) -> IntArray:
    """Legs of accounts that hold so many instruments, the first `pairs` of them on both sides.

    Returns
    -------
    int32 (distinct + pairs, accounts)
    """
    chosen = _chosen(rng, len(who), chances(distinct, False))
    for whale in np.flatnonzero(who == WHALE):
        chosen[:, whale] = _chosen(rng, 1, chances(distinct, True))[:, 0]
    short = _shorts(rng, laws, chosen.shape)
    makers = np.flatnonzero(who == MAKER)
    short[:, makers] = short[0, makers] ^ (np.arange(distinct) % 2).astype(np.bool_)[:, None]
    legs = 2 * chosen + short
    return np.vstack([legs, legs[:pairs] ^ 1]) if pairs else legs


def _shorts(rng: np.random.Generator, laws: Shape, shape: tuple[int, int]) -> BoolArray:
    """Side of each row, True: short."""
    of_account = rng.random(shape[1], np.float32) < laws.short_share
    if shape[0] == 1:
        return of_account[None, :]
    own = rng.random(shape, np.float32) < laws.short_share
    return np.where(rng.random(shape, np.float32) < laws.one_way, of_account, own)


def _chosen(rng: np.random.Generator, accounts: int, units: Int64Array) -> IntArray:
    """Different instruments for each of some accounts: int32 (distinct, accounts).

    Systematic sampling: an instrument is drawn with probability min(1, c · share), and points one whole unit
    apart on the running sum of these cannot fall into the same instrument twice. Shuffled orders of the
    instruments, a new one for every few accounts, make every pair of instruments possible.
    """
    distinct = int(units.sum()) // _UNITS
    out = np.empty((distinct, accounts), np.int32)
    ladder = np.arange(distinct, dtype=np.int64)[:, None] * _UNITS
    for first in range(0, accounts, _CHOOSERS):
        own = slice(first, first + _CHOOSERS)
        order = rng.permutation(len(units)).astype(np.int32)
        points = rng.integers(0, _UNITS, len(out[0, own])) + ladder
        out[:, own] = order[np.searchsorted(np.cumsum(units[order]), points, side="right")]
    return out


def _inclusion(shares: Float64Array, distinct: int) -> Int64Array:
    """Probabilities of inclusion in units of 1 / _UNITS, summing to `distinct`."""
    sure = np.zeros(len(shares), np.bool_)
    while True:
        free = shares[~sure].sum()
        chance = np.where(sure, 1.0, shares * ((distinct - sure.sum()) / free if free > 0 else 0.0))
        if not (over := (chance >= 1.0) & ~sure).any():
            break
        sure |= over
    units: Int64Array = np.minimum(np.floor(chance * _UNITS), _UNITS).astype(np.int64)
    while missing := distinct * _UNITS - int(units.sum()):
        room = np.flatnonzero(units < _UNITS if missing > 0 else units > 1)[: abs(missing)]
        units[room] += 1 if missing > 0 else -1
    return units


def _two_sided(rows: Rows, held: IntArray, count: int) -> None:
    """Give every instrument in use a long and a short row, moving and turning over as few rows as needed.

    Parameters
    ----------
    rows : Rows
    held : int64 (legs)
        Rows of each leg; kept up to date.
    """
    lone = _found(rows, np.repeat(held.reshape(count, 2).sum(axis=1) == 1, 2))
    pairs = len(lone) // 2
    for mover, stayer in zip(lone[pairs : 2 * pairs], lone[:pairs], strict=True):
        _turn(rows, held, mover, _other_instrument(rows, mover, rows.leg[stayer] >> 1))
    if len(lone) % 2:
        others = np.setdiff1d(held.nonzero()[0] >> 1, rows.leg[_same_account(rows, lone[-1])] >> 1)
        if len(others):
            best = others[np.argmax(held.reshape(count, 2).sum(axis=1)[others])]
            _turn(rows, held, lone[-1], _other_instrument(rows, lone[-1], best))
    of_both = held.reshape(count, 2)
    one_sided = (of_both.min(axis=1) == 0) & (of_both.sum(axis=1) > 1)
    for instrument in np.flatnonzero(one_sided).tolist():
        row = _first(rows, 2 * instrument + int(np.argmax(of_both[instrument])))
        _turn(rows, held, row, rows.leg[row] ^ 1)


def _turn(rows: Rows, held: IntArray, row: int, leg: int) -> None:
    held[rows.leg[row]] -= 1
    held[leg] += 1
    rows.leg[row] = leg


def _other_instrument(rows: Rows, row: int, instrument: int) -> int:
    return 2 * int(instrument) + int(rows.leg[row] & 1)


def _found(rows: Rows, wanted: BoolArray) -> IntArray:
    """Rows of some legs, few of them."""
    if not wanted.any():
        return np.empty(0, np.int64)
    step = 1 << 20
    parts = [
        first + np.flatnonzero(wanted[rows.leg[first : first + step]])
        for first in range(0, len(rows.leg), step)
    ]
    return np.concatenate(parts)


def _first(rows: Rows, leg: int) -> int:
    wanted = np.zeros(int(rows.leg.max()) + 1, np.bool_)
    wanted[leg] = True
    return int(_found(rows, wanted)[0])


def _same_account(rows: Rows, row: int) -> IntArray:
    """All rows of the account of a row."""
    g = int(np.searchsorted(rows.group_row, row, side="right")) - 1
    width = int(rows.group_slot[g + 1] - rows.group_slot[g])
    first = int(rows.group_row[g]) + (row - int(rows.group_row[g])) % width
    return first + width * np.arange(rows.group_rows[g])
