"""dYdX v4, in quantums: its published arithmetic, and the engine beside it.

One lot of the engine is a base quantum and one atom a quote quantum. Positions have entry value 0, because
the quote balance holds their cost. Where dYdX rounds notionals that the engine keeps exact, the two may
differ by one quantum for each of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from adapters.exchange import cash, exchange, linear, lots, one
from adapters.registry import model
from fastadl import Engine, InputError
from fastadl.decimals import exact
from fastadl.published import RefusedError, dydx_v4

_ROUNDED = 3  # notionals before and after, and the margin
_MILLION = 10**6


def markets_of(case: Mapping[str, Any]) -> dict[str, dydx_v4.Market]:
    contract = case["contract"]
    return {
        name: dydx_v4.Market(
            price=case["oracle_price"][name],
            price_exponent=listed["price_exp"],
            atomic_resolution=listed["atomic_res"],
            initial_ppm=contract["initial_margin_ppm"],
            maintenance_ppm=contract["maintenance_fraction_of_initial_ppm"],
        )
        for name, listed in contract["markets"].items()
        if name in case["oracle_price"]
    }


def accounts_of(case: Mapping[str, Any]) -> dict[str, dydx_v4.Subaccount]:
    given = case["accounts"].items()
    return {name: dydx_v4.Subaccount(each["quote"], each["positions"]) for name, each in given}


def engine_of(
    markets: Mapping[str, dydx_v4.Market], accounts: Mapping[str, dydx_v4.Subaccount], **options: Any
) -> Engine:
    """The same accounts in the engine, by the policy of dYdX."""
    listed = {}
    for name, market in markets.items():
        rate = Fraction(market.initial_ppm * market.maintenance_ppm, _MILLION**2)
        price = market.price * Fraction(10) ** market.price_exponent
        lot = Fraction(10) ** market.atomic_resolution
        # the engine wants rates below 1; shares of equity depend on their proportions only
        listed[name] = linear(lot, rate=rate if rate < 1 else rate / 2, mark=price)
    rows = [
        (who, market, base * Fraction(10) ** markets[market].atomic_resolution, 0)
        for who, account in accounts.items()
        for market, base in account.positions.items()
    ]
    money = {who: Fraction(account.quote, _MILLION) for who, account in accounts.items()}
    return exchange(listed, money, rows, policy={"preset": "dydx_v4", "score": "given"}, **options)


def shown(account: dydx_v4.Subaccount) -> dict[str, Any]:
    return {"quote": account.quote, "positions": dict(account.positions)}


def shown_in(engine: Engine, account: str) -> dict[str, Any]:
    return {"quote": cash(engine)[account], "positions": lots(engine, account)}


@model("bankruptcy_quote")
def bankruptcy_quote(case: dict[str, Any]) -> dict[str, Any]:
    markets, (who, market, base) = markets_of(case), _asked(case)
    return {"quote_delta": close_at_bankruptcy(accounts_of(case)[who], markets, market, base)}


@model("insurance_delta")
def insurance_delta(case: dict[str, Any]) -> dict[str, Any]:
    markets, request = markets_of(case), case["request"]
    sign = 1 if request["side"] == "buy" else -1
    account, market = accounts_of(case)[request["account"]], request["market"]
    bankruptcy = close_at_bankruptcy(account, markets, market, sign * request["base"])
    size = request["base"] * Fraction(10) ** (markets[market].atomic_resolution + 6)
    fill = -sign * int(exact(request["fill_price"]) * size)
    most = case["contract"]["max_liquidation_fee_ppm"]
    return {"insurance_delta": dydx_v4.insurance_fund_delta(bankruptcy, fill, most)}


@model("insurance_sufficiency")
def insurance_sufficiency(case: dict[str, Any]) -> dict[str, Any]:
    fund, delta = case["insurance_fund"], case["request"]["insurance_delta"]
    allowed = dydx_v4.fund_covers(fund, delta)
    # one lot that is worth `delta` more than it was opened for, and must not cost the fund more than it has
    entry = 2 * abs(delta) + 2
    engine = exchange(
        {"X": linear(rate="0.01", mark=Fraction(entry + delta, _MILLION))},
        {"a": 0},
        [("a", "X", 1, Fraction(entry, _MILLION))],
        fund=Fraction(fund, _MILLION),
    )
    report = engine.tick({})
    assert report.uncovered.is_empty() == allowed, f"the engine leaves {report.uncovered}"
    return {"allowed": allowed}


@model("trigger")
def trigger(case: dict[str, Any]) -> dict[str, Any]:
    markets, account = markets_of(case), case["request"]["account"]
    accounts = accounts_of(case)
    settled = case["contract"]["status"] == "final_settlement"
    at_bankruptcy, at_oracle = dydx_v4.can_deleverage(accounts[account], markets, final_settlement=settled)
    engine = engine_of(markets, accounts)
    engine.mark({})
    detected = dict(engine.liquidations().select("account", "status").iter_rows())
    assert (detected.get(account) == "bankrupt") == at_bankruptcy
    return {"at_bankruptcy_price": at_bankruptcy, "at_oracle_price": at_oracle}


@model("pairwise_close")
def pairwise_close(case: dict[str, Any]) -> dict[str, Any]:
    accounts, request = accounts_of(case), case["request"]
    base, at_oracle = request["delta_base_of_liquidated"], "oracle price" in case["policy"]
    done = close_pair(accounts, markets_of(case), request["market"], base, at_oracle=at_oracle)
    if isinstance(done, RefusedError):
        return {"error": done.reason, "accounts_unchanged": True}
    quote, after = done
    fills = [{"account": "offsetting", "base": abs(base)}]
    shown_after = {name: shown(account) for name, account in after.items()}
    return {"quote_delta_liquidated": quote, **shown_after, "fills": fills}


@model("counterparty_scan")
def counterparty_scan(case: dict[str, Any]) -> dict[str, Any]:
    request = case["request"]
    base, who = request["delta_base_of_liquidated"], request["liquidated"]
    walked = walk(accounts_of(case), markets_of(case), request["market"], base, who, request["order"])
    return {
        "fills": [list(fill) for fill in walked.fills],
        "remaining_base": walked.remaining,
        "accounts": {name: shown(account) for name, account in walked.accounts.items()},
    }


def close_pair(
    accounts: Mapping[str, dydx_v4.Subaccount],
    markets: Mapping[str, dydx_v4.Market],
    market: str,
    base: int,
    *,
    at_oracle: bool = False,
) -> tuple[int, dict[str, dydx_v4.Subaccount]] | RefusedError:
    """Quote and accounts after the `liquidated` was closed against the `offsetting`; the engine agrees."""
    liquidated, offsetting = accounts["liquidated"], accounts["offsetting"]
    engine = engine_of(markets, accounts)
    filled = _fill(engine, market, base, at_oracle)
    try:
        quote, *after = dydx_v4.deleverage(liquidated, offsetting, markets, market, base, at_oracle=at_oracle)
    except RefusedError as error:
        refused = error
    else:
        both = dict(zip(("liquidated", "offsetting"), after, strict=True))
        if _able(offsetting, markets):
            assert filled == abs(base)
            _agree(engine, both, _rounding(markets[market], liquidated, market, base))
        return quote, both
    if not at_oracle:  # at its own price the engine does not judge the liquidated account
        assert filled < abs(base), f"the engine fills {filled}, dYdX refuses: {refused}"
    if not filled:  # else the engine has cut what dYdX refuses
        _agree(engine, accounts, 0)
    return refused


def walk(
    accounts: Mapping[str, dydx_v4.Subaccount],
    markets: Mapping[str, dydx_v4.Market],
    market: str,
    base: int,
    who: str,
    order: list[str],
) -> dydx_v4.Offset:
    """What counterparties take in turn; the engine agrees."""
    walked = dydx_v4.offset(accounts, markets, market, base, who, order)
    engine = engine_of(markets, accounts)
    report = engine.deleverage_account(who, market, side=_closed(base), lots=abs(base), counterparties=order)
    if all(_able(accounts[name], markets) for name, _ in walked.fills):
        assert list(report.adl_fills.select("counterparty", "lots").iter_rows()) == list(walked.fills)
        rounding = _rounding(markets[market], accounts[who], market, base)
        _agree(engine, walked.accounts, len(walked.fills) * rounding)
    return walked


def _able(account: dydx_v4.Subaccount, markets: Mapping[str, dydx_v4.Market]) -> bool:
    """Whether the engine lets an account be a counterparty: nobody below zero is one (rule R40)."""
    return dydx_v4.risk(account, markets).collateral >= 0


def _agree(engine: Engine, accounts: Mapping[str, dydx_v4.Subaccount], slack: int) -> None:
    """Raise unless the engine holds the same accounts, quote balances up to so many quantums."""
    for name, account in accounts.items():
        found = shown_in(engine, name)
        assert found["positions"] == account.positions, f"{name}: {found}"
        assert abs(found["quote"] - account.quote) <= slack, f"{name}: {found}"


def _asked(case: Mapping[str, Any]) -> tuple[str, str, int]:
    request = case["request"]
    return request["account"], request["market"], request["delta_base"]


def _closed(base: int) -> str:
    """The side of the row that a change of position closes."""
    return "short" if base > 0 else "long"


def close_at_bankruptcy(
    account: dydx_v4.Subaccount, markets: Mapping[str, dydx_v4.Market], market: str, base: int
) -> int:
    """As published; the engine must agree, against a counterparty who can afford anything."""
    quote = dydx_v4.bankruptcy_quote(account, markets, market, base)
    rich = dydx_v4.Subaccount(10**15, {market: -account.positions[market]})
    engine = engine_of(markets, {"a": account, "rich": rich})
    fill = one(engine.deleverage_account("a", market, side=_closed(base), lots=abs(base)).adl_fills)
    assert abs(fill["value"] - quote) <= _rounding(markets[market], account, market, base)
    return quote


def _rounding(listed: dydx_v4.Market, account: dydx_v4.Subaccount, market: str, base: int) -> int:
    """How far dYdX may be from exact: not at all where the notionals before and after are whole."""
    held = account.positions.get(market, 0)
    unit = listed.price * Fraction(10) ** (listed.price_exponent + listed.atomic_resolution + 6)
    whole = all((size * unit).denominator == 1 for size in (held, held + base))
    return 0 if whole else _ROUNDED


def _fill(engine: Engine, market: str, base: int, at_oracle: bool) -> int:
    """Lots the engine closes; none if it refuses."""
    price = "mark" if at_oracle else None
    try:
        report = engine.deleverage_account(
            "liquidated",
            market,
            side=_closed(base),
            lots=abs(base),
            price=price,
            counterparties=["offsetting"],
        )
    except InputError:
        return 0
    return int(report.adl_fills["lots"].sum())
