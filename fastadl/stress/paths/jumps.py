"""Markets that jump together: a jump-diffusion with the tails of a t-copula."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fastadl.contracts import Instruments
from fastadl.schema import Float64Array
from fastadl.stress.paths.checks import YEAR, between, timed
from fastadl.stress.paths.shapes import betas

__all__ = ["Jumps"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Jumps:
    """Every market diffuses and jumps; large moves come together.

    The return of a step is ``drift + s·T + jumps`` in logarithms. T is multivariate Student's t scaled to
    variance 1: its copula is the t-copula with `nu` degrees of freedom, whose tails depend on each other,
    unlike the normal one's (Demarta and McNeil, 2005). Jumps are Merton's (1976): their number is Poisson,
    their sizes normal.

    Parameters
    ----------
    volatility : float
        A year, of the market in the middle; s is ``volatility·beta·sqrt(seconds)`` for each.
    dispersion : float
        How volatilities differ: from ``1 - dispersion`` times that of the middle for the largest market to
        ``1 + dispersion`` times for the smallest.
    correlation : float
        Of any two markets, from one common factor: of T, and of the sizes of a common jump.
    nu : float
        Degrees of freedom, above 2.
    drift : float
        A year, in logarithms, of every market.
    jumps : float
        A day, expected in each market.
    jump_mean, jump_spread : float
        Mean and standard deviation of a jump, in logarithms.
    common : float
        Share of jumps that hit all markets at once.
    steps, seconds : int
        Steps, the first one included, and seconds from one to the next.
    """

    name: ClassVar[str] = "jumps"
    title: ClassVar[str] = "A day of diffusion and jumps, in which large moves come together"
    source: ClassVar[str] = "a model: Merton's jump-diffusion with a t-copula"

    volatility: float = 2.0
    dispersion: float = 0.3
    correlation: float = 0.6
    nu: float = 4.0
    drift: float = 0.0
    jumps: float = 4.0
    jump_mean: float = -0.08
    jump_spread: float = 0.06
    common: float = 0.7
    steps: int = 97
    seconds: int = 900

    def __post_init__(self) -> None:
        between("volatility", self.volatility, 0, 100)
        between("dispersion", self.dispersion, 0, 1)
        between("correlation", self.correlation, 0, 1)
        between("nu", self.nu, 2.01, 1e6)
        between("drift", self.drift, -1000, 1000)
        between("jumps", self.jumps, 0, 1e5)
        between("jump_mean", self.jump_mean, -5, 5)
        between("jump_spread", self.jump_spread, 0, 5)
        between("common", self.common, 0, 1)
        timed(self.steps, self.seconds)

    def returns(self, instruments: Instruments, random: np.random.Generator) -> Float64Array:
        """See `fastadl.stress.paths.shapes.Relative`."""
        shape = (self.steps - 1, len(instruments))
        moves = self.drift * self.seconds / YEAR + self._diffusion(shape, random) + self._jumps(shape, random)
        return np.concatenate([np.zeros((1, shape[1])), np.cumsum(moves, axis=0)])

    def _diffusion(self, shape: tuple[int, int], random: np.random.Generator) -> Float64Array:
        # One divisor for all markets of a step makes the draw multivariate t, and not t one by one.
        divisor = random.chisquare(self.nu, (shape[0], 1)) / (self.nu - 2)
        spread = self.volatility * (self.seconds / YEAR) ** 0.5 * betas(shape[1], self.dispersion, random)
        return spread * _normals(random, shape, self.correlation) / np.sqrt(divisor)

    def _jumps(self, shape: tuple[int, int], random: np.random.Generator) -> Float64Array:
        rate = self.jumps * self.seconds / 86400
        together = random.poisson(self.common * rate, (shape[0], 1))
        alone = random.poisson((1 - self.common) * rate, shape)
        sizes = np.sqrt(together) * _normals(random, shape, self.correlation)
        sizes += np.sqrt(alone) * random.standard_normal(shape)
        return self.jump_mean * (together + alone) + self.jump_spread * sizes


def _normals(random: np.random.Generator, shape: tuple[int, int], correlation: float) -> Float64Array:
    """Standard normal columns, any two of one correlation."""
    factor = random.standard_normal((shape[0], 1))
    return correlation**0.5 * factor + (1 - correlation) ** 0.5 * random.standard_normal(shape)
