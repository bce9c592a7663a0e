"""DexExtra: only what was lost at the trigger is shared, by notional, down to the maintenance margin.

Source: SayidwithDexextra/dexextra at 3d18520, docs/liquidation/WORKED_EXAMPLES.md. Integers: money and prices
in 10^−6 USDC, sizes in whole units. That what a cap cuts off becomes bad debt is assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import floor

from fastadl.errors import InputError

__all__ = ["Haircuts", "Loss", "Position", "haircuts", "liquidate"]

_BASIS_POINTS = 10_000


@dataclass(frozen=True, slots=True)
class Position:
    """Signed size, entry price, and collateral."""

    size: int
    entry: int
    collateral: int

    def profit(self, price: int) -> int:
        """Profit at a price."""
        return self.size * (price - self.entry)


@dataclass(frozen=True, slots=True)
class Loss:
    """How the loss of a liquidation splits.

    Attributes
    ----------
    seized : int
        Paid by the position's collateral.
    trading_loss : int
        All of it, at the price of the execution.
    from_fund : int
    socialised : int
        What is uncovered at the anchor, after the fund.
    bad_debt : int
        What late execution lost beyond that; nobody is charged.
    """

    seized: int
    trading_loss: int
    from_fund: int
    socialised: int
    bad_debt: int


@dataclass(frozen=True, slots=True)
class Haircuts:
    """What every profitable account pays, the most each may pay, and what caps cut off."""

    charged: dict[str, int]
    caps: dict[str, int]
    uncovered: int


def liquidate(position: Position, *, execution: int, anchor: int, fund: int = 0) -> Loss:
    """Split the loss of a position between its collateral, the fund, all winners, and bad debt.

    Parameters
    ----------
    position : Position
    execution : int
        Price it was closed at.
    anchor : int
        Price at which the liquidation was triggered.
    fund : int

    Examples
    --------
    >>> loss = liquidate(Position(-20, 1_000_000, 20_000_000), execution=2_600_000, anchor=2_500_000)
    >>> loss.socialised, loss.bad_debt
    (10000000, 2000000)
    """
    lost = max(-position.profit(execution), 0)
    seized = min(lost, position.collateral)
    uncovered = lost - seized
    at_anchor = min(max(-position.profit(anchor) - position.collateral, 0), uncovered)
    paid = min(at_anchor, max(fund, 0))
    return Loss(seized, lost, paid, at_anchor - paid, uncovered - at_anchor)


def haircuts(loss: int, positions: Mapping[str, Position], price: int, maintenance_bps: int) -> Haircuts:
    """Share a loss over the profitable positions of both sides, by notional.

    All but the last are rounded to the nearest unit, the last takes the remainder; each pays at most its
    equity above the maintenance margin.

    Parameters
    ----------
    loss : int
    positions : mapping of str to Position
        In the order that decides who is last.
    price : int
        Mark.
    maintenance_bps : int
        Of the notional, in 10^−4.

    Raises
    ------
    InputError
        If the loss is negative.
    """
    if loss < 0:
        raise InputError(("loss",), loss, "give a loss that is not negative")
    winners = {name: each for name, each in positions.items() if each.profit(price) > 0}
    notional = {name: abs(each.size) * price for name, each in winners.items()}
    total = sum(notional.values())
    shares, left = {}, loss if winners else 0
    for name, own in notional.items():
        share = floor(Fraction(loss * own, total) + Fraction(1, 2))
        shares[name] = left if name == list(notional)[-1] else min(share, left)
        left -= shares[name]
    caps = {
        name: max(each.collateral + each.profit(price) - notional[name] * maintenance_bps // _BASIS_POINTS, 0)
        for name, each in winners.items()
    }
    charged = {name: min(share, caps[name]) for name, share in shares.items()}
    return Haircuts(charged, caps, loss - sum(charged.values()))
