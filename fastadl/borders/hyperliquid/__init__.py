"""Hyperliquid's node fills folded into a book, every fill held against what it says of itself."""

from __future__ import annotations

from fastadl.borders.hyperliquid.fold import Folded, fold
from fastadl.borders.hyperliquid.universe import instruments

__all__ = ["Folded", "fold", "instruments"]
