"""Losses charged to every holder, in Python integers (rules R16, R94)."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from fastadl.reference.allocate import largest_remainder
from fastadl.reference.layout import places
from fastadl.schema import Int64Array

if TYPE_CHECKING:
    from fastadl.kernels.layout import Rows

__all__ = ["index_charges", "share_by_owner"]


def share_by_owner(start: Int64Array, amount: Int64Array, weight: Int64Array, part: Int64Array) -> None:
    """Share whole amounts by weight, each over rows of its own, ties to the earlier row."""
    for whole, (first, last) in zip(amount.tolist(), pairwise(start.tolist()), strict=True):
        mine = weight[first:last].tolist()
        part[first:last] = largest_remainder([Fraction(whole * each, sum(mine) or 1) for each in mine])


def index_charges(rows: Rows, delta: Int64Array, charge: Int64Array) -> None:
    """What the rows of every account pay when indices move by `delta` (whole atoms, nano-atoms) a lot."""
    for slot in range(len(charge)):
        charge[slot] = 0
        for at in places(rows, slot):
            whole, nano = delta[:, rows.leg[at]].tolist()
            charge[slot] += -(-(whole * 10**9 + nano) * abs(int(rows.lots[at])) // 10**9)
