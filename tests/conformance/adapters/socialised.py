"""Losses charged to everybody: by an index (Drift), in proportion to gains (Vega)."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from adapters.compare import Record
from adapters.exchange import exchange, linear, money, text
from adapters.registry import kind, model
from fastadl import InputError
from fastadl.decimals import exact
from fastadl.published import RefusedError, drift_v2, vega

_MILLION, _BASE = 10**6, 10**9
#: What Drift's test of its fund fee holds fixed; a case tells it only in words.
_FEE_TEST = {"base": 10 * _BASE, "price": 100 * _MILLION, "margin_ppm": 50_000, "liquidator_ppm": 10_000}
_MOST_FEE = 50_000


# ---------------------------------------------------------------------- Drift


@model("socialise_by_funding")
def socialise_by_funding(case: dict[str, Any]) -> dict[str, Any]:
    request, market = case["request"], case.get("market", {})
    if "margin_shortage" in request:
        shortage = int(exact(request["margin_shortage"]) * _MILLION)
        fee = drift_v2.perp_fund_fee(shortage, drift_v2.Position(**_FEE_TEST), _MOST_FEE)
        return {"insurance_fee_ppm": fee}
    if "deposit_index_raw" in market:
        loss, deposits, index = request["loss"], market["deposits"], market["deposit_index_raw"]
        try:
            return {"index_delta_raw": drift_v2.deposit_index_delta(loss, deposits, index)}
        except InputError:
            return {"error": "no_deposits"}
    if "deposit_index" in market:
        return _spot(case["accounts"][request["resolve"]], market)
    return _perp(case, market)


def _spot(account: Mapping[str, Any], market: Mapping[str, Any]) -> dict[str, Any]:
    tokens = {name: int(exact(market[name]) * _MILLION) for name in ("deposits", "borrows")}
    index = int(exact(market["deposit_index"]) * drift_v2.DEPOSIT_INDEX)
    loss = int(exact(account["borrow"]) * _MILLION)
    after = drift_v2.resolve_spot(loss, **tokens, index=index)
    return {
        "deposit_index": Fraction(after.index, drift_v2.DEPOSIT_INDEX),
        "deposits": Fraction(after.deposits, _MILLION),
        "borrows": Fraction(after.borrows, _MILLION),
        "social_loss": Fraction(tokens["deposits"] - after.deposits, _MILLION),
    }


def _perp(case: Mapping[str, Any], market: Mapping[str, Any]) -> dict[str, Any]:
    loss = -exact(case["accounts"][case["request"]["resolve"]]["quote"])
    fund, fees = exact(case.get("insurance_fund") or 0), exact(market.get("fee_pool", 0))
    try:
        paid = drift_v2.resolve_perp(
            int(loss * _MILLION),
            fund=int(fund * _MILLION),
            fee_pool=int(fees * _MILLION),
            oi_long=int(exact(market["oi_long"]) * _BASE),
            oi_short=int(exact(market["oi_short"]) * _BASE),
        )
    except RefusedError as refused:
        return {"error": refused.reason}
    delta = Fraction(paid.index_delta, _BASE)
    in_engine = _charged(loss, fund + fees, exact(market["oi_long"]), exact(market["oi_short"]))
    assert in_engine == {
        "long": delta * abs(exact(market["oi_long"])),
        "short": delta * abs(exact(market["oi_short"])),
    }
    return {
        "cum_funding_long": market["cum_funding_long"] + delta,
        "cum_funding_short": market["cum_funding_short"] - delta,
        "fee_pool": fees - Fraction(paid.fee_pool, _MILLION),
        "market_social_loss": Fraction(paid.social_loss, _MILLION),
        "user_social_loss": loss,
        "insurance_payment": Fraction(paid.fund, _MILLION),
    }


def _charged(loss: Fraction, fund: Fraction, longs: Fraction, shorts: Fraction) -> dict[str, Fraction]:
    """What the engine charges one long and one short when a third account owes a loss."""
    mark = 1000 + loss
    engine = exchange(
        {"X": linear("0.000001", mark=mark)},
        {"ruined": 0, "long": 10**6, "short": 10**6},
        [
            ("ruined", "X", 1, mark + loss),
            ("long", "X", longs, longs * mark),
            ("short", "X", -abs(shorts), -abs(shorts) * mark),
        ],
        fund=text(fund),
        policy="drift_v2",
    )
    before = {name: money(engine, name) for name in ("long", "short")}
    engine.tick({})
    return {name: was - money(engine, name) for name, was in before.items()}


@kind("socialised_loss")
def socialised_loss(case: dict[str, Any]) -> dict[str, Any]:
    given = case["inputs"]
    fund = exact(given["insurance_payment"]) + exact(given["fee_pool"])
    longs, shorts = exact(given["oi_long"]), exact(given["oi_short"])
    paid = _charged(-exact(given["bankrupt_quote"]), fund, longs, shorts)
    by_index = paid["long"] / longs
    assert by_index == paid["short"] / shorts
    return {
        "loss_per_base": by_index,
        "cum_funding_long": given["cum_funding_long"] + by_index,
        "cum_funding_short": given["cum_funding_short"] - by_index,
        f"long_{given['oi_long']}_loses": paid["long"],
        f"short_{given['oi_short']}_loses": paid["short"],
    }


# ---------------------------------------------------------------------- Vega


@model("mtm_loss_socialisation")
def mtm_loss_socialisation(case: dict[str, Any]) -> dict[str, Any]:
    """As published, to the unit; the engine charges the same in all, and each winner almost the same."""
    positions = {each["account"]: each for each in case["positions"]}
    moved = case["price_to"] - case["price_from"]
    gains = {name: each["qty"] * moved for name, each in positions.items()}
    losers = [name for name, gain in gains.items() if gain < 0]
    order = case["request"].get("winner_order") or [name for name, gain in gains.items() if gain > 0]
    balances = [positions[name]["balance"] for name in losers]
    paid, fund = vega.collect([-gains[name] for name in losers], balances, case["insurance_fund"])
    received = vega.distribute(sum(paid), [gains[name] for name in order])
    in_engine = _received_in_engine(case, order)
    assert sum(in_engine.values()) == sum(received)
    for name, amount in zip(order, received, strict=True):
        assert abs(in_engine[name] - amount) <= len(order), f"{name}: {in_engine}"
    return {
        "received": Record(zip(order, received, strict=True)),
        "paid_incl_fund": Record(zip(losers, paid, strict=True)),
        "insurance_fund": fund,
    }


def _received_in_engine(case: Mapping[str, Any], order: list[str]) -> dict[str, int]:
    """What the mark brings every winner, less what he is charged of the losers' debts."""
    ids = {each["account"]: each["account"] for each in case["positions"]}
    ids |= {name: f"{place:03} {name}" for place, name in enumerate(order)}  # the last takes the remainder
    rows = [
        (ids[each["account"]], "X", each["qty"], each["qty"] * case["price_from"])
        for each in case["positions"]
    ]
    engine = exchange(
        {"X": linear(mark=case["price_from"])},
        {ids[each["account"]]: each["balance"] for each in case["positions"]},
        rows,
        decimals=0,
        fund=str(case["insurance_fund"]),
        policy="vega",
    )
    place = {name: engine.accounts.to_list().index(ids[name]) for name in order}
    before = engine.equity()
    engine.tick({"X": text(case["price_to"])})
    change = engine.equity() - before
    return {name: int(change[at]) for name, at in place.items()}
