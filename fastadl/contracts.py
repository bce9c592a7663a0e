"""Instruments: what a lot is worth at a price, and what margin a notional needs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import IntEnum
from fractions import Fraction
from functools import cached_property
from math import lcm
from typing import Any

import numpy as np

from fastadl.errors import InputError
from fastadl.schema import SUM_BOUND, BoolArray, Float64Array, Int64Array, IntArray

__all__ = ["Instrument", "Instruments", "Kind", "Tier", "TierTable", "decimal_scale"]

#: Numerators and denominators up to here go through the integer kernels; wider ones through Python integers.
WIDE = 1 << 62
#: Instruments share one denominator of rates up to here, so that their margins add up in integers.
_SHARED_RATES = 10**6
#: A power of ten beyond all kernels.
_NEVER = 1 << 20


class Kind(IntEnum):
    """What one lot is worth: `+c·P` (linear, quanto) or `−c/P` (inverse)."""

    LINEAR = 0
    INVERSE = 1
    QUANTO = 2


@dataclass(frozen=True, slots=True)
class Tier:
    """One step of a maintenance-margin ladder, money in atoms.

    The margin of a row is the largest ``maintenance_rate · notional − deduction`` over all tiers, at least
    zero (rule R4).
    """

    min_notional: Fraction
    maintenance_rate: Fraction
    deduction: Fraction
    max_leverage: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Instrument:
    """A futures contract.

    Parameters
    ----------
    symbol : str
    kind : Kind
    contract_size : Fraction
        Linear and quanto: settlement currency per 1 contract per 1 of price. Inverse: face of 1 contract.
    lot : Fraction
        Smallest step of quantity, in contracts.
    tiers : tuple of Tier
        From the smallest notional up.
    currency : str
        Settlement currency.
    decimals : int
        An atom is ``10**-decimals`` of the settlement currency.
    mark : Fraction, optional
        Mark price before the first tick.
    delisted : bool
        Finally settled, and closed to trading (rule R107).

    Attributes
    ----------
    scale : Fraction
        Atoms per lot per unit of price: the `c` of rule R2.
    """

    symbol: str
    kind: Kind
    contract_size: Fraction
    lot: Fraction
    tiers: tuple[Tier, ...]
    currency: str = "USD"
    decimals: int = 6
    mark: Fraction | None = None
    delisted: bool = False
    scale: Fraction = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", self.contract_size * self.lot * 10**self.decimals)

    def unit_value(self, price: Fraction) -> Fraction:
        """Value of one lot at a price, in atoms, exactly (rule R2)."""
        return -self.scale / price if self.kind is Kind.INVERSE else self.scale * price

    def price_of(self, value: Fraction) -> Fraction | None:
        """The price at which one lot is worth `value` atoms; None where an inverse price is infinite."""
        if self.kind is not Kind.INVERSE:
            return value / self.scale
        return -self.scale / value if value else None

    def maintenance_margin(self, notional: Fraction) -> Fraction:
        """Margin of one row of this notional, in atoms, exactly (rule R4)."""
        return max(Fraction(0), max(tier.maintenance_rate * notional - tier.deduction for tier in self.tiers))

    def initial_margin(self, notional: Fraction) -> Fraction:
        """What a row of this notional is opened with, by its tier's leverage; or its margin (rule R4)."""
        most = [tier for tier in self.tiers if tier.min_notional <= notional][-1].max_leverage
        return self.maintenance_margin(notional) if most is None else notional / most


@dataclass(frozen=True, slots=True)
class TierTable:
    """All tiers of all instruments, instrument by instrument, as kernels read them.

    ``start`` is int32 (instruments + 1); the rest is one entry per tier: ``rate`` and ``deduction`` float64
    (atoms), and the same exactly as ``rate_units / unit`` and ``deduction_units / unit`` with one int64
    ``unit`` per instrument (0 where it would not fit). ``min_notional`` (atoms) and ``max_leverage`` (that of
    rule R82 where a tier states none) are float64; ``initial_rate`` is 1 / the leverage it states, or −1
    (rule R104). ``plain`` is float64 (instruments): a little below the notional from which a second tier
    counts, or −1 where the first does not decide alone.
    """

    start: IntArray
    rate: Float64Array
    deduction: Float64Array
    min_notional: Float64Array
    max_leverage: Float64Array
    initial_rate: Float64Array
    rate_units: Int64Array
    deduction_units: Int64Array
    unit: Int64Array
    plain: Float64Array


