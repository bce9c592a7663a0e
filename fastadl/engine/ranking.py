"""Who is deleveraged, and in which order (rules R40, R41, R46, R82, R83)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np

from fastadl.engine.scoring import scoring
from fastadl.engine.state import State
from fastadl.errors import PolicyError
from fastadl.kernels.layout import gather
from fastadl.kernels.measure import FIELDS, ONE_BY_ONE, Context, describe, measure, neutral
from fastadl.kernels.rank import keys, order, repeated, select
from fastadl.policy import AdlPolicy, OwnScore
from fastadl.schema import SUM_BOUND, BoolArray, Float64Array, Int64Array, IntArray

__all__ = ["Candidates", "by_score_alone", "candidates", "context_of"]

#: Each further batch of a ranking covers so many times the lots of the one before.
_GROWTH = 4
#: The G of rule R82.
_GOLDEN = 0x9E3779B97F4A7C15


@dataclass(frozen=True, slots=True)
class Candidates:
    """Rows that may be deleveraged for one (symbol, side), in no order.

    Attributes
    ----------
    row, slot : int64, int32 (n)
    lots : int64 (n)
        Unsigned.
    parts : float64 (3, n) or (8, n)
        One line per name in `fastadl.kernels.measure.FIELDS`.
    key : int64 (n)
        Ascends as the score descends.
    turn : int32 (n)
        Order of candidates of one key: by the further keys of the policy, then by id.
    tie : int32 (n)
        Order of the account ids.
    tier : uint8 or uint16 (n)
        As the policy makes it (rule R83).
    """

    row: IntArray
    slot: IntArray
    lots: Int64Array
    parts: Float64Array
    key: Int64Array
    turn: IntArray
    tie: IntArray
    tier: IntArray

    def __len__(self) -> int:
        return len(self.row)

    def of(self, members: IntArray) -> Candidates:
        """Some of them."""
        return Candidates(*(getattr(self, field.name)[..., members] for field in fields(self)))

    def tiers(self) -> Iterator[IntArray]:
        """Members of each tier, the first tier first."""
        if self._alike():
            yield np.arange(len(self))
            return
        for tier in np.flatnonzero(np.bincount(self.tier)):
            yield np.flatnonzero(self.tier == tier)

    def ranked(self) -> IntArray:
        """All candidates in rank order (rule R41)."""
        found = [order(members, self.key, self.turn) for members in self.tiers()]
        return np.concatenate(found) if found else np.empty(0, np.int64)

    def best(self, need: int) -> IntArray:
        """The best candidates, in rank order, until their lots cover the need."""
        if self._alike():
            return select(self.key, self.turn, self.lots, need)
        found = [np.empty(0, np.int64)]
        for members in self.tiers():
            if need <= 0:
                break
            found.append(members[select(*self._columns(members), need)])
            need -= int(self.lots[found[-1]].sum())
        return np.concatenate(found)

    def batches(self, need: int) -> Iterator[IntArray]:
        """All candidates in rank order: of each tier first the best that cover the need, then ever more.

        Nobody is sorted before his batch is asked for.
        """
        for members in self.tiers():
            key, turn, lots = self._columns(members)
            wanted = need
            while len(members):
                chosen = select(key, turn, lots, wanted)
                yield members[chosen]
                others = np.ones(len(members), np.bool_)
                others[chosen] = False
                members, key, turn, lots = members[others], key[others], turn[others], lots[others]
                wanted = min(_GROWTH * wanted, SUM_BOUND)

    def _alike(self) -> bool:
        """Whether all are of one tier."""
        return len(self) > 0 and bool(self.tier.min() == self.tier.max())

    def _columns(self, members: IntArray) -> tuple[Int64Array, IntArray, Int64Array]:
        """What selects among the members of a tier."""
        columns = self.key, self.turn, self.lots
        if len(members) == len(self):
            return columns
        key, turn, lots = (column[members] for column in columns)
        return key, turn, lots


def candidates(
    state: State,
    legs: list[int],
    policy: AdlPolicy,
    excluded: BoolArray,
    number: int,
    *,
    detail: bool = False,
) -> list[Candidates]:
    """Candidates of some legs with their scores, from one look at the book (R40, R41, R82, R83, R106).

    Parameters
    ----------
    state : State
    legs : list of int
        Legs of the candidate rows.
    policy : AdlPolicy
    excluded : bool (slots)
        Accounts bankrupt for the rest of the tick.
    number : int
        Of the tick.
    detail : bool
        Keep the parts of the scores too.

    Raises
    ------
    PolicyError
        If a score of the user's own is not a number for every candidate (rule R97).
    """
    wanted = np.full(2 * len(state.instruments), -1, np.int32)
    wanted[legs] = np.arange(len(legs), dtype=np.int32)
    book = state.book
    start, row, slot, span = gather(book.rows, wanted, state.spared(excluded), state.blocks)
    parts = np.empty((len(FIELDS) if detail else 3, len(row)))
    context = context_of(state, policy, number)
    first = scoring(policy.score)
    where: tuple[Int64Array, Int64Array] = (
        ONE_BY_ONE if len(row) < len(book.rows.cash) // 4 else (span, state.blocks)
    )
    measure(first.number, first.needs, first.own, row, slot, *where, context, parts)
    lots, tie, tier = np.empty(len(row), np.int64), np.empty(len(row), np.int32), np.empty(len(row), np.uint8)
    describe(row, slot, span, book.rows, book.rank, book.adl_tier, lots, tie, tier)
    able = _able(state, slot, parts)
    if not able.all():
        start = np.concatenate([[0], np.cumsum(able)])[start]
        kept = np.flatnonzero(able)
        row, slot, lots, tie, tier = row[kept], slot[kept], lots[kept], tie[kept], tier[kept]
        parts = parts[:, kept]
    tier = _tiers(state, policy, slot, tier)
    key = _keys(state, policy.score, parts[0], slot, tie)
    spans = [slice(int(a), int(b)) for a, b in pairwise(start)]
    turn = _turns(state, policy, context, spans, row, slot, key, tie) if policy.then else tie
    return [
        Candidates(row[s], slot[s], lots[s], parts[:, s], key[s], turn[s], tie[s], tier[s]) for s in spans
    ]


def _able(state: State, slot: IntArray, parts: Float64Array) -> BoolArray:
    """Who has equity of at least 0, exactly (rules R5, R40)."""
    _, equity, error, *_ = parts
    if (equity > error).all():
        return np.ones(len(slot), np.bool_)
    able: BoolArray = equity >= 0.0
    near = np.flatnonzero(np.abs(equity) <= error)
    able[near] = state.equity_floor(slot[near]) >= 0
    return able


def by_score_alone(state: State, policy: AdlPolicy) -> bool:
    """Whether one of the named scores ranks all candidates, and then the id: no tiers, no further keys."""
    one_tier = policy.tiers == "given" and not state.book.adl_tier.any()
    return isinstance(policy.score, str) and not policy.then and one_tier


def context_of(state: State, policy: AdlPolicy, number: int) -> Context:
    """All that scores are made from, at the present marks; `number` is the tick's."""
    book, tiers = state.book, state.instruments.tiers
    seed = (policy.seed or 0) + (number + 1) * _GOLDEN
    return Context(
        *book.rows,
        *state.margins,
        least=tiers.min_notional,
        leverage=tiers.max_leverage,
        unit=state.marks.unit,
        inverse=state.inverse,
        one=state.one,
        place=book.rank,
        seed=(seed + (1 << 63)) % (1 << 64) - (1 << 63),
    )


