"""Pairs of fills: adding a batch up, and trading it on books with closed rows and free slots."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
import polars as pl
from hypothesis import strategies as st

from fastadl.book import Book
from fastadl.engine.live.fills import Trading, new_log
from fastadl.engine.live.room import Room
from fastadl.engine.state import State
from fastadl.kernels import live
from fastadl.kernels.live import Listing, Sums, Trades
from fastadl.kernels.mark import guard_slots
from fastadl.kernels.money import Reserve
from fastadl.reference.layout import places
from fastadl.reference.live import Holdings, add_up, take_back, trade, trade_reserve
from fastadl.reference.places import clear_group, make_rows
from fastadl.schema import ROW_BOUND, AccountColumns
from twins.books import cases
from twins.pair import Pair, assert_equal


@dataclass
class Batch:
    """Fills on a book, which grows by groups of one slot."""

    state: State
    listing: Listing
    trades: Trades

    @property
    def sums(self) -> Sums:
        count = len(self.listing.currency)
        return Sums(*np.zeros((3, count), np.int64), np.zeros(2, np.int64), np.zeros(2))


SIZES = st.one_of(st.integers(1, 20), st.integers(1, 10**6), st.integers(1, ROW_BOUND), st.just(ROW_BOUND))


@st.composite
def batches(draw: st.DrawFn, *, wild: bool = False) -> Batch:
    found = draw(cases(least=1))
    rows, count, listed = found.rows, len(found.rows.account), len(found.instruments)
    slot = np.argsort(rows.account).astype(np.int32)
    ids = AccountColumns(
        id=pl.Series([f"a{i:05}" for i in range(count)], dtype=pl.String),
        owner=None,
        currency=np.ones(count, np.int16),
        isolated=np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)), np.bool_),
        adl_tier=np.zeros(count, np.uint8),
        cash=rows.cash[slot],
    )
    held = [account for account, _, _ in Holdings.of(rows, count).held]
    ids.isolated[[account for account in held if held.count(account) > 1]] = False
    nothing = np.zeros((2, listed), np.int64)
    state = State(Book._of_rows(found.instruments, ids, slot, rows, nothing, nothing.copy()))
    if draw(st.booleans()):
        state.fit()
    delisted = [wild and draw(st.integers(0, 3)) == 0 for _ in range(listed)]
    listing = Listing(
        ids.currency, state.book.isolated, found.instruments.currency, state.inverse, found.instruments.rank,
        np.array(delisted, np.bool_),
    )  # fmt: skip
    whole = np.abs(rows.lots).astype(np.int64).tolist() or [1]
    fills = []
    for _ in range(draw(st.integers(0, 12))):
        instrument = draw(st.integers(0, listed - 1))
        lots = draw(st.one_of(SIZES, st.sampled_from(whole))) * draw(st.sampled_from([1, -1])) or 1
        unit = float(state.marks.unit[instrument])
        near = draw(st.one_of(SIZES, st.just(round(min(abs(lots * unit), float(ROW_BOUND))))))
        fee = draw(st.one_of(st.integers(-9, 9), SIZES))
        side = draw(st.sampled_from([0, 0, 1, -1]))
        who = draw(st.integers(-2 if side == 0 else 0, count - 1))
        fill = [who, instrument, lots, near if lots * unit > 0 else -near, fee, side]
        if wild and draw(st.booleans()):
            which = draw(st.integers(0, 4))
            fill[which] = draw(st.sampled_from([-1, -3, 0, 99, -fill[which], ROW_BOUND + 1]))
            fill[:2] = [min(each, 99) for each in fill[:2]]
        fills.append(fill)
    columns = np.array(fills, np.int64).reshape(-1, 6).T.copy()
    trades = Trades(*columns[:2].astype(np.int32), *columns[2:5], columns[5].astype(np.int8))
    return Batch(state, listing, trades)


def same_sums(kernel: Any, twin: Any, batch: Batch) -> None:
    ours, theirs = batch.sums, batch.sums
    fill, reason = kernel(batch.trades, batch.listing, ours)
    where, why = twin(batch.trades, batch.listing, theirs)
    assert (fill, reason) == (where, getattr(live, why))
    assert_equal(ours, theirs)


def same_trades(kernel: Any, twin: Any, batch: Batch) -> None:
    state, trades, count = deepcopy(batch.state), batch.trades, len(batch.state.book.slot)
    room, log = Room(state), new_log(len(trades.lots))
    before = Holdings.of(state.book.rows, count)
    most, reason = np.zeros(len(state.instruments)), live.NO_SLOT
    while reason == live.NO_SLOT:
        fill, reason = kernel(
            trades, state.book.slot, batch.listing, state.marks.unit, most, state.ceiling,
            state.margins, state.book.rows, state.guard, room.spare, log,
        )  # fmt: skip
        if reason == live.NO_SLOT:
            room.add(room.rows_of(int(trades.account[fill])) + 1)
    after = deepcopy(before)
    where, why, profits, far = twin(trades, after, batch.listing, state.marks.unit)
    assert (fill, reason) == (where, getattr(live, why))
    assert log.done[0] == (len(trades.lots) if reason == live.FINE else 0)
    theirs = trades.account[: len(far)] >= 0
    assert log.profit[: len(profits)][theirs[: len(profits)]].tolist() == list(compress(profits, theirs))
    assert log.far[: len(far)][theirs].tolist() == list(compress(far, theirs))
    rows = state.book.rows
    assert Holdings.of(rows, count) == (after if reason == live.FINE else before)
    assert np.array_equal(rows.account[state.book.slot], np.arange(count))
    if reason == live.FINE:
        touched = state.book.slot[trades.account[trades.account >= 0]]
        anew = np.full_like(state.guard, np.inf)
        guard_slots(rows, state.ceiling, state.margins, touched, anew)
        assert np.array_equal(anew[touched], state.guard[touched])
        for (_, instrument, _), (lots, _) in after.held.items():
            if instrument in trades.instrument:
                assert lots <= max(most[instrument], *(abs(n) for n, _ in before.held.values()), 0)


def same_reserve(kernel: Any, twin: Any, batch: Batch) -> None:
    state, trades = batch.state, batch.trades
    count, listed = len(trades.lots), len(state.instruments)
    for account in (-1, -2):
        given = np.array([*range(-3, listed - 3)], np.int64)
        reserves = [Reserve(given * 7, given * 11, given.copy(), given * 0, state.instruments.currency * 0)]
        reserves.append(Reserve(*(column.copy() for column in reserves[0])))
        logs, most = [new_log(count), new_log(count)], np.zeros((2, listed))
        for log in logs:
            log.profit[:], log.far[:] = 0, False
        fill, reason = kernel(trades, account, state.marks.unit, most[0], reserves[0], logs[0])
        where, why = twin(trades, account, state.marks.unit, most[1], reserves[1], logs[1])
        assert (fill, reason) == (where, getattr(live, why))
        assert_equal(reserves[0], reserves[1])
        assert_equal(most[0], most[1])
        assert logs[0].profit.tolist() == logs[1].profit.tolist()
        assert logs[0].far.tolist() == logs[1].far.tolist()


def same_before(kernel: Any, twin: Any, batch: Batch) -> None:
    """A batch traded and taken back is as it was, guards included."""
    state, trades, count = deepcopy(batch.state), batch.trades, len(batch.state.book.slot)
    trading = Trading(state)
    before = Holdings.of(state.book.rows, count)
    room, log, most = trading._room, new_log(len(trades.lots)), np.zeros(len(state.instruments))
    reason = live.NO_SLOT
    while reason == live.NO_SLOT:
        fill, reason = live.trade(
            trades, state.book.slot, batch.listing, state.marks.unit, most, state.ceiling,
            state.margins, state.book.rows, state.guard, room.spare, log,
        )  # fmt: skip
        if reason == live.NO_SLOT:
            room.add(room.rows_of(int(trades.account[fill])) + 1)
    if reason != live.FINE:
        return
    after = Holdings.of(state.book.rows, count)
    twin(trades, after, log)
    while log.done[0]:
        left = kernel(
            trades, state.book.slot, state.instruments.rank, state.ceiling, state.margins,
            state.book.rows, state.guard, room.spare, log,
        )  # fmt: skip
        if left >= 0:
            room.add(room.rows_of(int(trades.account[left])) + 1)
    assert Holdings.of(state.book.rows, count) == after == before
    touched = state.book.slot[trades.account[trades.account >= 0]]
    anew = np.full_like(state.guard, np.inf)
    guard_slots(state.book.rows, state.ceiling, state.margins, touched, anew)
    assert np.array_equal(anew[touched], state.guard[touched])


def same_rows(kernel: Any, twin: Any, batch: Batch) -> None:
    """Nobody holds more or less; everybody has the rows he had and those asked for, in order."""
    state, trades, count = deepcopy(batch.state), batch.trades, len(batch.state.book.slot)
    room, before = Room(state), Holdings.of(state.book.rows, count)
    legs = {a: set(legs_of(state, a)) for a in range(count)}
    trades = Trades(*(column[trades.account >= 0] for column in trades))
    leg = 2 * trades.instrument + (trades.lots < 0).astype(np.int32)
    at = 0
    while at >= 0:
        at = kernel(
            trades.account, leg, at, state.book.slot, state.instruments.rank, state.book.rows, state.guard,
            room.spare,
        )  # fmt: skip
        if at >= 0:
            room.add(room.rows_of(int(trades.account[at])) + 1)
    twin(trades.account, leg, legs)
    assert Holdings.of(state.book.rows, count) == before
    rank = state.instruments.rank
    for account, wanted in legs.items():
        assert legs_of(state, account) == sorted(wanted, key=lambda leg: (rank[leg >> 1], leg & 1))


def legs_of(state: State, account: int) -> list[int]:
    """Legs of an account's rows, open or not, in order."""
    rows, slot = state.book.rows, int(state.book.slot[account])
    return rows.leg[places(rows, slot)].tolist()


