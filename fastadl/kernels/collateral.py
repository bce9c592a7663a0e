"""What accounts have free beyond their margins, in float64 with a bound on the error (rule R104)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastadl.kernels._jit import kernel
from fastadl.kernels.layout import locate
from fastadl.kernels.mark import margin

__all__ = ["Ladder", "collateral"]

_EPSILON = 2.0**-53
#: A notional nearer to a border than this part of it may belong to either tier.
_NEAR = 2.0**-48


class Ladder(NamedTuple):
    """Initial margins as kernels read them; one entry per tier but `start`."""

    start: Any  # int32 (instruments + 1)
    least: Any  # float64   smallest notional, atoms
    rate: Any  # float64   1 over the largest leverage; below 0: none is given


@kernel
def collateral(rows, slots, unit, margins, ladder, out):
    """Least of cash and equity less the larger margin, initial or maintenance, and a bound on the error.

    The bound is infinite near a tier's border.

    Parameters
    ----------
    rows : Rows
    slots : int32 (n)
    unit : float64 (instruments)
        Unit values.
    margins : Margins
    ladder : Ladder
    out : float64 (2, n)
        Written.
    """
    for s in range(slots.shape[0]):
        slot = slots[s]
        g = locate(rows.group_slot, slot)
        width = rows.group_slot[g + 1] - rows.group_slot[g]
        at = rows.group_row[g] + slot - rows.group_slot[g]
        cash = float(rows.cash[slot])
        equity, size, unsure = cash, abs(cash), 0.0
        initial, maintenance = 0.0, 0.0
        for _ in range(rows.group_rows[g]):
            lots = rows.lots[at]
            if lots != 0.0:
                instrument = rows.leg[at] >> 1
                value = lots * unit[instrument]
                notional, entry = abs(value), float(rows.entry[at])
                equity += value - entry
                size += 2.0 * notional + abs(entry)
                rate = -1.0
                for t in range(ladder.start[instrument], ladder.start[instrument + 1]):
                    if abs(notional - ladder.least[t]) <= _NEAR * notional:
                        unsure = np.inf
                    if ladder.least[t] <= notional:
                        rate = ladder.rate[t]
                kept = margin(notional, instrument, margins)
                maintenance += kept
                initial += kept if rate < 0.0 else rate * notional
            at += width
        needed = max(initial, maintenance)
        out[0, s] = min(cash, equity) - needed
        out[1, s] = _EPSILON * (16.0 + 8.0 * rows.group_rows[g]) * (size + needed) + unsure
