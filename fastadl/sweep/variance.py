"""Shares of a variance: how much of what a measure varies comes from which parameter (Sobol's indices).

A sweep runs every seed at every point under every policy. Where the points are a full grid, the values on it
are all there are, and means over them are exact; where they are drawn, they are a sample, as seeds always
are. Squares of means over a sample are estimated without bias by products of different members of it, so that
chance alone explains nothing on average.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from statistics import fmean
from typing import Any

import numpy as np

from fastadl.schema import Float64Array, Int64Array
from fastadl.sweep.statistics import student

__all__ = ["POLICY", "SEED", "Design", "Share", "shares"]

POLICY, SEED = "policy", "seed"
#: Groups that are left out in turn, at most.
_GROUPS = 20
#: Classes of a drawn parameter, at most.
_CLASSES = 32


@dataclass(frozen=True, slots=True)
class Design:
    """Which values the parameters have at each point.

    Attributes
    ----------
    levels : dict
        By parameter: int64 (points), the class of its value, from 0.
    grid : bool
        Whether every combination of classes is there, once.
    """

    levels: dict[str, Int64Array]
    grid: bool

    @classmethod
    def of(cls, values: Mapping[str, Any], most: int = _CLASSES) -> Design:
        """From the values of each parameter, a point after the other.

        Unless the points are a grid, numbers are put in classes of as many points each: the root of their
        number, at most so many.
        """
        exact = {name: np.unique(np.asarray(mine), return_inverse=True) for name, mine in values.items()}
        levels = {name: place.astype(np.int64) for name, (_, place) in exact.items()}
        points = len(next(iter(levels.values()), ()))
        several = len({*zip(*(place.tolist() for place in levels.values()), strict=True)}) == points
        grid = not exact or (several and prod(len(found) for found, _ in exact.values()) == points)
        if not grid:
            most = min(most, max(2, round(points**0.5)))
            for name, (found, place) in exact.items():
                if len(found) > most and np.issubdtype(found.dtype, np.number):
                    levels[name] = place.argsort(kind="stable").argsort(kind="stable") * most // points
        return cls(levels, grid)


@dataclass(frozen=True, slots=True)
class Share:
    """What a factor explains of the variance.

    Attributes
    ----------
    alone, total : tuple of (share, low, high)
        By itself (the first-order index), and together with whatever it does in combination with others (the
        total index); NaN where the sweep cannot say.
    """

    alone: tuple[float, float, float]
    total: tuple[float, float, float]


def shares(measured: Float64Array, design: Design) -> dict[str, Share]:
    """Shares of each parameter that varies, of the policy and of the seed, in the variance of a measure.

    Bands are of Student's t around the estimate, by leaving out groups of seeds, and of drawn points, in turn
    (jackknife); none with fewer than three seeds or points, and with fewer than some thirty they hold the
    truth less often than they should.

    Parameters
    ----------
    measured : float64 (points, policies, seeds)
    design : Design

    References
    ----------
    Sobol, Global sensitivity indices for nonlinear mathematical models, 2001; Homma and Saltelli, 1996 (total
    index); Arvesen, Jackknifing U-statistics, 1969; Owen, The pigeonhole bootstrap, 2007 (two ways to
    resample).
    """
    names, estimate = _estimator(design, measured.shape)
    spread = float(np.ptp(measured))
    if not spread:
        unknown = (float("nan"),) * 3
        return dict.fromkeys(names, Share(unknown, unknown))
    centred = (measured - measured.mean()) / spread
    whole = estimate(np.arange(measured.shape[0]), centred)
    error, freedom = _error(centred, design, estimate)
    reach = np.full(len(whole), np.nan) if freedom is None else error**0.5 * student(freedom)
    found = np.stack((whole, whole - reach, whole + reach)).round(12).clip(0.0, 1.0) + 0.0
    alone, total = found[:, : len(names)], found[:, len(names) :]
    return {
        name: Share(tuple(alone[:, at].tolist()), tuple(total[:, at].tolist()))
        for at, name in enumerate(names)
    }


#: Gives the shares alone, then those in total, of some of the points.
_Estimate = Callable[[Int64Array, Float64Array], Float64Array]


def _estimator(design: Design, shape: tuple[int, int, int]) -> tuple[list[str], _Estimate]:
    """Names of the factors that vary, and what estimates their shares."""
    varied = [name for name, levels in design.levels.items() if levels.max() > 0]
    names = [*varied, *([POLICY] if shape[1] > 1 else []), *([SEED] if shape[2] > 1 else [])]

    def estimate(points: Int64Array, y: Float64Array) -> Float64Array:
        mean = y.mean(axis=1)
        centre = _square(mean, design.grid)
        variance = float(np.mean(y * y)) - centre
        alone: list[float] = []
        total: list[float] = []
        for name in names:
            if name == SEED:
                alone.append(_within_seeds(mean, design.grid))
                total.append(float(np.var(y, axis=2, ddof=1).mean()))
            elif name == POLICY:
                alone.append(fmean(_square(y[:, at], design.grid) for at in range(y.shape[1])))
                total.append(float(np.var(y, axis=1).mean()))
            else:
                alone.append(_between(mean, design.levels[name][points], design.grid))
                total.append(_within(y, design, name) if design.grid else np.nan)
        if variance <= 0.0:
            return np.full(2 * len(names), np.nan)
        return np.concatenate((np.array(alone) - centre, total)) / variance

    return names, estimate


def _square(sample: Float64Array, grid: bool) -> float:
    """Square of the expectation: the mean product of two cells of different seeds, and points if drawn.

    Parameters
    ----------
    sample : float64 (points, seeds)
    grid : bool
    """
    if grid:
        sample = sample.mean(axis=0, keepdims=True)
    points, seeds = sample.shape
    both = sample.sum() ** 2
    pairs = float(points * points * seeds * seeds)
    if points > 1:
        both -= (sample.sum(axis=1) ** 2).sum()
        pairs -= points * seeds * seeds
    if seeds > 1:
        both -= (sample.sum(axis=0) ** 2).sum()
        pairs -= points * points * seeds
    if points > 1 and seeds > 1:
        both += (sample * sample).sum()
        pairs += points * seeds
    return float(both / pairs)


def _within_seeds(mean: Float64Array, grid: bool) -> float:
    """Mean square of the expectation given the seed."""
    points, of_seed = len(mean), mean.sum(axis=0)
    if grid:
        return float(np.mean(of_seed**2)) / points**2
    return float(np.mean(of_seed**2 - (mean * mean).sum(axis=0))) / (points * (points - 1))


def _between(mean: Float64Array, levels: Int64Array, grid: bool) -> float:
    """Mean square of the expectation given the class of a parameter; a class of one drawn point says none."""
    sizes = np.bincount(levels)
    told = [level for level, size in enumerate(sizes) if size > (0 if grid else 1)]
    if not told:
        return float("nan")
    squares = [_square(mean[levels == level], grid) for level in told]
    return float(np.average(squares, weights=sizes[told]))


def _within(y: Float64Array, design: Design, name: str) -> float:
    """Mean variance over the values of a parameter, all else the same."""
    others = np.zeros(len(y), np.int64)
    for other, levels in design.levels.items():
        if other != name:
            others = others * (levels.max() + 1) + levels
    rows = np.lexsort((design.levels[name], others))
    count = int(design.levels[name].max()) + 1
    return float(np.var(y[rows].reshape(-1, count, *y.shape[1:]), axis=1).mean())


def _error(y: Float64Array, design: Design, estimate: _Estimate) -> tuple[Float64Array, float | None]:
    """Variance of the estimates and its degrees of freedom: seeds and drawn points are samples, both."""
    points, _, seeds = y.shape
    everything = np.arange(points)
    parts: list[tuple[Float64Array, int]] = []
    if seeds > 2:
        groups = min(seeds, _GROUPS)
        kept = (np.arange(seeds) % groups != at for at in range(groups))
        parts.append((_jackknife([estimate(everything, y[:, :, keep]) for keep in kept]), groups - 1))
    if not design.grid and points > 2:
        groups = min(points, _GROUPS)
        some = [everything[everything % groups != at] for at in range(groups)]
        parts.append((_jackknife([estimate(points, y[points]) for points in some]), groups - 1))
    if not parts:
        return np.zeros(0), None
    return np.sum([error for error, _ in parts], axis=0), float(min(freedom for _, freedom in parts))


def _jackknife(left_out: Sequence[Float64Array]) -> Float64Array:
    """Variance of an estimate, from what it becomes when each group is left out."""
    return (len(left_out) - 1) * np.var(np.stack(left_out), axis=0)
