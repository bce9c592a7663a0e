"""The laws synthetic books are drawn from."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastadl.errors import InputError
from fastadl.schema import Float64Array

__all__ = ["SHAPES", "Shape", "laws_of", "market_shares", "mean_size"]


@dataclass(frozen=True, slots=True)
class Shape:
    """The laws a synthetic book is drawn from; money in currency units.

    Parameters
    ----------
    size_tail : float or None
        Exponent of the Pareto law of position sizes, below 1 in every venue sample, hence truncated; None
        for uniform sizes.
    smallest, largest : float
        Bounds of position sizes.
    largest_share : float
        No position is drawn larger than this share of what its market is expected to hold.
    top_shares : tuple of float
        Shares of open interest of the first markets.
    rank_slope : float
        The other markets share the rest by ``rank ** -rank_slope``.
    even : bool
        True gives every account the same number of positions, to within one. False draws one position for
        each account and geometric numbers of more.
    busy_share, busy_factor : float
        This share of accounts holds that many times the further positions of the mean account.
    hedged_share : float
        Share of accounts with two positions or more that are long and short in one instrument.
    leverage_median, leverage_sigma : float
        Lognormal law of account leverage, cut at what the tiers allow.
    """

    size_tail: float | None
    smallest: float = 100.0
    largest: float = 200e6
    largest_share: float = 0.05
    top_shares: tuple[float, ...] = ()
    rank_slope: float = 0.0
    even: bool = False
    busy_share: float = 0.04
    busy_factor: float = 6.0
    hedged_share: float = 0.05
    leverage_median: float = 3.7
    leverage_sigma: float = 0.62


_PARETO = Shape(size_tail=0.8, top_shares=(0.295, 0.218, 0.131), rank_slope=1.68)

#: The named shapes. ``pareto`` follows published figures of Hyperliquid's markets and accounts of October
#: 2025: three markets with 29.5, 21.8 and 13.1 % of open interest, rank slope 1.68, size tail 0.75 to 0.9;
#: leverage quantiles from open interest by leverage, December 2025 (36 % below 3, 15 % above 7). ``hedged``
#: is the same in hedge mode; ``small`` is retail: sizes up to a thousand, markets all alike, high leverage.
SHAPES: Mapping[str, Shape] = {
    "pareto": _PARETO,
    "uniform": Shape(size_tail=None, largest=20e3, even=True, hedged_share=0.0),
    "hedged": replace(_PARETO, hedged_share=1.0),
    "small": Shape(size_tail=None, largest=1e3, even=True, hedged_share=0.0, leverage_median=8.0),
}


def laws_of(shape: str) -> Shape:
    """The laws of a named shape."""
    if shape not in SHAPES:
        near = difflib.get_close_matches(str(shape), SHAPES, n=1, cutoff=0.0)[0]
        raise InputError(("shape",), shape, f"give one of {', '.join(SHAPES)}; the nearest is {near}")
    return SHAPES[shape]


def market_shares(laws: Shape, count: int) -> Float64Array:
    """Share of each market in open interest, by rank: float64 (count), summing to 1."""
    top = np.array(laws.top_shares[:count])
    rest = np.arange(len(top) + 1, count + 1) ** -laws.rank_slope
    shares: Float64Array = np.concatenate([top, rest * (1 - top.sum()) / max(rest.sum(), 1e-300)])
    shares /= shares.sum()
    return shares


def mean_size(laws: Shape, largest: Any) -> Any:
    """Mean position size when sizes end at `largest`."""
    if laws.size_tail is None:
        return (laws.smallest + largest) / 2
    tail, least = laws.size_tail, laws.smallest
    cut = 1 - (least / largest) ** tail
    return tail * least**tail / cut * (largest ** (1 - tail) - least ** (1 - tail)) / (1 - tail)
