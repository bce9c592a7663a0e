"""Who is deleveraged, and in which order (rules R40, R41, R46, R82, R83)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any

import numpy as np

from fastadl.engine.collective import alone
from fastadl.engine.refusing import note, noted, refuse_missing
from fastadl.engine.scoring import scoring
from fastadl.engine.state import State
from fastadl.kernels.allocate import places
from fastadl.kernels.layout import gather
from fastadl.kernels.measure import FIELDS, ONE_BY_ONE, Context, describe, measure, neutral
from fastadl.kernels.rank import keys, order, repeated, select
from fastadl.policy import AdlPolicy, OwnScore
from fastadl.schema import BoolArray, Float64Array, Int64Array, IntArray

__all__ = [
    "Candidates",
    "among",
    "by_score_alone",
    "candidates",
    "context_of",
    "merge_order",
    "refuse_missing",
    "turns",
]

#: The G of rule R82.
_GOLDEN = 0x9E3779B97F4A7C15


@dataclass(frozen=True, slots=True)
class Candidates:
    """Rows that may be deleveraged for one (symbol, side), in no order; all of them, or those of one part.

    Attributes
    ----------
    leg : int
    row, slot : int64, int32 (n)
    lots : int64 (n)
        Unsigned.
    parts : float64 (3, n) or (8, n)
        One line per name in `fastadl.kernels.measure.FIELDS`.
    key : int64 (n)
        Ascends as the score descends.
    turn : int32 (n)
        Order of candidates of one key, among these: by the further keys of the policy, then by id.
    tie : int32 (n)
        Order of the account ids, among all of them.
    tier : uint8 or uint16 (n)
        As the policy makes it (rule R83).
    further : int64 (keys, n), or None
        The further keys of the policy, where they are kept.
    amiss : int8 (n), or None
        Which score of the user's own is no number, if they are any: see `fastadl.engine.refusing`.
    """

    leg: int
    row: IntArray
    slot: IntArray
    lots: Int64Array
    parts: Float64Array
    key: Int64Array
    turn: IntArray
    tie: IntArray
    tier: IntArray
    further: Int64Array | None = None
    amiss: IntArray | None = None

    def __len__(self) -> int:
        return len(self.row)

    def of(self, members: IntArray) -> Candidates:
        """Some of them."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        some: dict[str, Any] = {
            name: each[..., members] for name, each in columns.items() if isinstance(each, np.ndarray)
        }
        return replace(self, **some)

    @property
    def words(self) -> tuple[IntArray, ...]:
        """What they are ranked by wherever they are: tier, key, further keys, id."""
        return self.tier, self.key, *(() if self.further is None else self.further), self.tie

    def ahead(self, members: IntArray, words: tuple[IntArray, ...]) -> Int64Array:
        """How many of some of them stand before each of other candidates, whose words are in rank order."""
        found = [np.empty(0, np.int64)]
        mine, theirs = [word[members] for word in self.words], words[0]
        for tier in np.flatnonzero(np.bincount(theirs)):
            before = int(np.count_nonzero(mine[0] < tier))
            level = mine[0] == tier
            first, last = np.searchsorted(theirs, [tier, tier + 1])
            _, key, *further, tie = (
                np.concatenate([own[level], other[first:last]])
                for own, other in zip(mine, words, strict=True)
            )
            turn = turns(np.array(further), tie) if further else tie
            others = np.arange(len(key) - (last - first), len(key))
            place = np.empty(len(others), np.int64)
            places(key, turn, others, place)
            found.append(place - np.arange(len(others)) + before)
        return np.concatenate(found)

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

    def in_order(self, members: IntArray) -> IntArray:
        """Some of them in rank order."""
        tier = self.tier[members]
        each = np.flatnonzero(np.bincount(tier))
        found = [order(members[tier == one], self.key, self.turn) for one in each]
        return np.concatenate(found) if found else members

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


def among(state: State, slots: IntArray) -> BoolArray:
    """Which of all slots are some: bool (slots)."""
    found = np.zeros(len(state.book.rows.cash), np.bool_)
    found[slots] = True
    return found


def candidates(
    state: State,
    legs: list[int],
    policy: AdlPolicy,
    excluded: BoolArray,
    number: int,
    *,
    detail: bool = False,
    apart: bool = False,
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
    apart : bool
        Keep the further keys of all, by which they are compared with those of other parts, and leave it to
        all parts together to `refuse_missing`.

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
    key, amiss = _keys(parts[0]), noted(policy, len(row))
    note(amiss, policy.score, parts[0], slice(None), 0)
    spans = [slice(int(a), int(b)) for a, b in pairwise(start)]
    turn, further = _turns(policy, context, spans, row, slot, key, tie, amiss, apart)
    found = [
        Candidates(
            leg,
            row[s],
            slot[s],
            lots[s],
            parts[:, s],
            key[s],
            turn[s],
            tie[s],
            tier[s],
            None if further is None else further[:, s],
            None if amiss is None else amiss[s],
        )
        for leg, s in zip(legs, spans, strict=True)
    ]
    if not apart:
        alone(refuse_missing(state, policy, found))
    return found


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
        given=state.given,
        seed=(seed + (1 << 63)) % (1 << 64) - (1 << 63),
    )


def _keys(scores: Float64Array) -> Int64Array:
    """Integers that ascend as scores descend."""
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
    policy: AdlPolicy,
    context: Context,
    spans: list[slice],
    row: IntArray,
    slot: IntArray,
    key: Int64Array,
    tie: IntArray,
    amiss: IntArray | None,
    apart: bool,
) -> tuple[IntArray, Int64Array | None]:
    """Order by the further keys, then by id, of those candidates whose key is not theirs alone (R83).

    A hash table over all candidates finds them; only they are measured again and sorted. Apart, where a key
    may be that of a candidate elsewhere, all are measured, and their further keys come back too.
    """
    if not policy.then:
        return tie, None
    tied = np.empty(len(key), np.bool_)
    for s in spans:
        repeated(key[s], tied[s])
    among = np.flatnonzero(tied)
    measured = np.arange(len(key)) if apart else among
    further = np.empty((len(policy.then), len(measured)), np.int64)
    for place, score in enumerate(policy.then):
        scores = _further(score, context, row[measured], slot[measured])
        note(amiss, score, scores, measured, len(policy.then) - place)
        further[place] = _keys(scores)
    turn = np.zeros(len(key), np.int32)
    turn[among] = turns(further[:, among] if apart else further, tie[among])
    return turn, further if apart else None


def merge_order(parts: Sequence[tuple[IntArray, ...]]) -> IntArray:
    """Rank order of candidates of several parts, by the words of each part, in rank order or not."""
    words = [np.concatenate(word) for word in zip(*parts, strict=True)]
    return np.lexsort(words[::-1])


def turns(further: Int64Array, tie: IntArray) -> IntArray:
    """Places by the further keys, then by id."""
    turn = tie
    for key in further[::-1]:
        ranked = order(np.arange(len(tie)), key, turn)
        turn = np.empty(len(tie), np.int32)
        turn[ranked] = np.arange(len(tie), dtype=np.int32)
    return turn


def _further(score: str | OwnScore, context: Context, row: IntArray, slot: IntArray) -> Float64Array:
    """One of the further scores."""
    further = scoring(score)
    parts = np.empty((3, len(row)))
    measure(further.number, further.needs, further.own, row, slot, *ONE_BY_ONE, context, parts)
    return parts[0]
