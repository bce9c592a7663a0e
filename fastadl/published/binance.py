"""Binance USD-M futures: the score of the ADL queue as its forum prints it."""

from __future__ import annotations

from fractions import Fraction

from fastadl.decimals import exact

__all__ = ["leverage_pnl", "pnl_percent"]


def pnl_percent(unrealized_profit: object, wallet_balance: object) -> Fraction:
    """``max(0, UP) / max(1, WB)``, in units of the currency; not rounded.

    Notes
    -----
    Binance FAQ 360033525471, worked at dev.binance.vision/t/17801. Score ``binance`` of rule R46 is the
    same in float64.

    Examples
    --------
    >>> round(float(pnl_percent("40.2", "4.27")), 4)
    9.4145
    """
    return max(Fraction(0), exact(unrealized_profit)) / max(Fraction(1), exact(wallet_balance))


def leverage_pnl(unrealized_profit: object, wallet_balance: object, margin_ratio: object) -> Fraction:
    """`pnl_percent` times the maintenance ratio of the account; not rounded.

    Parameters
    ----------
    unrealized_profit, wallet_balance : number
        Units of the currency.
    margin_ratio : number
        Maintenance margin over wallet balance plus unrealised profit; 0 where that sum is not positive.
    """
    return pnl_percent(unrealized_profit, wallet_balance) * exact(margin_ratio)
