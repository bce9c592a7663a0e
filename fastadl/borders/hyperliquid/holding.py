"""One user's position in one coin, as fills move it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from fastadl.borders.hyperliquid.universe import DECIMALS

__all__ = ["Holding", "Origin", "atoms"]

_ATOMS = 10**DECIMALS
#: Parts of an atom that are kept, so that fractions stay short.
_PARTS = 10**9


class Origin:
    """Where an entry value comes from."""

    FILLS = "fills"  #: all of the position was built by fills
    GIVEN = "given"  #: it was handed in
    CLOSED_PNL = "closed_pnl"  #: the closed pnl of the first fill that closed a part says what it must be
    FIRST_PRICE = "first_price"  #: unknown: the price of the first fill stands in for it


def atoms(money: Fraction) -> Fraction:
    """Money in atoms, of which there may be a part."""
    return money * _ATOMS


@dataclass(slots=True)
class Holding:
    """A position at average cost.

    Attributes
    ----------
    size : Fraction
        Signed.
    entry : Fraction
        Entry value in atoms, of the sign of `size`, to a billionth: a part that is closed takes its share
        with it, and whole atoms would let many small closes drift.
    doubt : Fraction
        How many atoms the entry value may be off, because it was derived from a rounded number.
    origin : str
        One of `Origin`.
    """

    size: Fraction = Fraction(0)
    entry: Fraction = Fraction(0)
    doubt: Fraction = Fraction(0)
    origin: str = Origin.FILLS

    @property
    def entry_atoms(self) -> int:
        """Entry value rounded against the holder (rule R11)."""
        return ceil(self.entry)

    def open(self, size: Fraction, price: Fraction) -> None:
        """Add to the position."""
        self.size += size
        self.entry = _short(self.entry + atoms(size * price))

    def closes(self, change: Fraction) -> Fraction:
        """How much of the position a change closes, of the position's sign."""
        if self.size * change >= 0:
            return Fraction(0)
        return self.size if abs(change) >= abs(self.size) else -change

    def learn(self, closed: Fraction, price: Fraction, profit: Fraction) -> bool:
        """Derive the entry value from the profit (atoms) of closing a part; False if it cannot be."""
        share = self.size / closed
        entry = (atoms(closed * price) - profit) * share
        if entry * self.size <= 0:
            return False
        # a printed profit is rounded to an atom, and what is closed stands for `share` times as much
        self.entry, self.doubt, self.origin = _short(entry), _short(share), Origin.CLOSED_PNL
        return True

    def close(self, closed: Fraction, price: Fraction) -> tuple[Fraction, Fraction]:
        """Close a part: its profit, and how far that may be off, in atoms."""
        share = closed / self.size
        released, doubt = _short(self.entry * share), _short(self.doubt * share)
        self.size -= closed
        self.entry -= released
        self.doubt -= doubt
        if not self.size:
            self.origin = Origin.FILLS
        return atoms(closed * price) - released, doubt


def _short(number: Fraction) -> Fraction:
    return Fraction(round(number * _PARTS), _PARTS)
