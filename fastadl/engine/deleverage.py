"""Stage 5, contract space: lots of bankrupt rows are closed against ranked candidates (rules R40 to R46)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastadl import reference
from fastadl.book import leg_rank
from fastadl.engine.fund import Bankruptcies
from fastadl.engine.ranking import Quotas, candidates, quotas
from fastadl.engine.results import Tick
from fastadl.engine.state import State
from fastadl.errors import BoundsError
from fastadl.kernels.fill import FULL, Bankrupt, Fills, Ranked, fill
from fastadl.policy import AdlPolicy
from fastadl.schema import SUM_BOUND, IntArray

__all__ = ["deleverage"]


@dataclass(frozen=True, slots=True)
class _Leg:
    """Bankrupt rows of one (symbol, side), in detection order."""

    leg: int
    rows: IntArray  # places in Bankruptcies.left


def deleverage(state: State, tick: Tick, doomed: Bankruptcies, policy: AdlPolicy) -> None:
    """Close what the fund left against the other side of each instrument."""
    excluded = np.zeros(len(state.book.rows.cash), np.bool_)
    excluded[doomed.work.slot] = True
    state.touch(doomed.work.slot)
    legs = _legs(state, doomed)
    if policy.rerank == "each":
        for leg in legs:
            for r in leg.rows:
                one = _Leg(leg.leg, np.array([r]))
                found = candidates(state, [leg.leg ^ 1], policy.score, excluded)[0]
                _fill(state, tick, doomed, one, quotas(state, found, policy, int(doomed.left[r])), policy)
        return
    rankings = candidates(state, [leg.leg ^ 1 for leg in legs], policy.score, excluded) if legs else []
    given = [
        quotas(state, found, policy, int(doomed.left[leg.rows].sum()))
        for leg, found in zip(legs, rankings, strict=True)
    ]
    for leg, quota in zip(legs, given, strict=True):
        _fill(state, tick, doomed, leg, quota, policy)


def _legs(state: State, doomed: Bankruptcies) -> list[_Leg]:
    """Legs with lots left, by symbol, longs first (rule R42)."""
    left = np.flatnonzero(doomed.left)
    leg = doomed.work.leg[left].astype(np.int64)
    order = np.argsort(leg_rank(state.instruments)[leg], kind="stable")
    left, leg = left[order], leg[order]
    starts = np.flatnonzero(np.diff(leg, prepend=-1))
    parts = zip(leg[starts].tolist(), np.split(left, starts[1:]), strict=True)
    return [_Leg(which, rows) for which, rows in parts] if len(left) else []


def _fill(
    state: State, tick: Tick, doomed: Bankruptcies, leg: _Leg, quota: Quotas, policy: AdlPolicy
) -> None:
    if not len(quota.row):
        return
    owner = doomed.owner[leg.rows]
    bankrupt = _bankrupt(state, doomed, leg, policy)
    ranked = Ranked(slot=quota.slot, row=quota.row, quota=quota.lots.copy())
    state.touch_rows(quota.slot, quota.row)
    fills = _run(state, leg.leg, bankrupt, ranked, policy)
    doomed.left[leg.rows] -= bankrupt.done
    accounts = state.book.rows.account
    tick.add(
        "adl_fills",
        bankrupt=accounts[doomed.work.slot[owner[fills.bankrupt]]],
        counterparty=accounts[quota.slot[fills.candidate]],
        instrument=np.full(len(fills.lots), leg.leg >> 1),
        long=np.full(len(fills.lots), leg.leg & 1 == 0),
        lots=fills.lots,
        value=fills.value,
        bankrupt_realized_pnl=fills.bankrupt_profit,
        realized_pnl=fills.profit,
        rank=quota.rank[fills.candidate],
        score=quota.score[fills.candidate],
    )
    given = np.bincount(fills.candidate, fills.lots, len(quota.lots))
    tick.fills_lawful &= bool((given <= quota.lots).all() and (bankrupt.done <= bankrupt.lots).all())


def _bankrupt(state: State, doomed: Bankruptcies, leg: _Leg, policy: AdlPolicy) -> Bankrupt:
    lots, value = doomed.left[leg.rows], doomed.value[leg.rows]
    whole = np.ones(len(lots), np.bool_)
    if policy.price in ("mark", "previous_mark"):
        whole[:] = False
    elif policy.price == "mark_capped":
        unit = state.marks.units[leg.leg >> 1] * (-1 if leg.leg & 1 else 1)
        whole = np.array([v <= int(n) * unit for n, v in zip(lots, value, strict=True)], np.bool_)
    return Bankrupt(
        slot=doomed.work.slot[doomed.owner[leg.rows]],
        row=doomed.work.row[leg.rows],
        lots=lots,
        value=value,
        whole_value=whole,
        done=np.zeros(len(lots), np.int64),
    )


def _run(state: State, leg: int, bankrupt: Bankrupt, ranked: Ranked, policy: AdlPolicy) -> Fills:
    exact = state.marks.exact
    marks = state.previous if policy.price == "previous_mark" else state.marks
    instrument = leg >> 1
    unit = marks.units[instrument]
    most = max(int(bankrupt.lots.max()) * abs(unit), int(np.abs(bankrupt.value).max()))
    if most > SUM_BOUND:
        raise BoundsError(("transfer value",), float(most), "keep it within 2^62 atoms (rule R1)")
    guard = policy.guard == "solvent"
    transfer = np.array([marks.exact.units[instrument], marks.exact.per[instrument]], np.int64)
    if transfer[1] == 0 and not bankrupt.whole_value.all():
        return reference.fill(bankrupt, ranked, state.book.rows, unit, state.marks.units if guard else None)
    side = (-1 if leg & 1 else 1) * (-1 if exact.inverse[instrument] else 1)
    size = len(bankrupt.row) + len(ranked.row)
    fills = Fills(*(np.empty(size, np.int64) for _ in Fills._fields))
    place = np.array([0, 0, 0, -1, 0], np.int64)
    rows = state.book.rows
    while answer := fill(bankrupt, ranked, rows, side, transfer, guard, exact, place, fills):
        if answer == FULL:
            fills = Fills(*(np.concatenate([column, np.empty_like(column)]) for column in fills))
        else:
            i, slot = int(place[0]), int(ranked.slot[place[1]])
            place[3] = reference.affordable(bankrupt, i, rows, slot, unit, state.marks.units)
    return Fills(*(column[: place[2]] for column in fills))
