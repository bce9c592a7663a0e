"""A crash over millions of positions is the same in shards as in one piece."""

from __future__ import annotations

import pytest

import fastadl as fa
from fastadl.recording.entries import difference, outcome

POSITIONS = 5_000_000


@pytest.mark.jit
def test_a_crash_over_millions_of_positions_is_the_same():
    book = fa.synth.book("pareto", positions=POSITIONS, accounts=POSITIONS // 3, instruments=60, seed=5)
    one = fa.Engine(book, policy="bitmex", fund="1000000")
    many = fa.ShardedEngine(book, policy="bitmex", fund="1000000", shards=7, address="inline")
    prices = one.marks * 0.8
    expected, found = one.tick(prices, time=5000), many.tick(prices, time=5000)
    assert difference(outcome(expected), outcome(found)) is None
    assert len(expected.liquidations) > 100_000
    assert len(expected.takeovers) > 1_000
    assert len(expected.adl_fills) > 100_000
    for left, right in zip(one.frames()[1:], many.frames()[1:], strict=True):
        assert left.equals(right)
