"""What happened in a scenario, by name: a count of these says what a set of scenarios covers."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from typing import Any

Raw = dict[str, Any]


def features(scenario: Raw, output: Raw) -> set[str]:
    found = set(of_book(scenario, output))
    for tick in output["ticks"]:
        found |= set(of_tick(tick)) | set(of_fills(scenario, output["policy"], tick))
    return found


def of_book(scenario: Raw, output: Raw) -> Iterator[str]:
    yield "balanced" if output["balanced"] else "unbalanced"
    yield f"{len(output['ticks'])} ticks"
    for instrument in scenario["instruments"]:
        yield instrument["kind"]
        yield "deductions given" if "deduction" in instrument["tiers"][0] else "deductions derived"
    for entry in output["positions"]:
        if entry["entry_price"] is None:
            yield "infinite entry price"
        if entry["account"] == "fund":
            yield "fund inventory"
    if any(account["equity"] is None for account in output["accounts"]):
        yield "no mark"
    fund = scenario.get("fund") or {}
    if fund.get("max_drawdown") is not None and any(tick["takeovers"] for tick in output["ticks"]):
        yield "takeover under a drawdown limit"


def of_tick(tick: Raw) -> Iterator[str]:
    for name in ("executions", "netted", "fund_payments", "socialized", "uncovered"):
        if tick[name]:
            yield name
    bankrupts = [entry for entry in tick["liquidations"] if Fraction(entry["shortfall"]) > 0]
    if len(bankrupts) > 1:
        yield "several bankrupts"
    for entry in tick["liquidations"]:
        yield entry["status"]
        if entry["status"] == "liquidatable" and entry in bankrupts:
            yield "bankrupt by slippage"
    for entry in tick["fees"]:
        yield entry["kind"]
    yield from of_takeovers(tick)
    if tick["uncovered"] and tick["socialized"]:
        yield "socialized in part"
    if any(entry["open"] for entry in tick["uncovered"]):
        yield "uncovered with open rows"


def of_takeovers(tick: Raw) -> Iterator[str]:
    filled = {(entry["bankrupt"], entry["symbol"]) for entry in tick["adl_fills"]}
    for entry in tick["takeovers"]:
        yield f"takeover at {entry['at']}"
        if Fraction(entry["fund_loss"]) > 0:
            yield "fund loss"
        if (entry["account"], entry["symbol"]) in filled:
            yield "partial takeover"


def of_fills(scenario: Raw, policy: Raw, tick: Raw) -> Iterator[str]:
    fills = tick["adl_fills"]
    for entry in fills:
        yield from ("fill", f"score {policy['score']}", f"allocation {policy['allocation']}")
        yield from (f"price {policy['price']}", f"guard {policy['guard']}", f"rerank {policy['rerank']}")
        yield f"split {policy['split']}"
        if Fraction(entry["value"]) == 0:
            yield "closed for nothing"
        if Fraction(entry["realized_pnl"]) < 0:
            yield "loser deleveraged"
    tiers = {account["id"]: account.get("adl_tier", 0) for account in scenario["accounts"]}
    for one, other in pairwise(fills):
        if (one["symbol"], one["side"]) != (other["symbol"], other["side"]):
            continue
        if one["bankrupt"] == other["bankrupt"] and other["rank"] > one["rank"]:
            yield "several fills of one row"
            if tiers[one["counterparty"]] < tiers[other["counterparty"]]:
                yield "two tiers"
            if one["score"] == other["score"] and other["rank"] == one["rank"] + 1:
                yield "tie"
        if one["counterparty"] == other["counterparty"] and one["bankrupt"] != other["bankrupt"]:
            yield "one candidate, two bankrupt rows"
        if other["bankrupt"] != one["bankrupt"] and other["rank"] < one["rank"]:
            yield "walk starts again"
