"""How much of an account one tick may order closed (rule R101)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral
from typing import Literal

from fastadl.errors import BoundsError, InputError
from fastadl.policy.choices import one_of
from fastadl.policy.funding import Amount, number
from fastadl.schema import SUM_BOUND

__all__ = ["Partial", "seconds"]

_PLACE = "liquidity"


@dataclass(frozen=True, slots=True, init=False)
class Partial:
    """Partial close-outs; off unless `slice` or `step_down` is given.

    Hyperliquid's is ``slice="0.2", slice_above="100000", cooldown=30, in_cooldown="whole"``: as announced,
    20 % of a position above 100k USDC is sent to the book, and for 30 seconds after that orders of that user
    are for the entire position. Stepping down the margin ladder is what Binance and Bybit do with positions
    above their first tier.

    Parameters
    ----------
    slice : decimal, optional
        Above 0 and below 1: the share of a position that one order closes, in lots rounded up.
    slice_above : decimal
        Units of the settlement currency: smaller positions, and those of just this notional, are not sliced.
    cooldown : int
        Seconds after an order for a part during which no other order of the account is for a part.
    in_cooldown : {"wait", "whole"}
        What becomes of an account that is still liquidatable then: nothing, or it is closed whole.
    step_down : bool
        An order closes what is above the lower border of the margin tier that the position stands in.
    bankrupt : {"book", "fund"}
        Where accounts go that are bankrupt at mark: into the order book, whole, or straight on to the fund
        and ADL, as where orders are limited at the bankruptcy price: nobody pays better than mark.

    Raises
    ------
    InputError
        Naming the field of ``liquidity``.
    """

    slice: Fraction | None
    slice_above: Fraction
    cooldown: int
    in_cooldown: Literal["wait", "whole"]
    step_down: bool
    bankrupt: Literal["book", "fund"]

    def __init__(
        self,
        slice: Amount | None = None,
        slice_above: Amount = "0",
        cooldown: int = 0,
        in_cooldown: Literal["wait", "whole"] = "wait",
        step_down: bool = False,
        bankrupt: Literal["book", "fund"] = "book",
    ) -> None:
        set_field = object.__setattr__
        set_field(self, "slice", None if slice is None else _slice(slice))
        set_field(self, "slice_above", number(slice_above, (_PLACE, "slice_above")))
        if self.slice_above < 0:
            raise InputError((_PLACE, "slice_above"), slice_above, "give an amount of 0 or more")
        set_field(self, "cooldown", seconds("cooldown", cooldown, least=0))
        set_field(self, "in_cooldown", one_of((_PLACE, "in_cooldown"), in_cooldown, ("wait", "whole")))
        if not isinstance(step_down, bool):
            raise InputError((_PLACE, "step_down"), step_down, "give true or false")
        set_field(self, "step_down", step_down)
        set_field(self, "bankrupt", one_of((_PLACE, "bankrupt"), bankrupt, ("book", "fund")))
        if self.slice is None and self.slice_above:
            raise InputError((_PLACE, "slice_above"), slice_above, "give a slice with it")
        if self.slice is None and not self.step_down and self.cooldown:
            raise InputError((_PLACE, "cooldown"), cooldown, "give a slice or step_down with it")

    def __bool__(self) -> bool:
        """Whether any order may be for a part, or for nothing."""
        return self.slice is not None or self.step_down or self.bankrupt == "fund"


def _slice(value: Amount) -> Fraction:
    share = number(value, (_PLACE, "slice"))
    if not 0 < share < 1:
        raise InputError((_PLACE, "slice"), value, "give a share above 0 and below 1, or leave it out")
    return share


def seconds(field: str, value: object, *, least: int) -> int:
    """Whole seconds of a field of ``liquidity``, not below the least."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
        raise InputError((_PLACE, field), value, f"give whole seconds, {least} or more")
    if int(value) > SUM_BOUND:
        raise BoundsError((_PLACE, field), value, "give at most 2^62 seconds (rule R1)")
    return int(value)