def same_cleared(kernel: Any, twin: Any, batch: Batch) -> None:
    """Nobody holds more or less, and all of a group is free."""
    state, trades, count = deepcopy(batch.state), batch.trades, len(batch.state.book.slot)
    room = Room(state)
    leg = 2 * trades.instrument + (trades.lots < 0).astype(np.int32)
    traders = trades.account >= 0
    room.open(trades.account[traders], leg[traders])
    before, many = Holdings.of(state.book.rows, count), room.rows_of(0)
    rows = state.book.rows
    wanted = twin(many, rows, ~room._gap)
    seen = np.zeros(len(room._gap), np.int64)
    g = kernel(many, state.book.slot, rows, state.guard, room.spare, ~room._gap, seen)
    assert g == wanted
    assert Holdings.of(rows, count) == before
    assert np.array_equal(rows.account[state.book.slot], np.arange(count))
    listed, at = [], int(room.spare.head[many])
    while at >= 0:
        listed.append(at)
        at = int(room.spare.next[at])
    assert len(listed) == room.spare.free[many]
    group = np.searchsorted(rows.group_slot, np.flatnonzero(rows.account < 0), side="right") - 1
    free = np.flatnonzero(rows.account < 0)[
        (rows.group_rows[group] == many) & ~room._gap[group] & (group != g)
    ]
    assert sorted(listed) == free.tolist()
    if g >= 0:
        assert (rows.account[rows.group_slot[g] : rows.group_slot[g + 1]] < 0).all()


PAIRS = {
    "live.add_up": Pair(add_up, batches(wild=True), same_sums),
    "places.clear_group": Pair(clear_group, batches(), same_cleared),
    "places.make_rows": Pair(make_rows, batches(), same_rows),
    "live.take_back": Pair(take_back, batches(), same_before),
    "live.trade": Pair(trade, batches(), same_trades),
    "live.trade_reserve": Pair(trade_reserve, batches(), same_reserve),
}
