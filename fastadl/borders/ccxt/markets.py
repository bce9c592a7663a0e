"""Markets and leverage tiers as ccxt gives them to an instruments table, and tiers back."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from fastadl.borders.values import Path, fields, listed, needed, number, text
from fastadl.contracts import Instruments
from fastadl.errors import InputError

__all__ = ["TIER_FIELDS", "by_symbol", "instruments", "leverage_tiers", "market_path", "settled_in"]

#: ccxt's ways of stating a precision: a number of decimal places, or the step itself.
_DECIMAL_PLACES, _TICK_SIZE = 2, 4
#: Decimals of money where nothing is said: of a currency that an inverse contract settles in, and of others.
_COIN_DECIMALS, _DECIMALS = 8, 6
#: The most decimals an atom may stand for, and the most decimal places, or zeros, of an amount of contracts.
_MOST_DECIMALS, _MOST_PLACES = 12, 30
#: Our field of a tier and ccxt's.
TIER_FIELDS = {
    "min_notional": "minNotional",
    "maintenance_rate": "maintenanceMarginRate",
    "max_leverage": "maxLeverage",
}
_FIELD = {"contract_size": ("contractSize",), "lot": ("precision", "amount"), "currency": ("settle",)}


def instruments(
    markets: Mapping[str, Any] | Iterable[Mapping[str, Any]],
    tiers: Mapping[str, Any],
    *,
    symbols: Iterable[str] | None = None,
    decimals: Mapping[str, int] | None = None,
    precision_mode: int = _TICK_SIZE,
) -> dict[str, list[Any]]:
    """The instruments table of `Book.from_frames`.

    Parameters
    ----------
    markets : mapping of symbol to market, or the markets
        As ``load_markets`` and ``fetch_markets`` give them. An inverse contract's ``contractSize`` is its
        face in the quote currency: 1 where ``contracts`` are dollars.
    tiers : mapping of symbol to list of tiers
        As ``fetch_leverage_tiers`` gives it; notionals in the settlement currency, as it should be: of some
        exchanges ccxt gives contracts there.
    symbols : iterable of str, optional
        Which; all that have tiers if left out.
    decimals : mapping of currency to int, optional
        An atom is ``10**-decimals`` of the currency; 8 for one that an inverse contract settles in, 6 for
        others, if left out.
    precision_mode : {4, 2}
        The exchange's ``precisionMode``: whether ``precision["amount"]``, which is the lot, is a step
        (``TICK_SIZE``, as of nearly all) or a number of decimal places.

    Returns
    -------
    dict of str to list
        Deductions are derived (rule R4).

    Raises
    ------
    InputError
        Naming market or tier, field, value and remedy: no such symbol, an option, a contract neither linear
        nor inverse, tiers in another currency, a field that is None and needed.
    """
    known = by_symbol(markets)
    ladders = fields(tiers, ("tiers",))
    if symbols is None:
        symbols = [symbol for symbol in ladders if symbol in known]
    chosen = listed(symbols, ("symbols",), "give a list of symbols")
    rows = [_instrument(symbol, known, ladders, precision_mode) for symbol in chosen]
    table: dict[str, list[Any]] = {
        name: [row[name] for row in rows]
        for name in ("symbol", "kind", "contract_size", "lot", "tiers", "currency")
    }
    coins = {row["currency"] for row in rows if row["kind"] == "inverse"}
    places = {currency: _COIN_DECIMALS if currency in coins else _DECIMALS for currency in table["currency"]}
    places |= {currency: _whole(count, currency) for currency, count in _stated(decimals).items()}
    table["decimals"] = [places[currency] for currency in table["currency"]]
    return table


def by_symbol(markets: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Markets by their symbol."""
    if isinstance(markets, Mapping):
        return markets
    several = listed(markets, ("markets",), "give markets by symbol, or a list of them")
    return {
        text(
            fields(market, ("markets", i)).get("symbol"), ("markets", i, "symbol"), "give its symbol"
        ): market
        for i, market in enumerate(several)
    }


def settled_in(symbol: Any, markets: Mapping[str, Any], path: Path) -> str:
    """Settlement currency of a symbol; refuses one that is not there at `path`."""
    market = markets.get(text(symbol, path, "give a market's symbol"))
    if market is None:
        near = difflib.get_close_matches(symbol, list(markets), n=1, cutoff=0.0)
        raise InputError(path, symbol, f"name one of the markets, such as {near[0] if near else '(none)'}")
    path = ("markets", symbol)
    return text(
        fields(market, path).get("settle"), (*path, "settle"), "give a contract's settlement currency"
    )


