"""A price path: the marks of some symbols at rising times."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from fastadl.schema import Float64Array, Int64Array

__all__ = ["Path", "asset_of", "eight_digits"]

_QUOTES = ("USDT", "USDC", "BUSD", "USD", "PERP", "EUR")
#: Powers of ten, each the float64 nearest to it; the first is 1e-300.
_TENS = np.array([float(f"1e{power}") for power in range(-300, 301)])


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """Marks of some symbols at common times.

    Attributes
    ----------
    times : int64 (steps)
        Seconds since 1970 (UTC), rising.
    symbols : tuple of str
    marks : float64 (steps, symbols)
        Finite and above zero. A mark means its shortest decimal.
    source : str
        Where the prices come from.
    """

    times: Int64Array
    symbols: tuple[str, ...]
    marks: Float64Array
    source: str

    def level(self) -> Float64Array:
        """Median return since the first step, taken in logarithms: float64 (steps), 1 first."""
        return np.exp(np.median(np.log(self.marks) - np.log(self.marks[0]), axis=1))


def asset_of(symbol: str) -> str:
    """Leading asset of a symbol: ``BTCUSD``, ``BTC-PERP`` and ``btc/usdt:usdt`` are all ``BTC``."""
    asset = re.split(r"[-/_: .]", symbol.strip().upper())[0]
    for quote in _QUOTES:
        if len(asset) > len(quote) and asset.endswith(quote):
            return asset.removesuffix(quote)
    return asset


def eight_digits(prices: Float64Array) -> Float64Array:
    """Positive prices to eight significant digits, each the float64 nearest to that decimal.

    A venue's prices have few digits, and so fit the integers of exact arithmetic.
    """
    power = np.clip(7 - np.floor(np.log10(prices)).astype(np.int64), -300, 300)
    up, down = _TENS[300 + np.maximum(power, 0)], _TENS[300 + np.maximum(-power, 0)]
    return np.rint(prices * up / down) / up * down
