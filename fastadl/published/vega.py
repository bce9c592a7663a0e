"""Vega: mark-to-market gains that the losers could not pay in full."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal, localcontext
from math import floor

from fastadl.errors import InputError

__all__ = ["collect", "distribute"]

_PLACES = Decimal(1).scaleb(-16)


def collect(losses: Sequence[int], balances: Sequence[int], fund: int) -> tuple[list[int], int]:
    """What each loser brings to the settlement, and what is left of the insurance pool.

    Each pays what he has; what is missing comes from the pool, for one loser after the other.

    Parameters
    ----------
    losses, balances : sequence of int
        Not negative, in the order of the losers.
    fund : int
        Of the pool, not negative.

    Notes
    -----
    vegaprotocol/vega at a50750c, features/verified/0002-STTL.

    Examples
    --------
    >>> collect([1916, 1916], [1000, 10_000], 500)
    ([1500, 1916], 0)
    """
    paid = []
    for loss, balance in zip(losses, balances, strict=True):
        own = min(loss, balance)
        helped = min(loss - own, fund)
        fund -= helped
        paid.append(own + helped)
    return paid, fund


def distribute(collected: int, gains: Sequence[int]) -> list[int]:
    """What each winner gets of the money that was collected.

    The ratio collected/ΣG is rounded to 16 decimal places first; each winner gets ⌊gain · ratio⌋ and the last
    one listed the remainder. Because the ratio is rounded, a share that is whole may be floored by one:
    dividing last, as rule R93 does, avoids it.

    Parameters
    ----------
    collected : int
        Not negative; more than ΣG is not handed out.
    gains : sequence of int
        Not negative, in the order of the winners.

    Raises
    ------
    InputError
        If a number is negative.

    Notes
    -----
    vegaprotocol/vega, core/collateral/simple_distributor.go at a50750c; its decimals divide to 16
    places, half away from zero.

    Examples
    --------
    >>> distribute(3416, [1916, 1916])
    [1707, 1709]
    """
    for name, number in [("collected", collected), *(("gains", gain) for gain in gains)]:
        if number < 0:
            raise InputError((name,), number, "give a number that is not negative")
    expected = sum(gains)
    if collected >= expected:
        return list(gains)
    with localcontext() as context:
        context.prec = 200
        ratio = (Decimal(collected) / Decimal(expected)).quantize(_PLACES, ROUND_HALF_UP)
        shares = [floor(gain * ratio) for gain in gains]
    shares[-1] += collected - sum(shares)
    return shares
