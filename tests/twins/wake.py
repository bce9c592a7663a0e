"""Pairs of wake-up levels: exact allowances, chains of rows that open and close, trees of maxima."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np
from hypothesis import strategies as st

from fastadl.contracts import Instrument, Instruments
from fastadl.engine.prices import Marks
from fastadl.engine.wake.layout import bases
from fastadl.kernels import wake as kernels
from fastadl.kernels.layout import Rows
from fastadl.kernels.wake import FAN, FLOORS, NEVER, Levels, Waiting
from fastadl.reference import wake
from fastadl.reference.layout import open_rows
from twins.books import Case, cases
from twins.pair import Pair


@dataclass
class Awake:
    """A book with levels, and who is waiting."""

    found: Case
    slot: np.ndarray
    levels: Levels
    waiting: Waiting

    @property
    def accounts(self) -> int:
        return len(self.slot)

    def named(self) -> dict[tuple[int, int], int]:
        """Levels by account and leg, along the chains; refuses chains and lists that are not whole."""
        levels, found, seen = self.levels, {}, set[int]()
        for account in range(self.accounts):
            place = int(levels.first[account])
            while place >= 0:
                assert place not in seen
                seen.add(place)
                assert levels.link[2 * place] == account
                found[account, leg_of(levels, place)] = int(levels.tree[place])
                place = int(levels.link[2 * place + 1])
        for leg in range(len(levels.used)):
            place = int(levels.free[leg])
            while place >= 0:
                assert place not in seen
                assert leg_of(levels, place) == leg
                seen.add(place)
                assert levels.tree[place] == NEVER
                place = int(levels.link[2 * place + 1])
            first, last = levels.base[0, leg : leg + 2].tolist()
            used = range(first, first + int(levels.used[leg]))
            assert seen.issuperset(used)
            assert not seen.intersection(range(used.stop, last))
            for floor in range(1, FLOORS):
                below, here = (
                    levels.tree[slice(*levels.base[f, leg : leg + 2])].tolist() for f in (floor - 1, floor)
                )
                expected = wake.rise(below, FAN)
                assert here == expected + [NEVER] * (len(here) - len(expected))
        return found

    def listed(self) -> set[int]:
        """Who is waiting, each once."""
        count = int(self.waiting.count[0])
        found = set(self.waiting.account[:count].tolist())
        assert len(found) == count
        assert found == set(np.flatnonzero(self.waiting.among).tolist())
        return found


def leg_of(levels: Levels, place: int) -> int:
    return int(np.searchsorted(levels.base[0], place, side="right")) - 1


def empty(found: Case, *, room: int) -> Awake:
    """No levels yet, and so many places for rows of each leg."""
    count, legs = len(found.rows.account), 2 * len(found.instruments)
    base = bases(np.full(legs, room))
    levels = Levels(
        np.full(base[-1, -1], NEVER, np.int32),
        base,
        np.full(2 * base[0, -1], -1, np.int32),
        np.full(count, -1, np.int32),
        np.zeros(legs, np.int32),
        np.full(legs, -1, np.int32),
    )
    nobody = Waiting(np.zeros(count, np.int32), np.zeros(count, np.bool_), np.zeros(2, np.int64))
    return Awake(found, np.argsort(found.rows.account).astype(np.int32), levels, nobody)


def have_wait(awake: Awake, accounts: list[int]) -> None:
    awake.waiting.account[: len(accounts)] = accounts
    awake.waiting.among[:] = False
    awake.waiting.among[accounts] = True
    awake.waiting.count[0] = len(accounts)


def fair(
    rows: Rows, slot: int, marks: Marks, instruments: Instruments, levels: dict[int, int] | None
) -> None:
    """An account has levels at which it is safe, not much above the least, or none for a reason."""
    units = list(marks.units)
    least = wake.settle(rows, slot, units, instruments)
    held = open_rows(rows, slot)
    size = abs(int(rows.cash[slot])) + sum(
        4 * abs(row.lots * units[row.instrument]) + abs(row.entry) for row in held
    )
    error = Fraction(size * (32 + 16 * len(held)), 2**53)
    exposed = sum((abs(row.lots * units[row.instrument]) for row in held), Fraction(0))
    if levels is None:
        if least is not None:
            now = {leg: wake.worth(leg, units) for leg in least}
            room = wake.headroom(rows, slot, now, instruments)
            assert held
            assert room <= error + exposed / 2**40
        return
    assert least is not None
    assert levels.keys() == least.keys()
    reached = {leg: wake.lowest(level) for leg, level in levels.items()}
    assert all(reached[leg] >= least[leg] for leg in least)
    assert not held or wake.headroom(rows, slot, reached, instruments) >= 0
    for leg, each in reached.items():
        size = abs(wake.worth(leg, units))
        assert each - least[leg] <= size * (Fraction(1, 2**18) + 2 * error / exposed), (leg, each, least)


def by_account(named: dict[tuple[int, int], int], account: int) -> dict[int, int]:
    return {leg: level for (who, leg), level in named.items() if who == account}


# ---------------------------------------------------------------------- all of them anew


@st.composite
def parted(draw: st.DrawFn) -> tuple[Case, np.ndarray, np.ndarray]:
    """A book, its blocks and parts of them."""
    found = draw(cases())
    blocks = found.blocks(draw(st.integers(1, 4)))
    cuts = sorted(draw(st.lists(st.integers(0, len(blocks)), min_size=1, max_size=3)))
    return found, blocks, np.array([0, *cuts, len(blocks)], np.int64)


def tallied(kernel: Any, case: tuple[Case, np.ndarray, np.ndarray]) -> np.ndarray:
    found, blocks, parts = case
    count = np.full((len(parts) - 1, 2 * len(found.instruments)), 7, np.int32)
    kernel(found.rows, blocks, parts, count)
    return count


def same_tally(kernel: Any, twin: Any, case: tuple[Case, np.ndarray, np.ndarray]) -> None:
    found, blocks, parts = case
    for p, count in enumerate(tallied(kernel, case)):
        slots = [s for _, a, b in blocks[parts[p] : parts[p + 1]].tolist() for s in range(a, b)]
        assert count.tolist() == twin(found.rows, slots, len(count))


def same_lay(kernel: Any, twin: Any, case: tuple[Case, np.ndarray, np.ndarray]) -> None:
    found, blocks, parts = case
    count = tallied(kernels.tally, case)
    awake = empty(found, room=1)
    used = count.sum(axis=0, dtype=np.int32)
    base = bases(used)
    levels = awake.levels._replace(
        tree=np.full(base[-1, -1], NEVER, np.int32),
        base=base,
        link=np.full(2 * base[0, -1], 5, np.int32),
        used=used,
    )
    awake = Awake(found, awake.slot, levels, awake.waiting)
    cursor = (base[0, :-1] + np.cumsum(count, axis=0) - count).astype(np.int32)
    kernel(found.rows, blocks, parts, cursor, found.marks.unit, found.margins, levels, awake.waiting.among)
    kernels.rise(levels)
    named = awake.named()
    for account, exact in twin(found.rows, found.units, found.instruments).items():
        mine, waits = by_account(named, account), bool(awake.waiting.among[account])
        assert exact is not None or waits
        if waits:
            assert set(mine.values()) <= {NEVER}
        slot = int(awake.slot[account])
        fair(found.rows, slot, found.marks, found.instruments, None if waits else mine)


# ---------------------------------------------------------------------- one by one

MOVES = st.sampled_from(
    [Fraction(n, 10**6) for n in (1, 10**6, 10**6 + 3, 999_990, 950_000, 1_200_000, 2 * 10**6)]
)


def _moved(item: Instrument, factor: Fraction) -> Instrument:
    """At another mark, if a lot is still worth what one may be."""
    assert item.mark is not None
    worth = abs(item.unit_value(item.mark * factor))
    return replace(item, mark=item.mark * factor) if 2**-60 < worth < 2**50 else item


def moved(draw: st.DrawFn, found: Case) -> Case:
    """The same book, its cash and rows changed, at other marks."""
    items = [_moved(item, draw(MOVES)) for item in found.instruments]
    rows = found.rows._replace(
        **{name: getattr(found.rows, name).copy() for name in ("lots", "entry", "cash")}
    )
    for at in draw(st.lists(st.integers(0, max(len(rows.lots) - 1, 0)), max_size=3 if len(rows.lots) else 0)):
        rows.lots[at] = draw(st.sampled_from([0.0, 1.0, 7.0])) * (-1 if rows.leg[at] & 1 else 1)
        rows.entry[at] = 0
    for s in draw(st.lists(st.integers(0, max(len(rows.cash) - 1, 0)), max_size=2 if len(rows.cash) else 0)):
        rows.cash[s] += draw(st.sampled_from([-1, 1, 10**6, -(10**6)]))
    listed = Instruments(items, {"AAA": 2})
    return Case(listed, rows)


@st.composite
def settled(draw: st.DrawFn) -> tuple[Awake, list[Case], list[list[int]], int]:
    """A book without levels, what it becomes and who waits, again and again, and how many a call looks at."""
    found = draw(cases())
    awake = empty(found, room=draw(st.sampled_from([0, 5])))
    if draw(st.booleans()) and len(awake.levels.used):
        _cramped(awake, draw(st.integers(0, len(awake.levels.used) - 1)))
    steps, waits = [found], [list(range(awake.accounts))]
    for _ in range(draw(st.integers(0, 3))):
        steps.append(moved(draw, steps[-1]))
        who = st.lists(st.integers(0, max(awake.accounts - 1, 0)), unique=True, max_size=awake.accounts)
        waits.append(draw(who))
    return awake, steps, waits, draw(st.sampled_from([1, 2, 3, max(awake.accounts, 1)]))


def _cramped(awake: Awake, leg: int) -> None:
    """Let a leg have no place but one."""
    first, last = awake.levels.base[0, leg : leg + 2].tolist()
    for place in range(first + 1, last):
        awake.levels.link[2 * place + 1] = -2
    awake.levels.used[leg] = last - first
    awake.levels.free[leg] = first


def same_settle(kernel: Any, twin: Any, case: tuple[Awake, list[Case], list[list[int]], int]) -> None:
    awake, steps, waits, most = case
    cramped = bool(awake.levels.used.any())
    for found, waiting in zip(steps, waits, strict=True):
        have_wait(awake, sorted({*waiting, *awake.listed()}))
        before = awake.listed()
        args = found.rows, awake.slot, found.marks.unit, found.margins, awake.levels, awake.waiting, most
        enough = True
        for _ in range(ceil(len(before) / most) + 1):  # in so many calls everybody has a turn
            many = len(awake.listed())
            enough &= kernel(*args)
            assert many - most <= len(awake.listed()) <= many
        left = awake.listed()
        assert left <= before
        if cramped:
            assert enough or left
            if not enough:
                return
            continue
        assert enough
        named = awake.named()
        for account in before:
            slot = int(awake.slot[account])
            mine = None if account in left else by_account(named, account)
            assert twin(found.rows, slot, found.units, found.instruments) is not None or mine is None
            fair(found.rows, slot, found.marks, found.instruments, mine)


@st.composite
def woken(draw: st.DrawFn) -> tuple[Awake, Case, np.ndarray, int]:
    """Levels at some marks, other marks, and which of them are named."""
    awake, steps, *_ = draw(settled().filter(lambda case: not case[0].levels.used.any()))
    found = steps[0]
    have_wait(awake, list(range(awake.accounts)))
    args = found.rows, awake.slot, found.marks.unit, found.margins, awake.levels, awake.waiting
    kernels.settle(*args, awake.accounts)
    count = len(found.instruments)
    named = draw(st.lists(st.integers(0, count - 1), unique=True))
    most = draw(st.sampled_from([0, 1, awake.accounts]))
    return awake, moved(draw, found), np.array(named, np.int32), most


def same_wake(kernel: Any, twin: Any, case: tuple[Awake, Case, np.ndarray, int]) -> None:
    awake, found, named, most = case
    before = awake.listed()
    levels = awake.named()
    expected = twin(levels, named.tolist(), found.marks.unit, before)
    count = kernel(named, found.marks.unit, awake.levels, awake.waiting, most)
    for (account, leg), level in awake.named().items():
        assert level in (levels[account, leg], NEVER)
        assert level == levels[account, leg] or account in awake.listed()
    assert count == len(awake.listed())
    assert before <= awake.listed() <= expected
    assert awake.listed() == expected or count > most


@st.composite
def enlisted(draw: st.DrawFn) -> tuple[np.ndarray, Waiting]:
    """Accounts, some of them twice or none, and who waits already."""
    many = draw(st.integers(1, 6))
    accounts = draw(st.lists(st.integers(-2, many - 1)))
    waits = draw(st.lists(st.integers(0, many - 1), unique=True))
    waiting = Waiting(np.zeros(many, np.int32), np.zeros(many, np.bool_), np.array([len(waits), 0]))
    waiting.account[: len(waits)] = waits
    waiting.among[waits] = True
    return np.array(accounts, np.int32), waiting


def same_enlist(kernel: Any, twin: Any, case: tuple[np.ndarray, Waiting]) -> None:
    accounts, waiting = case
    before = waiting.account[: waiting.count[0]].tolist()
    kernel(accounts, waiting)
    found = waiting.account[: waiting.count[0]].tolist()
    assert set(found) == set(np.flatnonzero(waiting.among).tolist()) == twin(accounts.tolist(), before)
    assert len(set(found)) == len(found)


@st.composite
def trees(draw: st.DrawFn) -> Levels:
    """Levels of legs with few places and with so many that there are three floors."""
    sizes = draw(st.lists(st.sampled_from([0, 3, 16, 300, 5000]), min_size=1, max_size=3))
    base = bases(np.array(sizes))
    tree = np.full(base[-1, -1], 7, np.int32)
    tree[: base[0, -1]] = np.random.default_rng(draw(st.integers(0, 9))).integers(NEVER, -NEVER, base[0, -1])
    none = np.empty(0, np.int32)
    return Levels(tree, base, none, none, np.zeros(len(sizes), np.int32), none)


def same_rise(kernel: Any, twin: Any, levels: Levels) -> None:
    kernel(levels)
    for leg in range(len(levels.used)):
        floors = [levels.tree[slice(*levels.base[f, leg : leg + 2])].tolist() for f in range(FLOORS)]
        for below, here in pairwise(floors):
            expected = twin(below, FAN)
            assert here == expected + [NEVER] * (len(here) - len(expected))


PAIRS = {
    "wake.enlist": Pair(wake.enlist, enlisted(), same_enlist),
    "wake.tally": Pair(wake.tally, parted(), same_tally),
    "wake.lay": Pair(wake.lay, parted(), same_lay),
    "wake.rise": Pair(wake.rise, trees(), same_rise),
    "wake.settle": Pair(wake.settle, settled(), same_settle),
    "wake.wake": Pair(wake.wake, woken(), same_wake),
}
