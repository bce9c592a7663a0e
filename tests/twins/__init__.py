"""Every public kernel beside its twin in `fastadl.reference`, with inputs at the edges."""

from twins import arithmetic, positions, stages
from twins.pair import Pair

#: By the kernel's name in `fastadl.kernels._jit.compiled`.
PAIRS: dict[str, Pair] = {**arithmetic.PAIRS, **positions.PAIRS, **stages.PAIRS}

__all__ = ["PAIRS", "Pair"]
