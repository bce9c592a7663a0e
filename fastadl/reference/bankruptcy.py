"""Bankrupt accounts: netting of hedges, and what closing each row must pay (rules R24, R25)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from fastadl.reference.allocate import largest_remainder
from fastadl.reference.money import release
from fastadl.schema import Int64Array, IntArray

if TYPE_CHECKING:
    from fastadl.kernels.layout import Rows

__all__ = ["bankruptcy_values", "net_hedges"]


def net_hedges(
    start: Int64Array,
    row: Int64Array,
    slots: IntArray,
    rows: Rows,
    pair_lots: Int64Array,
    pair_pnl: Int64Array,
) -> None:
    """Close each account's long and short of one symbol against each other, at mark (rule R24)."""
    for s, slot in enumerate(slots):
        mine = {int(rows.leg[row[r]]): r for r in range(start[s], start[s + 1])}
        for leg, r in mine.items():
            if leg & 1 == 0 and leg + 1 in mine:
                long, short = row[r], row[mine[leg + 1]]
                held, owed = int(rows.lots[long]), -int(rows.lots[short])
                closed = min(held, owed)
                released = release(rows, long, closed, held) + release(rows, short, closed, owed)
                rows.cash[slot] -= released
                pair_lots[r], pair_pnl[r] = closed, -released


def bankruptcy_values(
    lots: Sequence[int],
    units: Sequence[Fraction],
    margins: Sequence[Fraction] | None,
    entry: Sequence[int],
    cash: int,
) -> list[int]:
    """Bankruptcy values of one account's rows before any is cut at price zero (rule R25).

    Parameters
    ----------
    lots, units, entry : sequences (rows)
        Signed lots, exact unit value of each row's instrument, entry values.
    margins : sequence (rows), optional
        Maintenance margins to share by; None, or all zero: by notional.
    cash : int
    """
    values = [n * u for n, u in zip(lots, units, strict=True)]
    shortfall = sum(entry) - cash - sum(values)
    weights = margins if margins is not None and any(margins) else [abs(value) for value in values]
    total = sum(weights, Fraction(0))
    return largest_remainder(
        [value + shortfall * weight / total for value, weight in zip(values, weights, strict=True)]
    )
