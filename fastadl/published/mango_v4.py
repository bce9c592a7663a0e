"""Mango v4: a liquidator takes over negative profit, for tokens, then for insurance, then everybody pays.

Source: blockworks-foundation/mango-v4 at 1303a4a, perp_liq_negative_pnl_or_bankruptcy.rs and health/cache.rs
(GPL-3.0; read for its rules). There in 48-bit binary fractions, here exact: the two differ by less than
10^−13.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from fastadl.decimals import exact
from fastadl.published.refused import RefusedError

__all__ = ["Liqee", "Liquidated", "Prices", "liquidate"]

_ZERO = Fraction(0)


@dataclass(frozen=True, slots=True)
class Prices:
    """Of the settle token and of the insurance token, quote per native unit.

    Attributes
    ----------
    settle, insurance : number
    asset_weight, liab_weight : number
        Of the settle token in health.
    liquidation_fee : number
        Premium of the liquidator when he takes over profit for insurance.
    """

    settle: object
    insurance: object
    asset_weight: object = 1
    liab_weight: object = 1
    liquidation_fee: object = 0


@dataclass(frozen=True, slots=True)
class Liqee:
    """The account under liquidation: it holds no perp position any more, only its unsettled profit.

    Attributes
    ----------
    settle_token, perp_pnl : number
        Native units; the profit is negative.
    other_health : number
        What its other tokens add to health.
    """

    settle_token: object
    perp_pnl: object
    other_health: object


@dataclass(frozen=True, slots=True)
class Liquidated:
    """Native units.

    Attributes
    ----------
    settlement : Fraction
        Tokens the liquidator got for as much negative profit.
    insurance : int
        Insurance tokens the liquidator got.
    taken_over : Fraction
        Negative profit he took for them.
    socialized : Fraction
        What is charged to all open interest.
    """

    settlement: Fraction
    insurance: int
    taken_over: Fraction
    socialized: Fraction


def liquidate(
    liqee: Liqee, prices: Prices, *, fund: int, settle_limit: object, max_transfer: object
) -> Liquidated:
    """Take over an account's negative profit, in three steps.

    1. For settle tokens, as many as keep its health without its losses at 0 or above, within the settle limit
       and what the liquidator asks for.
    2. If that limit was reached: what would bring health to 0, for insurance tokens at price and fee, their
       number rounded up.
    3. Only when that uses up the fund: the rest of it is charged to all open interest.

    Parameters
    ----------
    liqee : Liqee
    prices : Prices
    fund : int
        Insurance tokens.
    settle_limit, max_transfer : number
        Native units of the settle token.

    Raises
    ------
    RefusedError
        ``profitability_mismatch`` if the profit is not negative.

    Examples
    --------
    >>> prices = Prices(2, 3, "0.9", "1.1")
    >>> liquidate(Liqee(40, -50, -36), prices, fund=6, settle_limit=0, max_transfer=100)
    Liquidated(settlement=Fraction(0, 1), insurance=6, taken_over=Fraction(9, 1), socialized=Fraction(21, 1))
    """
    token, pnl, other = exact(liqee.settle_token), exact(liqee.perp_pnl), exact(liqee.other_health)
    price = exact(prices.settle)
    asset, liability = price * exact(prices.asset_weight), price * exact(prices.liab_weight)
    asked = exact(max_transfer)
    if pnl >= 0:
        raise RefusedError("profitability_mismatch", f"the profit is {float(pnl)}")

    limit = _given_up(token, _health(token, asset, liability) + other, asset, liability)
    limit = max(min(limit, -pnl, exact(settle_limit)), _ZERO)
    settlement = min(limit, asked)
    if settlement < limit or settlement == -pnl:
        return Liquidated(settlement, 0, _ZERO, _ZERO)

    balance = token + pnl
    missing = _needed(balance, _health(balance, asset, liability) + other, asset, liability)
    missing = min(missing, -pnl - settlement)
    wanted = max(min(missing, asked - settlement), _ZERO)
    unit = price * (1 + exact(prices.liquidation_fee)) / exact(prices.insurance)
    paid = min(ceil(wanted * unit), fund)
    taken_over = min(paid / unit, wanted)
    return Liquidated(settlement, paid, taken_over, missing - taken_over if paid == fund else _ZERO)


def _health(balance: Fraction, asset: Fraction, liability: Fraction) -> Fraction:
    return balance * (asset if balance > 0 else liability)


def _given_up(balance: Fraction, health: Fraction, asset: Fraction, liability: Fraction) -> Fraction:
    """How much of a token may go before health is 0."""
    if health <= 0:
        return _ZERO
    held = max(balance, _ZERO)
    if health <= held * asset:
        return health / asset
    return held + (health - held * asset) / liability


def _needed(balance: Fraction, health: Fraction, asset: Fraction, liability: Fraction) -> Fraction:
    """How much of a token must come until health is 0."""
    return _given_up(-balance, -health, liability, asset)
