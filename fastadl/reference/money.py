"""How money and lots move (rules R10, R12, R15)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING

from fastadl.reference.layout import places
from fastadl.reference.wide import trunc_scaled
from fastadl.schema import Int64Array, IntArray

if TYPE_CHECKING:
    from fastadl.kernels.layout import Rows
    from fastadl.kernels.money import Reserve

__all__ = ["close", "close_rows", "find_rows", "first_come", "release", "take", "values"]


def release(rows: Rows, at: int, closed: int, held: int) -> int:
    """Take `closed` of the `held` lots off a row; returns the entry value released (rule R10)."""
    entry = int(rows.entry[at])
    released = entry if closed == held else trunc_scaled(entry, closed, held)
    rows.entry[at] = entry - released
    rows.lots[at] += -closed if rows.lots[at] > 0 else closed
    return released


def close(rows: Rows, slot: int, at: int, closed: int, value: int) -> int:
    """Close lots of a row for a value; returns the realised profit (rule R10)."""
    profit = value - release(rows, at, closed, abs(int(rows.lots[at])))
    rows.cash[slot] += profit
    return profit


def take(reserve: Reserve, instrument: int, side: int, taken: int, value: int) -> int:
    """The fund or the market takes lots of one side for `value`; returns what it realises (rule R12)."""
    held = int(reserve.lots[instrument])
    closed = min(taken, abs(held)) if held * side < 0 else 0
    paid = trunc_scaled(value, closed, taken)
    released = trunc_scaled(int(reserve.entry[instrument]), closed, abs(held)) if closed else 0
    reserve.lots[instrument] = held + side * taken
    reserve.entry[instrument] += value - paid - released
    gained = -paid - released
    reserve.cash[reserve.currency[instrument]] += gained
    reserve.realized[instrument] += gained
    return gained


def find_rows(rows: Rows, slot: IntArray, leg: IntArray, row: Int64Array) -> None:
    """Place of each (account, leg) row, open or not, or −1."""
    for i, (who, which) in enumerate(zip(slot, leg, strict=True)):
        row[i] = next((at for at in places(rows, int(who)) if rows.leg[at] == which), -1)


def close_rows(
    rows: Rows,
    slot: IntArray,
    row: IntArray,
    closed: Int64Array,
    value: Int64Array,
    other: Int64Array,
    reserve: Reserve,
    profit: Int64Array,
    gained: Int64Array,
) -> None:
    """Close parts of rows in order, the other side taking each (rules R10, R12, R77)."""
    for i, at in enumerate(row):
        side, instrument = (1 if rows.lots[at] > 0 else -1), int(rows.leg[at]) >> 1
        lots, worth = int(closed[i]), int(value[i])
        profit[i] = close(rows, int(slot[i]), int(at), lots, worth)
        who, same, opposite = (int(part) for part in other[:, i])
        if who < 0:
            gained[i] = take(reserve, instrument, side, lots, worth)
            continue
        owed = min(lots, abs(int(rows.lots[opposite]))) if opposite >= 0 else 0
        paid = trunc_scaled(worth, owed, lots)
        gained[i] = close(rows, who, opposite, owed, -paid) if owed else 0
        if lots > owed:
            rows.lots[same] += side * (lots - owed)
            rows.entry[same] += worth - paid


def values(lots: Int64Array, which: IntArray, units: Sequence[Fraction]) -> list[int]:
    """Values of signed lots in whole atoms, rounded down (rule R15)."""
    return [floor(int(n) * units[key]) for n, key in zip(lots, which, strict=True)]


def first_come(key: IntArray, asked: Int64Array, left: Int64Array, given: Int64Array) -> None:
    """Give everybody in turn min(asked, what is left of the key)."""
    for i, (which, most) in enumerate(zip(key, asked, strict=True)):
        given[i] = min(most, left[which])
        left[which] -= given[i]
