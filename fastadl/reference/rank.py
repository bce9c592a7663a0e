"""Ranking: scores of candidates, and the order they stand in (rules R41, R46)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fastadl.kernels.scores import Candidate
from fastadl.reference.account import evaluate
from fastadl.reference.layout import open_rows
from fastadl.reference.mark import margin
from fastadl.reference.scores import score
from fastadl.schema import BoolArray, Float64Array, Int64Array, IntArray

if TYPE_CHECKING:
    from fastadl.kernels.layout import Rows
    from fastadl.kernels.mark import Margins

__all__ = ["describe", "keys", "measure", "order", "select"]


def measure(
    number: int,
    row: int,
    slot: int,
    rows: Rows,
    unit: Float64Array,
    margins: Margins,
    inverse: BoolArray,
    one: Float64Array,
) -> dict[str, float]:
    """Score of one candidate row and its parts by name, in the order of rule R6."""
    instrument, lots, entry = int(rows.leg[row]) >> 1, float(rows.lots[row]), float(rows.entry[row])
    equity, needed, gross = evaluate(rows, slot, unit, margins)
    value = lots * float(unit[instrument])
    symbol_profit = 0.0
    for held in open_rows(rows, slot):
        if held.instrument == instrument:
            symbol_profit += float(held.lots) * float(unit[instrument]) - float(held.entry)
    candidate = Candidate(
        lots=abs(lots),
        short=lots < 0,
        inverse=bool(inverse[instrument]),
        value=abs(value),
        cost=abs(entry),
        profit=value - entry,
        symbol_profit=symbol_profit,
        row_margin=margin(abs(value), instrument, margins),
        cash=float(rows.cash[slot]),
        equity=equity,
        margin=needed,
        gross=gross,
        one=float(one[instrument]),
    )
    return {
        "score": score(number, candidate) if lots else 0.0,
        "equity": equity,
        "profit": candidate.profit,
        "value": candidate.value,
        "row_margin": candidate.row_margin,
        "margin": needed,
        "gross": gross,
    }


def describe(
    row: IntArray, slot: IntArray, rows: Rows, rank: IntArray, tier: IntArray
) -> tuple[Int64Array, IntArray, IntArray]:
    """Lots, tie-breaker and tier of candidate rows."""
    account = rows.account[slot]
    return np.abs(rows.lots[row]).astype(np.int64), rank[account], tier[account]


def keys(scores: Sequence[float]) -> list[int]:
    """Place of each score among the distinct ones, the highest first."""
    places = sorted(set(scores), reverse=True)
    return [places.index(score) for score in scores]


def order(chosen: Int64Array, key: Int64Array, tie: IntArray) -> list[int]:
    """Candidates by (key, tie)."""
    return sorted((int(i) for i in chosen), key=lambda i: (key[i], tie[i]))


def select(key: Int64Array, tie: IntArray, lots: Int64Array, need: int) -> list[int]:
    """Best candidates, in order, until their lots cover the need."""
    found = []
    for i in sorted(range(len(key)), key=lambda i: (key[i], tie[i])):
        if need > 0:
            found.append(i)
            need -= int(lots[i])
    return found
