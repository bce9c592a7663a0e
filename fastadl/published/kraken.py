"""Kraken Futures: the levels of an inverse position on single collateral."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from fastadl.decimals import exact

__all__ = ["Levels", "levels"]


@dataclass(frozen=True, slots=True)
class Levels:
    """Money in the coin, prices in dollars; None where no price is high enough.

    Attributes
    ----------
    value, initial, maintenance : Fraction
        Of the position at its entry.
    liquidation : Fraction or None
        Where equity equals the maintenance rate on the value of then.
    bankruptcy : Fraction or None
        Where equity is 0.
    """

    value: Fraction
    initial: Fraction
    maintenance: Fraction
    liquidation: Fraction | None
    bankruptcy: Fraction | None


def levels(
    contracts: object, entry: object, collateral: object, *, initial_rate: object, maintenance_rate: object
) -> Levels:
    """Margins and levels of an inverse position: ``P = N · (1 ± m) / (N/E ± C)``, m = 0 for bankruptcy.

    Parameters
    ----------
    contracts : number
        Signed, one dollar each.
    entry : number
    collateral : number
        Coins.
    initial_rate, maintenance_rate : number
        Of the value.

    Notes
    -----
    support.kraken.com 360022835671. Its liquidation level comes out only with the maintenance margin taken on
    the current value of the position, not on that at entry; its prices are cut to whole dollars.

    Examples
    --------
    >>> found = levels(1000, 8000, "0.01", initial_rate="0.02", maintenance_rate="0.01")
    >>> int(found.liquidation), int(found.bankruptcy)
    (7481, 7407)
    """
    held, price, cash, rate = exact(contracts), exact(entry), exact(collateral), exact(maintenance_rate)
    value = abs(held) / price
    left = held / price + cash
    reached = left * held > 0
    return Levels(
        value=value,
        initial=value * exact(initial_rate),
        maintenance=value * rate,
        liquidation=(held + abs(held) * rate) / left if reached else None,
        bankruptcy=held / left if reached else None,
    )
