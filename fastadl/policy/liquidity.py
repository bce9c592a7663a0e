"""Order books in simulations: what can be closed in a tick, and for how much (rules R68, R100)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from fastadl.contracts import Instruments
from fastadl.decimals import plain
from fastadl.errors import BoundsError, InputError
from fastadl.policy.choices import one_of
from fastadl.policy.funding import Amount, number, refuse_unknown
from fastadl.policy.partial import Partial
from fastadl.schema import SUM_BOUND, Int64Array

__all__ = ["AnyOrderBook", "Liquidity"]


@runtime_checkable
class AnyOrderBook(Protocol):
    """What the simulated close-out asks of the order books of all instruments (rule R100).

    `Liquidity` is the one that scenario files have; `fastadl.stress.OrderBook` has depth and impact.
    """

    @property
    def fee(self) -> Fraction:
        """Liquidation fee on the value closed, in [0, 1)."""

    @property
    def surplus(self) -> Literal["trader", "fund"]:
        """Who keeps the cash of an account that was closed whole."""

    @property
    def partial(self) -> Partial:
        """How much of a position one order may close (rule R101)."""

    def check(self, instruments: Instruments) -> None:
        """Refuse instruments it was not made for, with an `InputError`."""

    def fits(self, demand: Int64Array, instruments: Instruments) -> tuple[Int64Array, dict[int, Fraction]]:
        """What can be closed now. Asking changes nothing: the tick may yet be undone, or ask again.

        Parameters
        ----------
        demand : int64 (2 · instruments)
            Lots to be closed by leg (2 · instrument, + 1 for shorts).
        instruments : Instruments

        Returns
        -------
        lots : int64 (2 · instruments)
            How many of them are; an array of the caller's own.
        factors : dict of int to Fraction
            For every leg of which some are: the price of each lot as a multiple of the mark, above 0.
        """


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
    slice, slice_above, cooldown, in_cooldown, step_down, bankrupt
        Partial close-outs, kept as `partial` (see `fastadl.policy.Partial`); off unless given.

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
    partial: Partial

    def __init__(
        self,
        model: Literal["fixed"] = "fixed",
        depth: Mapping[str, Amount] | None = None,
        slippage: Amount = "0",
        fee: Amount = "0",
        surplus: Literal["trader", "fund"] = "trader",
        **partial: Any,
    ) -> None:
        set_field = object.__setattr__
        set_field(self, "model", one_of(("liquidity", "model"), model, ("fixed",)))
        set_field(self, "depth", _depths({} if depth is None else depth))
        set_field(self, "slippage", _share("slippage", slippage))
        set_field(self, "fee", _share("fee", fee))
        set_field(self, "surplus", one_of(("liquidity", "surplus"), surplus, ("trader", "fund")))
        set_field(self, "partial", Partial(**partial))

    @classmethod
    def of(cls, liquidity: Mapping[str, Any] | Liquidity | None) -> Liquidity | None:
        """Liquidity from a mapping as in a scenario file; None stays None."""
        if liquidity is None or isinstance(liquidity, Liquidity):
            return liquidity
        if not isinstance(liquidity, Mapping):
            raise InputError(("liquidity",), liquidity, "give a mapping, a Liquidity or null")
        known = ("model", "depth", "slippage", "fee", "surplus", *Partial.__match_args__)
        refuse_unknown(liquidity, known, "liquidity")
        for field, what in (("depth", "quantities by symbol"), ("slice", "a share")):
            if field in liquidity and liquidity[field] is None:
                raise InputError(("liquidity", field), None, f"give {what}, or leave it out")
        return cls(**liquidity)

    def check(self, instruments: Instruments) -> None:
        """Refuse a depth that these instruments cannot have."""
        self.depth_lots(instruments)

    def fits(self, demand: Int64Array, instruments: Instruments) -> tuple[Int64Array, dict[int, Fraction]]:
        """What can be closed in a tick: up to the depth, at mark less or plus the slippage (rule R22)."""
        lots = np.minimum(demand, np.repeat(self.depth_lots(instruments), 2))
        factors = (1 - self.slippage, 1 + self.slippage)
        return lots, {int(leg): factors[leg & 1] for leg in np.flatnonzero(lots)}

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
