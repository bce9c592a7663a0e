"""Products, quotients and two-part numbers, with unlimited integers and fractions."""

from __future__ import annotations

from fractions import Fraction

__all__ = [
    "add",
    "ceil_scaled",
    "divide",
    "muldiv",
    "multiply",
    "pair",
    "trunc_scaled",
    "two_product",
    "two_sum",
    "whole",
]


def muldiv(x: int, y: int, z: int) -> tuple[int, int]:
    """Floor and remainder of ``x · y / z``."""
    return divmod(x * y, z)


def ceil_scaled(x: int, y: int, z: int) -> int:
    """``x · y / z`` rounded up."""
    return -(-x * y // z)


def trunc_scaled(x: int, y: int, z: int) -> int:
    """``x · y / z`` rounded toward zero (rule R10)."""
    return abs(x) * y // z * (1 if x >= 0 else -1)


def pair(number: Fraction) -> tuple[float, float]:
    """A number as its nearest float64 and what that leaves off."""
    high = float(number)
    return high, float(number - Fraction(high))


def two_sum(a: float, b: float) -> tuple[float, float]:
    """``a + b`` as its float64 value and the part that was rounded off."""
    return pair(Fraction(a) + Fraction(b))


def two_product(a: float, b: float) -> tuple[float, float]:
    """``a · b`` as its float64 value and the part that was rounded off."""
    return pair(Fraction(a) * Fraction(b))


def whole(x: int) -> tuple[float, float]:
    """An integer below 2^62 as two float64 parts."""
    return pair(Fraction(x))


def _exact(parts: tuple[float, float]) -> Fraction:
    return Fraction(parts[0]) + Fraction(parts[1])


def add(a: tuple[float, float], b: tuple[float, float]) -> Fraction:
    """Sum of two-part numbers."""
    return _exact(a) + _exact(b)


def multiply(a: tuple[float, float], b: tuple[float, float]) -> Fraction:
    """Product of two-part numbers."""
    return _exact(a) * _exact(b)


def divide(a: tuple[float, float], b: tuple[float, float]) -> Fraction:
    """Quotient of two-part numbers."""
    return _exact(a) / _exact(b)
