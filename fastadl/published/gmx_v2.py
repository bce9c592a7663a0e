"""GMX v2: a pool pays what traders win, and closes winners when they have won too much of it.

Source: gmx-io/gmx-synthetics at a5c0c88, AdlHandler.sol, AdlUtils.sol, PositionUtils.sol (BUSL-1.1; read for
its rules). Fees and price impact are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from fastadl.decimals import exact
from fastadl.published.refused import RefusedError

__all__ = ["Position", "close", "deleverage", "is_enabled", "pnl_factor"]


@dataclass(frozen=True, slots=True)
class Position:
    """One side of one market.

    Attributes
    ----------
    size_usd : number
        What it was opened for.
    size_tokens : number
    is_long : bool
    """

    size_usd: object
    size_tokens: object
    is_long: bool

    def profit(self, price: object) -> Fraction:
        """Profit in USD at a price of the oracle."""
        gained = exact(self.size_tokens) * exact(price) - exact(self.size_usd)
        return gained if self.is_long else -gained


def pnl_factor(positions: Sequence[Position], price: object, pool: object) -> Fraction:
    """Profit of the positions of one side over the pool's value, in USD without that profit; not rounded.

    Examples
    --------
    >>> pnl_factor([Position(2_000_000, 100_000, True)], 22, 5_000_000)
    Fraction(1, 25)
    """
    return sum((position.profit(price) for position in positions), Fraction(0)) / exact(pool)


def is_enabled(factor: object, most: object) -> bool:
    """Whether a side may be deleveraged: its factor is above the threshold, strictly."""
    return exact(factor) > exact(most)


def close(position: Position, size_usd: object, price: object) -> tuple[Position, Fraction]:
    """Close a part of a position, measured by what it was opened for.

    Parameters
    ----------
    position : Position
    size_usd : number
        Above 0.
    price : number

    Returns
    -------
    (Position, Fraction)
        What is left of it, and the profit paid out in USD.

    Raises
    ------
    RefusedError
        ``invalid_size_delta_for_adl`` if the position is smaller.
    """
    size, whole = exact(size_usd), exact(position.size_usd)
    if not 0 < size <= whole:
        raise RefusedError("invalid_size_delta_for_adl", f"{float(size)} of a position of {float(whole)}")
    tokens = exact(position.size_tokens)
    left = Position(whole - size, tokens - tokens * size / whole, position.is_long)
    return left, position.profit(price) - left.profit(price)


def deleverage(
    positions: Sequence[Position],
    place: int,
    size_usd: object,
    *,
    price: object,
    pool: object,
    most: object,
    least: object,
) -> tuple[Position, ...]:
    """Close a part of one position of a side that has won too much; nobody checks whose turn it is.

    Parameters
    ----------
    positions : sequence of Position
        All of the side.
    place : int
        Of the one to close.
    size_usd : number
    price : number
        Of the oracle.
    pool : number
        The pool's value in USD, without profit.
    most, least : number
        Factors above which a side may be deleveraged, and below which it may not be brought.

    Returns
    -------
    tuple of Position
        The side after it.

    Raises
    ------
    RefusedError
        ``adl_not_required``, ``invalid_adl`` if the factor does not fall, ``pnl_overcorrected`` if it falls
        below `least`, or that of `close`.
    """
    before = pnl_factor(positions, price, pool)
    if not is_enabled(before, most):
        raise RefusedError("adl_not_required", f"the factor is {float(before)}")
    left, paid = close(positions[place], size_usd, price)
    after = (*positions[:place], left, *positions[place + 1 :])
    factor = pnl_factor(after, price, exact(pool) - paid)
    if factor >= before:
        raise RefusedError("invalid_adl", f"the factor would go from {float(before)} to {float(factor)}")
    if factor < exact(least):
        raise RefusedError("pnl_overcorrected", f"the factor would fall to {float(factor)}")
    return after
