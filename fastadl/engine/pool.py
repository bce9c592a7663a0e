"""Stage 5 where the fund is the pool that traders win from: winners are closed against it (rule R90)."""

from __future__ import annotations

from bisect import bisect_left
from fractions import Fraction
from math import ceil

import numpy as np

from fastadl.book import leg_rank
from fastadl.engine.allocation import Quotas
from fastadl.engine.bankruptcy import Bankruptcies
from fastadl.engine.close_out import close
from fastadl.engine.collective import Steps, Sum
from fastadl.engine.crowd import Crowd, Ranking
from fastadl.engine.ranking import Candidates
from fastadl.engine.results import Tick
from fastadl.engine.state import FUND, State
from fastadl.engine.worth import values_at
from fastadl.policy import AdlPolicy
from fastadl.schema import Int64Array, IntArray

__all__ = ["close_winners", "first_batch"]

#: The fund in the lists of a report.
_FUND = -1


def close_winners(state: State, tick: Tick, doomed: Bankruptcies, policy: AdlPolicy, crowd: Crowd) -> None:
    """Close winners of every side whose profit is too much of the pool, until it no longer is."""
    most = policy.pool_max
    assert most is not None
    (lots, entry), units = crowd.holdings(), state.marks.units
    profit = {
        leg: (-1 if leg & 1 else 1) * int(lots[leg]) * units[leg >> 1] - int(entry[leg])
        for leg in np.argsort(leg_rank(state.instruments)).tolist()
        if lots[leg]
    }
    legs = [leg for leg, amount in profit.items() if amount > 0]

    def pool(leg: int) -> int:
        return int(state.reserve_cash[FUND, state.instruments.currency[leg >> 1]])

    def above(leg: int) -> bool:
        return pool(leg) > 0 and profit[leg] > most * pool(leg)

    if not any(map(above, legs)):
        return
    anew, bankrupt = policy.rerank == "each", doomed.work.slot
    snapshot = [] if anew else crowd.rankings(legs, bankrupt)
    for place, leg in enumerate(legs):
        if above(leg):
            ranking = crowd.rankings([leg], bankrupt)[0] if anew else snapshot[place]
            _close_side(state, tick, leg, ranking, profit[leg], pool(leg), policy)


def first_batch(found: Candidates, part: Fraction) -> Steps[int]:
    """Lots that the first batch of a ranking covers: a part of those of all candidates, or one at least."""
    total = yield Sum(int(found.lots.sum()))
    return max(1, ceil(part * total))


def _close_side(
    state: State, tick: Tick, leg: int, ranking: Ranking, profit: Fraction, pool: int, policy: AdlPolicy
) -> None:
    """Close ranked winners of one leg, of which all rows together have made `profit`."""
    ranked, winning, closed = _winners(state, leg, ranking, profit, pool, policy)
    some = np.flatnonzero(closed)
    chosen, closed = winning[some], closed[some]
    transfer = state.oracle if policy.price == "oracle" else state.marks
    value = _values(closed, transfer.units[leg >> 1])
    slots, lots = ranked.slot[chosen], np.abs(closed)
    realized, gained = close(state, slots, ranked.row[chosen], lots, value, FUND)
    tick.add(
        "adl_fills",
        bankrupt=np.full(len(chosen), _FUND),
        counterparty=state.book.rows.account[slots],
        instrument=np.full(len(chosen), leg >> 1),
        long=np.full(len(chosen), leg & 1 == 1),
        lots=lots,
        value=-value,
        bankrupt_realized_pnl=gained,
        realized_pnl=realized,
        rank=ranked.rank[chosen],
        score=ranked.score[chosen],
    )


def _winners(
    state: State, leg: int, ranking: Ranking, profit: Fraction, pool: int, policy: AdlPolicy
) -> tuple[Quotas, IntArray, Int64Array]:
    """Candidates ranked as far as it takes, which of these win, and signed lots to close of each winner."""
    unit = state.marks.units[leg >> 1]
    most = policy.pool_max
    assert most is not None
    part = Fraction(1)
    if profit < pool:
        part = (profit - most * pool) / (1 - most) / profit
    longer = ranking(part)
    while True:
        ranked = longer
        signed = ranked.lots * (-1 if leg & 1 else 1)
        entry = state.book.rows.entry[ranked.row]
        winning = np.flatnonzero(-_values(-signed, unit) > entry)
        closed = _closed(signed[winning], entry[winning], unit, profit, pool, policy)
        if len(closed) < len(winning) or (closed != signed[winning]).any():
            return ranked, winning, closed
        longer = ranked.and_further()
        if longer is ranked:
            return ranked, winning, closed


def _closed(
    signed: Int64Array, entry: Int64Array, unit: Fraction, profit: Fraction, pool: int, policy: AdlPolicy
) -> Int64Array:
    """Signed lots to close of each winner, in rank order: int64 (n).

    Profit and pool shrink alike, so the factor falls below 1 only from below 1, and comes to `pool_max` where
    ``p = (S − pool_max · P) / (1 − pool_max)`` is closed.
    """
    most, least = policy.pool_max, policy.pool_min
    assert most is not None
    assert least is not None
    if profit >= pool:
        return signed
    lots_so_far, entry_so_far = (np.concatenate([[0], np.cumsum(column)]) for column in (signed, entry))

    def realized(count: int) -> Fraction:
        return unit * int(lots_so_far[count]) - int(entry_so_far[count])

    needed = (profit - most * pool) / (1 - most)
    last = bisect_left(range(1, len(signed) + 1), needed, key=realized)
    if last == len(signed):
        return signed
    before, held = realized(last), abs(int(signed[last]))
    per_lot = (realized(last + 1) - before) / held
    count = ceil((needed - before) / per_lot)
    gone = before + count * per_lot
    if profit - gone < least * (pool - gone):
        count -= 1
    closed = signed[: last + 1].copy()
    closed[last] = count if signed[last] > 0 else -count
    return closed


def _values(signed: Int64Array, unit: Fraction) -> Int64Array:
    return values_at(signed, np.zeros(len(signed), np.int64), {0: unit})
