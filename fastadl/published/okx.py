"""OKX: the balance of the insurance fund at which deleveraging starts."""

from __future__ import annotations

from fractions import Fraction

from fastadl.decimals import exact

__all__ = ["threshold"]


def threshold(reference: object, share: object = "0.3", amount: object = 50_000) -> Fraction:
    """``reference − max(share · reference, amount)``, in units of the currency; not rounded.

    Parameters
    ----------
    reference : number
        Balance of the fund within the last 8 hours: the highest, or the mean; the sources differ.
    share : number
        Of the reference.
    amount : number
        The least fall that counts.

    Notes
    -----
    ukcamo.com/4352.html, a rewrite of OKX's help page of March 2025; secondary. Trigger ``drawdown`` of scope
    ``fund`` (rule R88).

    Examples
    --------
    >>> threshold(400_000)
    Fraction(280000, 1)
    """
    high = exact(reference)
    return high - max(exact(share) * high, exact(amount))
