"""Quotas: how many lots each candidate gives (rules R16, R43)."""

from __future__ import annotations

import numpy as np

from fastadl.kernels._jit import kernel
from fastadl.kernels.wide import add, divide, muldiv, multiply, whole

__all__ = ["level", "level_shares", "shares", "threshold", "whole_positions"]


@kernel
def whole_positions(cap, need, quota):
    """Close candidates whole, down the ranking, each only if it fits what is left.

    Parameters
    ----------
    cap : int64 (n)
        Lots held, in rank order.
    need : int
    quota : int64 (n)
        Written.
    """
    left = need
    for i in range(cap.shape[0]):
        quota[i] = cap[i] if cap[i] <= left else 0
        left -= quota[i]


@kernel
def shares(budget, weight, total, down, rest):
    """Shares of a whole number by weight: floors and remainders over `total`.

    Parameters
    ----------
    budget, total : int
        Below 2^62; `total` is the sum of `weight`.
    weight : int64 (n)
        Not negative.
    down, rest : int64 (n)
        Written.
    """
    for i in range(weight.shape[0]):
        down[i], rest[i] = muldiv(weight[i], budget, total)


@kernel
def threshold(cap, weight, budget, full):
    """Which candidates are capped at the τ where ``Σ min(cap, τ · weight)`` is the budget.

    Parameters
    ----------
    cap, weight : int64 (n)
    budget : int
        At most the sum of `cap` over positive weights; the sum of `weight` stays below 2^62.
    full : bool (n)
        Written: True where the cap binds.

    Returns
    -------
    (int, int)
        Budget and weight of the others: theirs is ``budget · weight / total`` each.
    """
    total = np.int64(0)
    for i in range(cap.shape[0]):
        full[i] = False
        total += weight[i]
    left = np.int64(budget)
    again = True
    while again and total > 0:
        again = False
        next_left = left
        next_total = total
        for i in range(cap.shape[0]):
            if weight[i] > 0 and not full[i]:
                most, _ = muldiv(weight[i], left, total)
                if cap[i] <= most:
                    full[i] = True
                    again = True
                    next_left -= cap[i]
                    next_total -= weight[i]
        left = next_left
        total = next_total
    return left, total


@kernel
def level(cap, gross, equity, unit, need):
    """Leverage L, to float64, at which ``Σ clip((gross − L · equity) / unit, 0, cap)`` is the need.

    Parameters
    ----------
    cap, gross, equity : int64 (n)
    unit : float
        |unit value|.
    need : int
        Below the sum of `cap`.
    """
    low = 0.0
    high = 0.0
    for i in range(cap.shape[0]):
        high = max(high, gross[i] / equity[i])
        low = min(low, (gross[i] - cap[i] * unit) / equity[i])
    low -= 1.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        if middle <= low or middle >= high:
            break
        total = 0.0
        for i in range(cap.shape[0]):
            total += min(max((gross[i] - middle * equity[i]) / unit, 0.0), float(cap[i]))
        if total > need:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@kernel
def level_shares(gross, equity, leverage, unit, down, rest):
    """Shares ``(gross − leverage · equity) / unit``: floors and remainders.

    Parameters
    ----------
    gross, equity : int64 (n)
    leverage, unit : float64 pairs
    down : int64 (n)
        Written.
    rest : float64 (n)
        Written.

    Returns
    -------
    bool
        False where a floor cannot be told from float64 pairs.
    """
    for i in range(gross.shape[0]):
        minus = multiply(leverage, whole(-equity[i]))
        share = divide(add(whole(gross[i]), minus), unit)
        floor = np.floor(share[0])
        over = (share[0] - floor) + share[1]
        tolerance = 1e-10 + (gross[i] / unit[0]) * 1e-25
        if over < tolerance or over > 1.0 - tolerance or abs(share[0]) > 4e18:
            return False
        down[i] = int(floor)
        rest[i] = over
    return True
