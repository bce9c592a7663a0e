"""Bybit: how far a symbol has drawn its insurance pool down, and what a deleveraging is settled at."""

from __future__ import annotations

from fractions import Fraction
from math import floor

from fastadl.decimals import exact

__all__ = ["pnl_ratio", "settlement_price", "to_tick"]


def pnl_ratio(symbol_pnl: object, symbol_peak: object, pool_peak: object) -> Fraction:
    """``(symbol's profit − its 8 h peak) / the pool's 8 h peak``; not rounded.

    Deleveraging starts at −0.3 and below, and ends above −0.25; the text says "below −0.3", its second
    example starts at equality.

    Notes
    -----
    bybit-exchange.github.io/docs/v5/market/adl-alert. Trigger ``drawdown`` of scope ``symbol`` (rule R88).
    """
    return (exact(symbol_pnl) - exact(symbol_peak)) / exact(pool_peak)


def settlement_price(bankruptcy: object, mark: object, limit: object = "0.05") -> Fraction:
    """The bankruptcy price, or the mark where it is further than `limit` of the mark away; not rounded.

    Notes
    -----
    wuyelx.com/6291.html, a rewrite of Bybit's help page; secondary.

    Examples
    --------
    >>> settlement_price(489, 400)
    Fraction(400, 1)
    """
    price, at_mark = exact(bankruptcy), exact(mark)
    return at_mark if abs(price - at_mark) > exact(limit) * at_mark else price


def to_tick(price: object, tick: object) -> Fraction:
    """The nearest multiple of the tick, the upper one in the middle.

    Notes
    -----
    Help centre 900000031623 shows 7735.37 as 7735.50 with a tick of 0.5: to the nearest, or up.

    Examples
    --------
    >>> to_tick("7735.372549", "0.5")
    Fraction(15471, 2)
    """
    step = exact(tick)
    return floor(exact(price) / step + Fraction(1, 2)) * step
