"""What one account adds to the exposure of a market (rule R118)."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, NamedTuple

from fastadl.reference.layout import open_rows, places
from fastadl.reference.pressure import sum_rows

if TYPE_CHECKING:
    from fastadl.kernels.layout import Rows
    from fastadl.kernels.watch import Exposure

__all__ = ["Added", "expose"]


class Added(NamedTuple):
    """What an account adds."""

    passes: int  # bounds of leverage
    gross: float
    lots: dict[int, int]  # by leg
    debts: dict[tuple[int, int], int]  # by direction and size
    fallen: dict[tuple[int, int, int], int]  # lots by leg, direction and the smallest size that fells it


def expose(rows: Rows, slot: int, exposure: Exposure) -> Added:
    """Lots by leverage, notional, and what shocks would leave of it."""
    fixed, direct, inverse, gross = float(rows.cash[slot]), 0.0, 0.0, 0.0
    for at in places(rows, slot):
        lots, leg = float(rows.lots[at]), int(rows.leg[at])
        fixed -= float(rows.entry[at])
        direct += lots * float(exposure.linear[leg])
        inverse += lots * float(exposure.inverse[leg])
        gross += abs(lots * float(exposure.linear[leg])) + abs(lots * float(exposure.inverse[leg]))
    equity = fixed + direct + inverse
    every, left = sum_rows(rows, slot)
    debts, fallen = {}, {}
    for way, (kept, back) in enumerate(zip(exposure.kept.tolist(), exposure.back.tolist(), strict=True)):
        shocked = [fixed + direct * f + inverse * b for f, b in zip(kept, back, strict=True)]
        owed = {k: ceil(-worth) for k, worth in enumerate(shocked) if worth < 0.0 and open_rows(rows, slot)}
        debts.update({(way, k): debt for k, debt in owed.items()})
        if owed:
            fallen.update({(leg, way, min(owed)): n for leg, n in left.items()})
    passes = sum(gross > bound * equity for bound in exposure.leverage.tolist())
    return Added(passes, gross, every, debts, fallen)
