"""Small strategies: choices, prices, numbers as section 6 spells them."""

from fractions import Fraction
from functools import cache
from typing import Any

from hypothesis import strategies as st

from model.formats import plain

Raw = dict[str, Any]
Draw = Any

MARK_PERCENT = (90, 110, 80, 125, 100, 70, 150, 50, 200, 30, 300, 97, 10)
percents_of_price = st.sampled_from(
    [Fraction(percent, 100) for percent in MARK_PERCENT] * 2
    + [
        Fraction(thousandths, 1000)
        for thousandths in (1, 43, 337, 611, 877, 919, 953, 1013, 1069, 1177, 1409, 2017)
    ]
)


@cache
def one_of(*options: Any) -> st.SearchStrategy[Any]:
    """One of the options; shrinks to the first. Built once, since building costs more than drawing."""
    return st.sampled_from(options)


@cache
def whole_number(low: int, high: int) -> st.SearchStrategy[int]:
    return st.integers(low, high)


def chance(draw: Draw, one_in: int) -> bool:
    """True once in so many; shrinks to False."""
    return bool(draw(whole_number(0, one_in - 1)) == one_in - 1)


def money(atoms: int, decimals: int) -> str:
    return plain(Fraction(atoms, 10**decimals))
