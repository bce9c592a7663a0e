"""A stand-in for the order book in simulations: what can be closed in a tick, and for how much (rule R68)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from fastadl.contracts import Instruments
from fastadl.decimals import plain
from fastadl.errors import BoundsError, InputError
from fastadl.policy.choices import nearest
from fastadl.policy.funding import Amount, number, refuse_unknown
from fastadl.schema import SUM_BOUND, Int64Array

__all__ = ["Liquidity"]


@dataclass(frozen=True, slots=True, init=False)
class Liquidity:
    """Simulated liquidity for closing detected accounts (rule R22).

    Parameters
    ----------
    model : {"fixed"}
        The same depth every tick.
    depth : mapping of symbol to decimal
        Contracts that can be closed per tick in each direction; 0 for a symbol not named.
    slippage : decimal
        In [0, 1): an execution is at mark times ``1 - slippage`` (a long) or ``1 + slippage`` (a short).
    fee : decimal
        In [0, 1): liquidation fee on the value closed, paid to the fund.
    surplus : {"trader", "fund"}
        Who keeps the cash of an account that was closed whole.

    Raises
    ------
    InputError
        Naming the field.
    """

    model: Literal["fixed"]
    depth: Mapping[str, Fraction]
    slippage: Fraction
    fee: Fraction
    surplus: Literal["trader", "fund"]

    def __init__(
        self,
        model: Literal["fixed"] = "fixed",
        depth: Mapping[str, Amount] | None = None,
        slippage: Amount = "0",
        fee: Amount = "0",
        surplus: Literal["trader", "fund"] = "trader",
    ) -> None:
        set_field = object.__setattr__
        set_field(self, "model", _one_of("model", model, ("fixed",)))
        set_field(self, "depth", _depths({} if depth is None else depth))
        set_field(self, "slippage", _share("slippage", slippage))
        set_field(self, "fee", _share("fee", fee))
        set_field(self, "surplus", _one_of("surplus", surplus, ("trader", "fund")))

    @classmethod
    def of(cls, liquidity: Mapping[str, Any] | Liquidity | None) -> Liquidity | None:
        """Liquidity from a mapping as in a scenario file; None stays None."""
        if liquidity is None or isinstance(liquidity, Liquidity):
            return liquidity
        if not isinstance(liquidity, Mapping):
            raise InputError(("liquidity",), liquidity, "give a mapping, a Liquidity or null")
        refuse_unknown(liquidity, ("model", "depth", "slippage", "fee", "surplus"), "liquidity")
        if "depth" in liquidity and liquidity["depth"] is None:
            raise InputError(("liquidity", "depth"), None, "give quantities by symbol, or leave it out")
        return cls(**liquidity)

    def depth_lots(self, instruments: Instruments) -> Int64Array:
        """Depth of every instrument in lots: int64 (instruments).

        Raises
        ------
        InputError
            If a symbol is unknown or a depth is not a whole number of lots.
        """
        lots = np.zeros(len(instruments), np.int64)
        for symbol, quantity in self.depth.items():
            path = ("liquidity", "depth", symbol)
            code = instruments.lookup(symbol, path)
            lot = instruments[code].lot
            whole = quantity / lot
            if whole.denominator != 1:
                raise InputError(path, plain(quantity), f"give a multiple of the lot {plain(lot)}")
            if whole > SUM_BOUND:
                raise BoundsError(path, plain(quantity), "keep it within 2^62 lots (rule R1)")
            lots[code] = int(whole)
        return lots


def _depths(depth: object) -> dict[str, Fraction]:
    if not isinstance(depth, Mapping):
        raise InputError(("liquidity", "depth"), depth, "give quantities by symbol")
    quantities = {}
    for symbol, value in depth.items():
        path = ("liquidity", "depth", str(symbol))
        quantities[str(symbol)] = number(value, path)
        if quantities[str(symbol)] < 0:
            raise InputError(path, value, "give a quantity of 0 or more")
    return quantities


def _share(field: str, value: Amount) -> Fraction:
    share = number(value, ("liquidity", field))
    if not 0 <= share < 1:
        raise InputError(("liquidity", field), value, "give a share from 0 to below 1")
    return share


def _one_of(field: str, value: object, allowed: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise InputError(
            ("liquidity", field), value, f"take one of {', '.join(allowed)}{nearest(value, allowed)}"
        )
    return value
