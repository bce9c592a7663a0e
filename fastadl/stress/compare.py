"""Policies side by side: frames of what they did, whom they asked, and what the fund would have needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import floor, isnan
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from fastadl.metrics import measure
from fastadl.stress.payers import Holders, Ledger

if TYPE_CHECKING:
    from fastadl.stress.run import Outcome

__all__ = ["EXPLAINED", "PROBABILITIES", "fund_for", "fund_quantiles", "moves", "named", "policies", "totals"]

#: Probabilities of deleveraging that the fund is asked about.
PROBABILITIES = (0.5, 0.1, 0.05, 0.01)

#: Columns of `policies` in plain words; money is in atoms in the frames.
EXPLAINED = {
    "liquidated": "accounts that fell below their maintenance margin",
    "bankrupt": "accounts that lost more than they had",
    "deleveraged": "accounts that losses of others were taken from, as lots or as cash",
    "shortfall": "what bankrupt accounts lost beyond their own money, each account once",
    "fund_paid": "what the insurance fund paid of it, in cash and by taking positions over",
    "deficit": "what the fund left of it, step by step",
    "seized": "what the deleveraged lost: fills worse than mark, and charges",
    "gained": "what they won by fills better than mark",
    "uncovered": "what is still owed at the end",
    "adl_value": "what the deleveraged were paid, or paid, for the positions that were closed",
    "closed": "these positions at mark",
    "socialized": "cash charged",
    "steps_with_adl": "steps with deleveraging",
    "coverage": "share of the deficit that was raised; 1 is all of it",
    "overshoot": "what was taken beyond the deficit",
    "burden_profit": "largest share of their profit that anybody paid; above 1 with money of their own",
    "burden_equity": "largest share of their equity that anybody paid",
    "gini": "how unevenly winners paid: 0 all the same, near 1 a few paid for everybody",
    "hhi": "how few the payers were: n equal payers give 1/n, a single one 1",
    "top_share": "share of all that was taken that came from the ten who paid most",
    "rank_inversions": "how often the richer of two winners was left with less: 0 keeps their order",
    "paid_own": "accounts that paid more than all their profit",
    "broken_hedges": "delta-neutral accounts that lost a leg: one side closed by a tenth of the account",
    "fund_lowest": "the least the insurance fund held",
    "fund_needed": "cash with which the fund would have left nothing to others, whatever the policy",
    "furthest": "level of all markets, by open interest, when furthest from its start at 1",
    "furthest_path": "the same of the scenario itself, without what orders added",
    "added_by_liquidations": "what liquidation orders had added to the level by then",
    "added_by_adl": "what orders of the deleveraged, who put their exposure on again, had added",
}

_MEASURES = (
    "coverage", "overshoot", "burden_profit", "burden_equity", "gini", "hhi", "top_share", "rank_inversions",
)  # fmt: skip


def totals(steps: pl.DataFrame, ledger: Ledger, holders: Holders) -> dict[str, Any]:
    """A whole run in numbers, by the names of `EXPLAINED`; None where a measure says nothing.

    Parameters
    ----------
    steps : DataFrame
        At least one; see `Outcome`.
    ledger : Ledger
    holders : Holders
    """
    asked = ledger.asked
    deficit = float(steps["deficit"].sum())
    found = measure(
        ledger.seized[asked],
        ledger.profit[asked],
        ledger.equity[asked],
        deficit=deficit,
    )
    far = steps.row(int(np.abs(np.log(steps["market"].to_numpy())).argmax()), named=True)
    path = steps["path"].to_numpy()
    return {
        "liquidated": int(np.count_nonzero(ledger.liquidated)),
        "bankrupt": int(np.count_nonzero(ledger.bankrupt)),
        "deleveraged": int(np.count_nonzero(ledger.deleveraged)),
        "shortfall": int(ledger.lack.sum()),
        "fund_paid": int((steps["fund_paid"] + steps["takeover_loss"]).sum()),
        "deficit": int(deficit),
        "seized": int(steps["seized"].sum()),
        "gained": int(steps["gained"].sum()),
        "uncovered": int(ledger.owed.sum()),
        "adl_value": int(steps["adl_value"].sum()),
        "closed": int(ledger.closed.sum()),
        "socialized": int(steps["socialized"].sum()),
        "steps_with_adl": int(((steps["n_adl_fills"] > 0) | (steps["socialized"] > 0)).sum()),
        **{name: None if isnan(found[name]) else float(found[name]) for name in _MEASURES},
        "paid_own": ledger.paid_own(),
        "broken_hedges": ledger.broken_hedges(holders),
        "fund_lowest": int(steps["fund_equity_after"].min()),  # type: ignore[arg-type]
        "furthest": far["market"],
        "furthest_path": float(path[np.abs(np.log(path)).argmax()]),
        "added_by_liquidations": far["by_liquidations"],
        "added_by_adl": far["by_adl"],
    }


def policies(outcomes: Iterable[Outcome], needed: Mapping[tuple[int, str], int]) -> pl.DataFrame:
    """One row a run: which, the columns of `EXPLAINED`, ``seconds``, ``ok`` and ``finished``.

    Parameters
    ----------
    outcomes : iterable of Outcome
    needed : mapping of (seed, feedback) to int
        The fund that was needed, in atoms.
    """
    return pl.DataFrame(
        [
            {
                **outcome.which,
                **outcome.totals,
                "fund_needed": needed.get((outcome.which["seed"], outcome.which["feedback"])),
                "seconds": float(outcome.steps["seconds_step"].sum()),
                "ok": all(outcome.checks.values()),
                "finished": outcome.finished,
            }
            for outcome in outcomes
        ],
        infer_schema_length=None,
        schema_overrides={**dict.fromkeys(_MEASURES, pl.Float64), "fund_needed": pl.Int64},
    )


def named(outcomes: Iterable[Outcome], frame: str) -> pl.DataFrame:
    """A frame of `Outcome` of every run, with the names of the run in front."""
    return pl.concat(
        (
            getattr(outcome, frame).select(
                *(pl.lit(value).alias(name) for name, value in outcome.which.items()), pl.all()
            )
            for outcome in outcomes
        ),
        how="vertical_relaxed",
    )


def fund_for(needed: Sequence[int], probability: float) -> int | None:
    """The least cash that was found with which the fund falls short in at most so many of the seeds.

    Parameters
    ----------
    needed : sequence of int
        What each seed would have needed, ascending, in atoms.
    probability : float
        Above 0 and below 1.

    Returns
    -------
    int or None
        None below one in so many seeds, of which they say nothing.

    Examples
    --------
    >>> fund_for([10, 20, 30, 40], 0.5), fund_for([10, 20, 30, 40], 0.01)
    (20, None)
    """
    spared = floor(probability * len(needed) + 1e-9)  # a product such as 0.29 · 100 may end just below
    return needed[len(needed) - 1 - spared] if spared else None


def fund_quantiles(
    needed: Mapping[tuple[int, str], int], probabilities: Sequence[float] = PROBABILITIES
) -> pl.DataFrame:
    """How much cash keeps deleveraging away, by the probability that it still happens: see `fund_for`.

    Parameters
    ----------
    needed : mapping of (seed, feedback) to int
        The fund that was needed, in atoms.
    probabilities : sequence of float

    Returns
    -------
    DataFrame
        ``feedback``, ``probability``, ``fund_needed`` (atoms; null where so few seeds cannot say), ``seeds``.
    """
    kinds: dict[str, list[int]] = {}
    for (_, feedback), cash in needed.items():
        kinds.setdefault(feedback, []).append(cash)
    rows = [
        {
            "feedback": feedback,
            "probability": probability,
            "fund_needed": fund_for(sorted(cash), probability),
            "seeds": len(cash),
        }
        for feedback, cash in kinds.items()
        for probability in probabilities
    ]
    schema = {"feedback": pl.String, "probability": pl.Float64, "fund_needed": pl.Int64, "seeds": pl.Int64}
    return pl.DataFrame(rows, schema=schema)


def moves(table: pl.DataFrame) -> pl.DataFrame:
    """How far the market went, by whose orders move it: one row a seed and policy.

    Parameters
    ----------
    table : DataFrame
        As `policies` gives it.

    Returns
    -------
    DataFrame
        ``seed``, ``policy``, ``path`` (the scenario alone), and a column for each kind of feedback that was
        run, with the level of all markets when furthest from the start.
    """
    return table.pivot(
        "feedback", index=["seed", "policy", "furthest_path"], values="furthest", maintain_order=True
    ).rename({"furthest_path": "path"})
