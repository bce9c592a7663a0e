"""Where every position stands in the ranking of its symbol and side (rules R99, R111)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import polars as pl

from fastadl.book import Book, row_slots
from fastadl.engine.indicator.sides import Sides
from fastadl.engine.ranking import Candidates, by_score_alone, candidates
from fastadl.engine.scoring import scoring
from fastadl.engine.state import State, held_legs, places
from fastadl.errors import InputError
from fastadl.kernels.lights import Groups, add_up, cell_lights, gather, settle
from fastadl.kernels.standing import MAGNITUDE, Cells, Standing, place_rows, stand
from fastadl.policy import AdlPolicy
from fastadl.schema import BoolArray, Float64Array, Int64Array, IntArray

__all__ = ["Standings", "frame_of", "lights", "percentiles", "room_of", "steps_ahead"]

#: Cells of all legs together, about; fewest and most of a leg from score 0 up, and as many below.
_ALL_CELLS, _FEWEST, _MOST = 1 << 20, 16, 512
#: Bits of a score that the finest cells leave out: they tell sign, exponent and five bits of the fraction.
_SHIFT = 47
#: Scores that the range of the cells is chosen by.
_SAMPLE = 1024
#: Most cells of all parts that lots are added up in.
_COUNTERS = 1 << 24
#: Rows that are sorted together for percentiles: what is worked out for them stays in the second-level cache.
_TOGETHER = 1 << 13


@dataclass(frozen=True, slots=True)
class Standings:
    """A light or a percentile of every position, as of one moment (rule R99).

    Attributes
    ----------
    what : str
        ``light`` or ``percentile``.
    values : uint8 or float64 (rows)
        In the order of the book's rows (`fastadl.kernels.layout.Rows`); 0 or NaN for a row that cannot be
        deleveraged.
    """

    what: str
    values: IntArray | Float64Array
    _book: Book

    def __len__(self) -> int:
        return int(np.count_nonzero(self._standing()))

    def _standing(self) -> BoolArray:
        return self.values > 0  # NaN is not

    def frame(self) -> pl.DataFrame:
        """``account``, ``symbol``, ``side`` and the value of every row that can be deleveraged.

        Accounts in the order of the book, each one's rows by (symbol, long first).
        """
        return frame_of(self._book, self._standing(), **{self.what: self.values})


def frame_of(book: Book, some: BoolArray, **values: IntArray | Float64Array) -> pl.DataFrame:
    """A frame of some rows of a book and of what is told of each row."""
    rows, held = book.rows, np.flatnonzero(some)
    account = rows.account[row_slots(rows)[held]]
    order = np.argsort(account, kind="stable")
    held = held[order]
    leg = rows.leg[held].astype(np.uint32)
    return pl.DataFrame(
        {
            "account": book.accounts.gather(account[order].astype(np.uint32)),
            "symbol": pl.Series(book.instruments.symbols).gather(leg >> 1),
            "side": pl.Series(["long", "short"]).gather(leg & 1),
            **{name: each[held] for name, each in values.items()},
        }
    )


def lights(state: State, policy: AdlPolicy, number: int, by: object) -> Standings:
    """Lights of all rows; `number` is the tick's, for a ranking drawn by it."""
    out = np.zeros(len(state.book.rows.lots), np.uint8)
    _write(Sides.alike(state), policy, number, _by_count(by), None, out, np.empty(0))
    return Standings("light", out, _as_it_is(state))


def percentiles(state: State, policy: AdlPolicy, number: int, by: object) -> Standings:
    """Percentiles of all rows; arguments as in `lights`."""
    out = np.full(len(state.book.rows.lots), np.nan)
    _write(Sides.alike(state), policy, number, _by_count(by), None, np.empty(0, np.uint8), out)
    return Standings("percentile", out, _as_it_is(state))


def _as_it_is(state: State) -> Book:
    """The book, whose rows stay where they are though fills should move those of the engine."""
    book = state.book.read_only()
    if state.room is not None:
        book.rows = book.rows._replace(leg=book.rows.leg.copy(), account=book.rows.account.copy())
    return book


def steps_ahead(
    sides: Sides, policy: AdlPolicy, number: int, steps: Int64Array, room: Standing | None = None
) -> IntArray:
    """One more than how many of its leg's steps reach the first lot of every row; 0 for no candidate.

    `steps` are lots, int64 (legs, up to 253), ascending. What `room_of` gave saves asking for memory again.
    """
    out = np.zeros(len(sides.long.book.rows.lots), np.uint8)
    _write(sides, policy, number, False, steps, out, np.empty(0), room)
    return out


