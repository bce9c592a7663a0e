"""The price at which one position has used up its margin, as most venues print it."""

from __future__ import annotations

from fractions import Fraction

from fastadl.decimals import exact

__all__ = ["bankruptcy_price"]


def bankruptcy_price(
    quantity: object, entry: object, margin: object, *, inverse: bool = False
) -> Fraction | None:
    """The price at which profit and margin sum to zero; not rounded.

    Linear: ``entry − margin / quantity``, at least 0. Inverse: ``quantity / (quantity/entry + margin)``,
    which for a margin of 1/L of the value is ``entry · L / (L + 1)`` for a long and ``entry · L / (L − 1)``
    for a short. A position of no quantity has price 0.

    Parameters
    ----------
    quantity : number
        Signed; currency per 1 of price (linear), or face value (inverse).
    entry : number
        Above 0.
    margin : number
        Units of the settlement currency; may be negative.

    Returns
    -------
    Fraction or None
        None where an inverse short cannot be ruined at any price.

    Examples
    --------
    >>> bankruptcy_price("-0.5", 60_000, 1_500)
    Fraction(63000, 1)
    """
    held, price, cash = exact(quantity), exact(entry), exact(margin)
    if held == 0:
        return Fraction(0)
    if not inverse:
        return max(Fraction(0), price - cash / held)
    left = held / price + cash
    return held / left if left * held > 0 else None
