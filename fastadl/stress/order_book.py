"""Order books of a simulation: depth, what orders do to the price, and how both come back (rule R100).

What to believe. **Facts**: on 2025-10-10 the depth within 1 % of mid on Hyperliquid fell from 1,124 M to
284 M in all; before, its markets had 5.47 M of it in the mean and 0.42 M in the median, and an open interest
of 46.2 M in the mean, 8.4 M in the median, 8.51 B in all; bitcoin fell from some 122,000 to 102,000 to
105,000. A position above 100k is first closed by a fifth, then there are 30 s of cooldown (`Partial`).
**Derived** from them: `depth`, `concentration` (if both are lognormal over the markets), `floor`, and
`elasticity` (given `calm`). **Assumed**: that these figures hold for each side of the book; the two shapes of
impact, which are the usual ones and no more than that far beyond the visible book; `calm`, `band`,
`half_life`, `permanent`, `adl_share`; that market makers refill the book around the new price between two
steps; that depth depends on a market's own last move only. So believe the direction and the order of
magnitude, compare policies and settings with each other, and vary what is assumed before relying on a level.
A historical path already holds the cascade that happened: with feedback its fall is counted twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fastadl.decimals import exact, plain
from fastadl.errors import InputError, StageError
from fastadl.policy import Partial
from fastadl.policy.choices import one_of
from fastadl.policy.funding import Amount, number, refuse_unknown
from fastadl.policy.partial import seconds
from fastadl.schema import SUM_BOUND, Float64Array, Int64Array

if TYPE_CHECKING:
    from fastadl.contracts import Instruments
    from fastadl.engine import Report

__all__ = ["Depth", "OrderBook"]

#: Slippage counts in these, rounded against the account that is closed.
_STEPS = 10**9
#: The price is never pushed farther than this from its path by one cause, in logarithms: to a twentieth.
_FARTHEST = 3.0
_HOUR = 3600.0
_POWERS = np.array([float(10**k) for k in range(301)])
_CAUSES = ("liquidations", "adl")

#: Field → least, most, and which of the two is still allowed.
_RANGES: dict[str, tuple[int, int, str]] = {
    "depth": (0, 1000, "most"),
    "concentration": (0, 3, "both"),
    "distance": (0, 1, "neither"),
    "band": (0, 1, "neither"),
    "elasticity": (0, 10, "both"),
    "calm": (0, 1, "most"),
    "floor": (0, 1, "most"),
    "permanent": (0, 1, "both"),
    "adl_share": (0, 1, "both"),
    "fee": (0, 1, "least"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """Settings of simulated order books; the fields of the table ``[liquidity]`` of an experiment.

    Parameters
    ----------
    depth : decimal
        Notional resting on each side within `distance` of mark, in all markets of a currency together, as a
        share of their open interest at first (1,124 M of 8.51 B).
    concentration : decimal
        How it is spread: in proportion to open interest to this power. 1 gives all markets the same share;
        above 1 small markets are thinner. By default the power that leads from the medians (8.4 M open
        interest, 0.42 M depth) to the means (46.2 M, 5.47 M).
    markets : mapping of symbol to decimal
        Depth of single markets, in units of their currency, in place of the above.
    distance : decimal
        In (0, 1): how far from mark `depth` reaches.
    impact : {"linear", "square_root"}
        Orders of notional q have moved the price by ``distance · q / depth``, or by ``distance · √(q /
        depth)``, when they are done. The price they get is the mean over their lots: a half, or two thirds.
    band : decimal
        In (0, 1): lots that would move the price farther than this from mark are not closed.
    elasticity : decimal
        By how many per cent depth falls where volatility rises by one: depth is `depth` times
        ``(calm / volatility) ** elasticity``, volatility being that of the last step, scaled to an hour by
        the square root of time. 0.4 leaves a quarter after 16 % in an hour.
    calm : decimal
        In (0, 1]: return of an hour up to which depth is whole.
    floor : decimal
        In (0, 1]: the least share of depth that stays (284 M of 1,124 M).
    half_life : int
        Seconds in which half of the depth that is missing, and of a price's displacement, is gone.
    permanent : decimal
        Share of each displacement that stays for good.
    adl_share : decimal
        Share of the lots taken from traders by deleveraging that they put on again in the order book: who
        lost a short sells, who lost a long buys, which pushes the price on.
    feedback : {"all", "liquidations", "off"}
        Whose orders move the price of later steps.
    fee, surplus
        As in `fastadl.Liquidity`; here the surplus goes to the fund unless given.
    slice, slice_above, cooldown, in_cooldown, step_down
        Partial close-outs, see `fastadl.policy.Partial` (rule R101); off unless given.
    bankrupt : {"fund", "book"}
        Where accounts go that are bankrupt at mark (rule R101).

    Raises
    ------
    InputError
        Naming the field of ``liquidity``.

    Examples
    --------
    >>> Depth(impact="square_root", band="0.1").feedback
    'all'
    """

    depth: Amount = "0.132"
    concentration: Amount = "1.23"
    markets: Mapping[str, Amount] = field(default_factory=dict)
    distance: Amount = "0.01"
    impact: Literal["linear", "square_root"] = "linear"
    band: Amount = "0.05"
    elasticity: Amount = "0.4"
    calm: Amount = "0.005"
    floor: Amount = "0.25"
    half_life: int = 900
    permanent: Amount = "0"
    adl_share: Amount = "0.5"
    feedback: Literal["all", "liquidations", "off"] = "all"
    fee: Amount = "0"
    surplus: Literal["trader", "fund"] = "fund"
    slice: Amount | None = None
    slice_above: Amount = "0"
    cooldown: int = 0
    in_cooldown: Literal["wait", "whole"] = "wait"
    step_down: bool = False
    bankrupt: Literal["fund", "book"] = "fund"

    def __post_init__(self) -> None:
        for name in _RANGES:
            object.__setattr__(self, name, _ranged(name, getattr(self, name)))
        object.__setattr__(self, "markets", _notionals(self.markets))
        one_of(("liquidity", "impact"), self.impact, ("linear", "square_root"))
        one_of(("liquidity", "feedback"), self.feedback, ("all", "liquidations", "off"))
        one_of(("liquidity", "surplus"), self.surplus, ("trader", "fund"))
        seconds("half_life", self.half_life, least=1)
        for name in ("slice", "slice_above"):
            object.__setattr__(self, name, getattr(self.partial, name))

    @classmethod
    def of(cls, settings: object) -> Depth:
        """Settings from a mapping as in an experiment's file, or from nothing (all defaults)."""
        if isinstance(settings, Depth):
            return settings
        if settings is None:
            return cls()
        if not isinstance(settings, Mapping):
            raise InputError(("liquidity",), settings, "give a table, or leave it out")
        refuse_unknown(settings, tuple(item.name for item in fields(cls)), "liquidity")
        return cls(**settings)

    def to_dict(self) -> dict[str, Any]:
        """The table `of` reads, decimals as text; a slice that is not given is left out."""
        shown = {item.name: getattr(self, item.name) for item in fields(self)}
        shown["markets"] = {symbol: plain(exact(value)) for symbol, value in self.markets.items()}
        return {
            name: plain(value) if isinstance(value, Fraction) else value
            for name, value in shown.items()
            if value is not None
        }

    @property
    def partial(self) -> Partial:
        """How much of a position one order may close."""
        given = (self.slice, self.slice_above, self.cooldown, self.in_cooldown, self.step_down)
        return Partial(*given, self.bankrupt)


