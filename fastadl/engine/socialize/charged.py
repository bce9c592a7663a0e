"""What is to be charged, and what charging answers."""

from __future__ import annotations

from dataclasses import dataclass

from fastadl.schema import Int64Array, IntArray

__all__ = ["Bill", "Charged", "Charges"]


@dataclass(frozen=True, slots=True)
class Bill:
    """What is charged to everybody; small, and all that those who charge have to be told.

    Attributes
    ----------
    debts : tuple of int (currencies)
        Atoms of each currency that may be charged.
    owed : int64 (legs) or None
        Where indices move, the part of the debts that rows of each leg left.
    """

    debts: tuple[int, ...]
    owed: Int64Array | None


@dataclass(frozen=True, slots=True)
class Charged:
    """Who of a part of the crowd is charged how much in one currency.

    Attributes
    ----------
    slot : int (n)
        Each account once.
    amount : int64 (n)
        Atoms.
    covered : int
        What all are charged together for debts.
    total : int
        What all are charged together; what is not for debts is the fund's.
    """

    slot: IntArray
    amount: Int64Array
    covered: int
    total: int


@dataclass(frozen=True, slots=True)
class Charges:
    """Who of a part of the crowd is charged how much.

    Attributes
    ----------
    amount : int64 (slots)
        Atoms; of this part alone.
    covered, rest : tuple of int (currencies)
        What all are charged together for debts, and beyond that for the fund.
    fund_place : int
        Of the fund among accounts, as in `fastadl.engine.socialize.moves.Moves`; −1 where it gets nothing.
    """

    amount: Int64Array
    covered: tuple[int, ...]
    rest: tuple[int, ...]
    fund_place: int
