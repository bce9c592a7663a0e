"""What a counterparty can bear, exactly (rules R45, R86)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING

from fastadl.contracts import Instruments
from fastadl.kernels.guard import BELOW_ZERO, HEALTH, UNCUT
from fastadl.reference.account import equity, maintenance_margin, row_margin

if TYPE_CHECKING:
    from fastadl.kernels.fill import Bankrupt
    from fastadl.kernels.layout import Rows

__all__ = ["allowed", "cost", "healthy", "solvent"]


def cost(bankrupt: Bankrupt, i: int, rows: Rows, transfer: Fraction, units: Sequence[Fraction]) -> Fraction:
    """What a lot of a bankrupt row costs its counterparty: X/q − s·u."""
    at, lots = int(bankrupt.row[i]), int(bankrupt.lots[i])
    side = 1 if rows.lots[at] > 0 else -1
    price = Fraction(int(bankrupt.value[i]), lots) if bankrupt.whole_value[i] else side * transfer
    return price - side * units[int(rows.leg[at]) >> 1]


def solvent(worth: Fraction, loss: Fraction, lots: int) -> int:
    """Lots, of those asked for, that leave an account of equity `worth` above zero (rule R45)."""
    if loss <= 0:
        return lots
    return min(lots, floor((worth - 1) / loss)) if worth >= 1 else 0


def healthy(
    rows: Rows, slot: int, at: int, most: int, loss: Fraction, units: Sequence[Fraction],
    instruments: Instruments,
) -> int:  # fmt: skip
    """The largest number of lots up to `most` that leaves equity over margin where it is (rule R86).

    The margin that is left is the largest of one line per tier and of zero, so the condition is one
    inequality, linear in the number of lots, for each of them.
    """
    worth, needed = equity(rows, slot, units), maintenance_margin(rows, slot, units, instruments)
    instrument, held = int(rows.leg[at]) >> 1, abs(int(rows.lots[at]))
    now = row_margin(held, instrument, units, instruments)

    def holds(k: int) -> bool:
        left = row_margin(held - k, instrument, units, instruments) if k < held else 0
        return (worth - k * loss - 1) * needed >= worth * (needed - now + left)

    if holds(most):
        return most
    lines = [(tier.maintenance_rate, tier.deduction) for tier in instruments[instrument].tiers]
    for rate, deduction in [*lines, (Fraction(0), Fraction(0))]:
        per_lot = rate * abs(units[instrument])
        falling = needed * loss - worth * per_lot
        if falling > 0:
            most = min(most, floor((worth * (now - per_lot * held + deduction) - needed) / falling))
    return most if most > 0 and holds(most) else 0


def allowed(
    bankrupt: Bankrupt,
    i: int,
    slot: int,
    at: int,
    lots: int,
    rows: Rows,
    transfer: Fraction,
    units: Sequence[Fraction],
    instruments: Instruments | None,
) -> tuple[int, int]:
    """Lots of a fill that the guard lets through, and why not all of them.

    Parameters
    ----------
    bankrupt : Bankrupt
    i : int
        The bankrupt row.
    slot, at, lots : int
        The counterparty, its row, and the lots it is asked for.
    rows : Rows
    transfer : Fraction
        Transfer unit value, where the row's value is not whole.
    units : sequence of Fraction
        Exact unit values at mark, by instrument.
    instruments : Instruments, optional
        Given when its health may not fall (rule R86); else rule R45 alone holds.
    """
    loss = cost(bankrupt, i, rows, transfer, units)
    most = solvent(equity(rows, slot, units), loss, lots)
    if most > 0 and loss > 0 and instruments is not None:
        kept = healthy(rows, slot, at, most, loss, units, instruments)
        if kept < most:
            return kept, HEALTH
    return most, BELOW_ZERO if most < lots else UNCUT
