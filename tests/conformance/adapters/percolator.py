"""Percolator: side indices, and the haircuts of its earlier versions."""

from __future__ import annotations

from typing import Any

from adapters.compare import Record
from adapters.registry import kind, model
from fastadl import SideIndex
from fastadl.published import percolator


@model("side_index_scaling")
def side_index_scaling(case: dict[str, Any]) -> dict[str, Any]:
    given, request = case["accounts"], case["request"]
    before = SideIndex(given["opposing_total_q"], int(given["a_old"]))
    after, paid = before.absorb(request["deficit"], closed=request["close_q"], fund=case["insurance_fund"])
    return {
        "insurance_used": paid,
        "delta_k": after.index - before.index,
        "a_new": after.multiplier,
        "oi_post": after.quantity,
    }


@model("pnl_haircut_waterfall")
def pnl_haircut_waterfall(case: dict[str, Any]) -> dict[str, Any]:
    accounts = {name: percolator.Account(**given) for name, given in case["accounts"].items()}
    cut = percolator.cut_profits(accounts, case["request"]["loss"], case["insurance_fund"])
    shown = {
        name: Record(principal=account.principal, pnl=account.pnl, withdrawable_pnl=account.withdrawable_pnl)
        for name, account in cut.accounts.items()
    }
    return shown | {"insurance_fund": case["insurance_fund"] - cut.fund_paid, "uncovered": cut.uncovered}


@model("global_haircut")
def global_haircut(case: dict[str, Any]) -> dict[str, Any]:
    return _crisis({**case["accounts"]["aggregate"], "insurance": case["insurance_fund"]})


@kind("haircut")
def haircut(case: dict[str, Any]) -> dict[str, Any]:
    given = dict(case["inputs"])
    given["realised"] = given.pop("realized", 0)
    return _crisis(given)


def _crisis(given: dict[str, Any]) -> dict[str, Any]:
    names = ("principal", "realised", "warming", "insurance", "collateral")
    found = percolator.crisis(**{name: given.get(name, 0) for name in names})
    deficit = found.burned_warming + sum(
        (given.get(name, 0) for name in ("principal", "realised")), -given.get("collateral", 0)
    )
    return {
        "burned_warming": found.burned_warming,
        "insurance_draw": found.insurance_draw,
        "equity_haircut": found.equity_haircut,
        "deficit": deficit,
        "deficit_after": found.deficit,
        "warming_left": given.get("warming", 0) - found.burned_warming,
        "insurance_left": given.get("insurance", 0) - found.insurance_draw,
    }
