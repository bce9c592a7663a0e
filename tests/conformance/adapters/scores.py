"""Scores, rankings and margins, read from the engine."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from adapters.exchange import exchange, ladder, linear, lot_of, one
from adapters.registry import kind
from fastadl.decimals import exact
from fastadl.published import binance, bitmex

_DELTA_LIMIT = Fraction(1, 20)


@kind("ranking+quantile")
def ranking_and_quantile(case: dict[str, Any]) -> dict[str, Any]:
    """Positions whose profit is the score they are given."""
    given = case["inputs"]
    sign = 1 if given["side"] == "long" else -1
    people = {str(each["account"]): each for each in given["positions"]}
    price = 10 + max(exact(each["score"]) for each in people.values())
    rows = []
    for name, each in people.items():
        held = sign * exact(each["quantity"])
        rows.append((name, "X", held, held * price - exact(each["score"])))
    engine = exchange(
        {"X": linear(mark=price)}, dict.fromkeys(people, 10**6), rows, policy={"score": "profit"}
    )
    ranked = engine.rank("X", given["side"])
    order = ranked["account"].to_list()
    percent = bitmex.percentiles(ranked["lots"].to_list())
    return {
        "order": [people[name]["account"] for name in order],
        "percentile_pct": dict(zip(order, percent, strict=True)),
    }


@kind("ranking_tiers")
def ranking_tiers(case: dict[str, Any]) -> dict[str, Any]:
    """Users with a profit that falls with their rank, hedged as far as their delta says.

    The flag is `adl_tier` 1; portfolio margin is cross margin here.
    """
    users = case["inputs"]["users"]
    price, held = 1000, 100
    accounts: dict[str, Any] = {}
    rows = []
    for user in users:
        name = f"{user['user']:06}"
        isolated = user["margin_mode"] == "IM"
        flagged = bool(user["delta_neutral_mode"])
        accounts[name] = {
            "cash": 10**6,
            "margin_mode": "isolated" if isolated else "cross",
            "adl_tier": int(flagged),
        }
        rows.append((name, "X", held, held * (price - 100) + user["base_rank"]))
        delta = user["coinDelta"]
        if delta is not None and not isolated:
            hedge = held if delta.startswith("<") else 0
            rows.append((name, "HEDGE", -hedge, -hedge * price))
    listed = {"X": linear(mark=price), "HEDGE": linear(mark=price)}
    orders = {}
    for tiers, people in (
        ("given", {name: {**each, "adl_tier": 0} for name, each in accounts.items()}),
        ("delta_neutral_flagged", accounts),
    ):
        engine = exchange(listed, people, rows, policy={"score": "profit", "tiers": tiers})
        ranked = engine.rank("X", "long")
        orders[tiers] = [int(name) for name in ranked["account"]]
        last = [int(name) for name in ranked.filter(ranked["adl_tier"] > 0)["account"]]
    return {
        "order_before": orders["given"],
        "order_after": orders["delta_neutral_flagged"],
        "qualifies_delta_neutral": sorted(last),
    }


@kind("score")
def binance_score(case: dict[str, Any]) -> dict[str, Any]:
    """One position of that profit and that wallet, with the margin that makes the ratio."""
    given = case["inputs"]
    profit, wallet, ratio = (
        exact(given[name]) for name in ("unrealized_profit", "wallet_balance", "margin_ratio")
    )
    margin, rate = ratio * (wallet + profit), Fraction(1, 10)
    notional = margin / rate
    engine = exchange(
        {"X": linear(rate=rate, mark=notional)},
        {"a": wallet},
        [("a", "X", 1, notional - profit)],
        decimals=12,
        policy="binance_2025",
    )
    score = one(engine.rank("X", "long"))["score"]
    percent = binance.pnl_percent(profit, wallet)
    leverage_pnl = binance.leverage_pnl(profit, wallet, ratio)
    assert abs(score - float(leverage_pnl)) < 1e-9
    return {"pnl_percent": percent, "leverage_pnl": score}


@kind("pnl_percent")
def pnl_percent(case: dict[str, Any]) -> dict[str, Any]:
    """The score `profit_ratio` of one position."""
    given = case["inputs"]
    contracts, multiplier = exact(given["contracts"]), exact(given["multiplier"])
    held = contracts * abs(multiplier)
    listed = {
        "kind": given["contract"],
        "contract_size": 1,
        "lot": lot_of(held),
        "tiers": ladder("0.01"),
        "mark": given["mark"],
    }
    engine = exchange(
        {"X": listed}, {"a": 1000}, [("a", "X", held, given["entry"])],
        decimals=12, entry="entry_price", policy={"score": "profit_ratio"},
    )  # fmt: skip
    return {"return_rate": one(engine.rank("X", "long" if held > 0 else "short"))["score"]}


@kind("tiered_maintenance_margin")
def tiered_maintenance_margin(case: dict[str, Any]) -> dict[str, Any]:
    """The deductions that a book works out from caps and rates (rule R4)."""
    brackets = case["inputs"]["brackets"]
    floors = [0, *(each["notionalCap"] for each in brackets[:-1])]
    tiers = [
        {"min_notional": str(least), "maintenance_rate": str(each["maintMarginRatio"])}
        for least, each in zip(floors, brackets, strict=True)
    ]
    engine = exchange({"X": linear() | {"tiers": tiers}}, {"a": 0}, [])
    instruments, _, _ = engine.book.to_frames()
    return {"cum": [exact(tier["deduction"]) for tier in instruments["tiers"][0]]}
