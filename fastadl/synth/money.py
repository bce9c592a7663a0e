"""How much: lots, entry values and cash of a synthetic book."""

from __future__ import annotations

import numpy as np

from fastadl.contracts import Instruments, Kind
from fastadl.errors import BoundsError
from fastadl.schema import ROW_BOUND, BoolArray, Float64Array, Int64Array, IntArray
from fastadl.synth.shapes import Shape, market_shares, mean_size

__all__ = ["draw_cash", "draw_entries", "draw_lots", "margin_needed", "too_fine"]

#: Equity at the book's own marks is at least this many times the maintenance margin.
_CUSHION = 1.05
#: Past prices that positions were entered at, per instrument.
_PAST = 256


def draw_lots(
    rng: np.random.Generator,
    laws: Shape,
    instrument: IntArray,
    short: BoolArray,
    unit: Float64Array,
    atoms: float,
) -> tuple[Float64Array, Int64Array]:
    """Whole lots of each row (float64), balanced, and what an instrument of one row is long of too much."""
    count = len(unit)
    rows = np.bincount(instrument, minlength=count)
    cap = np.clip(laws.largest_share * rows * mean_size(laws, laws.largest), 10 * laws.smallest, laws.largest)
    lots = _draw_sizes(rng, laws, cap, instrument)
    leg = 2 * instrument + short
    sides = np.bincount(leg, lots, 2 * count).reshape(count, 2)
    both = sides.min(axis=1) > 0
    mean = sides.mean(axis=1)
    level = np.clip(market_shares(laws, count) * mean.sum(), mean / 4, mean * 4)[:, None]
    factor = np.where(both[:, None], level / np.where(sides > 0, sides, 1), 1) * (atoms / unit)[:, None]
    lots *= factor.ravel()[leg]
    np.rint(lots, out=lots)
    np.maximum(lots, 1.0, out=lots)
    if lots.max() > ROW_BOUND:
        raise too_fine(int(lots.max()))
    held = _totals(leg, lots, 2 * count).reshape(count, 2)
    excess = held[:, 0] - held[:, 1]
    lighter = np.flatnonzero(both & (excess != 0))
    lighter = 2 * lighter + (excess[lighter] > 0)
    lots[_largest(leg, lots, 2 * count)[lighter]] += np.abs(excess[lighter // 2])
    return lots, np.where(both, 0, excess)


def _draw_sizes(
    rng: np.random.Generator, laws: Shape, cap: Float64Array, instrument: IntArray
) -> Float64Array:
    """Position sizes in currency units, at most `cap` of the instrument."""
    sizes: Float64Array = rng.random(len(instrument))
    if laws.size_tail is None:
        sizes *= (cap - laws.smallest)[instrument]
        sizes += laws.smallest
    else:
        sizes *= (1 - (laws.smallest / cap) ** laws.size_tail)[instrument]
        np.subtract(1.0, sizes, out=sizes)
        np.power(sizes, -1 / laws.size_tail, out=sizes)
        sizes *= laws.smallest
    return sizes


def _totals(index: IntArray, lots: Float64Array, count: int) -> Int64Array:
    """Exact sums by index of whole numbers up to 2^53."""
    high = np.floor(lots / 2.0**26)
    low = lots - high * 2.0**26
    return (np.bincount(index, high, count).astype(np.int64) << 26) + np.bincount(index, low, count).astype(
        np.int64
    )


def _largest(index: IntArray, lots: Float64Array, count: int) -> IntArray:
    """First row of the largest size of each index; 0 where there is none."""
    best = np.zeros(count)
    np.maximum.at(best, index, lots)
    rows = np.flatnonzero(lots == best[index])
    named, first = np.unique(index[rows], return_index=True)
    out = np.zeros(count, np.int64)
    out[named] = rows[first]
    return out


def draw_entries(
    rng: np.random.Generator,
    table: Instruments,
    instrument: IntArray,
    lots: Float64Array,
    unit: Float64Array,
) -> Float64Array:
    """Size of the entry value of each row in whole atoms, at one of the instrument's recent prices."""
    steps = rng.normal(0, 0.006, (len(table), _PAST)) + rng.normal(0, 0.006, _PAST)
    past = np.exp(np.cumsum(steps, axis=1))
    inverse = np.array([item.kind is Kind.INVERSE for item in table])
    past[inverse] = 1 / past[inverse]
    past *= np.abs(unit)[:, None]
    age = rng.standard_exponential(len(lots), dtype=np.float32) * np.float32(_PAST / 4)
    entry: Float64Array = past[instrument, np.minimum(age, _PAST - 1).astype(np.uint8)]
    entry *= 1 + np.float32(0.002) * rng.standard_normal(len(lots), dtype=np.float32)
    entry *= lots
    return np.rint(entry, out=entry)


def margin_needed(table: Instruments, instrument: IntArray, notional: Float64Array) -> Float64Array:
    """Equity in atoms that each row calls for: its initial margin, and more than its maintenance margin."""
    most = max(len(item.tiers) for item in table)
    start = np.full((most, len(table)), np.inf)
    rate, deduction, initial = np.zeros((3, most, len(table)))
    for k, item in enumerate(table):
        for t, tier in enumerate(item.tiers):
            start[t, k], rate[t, k], deduction[t, k] = (
                tier.min_notional,
                tier.maintenance_rate,
                tier.deduction,
            )
            initial[t, k] = 2 * rate[t, k] if tier.max_leverage is None else 1 / tier.max_leverage
    start[0] = 0.0
    out: Float64Array = np.maximum(initial[0], _CUSHION * rate[0])[instrument] * notional
    if most > 1:
        later = np.flatnonzero(notional > start[1][instrument])
        size, kind = notional[later], instrument[later]
        for t in range(1, most):
            inside = size > start[t][kind]
            margin = _CUSHION * (rate[t][kind] * size - deduction[t][kind])
            out[later[inside]] = np.maximum(out[later[inside]], margin[inside])
            out[later[inside]] = np.maximum(out[later[inside]], (initial[t][kind] * size)[inside])
    return out


def draw_cash(
    rng: np.random.Generator,
    laws: Shape,
    account: IntArray,
    profit: Float64Array,
    notional: Float64Array,
    needed: Float64Array,
    accounts: int,
    atoms: float,
) -> Int64Array:
    """Cash for the drawn leverage, not less than the margin called for: int64 atoms (accounts)."""
    called = np.bincount(account, needed, accounts)
    gross = np.bincount(account, notional, accounts)
    leverage = laws.leverage_median * np.exp(laws.leverage_sigma * rng.standard_normal(accounts))
    equity = np.maximum(gross / leverage, called)
    cash = np.maximum(equity - np.bincount(account, profit, accounts), called)
    idle = np.flatnonzero(gross == 0)
    cash[idle] = laws.smallest * atoms * np.exp(2 * rng.standard_normal(len(idle)))
    return (np.ceil(cash) + 1).astype(np.int64)


def too_fine(value: int) -> BoundsError:
    """The error for a number past the bounds of rule R1."""
    return BoundsError(
        ("instruments",), value, "give instruments of larger lots or fewer decimals: a number passes rule R1"
    )
