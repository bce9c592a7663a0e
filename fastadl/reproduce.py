"""The published policy table of the event of 2025-10-10, recomputed from the study's own output files.

The study is arXiv 2512.01112 and 2602.15182 with pluriholonomic/autodeleveraging-analysis; one round is what
followed within 5 s of another fill. What is published stands beside what its definitions leave out: fairness
that punishes being fairer than the reference, one debt counted in every round it was seen in, overshoot as a
net sum, and rounds that were left out.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from math import fsum
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fastadl import metrics
from fastadl.errors import InputError
from fastadl.io.study import StudyTable
from fastadl.schema import Float64Array, Int64Array

__all__ = ["NAMES", "Reproduction", "reproduce"]

#: A policy's column suffix → its name, in the order of the published table.
NAMES = {
    "prod": "production",
    "contract_pr": "contract pro rata",
    "vector": "vector",
    "fixed_point_ilp_integer": "ILP (greedy)",
    "pr": "pro rata",
    "pnl_pr": "pro rata by profit",
    "eq_pr": "pro rata by equity",
}
#: Whose largest burden the others are measured against.
REFERENCE = "fixed_point_ilp_integer"

_ROUNDS = "policy_per_wave_metrics.csv"
_SHOCKS = "per_shock_metrics_queue.csv"
_HORIZONS = "two_pass_equity_delta_by_wave_h*.csv"
_GAP_MS = 5000


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What the files say; money in USD, to the cent.

    Attributes
    ----------
    policies : DataFrame
        One row a policy: ``policy``; ``budget`` (ΣH); ``tracking`` (Σ|H − B|), ``fairness``
        (ΣB·|m − m*|), their ``total``, and that as a share of the regret bound (``of_bound``), as
        published; then fairness ``one_sided``, ``overshoot`` and ``undershoot`` (Σ(H − B)⁺, Σ(B − H)⁺),
        and the total as a share of the bound with every debt counted once (``of_bound_once``).
    horizons : DataFrame
        One row an evaluation horizon of the production queue: ``horizon_ms``, ``taken`` (ΣH),
        ``net`` (ΣH − ΣB, the published overshoot), ``overshoot``, ``undershoot``, ``rounds_under``.
    rounds : DataFrame
        One row a round: ``round``, ``deficit``, ``deficit_once``, ``largest``, ``needed``, ``severity``.
    totals : dict
        ``rounds``, ``needed`` (ΣB), ``deficit`` (ΣD), ``deficit_once``, the ``repeated_loss`` that was the
        largest in so many rounds (``repeated_in``), ``variation`` (P_T) and ``regret_bound``, both also with
        every debt counted ``_once``; of the first version's shocks (a coin within 5 s) ``shocks``,
        ``shocks_with_deficit``, ``queue_budget``, ``queue_deficit``, ``queue_overshoot``,
        ``queue_residual``; and the shocks no round holds: in how many bursts (``rounds_left_out``), and
        their ``queue_budget_left_out``.
    """

    policies: pl.DataFrame
    horizons: pl.DataFrame
    rounds: pl.DataFrame
    totals: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        frames = {name: getattr(self, name).to_dicts() for name in ("policies", "horizons", "rounds")}
        return {"totals": self.totals, **frames}


def reproduce(folder: str | os.PathLike[str]) -> Reproduction:
    """Recompute the published table from a folder with the study's CSV files.

    Parameters
    ----------
    folder : path
        With ``policy_per_wave_metrics.csv``, ``per_shock_metrics_queue.csv`` and at least one
        ``two_pass_equity_delta_by_wave_h<milliseconds>.csv``.

    Raises
    ------
    InputError
        Naming the folder, file, column or row that is missing or wrong.
    """
    path = Path(folder)
    if not path.is_dir():
        raise InputError((), "no such folder", f"give a folder with {_ROUNDS}", str(folder))
    table = StudyTable(path / _ROUNDS)
    deficit, largest = table.numbers("deficit_usd"), table.numbers("max_loss_usd")
    needed = table.numbers("budget_needed")
    once = metrics.counted_once(deficit, largest)
    severity = metrics.severity(needed, deficit)
    bound = metrics.regret_bound(deficit, severity)
    bound_once = metrics.regret_bound(once, metrics.severity(needed, once))
    rounds = pl.DataFrame(
        {
            "round": table.numbers("wave").astype(np.int64),
            "deficit": _cents(deficit),
            "deficit_once": _cents(once),
            "largest": _cents(largest),
            "needed": _cents(needed),
            "severity": severity,
        }
    )
    return Reproduction(
        policies=_policies(table, needed, bound, bound_once),
        horizons=_horizons(path, rounds["round"].to_list()),
        rounds=rounds,
        totals={
            **_totals(deficit, once, largest, needed),
            "regret_bound": _cent(bound),
            "regret_bound_once": _cent(bound_once),
            **_left_out(StudyTable(path / _SHOCKS), table),
        },
    )


