"""Bands of 95 %: of means, shares and quantiles, by textbook formulas."""

from __future__ import annotations

from functools import lru_cache
from math import sqrt
from statistics import NormalDist

import numpy as np

from fastadl.schema import Float64Array

__all__ = ["BAND", "crossed_reach", "order_band", "student", "wilson"]

#: How sure every band is.
BAND = 0.95
_TAIL = (1.0 - BAND) / 2.0
_NORMAL = NormalDist().inv_cdf(1.0 - _TAIL)


@lru_cache(maxsize=4096)
def student(freedom: float) -> float:
    """Half the width of a band of a mean, in standard errors: Student's t at 97.5 %.

    With t = √ν·tan θ the density is that of cosᵛ⁻¹ θ, which is summed over a fine grid.

    Parameters
    ----------
    freedom : float
        Degrees of freedom ν, above 0.

    Examples
    --------
    >>> round(student(4), 3), round(student(30), 3)
    (2.776, 2.042)
    """
    edges = np.linspace(0.0, min(np.pi / 2, 12.0 / sqrt(freedom)), 5001)
    density = np.cos((edges[1:] + edges[:-1]) / 2.0) ** (freedom - 1.0)
    mass = np.concatenate(([0.0], np.cumsum(density)))
    return float(sqrt(freedom) * np.tan(np.interp(BAND, mass / mass[-1], edges)))


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Band of a probability from how often something happened (Wilson 1927).

    Examples
    --------
    >>> [round(edge, 3) for edge in wilson(0, 20)]
    [0.0, 0.161]
    """
    share, square = hits / n, _NORMAL**2
    middle = (share + square / (2 * n)) / (1 + square / n)
    reach = _NORMAL / (1 + square / n) * sqrt(share * (1 - share) / n + square / (4 * n * n))
    low = 0.0 if hits == 0 else middle - reach
    return low, 1.0 if hits == n else middle + reach


@lru_cache(maxsize=65536)
def order_band(n: int, share: float) -> tuple[int | None, int | None]:
    """Places of the values that bound a quantile, whatever the distribution: from 0, of n sorted ones.

    The number of values below the quantile is binomial (David and Nagaraja, Order Statistics, 7.1).

    Returns
    -------
    low, high : int or None
        None where not even the least or the largest value is a bound that sure.

    Examples
    --------
    >>> order_band(100, 0.5), order_band(20, 0.05)
    ((39, 60), (None, 3))
    """
    below = _binomial(n, share)  # P(at most k of n lie below)
    low = int(np.searchsorted(below, _TAIL, side="right")) - 1
    high = int(np.searchsorted(below, 1.0 - _TAIL, side="left"))
    return (low if low >= 0 else None), (high if high < n else None)


def _binomial(n: int, share: float) -> Float64Array:
    """Distribution function of the binomial at 0 … n."""
    logs = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1.0, n + 1.0)))))
    k = np.arange(n + 1.0)
    mass = logs[-1] - logs - logs[::-1] + k * np.log(share) + (n - k) * np.log1p(-share)
    return np.cumsum(np.exp(mass))


def crossed_reach(cells: Float64Array, grid: bool) -> float | None:
    """Half the width of the band of a mean over points and seeds, where every seed was run at every point.

    Seeds are a sample, and points unless they are a grid: the variances of both means add up (Owen, The
    pigeonhole bootstrap, 2007), with Satterthwaite's degrees of freedom.

    Parameters
    ----------
    cells : float64 (points, seeds)
        NaN where nothing is known, but no whole row or column of it.
    grid : bool

    Returns
    -------
    float or None
        None if there is but one of what is a sample.
    """
    parts = []
    for axis, sample in ((0, True), (1, not grid)):
        means = np.nanmean(cells, axis=axis)
        if sample and len(means) > 1:
            parts.append((float(means.var(ddof=1)) / len(means), len(means) - 1))
    variance = sum(part for part, _ in parts)
    if not parts:
        return None
    freedom = variance**2 / sum(part**2 / each for part, each in parts) if variance else 1.0
    return student(freedom) * sqrt(variance)
