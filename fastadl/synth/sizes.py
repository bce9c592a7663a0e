"""How much: sizes by account and market, then whole lots, the same long as short."""

from __future__ import annotations

import numpy as np

from fastadl.errors import BoundsError
from fastadl.schema import ROW_BOUND, BoolArray, Float64Array, Int64Array, IntArray
from fastadl.synth.blocks import Block, Draw
from fastadl.synth.degrees import MAKER, WHALE
from fastadl.synth.laws import crowding, market_shares, mean_size
from fastadl.synth.shapes import Shape

__all__ = ["draw_lots", "draw_sizes", "too_fine"]

#: How far the value of a market is pulled towards its share, either way.
_PULL = 4.0


def draw_sizes(draw: Draw, laws: Shape, kind: IntArray, count: int) -> Float64Array:
    """Write sizes in currency units to where lots will stand.

    Returns
    -------
    float64 (2, legs)
        Sums of other accounts, and of whales.
    """
    legs = 2 * count
    crowd = crowding(laws, count)
    scale = np.repeat(market_shares(laws, count) / crowd, 2)
    expected = len(draw.rows.leg) * mean_size(laws) * np.repeat(crowd, 2) * scale
    cap = np.clip(laws.largest_share * expected, min(10 * laws.smallest, laws.largest), laws.largest)

    def work(rng: np.random.Generator, block: Block) -> Float64Array:
        who = kind[block.account]
        sizes = _by_law(rng, laws, block.leg.shape)
        sizes[:, who == MAKER] *= laws.maker_size
        sizes *= scale[block.leg]
        most = cap[block.leg]
        np.minimum(sizes, most * most / sizes, out=sizes, where=who != WHALE)
        makers = np.flatnonzero(who == MAKER)
        sizes[:, makers] *= _neutral(sizes[:, makers], (block.leg[:, makers] & 1).astype(np.bool_))
        block.lots[...] = sizes
        index = block.leg + legs * (who == WHALE).astype(np.int64)
        found: Float64Array = np.bincount(index.ravel(), sizes.ravel(), 2 * legs).astype(np.float64)
        return found

    sums: Float64Array = np.sum(draw.each(work), axis=0).reshape(2, legs)
    return sums


def _by_law(rng: np.random.Generator, laws: Shape, shape: tuple[int, int]) -> Float64Array:
    """Sizes before markets scale them: float64 (rows an account, accounts)."""
    if laws.size_law == "uniform":
        return laws.smallest + rng.random(shape) * (laws.largest - laws.smallest)
    size = np.full(shape[1], laws.size_scale)
    if laws.size_sigma:
        size *= np.exp(laws.size_sigma * rng.standard_normal(shape[1]))
    np.clip(size, laws.smallest, laws.largest, out=size)
    if laws.size_law == "pareto":
        above = (size / laws.largest) ** laws.size_tail
        size *= (1 - rng.random(shape[1]) * (1 - above)) ** (-1 / laws.size_tail)
    if not laws.size_spread:
        return np.broadcast_to(size, shape).copy()
    return size * np.exp(np.float32(laws.size_spread) * rng.standard_normal(shape, np.float32))


def _neutral(sizes: Float64Array, short: BoolArray) -> Float64Array:
    """Factors that give each account's longs and shorts one value: float64 (rows an account, accounts)."""
    shorts = np.where(short, sizes, 0.0).sum(axis=0)
    longs = np.where(short, 0.0, sizes).sum(axis=0)
    half = (longs + shorts) / 2
    both = (longs > 0) & (shorts > 0)
    one = np.ones_like(half)
    to_longs, to_shorts = (np.divide(half, side, out=one.copy(), where=both) for side in (longs, shorts))
    return np.where(short, to_shorts, to_longs)


def draw_lots(
    draw: Draw, laws: Shape, kind: IntArray, sums: Float64Array, unit: Float64Array, atoms: float
) -> Int64Array:
    """Turn sizes into whole lots, as many long as short in every instrument that has both sides.

    Parameters
    ----------
    draw : Draw
    laws : Shape
    kind : uint8 (accounts)
    sums : float64 (2, legs)
        Of sizes.
    unit : float64 (instruments)
        Value of a lot in atoms, above 0.
    atoms : float
        Of a currency unit.

    Returns
    -------
    int64 (instruments)
        Lots too many on the long side of an instrument of one row.
    """
    count = len(unit)
    factor = _factors(laws, sums.reshape(2, count, 2)) * (atoms / unit)[None, :, None]
    factor = factor.reshape(2, 2 * count)

    def work(_: np.random.Generator, block: Block) -> tuple[Int64Array, Float64Array]:
        of_whale = (kind[block.account] == WHALE).astype(np.int64)
        lots = block.lots * factor[of_whale, block.leg]
        np.maximum(np.rint(lots, out=lots), 1.0, out=lots)
        block.lots[...] = lots
        best = np.zeros(2 * count)
        np.maximum.at(best, block.leg.ravel(), lots.ravel())
        if best.max() > ROW_BOUND:
            raise too_fine(int(best.max()))
        return _totals(block.leg.ravel(), lots.ravel(), 2 * count), best

    held, largest = zip(*draw.each(work), strict=True)
    sides = np.sum(held, axis=0).reshape(count, 2)
    excess = sides[:, 0] - sides[:, 1]
    both = sides.min(axis=1) > 0
    for instrument in np.flatnonzero(both & (excess != 0)).tolist():
        leg = 2 * instrument + (excess[instrument] > 0)
        block = draw.blocks[int(np.argmax([best[leg] for best in largest]))]
        own = np.where(block.leg == leg, block.lots, 0.0)
        block.lots[np.unravel_index(np.argmax(own), own.shape)] += abs(excess[instrument])
    return np.where(both, 0, excess)


def _factors(laws: Shape, sums: Float64Array) -> Float64Array:
    """What sizes of other accounts (0) and whales (1) are multiplied by: float64 (2, instruments, 2).

    Both sides of a market come to the same value, the market to its share of all, and whales to theirs of a
    side that they stand on.
    """
    sides = sums.sum(axis=0)
    both = sides.min(axis=1) > 0
    mean = sides.mean(axis=1)
    level = np.clip(market_shares(laws, len(mean)) * mean.sum(), mean / _PULL, mean * _PULL)
    there = sums > 0
    part = np.where(there.all(axis=0), np.array([1 - laws.whale_share, laws.whale_share])[:, None, None], 1.0)
    factor: Float64Array = np.divide(part * level[None, :, None], sums, out=np.ones_like(sums), where=there)
    factor[:, ~both] = 1.0
    return factor


def _totals(index: IntArray, lots: Float64Array, count: int) -> Int64Array:
    """Exact sums by index of whole numbers up to 2^53."""
    high = np.floor(lots / 2.0**26)
    low = lots - high * 2.0**26
    high_sum, low_sum = (np.bincount(index, part, count).astype(np.int64) for part in (high, low))
    return (high_sum << 26) + low_sum


def too_fine(value: int) -> BoundsError:
    """The error for a number past the bounds of rule R1."""
    return BoundsError(
        ("instruments",), value, "give instruments of larger lots or fewer decimals: a number passes rule R1"
    )
