"""Stage 5, contract space: lots of bankrupt rows are closed against ranked candidates.

Rules R40 to R46, with the prices, guards and severities of R85, R86 and R91.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastadl import reference
from fastadl.book import leg_rank
from fastadl.engine.allocation import Quotas
from fastadl.engine.bankruptcy import Bankruptcies
from fastadl.engine.crowd import Crowd
from fastadl.engine.results import Tick
from fastadl.engine.state import State
from fastadl.engine.worth import values_at
from fastadl.errors import BoundsError
from fastadl.kernels.fill import (
    FULL,
    SHORT,
    SOLVENT,
    SOUND,
    UNGUARDED,
    Bankrupt,
    Fills,
    Ranked,
    Refusals,
    fill,
)
from fastadl.kernels.guard import HEALTH
from fastadl.policy import AdlPolicy
from fastadl.schema import SUM_BOUND, Int64Array, IntArray

__all__ = ["Leg", "deleverage", "fill_leg"]

_GUARDS = {"none": UNGUARDED, "solvent": SOLVENT, "health": SOUND}


@dataclass(frozen=True, slots=True)
class Leg:
    """Bankrupt rows of one (symbol, side), in detection order, and how many lots of each to close."""

    leg: int
    rows: IntArray  # places in Bankruptcies.left
    need: Int64Array


def deleverage(state: State, tick: Tick, doomed: Bankruptcies, policy: AdlPolicy, crowd: Crowd) -> None:
    """Close what the fund left against the other side of each instrument."""
    bankrupt = doomed.work.slot
    state.touch(bankrupt)
    legs = _legs(state, doomed, policy)
    if policy.rerank == "each":
        for leg in legs:
            for row, need in zip(leg.rows, leg.need, strict=True):
                quota = crowd.quotas([leg.leg ^ 1], [int(need)], bankrupt)[0]
                fill_leg(state, tick, doomed, Leg(leg.leg, np.array([row]), np.array([need])), quota, policy)
        return
    others, needs = [leg.leg ^ 1 for leg in legs], [int(leg.need.sum()) for leg in legs]
    given = crowd.quotas(others, needs, bankrupt)
    for leg, quota in zip(legs, given, strict=True):
        fill_leg(state, tick, doomed, leg, quota, policy)


def _legs(state: State, doomed: Bankruptcies, policy: AdlPolicy) -> list[Leg]:
    """Legs with lots to close, by symbol, longs first (rules R42, R91)."""
    need = doomed.left
    if policy.fraction is not None:
        need = values_at(need, np.zeros(len(need), np.int64), {0: policy.fraction})
    some = np.flatnonzero(need)
    leg = doomed.work.leg[some].astype(np.int64)
    order = np.argsort(leg_rank(state.instruments)[leg], kind="stable")
    some, leg = some[order], leg[order]
    starts = np.flatnonzero(np.diff(leg, prepend=-1))
    parts = zip(leg[starts].tolist(), np.split(some, starts[1:]), strict=True)
    return [Leg(which, rows, need[rows]) for which, rows in parts] if len(some) else []


def fill_leg(
    state: State, tick: Tick, doomed: Bankruptcies, leg: Leg, quota: Quotas, policy: AdlPolicy
) -> None:
    """Close rows of one leg against candidates, in the order and up to the lots of `quota` (R43 to R45)."""
    if not len(quota.row):
        return
    bankrupt = _bankrupt(state, doomed, leg, policy)
    fills, refusals, quota = _run(state, leg.leg, bankrupt, quota, policy)
    doomed.left[leg.rows] -= bankrupt.done
    accounts = state.book.rows.account
    owner, other = accounts[bankrupt.slot], accounts[quota.slot]
    tick.add(
        "adl_fills",
        bankrupt=owner[fills.bankrupt],
        counterparty=other[fills.candidate],
        instrument=np.full(len(fills.lots), leg.leg >> 1),
        long=np.full(len(fills.lots), leg.leg & 1 == 0),
        lots=fills.lots,
        value=fills.value,
        bankrupt_realized_pnl=fills.bankrupt_profit,
        realized_pnl=fills.profit,
        rank=quota.rank[fills.candidate],
        score=quota.score[fills.candidate],
    )
    tick.add(
        "refused",
        account=other[refusals.candidate],
        bankrupt=owner[refusals.bankrupt],
        instrument=np.full(len(refusals.lots), leg.leg >> 1),
        long=np.full(len(refusals.lots), leg.leg & 1 == 0),
        lots=refusals.lots,
        health=refusals.reason == HEALTH,
    )
    given = np.bincount(fills.candidate, fills.lots, len(quota.lots))
    tick.fills_lawful &= bool((given <= quota.lots).all() and (bankrupt.done <= bankrupt.need).all())


def _bankrupt(state: State, doomed: Bankruptcies, leg: Leg, policy: AdlPolicy) -> Bankrupt:
    lots, value = doomed.left[leg.rows], doomed.value[leg.rows]
    whole = np.ones(len(lots), np.bool_)
    if policy.price in ("mark", "previous_mark", "oracle"):
        whole[:] = False
    elif policy.price == "mark_capped":
        unit = state.marks.units[leg.leg >> 1] * (-1 if leg.leg & 1 else 1)
        whole = np.array([v <= int(n) * unit for n, v in zip(lots, value, strict=True)], np.bool_)
    return Bankrupt(
        slot=doomed.work.slot[doomed.owner[leg.rows]],
        row=doomed.work.row[leg.rows],
        lots=lots,
        need=leg.need,
        value=value,
        whole_value=whole,
        done=np.zeros(len(lots), np.int64),
    )


def _run(
    state: State, leg: int, bankrupt: Bankrupt, quota: Quotas, policy: AdlPolicy
) -> tuple[Fills, Refusals, Quotas]:
    """Fill; the candidates come back as far down the ranking as it took."""
    exact, units = state.marks.exact, state.marks.units
    marks = {"previous_mark": state.previous, "oracle": state.oracle}.get(policy.price, state.marks)
    instrument = leg >> 1
    unit = marks.units[instrument]
    most = max(int(bankrupt.lots.max()) * abs(unit), int(np.abs(bankrupt.value).max()))
    if most > SUM_BOUND:
        raise BoundsError(("transfer value",), float(most), "keep it within 2^62 atoms (rule R1)")
    at_entry, guard = policy.price == "entry", _GUARDS[policy.guard]
    transfer = np.array([marks.exact.units[instrument], marks.exact.per[instrument]], np.int64)
    ranked = _ranked(state, quota, np.empty(0, np.int64))
    if transfer[1] == 0 and not bankrupt.whole_value.all():
        while (longer := quota.and_further()) is not quota:
            ranked, quota = _ranked(state, longer, ranked.quota), longer
        exactly = state.book.rows, unit, at_entry, guard, units, state.instruments
        return *reference.fill(bankrupt, ranked, *exactly), quota
    side = (-1 if leg & 1 else 1) * (-1 if exact.inverse[instrument] else 1)
    fills = Fills(*(np.empty(len(bankrupt.row) + len(ranked.row), np.int64) for _ in Fills._fields))
    refusals = Refusals(*(np.empty(len(ranked.row) if guard else 0, np.int64) for _ in Refusals._fields))
    place = np.array([0, 0, 0, -1, 0, 0, 0, guard != UNGUARDED], np.int64)
    terms = side, transfer, at_entry, guard, state.margins, exact, place
    while answer := fill(bankrupt, ranked, state.book.rows, *terms, fills, refusals):
        if answer == FULL:
            fills, refusals = Fills(*map(_doubled, fills)), Refusals(*map(_doubled, refusals))
        elif answer == SHORT:
            longer = quota.and_further()
            place[7] = longer is not quota
            ranked, quota = _ranked(state, longer, ranked.quota), longer
        else:
            i, c = int(place[0]), int(place[1])
            asked = int(min(bankrupt.need[i] - bankrupt.done[i], ranked.quota[c]))
            healthy = state.instruments if guard == SOUND else None
            place[3], place[5] = reference.allowed(
                bankrupt, i, int(ranked.slot[c]), int(ranked.row[c]), asked, state.book.rows, unit, units,
                healthy,
            )  # fmt: skip
    fills = Fills(*(column[: place[2]] for column in fills))
    return fills, Refusals(*(column[: place[6]] for column in refusals)), quota


def _ranked(state: State, quota: Quotas, left: Int64Array) -> Ranked:
    """Candidates to fill against; `left` is what the first of them, which were ranked before, still have."""
    new = slice(len(left), None)
    state.touch_rows(quota.slot[new], quota.row[new])
    return Ranked(quota.slot, quota.row, np.concatenate([left, quota.lots[new]]))


def _doubled(column: Int64Array) -> Int64Array:
    return np.concatenate([column, np.empty_like(column)])
