"""Stage 5: what the fund left goes the way the policy says (rules R28 to R31, R90)."""

from __future__ import annotations

from fastadl.engine.bankruptcy import Bankruptcies, report_uncovered
from fastadl.engine.crowd import Crowd
from fastadl.engine.deleverage import deleverage
from fastadl.engine.fund import pay_debts, take_at_mark
from fastadl.engine.fund_rules import FundRule
from fastadl.engine.laws import closed_at_zero, owed_zero
from fastadl.engine.pool import close_winners
from fastadl.engine.results import Tick
from fastadl.engine.socialize import socialize
from fastadl.engine.state import State
from fastadl.policy import AdlPolicy

__all__ = ["spread"]


def spread(
    state: State,
    tick: Tick,
    doomed: Bankruptcies,
    policy: AdlPolicy,
    rules: list[FundRule],
    crowd: Crowd,
) -> bool:
    """Close lots or charge cash, let the fund pay again, report the rest; returns whether law 4 holds."""
    lawful = True
    if len(doomed.work.slot) or policy.socialization == "clawback":
        owed = owed_zero(doomed, policy)
        if policy.trigger != "none" and policy.space == "wealth":
            taken = take_at_mark(state, tick, doomed)
            pay_debts(state, tick, doomed, rules)
            socialize(state, tick, doomed, taken, policy, crowd)
        else:
            if policy.trigger not in ("none", "pool_profit"):
                deleverage(state, tick, doomed, policy, crowd)
            pay_debts(state, tick, doomed, rules)
        report_uncovered(state, tick, doomed)
        lawful = closed_at_zero(state, doomed, owed)
    if policy.trigger == "pool_profit":
        close_winners(state, tick, doomed, policy, crowd)
    return lawful
