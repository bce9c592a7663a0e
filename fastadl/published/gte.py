"""GTE perps: bankruptcy price and backstop shares in 10^18 fixed point."""

from __future__ import annotations

from collections.abc import Sequence

from fastadl.errors import InputError

__all__ = ["ONE", "backstop_credits", "bankruptcy_price"]

#: One unit of price, size or money.
ONE = 10**18


def bankruptcy_price(*, is_long: bool, size: int, open_notional: int, margin: int, close: int) -> int:
    """The price at which a part of a position is closed: ``(N ∓ M) · 10^18 / close``, at least 0.

    N and M are the open notional and the margin times close/size, each cut toward zero, as is the price.
    Where N ∓ M is negative the price is 0 and the fund pays what is missing.

    Parameters
    ----------
    is_long : bool
    size, close : int
        Units of 10^−18, above 0.
    open_notional : int
        What the position was opened for, not negative.
    margin : int
        Of this position; negative where it has lost more.

    Raises
    ------
    InputError
        If nothing is closed, or more than is held.

    Notes
    -----
    code-423n4/2025-08-gte-perps, _getBankruptcyPrice.

    Examples
    --------
    >>> bankruptcy_price(is_long=True, size=2, open_notional=4000, margin=401, close=1) // ONE
    1800
    """
    if not 0 < close <= size:
        raise InputError(("close",), close, f"give a size above 0, at most {size}")
    part = abs(margin) * close // size
    signed = part if margin > 0 else -part
    notional = open_notional * close // size
    left = notional - signed if is_long else notional + signed
    return max(left, 0) * ONE // close


def backstop_credits(pot: int, points: Sequence[int], volumes: Sequence[int]) -> list[int]:
    """What each backstop liquidator earns of a pot: the mean of his share of points and of volume.

    Both shares are cut at 10^−18, so is their mean, and so is the credit; what is left over stays with the
    protocol.

    Parameters
    ----------
    pot : int
        Margin of the liquidated account less the fee.
    points, volumes : sequence of int
        One entry per liquidator; their sums above 0.

    Notes
    -----
    code-423n4/2025-08-gte-perps, test_settleBackstopLiquidation.
    """
    all_points, all_volume = sum(points), sum(volumes)
    shares = [
        (own * ONE // all_points + volume * ONE // all_volume) // 2
        for own, volume in zip(points, volumes, strict=True)
    ]
    return [pot * share // ONE for share in shares]
