"""Ranking scores as rules R46 and R82 write them; in float64 of NumPy, so that x/0 is an infinity."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastadl.kernels.scores import Candidate

__all__ = [
    "binance",
    "bitget_c",
    "bitmex",
    "extended",
    "gate_2022",
    "given",
    "hyperliquid",
    "hyperliquid_recovered",
    "kucoin_v1",
    "leverage",
    "low_cash",
    "mix",
    "newest",
    "okx",
    "profit",
    "profit_ratio",
    "random",
    "score",
    "size",
]

_ALL_BITS = (1 << 64) - 1


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


def bitget_c(c: Candidate) -> float:
    """``roi · L`` with ``L = gross / E⁺``; 0 if ``profit ≤ 0`` or ``equity < MM``."""
    return 0.0 if c.profit <= 0 or c.equity < c.margin else profit_ratio(c) * leverage(c)


def gate_2022(c: Candidate) -> float:
    """``profit · ml``."""
    return float(c.profit * c.max_leverage)


def kucoin_v1(c: Candidate) -> float:
    """``ml · (profit / max(|entry value| / ml, 1 atom))``."""
    return float(c.max_leverage * (c.profit / max(c.cost / c.max_leverage, 1.0)))


def leverage(c: Candidate) -> float:
    """``gross / E⁺``."""
    return float(c.gross / max(c.equity, 1.0))


def profit(c: Candidate) -> float:
    """Profit of the row."""
    return float(c.profit)


def low_cash(c: Candidate) -> float:
    """``−cash``."""
    return -float(c.cash)


def newest(c: Candidate) -> float:
    """Place of the account's id among all ids."""
    return float(c.place)


def given(c: Candidate) -> float:
    """Minus the place of the account in the book."""
    return -float(c.given)


def mix(z: int) -> int:
    """``mix`` of rule R82, from 0 to 2^64 − 1."""
    z &= _ALL_BITS
    z ^= z >> 30
    z = z * 0xBF58476D1CE4E5B9 & _ALL_BITS
    z ^= z >> 27
    z = z * 0x94D049BB133111EB & _ALL_BITS
    return z ^ z >> 31


def random(c: Candidate) -> float:
    """``⌊h / 2^11⌋ · 2^−53`` with ``h = mix(mix(seed + (t + 1)·G) + i)``."""
    return (mix(mix(int(c.seed)) + int(c.place)) >> 11) * 2.0**-53


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
    okx,
    bitget_c,
    gate_2022,
    kucoin_v1,
    leverage,
    profit,
    low_cash,
    newest,
    given,
    random,
)


def score(number: int, c: Candidate) -> float:
    """Score by its place in `fastadl.kernels.scores.SCORES`."""
    return _BY_NUMBER[number](c)
