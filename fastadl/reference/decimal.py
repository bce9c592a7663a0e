"""Decimals one at a time: text and float64 as fractions, and those as lots and atoms."""

from __future__ import annotations

import re
from fractions import Fraction
from math import ceil

__all__ = ["entry_value", "parse", "shortest", "steps", "unit_value"]


def shortest(value: float) -> Fraction:
    """The shortest decimal that reads back as this float64."""
    return Fraction(repr(value))


def unit_value(price: float, scale: Fraction, inverse: bool) -> float:
    """The float64 nearest to the value of a lot at the shortest decimal of a price (rules R2, R6)."""
    exact = shortest(price)
    return float(-scale / exact if inverse else scale * exact)


def parse(line: bytes, exponents: bool) -> Fraction | None:
    """The decimal on a line, or None."""
    power = rb"(e[+-]?[0-9]{1,3})?" if exponents else b""
    found = re.fullmatch(rb"-?[0-9]+(\.[0-9]+)?" + power, line)
    return Fraction(line.decode()) if found else None


def steps(number: Fraction, scale: Fraction) -> Fraction:
    """A decimal in steps of a grid; whole if it lands on one."""
    return number * scale


def entry_value(lots: int, price: Fraction, scale: Fraction, inverse: bool) -> int:
    """Entry value in atoms of signed lots bought at a price: ``⌈s · n · u⌉`` (rules R2, R11)."""
    return ceil(-lots * scale / price if inverse else lots * scale * price)
