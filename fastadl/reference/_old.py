"""The same answers in plain Python with unlimited integers.

Two uses: the engine asks here about the few rows that 62-bit integers or pairs of float64 cannot decide, and
the tests hold every kernel against these functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor, trunc
from typing import NamedTuple

import numpy as np

from fastadl.contracts import Instruments
from fastadl.kernels.fill import Bankrupt, Fills, Ranked
from fastadl.kernels.layout import Rows, locate

__all__ = [
    "Row",
    "affordable",
    "bankruptcy_values",
    "close",
    "equity",
    "fill",
    "fitting_lots",
    "gross",
    "largest_remainder",
    "leverage_shares",
    "maintenance_margin",
    "open_rows",
    "profit",
    "threshold_shares",
]


class Row(NamedTuple):
    """An open row: its place in the book, instrument, signed lots and entry value."""

    at: int
    instrument: int
    lots: int
    entry: int


def open_rows(rows: Rows, slot: int) -> list[Row]:
    """Open rows of an account, by (symbol, long first)."""
    g = int(locate(rows.group_slot, slot))
    first = int(rows.group_row[g] + slot - rows.group_slot[g])
    width = int(rows.group_slot[g + 1] - rows.group_slot[g])
    places = range(first, first + width * int(rows.group_rows[g]), width)
    return [
        Row(at, int(rows.leg[at]) >> 1, int(rows.lots[at]), int(rows.entry[at]))
        for at in places
        if rows.lots[at] != 0
    ]


def profit(rows: Rows, slot: int, units: Sequence[Fraction]) -> Fraction:
    """Unrealised profit of an account (rule R3); `units` are exact unit values by instrument."""
    return sum((row.lots * units[row.instrument] - row.entry for row in open_rows(rows, slot)), Fraction(0))


def equity(rows: Rows, slot: int, units: Sequence[Fraction]) -> Fraction:
    """Cash and unrealised profit of an account (rule R3)."""
    return int(rows.cash[slot]) + profit(rows, slot, units)


def gross(rows: Rows, slot: int, units: Sequence[Fraction]) -> Fraction:
    """Gross notional of an account (rule R3)."""
    return sum((abs(row.lots * units[row.instrument]) for row in open_rows(rows, slot)), Fraction(0))


def maintenance_margin(
    rows: Rows, slot: int, units: Sequence[Fraction], instruments: Instruments
) -> Fraction:
    """Maintenance margin of an account (rules R3, R4)."""
    return sum(
        (
            instruments[row.instrument].maintenance_margin(abs(row.lots * units[row.instrument]))
            for row in open_rows(rows, slot)
        ),
        Fraction(0),
    )


def largest_remainder(shares: Sequence[Fraction]) -> list[int]:
    """Whole shares of a whole sum: floors, and one more for the largest remainders (rule R16).

    Ties go to the earlier share.
    """
    whole = [floor(share) for share in shares]
    missing = sum(shares, Fraction(0)) - sum(whole)
    order = sorted(range(len(shares)), key=lambda j: (whole[j] - shares[j], j))
    for j in order[: int(missing)]:
        whole[j] += 1
    return whole


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


def affordable(
    bankrupt: Bankrupt, i: int, rows: Rows, slot: int, transfer: Fraction, units: Sequence[Fraction]
) -> int:
    """Lots a counterparty can close against a bankrupt row and stay above zero (rule R45).

    Parameters
    ----------
    bankrupt : Bankrupt
    i : int
        The bankrupt row.
    rows : Rows
    slot : int
        The counterparty.
    transfer : Fraction
        Transfer unit value, where the row's value is not whole.
    units : sequence of Fraction
        Exact unit values at mark, by instrument.
    """
    at, lots = int(bankrupt.row[i]), int(bankrupt.lots[i])
    signed = lots if rows.lots[at] > 0 else -lots
    price = Fraction(int(bankrupt.value[i])) if bankrupt.whole_value[i] else signed * transfer
    worth = signed * units[int(rows.leg[at]) >> 1]
    if price <= worth:
        return lots
    free = equity(rows, slot, units) - 1
    return min(lots, floor(free * lots / (price - worth))) if free >= 0 else 0


def fill(
    bankrupt: Bankrupt, ranked: Ranked, rows: Rows, transfer: Fraction, units: Sequence[Fraction] | None
) -> Fills:
    """Pair bankrupt rows with candidates and move lots and money (rules R13, R42, R45).

    Parameters
    ----------
    bankrupt, ranked, rows : as in `fastadl.kernels.fill.fill`
        Written.
    transfer : Fraction
        Transfer unit value, where a row's value is not whole.
    units : sequence of Fraction, optional
        Exact unit values at mark; given when no counterparty may end below zero.
    """
    fills = []
    for i in range(len(bankrupt.row)):
        at, all_lots = int(bankrupt.row[i]), int(bankrupt.lots[i])
        side = 1 if rows.lots[at] > 0 else -1
        total = int(bankrupt.value[i]) if bankrupt.whole_value[i] else side * all_lots * transfer
        for c in range(len(ranked.row)):
            done = int(bankrupt.done[i])
            lots = min(all_lots - done, int(ranked.quota[c]))
            if units is not None and lots > 0:
                lots = min(lots, affordable(bankrupt, i, rows, int(ranked.slot[c]), transfer, units))
            if lots <= 0:
                continue
            value = ceil(Fraction(total) * (done + lots) / all_lots) - ceil(Fraction(total) * done / all_lots)
            lost = close(rows, int(bankrupt.slot[i]), at, lots, value)
            won = close(rows, int(ranked.slot[c]), int(ranked.row[c]), lots, -value)
            fills.append((i, c, lots, value, lost, won))
            bankrupt.done[i] += lots
            ranked.quota[c] -= lots
    return Fills(*np.array(fills, np.int64).reshape(-1, 6).T.copy())


def close(rows: Rows, slot: int, at: int, closed: int, value: int) -> int:
    """Close lots of a row for a value; returns the realised profit (rule R10)."""
    entry, held = int(rows.entry[at]), int(rows.lots[at])
    released = entry if closed == abs(held) else trunc(Fraction(entry * closed, abs(held)))
    rows.entry[at] = entry - released
    rows.lots[at] = held - closed if held > 0 else held + closed
    rows.cash[slot] += value - released
    return value - released


def threshold_shares(cap: Sequence[int], weight: Sequence[int], budget: int) -> list[Fraction]:
    """Exact ``min(cap, τ · weight)`` that add up to `budget`; `weight` positive, `budget` within reach."""
    order = sorted(range(len(cap)), key=lambda j: Fraction(cap[j], weight[j]))
    left, total = budget, sum(weight)
    shares = [Fraction(c) for c in cap]
    for place, j in enumerate(order):
        if cap[j] * total > left * weight[j]:
            for k in order[place:]:
                shares[k] = Fraction(left * weight[k], total)
            break
        left -= cap[j]
        total -= weight[j]
    return shares


def leverage_shares(
    cap: Sequence[int], gross: Sequence[int], equity: Sequence[int], unit: Fraction, need: int
) -> list[Fraction]:
    """Exact shares that bring the most levered accounts down to one leverage (rule R43 ``leverage_fill``).

    Parameters
    ----------
    cap, gross, equity : sequences of int
        `equity` at least 1.
    unit : Fraction
        |unit value|.
    need : int
        Below the sum of `cap`.
    """
    accounts = list(zip(cap, gross, equity, strict=True))

    def given(level: Fraction) -> list[Fraction]:
        return [min(max((g - level * e) / unit, Fraction(0)), Fraction(c)) for c, g, e in accounts]

    corners: set[Fraction] = {Fraction(g, e) for _, g, e in accounts} | {
        (g - c * unit) / e for c, g, e in accounts
    }
    points = sorted(corners)
    low, high = 0, len(points) - 1
    while high - low > 1:
        middle = (low + high) // 2
        if sum(given(points[middle])) >= need:
            low = middle
        else:
            high = middle
    most, least = sum(given(points[low])), sum(given(points[high]))
    share = (most - need) / (most - least) if most != least else Fraction(0)
    return given(points[low] + share * (points[high] - points[low]))
