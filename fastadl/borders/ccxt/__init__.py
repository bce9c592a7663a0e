"""ccxt's unified structures to a book, and back: positions, leverage tiers, ADL ranks."""

from __future__ import annotations

from fastadl.borders.ccxt.incoming import book
from fastadl.borders.ccxt.markets import instruments, leverage_tiers
from fastadl.borders.ccxt.outgoing import adl_ranks, positions

__all__ = ["adl_ranks", "book", "instruments", "leverage_tiers", "positions"]
