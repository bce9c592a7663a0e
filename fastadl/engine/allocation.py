"""How many lots each candidate gives (rules R43, R84)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial

import numpy as np

from fastadl.engine.ranking import Candidates
from fastadl.engine.sharing import fill_min_max, fill_threshold, fill_to_level, proportional, weighed_first
from fastadl.engine.state import State
from fastadl.kernels.allocate import places, shares, whole_positions
from fastadl.kernels.measure import FIELDS
from fastadl.kernels.rank import order, select
from fastadl.policy import AdlPolicy
from fastadl.schema import SUM_BOUND, Float64Array, Int64Array, IntArray

__all__ = ["NEEDS_DETAIL", "Quotas", "quotas"]

#: Allocations that read more figures of candidates than the first three of `fastadl.kernels.measure.FIELDS`.
NEEDS_DETAIL = frozenset({"risk_aware", "quadratic_projection"})

_PROFIT, _GROSS = FIELDS.index("profit"), FIELDS.index("gross")
#: Weights made of float64 figures have so many bits.
_WEIGHT_BITS = 40
#: Each further look at positions that fit is at so many times the lots, for their number.
_GROWTH = 4


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
    further : iterator of Quotas
        Those that come after them where lots that a guard refuses go on down the ranking; ranked when asked
        for.
    """

    row: IntArray
    slot: IntArray
    lots: Int64Array
    rank: Int64Array
    score: Float64Array
    further: Iterator[Quotas] = field(default_factory=lambda: iter(()))

    def and_further(self) -> Quotas:
        """With the next of those that come after them, if any do."""
        after = next(self.further, None)
        if after is None:
            return self
        return Quotas(
            row=np.concatenate([self.row, after.row]),
            slot=np.concatenate([self.slot, after.slot]),
            lots=np.concatenate([self.lots, after.lots]),
            rank=np.concatenate([self.rank, after.rank]),
            score=np.concatenate([self.score, after.score]),
            further=self.further,
        )


def quotas(state: State, found: Candidates, policy: AdlPolicy, need: int) -> Quotas:
    """How many lots each candidate gives, best rank first (rules R43, R84).

    Parameters
    ----------
    state : State
    found : Candidates
        With detail where `NEEDS_DETAIL` says so.
    policy : AdlPolicy
    need : int
        Lots wanted of all of them.
    """
    if policy.allocation == "queue":
        if policy.guard == "none":
            return _whole_holdings(found, found.best(need), 0)
        batches = _queue(found, need)
        first = next(batches, None) or _whole_holdings(found, np.empty(0, np.int64), 0)
        return replace(first, further=batches)
    chosen, place, given = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    before = 0
    for members in found.tiers():
        if need <= 0:
            break
        tier = found if len(members) == len(found) else found.of(members)
        lots = _ALLOCATIONS[policy.allocation](_Tier(state, tier, policy), need)
        who, at = _ranked(tier, lots)
        chosen.append(members[who])
        place.append(at + before)
        given.append(lots[who])
        before += len(tier)
        need -= int(lots.sum())
    return _quotas(found, np.concatenate(chosen), np.concatenate(place), np.concatenate(given))


def _queue(found: Candidates, need: int) -> Iterator[Quotas]:
    """Everyone, in rank order and in batches, best first."""
    before = 0
    for batch in found.batches(need):
        yield _whole_holdings(found, batch, before)
        before += len(batch)


def _whole_holdings(found: Candidates, chosen: IntArray, before: int) -> Quotas:
    """Candidates for all they hold, next in rank after so many others."""
    return _quotas(found, chosen, np.arange(before, before + len(chosen)), found.lots[chosen])


def _quotas(found: Candidates, chosen: IntArray, place: IntArray, lots: Int64Array) -> Quotas:
    return Quotas(
        row=found.row[chosen],
        slot=found.slot[chosen],
        lots=lots,
        rank=place + 1,
        score=found.parts[0][chosen],
    )


def _ranked(tier: Candidates, lots: Int64Array) -> tuple[IntArray, IntArray]:
    """Who gives lots, in rank order, and at which place among all; nobody else is sorted."""
    giving = order(np.flatnonzero(lots), tier.key, tier.turn)
    place = np.empty(len(giving), np.int64)
    places(tier.key, tier.turn, giving, place)
    return giving, place


# ---------------------------------------------------------------------- one tier


@dataclass(frozen=True, slots=True)
class _Tier:
    """Candidates who share a need."""

    state: State
    found: Candidates
    policy: AdlPolicy

    @property
    def leg(self) -> int:
        return int(self.state.book.rows.leg[self.found.row[0]])

    def equity(self) -> Int64Array:
        """Equity in atoms, rounded down, at least 0: float64 where its error bound leaves no doubt."""
        _, equity, error, *_ = self.found.parts
        low = np.floor(equity - error)
        near = np.flatnonzero(low != np.floor(equity + error))
        floors = low.astype(np.int64)
        floors[near] = self.state.equity_floor(self.found.slot[near])
        return np.maximum(floors, 0)

    def of_lots(self, factor: Float64Array) -> Int64Array:
        """Weights from lots times a factor, in relation to the largest of them."""
        figure = self.found.lots.astype(np.float64) * factor
        largest = figure.max()
        if not largest > 0.0:
            return np.zeros(len(figure), np.int64)
        return np.floor(figure / largest * 2.0**_WEIGHT_BITS).astype(np.int64)

    def by_weight(self, weight: Int64Array, need: int) -> Int64Array:
        """As far as caps allow by weight, then by size."""
        return weighed_first(fill_threshold, self.found.lots, weight, need, self.found.tie)

    def to_level(self, exposure: Int64Array, beta: Fraction, need: int) -> Int64Array:
        """Down to one exposure by equity."""
        width = beta * abs(self.state.marks.units[self.leg >> 1])
        equity = np.maximum(self.equity(), 1)
        return fill_to_level(self.found.lots, exposure, equity, width, need, self.found.tie)


