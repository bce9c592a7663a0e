"""What the laws of a shape come to: shares of markets, and the mean size."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from fastadl.schema import Float64Array
from fastadl.synth.shapes import Shape

__all__ = ["crowding", "market_shares", "mean_size"]

#: No market is so small that nobody could be on it.
_LEAST_SHARE = 1e-9


def market_shares(laws: Shape, count: int) -> Float64Array:
    """Share of each market in open interest, by rank: float64 (count), above 0, summing to 1."""
    top = np.array(laws.top_shares[:count])
    rest = np.arange(len(top) + 1, count + 1) ** -laws.rank_slope
    shares: Float64Array = np.concatenate([top, rest * (1 - top.sum()) / max(rest.sum(), 1e-300)])
    shares = np.maximum(shares, _LEAST_SHARE)
    return shares / shares.sum()


def crowding(laws: Shape, count: int) -> Float64Array:
    """Share of each market in positions, by rank: float64 (count), summing to 1."""
    crowd = market_shares(laws, count) ** laws.crowding
    return crowd / crowd.sum()


def mean_size(laws: Shape) -> float:
    """Mean size of a position before markets scale it."""
    if laws.size_law == "uniform":
        return (laws.smallest + laws.largest) / 2
    quantiles = [NormalDist().inv_cdf((i + 0.5) / 256) for i in range(256)]
    body = np.clip(
        laws.size_scale * np.exp(laws.size_sigma * np.array(quantiles)), laws.smallest, laws.largest
    )
    if laws.size_law == "pareto":
        room, tail = laws.largest / body, laws.size_tail
        cut = np.maximum(1 - room**-tail, 1e-12)
        power = np.log(room) if tail == 1 else (room ** (1 - tail) - 1) / (1 - tail)
        body = body * np.where(room > 1, tail / cut * power, 1.0)
    return float(body.mean() * np.exp(laws.size_spread**2 / 2))
