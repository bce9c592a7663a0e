"""Exact decimal numbers in and out: what a given value means to the last digit."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from numbers import Integral

import numpy as np

__all__ = ["exact", "fixed", "json_number", "parse_decimal", "places_of", "plain", "significant"]

_DECIMAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?\Z")
_LONGEST = 400
_TOO_LONG = f"give a number of at most {_LONGEST} digits"
_LARGEST = 10**_LONGEST
#: Significant digits of a printed price, ratio or score (rule R72).
_DIGITS = 12
_ROUND = Context(prec=_DIGITS, rounding=ROUND_HALF_EVEN, Emax=999_999, Emin=-999_999)


def parse_decimal(text: str) -> Fraction:
    """The exact value of ``-?digits[.digits]``.

    Raises
    ------
    ValueError
        If the text is anything else (an exponent, a sign ``+``, spaces, an empty text).
    """
    if len(text) > _LONGEST or not _DECIMAL.match(text):
        raise ValueError("write a decimal such as 12.5, without exponent")
    return _decimal(text)


def _decimal(text: str) -> Fraction:
    whole, _, places = text.partition(".")
    return Fraction(int(whole + places), 10 ** len(places))


def exact(value: object) -> Fraction:
    """The exact value of a decimal text, Decimal, integer, or float (its shortest round-trip decimal).

    Raises
    ------
    ValueError
        If the value is not a finite number of one of these types.
    """
    if type(value) is float:  # by far the most frequent
        shown = repr(value)
        if _DECIMAL.match(shown):
            return _decimal(shown)
    if isinstance(value, str):
        return parse_decimal(value)
    if isinstance(value, (bool, np.bool_)):
        raise ValueError("give a number, not true or false")
    if isinstance(value, Integral):
        return _short(Fraction(int(value)))
    if isinstance(value, (float, np.floating)):
        value = Decimal(repr(float(value)))
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError("give a finite number")
        if abs(value.adjusted()) > _LONGEST:
            raise ValueError(_TOO_LONG)
        return Fraction(value)
    if isinstance(value, Fraction):
        return _short(value)
    raise ValueError("give a decimal text, Decimal, integer or float")


def _short(number: Fraction) -> Fraction:
    if abs(number.numerator) >= _LARGEST or number.denominator >= _LARGEST:
        raise ValueError(_TOO_LONG)
    return number


def fixed(units: int, places: int) -> str:
    """`units` times ``10**-places``, with exactly so many places and never "-0" (rule R72).

    Examples
    --------
    >>> fixed(-5, 2)
    '-0.05'
    """
    digits = str(abs(units)).rjust(places + 1, "0")
    whole, part = digits[: len(digits) - places], digits[len(digits) - places :]
    return ("-" if units < 0 else "") + (f"{whole}.{part}" if part else whole)


def places_of(number: Fraction) -> int | None:
    """Decimal places of the shortest exact form; None if no number of places is enough."""
    rest = number.denominator
    counts = []
    for prime in (2, 5):
        count = 0
        while rest % prime == 0:
            rest //= prime
            count += 1
        counts.append(count)
    return max(counts) if rest == 1 else None


def plain(number: Fraction) -> str:
    """The shortest exact decimal, without exponent; a fraction ``a/b`` where there is none."""
    places = places_of(number)
    return str(number) if places is None else fixed(int(number * 10**places), places)


def significant(number: Fraction) -> str:
    """Twelve significant digits rounded half to even, no exponent, no trailing zeros (rule R72).

    Examples
    --------
    >>> significant(Fraction(140000, 3))
    '46666.6666667'
    """
    rounded = _ROUND.divide(Decimal(number.numerator), Decimal(number.denominator))
    return format(rounded.normalize(_ROUND), "f")


def json_number(value: float) -> float:
    """A ratio or score as printed: twelve significant digits, never -0.0 (rule R72)."""
    return float(f"{value:.{_DIGITS}g}") + 0.0