def _whole(tier: _Tier, need: int) -> Int64Array:
    """Positions that fit, down the ranking.

    First come those a queue would take; then, again and again, the best of those that fit what is left. Each
    time more of these are ranked than are sure to fit, so that however few do, a few times are enough and not
    many more are sorted than the walk has to pass.
    """
    found = tier.found
    lots = np.zeros(len(found), np.int64)
    fits, growth = np.arange(len(found)), 1
    key, turn, held = found.key, found.turn, found.lots
    while need > 0 and len(fits):
        ranked = select(key, turn, held, min(growth * need, SUM_BOUND))
        quota = np.empty(len(ranked), np.int64)
        whole_positions(held[ranked], need, quota)
        lots[fits[ranked]] = quota
        need -= int(quota.sum())
        among = held <= need
        among[ranked] = False
        others = np.flatnonzero(among)
        fits, key, turn, held = fits[others], key[others], turn[others], held[others]
        growth *= _GROWTH
    return lots


def _by_size(tier: _Tier, need: int) -> Int64Array:
    return proportional(tier.found.lots, need, tier.found.tie)


def _by_profit(tier: _Tier, need: int) -> Int64Array:
    return tier.by_weight(np.maximum(tier.state.row_profit_floor(tier.found.row), 0), need)


def _by_equity(tier: _Tier, need: int) -> Int64Array:
    return tier.by_weight(tier.equity(), need)


def _by_risk(tier: _Tier, need: int) -> Int64Array:
    """By lots times a power of the leverage beyond the least."""
    _, equity, *_ = parts = tier.found.parts
    beyond = parts[_GROSS] / np.maximum(equity, 1.0) - float(tier.policy.min_leverage or 0)
    power = np.ones(len(beyond))
    for _ in range(tier.policy.exponent or 0):
        power *= beyond
    return tier.by_weight(tier.of_lots(np.where(beyond > 0.0, power, 0.0)), need)


def _by_projection(tier: _Tier, need: int) -> Int64Array:
    """By lots times profit."""
    return tier.by_weight(tier.of_lots(np.maximum(tier.found.parts[_PROFIT], 0.0)), need)


def _capped(tier: _Tier, need: int) -> Int64Array:
    """By size, nobody more than a part of what he holds; some need may remain."""
    held, part = tier.found.lots, tier.policy.max_share or Fraction(1)
    cap = np.empty_like(held)
    if part.denominator < SUM_BOUND:
        shares(part.numerator, held, part.denominator, cap, np.empty_like(cap))
    else:
        cap[:] = [lots * part.numerator // part.denominator for lots in held.tolist()]
    return cap if need >= cap.sum() else fill_threshold(cap, held, need, tier.found.tie)


def _by_leverage(tier: _Tier, need: int) -> Int64Array:
    return tier.to_level(tier.state.gross_floor(tier.found.slot), Fraction(1), need)


def _by_factor(tier: _Tier, need: int) -> Int64Array:
    """As by leverage, with net exposure to a factor in place of gross."""
    state, betas = tier.state, tier.policy.betas or ()
    exposure = state.exposure_floor(tier.found.slot, tier.leg & 1 == 0, betas)
    beta = dict(betas).get(state.instruments.symbols[tier.leg >> 1], Fraction(1))
    return tier.to_level(exposure, beta, need)


def _min_max(tier: _Tier, need: int) -> Int64Array:
    return weighed_first(fill_min_max, tier.found.lots, tier.equity(), need, tier.found.tie)


_Allocation = Callable[[_Tier, int], Int64Array]


def _or_all(share: _Allocation, tier: _Tier, need: int) -> Int64Array:
    """Everyone gives the cap where all of them are needed."""
    return tier.found.lots if need >= tier.found.lots.sum() else share(tier, need)


_SHARED: Mapping[str, _Allocation] = {
    "pro_rata_size": _by_size,
    "pro_rata_profit": _by_profit,
    "leverage_fill": _by_leverage,
    "pro_rata_equity": _by_equity,
    "risk_aware": _by_risk,
    "quadratic_projection": _by_projection,
    "factor_fill": _by_factor,
    "min_max": _min_max,
}
_ALLOCATIONS: Mapping[str, _Allocation] = {
    "whole": _whole,
    "capped_pro_rata": _capped,
    **{name: partial(_or_all, share) for name, share in _SHARED.items()},
}
