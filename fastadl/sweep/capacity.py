"""How many trials this machine runs at a time."""

from __future__ import annotations

import os

from fastadl import memory
from fastadl.stress.lab import memory_of, refuse_beyond_memory
from fastadl.sweep.executor import Work

__all__ = ["at_a_time", "cores"]

#: Bytes of a process with its kernels.
_PROCESS = 240 << 20


def at_a_time(workers: int | None, work: Work, trials: int) -> int:
    """How many trials run at a time: as many as are asked for, or one for each core where memory allows.

    Parameters
    ----------
    workers : int or None
    work : Work
    trials : int
        How many there are.

    Raises
    ------
    MemoryLimitError
        If a single one does not fit the memory that is free, or not as many as are asked for.
    """
    largest = max(work.experiments, key=memory_of)
    refuse_beyond_memory(largest)
    wanted = min(cores() if workers is None else workers, trials)
    free = memory.available()
    if wanted < 2 or free is None:
        return wanted
    each = _PROCESS + memory_of(largest)
    if workers is None:
        return max(1, min(wanted, free // each))
    memory.refuse_beyond(wanted * each, ("workers",), str(wanted))
    return wanted


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
