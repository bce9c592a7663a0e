"""ADL fills: bankrupt rows walk the ranking (rules R13, R42, R44, R45, R85, R86)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from fastadl.contracts import Instruments
from fastadl.kernels.fill import SOUND, UNGUARDED, Fills, Refusals
from fastadl.kernels.guard import UNCUT
from fastadl.reference.guard import allowed
from fastadl.reference.money import close
from fastadl.reference.wide import trunc_scaled
from fastadl.schema import Int64Array

if TYPE_CHECKING:
    from fastadl.kernels.fill import Bankrupt, Ranked
    from fastadl.kernels.layout import Rows

__all__ = ["fill"]


def fill(
    bankrupt: Bankrupt,
    ranked: Ranked,
    rows: Rows,
    transfer: Fraction,
    at_entry: bool,
    guard: int,
    units: Sequence[Fraction],
    instruments: Instruments,
) -> tuple[Fills, Refusals]:
    """Pair bankrupt rows with candidates and move lots and money (rules R13, R42, R45, R85, R86).

    Parameters
    ----------
    bankrupt, ranked, rows, at_entry, guard : as in `fastadl.kernels.fill.fill`
        The first three are written.
    transfer : Fraction
        Transfer unit value, where a row's value is not whole.
    units : sequence of Fraction
        Exact unit values at mark.
    instruments : Instruments
    """
    fills, refusals = [], []
    for i in range(len(bankrupt.row)):
        at, all_lots = int(bankrupt.row[i]), int(bankrupt.lots[i])
        side = 1 if rows.lots[at] > 0 else -1
        total = Fraction(int(bankrupt.value[i])) if bankrupt.whole_value[i] else side * all_lots * transfer
        for c in range(len(ranked.row)):
            slot, row, done = int(ranked.slot[c]), int(ranked.row[c]), int(bankrupt.done[i])
            lots = asked = min(int(bankrupt.need[i]) - done, int(ranked.quota[c]))
            if guard != UNGUARDED and asked > 0:
                under = instruments if guard == SOUND else None
                lots, reason = allowed(bankrupt, i, slot, row, asked, rows, transfer, units, under)
                if reason != UNCUT:
                    refusals.append((i, c, asked - lots, reason))
            if lots <= 0:
                continue
            value = ceil(total * (done + lots) / all_lots) - ceil(total * done / all_lots)
            if at_entry:
                value = -trunc_scaled(int(rows.entry[row]), lots, abs(int(rows.lots[row])))
            lost = close(rows, int(bankrupt.slot[i]), at, lots, value)
            won = close(rows, slot, row, lots, -value)
            fills.append((i, c, lots, value, lost, won))
            bankrupt.done[i] += lots
            ranked.quota[c] -= lots
    return Fills(*_columns(fills, 6)), Refusals(*_columns(refusals, 4))


def _columns(entries: Sequence[tuple[int, ...]], width: int) -> Int64Array:
    return np.array(entries, np.int64).reshape(-1, width).T.copy()
