"""FLOX (lrvx): winners are closed whole, best first, until their profit has paid the deficit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from fastadl.decimals import exact

__all__ = ["Absorbed", "Winner", "absorb"]


@dataclass(frozen=True, slots=True)
class Winner:
    """A position that may be closed.

    Attributes
    ----------
    account : int or str
        Breaks ties; the smaller goes first.
    score : float
    profit : number
        Unrealised, in units of the currency; one without profit is passed over.
    """

    account: int | str
    score: float
    profit: object


@dataclass(frozen=True, slots=True)
class Absorbed:
    """What a deficit took.

    Attributes
    ----------
    closed : tuple of (account, Fraction)
        In the order they were closed, with the profit each forgoes; it keeps the rest of it.
    unpaid : Fraction
        What no profit was left for. The venue drops it.
    """

    closed: tuple[tuple[int | str, Fraction], ...]
    unpaid: Fraction


def absorb(deficit: object, winners: Iterable[Winner]) -> Absorbed:
    """Close whole positions by score from high to low; each forgoes ``min(deficit left, profit)``.

    Lots are not matched: whoever is closed is closed whole, however small the deficit, so the open interest
    of the two sides comes apart. The engine closes lots against lots instead (rules R42, R43).

    Notes
    -----
    FLOX-Foundation/flox, src/backtest/liquidation_engine.cpp at d2dc5ec; there in float64, here exact.

    Examples
    --------
    >>> absorb(250, [Winner(2, 6.0, 60), Winner(3, 3.0, 300)]).closed
    ((2, Fraction(60, 1)), (3, Fraction(190, 1)))
    """
    left = exact(deficit)
    closed = []
    for winner in sorted(winners, key=lambda w: (-w.score, w.account)):
        profit = exact(winner.profit)
        if left <= 0:
            break
        if profit > 0:
            taken = min(left, profit)
            closed.append((winner.account, taken))
            left -= taken
    return Absorbed(tuple(closed), left)
