"""dYdX v4 as its documents tell it, in dollars and coins."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from adapters.dydx_v4_quantums import close_at_bankruptcy, close_pair, engine_of, walk
from adapters.exchange import exchange, executed, linear, lot_of, money, one, text
from adapters.registry import kind
from fastadl.decimals import exact
from fastadl.published import RefusedError, dydx_v4

_BTC = "BTC"
#: Maintenance margin of BTC where a case leaves it out; half of the initial one.
_RATE = "0.1"
_MILLION, _COIN = 10**6, 10**9
_USDC = Fraction(1, _MILLION)


def markets_of(oracle: Mapping[str, object], rate: object) -> dict[str, dydx_v4.Market]:
    ppm = int(2 * exact(rate) * _MILLION)
    return {
        name: dydx_v4.Market(int(exact(at) * _MILLION), -6, -9, ppm, _MILLION // 2)
        for name, at in oracle.items()
    }


def account_of(given: Mapping[str, Any]) -> dydx_v4.Subaccount:
    """Quote balance in dollars, and coins by market; `btc` is the market too."""
    coins = {name.upper(): exact(held) for name, held in given.items() if name not in ("quote", "id")}
    positions = {name: int(held * _COIN) for name, held in coins.items() if held}
    return dydx_v4.Subaccount(int(exact(given["quote"]) * _MILLION), positions)


def dollars(account: dydx_v4.Subaccount) -> dict[str, Fraction]:
    coins = {name: Fraction(held, _COIN) for name, held in account.positions.items()}
    return {"quote": account.quote * _USDC, **coins}


@kind("allocation", "exhaustion")
def candidates_in_turn(case: dict[str, Any]) -> dict[str, Any]:
    given = case["inputs"]
    others = {each["id"]: account_of(each) for each in given["candidates"]}
    accounts = {"liquidated": account_of(given["liquidated"]), **others}
    markets = markets_of({_BTC: given["oracle_btc"]}, _RATE)
    base = -accounts["liquidated"].positions[_BTC]
    walked = walk(accounts, markets, _BTC, base, "liquidated", list(others))
    fills = [
        {
            "id": name,
            "btc": Fraction(size, _COIN),
            "quote_gain": (walked.accounts[name].quote - others[name].quote) * _USDC,
        }
        for name, size in walked.fills
    ]
    left = Fraction(walked.remaining, _COIN)
    return {"fills": fills, "remaining": left, "remaining_btc": left}


@kind("match_validity", "partial_fill", "cross_margin_bankruptcy")
def pair(case: dict[str, Any]) -> dict[str, Any]:
    given = case["inputs"]
    markets = markets_of(
        given.get("oracle") or {_BTC: given["oracle_btc"]}, given.get("maintenance_fraction", _RATE)
    )
    accounts = {name: account_of(given[name]) for name in ("liquidated", "offsetting")}
    size = abs(exact(given["delta_btc"]))
    base = int(size * _COIN) * (1 if accounts["liquidated"].positions[_BTC] < 0 else -1)
    done = close_pair(accounts, markets, _BTC, base)
    if isinstance(done, RefusedError):
        assert done.reason == "non_overlapping_bankruptcy_prices"
        return {"result": "error ErrFailedToUpdateSubaccounts", "reason": "bankruptcy prices do not overlap"}
    quote, after = done
    one_side, other = dollars(after["liquidated"]), dollars(after["offsetting"])
    return _margins(accounts["liquidated"], markets) | {
        "result": "ok",
        "price": abs(quote) * _USDC / size,
        "price_paid": abs(quote) * _USDC,
        "liquidated": {"quote": one_side["quote"], "btc": one_side.get(_BTC, 0)},
        "offsetting": {"quote": other["quote"], "btc": other.get(_BTC, 0)},
        "liquidated_final": one_side,
        "liquidated_final_quote": one_side["quote"],
        "offsetting_final_quote": other["quote"],
    }


def bankruptcy_price(given: Mapping[str, Any]) -> dict[str, Any]:
    """What an account gets for closing a part of one position, in quantums and in dollars."""
    account = account_of({"quote": given["quote_balance_usd"], **given["positions"]})
    oracle = {name: given["oracle"][name] for name in account.positions}
    markets = markets_of(oracle, given["maintenance_fraction"])
    base = int(exact(given["close"]["delta"]) * _COIN)
    quote = close_at_bankruptcy(account, markets, given["close"]["market"], base)
    return {"bankruptcy_quote_quantums": quote, "bankruptcy_quote_usd": quote * _USDC}


@kind("insurance_fund")
def insurance_fund(case: dict[str, Any]) -> dict[str, Any]:
    given = case["inputs"]
    trader = given["A"]
    held, entry = exact(trader["position"]), exact(trader["entry"])
    engine = exchange(
        {"X": linear(rate=trader["mmf"], mark=given["oracle"])},
        {"a": trader["collateral"], "b": 10**6},
        [("a", "X", held, held * entry), ("b", "X", -held, -held * entry)],
        fund=10**6,
        policy={"preset": "dydx_v4", "score": "given"},
    )
    at_bankruptcy = one(engine.copy().deleverage_account("a", "X").adl_fills)["price"]
    report = engine.tick({}, executions=executed("a", "X", held, given["liquidation_fill"]))
    equity = one(report.liquidations)["equity"] * _USDC
    return {
        "equity": equity,
        "pnl": equity - exact(trader["collateral"]),
        "bankruptcy_price": at_bankruptcy,
        "insurance_payment": one(report.fund_payments)["amount"] * _USDC,
    }


def docs_settlement(given: Mapping[str, Any]) -> dict[str, Any]:
    """Two traders against each other; B is ruined and A is its counterparty."""
    rows = []
    for name in "AB":
        held = exact(given[name]["position"])
        rows.append((name, "X", held, held * exact(given[name]["entry"])))
    step = lot_of(*(qty for _, _, qty, _ in rows))
    balances = {name: given[name]["collateral"] for name in "AB"}
    engine = exchange({"X": linear(step)}, balances, rows, policy={"preset": "dydx_v4", "score": "given"})
    engine.mark({"X": text(given["oracle"])})
    expected_profit = one(engine.rank("X", "long"))["unrealized_pnl"] * float(_USDC)
    report = engine.deleverage()
    fill = one(report.adl_fills)
    return {
        "B_equity": one(report.liquidations)["equity"] * _USDC,
        "bankruptcy_price_B": fill["price"],
        "A_profit_expected": expected_profit,
        "A_profit_realised": fill["realized_pnl"] * _USDC,
        "B_final_equity": money(engine, "B"),
    }


def _margins(account: dydx_v4.Subaccount, markets: Mapping[str, dydx_v4.Market]) -> dict[str, Any]:
    """Collateral, and maintenance requirement by market; the engine agrees."""
    risk = dydx_v4.risk(account, markets)
    engine = engine_of(markets, {"a": account})
    assert (risk.collateral, risk.maintenance) == (engine.equity()[0], engine.maintenance_margin()[0])
    margins = {name: markets[name].margins(base)[1] for name, base in account.positions.items()}
    return {
        "TNC": risk.collateral * _USDC,
        **{f"MMR_{name}": margin * _USDC for name, margin in margins.items()},
    }
