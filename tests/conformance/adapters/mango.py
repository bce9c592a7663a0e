"""Mango v4: who takes over negative profit. Its tests allow a hundredth."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from adapters.compare import Near
from adapters.registry import kind, model
from fastadl.decimals import exact
from fastadl.published import RefusedError, mango_v4

_SLACK = Fraction(1, 100)


@model("takeover_insurance_socialise")
def takeover_insurance_socialise(case: dict[str, Any]) -> dict[str, Any]:
    contract, prices, liqee = case["contract"], case["prices"], case["accounts"]["liqee"]
    found = _run(
        mango_v4.Liqee(liqee["settle_token"], liqee["perp_pnl"], liqee["other_token"]),
        mango_v4.Prices(
            settle=prices["settle"],
            insurance=prices["insurance"],
            asset_weight=contract["settle_token_asset_weight"],
            liab_weight=contract["settle_token_liab_weight"],
            liquidation_fee=contract["perp_liquidation_fee"],
        ),
        case["insurance_fund"],
        case["request"],
    )
    if not found["success"]:
        return found
    liqor = case["accounts"]["liqor"]
    got = {
        "settle_token": found["liqor_settle_token"],
        "perp_pnl": found["liqor_perp_pnl"],
        "insurance_token": found["liqor_insurance_received"],
    }
    return {
        "liqee": {"settle_token": found["liqee_settle_token"], "perp_pnl": found["liqee_perp_pnl"]},
        "liqor": {name: _near(value.value + exact(liqor[name])) for name, value in got.items()},
        "socialised_loss": found["socialised_loss"],
    }


@kind("waterfall")
def waterfall(case: dict[str, Any]) -> dict[str, Any]:
    given = case["inputs"]
    return _run(
        mango_v4.Liqee(given["liqee_settle_token"], given["liqee_perp_pnl"], given["liqee_other_health"]),
        mango_v4.Prices(
            settle=given["settle_price"],
            insurance=given["insurance_price"],
            asset_weight=given["settle_asset_weight"],
            liab_weight=given["settle_liab_weight"],
        ),
        given["insurance_fund"],
        given,
    )


def _run(
    liqee: mango_v4.Liqee, prices: mango_v4.Prices, fund: int, request: dict[str, Any]
) -> dict[str, Any]:
    limits = {"settle_limit": request["settle_limit"], "max_transfer": request["max_liab_transfer"]}
    try:
        done = mango_v4.liquidate(liqee, prices, fund=fund, **limits)
    except RefusedError as refused:
        return {"success": False, "error": refused.reason}
    token, pnl = exact(liqee.settle_token), exact(liqee.perp_pnl)
    taken = done.settlement + done.taken_over
    return {
        "success": True,
        "liqee_settle_token": _near(token - done.settlement),
        "liqee_perp_pnl": _near(pnl + taken + done.socialized),
        "liqor_settle_token": _near(done.settlement),
        "liqor_perp_pnl": _near(-taken),
        "liqor_insurance_received": _near(done.insurance),
        "socialised_loss": _near(done.socialized),
    }


def _near(value: object) -> Near:
    return Near(value, _SLACK)
