"""How many lots each candidate gives (rules R43, R84)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial

import numpy as np

from fastadl.engine.collective import Most, Steps, Sum, alone
from fastadl.engine.collectives.ranked import Best, Merged, Queue, Tiers
from fastadl.engine.collectives.whole import Whole
from fastadl.engine.ranking import Candidates
from fastadl.engine.sharing import fill_min_max, fill_threshold, fill_to_level, proportional, weighed_first
from fastadl.engine.state import State
from fastadl.kernels.allocate import places, shares
from fastadl.kernels.measure import FIELDS
from fastadl.kernels.rank import order
from fastadl.policy import AdlPolicy
from fastadl.schema import SUM_BOUND, Float64Array, Int64Array, IntArray

__all__ = ["NEEDS_DETAIL", "Given", "Quotas", "allocate", "line", "queue", "quotas"]

#: Allocations that read more figures of candidates than the first three of `fastadl.kernels.measure.FIELDS`.
NEEDS_DETAIL = frozenset({"risk_aware", "quadratic_projection"})

_PROFIT, _GROSS = FIELDS.index("profit"), FIELDS.index("gross")
#: Weights made of float64 figures have so many bits.
_WEIGHT_BITS = 40


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


@dataclass(frozen=True, slots=True)
class Given:
    """Who gives lots: of all candidates, or of those of one part.

    Attributes
    ----------
    found : Candidates
    chosen : int64 (n)
        Members that give lots, in rank order.
    lots : int64 (n)
    tiers : list of (Candidates, int64 array), or None
        Every tier that is made use of, and who of it gives lots, in rank order; None where all do, down to
        the last who does.
    queue : Queue, or None
        Those who come after them where lots that a guard refuses go on down the ranking.
    """

    found: Candidates
    chosen: IntArray
    lots: Int64Array
    tiers: list[tuple[Candidates, IntArray]] | None = None
    queue: Queue | None = None

    @classmethod
    def whole(cls, found: Candidates, chosen: IntArray, queue: Queue | None = None) -> Given:
        """Candidates for all they hold, next to each other in the ranking."""
        return cls(found, chosen, found.lots[chosen], queue=queue)

    @property
    def words(self) -> tuple[IntArray, ...]:
        """What those who give are ranked by, in whatever part they are."""
        return tuple(word[self.chosen] for word in self.found.words)

    def among_all(self) -> Steps[Int64Array | None]:
        """Places, from 0, of those who give among the candidates of all parts; None where they are the first.

        All parts are told the words of all who give, and count those of theirs who give nothing before each.
        """
        if self.tiers is None or not (yield Sum(sum(len(tier) - len(giving) for tier, giving in self.tiers))):
            return None
        words = yield Merged(self.words)
        others = np.ones(len(self.found), np.bool_)
        others[self.chosen] = False
        ahead = yield Sum(self.found.ahead(np.flatnonzero(others), words))
        mine = np.flatnonzero(np.isin(words[-1], self.found.tie[self.chosen]))
        return np.asarray(mine + ahead[mine])

    def further(self) -> Steps[Given | None]:
        """The next of those who come after them, or None if nobody does in any part."""
        if self.queue is None:
            return None
        batch = yield from self.queue.further()
        return None if batch is None else Given.whole(self.found, batch, self.queue)

    def places(self) -> Int64Array:
        """Places, from 0, of those who give among the candidates of this part."""
        if self.tiers is None:
            return np.arange(len(self.chosen))
        found, before = [np.empty(0, np.int64)], 0
        for tier, giving in self.tiers:
            place = np.empty(len(giving), np.int64)
            places(tier.key, tier.turn, giving, place)
            found.append(place + before)
            before += len(tier)
        return np.concatenate(found)


def allocate(state: State, found: Candidates, policy: AdlPolicy, need: int) -> Steps[Given]:
    """Who gives how many lots (rules R43, R84).

    Parameters
    ----------
    state : State
    found : Candidates
        With detail where `NEEDS_DETAIL` says so.
    policy : AdlPolicy
    need : int
        Lots wanted of all of them, in whatever part; positive.
    """
    if policy.allocation == "queue":
        if policy.guard == "none":
            return Given.whole(found, (yield Best(found, need)))
        return (yield from line(found, need))
    chosen, lots, tiers = [np.empty(0, np.int64)], [np.empty(0, np.int64)], []
    for members in (yield Tiers(found)):
        tier = found if len(members) == len(found) else found.of(members)
        given = yield from _ALLOCATIONS[policy.allocation](_Tier(state, tier, policy), need)
        giving = order(np.flatnonzero(given), tier.key, tier.turn)
        chosen.append(members[giving])
        lots.append(given[giving])
        tiers.append((tier, giving))
        need -= yield Sum(int(given.sum()))
        if need <= 0:
            break
    return Given(found, np.concatenate(chosen), np.concatenate(lots), tiers)


def line(found: Candidates, need: int) -> Steps[Given]:
    """The first of all, in whatever order they may have to be asked."""
    ranking = Queue(found, need)
    first = yield from ranking.further()
    return Given.whole(found, np.empty(0, np.int64) if first is None else first, ranking)


def quotas(state: State, found: Candidates, policy: AdlPolicy, need: int) -> Quotas:
    """How many lots each candidate gives, best rank first, where all candidates are in one place."""
    return _quotas(alone(allocate(state, found, policy, need)))


def queue(found: Candidates, need: int) -> Quotas:
    """Everyone for all he holds, best first: the first so many lots, and batch by batch all others."""
    return _quotas(alone(line(found, need)))


def _quotas(given: Given) -> Quotas:
    first = _numbered(given, 0)
    return first if given.queue is None else replace(first, further=_further(given))


def _further(given: Given) -> Iterator[Quotas]:
    before = len(given.chosen)
    while (after := alone(given.further())) is not None:
        yield _numbered(after, before)
        before += len(after.chosen)


def _numbered(given: Given, before: int) -> Quotas:
    """With ranks, next after so many others."""
    found, chosen = given.found, given.chosen
    return Quotas(
        row=found.row[chosen],
        slot=found.slot[chosen],
        lots=given.lots,
        rank=given.places() + before + 1,
        score=found.parts[0][chosen],
    )


# ---------------------------------------------------------------------- one tier


@dataclass(frozen=True, slots=True)
class _Tier:
    """Candidates who share a need."""

    state: State
    found: Candidates
    policy: AdlPolicy

    def equity(self) -> Int64Array:
        """Equity in atoms, rounded down, at least 0: float64 where its error bound leaves no doubt."""
        _, equity, error, *_ = self.found.parts
        low = np.floor(equity - error)
        near = np.flatnonzero(low != np.floor(equity + error))
        floors = low.astype(np.int64)
        floors[near] = self.state.equity_floor(self.found.slot[near])
        return np.maximum(floors, 0)

    def of_lots(self, factor: Float64Array) -> Steps[Int64Array]:
        """Weights from lots times a factor, in relation to the largest of all."""
        figure = self.found.lots.astype(np.float64) * factor
        largest = yield Most(float(figure.max(initial=0.0)))
        if not largest > 0.0:
            return np.zeros(len(figure), np.int64)
        return np.floor(figure / largest * 2.0**_WEIGHT_BITS).astype(np.int64)

    def by_weight(self, weight: Int64Array, need: int) -> Steps[Int64Array]:
        """As far as caps allow by weight, then by size."""
        return weighed_first(fill_threshold, self.found.lots, weight, need, self.found.tie)

    def to_level(self, exposure: Int64Array, beta: Fraction, need: int) -> Steps[Int64Array]:
        """Down to one exposure by equity."""
        width = beta * abs(self.state.marks.units[self.found.leg >> 1])
        equity = np.maximum(self.equity(), 1)
        return fill_to_level(self.found.lots, exposure, equity, width, need, self.found.tie)


def _whole(tier: _Tier, need: int) -> Steps[Int64Array]:
    """Positions that fit, down the ranking."""
    found = tier.found
    lots: Int64Array = yield Whole(found.words, found.key, found.turn, found.lots, need)
    return lots


def _by_size(tier: _Tier, need: int) -> Steps[Int64Array]:
    return proportional(tier.found.lots, need, tier.found.tie)


def _by_profit(tier: _Tier, need: int) -> Steps[Int64Array]:
    return tier.by_weight(np.maximum(tier.state.row_profit_floor(tier.found.row), 0), need)


def _by_equity(tier: _Tier, need: int) -> Steps[Int64Array]:
    return tier.by_weight(tier.equity(), need)


def _by_risk(tier: _Tier, need: int) -> Steps[Int64Array]:
    """By lots times a power of the leverage beyond the least."""
    _, equity, *_ = parts = tier.found.parts
    beyond = parts[_GROSS] / np.maximum(equity, 1.0) - float(tier.policy.min_leverage or 0)
    power = np.ones(len(beyond))
    for _ in range(tier.policy.exponent or 0):
        power *= beyond
    weight = yield from tier.of_lots(np.where(beyond > 0.0, power, 0.0))
    return (yield from tier.by_weight(weight, need))


def _by_projection(tier: _Tier, need: int) -> Steps[Int64Array]:
    """By lots times profit."""
    weight = yield from tier.of_lots(np.maximum(tier.found.parts[_PROFIT], 0.0))
    return (yield from tier.by_weight(weight, need))


def _capped(tier: _Tier, need: int) -> Steps[Int64Array]:
    """By size, nobody more than a part of what he holds; some need may remain."""
    held, part = tier.found.lots, tier.policy.max_share or Fraction(1)
    cap = np.empty_like(held)
    if part.denominator < SUM_BOUND:
        shares(part.numerator, held, part.denominator, cap, np.empty_like(cap))
    else:
        cap[:] = [lots * part.numerator // part.denominator for lots in held.tolist()]
    if need >= (yield Sum(int(cap.sum()))):
        return cap
    return (yield from fill_threshold(cap, held, need, tier.found.tie))


def _by_leverage(tier: _Tier, need: int) -> Steps[Int64Array]:
    return tier.to_level(tier.state.gross_floor(tier.found.slot), Fraction(1), need)


def _by_factor(tier: _Tier, need: int) -> Steps[Int64Array]:
    """As by leverage, with net exposure to a factor in place of gross."""
    state, betas = tier.state, tier.policy.betas or ()
    exposure = state.exposure_floor(tier.found.slot, tier.found.leg & 1 == 0, betas)
    beta = dict(betas).get(state.instruments.symbols[tier.found.leg >> 1], Fraction(1))
    return tier.to_level(exposure, beta, need)


def _min_max(tier: _Tier, need: int) -> Steps[Int64Array]:
    return weighed_first(fill_min_max, tier.found.lots, tier.equity(), need, tier.found.tie)


_Allocation = Callable[[_Tier, int], Steps[Int64Array]]


def _or_all(share: _Allocation, tier: _Tier, need: int) -> Steps[Int64Array]:
    """Everyone gives the cap where all of them are needed."""
    if need >= (yield Sum(int(tier.found.lots.sum()))):
        return tier.found.lots
    return (yield from share(tier, need))


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