class OrderBook:
    """The order books of all instruments along one run, as the engine's `liquidity` (rule R100).

    A step is ``engine.tick(book.marks(path, time), time=time)``, then ``book.absorb(report)``. The engine
    asks and changes nothing; only `marks` and `absorb` move the books on.

    Parameters
    ----------
    settings : Depth
    instruments : Instruments
    open_interest : float64 (instruments)
        Value of all longs of each market at first, in atoms of its currency, 0 or more.

    Raises
    ------
    InputError
        For a symbol in ``markets`` that does not exist, or an open interest that cannot be.

    Examples
    --------
    >>> import numpy as np
    >>> import fastadl as fa
    >>> book = fa.synth.book("pareto", positions=1000, accounts=400, instruments=5, seed=1)
    >>> orders = OrderBook(Depth(), book.instruments, np.full(5, 1e12))
    >>> engine = fa.Engine(book, liquidity=orders)
    >>> report = engine.tick(orders.marks(engine.marks * 0.9, time=0), time=0)
    >>> orders.absorb(report)
    >>> bool((orders.displacement["liquidations"] < 0).any())
    True
    """

    def __init__(self, settings: Depth, instruments: Instruments, open_interest: Float64Array) -> None:
        self.settings = settings
        self.partial = settings.partial
        self.fee = exact(settings.fee)
        self.surplus = settings.surplus
        self._symbols = instruments.symbols
        self._inverse = instruments.inverse
        self._scale = np.array([float(item.scale) for item in instruments])
        self._whole = _spread(settings, instruments, np.asarray(open_interest, np.float64))
        self._share = np.ones(len(instruments))
        self._lasting = np.zeros((len(_CAUSES), len(instruments)))
        self._passing = np.zeros_like(self._lasting)
        self._price: Float64Array | None = None
        self._time = 0

    def marks(self, path: Float64Array, time: int) -> Float64Array:
        """Marks of a step: those of the path, moved by what earlier steps left.

        Depth and displacement recover by the time that has passed, then depth falls by the move just seen.
        A displaced mark is rounded to nine significant digits; others are the path's own.

        Parameters
        ----------
        path : float64 (instruments)
            Above 0 and finite.
        time : int
            Seconds, later than at the last step.

        Returns
        -------
        float64 (instruments)
        """
        path = np.asarray(path, np.float64)
        if path.shape != self._scale.shape or not (np.isfinite(path) & (path > 0)).all():
            raise InputError(("marks",), path.shape, f"give {len(self._scale)} finite prices above zero")
        passed = time - self._time if self._price is not None else 0
        if self._price is not None and passed <= 0:
            raise InputError(("time",), time, f"give a time after {self._time}")
        left = 0.5 ** (passed / self.settings.half_life)
        self._passing *= left
        price = _moved(path, (self._lasting + self._passing).sum(axis=0))
        self._share = 1.0 - (1.0 - self._share) * left
        if self._price is not None:
            self._share = np.minimum(self._share, self._standing(np.abs(np.log(price / self._price)), passed))
        self._price, self._time = price, time
        return price.copy()

    def check(self, instruments: Instruments) -> None:
        """Refuse instruments other than those it was made for."""
        if instruments.symbols != self._symbols:
            remedy = "make an order book for the instruments of the book"
            raise InputError(("liquidity",), f"{len(self._symbols)} instruments", remedy)

    def fits(
        self,
        demand: Int64Array,
        instruments: Instruments,  # noqa: ARG002 - those of `check`
    ) -> tuple[Int64Array, dict[int, Fraction]]:
        """Lots that fit between mark and the band, and the mean price they get, by leg (rule R100)."""
        settings = self.settings
        depth, unit = np.repeat(self.depth, 2), np.repeat(self._units(), 2)
        reach = float(settings.band) / float(settings.distance)
        room = depth * (reach if settings.impact == "linear" else reach * reach) / unit
        lots = np.minimum(demand, np.minimum(room, float(SUM_BOUND)).astype(np.int64))
        mean = (0.5 if settings.impact == "linear" else 2.0 / 3.0) * self._impact(lots * unit, depth)
        steps = np.ceil(mean * _STEPS).astype(np.int64)
        return lots, {
            leg: Fraction(_STEPS + steps_of if leg & 1 else _STEPS - steps_of, _STEPS)
            for leg, steps_of in zip(np.flatnonzero(lots).tolist(), steps[lots > 0].tolist(), strict=True)
        }

    def absorb(self, report: Report) -> None:
        """Let what a tick did move the prices of later steps, as far as `feedback` says.

        The orders of a step push the price to where the last of their lots was done, net of buying and
        selling, and at most to the band; deleveraged traders come to a book that has been refilled.
        """
        settings = self.settings
        shares = {"executions": 1.0, "adl_fills": float(settings.adl_share)}
        for cause, (name, share) in enumerate(shares.items()):
            if settings.feedback == "off" or (cause == 1 and settings.feedback != "all"):
                continue
            lots = report.lots(name)
            sold = share * (lots[::2] - lots[1::2]) * self._units()
            moved = np.minimum(self._impact(np.abs(sold), self.depth), float(settings.band))
            push = np.log1p(-np.sign(sold) * moved)
            lasting = float(settings.permanent)
            self._lasting[cause] += lasting * push
            self._passing[cause] += (1.0 - lasting) * push
            np.clip(self._lasting[cause], -_FARTHEST, _FARTHEST, out=self._lasting[cause])
            beyond = _FARTHEST - np.abs(self._lasting[cause])
            np.clip(self._passing[cause], -beyond, beyond, out=self._passing[cause])

    @property
    def depth(self) -> Float64Array:
        """Notional within `distance` of mark on each side now, in atoms: float64 (instruments)."""
        return self._whole * self._share

    @property
    def displacement(self) -> dict[str, Float64Array]:
        """How far each cause holds marks from the path, as returns: float64 (instruments) each.

        ``(1 + liquidations) · (1 + adl)`` times the path is the mark of the next step, if no time passes.
        """
        moved = np.expm1(self._lasting + self._passing)
        return dict(zip(_CAUSES, moved, strict=True))

    def _units(self) -> Float64Array:
        """Value of one lot at the last marks, in atoms."""
        if self._price is None:
            raise StageError("the order book has no prices yet: call marks(path, time) first")
        return np.where(self._inverse, self._scale / self._price, self._scale * self._price)

    def _impact(self, notional: Float64Array, depth: Float64Array) -> Float64Array:
        """How far orders of this notional move the price until they are done; 0 where there is no depth."""
        part = np.divide(notional, depth, out=np.zeros_like(notional), where=depth > 0.0)
        if self.settings.impact == "square_root":
            part = np.sqrt(part)
        return float(self.settings.distance) * part

    def _standing(self, move: Float64Array, passed: int) -> Float64Array:
        """Share of depth that market makers leave standing at a move within some seconds."""
        settings = self.settings
        calm = float(settings.calm) * np.sqrt(passed / _HOUR)
        rising = np.maximum(move / calm, 1.0)
        return np.maximum(rising ** -float(settings.elasticity), float(settings.floor))


