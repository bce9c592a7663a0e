"""dYdX v1 (2021): two accounts named by an operator, margin moved in proportion to the position."""

from __future__ import annotations

from dataclasses import dataclass

from fastadl.decimals import exact
from fastadl.errors import InputError
from fastadl.published.refused import RefusedError

__all__ = ["Account", "deleverage"]


@dataclass(frozen=True, slots=True)
class Account:
    """Margin in quote units and position in base units, both signed integers."""

    margin: int
    position: int


def deleverage(
    maker: Account, taker: Account, price: object, amount: int, *, all_or_nothing: bool = False
) -> tuple[Account, Account]:
    """Move a part of an under-water maker's position and margin to the taker.

    ``amount = min(amount, |maker|, |taker|)`` of the position moves, and with it ``⌊margin · amount /
    |maker|⌋`` of the maker's margin: the cash of a short that moves is rounded down, the debt of a long is
    rounded up in size. So rounding never hurts the maker.

    Parameters
    ----------
    maker : Account
        Must be under water: margin + position · price < 0.
    taker : Account
        Must hold the other side.
    price : number
        Of the oracle.
    amount : int
        Not negative.
    all_or_nothing : bool
        Refuse what would be cut.

    Returns
    -------
    (Account, Account)
        Maker and taker after it.

    Raises
    ------
    RefusedError
        ``maker_not_underwater``, ``all_or_nothing_maker``, ``all_or_nothing_taker``, ``not_opposite``.
    InputError
        If the amount is negative.

    Notes
    -----
    dydxprotocol/perpetual, P1Deleveraging.sol at 87f2263.

    Examples
    --------
    >>> deleverage(Account(1500, -10), Account(-500, 10), "150.000001", 5)
    (Account(margin=750, position=-5), Account(margin=250, position=5))
    """
    if amount < 0:
        raise InputError(("amount",), amount, "give an amount that is not negative")
    equity = maker.margin + maker.position * exact(price)
    if equity >= 0:
        raise RefusedError("maker_not_underwater", f"its equity is {float(equity)}")
    if amount and maker.position * taker.position >= 0:
        raise RefusedError("not_opposite", f"positions are {maker.position} and {taker.position}")
    held = abs(maker.position)
    for name, most in (("maker", held), ("taker", abs(taker.position))):
        if all_or_nothing and amount > most:
            raise RefusedError(f"all_or_nothing_{name}", f"{amount} asked, {most} held")
        amount = min(amount, most)
    if not amount:
        return maker, taker
    margin = maker.margin * amount // held
    base = amount if maker.position > 0 else -amount
    return (
        Account(maker.margin - margin, maker.position - base),
        Account(taker.margin + margin, taker.position + base),
    )