class Instruments(Sequence[Instrument]):
    """The instruments of a book, in the order they were given.

    Parameters
    ----------
    instruments : sequence of Instrument
        Already validated one by one; symbols unique, one number of decimals per currency.
    decimals : mapping, optional
        Currency → decimals of currencies that no instrument settles in.
    """

    def __init__(self, instruments: Sequence[Instrument], decimals: Mapping[str, int] | None = None) -> None:
        self._items = tuple(instruments)
        self.symbols: tuple[str, ...] = tuple(item.symbol for item in self._items)
        #: symbol → position in ``symbols``
        self.code: dict[str, int] = {symbol: i for i, symbol in enumerate(self.symbols)}
        #: settlement currencies, by code point
        by_currency = {**(decimals or {}), **{item.currency: item.decimals for item in self._items}}
        self.currencies: tuple[str, ...] = tuple(sorted(by_currency))
        self.decimals: tuple[int, ...] = tuple(by_currency[code] for code in self.currencies)
        at = {code: i for i, code in enumerate(self.currencies)}
        #: currency of each instrument, as a position in ``currencies``
        self.currency: IntArray = np.array([at[item.currency] for item in self._items], np.int32)
        #: position of each instrument when symbols are sorted by code point
        self.rank: IntArray = np.empty(len(self._items), np.int32)
        self.rank[sorted(range(len(self._items)), key=lambda i: self.symbols[i])] = np.arange(
            len(self._items), dtype=np.int32
        )

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Own every array: a store that processes share hands out read-only ones, another type to kernels."""
        self.__dict__.update({name: _owned(value) for name, value in state.items()})

    @cached_property
    def scale(self) -> Int64Array:
        """Atoms per lot per unit of price, the `c` of rule R2, as `decimal_scale` writes it."""
        return decimal_scale([item.scale for item in self._items])

    @cached_property
    def inverse(self) -> BoolArray:
        """Which instruments are inverse."""
        return np.array([item.kind is Kind.INVERSE for item in self._items], np.bool_)

    @cached_property
    def delisted(self) -> BoolArray:
        """Which instruments are closed to trading."""
        return np.array([item.delisted for item in self._items], np.bool_)

    @cached_property
    def tiers(self) -> TierTable:
        """The tiers as arrays."""
        start = np.zeros(len(self) + 1, np.int32)
        np.cumsum([len(item.tiers) for item in self._items], out=start[1:])
        units = [
            lcm(
                *(t.maintenance_rate.denominator for t in item.tiers),
                *(t.deduction.denominator for t in item.tiers),
            )
            for item in self._items
        ]
        shared = shared_denominator(units, _SHARED_RATES)
        units = [shared if shared % unit == 0 else unit for unit in units]
        rates: list[int] = []
        deductions: list[int] = []
        for i, (item, unit) in enumerate(zip(self._items, units, strict=True)):
            scaled = [(int(t.maintenance_rate * unit), int(t.deduction * unit)) for t in item.tiers]
            if unit >= WIDE or any(abs(number) >= WIDE for pair in scaled for number in pair):
                units[i], scaled = 0, [(0, 0)] * len(scaled)
            rates += [rate for rate, _ in scaled]
            deductions += [deduction for _, deduction in scaled]
        every = [tier for item in self._items for tier in item.tiers]
        return TierTable(
            start=start,
            rate=np.array([float(t.maintenance_rate) for t in every], np.float64),
            deduction=np.array([nearest_float(t.deduction) for t in every], np.float64),
            min_notional=np.array([nearest_float(t.min_notional) for t in every], np.float64),
            max_leverage=np.array([_max_leverage(t) for t in every], np.float64),
            initial_rate=np.array(
                [-1.0 if t.max_leverage is None else nearest_float(1 / t.max_leverage) for t in every],
                np.float64,
            ),
            rate_units=np.array(rates, np.int64),
            deduction_units=np.array(deductions, np.int64),
            unit=np.array(units, np.int64),
            plain=np.array([_plain(item.tiers) for item in self._items], np.float64),
        )

    def lookup(self, symbol: object, path: tuple[str | int, ...]) -> int:
        """Position of a symbol; refuses an unknown one at `path`."""
        found = self.code.get(symbol) if isinstance(symbol, str) else None
        if found is None:
            raise InputError(path, symbol, f"name one of the instruments, such as {self.near(symbol)}")
        return found

    def near(self, symbol: object) -> str:
        """The symbol closest in spelling."""
        import difflib

        close = difflib.get_close_matches(str(symbol), self.symbols, n=1, cutoff=0.0)
        return close[0] if close else "(the book has none)"


def _owned(value: Any) -> Any:
    """Copies of an array, or of those of a table; anything else as it is."""
    if isinstance(value, TierTable):
        return TierTable(*(getattr(value, item.name).copy() for item in fields(value)))
    return value.copy() if isinstance(value, np.ndarray) else value


def _plain(tiers: Sequence[Tier]) -> float:
    """Up to which notional the first tier alone decides."""
    rate, others = tiers[0].maintenance_rate, tiers[1:]
    if tiers[0].deduction != 0 or any(
        tier.maintenance_rate == rate and tier.deduction < 0 for tier in others
    ):
        return -1.0
    limits = [
        tier.deduction / (tier.maintenance_rate - rate) for tier in others if tier.maintenance_rate > rate
    ]
    return nearest_float(min(limits)) * (1.0 - 1e-9) if limits else float("inf")


def _max_leverage(tier: Tier) -> float:
    """Most leverage in a tier (rule R82), never 0 or infinite."""
    rate = float(tier.maintenance_rate)
    if tier.max_leverage is not None:
        most = nearest_float(tier.max_leverage)
    else:
        most = 1.0 / (2.0 * rate) if rate else 1.0
    return min(max(most, sys.float_info.min), sys.float_info.max)


def nearest_float(number: Fraction) -> float:
    """The float64 nearest to a number, which keeps within those that are finite."""
    most = Fraction(sys.float_info.max)
    return float(min(max(number, -most), most))


def decimal_scale(factors: Sequence[Fraction]) -> Int64Array:
    """Exact factors for the kernels: int64 (3, factors), of ``num / den · 10^ten``.

    Those that do not fit have a power that no kernel works with, and are left to unlimited integers.
    """
    columns = np.zeros((3, len(factors)), np.int64)
    for i, factor in enumerate(factors):
        num, den, ten = factor.numerator, factor.denominator, 0
        while num % 10 == 0:
            num, ten = num // 10, ten + 1
        while den % 10 == 0:
            den, ten = den // 10, ten - 1
        fits = max(num, den) < SUM_BOUND
        columns[:, i] = (num, den, ten) if fits else (1, 1, _NEVER)
    return columns


def derived_deductions(steps: Sequence[tuple[Fraction, Fraction]]) -> list[Fraction]:
    """Deductions that make the margin continuous (rule R4).

    Parameters
    ----------
    steps : sequence of (min_notional, maintenance_rate)
        From the smallest notional up.
    """
    deductions: list[Fraction] = []
    for t, (notional, rate) in enumerate(steps):
        if t == 0:
            deductions.append(Fraction(0))
        else:
            deductions.append(deductions[-1] + notional * (rate - steps[t - 1][1]))
    return deductions


def shared_denominator(denominators: Iterable[int], most: int) -> int:
    """Least common multiple of as many denominators, in order, as stay within `most`."""
    shared = 1
    for denominator in denominators:
        wider = lcm(shared, denominator)
        if wider <= most:
            shared = wider
    return shared
