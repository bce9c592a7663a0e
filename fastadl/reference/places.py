"""Rows that accounts have, open or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastadl.schema import BoolArray, IntArray

if TYPE_CHECKING:
    from fastadl.kernels.layout import Rows

__all__ = ["clear_group", "make_rows"]


def make_rows(account: IntArray, leg: IntArray, held: dict[int, set[int]]) -> None:
    """Note the legs that accounts have rows of from now on, open or not; `held` is written."""
    for who, which in zip(account.tolist(), leg.tolist(), strict=True):
        held[who].add(which)


def clear_group(many: int, rows: Rows, used: BoolArray) -> int:
    """The group of a size with the fewest accounts, if those fit into the free slots of the others; or −1."""
    free = {
        g: (rows.account[rows.group_slot[g] : rows.group_slot[g + 1]] < 0).tolist()
        for g in range(len(used))
        if used[g] and rows.group_rows[g] == many
    }
    spare = sum(sum(group) for group in free.values())
    fit = [g for g, group in free.items() if len(group) <= spare]
    return min(fit, key=lambda g: free[g].count(False), default=-1)
