"""Mark prices of a book, and what one lot is worth at them: as float64, and exactly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

from fastadl.contracts import WIDE, Instrument, Instruments, Kind, shared_denominator
from fastadl.decimals import exact, plain
from fastadl.errors import BoundsError, InputError
from fastadl.kernels.account import Exact
from fastadl.kernels.decimal import Scale
from fastadl.kernels.mark import Margins
from fastadl.kernels.money import PerLot
from fastadl.kernels.price import unit_values
from fastadl.schema import Float64Array

__all__ = ["Betas", "Marks", "given_prices", "margins"]

#: Symbol and beta, as a policy holds them.
Betas: TypeAlias = tuple[tuple[str, Fraction], ...]

#: Linear unit values share a denominator up to here, so that their sums need no unlimited integers.
_SHARED = 10**9
#: Up to so many prices of an array are worked on one by one.
_FEW = 8
#: Smallest and largest value of a lot, in atoms, that float64 and 62 bits can work with.
_LEAST, _MOST = 2.0**-200, 2.0**62


class FloatPrices(Mapping[int, Fraction]):
    """Prices as float64, which means their shortest decimals; found when asked for.

    Attributes
    ----------
    array : float64 (instruments)
    some : sequence of int
        Instruments whose prices are meant.
    """

    __slots__ = ("array", "some")

    def __init__(self, array: Float64Array, some: Sequence[int] | None = None) -> None:
        self.array = array
        self.some = range(len(array)) if some is None else some

    def __getitem__(self, instrument: int) -> Fraction:
        return exact(float(self.array[instrument]))

    def __iter__(self) -> Iterator[int]:
        return iter(self.some)

    def __len__(self) -> int:
        return len(self.some)

    @property
    def whole(self) -> bool:
        """Whether all prices are meant."""
        return len(self.some) == len(self.array)


class Units(Sequence[Fraction]):
    """Exact unit values by instrument, each worked out when first asked for; 0 without a mark."""

    __slots__ = ("_instruments", "_known", "_marks", "floats")

    def __init__(
        self,
        instruments: Instruments,
        marks: list[Fraction | float | None],
        known: dict[int, Fraction],
        *,
        floats: bool = False,
    ) -> None:
        self._instruments, self._marks, self._known = instruments, marks, known
        self.floats = floats  # whether every mark is the shortest decimal of a float64

    def __len__(self) -> int:
        return len(self._marks)

    def __getitem__(self, instrument: Any) -> Any:
        unit = self._known.get(instrument)
        if unit is None:
            unit = Fraction(0)
            if self._marks[instrument] is not None:
                unit = self._instruments[instrument].unit_value(self.mark(instrument))
            self._known[instrument] = unit
        return unit

    def moved(self, prices: Mapping[int, Fraction]) -> Units:
        """The same with new marks for some instruments."""
        floats = prices if isinstance(prices, FloatPrices) else None
        if floats is not None and floats.whole:
            return Units(self._instruments, floats.array.tolist(), {}, floats=True)
        marks, known = self._marks.copy(), self._known.copy()
        for i in prices:
            marks[i] = prices[i] if floats is None else float(floats.array[i])
            known.pop(i, None)
        return Units(self._instruments, marks, known, floats=self.floats and floats is not None)

    def under(self, instruments: Instruments) -> Units:
        """The same of more instruments, the new ones without a mark."""
        more = [None] * (len(instruments) - len(self))
        return Units(instruments, [*self._marks, *more], self._known.copy(), floats=self.floats and not more)

    def mark(self, instrument: int) -> Fraction:
        """The exact mark of an instrument that has one."""
        mark = self._marks[instrument]
        assert mark is not None
        return exact(mark) if isinstance(mark, float) else mark


class Scaled(Sequence[Fraction]):
    """Exact unit values after all prices were multiplied by one number."""

    __slots__ = ("_factor", "_inverse", "_units")

    def __init__(self, units: Units, inverse: Sequence[bool], factor: Fraction) -> None:
        self._units, self._inverse, self._factor = units, inverse, factor

    def __len__(self) -> int:
        return len(self._units)

    def __getitem__(self, instrument: Any) -> Any:
        unit = self._units[instrument]
        return unit / self._factor if self._inverse[instrument] else unit * self._factor

    def nearest(self) -> Float64Array:
        """The float64 nearest to each: the quotient of two integers is rounded once."""
        up, down = self._factor.numerator, self._factor.denominator
        both = [(down, up) if upside_down else (up, down) for upside_down in self._inverse]
        pairs = zip(self._units, both, strict=True)
        return np.array([(unit.numerator * n) / (unit.denominator * d) for unit, (n, d) in pairs], np.float64)


class Marks:
    """Marks of every instrument at one moment; never changed once made.

    Attributes
    ----------
    price : float64 (instruments)
        NaN where an instrument was never marked.
    unit : float64 (instruments)
        The float64 nearest to the exact value of one lot, in atoms (rule R6); 0 where there is no mark.
    units : Units
        The same exactly.
    """

    __slots__ = ("_complete", "_exact", "_instruments", "_scaled", "_weighted", "price", "unit", "units")

    def __init__(self, instruments: Instruments, price: Float64Array, unit: Float64Array, units: Any) -> None:
        self._instruments = instruments
        self._scaled: dict[Fraction, Marks] = {}
        self._exact: Exact | None = None
        self._weighted: tuple[Betas, Exact] | None = None
        self._complete: bool | None = None
        self.price = price
        self.unit = unit
        self.units = units

    @classmethod
    def initial(cls, instruments: Instruments) -> Marks:
        """The marks the instruments came with."""
        given = {i: item.mark for i, item in enumerate(instruments) if item.mark is not None}
        return cls.of(instruments, given)

    @classmethod
    def of(cls, instruments: Instruments, given: Mapping[int, Fraction]) -> Marks:
        """Marks of some instruments, none of the others."""
        count = len(instruments)
        units = Units(instruments, [None] * count, {})
        start = cls(instruments, np.full(count, np.nan), np.zeros(count), units)
        return start.moved(given, nearest_units(instruments, given))

    def moved(self, prices: Mapping[int, Fraction], unit: Sequence[float] | Float64Array) -> Marks:
        """New marks for some instruments, the others kept; `unit` is what `nearest_units` says of them."""
        if not prices:
            return self
        if isinstance(prices, FloatPrices) and prices.whole:
            return Marks(self._instruments, prices.array, np.asarray(unit), self.units.moved(prices))
        marks = Marks(self._instruments, self.price.copy(), self.unit.copy(), self.units.moved(prices))
        given: Any = prices.array if isinstance(prices, FloatPrices) else prices
        for i, each in zip(prices, unit, strict=True):
            marks.price[i], marks.unit[i] = float(given[i]), each
        marks._complete = self._complete or None
        return marks

    def under(self, instruments: Instruments) -> Marks:
        """The same under other terms of the instruments, and without a mark for those that are new."""
        more = len(instruments) - len(self.price)
        price = np.append(self.price, np.full(more, np.nan))
        return Marks(instruments, price, np.append(self.unit, np.zeros(more)), self.units.under(instruments))

    def after(self, prices: Mapping[int, Fraction]) -> Mapping[int, Fraction]:
        """New prices without those that are what they were, if few are left."""
        if not (isinstance(prices, FloatPrices) and self.units.floats):
            return prices
        (some,) = (prices.array != self.price).nonzero()
        return FloatPrices(prices.array, some.tolist()) if len(some) <= _FEW else prices

    @property
    def complete(self) -> bool:
        """Whether every instrument has a mark."""
        if self._complete is None:
            self._complete = not np.count_nonzero(np.isnan(self.price))
        return self._complete

    def scaled(self, factor: Fraction) -> Marks:
        """All prices multiplied by one number; to value rows by, not to move on from."""
        if factor not in self._scaled:
            units = Scaled(self.units, self._instruments.inverse.tolist(), factor)
            self._scaled[factor] = Marks(
                self._instruments, self.price * float(factor), units.nearest(), units
            )
        return self._scaled[factor]

    @property
    def exact(self) -> Exact:
        """Unit values and tiers as integers for the kernels."""
        if self._exact is None:
            self._exact = self._integers(self.units)
        return self._exact

    def weighted(self, betas: Betas) -> Exact:
        """The same with each unit value times the beta of its symbol, or 1 (rule R84)."""
        if self._weighted is None or self._weighted[0] != betas:
            given = dict(betas)
            factors = [given.get(item.symbol, 1) for item in self._instruments]
            units = [unit * beta for unit, beta in zip(self.units, factors, strict=True)]
            for item, unit in zip(self._instruments, units, strict=True):
                if abs(unit) > _MOST:
                    raise BoundsError(
                        ("policy", "betas", item.symbol),
                        plain(given[item.symbol]),
                        "keep beta times a lot's value within 2^62 atoms (rule R1)",
                    )
            self._weighted = (betas, self._integers(units))
        return self._weighted[1]

    def _integers(self, exact_units: Sequence[Fraction]) -> Exact:
        tiers = self._instruments.tiers
        units = [(abs(unit.numerator), unit.denominator) for unit in exact_units]
        inverse = [item.kind is Kind.INVERSE for item in self._instruments]
        shared = shared_denominator(
            (per for (_, per), upside in zip(units, inverse, strict=True) if not upside), _SHARED
        )
        pairs = []
        for number, per in units:
            if shared % per == 0 and number * (shared // per) < WIDE:
                number, per = number * (shared // per), shared
            pairs.append((number, per) if number < WIDE and per < WIDE else (0, 0))
        high = np.array([number / per for number, per in units], np.float64)
        low = [rest(*unit, top) for unit, top in zip(units, high.tolist(), strict=True)]
        return Exact(
            units=np.array([number for number, _ in pairs], np.int64),
            per=np.array([per for _, per in pairs], np.int64),
            high=high,
            low=np.array(low, np.float64),
            inverse=np.array(inverse, np.bool_),
            start=tiers.start,
            rate_units=tiers.rate_units,
            deduction_units=tiers.deduction_units,
            unit=tiers.unit,
        )


def margins(instruments: Instruments) -> Margins:
    """Tier ladders for the kernels."""
    tiers = instruments.tiers
    return Margins(start=tiers.start, rate=tiers.rate, deduction=tiers.deduction, plain=tiers.plain)


def given_prices(instruments: Instruments, prices: Any, what: str = "prices") -> Mapping[int, Fraction]:
    """Prices handed to the engine, by instrument, exactly (rules R20, R78).

    Parameters
    ----------
    prices : mapping of symbol to price, or array of one price per instrument
        Decimal text, Decimal, integer or float.
    what : str
        What errors call them.

    Raises
    ------
    InputError
        For an unknown symbol, or a price that is not a finite number above zero.
    """
    if _are_floats(prices, len(instruments)):
        return FloatPrices(np.array(prices))
    if isinstance(prices, (dict, Mapping)):
        code = instruments.code
        given = [
            (code.get(symbol) if type(symbol) is str else None, symbol, price)
            for symbol, price in prices.items()
        ]
    else:
        array = prices.tolist() if hasattr(prices, "tolist") else prices
        if hasattr(array, "to_list"):
            array = array.to_list()
        if not isinstance(array, (list, tuple)):
            raise InputError(
                (what,), prices, "give a mapping of symbol to price, or one price per instrument"
            )
        if len(array) != len(instruments):
            raise InputError(
                (what,),
                f"{len(array)} prices",
                f"give one price for each of {len(instruments)} instruments",
            )
        given = [(i, instruments.symbols[i], price) for i, price in enumerate(array)]
    found = {}
    for i, symbol, price in given:
        if i is None:
            i = instruments.lookup(symbol, (what, str(symbol)))
        try:
            value = exact(price)
        except ValueError as error:
            raise InputError((what, str(symbol)), price, str(error)) from None
        if value.numerator <= 0:
            raise InputError((what, str(symbol)), price, "give a price above zero")
        found[i] = value
    return found


def _are_floats(prices: Any, count: int) -> bool:
    """Whether they are an array of float64 in which nothing is to be refused."""
    if not isinstance(prices, np.ndarray) or prices.dtype != np.float64 or prices.shape != (count,):
        return False
    return count > 0 and np.minimum.reduce(prices) > 0.0 and np.maximum.reduce(prices) < np.inf


def nearest_units(
    instruments: Instruments, prices: Mapping[int, Fraction], what: str = "prices"
) -> Sequence[float] | Float64Array:
    """The float64 nearest to the exact value of one lot at each price, in atoms (rules R2, R6).

    Raises
    ------
    BoundsError
        If a lot would be worth more than 2^62 atoms, or next to nothing.
    """
    if not (isinstance(prices, FloatPrices) and prices.whole):
        return [_nearest_unit(instruments[i], prices[i], what) for i in prices]
    units, sure = np.empty(len(prices)), np.empty(len(prices), np.bool_)
    unit_values(prices.array, Scale(*instruments.scale), instruments.inverse, units, sure)
    size = np.abs(units)
    for i in map(int, np.flatnonzero(~(sure & (size > _LEAST) & (size < _MOST)))):
        units[i] = _nearest_unit(instruments[i], prices[i], what)
    return units


def _nearest_unit(item: Instrument, price: Fraction, what: str) -> float:
    scale = item.scale
    try:  # the quotient of two integers is rounded once
        if item.kind is Kind.INVERSE:
            unit = -(scale.numerator * price.denominator) / (scale.denominator * price.numerator)
        else:
            unit = (scale.numerator * price.numerator) / (scale.denominator * price.denominator)
    except OverflowError:
        unit = np.inf
    if not _LEAST < abs(unit) < _MOST:
        remedy = "keep a lot's value between 2^-200 and 2^62 atoms (rule R1)"
        raise BoundsError((what, item.symbol), plain(price), remedy)
    return unit


def rest(number: int, per: int, high: float) -> float:
    """What float64 `high` misses of the fraction ``number / per``."""
    top, bottom = high.as_integer_ratio()
    return (number * bottom - top * per) / (per * bottom)


def per_lot(units: Mapping[int, Fraction]) -> PerLot:
    """Unit values by key, each a small number from 0, for the kernels."""
    size = max(units, default=-1) + 1
    pairs, parts = np.zeros((2, size), np.int64), np.zeros((2, size))
    negative = np.zeros(size, np.bool_)
    for key, unit in units.items():
        number, per = abs(unit.numerator), unit.denominator
        negative[key] = unit < 0
        parts[0, key] = number / per
        if number < WIDE and per < WIDE:
            pairs[:, key] = number, per
        else:
            parts[1, key] = rest(number, per, parts[0, key])
    return PerLot(units=pairs[0], per=pairs[1], high=parts[0], low=parts[1], negative=negative)
