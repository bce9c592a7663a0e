"""Where other systems' data come in and go out in their own words: ccxt and Hyperliquid."""

from __future__ import annotations

from fastadl.borders import ccxt, hyperliquid

__all__ = ["ccxt", "hyperliquid"]
