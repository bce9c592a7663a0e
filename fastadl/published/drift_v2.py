"""Drift v2: bankruptcies charged to everybody through an index, and the fee of the insurance fund.

Source: drift-labs/protocol-v2 at 0ae3e3b, controller/liquidation.rs and math/liquidation.rs (Apache-2.0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fastadl.errors import InputError
from fastadl.policy import index_delta
from fastadl.published.refused import RefusedError

__all__ = [
    "DEPOSIT_INDEX",
    "PerpResolved",
    "Position",
    "SpotResolved",
    "deposit_index_delta",
    "perp_fund_fee",
    "resolve_perp",
    "resolve_spot",
]

_MILLION: Final = 10**6
#: Steps of base quantity in one contract, and of the funding index in one unit of quote per contract.
_BASE: Final = 10**9
#: Steps of the deposit index in 1.
DEPOSIT_INDEX: Final = 10**10
#: Of what is left of the margin ratio the fund may take this much, in percent.
_FUND_PERCENT: Final = 95


@dataclass(frozen=True, slots=True)
class PerpResolved:
    """A perp bankruptcy, paid.

    Attributes
    ----------
    fund, fee_pool : int
        What each paid, quote units of 10^−6.
    social_loss : int
        What everybody who holds the market pays, same units.
    index_delta : int
        Rise of the cumulative funding of longs, and fall of that of shorts: 10^−9 quote per contract.
    """

    fund: int
    fee_pool: int
    social_loss: int
    index_delta: int


@dataclass(frozen=True, slots=True)
class SpotResolved:
    """A borrow nobody pays back, taken off the deposits.

    Attributes
    ----------
    index : int
        Deposit index after it, in 10^−10.
    deposits, borrows : int
        Tokens after it, deposits cut.
    """

    index: int
    deposits: int
    borrows: int


@dataclass(frozen=True, slots=True)
class Position:
    """A perp position under liquidation, for its fee.

    Attributes
    ----------
    base : int
        10^−9 contracts, unsigned.
    price : int
        10^−6 quote per contract.
    margin_ppm, liquidator_ppm : int
        Margin ratio and fee of the liquidator, in millionths.
    """

    base: int
    price: int
    margin_ppm: int
    liquidator_ppm: int


def resolve_perp(loss: int, *, fund: int, fee_pool: int, oi_long: int, oi_short: int) -> PerpResolved:
    """Pay the loss of an account that holds nothing any more: fund, then fee pool, then both sides.

    ``Δ = ⌈loss / (|long| + |short|)⌉`` per 10^−9 contract in quote units of 10^−6, then in steps of the
    index: rounded up, so that holders never pay less than the loss.

    Parameters
    ----------
    loss : int
        Quote units of 10^−6, not negative.
    fund : int
        What the insurance fund may pay: its vault less 1, and at most the market's limit.
    fee_pool : int
        Of the market.
    oi_long, oi_short : int
        Open interest in 10^−9 contracts, signed or not.

    Raises
    ------
    RefusedError
        ``no_open_interest``, where a loss is left that nobody holds the market to pay.

    Examples
    --------
    >>> resolve_perp(100_000_000, fund=0, fee_pool=50_000_000, oi_long=5 * 10**9, oi_short=-5 * 10**9)
    PerpResolved(fund=0, fee_pool=50000000, social_loss=50000000, index_delta=5000000000)
    """
    by_fund = min(loss, max(fund, 0))
    by_fees = min(loss - by_fund, max(fee_pool, 0))
    left = loss - by_fund - by_fees
    holding = abs(oi_long) + abs(oi_short)
    if not left:
        return PerpResolved(by_fund, by_fees, 0, 0)
    if not holding:
        raise RefusedError("no_open_interest", f"a loss of {left} is left")
    return PerpResolved(by_fund, by_fees, left, index_delta(left, holding, _BASE) * (_BASE // _MILLION))


def deposit_index_delta(loss: int, deposits: int, index: int) -> int:
    """``⌈index · loss / deposits⌉``: how far the deposit index falls, rounded up.

    Examples
    --------
    >>> deposit_index_delta(11, 120, DEPOSIT_INDEX)
    916666667
    """
    return index_delta(loss, deposits, index)


def resolve_spot(loss: int, *, deposits: int, borrows: int, index: int) -> SpotResolved:
    """Take a borrow that is lost off all deposits, by `deposit_index_delta`.

    Raises
    ------
    InputError
        If more is lost than was deposited or borrowed.
    """
    if not 0 <= loss <= min(deposits, borrows):
        raise InputError(("loss",), loss, "give at most the deposits, and at most the borrows")
    after = index - deposit_index_delta(loss, deposits, index)
    return SpotResolved(after, deposits * after // index, borrows - loss)


def perp_fund_fee(shortage: int, position: Position, most_ppm: int) -> int:
    """Fee of the insurance fund on a perp liquidation, in millionths.

    ``min(most, 95 % · (margin ratio − liquidator's fee − shortage / notional))``, at least 0; the shortage
    over the notional and the 95 % are cut.

    Parameters
    ----------
    shortage : int
        Margin that is missing, quote units of 10^−6.
    position : Position
    most_ppm : int

    Examples
    --------
    >>> perp_fund_fee(20 * 10**6, Position(10 * 10**9, 100 * 10**6, 50_000, 10_000), 50_000)
    19000
    """
    if not position.base or not position.price or position.margin_ppm <= position.liquidator_ppm:
        return 0
    missing = shortage * _BASE * _MILLION // (position.base * position.price)
    left = max(position.margin_ppm - position.liquidator_ppm - missing, 0)
    return min(most_ppm, left * _FUND_PERCENT // 100)
