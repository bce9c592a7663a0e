"""Made-up moves of a whole market: flash crash, rally, slow bleed, and an asset that loses its peg.

They are relative: every market starts at its own mark, and the largest comes first. Betas rise along the
list, from ``1 - dispersion`` for the largest to ``1 + dispersion`` for the smallest, scattered by a fifth
of the dispersion, so that what a parameter says of a fall holds for the market in the middle.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import ClassVar, Protocol, TypeAlias

import numpy as np

from fastadl.contracts import Instruments
from fastadl.errors import InputError
from fastadl.policy.choices import nearest
from fastadl.schema import Float64Array
from fastadl.stress.paths.checks import YEAR, between, timed
from fastadl.stress.paths.path import Path, asset_of
from fastadl.stress.paths.scenario import Scenario, first_marks, marked

__all__ = ["START", "Depeg", "FlashCrash", "Rally", "SlowBleed", "betas", "relative"]

#: When made-up paths begin: 2025-01-01 00:00 UTC.
START = 1735689600
#: Standard deviation of betas around what their rank gives, as a share of the dispersion.
_SCATTER = 0.2

Random: TypeAlias = np.random.Generator


class Relative(Protocol):
    """Parameters of returns: a frozen dataclass."""

    name: ClassVar[str]
    title: ClassVar[str]
    source: ClassVar[str]

    @property
    def seconds(self) -> int: ...

    def returns(self, instruments: Instruments, random: Random) -> Float64Array:
        """Logarithms of marks over first marks: float64 (steps, instruments), the first step 0."""
        ...


def relative(shape: Relative) -> Scenario:
    """The scenario of returns only."""
    return Scenario(
        shape.name,
        shape.title,
        shape.source,
        asdict(shape),  # type: ignore[call-overload]
        {},
        partial(_draw, shape=shape),
    )


def _draw(instruments: Instruments, seed: int, *, shape: Relative) -> Path:
    moves = shape.returns(instruments, np.random.default_rng([seed, 2]))
    times = START + shape.seconds * np.arange(len(moves))
    return marked(times, moves, instruments, f"{shape.name} ({shape.source})")


def betas(count: int, dispersion: float, random: Random) -> Float64Array:
    """Beta of each market, largest first: float64 (count), above 0 and about 1 in the middle."""
    rank = (np.arange(count) + 0.5) / count
    return np.maximum(1 + dispersion * (2 * rank - 1 + _SCATTER * random.standard_normal(count)), 0.05)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlashCrash:
    """All markets fall faster and faster, overshoot, and come back in part.

    Parameters
    ----------
    depth : float
        How far the market in the middle falls: 0.45 is 45 %.
    ramp : int
        Steps to the low.
    recovery : float
        Share of the fall, in logarithms, that is made good in the end.
    half_life : float
        Seconds after the low until half of that is.
    dispersion : float
        How betas differ (see the module).
    noise : float
        Spread of wicks at the low, in logarithms: a market's own overshoot at one step, gone at the next.
        It grows with the fall and fades with the half-life.
    steps, seconds : int
        Steps, the first one included, and seconds from one to the next.
    """

    name: ClassVar[str] = "flash-crash"
    title: ClassVar[str] = "All markets fall within minutes, overshoot, and come back in part"
    source: ClassVar[str] = "made up, about as deep and fast as the average token on 10 October 2025"

    depth: float = 0.45
    ramp: int = 12
    recovery: float = 0.6
    half_life: float = 600.0
    dispersion: float = 0.5
    noise: float = 0.05
    steps: int = 48
    seconds: int = 60

    def __post_init__(self) -> None:
        between("depth", self.depth, 0.001, 0.999)
        _check(self)

    def returns(self, instruments: Instruments, random: Random) -> Float64Array:
        """See `Relative`."""
        return _moves(self, float(np.log(1 - self.depth)), len(instruments), random)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rally:
    """All markets rise faster and faster, overshoot, and give part of it back: shorts are squeezed.

    Parameters
    ----------
    height : float
        How far the market in the middle rises: 0.7 is 70 %.
    ramp, recovery, half_life, dispersion, noise, steps, seconds
        As for `FlashCrash`, the other way up.
    """

    name: ClassVar[str] = "rally"
    title: ClassVar[str] = "All markets rise within the hour, overshoot, and give part of it back"
    source: ClassVar[str] = "made up"

    height: float = 0.7
    ramp: int = 12
    recovery: float = 0.5
    half_life: float = 1800.0
    dispersion: float = 0.5
    noise: float = 0.05
    steps: int = 48
    seconds: int = 300

    def __post_init__(self) -> None:
        between("height", self.height, 0.001, 100)
        _check(self)

    def returns(self, instruments: Instruments, random: Random) -> Float64Array:
        """See `Relative`."""
        return _moves(self, float(np.log1p(self.height)), len(instruments), random)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowBleed:
    """Weeks of small falls.

    Parameters
    ----------
    fall : float
        How far the market in the middle has fallen at the end.
    volatility : float
        A year, of each market around its way down: a Brownian bridge, which ends where it began.
    correlation : float
        Of any two markets around their ways, from one common factor.
    dispersion : float
        How betas differ (see the module).
    steps, seconds : int
        Steps, the first one included, and seconds from one to the next.
    """

    name: ClassVar[str] = "slow-bleed"
    title: ClassVar[str] = "Three weeks of small falls"
    source: ClassVar[str] = "made up"

    fall: float = 0.45
    volatility: float = 0.8
    correlation: float = 0.6
    dispersion: float = 0.5
    steps: int = 85
    seconds: int = 21600

    def __post_init__(self) -> None:
        between("fall", self.fall, 0.001, 0.999)
        between("volatility", self.volatility, 0, 100)
        between("correlation", self.correlation, 0, 1)
        between("dispersion", self.dispersion, 0, 1)
        timed(self.steps, self.seconds)

    def returns(self, instruments: Instruments, random: Random) -> Float64Array:
        """See `Relative`."""
        way = np.linspace(0.0, 1.0, self.steps)[:, None]
        common = random.standard_normal((self.steps, 1))
        own = random.standard_normal((self.steps, len(instruments)))
        shocks = self.correlation**0.5 * common + (1 - self.correlation) ** 0.5 * own
        shocks[0] = 0.0
        walk = self.volatility * (self.seconds / YEAR) ** 0.5 * np.cumsum(shocks, axis=0)
        down = float(np.log(1 - self.fall)) * betas(len(instruments), self.dispersion, random)
        return down * way + walk - way * walk[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Depeg:
    """One asset loses its peg and recovers in part, or not; all others react.

    Parameters
    ----------
    asset : str
        Which one; unless given, the market whose mark is nearest to 1, as a dollar's would be.
    depth : float
        How far it falls.
    recovery : float
        Share of the fall, in logarithms, that is made good in the end; 0 for none.
    contagion : float
        The fall of the market in the middle as a share of the asset's, in logarithms.
    ramp, half_life, dispersion, noise, steps, seconds
        As for `FlashCrash`.
    """

    name: ClassVar[str] = "depeg"
    title: ClassVar[str] = "One asset loses its peg, and the others react"
    source: ClassVar[str] = "made up; UST lost 77 % in May 2022, and bitcoin a quarter"

    asset: str = ""
    depth: float = 0.77
    ramp: int = 36
    recovery: float = 0.3
    half_life: float = 21600.0
    contagion: float = 0.25
    dispersion: float = 0.5
    noise: float = 0.05
    steps: int = 72
    seconds: int = 3600

    def __post_init__(self) -> None:
        between("depth", self.depth, 0.001, 0.999_999)
        between("contagion", self.contagion, -2, 2)
        _check(self)

    def returns(self, instruments: Instruments, random: Random) -> Float64Array:
        """See `Relative`."""
        broken = _pegged(instruments, self.asset)
        move = float(np.log(1 - self.depth))
        moves = _moves(self, self.contagion * move, len(instruments), random)
        moves[:, [broken]] = _moves(replace(self, dispersion=0.0), move, 1, random)
        return moves


class _Shock(Protocol):
    """A move to an extreme and part of the way back."""

    @property
    def ramp(self) -> int: ...
    @property
    def recovery(self) -> float: ...
    @property
    def half_life(self) -> float: ...
    @property
    def dispersion(self) -> float: ...
    @property
    def noise(self) -> float: ...
    @property
    def steps(self) -> int: ...
    @property
    def seconds(self) -> int: ...


def _check(shock: _Shock) -> None:
    timed(shock.steps, shock.seconds)
    between("ramp", shock.ramp, 1, shock.steps - 1)
    between("recovery", shock.recovery, 0, 2)
    between("half_life", shock.half_life, 1, 1e9)
    between("dispersion", shock.dispersion, 0, 1)
    between("noise", shock.noise, 0, 1)


def _moves(shock: _Shock, move: float, count: int, random: Random) -> Float64Array:
    """Returns of so many markets, of which the middle one moves by `move` in logarithms."""
    step = np.arange(shock.steps)[:, None]
    fading = 0.5 ** (np.maximum(step - shock.ramp, 0) * shock.seconds / shock.half_life)
    # A cascade feeds on itself: half of the move takes the last third of the way.
    done = np.minimum(step / shock.ramp, 1.0) ** 1.7
    wicks = shock.noise * np.sign(move) * np.abs(random.standard_normal((shock.steps, count)))
    way = move * done * (1 - shock.recovery * (1 - fading)) + wicks * done * fading
    return betas(count, shock.dispersion, random) * way


def _pegged(instruments: Instruments, asset: str) -> int:
    if not asset:
        return int(np.argmin(np.abs(np.log(first_marks(instruments)))))
    assets = [asset_of(symbol) for symbol in instruments.symbols]
    if asset_of(asset) not in assets:
        remedy = f"name an asset of the book, such as {', '.join(assets[:3])}{nearest(asset.upper(), assets)}"
        raise InputError(("scenario", "asset"), asset, remedy)
    return assets.index(asset_of(asset))
