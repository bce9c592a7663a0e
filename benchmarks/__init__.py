"""Benchmarks: what fastadl costs, beside rivals and the machine's own limit. See README.md."""

from contextlib import suppress

with suppress(ImportError):
    import lrvx  # noqa: F401  # first: its C++ runtime needs thread-local memory that later libraries use up
