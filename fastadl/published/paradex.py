"""Paradex: how much of every position a partial liquidation closes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from fastadl.decimals import exact
from fastadl.errors import InputError

__all__ = ["Position", "Share", "liquidation_share"]


@dataclass(frozen=True, slots=True)
class Position:
    """Signed size, entry and mark price."""

    size: object
    entry: object
    mark: object


@dataclass(frozen=True, slots=True)
class Share:
    """The account after a share of every position was closed at mark.

    Attributes
    ----------
    share : Fraction
    requirement, penalty, account_value : Fraction
        Units of the currency.
    realised : Fraction
        Profit of what was closed.
    """

    share: Fraction
    requirement: Fraction
    penalty: Fraction
    account_value: Fraction
    realised: Fraction

    @property
    def margin_ratio(self) -> Fraction | None:
        """Requirement over account value; None where no value is left."""
        return self.requirement / self.account_value if self.account_value > 0 else None


def liquidation_share(
    positions: Sequence[Position],
    collateral: object,
    *,
    maintenance_rate: object,
    fee: object = "0.7",
    target: object = "0.9",
    step: object = "0.2",
) -> tuple[tuple[Share, ...], Share]:
    """Every share that may be liquidated, and the least that brings the margin ratio below its target.

    Parameters
    ----------
    positions : sequence of Position
    collateral : number
        Units of the currency.
    maintenance_rate : number
        Of the notional.
    fee : number
        Penalty, as a part of the requirement that is closed. The text says 0.7, its table is made with 0.5.
    target : number
        Of the margin ratio.
    step : number
        Between one share and the next; 1 is the last.

    Raises
    ------
    InputError
        If the step is not in (0, 1].

    Notes
    -----
    tradeparadex/paradex-docs, risk-system/liquidations. Where no share is enough everything is closed.
    """
    stride = exact(step)
    if not 0 < stride <= 1:
        raise InputError(("step",), step, "give a share above 0, at most 1")
    held = [(exact(each.size), exact(each.entry), exact(each.mark)) for each in positions]
    profit = sum((size * (mark - entry) for size, entry, mark in held), Fraction(0))
    requirement = exact(maintenance_rate) * sum((abs(size) * mark for size, _, mark in held), Fraction(0))
    value = exact(collateral) + profit
    shares = []
    for k in range(1, int(1 / stride) + 1):
        share = k * stride
        penalty = share * exact(fee) * requirement
        shares.append(Share(share, (1 - share) * requirement, penalty, value - penalty, share * profit))
    if shares[-1].share < 1:
        penalty = exact(fee) * requirement
        shares.append(Share(Fraction(1), Fraction(0), penalty, value - penalty, profit))
    enough = (each for each in shares if (ratio := each.margin_ratio) is not None and ratio < exact(target))
    return tuple(shares), next(enough, shares[-1])