def _by_count(by: object) -> bool:
    if by not in ("quantity", "count"):
        raise InputError(("by",), by, "say quantity, or count for every position alike")
    return by == "count"


def _write(
    sides: Sides,
    policy: AdlPolicy,
    number: int,
    by_count: bool,
    steps: Int64Array | None,
    light: IntArray,
    share: Float64Array,
    room: Standing | None = None,
) -> None:
    """Write lights or shares, whichever has places; lights by the first lot of a row if steps are given.

    Without steps they are fifths, and lights are by the last lot.
    """
    if len(sides.long.book.rows.lots) == 0:
        return
    if by_score_alone(sides.long, policy):
        room = room or room_of(sides.long)
        _by_cells(sides, policy, number, by_count, steps, light, share, room)
    else:
        _by_ranking(sides, policy, number, by_count, steps, light, share)


def _fifths(total: Int64Array) -> Int64Array:
    """⌊j · total / 5⌋ of every leg, j from 1 to 4, within 62 bits."""
    j = np.arange(1, 5)
    found: Int64Array = total[:, np.newaxis] // 5 * j + total[:, np.newaxis] % 5 * j // 5
    return found


# ---------------------------------------------------------------------- any policy


def _rankings(
    sides: Sides, policy: AdlPolicy, number: int, steps: Int64Array | None
) -> Iterator[tuple[int, Candidates]]:
    """Candidates of every leg that somebody holds and that has steps."""
    book = sides.long.book
    none = np.zeros(len(book.rows.cash), np.bool_)
    legs = [leg for leg in held_legs(book) if steps is None or steps[leg].any()]
    for state, mine in _by_state(sides, legs):
        yield from zip(mine, candidates(state, mine, policy, none, number) if mine else [], strict=True)


def _by_state(sides: Sides, legs: list[int]) -> list[tuple[State, list[int]]]:
    """Legs that are ranked from one look at the book."""
    if not sides.apart:
        return [(sides.long, legs)]
    return [(sides.of(way), [leg for leg in legs if leg & 1 == way]) for way in (0, 1)]


def _by_ranking(
    sides: Sides,
    policy: AdlPolicy,
    number: int,
    by_count: bool,
    steps: Int64Array | None,
    light: IntArray,
    share: Float64Array,
) -> None:
    """Sort the candidates of every leg: what further keys, tiers and scores of one's own need."""
    for leg, found in _rankings(sides, policy, number, steps):
        ranked = found.ranked()
        lots = np.ones(len(ranked), np.int64) if by_count else found.lots[ranked]
        reached = np.cumsum(lots)
        total = int(lots.sum())
        if len(light):
            mine = _fifths(np.array([total]))[0] if steps is None else steps[leg]
            lot = reached if steps is None else reached - lots + 1
            light[found.row[ranked]] = len(mine) + 1 - np.searchsorted(mine, lot, side="left")
        else:
            share[found.row[ranked]] = reached / total


# ---------------------------------------------------------------------- one score, one tier


