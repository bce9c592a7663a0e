"""Pairs that tell where every row of a book stands."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from fastadl.engine.scoring import scoring
from fastadl.kernels.lights import Groups, cell_lights, gather
from fastadl.kernels.scores import NEEDS, SCORES
from fastadl.kernels.standing import Cells, Standing, place_rows
from fastadl.reference import account, layout, lights, standing
from fastadl.schema import IntArray
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
        found=np.zeros((parts, cells.nowhere + 1, 2), np.int64),
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
    for at, each in enumerate((lots, None)):
        expected = np.bincount(out.place, each, cells.nowhere + 1).astype(np.int64)
        assert np.array_equal(out.found.sum(axis=0)[:-1, at], expected[:-1])


def groups_of(cells: int, parts: int) -> Groups:
    return Groups(
        light=np.empty(cells + 1, np.uint8),
        group=np.full(cells, -1, np.int32),
        start=np.full(cells + 1, -1, np.int64),
        before=np.full(cells, -1, np.int64),
        cursor=np.full((parts, cells), -1, np.int64),
    )


def cut(groups: Groups, many: int) -> Groups:
    return groups._replace(start=groups.start[: many + 1], before=groups.before[:many])


def histograms() -> st.SearchStrategy[Any]:
    """Lots and rows of two parts by leg and cell; no cell with lots and no rows, or the other way round."""
    lots = st.sampled_from([0, 0, 0, 1, 1, 2, 5, 1000, (1 << 62) // 80])
    cell = lots.flatmap(lambda held: st.tuples(st.just(held), st.integers(min(held, 1), min(held, 9))))
    leg = st.lists(st.tuples(cell, cell), min_size=32, max_size=32)
    return st.tuples(st.lists(leg, min_size=1, max_size=3), st.sampled_from([0, 1, 12, 1000]))


def same_cell_lights(kernel: Any, twin: Any, arguments: Any) -> None:
    legs, most = arguments
    given = np.array(legs, np.int64)  # legs, cells, parts, lots and rows
    found = np.zeros((2, 32 * len(legs) + 1, 2), np.int64)
    found[:, :-1] = given.transpose(2, 0, 1, 3).reshape(2, -1, 2)
    found[:, -1] = 77  # nobody's
    total, groups = np.empty(len(legs), np.int64), groups_of(32 * len(legs), 2)
    many = kernel(found, most, total, groups)
    lots, rows = given.sum(axis=2).transpose(2, 0, 1)
    answer = twin(lots, rows, most)
    assert many == len(answer.before)
    assert (total.tolist(), groups.before[:many].tolist()) == (answer.totals, answer.before)
    assert groups.group.tolist() == answer.groups
    starts = np.concatenate([[0], np.cumsum(answer.rows, dtype=np.int64)])
    assert groups.start[: many + 1].tolist() == starts.tolist()
    assert groups.cursor[0, :many].tolist() == starts[:-1].tolist()
    mine = [(groups.group == g) @ found[0, :-1, 1] for g in range(many)]
    assert (groups.cursor[1, :many] - groups.cursor[0, :many]).tolist() == mine
    held = np.append(lots.ravel() > 0, True)  # what a cell without rows says is nobody's
    assert groups.light[held].tolist() == np.array(answer.lights)[held].tolist()


@st.composite
def scored(draw: st.DrawFn) -> tuple[Case, Standing, Any, int, bool, int]:
    """A book in blocks, a score for each of its rows, and the cells they fall in."""
    found = draw(cases(most=12))
    parts, blocks = draw(st.integers(1, 3)), found.blocks(3)
    rows = len(found.rows.lots)
    choice = draw(st.sampled_from([st.sampled_from([1.0, 1.0, -0.5, np.nan]), some_scores]))
    score = np.array(draw(st.lists(choice, min_size=rows, max_size=rows)), np.float64) + 0.0
    score[found.rows.lots == 0] = np.nan
    cells = cells_of(2 * len(found.instruments), *draw(cell_sizes))
    by_count, most = draw(st.booleans()), draw(st.sampled_from([0, 1, 3, 1000]))
    made = standing_of(found, cells, 0, parts)
    made.score[:] = score
    place_rows(score, found.rows.leg, cells, made.place)
    for p in range(parts):
        mine = blocks[len(blocks) * p // parts : len(blocks) * (p + 1) // parts]
        for slot in (slot for _, first, last in mine.tolist() for slot in range(first, last)):
            for row in layout.places(found.rows, slot):
                lots = 1 if by_count else int(abs(found.rows.lots[row]))
                made.found[p, made.place[row]] += (lots, 1)
    return found, made, blocks, most, by_count, parts


def grouped(case: Any) -> tuple[IntArray, Groups]:
    """What comes before rows are gathered, by the kernel that has a pair of its own."""
    found, made, _, most, _, parts = case
    legs = 2 * len(found.instruments)
    total, groups = np.empty(legs, np.int64), groups_of(made.found.shape[1] - 1, parts)
    many = cell_lights(made.found, most, total, groups)
    return total, cut(groups, many)


def same_gather(kernel: Any, twin: Any, arguments: Any) -> None:
    found, made, blocks, _, by_count, _ = arguments
    _, groups = grouped(arguments)
    members, light = np.full(3 * groups.start[-1], -1, np.int64), np.empty(len(made.place), np.uint8)
    kernel(groups, blocks, made, by_count, context_of(found), members, light)
    row, key, held = members.reshape(-1, 3).T
    answer = twin(made.place, groups)
    assert light.tolist() == answer[0]
    split = np.split(row, groups.start[1:-1]) if len(groups.before) else []
    assert [sorted(part.tolist()) for part in split] == answer[1]
    lots = np.abs(found.rows.lots[row])
    assert held.tolist() == ([1] * len(row) if by_count else lots.tolist())
    score = made.score[row]
    assert all((key[a] < key[b]) == (score[a] > score[b]) for a in range(len(row)) for b in range(len(row)))


def same_settle(kernel: Any, twin: Any, arguments: Any) -> None:
    """As the ranking of every leg by itself says."""
    found, made, blocks, most, by_count, _ = arguments
    total, groups = grouped(arguments)
    context = context_of(found)
    members, light = np.empty(3 * groups.start[-1], np.int64), np.empty(len(made.place), np.uint8)
    gather(groups, blocks, made, by_count, context, members, light)
    share = np.full(len(light), np.nan) if most else np.empty(0)
    kernel(
        len(groups.before), members, groups, total, context, np.empty(0, np.uint8) if most else light, share
    )
    tie = np.empty(len(light), np.int32)
    for slot in found.slots.tolist():
        tie[layout.places(found.rows, slot)] = context.place[context.account[slot]]
    answer = twin(members.reshape(-1, 3), groups, total.tolist(), found.rows.leg, tie)
    for at, (colour, part) in answer.items():
        assert (share[at] == part) if most else (light[at] == colour)
    for leg in np.unique(found.rows.leg):
        mine = np.flatnonzero((found.rows.leg == leg) & ~np.isnan(made.score))
        reached, whole = 0, int(total[leg])
        for at in sorted(mine.tolist(), key=lambda i: (-made.score[i], tie[i])):
            reached += 1 if by_count else int(abs(found.rows.lots[at]))
            if most:
                assert share[at] == float(reached) / float(whole)
            else:
                assert light[at] == lights.light(reached, whole)


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
    "lights.gather": Pair(lights.gather, scored(), same_gather),
    "lights.settle": Pair(lights.settle, scored(), same_settle),
}
