"""What a way of charging answers."""

from __future__ import annotations

from dataclasses import dataclass

from fastadl.schema import Int64Array, IntArray

__all__ = ["Charged"]


@dataclass(frozen=True, slots=True)
class Charged:
    """Who is charged how much in one currency.

    Attributes
    ----------
    slot : int (n)
        Each account once.
    amount : int64 (n)
        Atoms.
    covered : int
        What of it pays debts; the rest is the fund's.
    """

    slot: IntArray
    amount: Int64Array
    covered: int
