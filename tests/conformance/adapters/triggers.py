"""What sets deleveraging off: a pool that traders win from, a fund that was drawn down."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from adapters.compare import PROSE
from adapters.exchange import exchange, linear, lot_of, text
from adapters.registry import kind, model
from fastadl.decimals import exact
from fastadl.published import RefusedError, bybit, gmx_v2, okx

_HOURS_8 = 28800


# ---------------------------------------------------------------------- GMX


@model("pool_pnl_trigger")
def pool_pnl_trigger(case: dict[str, Any]) -> dict[str, Any]:
    oracle = case["oracle_price"]
    traded = next((name for name in oracle if name != "WETH"), "WETH")
    return _pool([_gmx_position(each) for each in case["positions"]], oracle[traded], *_limits(case))


@model("pool_pnl_partial_close")
def pool_pnl_partial_close(case: dict[str, Any]) -> dict[str, Any]:
    request = case["request"]
    (given,) = (each for each in case["positions"] if each["account"] == request["account"])
    (market,) = (name for name in case["oracle_price"] if name != "WETH")
    position, oracle = _gmx_position(given), case["oracle_price"][market]
    try:
        if "pool" in case:
            value, most, least = _limits(case)
            limits = {"price": oracle, "pool": value, "most": most, "least": least}
            (left,) = gmx_v2.deleverage([position], 0, request["size_delta_usd"], **limits)
        else:
            left, _ = gmx_v2.close(position, request["size_delta_usd"], oracle)
    except RefusedError as refused:
        return {"error": refused.reason}
    return {"size_usd_after": left.size_usd}


def _limits(case: dict[str, Any]) -> tuple[Fraction, object, object]:
    """Value of the pool, and the factors between which it is brought; the pool's token is wrapped ether."""
    oracle, contract = case["oracle_price"], case["contract"]
    value = exact(case["pool"]["weth"]) * exact(oracle.get("WETH", oracle.get("ETH")))
    return value, contract["max_pnl_factor_for_adl"], contract["min_pnl_factor_after_adl"]


def _gmx_position(given: dict[str, Any]) -> gmx_v2.Position:
    size = exact(given["size_usd"])
    tokens = exact(given["size_tokens"]) if "size_tokens" in given else size / exact(given["entry"])
    return gmx_v2.Position(size, tokens, given["side"] == "long")


def _pool(
    positions: list[gmx_v2.Position], oracle: object, pool: Fraction, most: object, least: object
) -> dict[str, Any]:
    """Whether the engine closes anybody, and the factor as published."""
    factor = gmx_v2.pnl_factor(positions, oracle, pool)
    rows = []
    for place, each in enumerate(positions):
        sign = 1 if each.is_long else -1
        rows.append((f"user{place}", "X", sign * each.size_tokens, sign * each.size_usd))
    step = lot_of(*(each.size_tokens for each in positions)) / 1000
    engine = exchange(
        {"X": linear(step, rate="0.001", mark=oracle)},
        {f"user{place}": each.size_usd for place, each in enumerate(positions)},
        rows,
        fund=text(pool),
        policy={"preset": "gmx_v2", "pool_max": text(most), "pool_min": text(least)},
    )
    enabled = not engine.tick({}).adl_fills.is_empty()
    assert enabled == gmx_v2.is_enabled(factor, most)
    return {"adl_enabled": enabled, "pnl_to_pool": factor}


def _gmx(given: dict[str, Any]) -> dict[str, Any]:
    long = given["long"]
    position = gmx_v2.Position(long["size_usd"], exact(long["size_usd"]) / exact(long["entry"]), True)
    pool = exact(given["pool_weth"]) * exact(given["oracle"])
    most, least = given["max_pnl_factor_for_adl"], given["min_pnl_factor_after_adl"]
    found = _pool([position], given["oracle"], pool, most, least)
    limits = {"price": given["oracle"], "pool": pool, "most": most, "least": least}
    try:
        gmx_v2.deleverage([position], 0, given["adl_size_usd"], **limits)
        executed = "ok"
    except RefusedError as refused:
        executed = refused.reason
    return {"isAdlEnabled": found["adl_enabled"], "execute": executed}


# ---------------------------------------------------------------------- drawdowns


@kind("trigger")
def trigger(case: dict[str, Any]) -> dict[str, Any]:
    given = case["inputs"]
    if "pool_weth" in given:
        return _gmx(given)
    return _okx(given) if "fund_8h_ref" in given else _bybit(given)


def _bybit(given: dict[str, Any]) -> dict[str, Any]:
    """The pool holds a row of symbol A, which wins up to its peak and then loses, and one of B."""
    policy = {"drawdown_scope": "symbol", "drawdown_window": _HOURS_8}
    if "symbol_pnl" not in given:  # the pool is used up elsewhere
        start, now = exact(given["pool_balance_start"]), exact(given["pool_balance"])
        adl = _deleveraged({"A": [Fraction(1), Fraction(0)], "B": [start - 1, now]}, policy)
        return {"adl": adl, "reason": PROSE, "stop_when": PROSE}
    peak, now = exact(given["symbol_8h_max_pnl"]), exact(given["symbol_pnl"])
    pool_peak, pool = exact(given["pool_8h_max_balance"]), exact(given["pool_balance"])
    policy |= {
        "drawdown_start": text(-exact(given["insurancePnlRatio"])),
        "drawdown_stop": text(-exact(given["adlStopRatio"])),
    }
    adl = _deleveraged({"A": [peak, now], "B": [pool_peak - peak, pool - now]}, policy)
    return {"pnlRatio": bybit.pnl_ratio(now, peak, pool_peak), "adl": adl}


def _okx(given: dict[str, Any]) -> dict[str, Any]:
    """The fund falls from its reference to what it has now."""
    reference, now = exact(given["fund_8h_ref"]), exact(given["fund_now"])
    share, amount = given["drop_pct"], given["drop_abs_floor"]
    policy = {"drawdown_start": text(share), "drawdown_amount": text(amount), "drawdown_window": _HOURS_8}
    threshold = okx.threshold(reference, share, amount)
    adl = _deleveraged({"A": [reference, now]}, policy)
    assert adl == (now <= threshold)
    return {"threshold": threshold, "adl": adl}


def _deleveraged(profits: dict[str, list[Fraction]], policy: dict[str, Any]) -> bool:
    """Whether a trader ruined in A is deleveraged after the fund's rows had these profits, mark by mark.

    The fund has no cash, and one lot of each symbol. The trader owes one cent in the end, which the fund
    could pay if it wanted to.
    """
    base = 10 * max(1, *(abs(each) for path in profits.values() for each in path))
    last = base + profits["A"][-1]
    engine = exchange(
        {symbol: linear(rate="0", mark=base) for symbol in profits},
        {"ruined": 0, "other": base},
        [
            *(("fund", symbol, 1, base) for symbol in profits),
            ("ruined", "A", 1, last + Fraction(1, 100)),
            ("other", "A", -1, -base),
        ],
        decimals=2,
        policy={"trigger": "drawdown", **policy},
    )
    for time, marks in enumerate(zip(*profits.values(), strict=True)):
        report = engine.tick(
            {symbol: text(base + profit) for symbol, profit in zip(profits, marks, strict=True)}, time=time
        )
    assert report.adl_fills.is_empty() != report.takeovers.is_empty()
    return not report.adl_fills.is_empty()
