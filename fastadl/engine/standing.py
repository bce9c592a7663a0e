"""Where every position stands in the ranking of its symbol and side: lights and percentiles (rule R99)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import polars as pl

from fastadl.book import Book, row_slots, slots_of
from fastadl.engine.ranking import candidates, context_of
from fastadl.engine.scoring import scoring
from fastadl.engine.state import State, held_legs, places
from fastadl.errors import InputError
from fastadl.kernels.lights import Groups, cell_lights, gather, settle
from fastadl.kernels.measure import ONE_BY_ONE, Context, measure
from fastadl.kernels.standing import MAGNITUDE, Cells, Standing, place_rows, stand
from fastadl.policy import AdlPolicy
from fastadl.schema import BoolArray, Float64Array, IntArray

__all__ = ["Standings", "lights", "percentiles"]

#: Cells of all legs together, about; fewest and most of a leg from score 0 up, and as many below.
_ALL_CELLS, _FEWEST, _MOST = 1 << 20, 16, 512
#: Bits of a score that the finest cells leave out: they tell sign, exponent and five bits of the fraction.
_SHIFT = 47
#: Scores that the range of the cells is chosen by.
_SAMPLE = 4096
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
        rows = self._book.rows
        held = np.flatnonzero(self._standing())
        account = rows.account[row_slots(rows)[held]]
        order = np.argsort(account, kind="stable")
        leg = rows.leg[held[order]].astype(np.uint32)
        return pl.DataFrame(
            {
                "account": self._book.accounts.gather(account[order].astype(np.uint32)),
                "symbol": pl.Series(self._book.instruments.symbols).gather(leg >> 1),
                "side": pl.Series(["long", "short"]).gather(leg & 1),
                self.what: self.values[held[order]],
            }
        )


def lights(state: State, policy: AdlPolicy, number: int, by: object) -> Standings:
    """Lights of all rows; `number` is the tick's, for a ranking drawn by it."""
    out = np.zeros(len(state.book.rows.lots), np.uint8)
    _write(state, policy, number, _by_count(by), out, np.empty(0))
    return Standings("light", out, _as_it_is(state))


def percentiles(state: State, policy: AdlPolicy, number: int, by: object) -> Standings:
    """Percentiles of all rows; arguments as in `lights`."""
    out = np.full(len(state.book.rows.lots), np.nan)
    _write(state, policy, number, _by_count(by), np.empty(0, np.uint8), out)
    return Standings("percentile", out, _as_it_is(state))


def _as_it_is(state: State) -> Book:
    """The book, whose rows stay where they are though fills should move those of the engine."""
    book = state.book.read_only()
    if state.room is not None:
        book.rows = book.rows._replace(leg=book.rows.leg.copy(), account=book.rows.account.copy())
    return book


def _by_count(by: object) -> bool:
    if by not in ("quantity", "count"):
        raise InputError(("by",), by, "say quantity, or count for every position alike")
    return by == "count"


def _write(
    state: State, policy: AdlPolicy, number: int, by_count: bool, light: IntArray, share: Float64Array
) -> None:
    """Write lights or shares, whichever has places."""
    one_key = isinstance(policy.score, str) and not policy.then
    one_tier = policy.tiers == "given" and not state.book.adl_tier.any()
    if len(state.book.rows.lots) == 0:
        return
    if one_key and one_tier:
        _by_cells(state, policy, number, by_count, light, share)
    else:
        _by_ranking(state, policy, number, by_count, light, share)


# ---------------------------------------------------------------------- any policy


