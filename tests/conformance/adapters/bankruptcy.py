"""Bankruptcy prices: of one position, of a cross account, and what venues make of them."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

from adapters import dydx_v4_dollars
from adapters.exchange import exchange, linear, lot_of, one
from adapters.registry import kind, model
from fastadl.decimals import exact, places_of
from fastadl.published import bybit, gte, isolated, kraken

#: Decimal places of money in dollars and in coins.
_DOLLAR, _COIN = 6, 12
#: What an inverse price may be off by where a margin has no end of decimals.
_NEAR = Fraction(1, 10**6)


@model("bankruptcy_price_isolated")
def bankruptcy_price_isolated(case: dict[str, Any]) -> dict[str, Any]:
    (account,) = case["accounts"].values()
    if "open_notional" in account:
        size, notional, margin = (int(account[name]) for name in ("size", "open_notional", "margin"))
        price = gte.bankruptcy_price(
            is_long=account["is_long"],
            size=size,
            open_notional=notional,
            margin=margin,
            close=int(case["request"]["close"]),
        )
        held = Fraction(size if account["is_long"] else -size, gte.ONE)
        found = in_engine(held, Fraction(notional, size), Fraction(margin, gte.ONE))
        assert found is None or floor(max(found, 0) * gte.ONE) == price
        return {"bankruptcy_price": price}
    held, entry, margin = (exact(account[name]) for name in ("qty", "entry", "collateral"))
    price = isolated.bankruptcy_price(held, entry, margin)
    assert not held or max(in_engine(held, entry, margin) or 0, 0) == price
    return {"bankruptcy_price": price}


@kind("bankruptcy_price", "bankruptcy_price+price_rule")
def bankruptcy_price(case: dict[str, Any]) -> dict[str, Any]:
    given = case["inputs"]
    if "quote_balance_usd" in given:
        return dydx_v4_dollars.bankruptcy_price(given)
    sign = 1 if given["side"] == "long" else -1
    held, entry = sign * exact(given.get("qty", given.get("size"))), exact(given["entry"])
    if "inverse" in given.get("contract", ""):
        margin = abs(held) / entry / exact(given["leverage"])
        price = isolated.bankruptcy_price(held, entry, margin, inverse=True)
        assert abs(in_engine(held, entry, margin, inverse=True) - price) < _NEAR
        rounded = bybit.to_tick(price, given["tick"]) if "tick" in given else price
        return {"bankruptcy_price_raw": price, "bankruptcy_price_rounded": rounded}
    margin = exact(given["position_margin"]) + exact(given["wallet_balance"])
    price = in_engine(held, entry, margin, mark=exact(given["mark"]))
    assert price == isolated.bankruptcy_price(held, entry, margin)
    return {
        "bankruptcy_price": price,
        "settlement_price_if_5pct_rule": bybit.settlement_price(price, given["mark"]),
    }


@kind("liquidation+bankruptcy_price")
def levels(case: dict[str, Any]) -> dict[str, Any]:
    given = case["inputs"]
    held = exact(given["contracts"]) * (1 if given["side"] == "long" else -1)
    entry, margin = exact(given["entry"]), exact(given["collateral_btc"])
    found = kraken.levels(
        held, entry, margin, initial_rate=given["im_rate"], maintenance_rate=given["mm_rate"]
    )
    assert abs(in_engine(held, entry, margin, inverse=True) - found.bankruptcy) < _NEAR
    return {
        "position_value_btc": found.value,
        "im_btc": found.initial,
        "mm_btc": found.maintenance,
        "liquidation_price": floor(found.liquidation),  # the page prints dollars and no cents
        "bankruptcy_limit_price": floor(found.bankruptcy),
    }


def in_engine(
    held: Fraction, entry: Fraction, margin: Fraction, *, inverse: bool = False, mark: Fraction | None = None
) -> Fraction | None:
    """Price of the fill when the position is deleveraged; None if that is not on the engine's grid."""
    places = _COIN if inverse else _DOLLAR
    if not inverse and max(places_of(entry) or 0, places_of(margin) or 0) > places:
        return None
    listed = linear(lot_of(held), mark=entry if mark is None else mark)
    engine = exchange(
        {"X": listed | {"kind": "inverse" if inverse else "linear"}},
        {"a": Fraction(floor(margin * 10**places), 10**places), "rich": 1000},
        [("a", "X", held, entry), ("rich", "X", -held, entry)],
        decimals=places,
        entry="entry_price",
    )
    fill = one(engine.deleverage_account("a", "X").adl_fills)
    unit = Fraction(fill["value"], fill["lots"]) * (1 if held > 0 else -1)
    return engine.book.instruments[0].price_of(unit)
