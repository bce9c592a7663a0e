"""The table of all benchmarks, in the order they are run and shown."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from fastadl.bench.borders import BORDERS
from fastadl.bench.build import BUILD, COLD, MEMORY
from fastadl.bench.deep import DEEP
from fastadl.bench.distance import DISTANCE
from fastadl.bench.incremental import INCREMENTAL
from fastadl.bench.journal import JOURNAL
from fastadl.bench.limit import LIMIT
from fastadl.bench.live import LIVE
from fastadl.bench.mark import MARK, SCALE
from fastadl.bench.monitor import MONITOR
from fastadl.bench.policies import ALLOCATIONS, SCORES
from fastadl.bench.pressure import PRESSURE
from fastadl.bench.rank import SELECT
from fastadl.bench.registry import Group
from fastadl.bench.sharded import SHARDED
from fastadl.bench.standing import STANDING
from fastadl.bench.ticks import CROWD, TICKS
from fastadl.errors import InputError

__all__ = ["GROUPS", "chosen"]

GROUPS: tuple[Group, ...] = (
    *(
        LIMIT,
        MARK,
        SCALE,
        SELECT,
        STANDING,
        DISTANCE,
        PRESSURE,
        DEEP,
        TICKS,
        CROWD,
        LIVE,
        INCREMENTAL,
        JOURNAL,
        SCORES,
        ALLOCATIONS,
        BUILD,
        MEMORY,
    ),
    *(COLD, BORDERS, MONITOR, SHARDED),
)


def chosen(names: Sequence[str]) -> tuple[Group, ...]:
    """The groups of these names, in the order of the table; all if none is named."""
    known = [group.name for group in GROUPS]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
            raise InputError(("only",), name, f"give one of {', '.join(known)}; the nearest is {near}")
    return tuple(group for group in GROUPS if group.name in names or not names)
