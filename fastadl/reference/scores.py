"""Ranking scores as rule R46 writes them; NumPy's float64, so that a division by zero is an infinity."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastadl.kernels.scores import Candidate

__all__ = [
    "binance",
    "bitmex",
    "extended",
    "hyperliquid",
    "hyperliquid_recovered",
    "okx",
    "profit_ratio",
    "score",
    "size",
]


def profit_ratio(c: Candidate) -> float:
    """``roi = profit / max(|entry value|, 1 atom)``."""
    return float(c.profit / max(c.cost, 1.0))


def _times(ratio: float, weight: float) -> float:
    """Times the weight for a winner, divided by it for a loser."""
    return ratio * weight if ratio > 0 else ratio / weight


def bitmex(c: Candidate) -> float:
    """``L = gross / E⁺``; ``roi · L`` if ``roi > 0``, else ``roi / L``."""
    return _times(profit_ratio(c), c.gross / max(c.equity, 1.0))


def binance(c: Candidate) -> float:
    """``max(0, P) / max(cash, one) · (MM / equity, or 0 if equity ≤ 0)``."""
    if c.equity <= 0:
        return 0.0
    return float(max(c.symbol_profit, 0.0) / max(c.cash, c.one) * (c.margin / c.equity))


def hyperliquid(c: Candidate) -> float:
    """Long: ``mark / entry · notional / E⁺``; short: ``entry / mark · notional / E⁺``."""
    linear = c.value / max(c.cost, 1.0), c.cost / c.value  # mark / entry, entry / mark
    long, short = reversed(linear) if c.inverse else linear
    return float((short if c.short else long) * c.value / max(c.equity, 1.0))


def hyperliquid_recovered(c: Candidate) -> float:
    """``max(notional / E⁺, 1e-8) · max(max(profit, 0) / max(|entry value|, 1 atom), 1e-8)``."""
    gain = max(c.profit, 0.0) / max(c.cost, 1.0)
    return float(max(c.value / max(c.equity, 1.0), 1e-8) * max(gain, 1e-8))


def okx(c: Candidate) -> float:
    """``m = max(MM, 1 atom) / E⁺``; ``roi · m`` if ``roi > 0``, else ``roi / m``."""
    return _times(profit_ratio(c), max(c.margin, 1.0) / max(c.equity, 1.0))


def extended(c: Candidate) -> float:
    """``m = max(row MM, 1 atom) / max(equity, one)``; ``roi · m`` if ``roi > 0``, else ``roi / m``."""
    return _times(profit_ratio(c), max(c.row_margin, 1.0) / max(c.equity, c.one))


def size(c: Candidate) -> float:
    """Lots held."""
    return float(c.lots)


_BY_NUMBER = (
    bitmex,
    binance,
    hyperliquid,
    hyperliquid_recovered,
    okx,
    okx,
    extended,
    profit_ratio,
    size,
)


def score(number: int, c: Candidate) -> float:
    """Score by its place in `fastadl.kernels.scores.SCORES`."""
    return _BY_NUMBER[number](c)
