"""Wake-up levels exactly: how far the rows of an account may fall, who wakes, and trees of maxima."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from fastadl.contracts import Instruments
from fastadl.reference.account import equity, maintenance_margin
from fastadl.reference.layout import open_rows
from fastadl.schema import Float64Array

if TYPE_CHECKING:
    from fastadl.kernels.layout import Rows

__all__ = ["ascending", "enlist", "headroom", "lay", "lowest", "rise", "settle", "tally", "wake", "worth"]


def ascending(x: float) -> int:
    """The upper half of a float64 as a number that ascends with it."""
    (bits,) = struct.unpack("<q", struct.pack("<d", x + 0.0))
    return int((bits if bits >= 0 else bits ^ 0x7FFFFFFFFFFFFFFF) >> 32)


def lowest(level: int) -> Fraction:
    """The least exact worth that is above a level: what rounds to the least float64 that is."""
    bits = (level + 1) << 32
    bits = bits if bits >= 0 else bits ^ 0x7FFFFFFFFFFFFFFF
    (least,) = struct.unpack("<d", struct.pack("<q", bits))
    return Fraction(least) - abs(Fraction(least)) / 2**53


def worth(leg: int, units: Sequence[Fraction]) -> Fraction:
    """What one lot is worth to its holder: the unit value, of a short with the other sign."""
    return -units[leg >> 1] if leg & 1 else units[leg >> 1]


def headroom(rows: Rows, slot: int, worths: Mapping[int, Fraction], instruments: Instruments) -> Fraction:
    """Equity less maintenance margin with a worth for each of the account's legs."""
    left = Fraction(int(rows.cash[slot]))
    for row in open_rows(rows, slot):
        value = abs(row.lots) * worths[int(rows.leg[row.at])]
        left += value - row.entry - instruments[row.instrument].maintenance_margin(abs(value))
    return left


def settle(
    rows: Rows, slot: int, units: Sequence[Fraction], instruments: Instruments
) -> dict[int, Fraction] | None:
    """The least worths, by leg, of which all at once an account is safe; None if it is not (rule R125)."""
    room = equity(rows, slot, units) - maintenance_margin(rows, slot, units, instruments)
    exposed = Fraction(0)
    for row in open_rows(rows, slot):
        item, value = instruments[row.instrument], row.lots * units[row.instrument]
        exposed += abs(value)
        if value < 0:
            exposed += item.maintenance_margin(-2 * value) - item.maintenance_margin(-value)
    if room < 0 and open_rows(rows, slot):
        return None
    part = min(Fraction(1), room / exposed) if exposed else Fraction(1)
    now = {int(rows.leg[row.at]): worth(int(rows.leg[row.at]), units) for row in open_rows(rows, slot)}
    return {leg: each - part * abs(each) for leg, each in now.items()}


def lay(
    rows: Rows, units: Sequence[Fraction], instruments: Instruments
) -> dict[int, dict[int, Fraction] | None]:
    """What `settle` says of every account."""
    found = {}
    for slot, account in enumerate(rows.account.tolist()):
        if account >= 0:
            found[account] = settle(rows, slot, units, instruments)
    return found


def wake(
    levels: Mapping[tuple[int, int], int], moved: Iterable[int], unit: Float64Array, waiting: Iterable[int]
) -> set[int]:
    """Accounts waiting, and those with a row whose level its worth has reached; levels by account and leg."""
    named = set(moved)
    found = set(waiting)
    for (account, leg), level in levels.items():
        now = -unit[leg >> 1] if leg & 1 else unit[leg >> 1]
        if leg >> 1 in named and ascending(float(now)) <= level:
            found.add(account)
    return found


def enlist(accounts: Iterable[int], waiting: Iterable[int]) -> set[int]:
    """Accounts waiting, and those from 0 up among others."""
    return {*waiting, *(account for account in accounts if account >= 0)}


def tally(rows: Rows, slots: Iterable[int], legs: int) -> list[int]:
    """Open rows of some accounts, by leg."""
    count = [0] * legs
    for slot in slots:
        for row in open_rows(rows, slot):
            count[int(rows.leg[row.at])] += 1
    return count


def rise(levels: Sequence[int], fan: int) -> list[int]:
    """The greatest of every so many."""
    return [max(levels[i : i + fan]) for i in range(0, len(levels), fan)]
