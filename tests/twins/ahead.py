"""The pair that counts what is ahead of one position."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from fastadl.engine.scoring import scoring
from fastadl.kernels.ahead import Ahead, Seeker
from fastadl.kernels.scores import NEEDS, SCORES
from fastadl.reference import ahead
from fastadl.reference.account import evaluate
from fastadl.reference.measure import measure
from twins.books import Case, cases
from twins.pair import Pair
from twins.ranking import context_of

#: What unit values are multiplied by at the moments.
factors = st.sampled_from([[1.0], [1.0, 0.5], [1.0, 0.75, 1.25, 1.5, 0.1, 3.0, 0.9, 1.1]])


@st.composite
def sought(draw: st.DrawFn) -> tuple[Any, ...]:
    """A book, a leg, and scores that somebody has or nobody."""
    found = draw(cases(most=12))
    number, scales = draw(st.integers(0, len(SCORES) - 1)), draw(factors)
    leg = draw(st.integers(0, 2 * len(found.instruments) - 1))
    context = context_of(found)
    rows = np.flatnonzero((found.rows.leg == leg) & (found.rows.lots != 0)).tolist()
    theirs = [
        measure(number, None, row, slot_of(found, row), now)["score"]
        for row in rows
        for now in (context._replace(unit=found.marks.unit * scale) for scale in scales)
    ]
    known = st.sampled_from([*theirs, np.inf, -np.inf, 0.0])
    score = draw(st.lists(known, min_size=3 * len(scales), max_size=3 * len(scales)))
    count = len(found.slots)
    seeker = Seeker(
        leg=leg,
        slot=draw(st.integers(0, max(count - 1, 0))),
        tie=draw(st.integers(0, count)),
        score=np.array(score, np.float64).reshape(3, -1),
        skipped=np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)), np.bool_),
    )
    return found, number, scales, seeker, draw(st.integers(1, 3))


def slot_of(found: Case, row: int) -> int:
    g = int(np.searchsorted(found.rows.group_row, row, side="right")) - 1
    width = found.rows.group_slot[g + 1] - found.rows.group_slot[g]
    return int(found.rows.group_slot[g] + (row - found.rows.group_row[g]) % width)


def same_counts(kernel: Any, twin: Any, arguments: Any) -> None:
    found, number, scales, seeker, parts = arguments
    context, blocks = context_of(found), found.blocks(3)
    unit = np.stack([found.marks.unit * scale for scale in scales], 1)
    out = Ahead(
        lots=np.zeros((parts, 4, len(scales)), np.int64),
        rows=np.zeros((parts, 4), np.int64),
        near=np.full(len(found.slots), -1, np.int32),
        near_count=np.full(len(blocks), -1, np.int64),
    )
    kernel(number, NEEDS[number], scoring(SCORES[number]).own, seeker, unit, blocks, context, out)
    spans = zip(blocks[:, 1], out.near_count, strict=True)
    near = {int(slot) for first, many in spans for slot in out.near[first : first + many]}
    lots, rows = np.zeros((4, len(scales)), np.int64), np.zeros(4, np.int64)
    for slot in set(found.slots.tolist()) - near:
        for m in range(len(scales)):
            one = seeker._replace(score=seeker.score[:, m : m + 1])
            rival = twin(number, one, slot, context._replace(unit=unit[:, m]))
            if rival is not None:
                ahead_of = np.array([*rival[1], m == 0])
                lots[:, m] += rival[0] * ahead_of
                rows += ahead_of if m == 0 else 0
    assert out.lots.sum(axis=0).tolist() == lots.tolist()
    assert out.rows.sum(axis=0).tolist() == rows.tolist()
    worth = found.rows.lots[:, None] * unit[found.rows.leg >> 1]
    money = found.rows.entry, found.rows.cash, worth
    sizes = sum(np.abs(column.astype(np.float64)).sum() for column in money)
    for slot in near:  # only those near zero are left out
        equity = [account_equity(found, slot, unit[:, m]) for m in range(len(scales))]
        assert min(map(abs, equity)) <= 1e-9 * (1.0 + sizes + np.abs(equity).max())


def account_equity(found: Case, slot: int, unit: Any) -> float:
    return float(evaluate(found.rows, slot, unit, found.margins)[0])


PAIRS = {"ahead.count_ahead": Pair(ahead.count_ahead, sought(), same_counts)}
