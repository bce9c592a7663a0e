"""Common shocks of some sizes, up and down, and the marks they would leave (rule R111)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from fastadl.engine.indicator.sides import Sides
from fastadl.engine.pressure import LEAST
from fastadl.engine.state import State
from fastadl.errors import InputError
from fastadl.policy.funding import number

__all__ = ["SIZES", "checked_sizes", "sides_after"]

#: Sizes of shocks that are looked at unless others are given.
SIZES: tuple[float, ...] = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5)

_MOST = 100


def checked_sizes(given: Iterable[Any] | None) -> tuple[Fraction, ...]:
    """Sizes of shocks as parts of the price, rising; refuses what cannot be."""
    if given is None:
        return tuple(Fraction(repr(size)) for size in SIZES)
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise InputError(("shocks",), given, "give a list of sizes such as 0.1")
    sizes: list[Fraction] = []
    for place, size in enumerate(given):
        if place == _MOST:
            raise InputError(("shocks",), f"more than {place}", f"give at most {place} shocks")
        part = number(size, ("shocks", place))
        if not 0 < part <= 1 - LEAST:
            raise InputError(
                ("shocks", place), size, "give the size of a price move, above 0 and up to 0.999"
            )
        if sizes and part <= sizes[-1]:
            raise InputError(("shocks", place), size, "give shocks in rising order, each once")
        sizes.append(Fraction(part))
    if not sizes:
        raise InputError(("shocks",), "none", "give at least one shock")
    return tuple(sizes)


def sides_after(state: State, size: Fraction) -> Sides:
    """A book after a shock against the other side of each row: up for longs, down for shorts."""
    return Sides(state.at(state.marks.scaled(1 + size)), state.at(state.marks.scaled(1 - size)))
