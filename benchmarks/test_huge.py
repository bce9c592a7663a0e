"""A hundred million positions in one process."""

from __future__ import annotations

from typing import Any

import pytest

from fastadl.bench.build import probe

POSITIONS = 100_000_000
MOST = 24 << 30


@pytest.mark.huge
def test_a_hundred_million_positions_build_fit_and_tick(benchmark: Any) -> None:
    """Unit: one position. Left out: nothing; the book is drawn, guards are made, prices move once.

    The time is that of the whole process; seconds and peaks of each step stand beside it.
    """
    said = benchmark.pedantic(probe, args=("grow", str(POSITIONS)), rounds=1)
    benchmark.extra_info.update(said)
    assert said["positions"] == POSITIONS
    assert said["peak_tick_bytes"] <= MOST