def _by_ranking(
    state: State, policy: AdlPolicy, number: int, by_count: bool, light: IntArray, share: Float64Array
) -> None:
    """Sort the candidates of every leg: what further keys, tiers and scores of one's own need."""
    none = np.zeros(len(state.book.rows.cash), np.bool_)
    for found in candidates(state, held_legs(state.book), policy, none, number):
        ranked = found.ranked()
        lots = np.ones(len(ranked), np.int64) if by_count else found.lots[ranked]
        reached = np.cumsum(lots)
        total = int(lots.sum())
        if len(light):
            steps = np.array([j * total // 5 for j in range(1, 5)])
            light[found.row[ranked]] = 5 - np.searchsorted(steps, reached, side="left")
        else:
            share[found.row[ranked]] = reached / total


# ---------------------------------------------------------------------- one score, one tier


def _by_cells(
    state: State, policy: AdlPolicy, number: int, by_count: bool, light: IntArray, share: Float64Array
) -> None:
    """One pass for the scores, one for the lights, and a look at the few rows that these leave open."""
    rows, legs = state.book.rows, 2 * len(state.instruments)
    context = context_of(state, policy, number)
    how = scoring(policy.score)
    cells = _cells(state, policy, context)
    parts = min(numba.get_num_threads(), max(_COUNTERS // cells.nowhere, 1))
    standing = Standing(
        score=np.empty(len(rows.lots)),
        place=np.empty(len(rows.lots), np.int32),
        found=np.zeros((parts, cells.nowhere + 1, 2), np.int64),
        near=np.empty(len(rows.cash), np.int32),
        near_count=np.empty(len(state.blocks), np.int64),
    )
    unit = np.repeat(state.marks.unit, 2)
    stand(how.number, how.needs, how.own, by_count, unit, cells, state.blocks, context, standing)
    _admit_near(state, policy, context, cells, by_count, standing)
    _dismiss(state, cells, by_count, standing)

    together = _TOGETHER if len(share) else 0
    room = 4 * legs if len(light) else min(2 * legs + 2 * len(rows.lots) // _TOGETHER, cells.nowhere)
    groups = Groups(
        light=np.empty(cells.nowhere + 1, np.uint8),
        group=np.empty(cells.nowhere, np.int32),
        start=np.empty(room + 1, np.int64),
        before=np.empty(room, np.int64),
        cursor=np.empty((parts, room), np.int64),
    )
    total = np.empty(legs, np.int64)
    many = cell_lights(standing.found, together, total, groups)
    count = int(groups.start[many])
    members = np.empty(3 * count, np.int64)
    gather(groups, state.blocks, standing, by_count, context, members, light)
    settle(many, members, groups, total, context, light, share)


def _cells(state: State, policy: AdlPolicy, context: Context) -> Cells:
    """Cells round the middle of a sample's scores, those from 0 up and those below each by themselves."""
    rows, legs = state.book.rows, 2 * len(state.instruments)
    half = _MOST
    while half > _FEWEST and 2 * half * legs > _ALL_CELLS:
        half //= 2
    shift = _SHIFT + (_MOST // half).bit_length() - 1
    row = np.linspace(0, len(rows.lots) - 1, min(_SAMPLE, len(rows.lots))).astype(np.int64)
    scores = _scores(policy, row, context).view(np.int64)
    size = (scores & MAGNITUDE) >> shift
    above, below = size[scores >= 0], size[scores < 0]
    return Cells(
        half=half,
        shift=shift,
        best=int(np.median(above)) + half // 2 if len(above) else 0,
        nearest=int(np.median(below)) - half // 2 if len(below) else 0,
        nowhere=2 * half * legs,
    )


def _scores(policy: AdlPolicy, row: IntArray, context: Context) -> Float64Array:
    """Scores of some rows."""
    how = scoring(policy.score)
    slot = slots_of(context, row)
    parts = np.empty((3, len(row)))
    measure(how.number, how.needs, how.own, row, slot.astype(np.int32), *ONE_BY_ONE, context, parts)
    return parts[0].copy()


def _admit_near(
    state: State, policy: AdlPolicy, context: Context, cells: Cells, by_count: bool, standing: Standing
) -> None:
    """Let in the accounts whose equity is so near zero that only whole numbers tell (rules R5, R40)."""
    some = np.flatnonzero(standing.near_count)
    if not len(some):
        return
    first = state.blocks[some, 1]
    spans = zip(first, first + standing.near_count[some], strict=True)
    near = np.concatenate([standing.near[a:b] for a, b in spans])
    able = near[state.equity_floor(near) >= 0]
    row = places(state.book, able)
    row = row[state.book.rows.lots[row] != 0.0]
    if not len(row):
        return
    scores, place = _scores(policy, row, context), np.empty(len(row), np.int32)
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
