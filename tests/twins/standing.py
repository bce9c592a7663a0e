"""Pairs that tell where every row of a book stands."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st

from fastadl.engine.scoring import scoring
from fastadl.kernels.lights import UNSETTLED, Members, cell_lights, group_rows, light_rows, unsettled_rows
from fastadl.kernels.scores import NEEDS, SCORES
from fastadl.kernels.standing import Cells, Standing, place_rows
from fastadl.reference import account, layout, lights, standing
from twins.books import Case, cases
from twins.pair import Pair
from twins.ranking import context_of

some_scores = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 1.0, 1.5, -1.0, np.inf, -np.inf, np.nan, 5e-324]),
    st.floats(-4.0, 4.0),
    st.floats(),
)
cell_sizes = st.sampled_from([(16, 52), (16, 47), (512, 47)])


def cells_of(legs: int, half: int, shift: int, best: float = 8.0, nearest: float = 0.01) -> Cells:
    bits = np.array([best, nearest]).view(np.int64) >> shift
    return Cells(half, shift, int(bits[0]), int(bits[1]), 2 * half * legs)


def same_places(kernel: Any, twin: Any, arguments: Any) -> None:
    """The same cells, which fall as scores rise."""
    found, size = arguments
    score = np.array(found, np.float64)
    leg = (np.arange(len(score)) % 3).astype(np.uint16)
    cells, place = cells_of(3, *size), np.empty(len(score), np.int32)
    kernel(score, leg, cells, place)
    assert place.tolist() == [twin(x, int(y), cells) for x, y in zip(score.tolist(), leg, strict=True)]
    for a in range(len(score)):
        for b in range(len(score)):
            if leg[a] == leg[b] and score[a] > score[b]:
                assert place[a] <= place[b]


def standing_of(found: Case, cells: Cells, blocks: int, parts: int) -> Standing:
    rows = len(found.rows.lots)
    return Standing(
        score=np.empty(rows),
        place=np.empty(rows, np.int32),
        found=np.zeros((parts, cells.nowhere + 1), np.int64),
        near=np.full(len(found.slots), -1, np.int32),
        near_count=np.full(blocks, -1, np.int64),
    )


def same_stand(kernel: Any, twin: Any, arguments: Any) -> None:
    """Scores where float64 tells that equity is above zero, and the accounts of which it cannot tell."""
    number, by_count, found, size, parts = arguments
    context, blocks = context_of(found), found.blocks(3)
    cells = cells_of(2 * len(found.instruments), *size)
    out = standing_of(found, cells, len(blocks), parts)
    kernel(
        number,
        NEEDS[number],
        scoring(SCORES[number]).own,
        by_count,
        np.repeat(found.marks.unit, 2),
        cells,
        blocks,
        context,
        out,
    )
    spans = zip(blocks[:, 1], out.near_count, strict=True)
    near = {int(slot) for first, many in spans for slot in out.near[first : first + many]}
    equity = [account.equity(found.rows, slot, found.units) for slot in found.slots.tolist()]
    expected = twin(number, context, equity)
    left_open = {row for slot in near for row in layout.places(found.rows, slot)}
    for slot, left in enumerate(equity):
        size = abs(int(found.rows.cash[slot])) + sum(
            abs(r.entry) + 2 * abs(r.lots * found.units[r.instrument])
            for r in layout.open_rows(found.rows, slot)
        )
        assert slot not in near or abs(left) <= size / 10**12 + 1
    for row, score in enumerate(out.score.tolist()):
        if row in left_open or row not in expected:
            assert np.isnan(score)
        else:
            assert score == expected[row]
        assert out.place[row] == standing.place_row(score, int(found.rows.leg[row]), cells)
    lots = np.ones(len(out.score), np.int64) if by_count else np.abs(found.rows.lots).astype(np.int64)
    assert np.array_equal(
        out.found.sum(axis=0)[:-1], np.bincount(out.place, lots, cells.nowhere + 1).astype(np.int64)[:-1]
    )


def histograms() -> st.SearchStrategy[Any]:
    few = st.lists(st.sampled_from([0, 0, 0, 1, 1, 2, 5, 1000, (1 << 62) // 40]), min_size=32, max_size=32)
    return st.tuples(st.lists(few, min_size=1, max_size=3), st.booleans())


def same_cell_lights(kernel: Any, twin: Any, arguments: Any) -> None:
    lots, every = arguments
    found = np.array(lots, np.int64)
    total, before = np.empty(len(found), np.int64), np.full(found.size, -1, np.int64)
    light, group = np.empty(found.size + 1, np.uint8), np.empty(found.size, np.int32)
    groups = kernel(found, every, total, before, light, group)
    answer = twin(found, every)
    assert groups == len(answer[1])
    assert (total.tolist(), before[:groups].tolist(), group.tolist()) == (answer[0], answer[1], answer[3])
    held = np.append(found.ravel() > 0, True)  # what a cell without rows says is nobody's
    assert light[held].tolist() == np.array(answer[2])[held].tolist()


def same_light_rows(kernel: Any, twin: Any, arguments: Any) -> None:
    place, chunks = np.array(arguments[0], np.int32), arguments[1]
    light = np.array([5, 3, UNSETTLED, 1, 0], np.uint8)
    out, count = np.empty(len(place), np.uint8), np.full(chunks, -1, np.int64)
    kernel(place, light, out, count)
    assert (out.tolist(), count.tolist()) == twin(place, light, chunks)


def same_unsettled(kernel: Any, twin: Any, arguments: Any) -> None:
    light = np.array(arguments[0], np.uint8)
    chunks = arguments[1]
    bounds = [len(light) * chunk // chunks for chunk in range(chunks + 1)]
    count = np.array([(light[a:b] == UNSETTLED).sum() for a, b in pairwise(bounds)], np.int64)
    row = np.full(count.sum(), -1, np.int32)
    kernel(light, count, row)
    assert row.tolist() == twin(light)


@st.composite
def scored(draw: st.DrawFn) -> tuple[Case, Standing, Cells, bool, bool, int]:
    """A book, a score for each of its rows, and the cells they fall in."""
    found = draw(cases(most=12))
    rows = len(found.rows.lots)
    choice = draw(st.sampled_from([st.sampled_from([1.0, 1.0, -0.5, np.nan]), some_scores]))
    score = np.array(draw(st.lists(choice, min_size=rows, max_size=rows)), np.float64) + 0.0
    score[found.rows.lots == 0] = np.nan
    cells = cells_of(2 * len(found.instruments), *draw(cell_sizes))
    by_count, every = draw(st.booleans()), draw(st.booleans())
    made = standing_of(found, cells, 0, 1)
    made.score[:] = score
    place_rows(score, found.rows.leg, cells, made.place)
    lots = np.ones(rows, np.int64) if by_count else np.abs(found.rows.lots).astype(np.int64)
    np.add.at(made.found[0], made.place, lots)
    return found, made, cells, by_count, every, draw(st.integers(1, 3))


def unsettled(case: Any) -> tuple[Any, ...]:
    """What comes before members are grouped, by the kernels that have pairs of their own."""
    _, made, cells, _, every, _ = case
    lots = made.found[0][:-1].reshape(-1, 2 * cells.half)
    total, before = np.empty(len(lots), np.int64), np.empty(lots.size, np.int64)
    light, group = np.empty(lots.size + 1, np.uint8), np.empty(lots.size, np.int32)
    groups = cell_lights(lots, every, total, before, light, group)
    out, count = np.empty(len(made.place), np.uint8), np.empty(2, np.int64)
    light_rows(made.place, light, out, count)
    row = np.empty(count.sum(), np.int32)
    unsettled_rows(out, count, row)
    return total, before[:groups], group, out, row


def empty_members(groups: int, rows: int) -> Members:
    return Members(
        start=np.empty(groups + 1, np.int64),
        row=np.empty(rows, np.int32),
        key=np.empty(rows, np.int64),
        lots=np.empty(rows, np.int64),
    )


def same_groups(kernel: Any, twin: Any, arguments: Any) -> None:
    found, made, _, by_count, _, parts = arguments
    _, before, group, _, row = unsettled(arguments)
    members = empty_members(len(before), len(row))
    kernel(row, group, made, found.rows.lots, by_count, np.zeros((parts, len(before)), np.int64), members)
    split = np.split(members.row, members.start[1:-1]) if len(before) else []
    assert [part.tolist() for part in split] == twin(row, group, made.place)
    lots = np.abs(found.rows.lots[members.row])
    assert members.lots.tolist() == ([1] * len(row) if by_count else lots.tolist())
    score = made.score[members.row]
    assert all(
        (members.key[a] < members.key[b]) == (score[a] > score[b])
        for a in range(len(row))
        for b in range(len(row))
    )


def same_settle(kernel: Any, twin: Any, arguments: Any) -> None:
    """As the ranking of every leg by itself says."""
    found, made, _, by_count, every, parts = arguments
    total, before, group, out, row = unsettled(arguments)
    members = empty_members(len(before), len(row))
    cursor = np.zeros((parts, len(before)), np.int64)
    group_rows(row, group, made, found.rows.lots, by_count, cursor, members)
    context = context_of(found)
    share = np.full(len(out), np.nan) if every else np.empty(0)
    kernel(members, before, total, context, np.empty(0, np.uint8) if every else out, share)
    tie = np.empty(len(out), np.int32)
    for slot in found.slots.tolist():
        tie[layout.places(found.rows, slot)] = context.place[context.account[slot]]
    for at, (light, part) in twin(members, before.tolist(), total.tolist(), found.rows.leg, tie).items():
        assert (share[at] == part) if every else (out[at] == light)
    for leg in np.unique(found.rows.leg):
        mine = np.flatnonzero((found.rows.leg == leg) & ~np.isnan(made.score))
        reached, whole = 0, int(total[leg])
        for at in sorted(mine.tolist(), key=lambda i: (-made.score[i], tie[i])):
            reached += 1 if by_count else int(abs(found.rows.lots[at]))
            assert (share[at] == reached / whole) if every else (out[at] == lights.light(reached, whole))


PAIRS = {
    "standing.place_rows": Pair(
        standing.place_row, st.tuples(st.lists(some_scores, max_size=12), cell_sizes), same_places
    ),
    "standing.stand": Pair(
        standing.stand,
        st.tuples(st.integers(0, len(SCORES) - 1), st.booleans(), cases(), cell_sizes, st.integers(1, 3)),
        same_stand,
    ),
    "lights.cell_lights": Pair(lights.cell_lights, histograms(), same_cell_lights),
    "lights.light_rows": Pair(
        lights.light_rows, st.tuples(st.lists(st.integers(0, 4)), st.integers(1, 4)), same_light_rows
    ),
    "lights.unsettled_rows": Pair(
        lights.unsettled_rows,
        st.tuples(st.lists(st.sampled_from([0, 1, UNSETTLED])), st.integers(1, 4)),
        same_unsettled,
    ),
    "lights.group_rows": Pair(lights.group_rows, scored(), same_groups),
    "lights.settle": Pair(lights.settle, scored(), same_settle),
}
