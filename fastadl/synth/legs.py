"""Who holds what: accounts, instruments and sides of the rows of a synthetic book."""

from __future__ import annotations

import numpy as np

from fastadl.schema import BoolArray, Float64Array, Int64Array, IntArray
from fastadl.synth.shapes import Shape, market_shares

__all__ = ["draw_counts", "draw_legs"]

#: The chance that an account holds an instrument is counted in units of 1 / _UNITS.
_UNITS = 1 << 40


def draw_counts(rng: np.random.Generator, laws: Shape, positions: int, accounts: int, count: int) -> IntArray:
    """Positions of each account, `positions` in all: int32 (accounts)."""
    held = np.zeros(accounts, np.int32)
    if positions <= accounts:
        held[rng.choice(accounts, positions, replace=False, shuffle=False)] = 1
        return held
    if laws.even:
        held += positions // accounts
    else:
        more = positions / accounts - 1
        quiet = more * (1 - laws.busy_share * laws.busy_factor) / (1 - laws.busy_share)
        mean = np.where(rng.random(accounts) < laws.busy_share, laws.busy_factor * more, quiet)
        held += rng.geometric(1 / (1 + mean)).astype(np.int32)
        np.minimum(held, 2 * count, out=held)
    while missing := positions - int(held.sum()):
        step = 1 if missing > 0 else -1
        open_to = np.flatnonzero(held < 2 * count if missing > 0 else held > 1)
        held[rng.choice(open_to, min(abs(missing), len(open_to)), replace=False, shuffle=False)] += step
    return held


def draw_legs(
    rng: np.random.Generator, laws: Shape, held: IntArray, count: int
) -> tuple[IntArray, IntArray, BoolArray]:
    """Account (int32), instrument (int32) and side (True: short) of each row, no two alike."""
    hedged = ((rng.random(len(held), dtype=np.float32) < laws.hedged_share) & (held >= 2)).astype(np.int32)
    hedged = np.maximum(hedged, held - count)
    kinds = (held - hedged).astype(np.int64) * (count + 1) + hedged
    order = np.argsort(kinds, kind="stable").astype(np.int32)
    keys, starts = np.unique(kinds[order], return_index=True)
    stops = np.append(starts[1:], len(order))
    account = np.empty(int(held.sum()), np.int32)
    instrument = np.empty(len(account), np.int32)
    short = np.empty(len(account), np.bool_)
    shares = market_shares(laws, count)
    done = 0
    for key, start, stop in zip(keys.tolist(), starts.tolist(), stops.tolist(), strict=True):
        distinct, pairs = divmod(key, count + 1)
        if distinct == 0:
            continue
        chosen = _chosen(rng, stop - start, distinct, shares)
        sold = rng.integers(0, 2, chosen.shape, np.uint8).astype(np.bool_)
        block = slice(done, done + (stop - start) * (distinct + pairs))
        account[block] = np.repeat(order[start:stop], distinct + pairs)
        instrument[block] = np.hstack([chosen, chosen[:, :pairs]]).ravel()
        short[block] = np.hstack([sold, ~sold[:, :pairs]]).ravel()
        done = block.stop
    _two_sided(account, instrument, short, count)
    return account, instrument, short


def _chosen(rng: np.random.Generator, size: int, distinct: int, shares: Float64Array) -> IntArray:
    """Instruments of `size` accounts, `distinct` different ones each: int32 (size, distinct).

    Systematic sampling: an instrument is drawn with probability min(1, c · share), and points one whole unit
    apart on the running sum of these cannot fall into the same instrument twice. Shuffled orders of the
    instruments, a new one for each chunk, make every pair of instruments possible.
    """
    units = _inclusion(shares, distinct)
    out = np.empty((size, distinct), np.int32)
    ladder = np.arange(distinct, dtype=np.int64) * _UNITS
    chunk = max(256, -(-size // 64))
    for first in range(0, size, chunk):
        order = rng.permutation(len(shares)).astype(np.int32)
        ends = np.cumsum(units[order])
        points = rng.integers(0, _UNITS, min(chunk, size - first))[:, None] + ladder
        out[first : first + chunk] = order[np.searchsorted(ends, points, side="right")]
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


def _two_sided(account: IntArray, instrument: IntArray, short: BoolArray, count: int) -> None:
    """Give every instrument in use a long and a short row, moving and turning over as few rows as needed."""
    rows = np.bincount(instrument, minlength=count)
    lone = np.flatnonzero(rows[instrument] == 1)
    pairs = len(lone) // 2
    instrument[lone[pairs : 2 * pairs]] = instrument[lone[:pairs]]
    if len(lone) % 2:
        mine = instrument[account == account[lone[-1]]]
        others = np.setdiff1d(instrument, mine)
        if len(others):
            instrument[lone[-1]] = others[np.argmax(rows[others])]
    rows = np.bincount(instrument, minlength=count)
    sold = np.bincount(instrument[short], minlength=count)
    for k in np.flatnonzero((rows > 1) & ((sold == 0) | (sold == rows))):
        row = int(np.argmax(instrument == k))
        short[row] = not short[row]