def _instrument(
    symbol: str, markets: Mapping[str, Any], tiers: Mapping[str, Any], precision_mode: int
) -> dict[str, Any]:
    settle = settled_in(symbol, markets, ("symbols", symbol))
    market = markets[symbol]
    remedy = "give a list of leverage tiers for every symbol"
    ladder = listed(needed(tiers, symbol, ("tiers",), remedy), ("tiers", symbol), remedy)
    if not ladder:
        raise InputError(("tiers", symbol), "none", remedy)
    return {
        "symbol": symbol,
        "kind": _kind(market, symbol),
        "contract_size": needed(market, "contractSize", ("markets", symbol), "give the size of one contract"),
        "lot": _lot(market, symbol, precision_mode),
        "tiers": [_tier(tier, settle, ("tiers", symbol, t)) for t, tier in enumerate(ladder)],
        "currency": settle,
    }


def _kind(market: Mapping[str, Any], symbol: str) -> str:
    if market.get("option"):
        raise InputError(("markets", symbol, "option"), market["option"], "leave options out")
    linear, inverse = market.get("linear"), market.get("inverse")
    if bool(linear) == bool(inverse):
        remedy = "give a market that is linear or inverse; build a quanto's book with Book.from_frames"
        raise InputError(("markets", symbol, "linear"), linear, remedy)
    return "linear" if linear else "inverse"


def _lot(market: Mapping[str, Any], symbol: str, precision_mode: int) -> Any:
    path = ("markets", symbol, "precision")
    given = market.get("precision")
    amount = needed(
        fields({} if given is None else given, path), "amount", path, "give the smallest step of contracts"
    )
    if precision_mode == _TICK_SIZE:
        return amount
    if precision_mode != _DECIMAL_PLACES:
        remedy = f"give ccxt's {_TICK_SIZE} (TICK_SIZE) or {_DECIMAL_PLACES} (DECIMAL_PLACES)"
        raise InputError(("precision_mode",), precision_mode, remedy)
    places = number(amount, (*path, "amount"))
    if places.denominator != 1 or abs(places) > _MOST_PLACES:
        raise InputError((*path, "amount"), amount, "give a number of decimal places, or precision_mode=4")
    return Fraction(10) ** -int(places)


def _stated(decimals: Mapping[str, int] | None) -> Mapping[str, int]:
    return {} if decimals is None else fields(decimals, ("decimals",))


def _whole(count: Any, currency: str) -> int:
    if type(count) is not int or not 0 <= count <= _MOST_DECIMALS:
        raise InputError(("decimals", currency), count, f"give an integer from 0 to {_MOST_DECIMALS}")
    return count


def _tier(tier: Any, settle: str, path: Path) -> dict[str, Any]:
    currency = fields(tier, path).get("currency")
    if currency is not None and currency != settle:
        raise InputError((*path, "currency"), currency, f"give notionals in {settle}, or None for that")
    found = {ours: tier.get(theirs) for ours, theirs in TIER_FIELDS.items()}
    if found["max_leverage"] is None:
        del found["max_leverage"]
    return found


def market_path(rest: Sequence[str | int], symbol: str) -> Path:
    """Where the field of an instrument came from: the market, or one of its tiers."""
    field, *deeper = rest
    if field == "tiers":
        return ("tiers", symbol, *(TIER_FIELDS.get(str(part), part) for part in deeper))
    if field == "mark":
        return ("markPrice", symbol)
    return ("markets", symbol, *_FIELD.get(str(field), (field,)))


def leverage_tiers(instruments: Instruments) -> dict[str, list[dict[str, Any]]]:
    """Tiers in the form of ccxt's ``fetch_leverage_tiers``.

    Returns
    -------
    dict of str to list of dict
        By symbol; floats, notionals in the settlement currency, ``maxNotional`` of the last tier and
        ``maxLeverage`` of a tier that states none are None; ``info`` holds the ``deduction``.

    Examples
    --------
    >>> import fastadl as fa
    >>> from fastadl.borders import ccxt
    >>> book = fa.synth.book("pareto", positions=60, accounts=40, instruments=1, seed=1)
    >>> sorted(ccxt.leverage_tiers(book.instruments)[book.instruments.symbols[0]][0])[:3]
    ['currency', 'info', 'maintenanceMarginRate']
    """
    return {
        item.symbol: [
            {
                "tier": t + 1,
                "symbol": item.symbol,
                "currency": item.currency,
                "minNotional": float(tier.min_notional / 10**item.decimals),
                "maxNotional": float(above.min_notional / 10**item.decimals) if above else None,
                "maintenanceMarginRate": float(tier.maintenance_rate),
                "maxLeverage": None if tier.max_leverage is None else float(tier.max_leverage),
                "info": {"deduction": float(tier.deduction / 10**item.decimals)},
            }
            for t, (tier, above) in enumerate(zip(item.tiers, (*item.tiers[1:], None), strict=True))
        ]
        for item in instruments
    }
