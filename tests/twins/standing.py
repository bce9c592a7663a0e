"""Pairs that tell where every row of a book stands."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st

from fastadl.engine.scoring import scoring
from fastadl.kernels.lights import Groups, add_up, cell_lights, gather
from fastadl.kernels.scores import NEEDS, SCORES
from fastadl.kernels.standing import Cells, Standing, Values, place_rows
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


#: What unit values are multiplied by for long rows and for short ones.
factors = st.sampled_from([(1,), (1, Fraction(1, 2)), (Fraction(5, 4), Fraction(3, 4))])


def values_of(units: list[Any]) -> Values:
    """Unit values by leg, from those of all rows, or of long and of short ones."""
    long, short = units[0], units[-1]
    account = np.array([np.repeat(each, 2) for each in units])
    return Values(account, np.array([long, short]).T.ravel(), np.array([short, long]).T.ravel())


def same_stand(kernel: Any, twin: Any, arguments: Any) -> None:
    """Scores where float64 tells that equity is above zero, and the accounts of which it cannot tell."""
    number, by_count, found, size, parts, scales = arguments
    context, blocks = context_of(found), found.blocks(3)
    cells = cells_of(2 * len(found.instruments), *size)
    out = standing_of(found, cells, len(blocks), parts)
    units = [found.marks.unit * float(scale) for scale in scales]
    own = scoring(SCORES[number]).own
    kernel(number, NEEDS[number], own, by_count, values_of(units), cells, blocks, context, out)
    spans = zip(blocks[:, 1], out.near_count, strict=True)
    near = {int(slot) for first, many in spans for slot in out.near[first : first + many]}
    sides = []
    for scale, unit in zip(scales, units, strict=True):
        exact = [each * scale for each in found.units]
        equity = [account.equity(found.rows, slot, exact) for slot in found.slots.tolist()]
        sides.append((exact, equity, twin(number, context._replace(unit=unit), equity)))
    nearly = [
        {slot for slot, left in enumerate(equity) if abs(left) <= doubt(found, slot, exact)}
        for exact, equity, _ in sides
    ]
    assert near <= set.union(*nearly)
    left_open = {row for slot in near for row in layout.places(found.rows, slot)}
    for row, score in enumerate(out.score.tolist()):
        expected = sides[-1 if found.rows.leg[row] & 1 else 0][2]
        if row not in expected or (row in left_open and np.isnan(score)):
            assert np.isnan(score)
        else:
            assert score == expected[row]
        assert out.place[row] == standing.place_row(score, int(found.rows.leg[row]), cells)
    lots = np.ones(len(out.score), np.int64) if by_count else np.abs(found.rows.lots).astype(np.int64)
    for at, each in enumerate((lots, None)):
        counted = np.bincount(out.place, each, cells.nowhere + 1).astype(np.int64)
        assert np.array_equal(out.found.sum(axis=0)[:-1, at], counted[:-1])


def doubt(found: Case, slot: int, units: Any) -> Fraction:
    """More than float64 may be off by."""
    size = abs(int(found.rows.cash[slot])) + sum(
        abs(r.entry) + 2 * abs(r.lots * units[r.instrument]) for r in layout.open_rows(found.rows, slot)
    )
    return Fraction(size) / 10**12 + 1


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
    steps = st.lists(st.one_of(st.integers(0, 90), st.integers(0, 1 << 62)), min_size=3, max_size=3)
    given = st.one_of(st.none(), st.lists(steps.map(sorted), min_size=3, max_size=3))
    return st.tuples(st.lists(leg, min_size=1, max_size=3), st.sampled_from([0, 1, 12, 1000]), given)


def table_of(legs: Any) -> Any:
    """Lots and rows by leg, cell and part; the table of the kernels; lots and rows by leg and cell."""
    given = np.array(legs, np.int64)
    found = np.zeros((2, 32 * len(legs) + 1, 2), np.int64)
    found[:, :-1] = given.transpose(2, 0, 1, 3).reshape(2, -1, 2)
    found[:, -1] = 77  # nobody's
    return found, *given.sum(axis=2).transpose(2, 0, 1)


def steps_of(total: Any, given: Any) -> Any:
    """Steps of each leg: fifths of its lots unless given."""
    return np.array([lights.fifths(lots) for lots in total] if given is None else given[: len(total)])


def same_totals(kernel: Any, twin: Any, arguments: Any) -> None:
    found, lots, _ = table_of(arguments[0])
    total = np.empty(len(lots), np.int64)
    kernel(found, total)
    assert total.tolist() == twin(lots)


def same_cell_lights(kernel: Any, twin: Any, arguments: Any) -> None:
    legs, most, given = arguments
    found, lots, rows = table_of(legs)
    steps, groups = steps_of(lights.add_up(lots), given), groups_of(32 * len(legs), 2)
    many = kernel(found, most, steps, groups)
    answer = twin(lots, rows, most, steps)
    assert many == len(answer.before)
    assert groups.before[:many].tolist() == answer.before
    assert groups.group.tolist() == answer.groups
    starts = np.concatenate([[0], np.cumsum(answer.rows, dtype=np.int64)])
    assert groups.start[: many + 1].tolist() == starts.tolist()
    assert groups.cursor[0, :many].tolist() == starts[:-1].tolist()
    mine = [(groups.group == g) @ found[0, :-1, 1] for g in range(many)]
    assert (groups.cursor[1, :many] - groups.cursor[0, :many]).tolist() == mine
    held = np.append(lots.ravel() > 0, True)  # what a cell without rows says is nobody's
    assert groups.light[held].tolist() == np.array(answer.lights)[held].tolist()


@st.composite
def scored(draw: st.DrawFn) -> tuple[Case, Standing, Any, int, bool, int, bool]:
    """A book in blocks, a score for each of its rows, the cells they fall in, and by which lot lights are."""
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
    return found, made, blocks, most, by_count, parts, draw(st.booleans())


def grouped(case: Any) -> tuple[IntArray, IntArray, Groups]:
    """What comes before rows are gathered, by the kernels that have pairs of their own."""
    found, made, _, most, _, parts, _ = case
    total = np.empty(2 * len(found.instruments), np.int64)
    add_up(made.found, total)
    steps, groups = steps_of(total.tolist(), None), groups_of(made.found.shape[1] - 1, parts)
    return total, steps, cut(groups, cell_lights(made.found, most, steps, groups))


def same_gather(kernel: Any, twin: Any, arguments: Any) -> None:
    found, made, blocks, _, by_count, _, _ = arguments
    _, _, groups = grouped(arguments)
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
    found, made, blocks, most, by_count, _, by_first = arguments
    total, steps, groups = grouped(arguments)
    context = context_of(found)
    members, light = np.empty(3 * groups.start[-1], np.int64), np.empty(len(made.place), np.uint8)
    gather(groups, blocks, made, by_count, context, members, light)
    share = np.full(len(light), np.nan) if most else np.empty(0)
    colours = np.empty(0, np.uint8) if most else light
    kernel(len(groups.before), members, groups, total, steps, by_first, context, colours, share)
    tie = np.empty(len(light), np.int32)
    for slot in found.slots.tolist():
        tie[layout.places(found.rows, slot)] = context.place[context.account[slot]]
    answer = twin(members.reshape(-1, 3), groups, steps, by_first, found.rows.leg, tie)
    for at, (colour, reached) in answer.items():
        whole = float(total[found.rows.leg[at]])
        assert (share[at] == float(reached) / whole) if most else (light[at] == colour)
    for leg in np.unique(found.rows.leg):
        mine = np.flatnonzero((found.rows.leg == leg) & ~np.isnan(made.score))
        reached, whole = 0, int(total[leg])
        for at in sorted(mine.tolist(), key=lambda i: (-made.score[i], tie[i])):
            first = reached + 1
            reached += 1 if by_count else int(abs(found.rows.lots[at]))
            if most:
                assert share[at] == float(reached) / float(whole)
            else:
                assert light[at] == 6 - -(-5 * (first if by_first else reached) // whole)


PAIRS = {
    "standing.place_rows": Pair(
        standing.place_row, st.tuples(st.lists(some_scores, max_size=12), cell_sizes), same_places
    ),
    "standing.stand": Pair(
        standing.stand,
        st.tuples(
            st.integers(0, len(SCORES) - 1), st.booleans(), cases(), cell_sizes, st.integers(1, 3), factors
        ),
        same_stand,
    ),
    "lights.add_up": Pair(lights.add_up, histograms(), same_totals),
    "lights.cell_lights": Pair(lights.cell_lights, histograms(), same_cell_lights),
    "lights.gather": Pair(lights.gather, scored(), same_gather),
    "lights.settle": Pair(lights.settle, scored(), same_settle),
}
