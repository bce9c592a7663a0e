"""Benchmarks: what fastadl costs, beside what one would use instead, and beside the machine's own limit.

One table of cases (`fastadl.bench.cases`) feeds ``fastadl bench`` and the pytest-benchmark suite.
"""

from contextlib import suppress
from importlib import import_module

__all__ = ["reserve"]


def reserve() -> None:
    """Load lrvx, if there, before numba and polars: it needs thread-local memory that they may use up."""
    with suppress(ImportError):
        import_module("lrvx")
