"""Pairs of the demand (rule R111)."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from fastadl.kernels.demand import Falls
from fastadl.kernels.pressure import BINS
from fastadl.reference import demand
from twins.books import Case, cases
from twins.pair import Pair
from twins.pressure import hedged

sizes = st.lists(st.sampled_from([0.01, 0.1, 0.25, 0.5, 0.9, 0.999]), min_size=1, unique=True).map(sorted)
shocked = st.tuples(st.one_of(cases(), cases(stand="bankrupt"), hedged()), sizes, st.integers(1, 3))


def falls_of(found: Case, given: list[float]) -> Falls:
    unit, inverse = np.repeat(found.marks.unit, 2), np.repeat(found.instruments.inverse, 2)
    kept = np.array([[1 - size for size in given], [1 + size for size in given]])
    linear, backward = np.where(inverse, 0.0, unit), np.where(inverse, unit, 0.0)
    return Falls(
        linear, backward, bool(inverse.any()), kept, 1.0 / kept, found.instruments.currency, *found.margins
    )


def debts(found: Case, falls: Falls) -> dict[tuple[int, int, int], tuple[int, int]]:
    """Debt and class by account, direction and size."""
    every = np.ndindex(len(found.slots), *falls.kept.shape)
    told = {each: demand.count_debts(found.rows, each[0], falls, *each[1:], BINS) for each in every}
    return {each: debt for each, debt in told.items() if debt is not None}


def waiting_of(found: Case) -> Any:
    """Every fourth account."""
    return np.arange(len(found.slots)) % 4 == 3


def near_of(found: Case, falls: Falls) -> set[int]:
    """Accounts that float64 cannot judge at one of the shocks."""
    every = np.ndindex(len(found.slots), *falls.kept.shape)
    return {each[0] for each in every if demand.in_doubt(found.rows, each[0], falls, *each[1:])}


def same_debts(kernel: Any, twin: Any, arguments: Any) -> None:
    found, given, parts = arguments
    falls = falls_of(found, given)
    depths = np.zeros((parts, len(found.instruments.currencies), *falls.kept.shape, BINS))
    waiting = waiting_of(found)
    kernel(found.rows, falls, found.blocks(3), waiting, depths)
    expected = np.zeros_like(depths[0])
    near = near_of(found, falls)
    for (slot, way, k), (debt, deep) in debts(found, falls).items():
        if slot in near or waiting[slot]:
            continue
        expected[found.instruments.currencies.index("USD"), way, k, deep] += debt
    np.testing.assert_allclose(depths.sum(axis=0), expected, rtol=1e-14)


def same_lots(kernel: Any, twin: Any, arguments: Any) -> None:
    found, given, parts = arguments
    falls, usd = falls_of(found, given), found.instruments.currencies.index("USD")
    shape = len(found.instruments.currencies), *falls.kept.shape
    for edge in (
        np.full(shape, -1),
        np.full(shape, BINS),
        BINS // 2 + 3 * np.arange(shape[2]) + np.zeros(shape),
    ):
        edge = edge.astype(np.int64)
        legs = np.zeros((parts, 2 * len(found.instruments), 2, len(given)))
        waiting, blocks = waiting_of(found), found.blocks(3)
        near, many = np.full(len(found.slots), -1, np.int32), np.full(len(blocks), -1, np.int64)
        kernel(found.rows, falls, blocks, waiting, edge, legs, near, many)
        spans = zip(blocks[:, 1], many, strict=True)
        told = {slot for first, n in spans for slot in near[first : first + n].tolist()}
        left_out = near_of(found, falls)
        assert told == {slot for slot in left_out if not waiting[slot]}
        expected = np.zeros_like(legs[0])
        for (slot, way, k), (_, deep) in debts(found, falls).items():
            if slot in left_out or waiting[slot]:
                continue
            for leg, n in twin(found.rows, slot, way).items():
                expected[leg, :, k] += (n * (deep < edge[usd, way, k]), n * (deep == edge[usd, way, k]))
        np.testing.assert_allclose(np.cumsum(legs.sum(axis=0), axis=2), expected, rtol=1e-14)


PAIRS = {
    "demand.count_debts": Pair(demand.count_debts, shocked, same_debts),
    "demand.sum_fallen": Pair(demand.sum_fallen, shocked, same_lots),
}
