"""Perpetual contracts to fill a synthetic exchange with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from fastadl.contracts import Instrument, Kind, Tier, derived_deductions
from fastadl.errors import InputError

__all__ = ["perpetuals", "whole"]

_ASSETS = (
    *(("BTC", "60000"), ("ETH", "3000"), ("SOL", "150"), ("XRP", "2"), ("BNB", "600"), ("DOGE", "0.2")),
    *(("ADA", "0.6"), ("AVAX", "25"), ("LINK", "15"), ("SUI", "3"), ("LTC", "90"), ("DOT", "5")),
)
_RATES = (
    (2, "0.004 0.005 0.0065 0.01 0.02 0.025 0.05 0.1 0.125 0.15 0.25 0.5"),
    (20, "0.005 0.0065 0.01 0.0125 0.02 0.025 0.05 0.1 0.125 0.15 0.25 0.5"),
    (1 << 31, "0.01 0.0125 0.015 0.02 0.025 0.04 0.05 0.1 0.125 0.15 0.25 0.5"),
)
_ATOMS = 10**6
_STEPS = (0, 1, 3, 10, 40, 80, 160, 400, 800, 1600, 3000, 6000)


def perpetuals(
    count: int,
    *,
    marks: Mapping[str, Fraction] | None = None,
    ladders: Mapping[str, Sequence[Tier]] | None = None,
) -> tuple[Instrument, ...]:
    """Linear perpetual contracts on well-known and made-up assets, largest market first.

    A lot is worth between 0.1 and 1 currency unit. Ladders have twelve tiers; the first ends at 250,000 for
    the largest market and at not less than 25,000 for small ones.

    Parameters
    ----------
    count : int
        How many.
    marks : mapping of str to Fraction, optional
        Assets to come first, with their marks.
    ladders : mapping of str to sequence of Tier, optional
        Margin ladders by asset, in place of the made-up ones.

    Returns
    -------
    tuple of Instrument
        ``BTC-PERP``, …, settled in USD with 6 decimals.
    """
    whole("instruments", count, max(1, len(marks or ())), 1 << 15)
    assets = dict(marks or {})
    for asset, price in _ASSETS:
        assets.setdefault(asset, Fraction(price))
    for rank in range(len(assets), count):
        assets[f"ALT{rank + 1:03d}"] = Fraction(1 + rank * 37 % 90, 10 ** (rank % 4))
    built = []
    for rank, (asset, mark) in enumerate(list(assets.items())[:count], start=1):
        built.append(
            Instrument(
                symbol=f"{asset}-PERP",
                kind=Kind.LINEAR,
                contract_size=Fraction(1),
                lot=_power_of_ten_below(1 / mark),
                tiers=tuple((ladders or {}).get(asset) or _ladder(rank)),
                mark=mark,
            )
        )
    return tuple(built)


def _ladder(rank: int) -> list[Tier]:
    rates = [Fraction(rate) for rate in next(text for last, text in _RATES if rank <= last).split()]
    first = max(25_000, 5_000 * round(50 / rank)) * _ATOMS
    steps = [(Fraction(step * first), rate) for step, rate in zip(_STEPS, rates, strict=True)]
    return [
        Tier(notional, rate, deduction, Fraction(int(1 / (2 * rate))))
        for (notional, rate), deduction in zip(steps, derived_deductions(steps), strict=True)
    ]


def _power_of_ten_below(value: Fraction) -> Fraction:
    power = Fraction(1)
    while power > value:
        power /= 10
    while power * 10 <= value:
        power *= 10
    return power


def whole(name: str, value: object, least: int, most: int) -> None:
    """Refuse anything but an integer between two bounds."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise InputError((name,), value, "give a whole number")
    if value < least:
        raise InputError((name,), value, f"give at least {least}")
    if value > most:
        why = " (accounts × instruments × 2 sides)" if name == "positions" and most < 1 << 31 else ""
        raise InputError((name,), value, f"give at most {most}{why}")
