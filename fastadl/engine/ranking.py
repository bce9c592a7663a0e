"""Who is deleveraged, in which order, and how many lots each gives (rules R40 to R43)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from fastadl import reference
from fastadl.contracts import Kind
from fastadl.engine.close_out import values_at
from fastadl.engine.state import State
from fastadl.kernels.allocate import level, level_shares, shares, threshold, whole_positions
from fastadl.kernels.layout import gather
from fastadl.kernels.rank import FIELDS, describe, keys, measure, measure_all, order, select
from fastadl.kernels.scores import SCORES
from fastadl.policy import AdlPolicy
from fastadl.schema import BoolArray, Float64Array, Int64Array, IntArray

__all__ = ["Candidates", "Quotas", "candidates", "fill_threshold", "quotas"]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Rows that may be deleveraged for one (symbol, side), in no order.

    Attributes
    ----------
    row, slot : int64, int32 (n)
    lots : int64 (n)
        Unsigned.
    parts : float64 (3, n) or (8, n)
        One line per name in `fastadl.kernels.rank.FIELDS`.
    key : int64 (n)
        Ascends as the score descends.
    tie : int32 (n)
        Order of the account ids.
    tier : uint8 (n)
    """

    row: IntArray
    slot: IntArray
    lots: Int64Array
    parts: Float64Array
    key: Int64Array
    tie: IntArray
    tier: IntArray

    def __len__(self) -> int:
        return len(self.row)

    def tiers(self) -> IntArray:
        """Tiers that occur, ascending."""
        return np.flatnonzero(np.bincount(self.tier))

    def ranked(self) -> IntArray:
        """All candidates in rank order (rule R41)."""
        tiers = [np.flatnonzero(self.tier == tier) for tier in self.tiers()]
        parts = [order(members, self.key, self.tie) for members in tiers]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def best(self, need: int) -> IntArray:
        """The best candidates, in rank order, until their lots cover the need."""
        found: list[IntArray] = []
        for tier in self.tiers():
            members = np.flatnonzero(self.tier == tier)
            if len(members) == len(self):
                return select(self.key, self.tie, self.lots, need)
            chosen = members[select(self.key[members], self.tie[members], self.lots[members], need)]
            found.append(chosen)
            need -= int(self.lots[chosen].sum())
            if need <= 0:
                break
        return np.concatenate(found) if found else np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Quotas:
    """Candidates that give lots, in rank order.

    Attributes
    ----------
    row, slot : int64, int32 (n)
    lots : int64 (n)
        What each may give.
    rank : int64 (n)
        From 1, among all candidates.
    score : float64 (n)
    """

    row: IntArray
    slot: IntArray
    lots: Int64Array
    rank: Int64Array
    score: Float64Array


def candidates(
    state: State, legs: list[int], score: str, excluded: BoolArray, *, detail: bool = False
) -> list[Candidates]:
    """Candidates of some legs with their scores, from one look at the book (rules R40, R41, R46).

    Parameters
    ----------
    state : State
    legs : list of int
        Legs of the candidate rows.
    score : str
    excluded : bool (slots)
        Accounts bankrupt for the rest of the tick.
    detail : bool
        Keep the parts of the scores too.
    """
    wanted = np.full(2 * len(state.instruments), -1, np.int32)
    wanted[legs] = np.arange(len(legs), dtype=np.int32)
    book = state.book
    start, row, slot, span = gather(book.rows, wanted, excluded, state.blocks)
    parts = np.empty((len(FIELDS) if detail else 3, len(row)))
    inverse = np.array([item.kind is Kind.INVERSE for item in state.instruments], np.bool_)
    rest = (book.rows, state.marks.unit, state.margins, inverse, state.one, parts)
    if len(row) < len(book.rows.cash) // 4:
        measure(SCORES.index(score), row, slot, *rest)
    else:
        measure_all(SCORES.index(score), row, slot, span, state.blocks, *rest)
    lots, tie, tier = np.empty(len(row), np.int64), np.empty(len(row), np.int32), np.empty(len(row), np.uint8)
    describe(row, slot, span, book.rows, book.rank, book.adl_tier, lots, tie, tier)
    _, equity, error, *_ = parts
    able = equity >= 0.0
    near = np.flatnonzero(np.abs(equity) <= error)
    able[near] = state.equity_floor(slot[near]) >= 0
    if not able.all():
        start = np.concatenate([[0], np.cumsum(able)])[start]
        kept = np.flatnonzero(able)
        row, slot, lots, tie, tier = row[kept], slot[kept], lots[kept], tie[kept], tier[kept]
        parts = parts[:, kept]
    key = np.empty(len(row), np.int64)
    keys(parts[0].view(np.int64), key)
    spans = [slice(int(a), int(b)) for a, b in pairwise(start)]
    return [Candidates(row[s], slot[s], lots[s], parts[:, s], key[s], tie[s], tier[s]) for s in spans]


def quotas(state: State, found: Candidates, policy: AdlPolicy, need: int) -> Quotas:
    """How many lots each candidate gives, best rank first (rule R43)."""
    if policy.allocation == "queue":
        chosen = found.best(need)
        return _in_rank(found, chosen, np.arange(1, len(chosen) + 1), found.lots[chosen])
    ranked = found.ranked()
    lots = np.zeros(len(found), np.int64)
    if policy.allocation == "whole":
        quota = np.zeros(len(found), np.int64)
        whole_positions(found.lots[ranked], need, quota)
        lots[ranked] = quota
    else:
        for tier in found.tiers():
            members = np.flatnonzero(found.tier == tier)
            lots[members] = _allocate(state, found, members, policy.allocation, need)
            need -= int(lots[members].sum())
    giving = np.flatnonzero(lots[ranked])
    chosen = ranked[giving]
    return _in_rank(found, chosen, giving + 1, lots[chosen])


