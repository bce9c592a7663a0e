"""Who may run parallel kernels: Python threads by turns where the layer asks for it, no forked child.

numba's ``workqueue`` layer aborts the process when two threads start parallel kernels at once, and GNU OpenMP
kills a child that was forked after its parent had started any. Both are known only once the layer is chosen,
which is when the first parallel kernel is compiled or loaded.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numba

__all__ = ["free", "layer", "refuse_fork", "turn"]

#: Layers that take parallel kernels from several threads at once.
_SHARED = ("omp", "tbb")

#: Whether parallel kernels may simply be called.
free = False
_turns = threading.Lock()
_dead = False


def layer() -> str | None:
    """The threading layer in use, or None before the first parallel kernel."""
    try:
        return numba.threading_layer()
    except ValueError:
        return None


def refuse_fork() -> None:
    """Raise where a parallel kernel would end the process.

    Raises
    ------
    ForkError
        In a child forked after its parent ran parallel kernels on GNU OpenMP.
    """
    if _dead:
        from fastadl.errors import ForkError

        raise ForkError(
            "this process was forked from one that had run parallel kernels, which OpenMP does not survive: "
            "start processes by spawn or forkserver, or set NUMBA_THREADING_LAYER=workqueue"
        )


@contextmanager
def turn() -> Iterator[None]:
    """Hold while a parallel kernel runs, unless `free`."""
    global free
    refuse_fork()
    with _turns:
        yield
        free = layer() in _SHARED


def _after_fork() -> None:
    """Told to a child: locks of threads that are not there any more are open again."""
    global free, _turns, _dead
    _turns = threading.Lock()
    if layer() == "omp" and _vendor() == "GNU":
        free, _dead = False, True


def _vendor() -> str:
    from numba.np.ufunc import omppool  # type: ignore[attr-defined]

    return str(getattr(omppool, "openmp_vendor", "GNU"))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