def _spread(settings: Depth, instruments: Instruments, interest: Float64Array) -> Float64Array:
    """Depth of every market in calm times, in atoms."""
    if interest.shape != (len(instruments),) or not (np.isfinite(interest) & (interest >= 0)).all():
        remedy = f"give {len(instruments)} finite amounts, 0 or more"
        raise InputError(("open_interest",), interest.shape, remedy)
    currency, count = instruments.currency, len(instruments.currencies)
    largest = np.zeros(count)
    np.maximum.at(largest, currency, interest)
    size = np.divide(interest, largest[currency], out=np.zeros_like(interest), where=interest > 0)
    weight = np.where(size > 0, size ** float(settings.concentration), 0.0)
    total = np.bincount(currency, interest, count)[currency]
    weights = np.bincount(currency, weight, count)[currency]
    per_weight = np.divide(total, weights, out=np.zeros_like(total), where=weights > 0)
    depth = float(settings.depth) * weight * per_weight
    for symbol, notional in settings.markets.items():
        code = instruments.lookup(symbol, ("liquidity", "markets", symbol))
        depth[code] = float(exact(notional) * 10 ** instruments[code].decimals)
    return depth


def _moved(path: Float64Array, displacement: Float64Array) -> Float64Array:
    """Prices moved in logarithms, to nine significant digits; those not moved stay as they are."""
    price = path * np.exp(displacement)
    places = 8 - np.floor(np.log10(price)).astype(np.int64)
    scale = _POWERS[np.minimum(np.abs(places), len(_POWERS) - 1)]
    rounded = np.where(places >= 0, np.rint(price * scale) / scale, np.rint(price / scale) * scale)
    return np.where(displacement == 0.0, path, np.where(rounded > 0.0, rounded, price))


def _ranged(name: str, value: Any) -> Fraction:
    """A decimal within the range of its field."""
    least, most, allowed = _RANGES[name]
    given = number(value, ("liquidity", name))
    below = given < least or (given == least and allowed not in ("least", "both"))
    above = given > most or (given == most and allowed not in ("most", "both"))
    if below or above:
        start = f"from {least}" if allowed in ("least", "both") else f"above {least}"
        end = f"to {most}" if allowed in ("most", "both") else f"below {most}"
        raise InputError(("liquidity", name), value, f"give a number {start} {end}")
    return given


def _notionals(markets: object) -> dict[str, Fraction]:
    if not isinstance(markets, Mapping):
        raise InputError(("liquidity", "markets"), markets, "give notionals by symbol")
    found = {}
    for symbol, value in markets.items():
        path = ("liquidity", "markets", str(symbol))
        found[str(symbol)] = number(value, path)
        if found[str(symbol)] <= 0:
            raise InputError(path, value, "give an amount above 0")
    return found
