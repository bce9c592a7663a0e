"""dYdX v1: margin in proportion to the position, which is the engine's bankruptcy price of one row."""

from __future__ import annotations

from typing import Any

from adapters.exchange import cash, exchange, linear, lots
from adapters.registry import model
from fastadl.published import RefusedError, dydx_v1


@model("pairwise_proportional_margin")
def pairwise_proportional_margin(case: dict[str, Any]) -> dict[str, Any]:
    request, given = case["request"], case["accounts"]
    maker, taker = request["maker"], request["taker"]
    accounts = {name: dydx_v1.Account(each["margin"], each["pos"]) for name, each in given.items()}
    try:
        after = dydx_v1.deleverage(
            accounts[maker],
            accounts[taker],
            case["oracle_price"],
            request["amount"],
            all_or_nothing=request.get("all_or_nothing", False),
        )
    except RefusedError as refused:
        return {"error": refused.reason}
    found = {
        name: {"margin": each.margin, "pos": each.position}
        for name, each in zip((maker, taker), after, strict=True)
    }
    moved = abs(accounts[maker].position - after[0].position)
    if moved:
        assert _in_engine(case, moved) == found
    return {"accounts": found}


def _in_engine(case: dict[str, Any], moved: int) -> dict[str, Any]:
    request, given = case["request"], case["accounts"]
    engine = exchange(
        {"X": linear(mark=case["oracle_price"])},
        {name: each["margin"] for name, each in given.items()},
        [(name, "X", each["pos"], 0) for name, each in given.items()],
        decimals=0,
    )
    engine.deleverage_account(request["maker"], "X", lots=moved, counterparties=[request["taker"]])
    money = cash(engine)
    return {name: {"margin": money[name], "pos": lots(engine, name).get("X", 0)} for name in given}
