"""Margin ladders from a file of leverage tiers in the form that ccxt's ``fetch_leverage_tiers`` gives."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NoReturn

from fastadl.borders.ccxt.markets import TIER_FIELDS
from fastadl.contracts import Tier
from fastadl.errors import InputError
from fastadl.io.instruments import read_instruments
from fastadl.stress.paths import asset_of

__all__ = ["read"]

#: Quote currencies of the perpetuals that are read, the first found first.
_QUOTES = ("USDT", "USDC", "USD")


def read(file: str | os.PathLike[str], decimals: int = 6) -> dict[str, tuple[Tier, ...]]:
    """Read the ladders of linear perpetuals: ``BTC/USDT:USDT`` gives that of ``BTC``.

    Numbers are taken exactly as written. Deductions are derived (rule R4). Of several quote currencies USDT
    comes before USDC and USD; dated contracts and others are left out.

    Parameters
    ----------
    file : path
        JSON: symbol → list of tiers, each with ``minNotional``, ``maintenanceMarginRate`` and optionally
        ``maxLeverage``.
    decimals : int
        An atom is ``10**-decimals`` of the currency.

    Returns
    -------
    dict of str to tuple of Tier
        By asset; money in atoms.

    Raises
    ------
    InputError
        Naming file, symbol, tier, field, value and remedy.
    """
    name = os.fspath(file)
    found: dict[str, tuple[Tier, ...]] = {}
    given = _load(name)
    for quote in _QUOTES:
        for symbol, tiers in given.items():
            if symbol.endswith(f"/{quote}:{quote}") and asset_of(symbol) not in found:
                found[asset_of(symbol)] = _ladder(name, symbol, tiers, decimals)
    if not found:
        raise InputError((), "no linear perpetual", "name symbols as in BTC/USDT:USDT", name)
    return found


def _load(name: str) -> dict[str, Any]:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no number")

    try:
        with open(name, encoding="utf-8") as text:
            given = json.load(text, parse_float=Decimal, parse_constant=refuse)
    except OSError as error:
        raise InputError((), error.strerror or "cannot be read", "give a readable JSON file", name) from None
    except (ValueError, RecursionError) as error:
        raise InputError((), str(error), "give a JSON file", name) from None
    if not isinstance(given, dict):
        raise InputError((), type(given).__name__, "give an object of symbol and list of tiers", name)
    return given


def _ladder(name: str, symbol: str, tiers: Any, decimals: int) -> tuple[Tier, ...]:
    if not isinstance(tiers, list) or not all(isinstance(tier, Mapping) for tier in tiers):
        raise InputError((symbol,), type(tiers).__name__, "give a list of tiers", name)
    table = {"symbol": [symbol], "kind": ["linear"], "contract_size": ["1"], "lot": ["1"]}
    named = [{ours: tier[theirs] for ours, theirs in TIER_FIELDS.items() if theirs in tier} for tier in tiers]
    try:
        instruments = read_instruments({**table, "tiers": [named]}, "USD", decimals)
    except InputError as error:
        place = (TIER_FIELDS.get(str(part), part) for part in error.path[3:])
        raise InputError((symbol, *place), error.value, error.remedy, name) from None
    ladder: tuple[Tier, ...] = instruments[0].tiers
    return ladder
