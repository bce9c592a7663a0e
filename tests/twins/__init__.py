"""Every public kernel beside its twin in `fastadl.reference`, with inputs at the edges."""

from twins import (
    ahead,
    arithmetic,
    demand,
    fills,
    liquidation,
    live,
    money,
    positions,
    pressure,
    ranking,
    shares,
    socialize,
    stages,
    standing,
    wake,
    watch,
)
from twins.pair import Pair

#: By the kernel's name in `fastadl.kernels._jit.compiled`.
PAIRS: dict[str, Pair] = {
    **ahead.PAIRS,
    **arithmetic.PAIRS,
    **demand.PAIRS,
    **fills.PAIRS,
    **live.PAIRS,
    **money.PAIRS,
    **liquidation.PAIRS,
    **positions.PAIRS,
    **pressure.PAIRS,
    **shares.PAIRS,
    **ranking.PAIRS,
    **shares.PAIRS,
    **socialize.PAIRS,
    **stages.PAIRS,
    **standing.PAIRS,
    **wake.PAIRS,
    **watch.PAIRS,
}

__all__ = ["PAIRS", "Pair"]