def _in_rank(found: Candidates, chosen: IntArray, rank: IntArray, lots: Int64Array) -> Quotas:
    return Quotas(
        row=found.row[chosen],
        slot=found.slot[chosen],
        lots=lots.copy(),
        rank=rank.astype(np.int64),
        score=found.parts[0][chosen],
    )


def _allocate(state: State, found: Candidates, members: IntArray, allocation: str, need: int) -> Int64Array:
    cap, tie, slot = found.lots[members], found.tie[members], found.slot[members]
    if need <= 0:
        return np.zeros(len(cap), np.int64)
    if need >= cap.sum():
        return cap
    if allocation == "pro_rata_size":
        return _proportional(cap, need, tie)
    if allocation == "pro_rata_profit":
        return _by_profit(state, found, members, need)
    gross = state.gross_floor(slot)
    equity = np.maximum(state.equity_floor(slot), 1)
    unit = abs(state.marks.units[int(state.book.rows.leg[found.row[members[0]]]) >> 1])
    return _by_leverage(cap, gross, equity, unit, need, tie)


def _proportional(weight: Int64Array, budget: int, tie: IntArray) -> Int64Array:
    """`budget` shared by weight: floors, then one each to the largest remainders (rule R16)."""
    down, rest = np.empty_like(weight), np.empty_like(weight)
    shares(budget, weight, int(weight.sum()), down, rest)
    return _hand_out(down, rest, budget - int(down.sum()), tie)


def _hand_out(down: Int64Array, rest: Int64Array, missing: int, tie: IntArray) -> Int64Array:
    if missing > 0:
        down[select(-rest, tie, np.ones(len(down), np.int64), missing)] += 1
    return down


def _by_profit(state: State, found: Candidates, members: IntArray, need: int) -> Int64Array:
    cap, tie = found.lots[members], found.tie[members]
    weight = np.maximum(_row_profit_floor(state, found.row[members]), 0)
    lots = np.zeros(len(cap), np.int64)
    if int(cap[weight > 0].sum()) <= need:
        lots[weight > 0] = cap[weight > 0]
        rest = np.flatnonzero(weight == 0)
        left = need - int(lots.sum())
        if left > 0:
            lots[rest] = _proportional(cap[rest], left, tie[rest])
        return lots
    return fill_threshold(cap, weight, need, tie)


def fill_threshold(cap: Int64Array, weight: Int64Array, budget: int, tie: IntArray) -> Int64Array:
    """Shares ``min(cap, τ · weight)`` that add up to the budget, in whole units (rule R16).

    Parameters
    ----------
    cap, weight : int64 (n)
        Not negative; what has no weight gets nothing.
    budget : int
        At most the sum of `cap` where there is weight.
    tie : int32 (n)
    """
    lots = np.zeros(len(cap), np.int64)
    if weight.astype(np.float64).sum() >= 2.0**61:
        who = np.flatnonzero(weight)
        who = who[np.argsort(tie[who])]
        exact = reference.threshold_shares(cap[who].tolist(), weight[who].tolist(), budget)
        lots[who] = reference.largest_remainder(exact)
        return lots
    full = np.empty(len(cap), np.bool_)
    left, _ = threshold(cap, weight, budget, full)
    lots[full] = cap[full]
    sharing = np.flatnonzero((weight > 0) & ~full)
    if left > 0 and len(sharing):
        lots[sharing] = _proportional(weight[sharing], int(left), tie[sharing])
    return lots


def _by_leverage(
    cap: Int64Array, gross: Int64Array, equity: Int64Array, unit: Fraction, need: int, tie: IntArray
) -> Int64Array:
    guess = level(cap, gross, equity, float(unit), need)
    wanted = (gross - guess * equity) / float(unit)
    full, inner = wanted >= cap, (wanted > 0) & (wanted < cap)
    lots = np.where(full, cap, 0)
    left = need - int(lots.sum())
    if inner.any() and left > 0:
        total = sum(gross[inner].tolist())
        exact = (total - unit * left) / sum(equity[inner].tolist())
        down, rest = np.empty(int(inner.sum()), np.int64), np.empty(int(inner.sum()))
        pair, width = _two_parts(exact), _two_parts(unit)
        if level_shares(gross[inner], equity[inner], pair, width, down, rest):
            missing = left - int(down.sum())
            best = np.lexsort((tie[inner], -rest))
            apart = (
                missing == 0
                or missing == len(best)
                or (0 < missing < len(best) and rest[best[missing - 1]] - rest[best[missing]] > 1e-9)
            )
            if apart and (down >= 0).all() and (down < cap[inner]).all():
                down[best[:missing]] += 1
                lots[inner] = down
                return lots
    by_id = np.argsort(tie)
    found = reference.leverage_shares(
        cap[by_id].tolist(), gross[by_id].tolist(), equity[by_id].tolist(), unit, need
    )
    lots[by_id] = reference.largest_remainder(found)
    return lots


def _two_parts(number: Fraction) -> tuple[float, float]:
    high = float(number)
    return high, float(number - Fraction(high))


def _row_profit_floor(state: State, row: IntArray) -> Int64Array:
    """Profit of rows in atoms, rounded down."""
    rows = state.book.rows
    instrument = rows.leg[row].astype(np.int64) >> 1
    units = {int(i): state.marks.units[int(i)] for i in np.unique(instrument)}
    return values_at(rows.lots[row].astype(np.int64), instrument, units) - rows.entry[row]
