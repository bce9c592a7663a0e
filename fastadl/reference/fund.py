"""The insurance fund's takeover of bankrupt positions, within its room (rules R14, R27)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING

from fastadl.reference.money import close, take
from fastadl.schema import Int64Array, IntArray

if TYPE_CHECKING:
    from fastadl.kernels.bankruptcy import Work
    from fastadl.kernels.layout import Rows
    from fastadl.kernels.money import Reserve

__all__ = ["fitting_lots", "takeover"]


def fitting_lots(room: Fraction, lots: int, value: int, worth: Fraction) -> int:
    """Lots of a row that the fund has room for (rule R27).

    Parameters
    ----------
    room : Fraction
    lots : int
        Lots left, unsigned.
    value : int
        Bankruptcy value of these lots.
    worth : Fraction
        Their value at mark.
    """
    if room <= 0:
        return 0
    if value <= worth:
        return lots
    return min(lots, floor(room * lots / (value - worth)))


def takeover(
    work: Work,
    members: IntArray,
    currency: int,
    left: Int64Array,
    value: Int64Array,
    rows: Rows,
    units: Sequence[Fraction],
    reserve: Reserve,
    room: Fraction,
) -> tuple[dict[int, int], dict[int, int]]:
    """Take over rows of bankrupt accounts of one currency, in order, while there is room (rules R14, R27).

    Parameters
    ----------
    work, members, currency, left, value, rows, reserve
        As in `fastadl.kernels.fund.takeover`; the last four are written.
    units : sequence of Fraction
        Exact unit values by instrument.
    room : Fraction

    Returns
    -------
    taken, paid : dict
        Lots taken of each row, and cash paid for the debt of each account, where there are any.
    """
    taken, paid = {}, {}
    for a in members:
        slot, mine = int(work.slot[a]), range(int(work.start[a]), int(work.start[a + 1]))
        for r in mine:
            instrument, side = int(work.leg[r]) >> 1, 1 if work.lots[r] > 0 else -1
            lots, total = int(left[r]), int(value[r])
            fits = fitting_lots(room, lots, total, side * lots * units[instrument])
            if fits > 0:
                pays = total * fits // lots
                close(rows, slot, int(work.row[r]), fits, pays)
                take(reserve, instrument, side, fits, pays)
                left[r], value[r], taken[r] = lots - fits, total - pays, fits
                room += side * fits * units[instrument] - pays
        debt = -int(rows.cash[slot])
        amount = min(debt, floor(room))
        if amount > 0 and not any(left[r] for r in mine):
            rows.cash[slot] += amount
            reserve.cash[currency] -= amount
            room -= amount
            paid[int(a)] = amount
    return taken, paid
