"""Pairs of ADL fills: the walk down the ranking, and what a guard lets through."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
from hypothesis import strategies as st

from fastadl.engine.prices import per_lot
from fastadl.kernels.fill import FULL, SHORT, SOUND, UNGUARDED, UNSURE, Bankrupt, Fills, Ranked, Refusals
from fastadl.reference import account, layout
from fastadl.reference.fill import fill
from fastadl.reference.guard import allowed, cost
from fastadl.schema import ROW_BOUND
from twins.books import Case, accounts, case, listings
from twins.pair import Pair, assert_equal


@dataclass
class Queue:
    """Bankrupt rows of one leg, candidates of the other, a unit value to settle at, and the terms."""

    found: Case
    bankrupt: Bankrupt
    ranked: Ranked
    price: Fraction
    at_entry: bool = False
    guard: int = UNGUARDED

    @property
    def transfer(self) -> np.ndarray:
        """The unit value as the engine hands it in; (0, 0) where it takes fractions."""
        exact = self.found.marks.exact
        if self.price == self.found.units[0]:
            return np.array([exact.units[0], exact.per[0]], np.int64)
        table = per_lot({0: self.price})
        return np.array([table.units[0], table.per[0]], np.int64)

    @property
    def side(self) -> int:
        long = self.found.rows.lots[self.bankrupt.row[0]] > 0
        return 1 if long != bool(self.found.marks.exact.inverse[0]) else -1

    def asked(self, i: int, c: int) -> int:
        return int(min(self.bankrupt.need[i] - self.bankrupt.done[i], self.ranked.quota[c]))

    def exactly(self, i: int, c: int, asked: int) -> tuple[int, int]:
        """What the guard lets through."""
        slot, at = int(self.ranked.slot[c]), int(self.ranked.row[c])
        healthy = self.found.instruments if self.guard == SOUND else None
        return allowed(
            self.bankrupt, i, slot, at, asked, self.found.rows, self.price, self.found.units, healthy
        )


@st.composite
def queues(draw: st.DrawFn) -> Queue:
    instruments = draw(listings())
    leg = draw(st.integers(0, 1))
    stands = st.sampled_from(["worthless", "worthless", "at margin", "rich", "any"])
    doomed = [draw(accounts(instruments, "bankrupt", [leg])) for _ in range(draw(st.integers(1, 3)))]
    others = [draw(accounts(instruments, draw(stands), [leg ^ 1])) for _ in range(draw(st.integers(0, 4)))]
    found = case(instruments, doomed + others)
    owner = found.rows.account
    spots = {int(owner[slot]): (slot, layout.open_rows(found.rows, slot)) for slot in found.slots.tolist()}

    def rows_of(whose: range, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        held = [(spots[a][0], row.at, abs(row.lots)) for a in whose for row in spots[a][1]
                if int(found.rows.leg[row.at]) == side]  # fmt: skip
        slot, row, lots = np.array(held, np.int64).reshape(-1, 3).T.copy()
        return slot.astype(np.int32), row, lots

    slot, row, lots = rows_of(range(len(doomed)), leg)
    part = draw(st.sampled_from([1, 1, 2]))
    lots = np.maximum(lots // part, 1)
    need = np.array([draw(st.sampled_from([n, n, n // 2])) for n in lots.tolist()], np.int64)
    costly = Fraction(21, 20) if (found.units[0] > 0) == (leg == 0) else Fraction(19, 20)
    price = found.units[0] * draw(st.sampled_from([1, 1, Fraction(9, 10), Fraction(4, 3), *[costly] * 4]))
    value = [floor(n * price * (-1 if leg else 1)) + draw(st.integers(-3, 3)) for n in lots.tolist()]
    bankrupt = Bankrupt(
        slot, row, lots, need, np.array(value, np.int64), np.ones(len(lots), bool), np.zeros_like(lots)
    )
    slot, row, quota = rows_of(range(len(doomed), len(spots)), leg ^ 1)
    quota = np.array([draw(st.sampled_from([n, n, n // 2, 0])) for n in quota.tolist()], np.int64)
    at_entry = draw(st.sampled_from([False, False, False, True]))
    queue = Queue(found, bankrupt, Ranked(slot, row, quota), price, at_entry)
    if not at_entry:
        queue.guard = draw(st.integers(0, 2))
        fits = queue.transfer[1] > 0
        bankrupt.whole_value[:] = [not fits or draw(st.booleans()) for _ in lots]
        pinch(draw, queue)
    return queue


def pinch(draw: st.DrawFn, queue: Queue) -> None:
    """Give most candidates about as much equity as the first fill would cost them."""
    found = queue.found
    loss = cost(queue.bankrupt, 0, found.rows, queue.price, found.units)
    for c, slot in enumerate(queue.ranked.slot.tolist()):
        if draw(st.integers(0, 3)):
            target = loss * max(queue.asked(0, c), 1) * Fraction(draw(st.integers(1, 24)), 12)
            cash = floor(target) - floor(account.profit(found.rows, slot, found.units))
            found.rows.cash[slot] = min(max(cash + draw(st.integers(0, 2)), -ROW_BOUND), ROW_BOUND)


def filled(kernel: Any, queue: Queue) -> tuple[Fills, Refusals]:
    """Run the kernel to its end from the least space for its answers, deciding what it leaves open.

    It sees one candidate more at a time.
    """
    found, ranked = queue.found, Ranked(*(column[:1] for column in queue.ranked))
    fills = Fills(*(np.empty(1, np.int64) for _ in Fills._fields))
    refusals = Refusals(*(np.empty(1, np.int64) for _ in Refusals._fields))
    place = np.array([0, 0, 0, -1, 0, 0, 0, 1], np.int64)
    terms = queue.side, queue.transfer, queue.at_entry, queue.guard, found.margins, found.marks.exact, place
    while answer := kernel(queue.bankrupt, ranked, found.rows, *terms, fills, refusals):
        if answer == FULL:
            fills = Fills(*(np.append(column, 0) for column in fills))
            refusals = Refusals(*(np.append(column, 0) for column in refusals))
        elif answer == SHORT:
            place[7] = len(ranked.row) < len(queue.ranked.row)
            ranked = Ranked(*(column[: len(ranked.row) + 1] for column in queue.ranked))
        else:
            assert answer == UNSURE
            i, c = int(place[0]), int(place[1])
            place[3], place[5] = queue.exactly(i, c, queue.asked(i, c))
    return Fills(*(column[: place[2]] for column in fills)), Refusals(*(c[: place[6]] for c in refusals))


def same_fills(kernel: Any, twin: Any, queue: Queue) -> None:
    ours, theirs = deepcopy(queue), deepcopy(queue)
    found = theirs.found
    terms = theirs.price, theirs.at_entry, theirs.guard, found.units, found.instruments
    assert_equal(filled(kernel, ours), twin(theirs.bankrupt, theirs.ranked, found.rows, *terms))
    assert_equal((ours.found.rows, ours.bankrupt, ours.ranked), (found.rows, theirs.bankrupt, theirs.ranked))


def same_cut(kernel: Any, twin: Any, queue: Queue) -> None:
    """The same lots and the same reason wherever the kernel is sure."""
    found = queue.found
    for i in range(len(queue.bankrupt.row)):
        for c in range(len(queue.ranked.row)):
            slot, at = int(queue.ranked.slot[c]), int(queue.ranked.row[c])
            asked = max(queue.asked(i, c), 1)
            for guard in (1, 2):
                queue.guard = guard
                terms = queue.side, queue.transfer, guard == SOUND, found.margins, found.marks.exact
                most, reason = kernel(queue.bankrupt, i, slot, at, asked, found.rows, *terms)
                if most >= 0:
                    assert (most, reason) == queue.exactly(i, c, asked)


PAIRS = {
    "fill.fill": Pair(fill, queues(), same_fills),
    "guard.allowed": Pair(allowed, queues(), same_cut),
}
