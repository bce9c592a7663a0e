"""Who may run kernels: Python threads by turns where the layer below asks for it, no forked child.

numba's ``workqueue`` layer aborts the process when two threads start parallel kernels at once; which layer it
is shows when the first parallel kernel is compiled or loaded. A child forked after its parent used the
package is killed by GNU OpenMP at its first parallel kernel, and waits for ever for the threads of polars.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numba

__all__ = ["begin", "free", "refuse_fork", "turn"]

#: Layers that take parallel kernels from several threads at once.
_SHARED = ("omp", "tbb")

#: Whether kernels may simply be called.
free = False
_turns = threading.Lock()
_used = _dead = False


def refuse_fork() -> None:
    """Raise where going on would end or stop the process.

    Raises
    ------
    ForkError
        In a child forked after its parent ran kernels.
    """
    if _dead:
        from fastadl.errors import ForkError

        raise ForkError(
            "this process was forked from one that had used fastadl, which neither OpenMP nor polars "
            "survives: start processes by spawn or forkserver"
        )


def begin() -> None:
    """Called before a kernel runs, unless `free`."""
    global _used
    refuse_fork()
    _used = True


@contextmanager
def turn() -> Iterator[None]:
    """Hold while a parallel kernel runs, unless `free`."""
    global free
    begin()
    with _turns:
        yield
        free = _layer() in _SHARED


def _layer() -> str | None:
    """The threading layer in use, or None before the first parallel kernel."""
    try:
        return numba.threading_layer()
    except ValueError:
        return None


def _after_fork() -> None:
    """Told to a child: locks of threads that are not there any more are open again."""
    global free, _turns, _dead
    _turns = threading.Lock()
    free, _dead = False, _used


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