def _by_cells(
    sides: Sides,
    policy: AdlPolicy,
    number: int,
    by_count: bool,
    steps: Int64Array | None,
    light: IntArray,
    share: Float64Array,
    standing: Standing,
) -> None:
    """One pass for the scores, one for the lights, and a look at the few rows that these leave open."""
    state = sides.long
    rows, legs = state.book.rows, 2 * len(state.instruments)
    context = sides.context(0, policy, number)
    how = scoring(policy.score)
    cells = _cells(sides, policy, number)
    parts = len(standing.found)
    standing.found[:] = 0
    values = sides.values()
    stand(how.number, how.needs, how.own, by_count, values, cells, state.blocks, context, standing)
    _admit_near(sides, policy, number, cells, by_count, standing)
    _dismiss(state, cells, by_count, standing)

    total = np.empty(legs, np.int64)
    add_up(standing.found, total)
    by_first, steps = steps is not None, _fifths(total) if steps is None else steps
    together = _TOGETHER if len(share) else 0
    room = steps.size if len(light) else min(2 * legs + 2 * len(rows.lots) // _TOGETHER, cells.nowhere)
    groups = Groups(
        light=np.empty(cells.nowhere + 1, np.uint8),
        group=np.empty(cells.nowhere, np.int32),
        start=np.empty(room + 1, np.int64),
        before=np.empty(room, np.int64),
        cursor=np.empty((parts, room), np.int64),
    )
    many = cell_lights(standing.found, together, steps, groups)
    count = int(groups.start[many])
    members = np.empty(3 * count, np.int64)
    gather(groups, state.blocks, standing, by_count, context, members, light)
    settle(many, members, groups, total, steps, by_first, context, light, share)


def room_of(state: State) -> Standing:
    """Where the standing of every row is written."""
    rows, cells = len(state.book.rows.lots), 4 * _half(state) * len(state.instruments)
    parts = min(numba.get_num_threads(), max(_COUNTERS // cells, 1))
    return Standing(
        score=np.empty(rows),
        place=np.empty(rows, np.int32),
        found=np.empty((parts, cells + 1, 2), np.int64),
        near=np.empty(len(state.book.rows.cash), np.int32),
        near_count=np.empty(len(state.blocks), np.int64),
    )


def _half(state: State) -> int:
    """Cells of a leg from score 0 up, and as many below."""
    half = _MOST
    while half > _FEWEST and 4 * half * len(state.instruments) > _ALL_CELLS:
        half //= 2
    return half


def _cells(sides: Sides, policy: AdlPolicy, number: int) -> Cells:
    """Cells round the middle of a sample's scores, those from 0 up and those below each by themselves."""
    rows, legs = sides.long.book.rows, 2 * len(sides.long.instruments)
    half = _half(sides.long)
    shift = _SHIFT + (_MOST // half).bit_length() - 1
    row = np.linspace(0, len(rows.lots) - 1, min(_SAMPLE, len(rows.lots))).astype(np.int64)
    scores = sides.scores(row, policy, number).view(np.int64)
    size = (scores & MAGNITUDE) >> shift
    above, below = size[scores >= 0], size[scores < 0]
    return Cells(
        half=half,
        shift=shift,
        best=int(np.median(above)) + half // 2 if len(above) else 0,
        nearest=int(np.median(below)) - half // 2 if len(below) else 0,
        nowhere=2 * half * legs,
    )


def _admit_near(
    sides: Sides, policy: AdlPolicy, number: int, cells: Cells, by_count: bool, standing: Standing
) -> None:
    """Let in the accounts whose equity is so near zero that only whole numbers tell (rules R5, R40)."""
    state = sides.long
    some = np.flatnonzero(standing.near_count)
    if not len(some):
        return
    first = state.blocks[some, 1]
    spans = zip(first, first + standing.near_count[some], strict=True)
    near = np.concatenate([standing.near[a:b] for a, b in spans])
    row = places(state.book, near)
    row = row[(state.book.rows.lots[row] != 0.0) & (standing.place[row] == cells.nowhere)]
    row = row[sides.able(row)]
    if not len(row):
        return
    scores, place = sides.scores(row, policy, number), np.empty(len(row), np.int32)
    place_rows(scores, state.book.rows.leg[row], cells, place)
    standing.score[row], standing.place[row] = scores, place
    _tally(state, row, place, by_count, standing, 1)


def _dismiss(state: State, cells: Cells, by_count: bool, standing: Standing) -> None:
    """Take out the rows of accounts that are not deleveraged (rules R106, R108)."""
    if not len(state.never):
        return
    row = places(state.book, state.book.slot[np.unique(state.never)])
    row = row[standing.place[row] != cells.nowhere]
    _tally(state, row, standing.place[row], by_count, standing, -1)
    standing.score[row], standing.place[row] = np.nan, cells.nowhere


def _tally(
    state: State, row: IntArray, place: IntArray, by_count: bool, standing: Standing, sign: int
) -> None:
    """Count rows in at their places, or out."""
    lots: Any = 1 if by_count else np.abs(state.book.rows.lots[row]).astype(np.int64)
    index = _part_of(state, row, len(standing.found)) * standing.found.shape[1] + place
    np.add.at(standing.found.reshape(-1, 2)[:, 0], index, sign * lots)
    np.add.at(standing.found.reshape(-1, 2)[:, 1], index, sign)


def _part_of(state: State, row: IntArray, parts: int) -> IntArray:
    """Which part of the blocks rows are in."""
    blocks, rows = state.blocks, state.book.rows
    first = blocks[[len(blocks) * p // parts for p in range(parts)], 1]
    return np.searchsorted(first, row_slots(rows)[row], side="right") - 1
