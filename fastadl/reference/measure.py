"""Figures of candidate rows, and the scores made from them (rules R6, R46, R82, R83)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastadl.kernels.scores import Candidate
from fastadl.reference.account import evaluate
from fastadl.reference.layout import open_rows
from fastadl.reference.mark import margin
from fastadl.reference.scores import score
from fastadl.schema import BoolArray, Float64Array, Int64Array, IntArray

if TYPE_CHECKING:
    from fastadl.kernels.layout import Rows

__all__ = ["describe", "max_leverage", "measure", "neutral"]


def measure(
    number: int, own: Callable[[Candidate], float] | None, row: int, slot: int, context: Any
) -> dict[str, float]:
    """Score of one candidate row and its parts by name, in the order of rule R6.

    The context is that of `fastadl.kernels.measure`, which holds rows and margins.
    """
    unit = context.unit
    instrument, lots, entry = int(context.leg[row]) >> 1, float(context.lots[row]), float(context.entry[row])
    equity, needed, gross = evaluate(context, slot, unit, context)
    value = lots * float(unit[instrument])
    symbol_profit = 0.0
    for held in open_rows(context, slot):
        if held.instrument == instrument:
            symbol_profit += float(held.lots) * float(unit[instrument]) - float(held.entry)
    candidate = Candidate(
        lots=abs(lots),
        short=lots < 0,
        inverse=bool(context.inverse[instrument]),
        value=abs(value),
        cost=abs(entry),
        profit=value - entry,
        symbol_profit=symbol_profit,
        row_margin=margin(abs(value), instrument, context),
        cash=float(context.cash[slot]),
        equity=equity,
        margin=needed,
        gross=gross,
        one=float(context.one[instrument]),
        max_leverage=max_leverage(abs(value), instrument, context),
        place=float(context.place[context.account[slot]]),
        given=float(context.given[context.account[slot]] if len(context.given) else context.account[slot]),
        seed=context.seed,
    )
    worth = (lambda c: score(number, c)) if own is None else own
    return {
        "score": worth(candidate) if lots else 0.0,
        "equity": equity,
        "profit": candidate.profit,
        "value": candidate.value,
        "row_margin": candidate.row_margin,
        "margin": needed,
        "gross": gross,
    }


def max_leverage(notional: float, instrument: int, context: Any) -> float:
    """``ml`` of rule R82: of the last tier that begins at or below the notional, or of the first."""
    tiers = range(context.start[instrument], context.start[instrument + 1])
    reached = [t for t in tiers if context.least[t] <= notional]
    return float(context.leverage[reached[-1] if reached else tiers[0]])


def describe(
    row: IntArray, slot: IntArray, rows: Rows, rank: IntArray, tier: IntArray
) -> tuple[Int64Array, IntArray, IntArray]:
    """Lots, tie-breaker and tier of candidate rows."""
    account = rows.account[slot]
    return np.abs(rows.lots[row]).astype(np.int64), rank[account], tier[account]


def neutral(
    slot: IntArray,
    limit: float,
    flagged: bool,
    isolated: BoolArray,
    rows: Rows,
    unit: Float64Array,
    tier: IntArray,
) -> list[int]:
    """Tiers of candidates (rule R83), from those given."""
    found = []
    for who, given in zip(slot.tolist(), tier.tolist(), strict=True):
        delta, gross = 0.0, 0.0  # not by `sum`, which keeps more digits from Python 3.12 on
        for row in open_rows(rows, who):
            value = abs(float(row.lots) * float(unit[row.instrument]))
            delta += value if row.lots > 0 else -value
            gross += value
        hedged = not isolated[rows.account[who]] and gross > 0 and abs(delta) <= limit * gross
        found.append((given if hedged else 0) if flagged else 2 * given + hedged)
    return found
