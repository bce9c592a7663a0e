"""Hyperliquid's perpetuals, as its ``meta`` lists them, to an instruments table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from fastadl.borders.values import Path, fields, listed, needed, number, text
from fastadl.errors import InputError

__all__ = ["CURRENCY", "DECIMALS", "instruments"]

#: What the perpetuals settle in, and the decimals its money is stated with.
CURRENCY, DECIMALS = "USDC", 6
_NEEDED = "give the answer to the info request of type meta whole"
#: Margin tables of smaller numbers are not listed: they have one tier, of that leverage.
_LISTED_FROM = 50


def instruments(meta: Mapping[str, Any], *, coins: Iterable[str] | None = None) -> dict[str, list[Any]]:
    """The instruments table of `Book.from_frames`.

    The maintenance rate of a tier is half the initial margin at its largest leverage; deductions are derived
    (rule R4). A coin whose ``marginTableId`` is below 50, or None, has one tier, of its ``maxLeverage``.

    Parameters
    ----------
    meta : mapping
        What the info endpoint answers to ``{"type": "meta"}``: ``universe`` and ``marginTables``.
    coins : iterable of str, optional
        Which; all that are not delisted if left out.

    Raises
    ------
    InputError
        Naming coin, field, value and remedy.

    Notes
    -----
    Hyperliquid documentation, "Margining" and "Margin tiers".
    """
    universe = dict(map(_coin, enumerate(_list(meta, "universe"))))
    tables = dict(map(_table, enumerate(_list(meta, "marginTables"))))
    if coins is None:
        coins = [name for name, coin in universe.items() if not coin.get("isDelisted")]
    chosen = [
        text(name, ("coins",), "name coins by texts") for name in listed(coins, ("coins",), "list coins")
    ]
    for name in chosen:
        if name not in universe:
            raise InputError(("meta", "universe"), "missing", f"give a universe that lists {name}")
    return {
        "symbol": chosen,
        "kind": ["linear"] * len(chosen),
        "contract_size": [1] * len(chosen),
        "lot": [_lot(universe[name]) for name in chosen],
        "tiers": [_ladder(universe[name], tables) for name in chosen],
        "currency": [CURRENCY] * len(chosen),
        "decimals": [DECIMALS] * len(chosen),
    }


def _list(meta: Mapping[str, Any], name: str) -> list[Any]:
    found = fields(meta, ("meta",)).get(name)
    if not isinstance(found, list):
        raise InputError(("meta", name), "missing", "give the answer to the info request of type meta")
    return found


def _coin(given: tuple[int, Any]) -> tuple[str, Mapping[str, Any]]:
    """Name and entry of a coin."""
    i, coin = given
    path = ("meta", "universe", i)
    return text(needed(fields(coin, path), "name", path, _NEEDED), (*path, "name"), _NEEDED), coin


def _table(given: tuple[int, Any]) -> tuple[int, Mapping[str, Any]]:
    """Number and contents of a margin table."""
    i, pair = given
    path = ("meta", "marginTables", i)
    if not isinstance(pair, (list, tuple)) or len(pair) != 2 or type(pair[0]) is not int:
        raise InputError(path, pair, "give pairs of number and table")
    return pair[0], fields(pair[1], path)


def _lot(coin: Mapping[str, Any]) -> Fraction:
    path = ("meta", coin["name"])
    places = needed(coin, "szDecimals", path, _NEEDED)
    if type(places) is not int or not 0 <= places <= DECIMALS:
        raise InputError((*path, "szDecimals"), places, f"give an integer from 0 to {DECIMALS}")
    return 1 / Fraction(10) ** places


def _ladder(coin: Mapping[str, Any], tables: Mapping[int, Any]) -> list[dict[str, Any]]:
    path = ("meta", coin["name"])
    most = needed(coin, "maxLeverage", path, _NEEDED)
    table = _table_of(coin, tables, path)
    steps = [{"lowerBound": "0", "maxLeverage": most}]
    if table is not None:
        steps = listed(needed(table, "marginTiers", path, _NEEDED), (*path, "marginTiers"), _NEEDED)
    return [_tier(step, (*path, t)) for t, step in enumerate(steps)]


def _table_of(coin: Mapping[str, Any], tables: Mapping[int, Any], path: Path) -> Any:
    """The margin table of a coin, None if it is flat."""
    found = coin.get("marginTableId")
    if found is None:
        return None
    if type(found) is not int:
        raise InputError((*path, "marginTableId"), found, "give the number of a margin table")
    if found not in tables and found >= _LISTED_FROM:
        raise InputError((*path, "marginTableId"), found, "give marginTables that list it")
    return tables.get(found)


def _tier(step: Any, path: Path) -> dict[str, Any]:
    leverage = needed(fields(step, path), "maxLeverage", path, _NEEDED)
    most = number(leverage, (*path, "maxLeverage"))
    if most <= 0:
        raise InputError((*path, "maxLeverage"), leverage, "give a number above 0")
    return {
        "min_notional": needed(step, "lowerBound", path, _NEEDED),
        "maintenance_rate": 1 / (2 * most),
        "max_leverage": leverage,
    }