def _policies(table: StudyTable, needed: Float64Array, bound: float, bound_once: float) -> pl.DataFrame:
    reference = table.numbers(f"max_pct_{REFERENCE}")
    lines = []
    for suffix, name in NAMES.items():
        seized, burden = table.numbers(f"budget_{suffix}"), table.numbers(f"max_pct_{suffix}")
        tracking = fsum(metrics.tracking(seized, needed))
        fairness = fsum(metrics.excess_burden(needed, burden, reference, one_sided=False))
        lines.append(
            {
                "policy": name,
                "budget": _cent(fsum(seized)),
                "tracking": _cent(tracking),
                "fairness": _cent(fairness),
                "total": _cent(tracking + fairness),
                "of_bound": _share(tracking + fairness, bound),
                "one_sided": _cent(fsum(metrics.excess_burden(needed, burden, reference))),
                "overshoot": _cent(fsum(metrics.overshoot(seized, needed))),
                "undershoot": _cent(fsum(metrics.undershoot(seized, needed))),
                "of_bound_once": _share(tracking + fairness, bound_once),
            }
        )
    return pl.DataFrame(lines)


def _horizons(folder: Path, rounds: list[int]) -> pl.DataFrame:
    found = {
        int(named[1]): file
        for file in folder.glob(_HORIZONS)
        if (named := re.fullmatch(r".*_h(\d+)\.csv", file.name))
    }
    if not found:
        raise InputError((), "missing", "give one file per horizon, 0 ms first", str(folder / _HORIZONS))
    lines = []
    for horizon, file in sorted(found.items()):
        table = StudyTable(file)
        if table.numbers("wave").astype(np.int64).tolist() != rounds:
            raise InputError(("wave",), "other rounds", f"keep those of {_ROUNDS}, in order", str(file))
        seized, needed = table.numbers("budget_prod_usd"), table.numbers("budget_needed_usd")
        under = metrics.undershoot(seized, needed)
        lines.append(
            {
                "horizon_ms": horizon,
                "taken": _cent(fsum(seized)),
                "net": _cent(fsum(seized) - fsum(needed)),
                "overshoot": _cent(fsum(metrics.overshoot(seized, needed))),
                "undershoot": _cent(fsum(under)),
                "rounds_under": int(np.count_nonzero(under)),
            }
        )
    return pl.DataFrame(lines)


def _totals(
    deficit: Float64Array, once: Float64Array, largest: Float64Array, needed: Float64Array
) -> dict[str, float]:
    """Sums over rounds, and what of the deficit is one debt seen again and again."""
    values, seen = np.unique(largest, return_counts=True)
    most = int(np.lexsort((values, seen))[-1])
    return {
        "rounds": len(deficit),
        "needed": _cent(fsum(needed)),
        "deficit": _cent(fsum(deficit)),
        "deficit_once": _cent(fsum(once)),
        "repeated_loss": _cent(float(values[most])) if seen[most] > 1 else 0.0,
        "repeated_in": int(seen[most]) if seen[most] > 1 else 0,
        "variation": metrics.variation(metrics.severity(needed, deficit)),
        "variation_once": metrics.variation(metrics.severity(needed, once)),
    }


def _left_out(shocks: StudyTable, rounds: StudyTable) -> dict[str, float]:
    """Sums over the shocks, and over those outside every round."""
    budget, deficit = shocks.numbers("budget_queue_usd"), shocks.numbers("deficit_usd")
    start, end = shocks.times("t_start"), shocks.times("t_end")
    first, last = rounds.times("t_start"), rounds.times("t_end")
    held = (first <= start[:, None]) & (end[:, None] <= last)
    out = ~held.any(axis=1)
    return {
        "shocks": len(budget),
        "shocks_with_deficit": int(np.count_nonzero(deficit)),
        "queue_budget": _cent(fsum(budget)),
        "queue_deficit": _cent(fsum(deficit)),
        "queue_overshoot": _cent(fsum(metrics.overshoot(budget, deficit))),
        "queue_residual": _cent(fsum(metrics.residual(budget, deficit))),
        "rounds_left_out": _bursts(start[out], end[out]),
        "queue_budget_left_out": _cent(fsum(budget[out])),
    }


def _bursts(start: Int64Array, end: Int64Array) -> int:
    """How many groups these spans make if a pause of more than 5 s ends one."""
    order = np.argsort(start, kind="stable")
    reached = np.maximum.accumulate(end[order])
    return int(np.count_nonzero(start[order][1:] - reached[:-1] > _GAP_MS)) + bool(len(start))


def _share(amount: float, of: float) -> float | None:
    return amount / of if of > 0.0 else None


def _cent(amount: float) -> float:
    return round(amount, 2) + 0.0


def _cents(amounts: Float64Array) -> Float64Array:
    return np.round(amounts, 2) + 0.0
