"""Eight float64 at a time: the compiled operations are the plain ones, and the mark pass has no seams."""

from __future__ import annotations

from fractions import Fraction

import numba
import numpy as np
import pytest

from fastadl.contracts import Instrument, Kind, Tier
from fastadl.kernels import lanes
from fastadl.kernels.mark import scan
from fastadl.reference import mark as twin
from twins.books import Case, case


@numba.njit
def _operations(source, table, index, target):
    lanes.prefetch(source, 1 << 20)
    taken = lanes.multiply_add(lanes.load(source, 3), lanes.take(table, index, 1), lanes.load(source, 0))
    lanes.store(target, 2, taken)
    return lanes.below(taken)


@pytest.mark.parametrize("index_type", [np.uint16, np.uint32])
def test_lanes_are_what_the_plain_expressions_say(index_type: type) -> None:
    rng = np.random.default_rng(5)
    source, table = rng.standard_normal(16), rng.standard_normal(70_000)
    index = rng.integers(0, len(table) if index_type is np.uint32 else 1 << 16, 16).astype(index_type)
    target = np.zeros(16)
    below = _operations(source, table, index, target)
    expected = source[3:11] * table[index[1:9]] + source[0:8]
    np.testing.assert_allclose(target[2:10], expected, rtol=1e-15)
    assert not target[:2].any()
    assert not target[10:].any()
    assert below == (expected < 0.0).sum()


@pytest.mark.parametrize("value", [-0.0, 0.0, np.nan, np.inf, 5e-324])
def test_only_numbers_below_zero_are_below(value: float) -> None:
    source = np.zeros(16)
    source[0:3] = value
    target = np.zeros(16)
    assert _operations(source, np.zeros(1), np.zeros(16, np.uint16), target) == 0


@pytest.mark.parametrize("accounts", [1, 7, 8, 9, 16, 1003])
@pytest.mark.parametrize("rows", range(1, 10))
def test_the_mark_pass_finds_the_same_at_every_width(rows: int, accounts: int) -> None:
    """Blocks of whole and of broken lanes, columns in fours and what is left of them."""
    found = linear_book(rows, accounts)
    rng = np.random.default_rng(rows * accounts)
    guard = rng.standard_normal(accounts) * 100.0
    weight = rng.standard_normal(2 * len(found.instruments))
    assert_found(found, guard, weight, size=64)
    assert_found(found, guard, weight, size=accounts)


def linear_book(rows: int, accounts: int) -> Case:
    """Accounts that all hold longs and shorts of as many instruments."""
    tiers = (Tier(Fraction(0), Fraction(1, 100), Fraction(0)),)
    listed = [
        Instrument(symbol=f"S{i}", kind=Kind.LINEAR, contract_size=Fraction(1), lot=Fraction(1), tiers=tiers)
        for i in range(rows)
    ]
    rng = np.random.default_rng(rows)
    lots = rng.integers(1, 100, (accounts, rows)) * rng.choice([-1, 1], (accounts, rows))
    return case(listed, [(0, [(i, int(n), 0) for i, n in enumerate(held)]) for held in lots])


def assert_found(found: Case, guard: np.ndarray, weight: np.ndarray, *, size: int) -> None:
    blocks = found.blocks(size)
    slots, count = np.full(len(guard), -1, np.int32), np.full(len(blocks), -1, np.int64)
    scan(found.rows, guard, weight, blocks, slots, count)
    suspects = [s for (_, first, _), n in zip(blocks, count, strict=True) for s in slots[first : first + n]]
    assert suspects == twin.scan(found.rows, guard, weight)
    assert len(suspects) or len(guard) < 10