def _keys(
    state: State, score: str | OwnScore, scores: Float64Array, slot: IntArray, tie: IntArray
) -> Int64Array:
    """Integers that ascend as scores descend; refuses a score of the user's own that is NaN (rule R97)."""
    if isinstance(score, OwnScore):
        missing = np.flatnonzero(np.isnan(scores))
        if len(missing):
            least = missing[np.argmin(tie[missing])]
            account = state.book.accounts[int(state.book.rows.account[slot[least]])]
            remedy = f"return a number for every candidate: for account {account} it is NaN, or fails"
            raise PolicyError(("score",), score.name, f"{remedy} (rule R97)")
    key = np.empty(len(scores), np.int64)
    keys(scores.view(np.int64), key)
    return key


def _tiers(state: State, policy: AdlPolicy, slot: IntArray, tier: IntArray) -> IntArray:
    """Tiers as the policy makes them of those given (rule R83)."""
    if policy.tiers == "given":
        return tier
    book, tier = state.book, tier.astype(np.uint16)
    limit, flagged = float(policy.delta_limit or 0), policy.tiers == "delta_neutral_flagged"
    neutral(slot, limit, flagged, book.isolated, book.rows, state.marks.unit, tier)
    return tier


def _turns(
    state: State,
    policy: AdlPolicy,
    context: Context,
    spans: list[slice],
    row: IntArray,
    slot: IntArray,
    key: Int64Array,
    tie: IntArray,
) -> IntArray:
    """Order by the further keys, then by id, of those candidates whose key is not theirs alone (R83).

    A hash table over all candidates finds them; only they are measured again and sorted.
    """
    tied = np.empty(len(key), np.bool_)
    for s in spans:
        repeated(key[s], tied[s])
    among = np.flatnonzero(tied)
    row, slot, tie = row[among], slot[among], tie[among]
    turn = tie
    for score in reversed(policy.then):
        further = scoring(score)
        parts = np.empty((3, len(among)))
        measure(further.number, further.needs, further.own, row, slot, *ONE_BY_ONE, context, parts)
        ranked = order(np.arange(len(among)), _keys(state, score, parts[0], slot, tie), turn)
        turn = np.empty(len(among), np.int32)
        turn[ranked] = np.arange(len(among), dtype=np.int32)
    found = np.zeros(len(key), np.int32)
    found[among] = turn
    return found
