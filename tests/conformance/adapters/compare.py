"""What is found against what is expected: nothing that is expected goes unchecked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

__all__ = ["PROSE", "Near", "Record", "compare"]

#: Stands for an explanation in words, which nothing can be checked against.
PROSE = object()

#: Significant digits from which on a printed number may be a rounded one.
_ROUNDED = 3
#: What float64 costs: a number of the engine, and one that a source printed.
_NOISE, _BINARY = Fraction(1, 10**12), Fraction(1, 10**15)
_NUMBER = re.compile(r"-?\d+(/\d+)?( |$)")


class Record(dict[str, Any]):
    """An object of which a case may expect some keys only."""


@dataclass(frozen=True)
class Near:
    """A number that its source tests with some slack."""

    value: Any
    slack: Fraction


def compare(expected: Any, found: Any, where: str = "expected") -> None:
    """Raise unless everything expected is found.

    Numbers must be equal; one printed with places, and with three significant digits or more, must be what is
    found, rounded to these places.

    Raises
    ------
    AssertionError
        Naming the place and both values.
    """
    if found is PROSE:
        assert isinstance(expected, str), f"{where}: {expected!r} is no text, so an adapter has to check it"
    elif isinstance(expected, Mapping):
        assert isinstance(found, Mapping), f"{where}: found {found!r} and no object"
        unchecked = expected.keys() - found.keys()
        assert not unchecked, f"{where}: the adapter finds nothing to check {', '.join(sorted(unchecked))} by"
        more = found.keys() - expected.keys()
        assert isinstance(found, Record) or not more, f"{where}: found {', '.join(sorted(more))} too"
        for key, value in expected.items():
            compare(value, found[key], f"{where}.{key}")
    elif isinstance(expected, Sequence) and not isinstance(expected, str):
        assert isinstance(found, Sequence), f"{where}: found {found!r} and no list"
        assert len(expected) == len(found), f"{where}: expected {expected}, found {found}"
        for place, (one, other) in enumerate(zip(expected, found, strict=True)):
            compare(one, other, f"{where}[{place}]")
    else:
        assert _same(expected, found), f"{where}: expected {expected}, found {_shown(found)}"


def _same(expected: Any, found: Any) -> bool:
    value = found.value if isinstance(found, Near) else found
    if isinstance(expected, bool) or isinstance(value, bool) or expected is None or value is None:
        return expected is value
    if isinstance(expected, str) and not isinstance(value, str):  # "-100000", or "7/12 (0.5833)"
        return _NUMBER.match(expected) is not None and Fraction(expected.split()[0]) == Fraction(value)
    if isinstance(expected, str) or isinstance(value, str):
        return bool(expected == value)
    off = abs(Fraction(value) - Fraction(expected))
    return off <= (found.slack if isinstance(found, Near) else _rounding(expected, value))


def _rounding(expected: Decimal | int, found: Any) -> Fraction:
    """How far a number may be from the one that is printed: half of its last place if it is rounded."""
    noise = _NOISE if isinstance(found, float) else Fraction(0)
    if isinstance(expected, int):
        return noise * abs(expected)
    digits = expected.as_tuple()
    last = Fraction(10) ** int(digits.exponent) if len(digits.digits) >= _ROUNDED else Fraction(0)
    return max(last / 2, max(noise, _BINARY) * abs(Fraction(expected)))


def _shown(found: Any) -> Any:
    value = found.value if isinstance(found, Near) else found
    return f"{value} ({float(value)})" if isinstance(value, Fraction) and value.denominator > 1 else value
