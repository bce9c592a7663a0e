"""Presets: what venues publish about their deleveraging, as choices of rule R66 (rule R67).

Venues change their rules, so a name carries the year its description was read. A preset holds only the
differences from the first value of every choice; what a venue leaves open (ties, the split of a cross
account, who is eligible) is filled by the numbered rules and said here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

__all__ = ["VENUES", "CancelOrders", "Venue"]

#: Which open orders of a deleveraged trader the venue cancels.
CancelOrders: TypeAlias = Literal["none", "symbol", "account"]


@dataclass(frozen=True, slots=True)
class Venue:
    """A preset.

    Parameters
    ----------
    choices : mapping
        Differences from the first values of rule R66.
    cancel_orders : {"none", "symbol", "account"}
        Which open orders of a deleveraged trader are cancelled; told in a report's ``notices``.
    description : str
        How the venue ranks and settles.
    source : str
        Where that can be read.
    """

    choices: Mapping[str, str]
    cancel_orders: CancelOrders
    description: str
    source: str


_BITMEX = Venue(
    choices={"split": "notional"},
    cancel_orders="account",
    description="Return on entry times effective leverage (losers: divided by it), closed at the bankruptcy "
    "price. The form many venues copied; split and ties are not published.",
    source="BitMEX help centre, Auto-deleveraging (18589621443357)",
)
_BINANCE = Venue(
    choices={"score": "binance"},
    cancel_orders="account",
    description="Profit over wallet balance times maintenance ratio of the account, losers all at zero, "
    "closed at the bankruptcy price without fee. Both legs of a hedge rank alike.",
    source="Binance futures FAQ 360033525471; developer documentation, Position ADL Quantile",
)
_OKX = Venue(
    choices={"score": "okx", "price": "mark"},
    cancel_orders="none",
    description="Return on entry over the safety ratio (losers: times it), closed at the mark price. The "
    "formula is known from secondary sources and from HTX, which publishes the same.",
    source="OKX help, Introduction to auto-deleveraging, and its early-liquidation page",
)
_HYPERLIQUID = Venue(
    choices={"score": "hyperliquid", "price": "previous_mark", "split": "notional"},
    cancel_orders="none",
    description="Mark over entry times notional over account value, closed at the previous mark price. "
    "Turning the ratio round for shorts and splitting by notional are inferred.",
    source="Hyperliquid documentation, Auto-deleveraging; OtterSec on 10 October 2025",
)
_EXTENDED = Venue(
    choices={"score": "extended"},
    cancel_orders="symbol",
    description="Return on entry times the position's own margin over equity (losers: divided by it), closed "
    "without fee at the price that leaves the bankrupt account's margin ratio unchanged.",
    source="Extended documentation, Liquidation logic (April 2026)",
)

#: Name → preset.
VENUES: Mapping[str, Venue] = MappingProxyType(
    {
        "bitmex": _BITMEX,
        "binance_2025": _BINANCE,
        "okx_2025": _OKX,
        "hyperliquid_2025": _HYPERLIQUID,
        "extended_2026": _EXTENDED,
    }
)
