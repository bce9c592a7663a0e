"""What stands ahead of one position, as it is and as it might be, at several moments (rules R41, R113)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastadl.engine.ranking import Candidates, by_score_alone, candidates, context_of
from fastadl.engine.scoring import scoring
from fastadl.engine.state import State, places
from fastadl.kernels.ahead import Ahead, Seeker, count_ahead
from fastadl.kernels.lanes import WIDTH
from fastadl.kernels.measure import ONE_BY_ONE, measure
from fastadl.kernels.rank import keys
from fastadl.policy import AdlPolicy
from fastadl.schema import BoolArray, Float64Array, Int64Array

__all__ = ["Place", "places_of"]

#: Parts of the book that are counted by themselves, whatever the threads.
_PARTS = 32


@dataclass(frozen=True, slots=True)
class Place:
    """What is ahead of a position, and who else can be deleveraged, its own account left out of both.

    Attributes
    ----------
    lots : int64 (choices, moments)
        Ahead of it.
    rows : int
        Positions ahead of it as it is, at the first moment.
    of, lots_of : int
        All others at the first moment, and their lots.
    tier : int
        Its own, as the policy makes it (rule R83).
    """

    lots: Int64Array
    rows: int
    of: int
    lots_of: int
    tier: int


def places_of(
    moments: list[State], policy: AdlPolicy, number: int, account: int, leg: int, score: Float64Array
) -> Place:
    """Places of a position.

    Parameters
    ----------
    moments : list of State
        One book at several marks.
    policy, number : AdlPolicy, int
        The tick's number, for a ranking drawn by it.
    account, leg : int
    score : float64 (choices, moments)
        What it would score: as it is first.
    """
    how = _by_score if by_score_alone(moments[0], policy) else _by_ranking
    return how(moments, policy, number, account, leg, score)


# ---------------------------------------------------------------------- any policy


def _by_ranking(
    moments: list[State], policy: AdlPolicy, number: int, account: int, leg: int, score: Float64Array
) -> Place:
    """From the candidates of every moment: what further keys, tiers and scores of one's own need."""
    book = moments[0].book
    mine = int(book.slot[account]), int(book.rank[account])
    none = np.zeros(len(book.rows.cash), np.bool_)
    lots, tier = np.zeros(score.shape, np.int64), int(book.adl_tier[account])
    for m, state in enumerate(moments):
        found = candidates(state, [leg], policy, none, number)[0]
        others, at = found.slot != mine[0], np.flatnonzero(found.slot == mine[0])
        now = int(found.tier[at[0]]) if len(at) else tier
        for choice, worth in enumerate(score[:, m]):
            before = others & _before(found, worth, mine[1], now)
            if choice == 0 and len(at):
                before = others & _before_member(found, int(at[0]))
            lots[choice, m] = found.lots[before].sum()
            if choice == 0 and m == 0:
                told = int(np.count_nonzero(before)), int(np.count_nonzero(others)), now
                total = int(found.lots[others].sum())
    return Place(lots, told[0], told[1], total, told[2])


def _before(found: Candidates, score: float, tie: int, tier: int) -> BoolArray:
    """Who would come before somebody of this score, id and tier."""
    key = np.empty(1, np.int64)
    keys(np.array([score + 0.0]).view(np.int64), key)
    ahead: BoolArray = (found.key < key[0]) | ((found.key == key[0]) & (found.tie < tie))
    return (found.tier < tier) | ((found.tier == tier) & ahead)


def _before_member(found: Candidates, at: int) -> BoolArray:
    """Who comes before a candidate, further keys and all."""
    key, tier, turn = found.key[at], found.tier[at], found.turn[at]
    ahead: BoolArray = (found.key < key) | ((found.key == key) & (found.turn < turn))
    return (found.tier < tier) | ((found.tier == tier) & ahead)


# ---------------------------------------------------------------------- one score, one tier


def _by_score(
    moments: list[State], policy: AdlPolicy, number: int, account: int, leg: int, score: Float64Array
) -> Place:
    """One pass over those who hold the leg, and a look at the few of whom float64 cannot tell."""
    state, how = moments[0], scoring(policy.score)
    book, blocks = state.book, state.blocks
    seeker = Seeker(
        leg=leg,
        slot=int(book.slot[account]),
        tie=int(book.rank[account]),
        score=_padded(score, np.inf),
        skipped=state.spared(np.zeros(len(book.rows.cash), np.bool_)),
    )
    choices, lanes = seeker.score.shape
    out = Ahead(
        lots=np.zeros((_PARTS, choices + 1, lanes), np.int64),
        rows=np.zeros((_PARTS, choices + 1), np.int64),
        near=np.empty(len(book.rows.cash), np.int32),
        near_count=np.empty(len(blocks), np.int64),
    )
    unit = np.stack([each.marks.unit for each in moments], 1)
    unit = _padded(unit, unit[:, -1:])
    context = context_of(state, policy, number)
    count_ahead(how.number, how.needs, how.own, seeker, unit, blocks, context, out)
    lots, rows = out.lots.sum(axis=0), out.rows.sum(axis=0)
    some = np.flatnonzero(out.near_count)
    if len(some):
        spans = zip(blocks[some, 1], out.near_count[some], strict=True)
        near = np.concatenate([out.near[at : at + n] for at, n in spans])
        _add_near(moments, policy, number, seeker, near, lots, rows)
    return Place(lots[:-1, : len(moments)], int(rows[0]), int(rows[-1]), int(lots[-1, 0]), 0)


def _padded(lanes: Float64Array, value: object) -> Float64Array:
    """With further lanes, so that they are whole registers."""
    more = np.empty((len(lanes), -lanes.shape[1] % WIDTH))
    more[:] = value
    return np.concatenate([lanes, more], axis=1)


def _add_near(
    moments: list[State],
    policy: AdlPolicy,
    number: int,
    seeker: Seeker,
    near: Int64Array,
    lots: Int64Array,
    rows: Int64Array,
) -> None:
    """Count in accounts so near zero that only whole numbers tell (rules R5, R40)."""
    book, how = moments[0].book, scoring(policy.score)
    row = places(book, near)
    slot = np.repeat(near, book.rows.group_rows[np.searchsorted(book.rows.group_slot, near, "right") - 1])
    mine = (book.rows.leg[row] == seeker.leg) & (book.rows.lots[row] != 0.0)
    row, slot = row[mine], slot[mine]
    held, tie = np.abs(book.rows.lots[row]).astype(np.int64), book.rank[book.rows.account[slot]]
    for m, state in enumerate(moments):
        parts = np.empty((3, len(row)))
        context = context_of(state, policy, number)
        measure(how.number, how.needs, how.own, row, slot, *ONE_BY_ONE, context, parts)
        able = state.equity_floor(slot) >= 0
        for choice, worth in enumerate(seeker.score[:, m]):
            before = able & ((parts[0] > worth) | ((parts[0] == worth) & (tie < seeker.tie)))
            lots[choice, m] += held[before].sum()
            rows[choice] += np.count_nonzero(before) if m == 0 else 0
        if m == 0:
            lots[-1, 0] += held[able].sum()
            rows[-1] += np.count_nonzero(able)
