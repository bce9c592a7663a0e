"""What positions were entered for and what accounts hold besides: entry values, margins, cash."""

from __future__ import annotations

import numpy as np

from fastadl.contracts import Instruments, Kind
from fastadl.schema import ROW_BOUND, SUM_BOUND, BoolArray, Float64Array, IntArray
from fastadl.synth.blocks import Block, Draw
from fastadl.synth.shapes import Shape
from fastadl.synth.sizes import too_fine

__all__ = ["draw_money"]

#: Equity at the book's own marks is at least this many times the maintenance margin.
_CUSHION = 1.05
#: Past prices that positions were entered at, per instrument; the mean age is a quarter of them.
_PAST = 256
#: Spread of entries around a past price.
_WITHIN = 0.002


def draw_money(
    draw: Draw, laws: Shape, table: Instruments, unit: Float64Array, rng: np.random.Generator
) -> BoolArray:
    """Write signed lots, entry values and cash.

    Parameters
    ----------
    draw : Draw
    laws : Shape
    table : Instruments
    unit : float64 (instruments)
        Value of a lot in atoms, signed.
    rng : Generator
        For the past prices.

    Returns
    -------
    bool (accounts)
        Who is isolated.
    """
    past = _past(rng, laws, table) * np.abs(unit)
    margins = _Margins(table)
    isolated = np.zeros(len(draw.rows.account), np.bool_)
    atoms = 10.0 ** table.decimals[0]
    worth = np.abs(unit)

    def work(rng: np.random.Generator, block: Block) -> tuple[float, float]:
        instrument = block.leg >> 1
        notional = block.lots * worth[instrument]
        sign = np.where(block.leg & 1, -1.0, 1.0)
        age = rng.standard_exponential(block.leg.shape, np.float32) * np.float32(_PAST / 4)
        entry = past[np.minimum(age, _PAST - 1).astype(np.int32), instrument]
        entry *= 1 + np.float32(_WITHIN) * rng.standard_normal(block.leg.shape, np.float32)
        entry *= block.lots
        np.rint(entry, out=entry)
        block.lots[...] *= sign
        net = (notional * sign).sum(axis=0)
        sign *= np.sign(unit)[instrument]
        block.entry[...] = entry * sign
        cash = _cash(rng, laws, net, notional.sum(axis=0), atoms)
        called = margins.of(instrument, notional).sum(axis=0)
        if len(notional):
            np.maximum(cash, called, out=cash)
            cash = np.maximum(cash - ((notional - entry) * sign).sum(axis=0), called)
        _refuse_beyond_bounds(entry, cash)
        block.cash[...] = np.ceil(cash) + 1
        if len(notional) == 1:
            isolated[block.account] = rng.random(len(cash), np.float32) < laws.isolated_share
        return float(entry.sum() + cash.sum()), float(notional.sum())

    for total in np.sum(draw.each(work), axis=0).tolist():
        if total > SUM_BOUND:
            raise too_fine(int(total))
    return isolated


def _past(rng: np.random.Generator, laws: Shape, table: Instruments) -> Float64Array:
    """Price of one lot of each instrument by age, over its price now: float64 (ages, instruments)."""
    step = laws.past_volatility / np.sqrt(2 * _PAST)
    steps = rng.normal(0, step, (_PAST, len(table))) + rng.normal(0, step, (_PAST, 1))
    past: Float64Array = np.exp(np.cumsum(steps, axis=0))
    inverse = np.array([item.kind is Kind.INVERSE for item in table])
    past[:, inverse] = 1 / past[:, inverse]
    return past


def _cash(
    rng: np.random.Generator, laws: Shape, net: Float64Array, gross: Float64Array, atoms: float
) -> Float64Array:
    """Equity for the leverage drawn, or of an account without positions, in atoms: float64 (accounts)."""
    normal = rng.standard_normal(len(gross))
    if not gross.any():
        return laws.size_scale * atoms * np.exp(2 * normal)
    leverage = np.where(
        net >= 0,
        laws.long_leverage * np.exp(laws.long_sigma * normal),
        laws.short_leverage * np.exp(laws.short_sigma * normal),
    )
    if laws.leverage_slope:
        leverage *= (gross / (atoms * laws.size_scale)) ** laws.leverage_slope
    return gross / leverage


def _refuse_beyond_bounds(*amounts: Float64Array) -> None:
    for amount in amounts:
        if (largest := amount.max(initial=0)) > ROW_BOUND - 2:
            raise too_fine(int(largest))


class _Margins:
    """Equity in atoms that a row calls for: its initial margin, and more than its maintenance margin."""

    def __init__(self, table: Instruments) -> None:
        tiers = max(len(item.tiers) for item in table)
        self.start = np.full((tiers, len(table)), np.inf)
        self.rate, self.deduction, self.initial = np.zeros((3, tiers, len(table)))
        for k, item in enumerate(table):
            for t, tier in enumerate(item.tiers):
                self.start[t, k] = tier.min_notional
                self.rate[t, k] = tier.maintenance_rate
                self.deduction[t, k] = tier.deduction
                self.initial[t, k] = (
                    2 * tier.maintenance_rate if tier.max_leverage is None else 1 / tier.max_leverage
                )
        self.start[0] = 0.0

    def of(self, instrument: IntArray, notional: Float64Array) -> Float64Array:
        """Per row: arrays of one shape."""
        first = np.maximum(self.initial[0], _CUSHION * self.rate[0])
        out = first[instrument] * notional
        for t in range(1, len(self.start)):
            later = np.nonzero(notional > self.start[t][instrument])
            if not len(later[0]):
                break
            size, kind = notional[later], instrument[later]
            maintenance = _CUSHION * (self.rate[t][kind] * size - self.deduction[t][kind])
            out[later] = np.maximum(out[later], np.maximum(maintenance, self.initial[t][kind] * size))
        return out
