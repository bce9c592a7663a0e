"""Every public kernel beside its twin in `fastadl.reference`, with inputs at the edges."""

from twins import (
    arithmetic,
    fills,
    live,
    money,
    positions,
    pressure,
    ranking,
    shares,
    socialize,
    stages,
    standing,
)
from twins.pair import Pair

#: By the kernel's name in `fastadl.kernels._jit.compiled`.
PAIRS: dict[str, Pair] = {
    **arithmetic.PAIRS,
    **fills.PAIRS,
    **live.PAIRS,
    **money.PAIRS,
    **positions.PAIRS,
    **pressure.PAIRS,
    **shares.PAIRS,
    **ranking.PAIRS,
    **shares.PAIRS,
    **socialize.PAIRS,
    **stages.PAIRS,
    **standing.PAIRS,
}

__all__ = ["PAIRS", "Pair"]
