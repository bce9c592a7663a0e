"""How much is tried where kernels are not compiled."""

from __future__ import annotations

from numba import config


def fewer(count: int) -> int:
    """So many, or a quarter of them without compiling.

    What is right is proven of machine code. Uncompiled the same tests show that every line is run, and that
    no index leaves its array, which machine code does not notice.
    """
    return -(-count // 4) if config.DISABLE_JIT else count
