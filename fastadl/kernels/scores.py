"""Ranking scores, one function each (rule R46). Higher is deleveraged first."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastadl.kernels._jit import kernel

__all__ = ["SCORES", "Candidate", "score"]


class Candidate(NamedTuple):
    """One row on the other side of a bankrupt one, and its account; money in atoms, float64."""

    lots: Any  # held, unsigned
    short: Any  # bool
    inverse: Any  # bool
    value: Any  # |value at mark| of the row
    cost: Any  # |entry value| of the row
    profit: Any  # of the row
    symbol_profit: Any  # of all the account's rows in this symbol
    row_margin: Any  # maintenance margin of the row
    cash: Any  # of the account, as are the rest
    equity: Any
    margin: Any
    gross: Any
    one: Any  # atoms of one unit of currency


@kernel
def bitmex(c):
    """Return times effective leverage for winners, divided by it for losers. Source: BitMEX."""
    roi = c.profit / max(c.cost, 1.0)
    leverage = c.gross / max(c.equity, 1.0)
    return roi * leverage if roi > 0.0 else roi / leverage


@kernel
def binance(c):
    """Profit over wallet times maintenance ratio, losers zero. Source: Binance."""
    ratio = c.margin / c.equity if c.equity > 0.0 else 0.0
    return max(0.0, c.symbol_profit) / max(c.cash, c.one) * ratio


@kernel
def hyperliquid(c):
    """Mark over entry times leverage, a short's price ratio inverted. Source: Hyperliquid documentation."""
    if c.short != c.inverse:
        ratio = c.cost / c.value
    else:
        ratio = c.value / max(c.cost, 1.0)
    return ratio * c.value / max(c.equity, 1.0)


@kernel
def hyperliquid_recovered(c):
    """Leverage times return, both at least 1e-8. Source: recovered from the fills of 2025-10-10."""
    leverage = max(c.value / max(c.equity, 1.0), 1e-8)
    return leverage * max(max(c.profit, 0.0) / max(c.cost, 1.0), 1e-8)


@kernel
def okx(c):
    """Return over safety ratio for winners, times it for losers. Source: OKX, HTX."""
    roi = c.profit / max(c.cost, 1.0)
    risk = max(c.margin, 1.0) / max(c.equity, 1.0)
    return roi * risk if roi > 0.0 else roi / risk


@kernel
def extended(c):
    """As `okx`, with the row's own margin over the account's equity. Source: Extended."""
    roi = c.profit / max(c.cost, 1.0)
    risk = max(c.row_margin, 1.0) / max(c.equity, c.one)
    return roi * risk if roi > 0.0 else roi / risk


@kernel
def profit_ratio(c):
    """Return on the row's entry value."""
    return c.profit / max(c.cost, 1.0)


@kernel
def size(c):
    """Lots held."""
    return c.lots


#: Score names, in the order of their numbers.
SCORES = (
    "bitmex",
    "binance",
    "hyperliquid",
    "hyperliquid_recovered",
    "okx",
    "htx",
    "extended",
    "profit_ratio",
    "size",
)


@kernel
def score(number, c):
    """Score by its place in `SCORES`."""
    if number == 0:
        return bitmex(c)
    if number == 1:
        return binance(c)
    if number == 2:
        return hyperliquid(c)
    if number == 3:
        return hyperliquid_recovered(c)
    if number == 4 or number == 5:
        return okx(c)
    if number == 6:
        return extended(c)
    if number == 7:
        return profit_ratio(c)
    return size(c)
