"""Whole numbers out of exact ones: the roundings of R10 to R16."""

from collections.abc import Mapping
from fractions import Fraction
from math import ceil, floor, trunc
from typing import TypeVar

Exact = Fraction | int
Key = TypeVar("Key", str, tuple[str, int])

__all__ = ["Exact", "ceil", "decimal", "floor", "largest_remainders", "trunc"]


def decimal(number: str | int) -> Fraction:
    """The `#` of section 6: a decimal string or a JSON integer, taken exactly."""
    return Fraction(number)


def largest_remainders(total: int, shares: Mapping[Key, Exact]) -> dict[Key, int]:
    """R16: floor every share; the missing units go to the largest remainders, ties to the smaller key."""
    assert sum(shares.values()) == total, "shares do not add up to what is shared"
    units = {key: floor(share) for key, share in shares.items()}
    by_remainder = sorted(shares, key=lambda key: (units[key] - shares[key], key))
    for key in by_remainder[: total - sum(units.values())]:
        units[key] += 1
    return units
