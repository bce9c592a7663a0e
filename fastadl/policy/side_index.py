"""Losses and lots that a whole side of a market takes through an index: O(1) a bankruptcy, settled lazily."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Final

from fastadl.errors import InputError

__all__ = ["SideIndex", "Stake", "index_delta"]

#: `SideIndex.multiplier` of a side that lost no quantity yet.
ONE: Final = 10**15
#: Steps of quantity in one contract.
STEPS: Final = 10**6


def index_delta(loss: int, quantity: int, scale: int) -> int:
    """How far an index moves when a quantity bears a loss: ``⌈loss · scale / quantity⌉`` (rule R94).

    Rounded up, so that what the holders pay is never less than the loss.

    Parameters
    ----------
    loss : int
        Atoms, not negative.
    quantity : int
        What bears it, more than 0.
    scale : int
        Steps of the index in one atom per unit of quantity.

    Raises
    ------
    InputError
        If nothing bears the loss.

    Notes
    -----
    Drift v2 (protocol-v2, controller/liquidation.rs) moves the cumulative funding of both sides by the loss
    over long plus short open interest, rounded up. Mango v4 and Vertex move theirs alike.

    Examples
    --------
    >>> index_delta(100, 5 + 5, 10**9)
    10000000000
    """
    _whole(loss=loss, quantity=quantity, scale=scale)
    if loss < 0:
        raise InputError(("loss",), loss, "give a loss that is not negative")
    if quantity <= 0:
        raise InputError(("quantity",), quantity, "give what bears the loss, more than 0")
    return -(-loss * scale // quantity)


def _whole(**numbers: object) -> None:
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, Integral):
            raise InputError((name,), number, "give a whole number")


@dataclass(frozen=True, slots=True)
class Stake:
    """A position on a side, as it was when it last settled.

    Attributes
    ----------
    quantity : int
        Millionths of a contract, unsigned.
    multiplier, index : int
        Those of the `SideIndex` at that time.
    """

    quantity: int
    multiplier: int
    index: int


@dataclass(frozen=True, slots=True)
class SideIndex:
    """One side of a market that takes bankrupt positions of the other side through two numbers.

    A bankruptcy changes `multiplier`, by which every quantity of the side shrinks, and `index`, the profit of
    a quantity since the start; nobody's account is read. A position settles when its owner next acts, in O(1)
    and in any order.

    Attributes
    ----------
    quantity : int
        Open interest of the side, in millionths of a contract.
    multiplier : int
        A, 10^15 at first. Where it falls to 0 the side is closed: its positions settle, and a new one begins.
    index : int
        K, in atoms · 10^15 per contract.

    Raises
    ------
    InputError
        If a number is negative that cannot be.

    Notes
    -----
    Percolator (github.com/aeyakovenko/percolator, spec.md sections 5.2 to 5.4): ΔK = −⌈D·A·10^6/OI⌉,
    A′ = ⌊A·(OI − q)/OI⌋; a position of quantity b, settled when the numbers were a and k, is ⌊b·A/a⌋ now and
    its profit is ⌊b·(K − k)/(a·10^6)⌋. So all roundings go against the holders.

    Examples
    --------
    >>> side = SideIndex(10_000_000)
    >>> stake = side.stake(5_000_000)
    >>> after, paid = side.absorb(1_000, closed=4_000_000, fund=300)
    >>> paid, after.quantity
    (300, 6000000)
    >>> after.settled(stake)
    (3000000, -350)
    """

    quantity: int
    multiplier: int = ONE
    index: int = 0

    def __post_init__(self) -> None:
        _whole(quantity=self.quantity, multiplier=self.multiplier, index=self.index)
        if self.quantity < 0:
            raise InputError(("quantity",), self.quantity, "give a number that is not negative")
        if self.multiplier < (self.quantity > 0):
            raise InputError(("multiplier",), self.multiplier, "give a number above 0; 0 is a closed side")

    def absorb(self, deficit: int, *, closed: int = 0, fund: int = 0) -> tuple[SideIndex, int]:
        """Take over a bankrupt position of the other side and what it owes.

        Parameters
        ----------
        deficit : int
            Atoms.
        closed : int
            Quantity of the bankrupt position, which this side loses too.
        fund : int
            Atoms that the insurance fund has; it pays first.

        Returns
        -------
        (SideIndex, int)
            The side after it, and what the fund paid.

        Raises
        ------
        InputError
            If a number is negative, more is closed than the side holds, or nobody bears the deficit.
        """
        _whole(deficit=deficit, closed=closed, fund=fund)
        if not 0 <= closed <= self.quantity:
            raise InputError(("closed",), closed, f"give at most the open interest, {self.quantity}")
        paid = max(0, min(deficit, fund))
        if deficit == paid and not closed:
            return self, paid
        moved = index_delta(deficit - paid, self.quantity, self.multiplier * STEPS)
        left = self.quantity - closed
        multiplier = self.multiplier * left // self.quantity
        return SideIndex(left if multiplier else 0, multiplier, self.index - moved), paid

    def stake(self, quantity: int) -> Stake:
        """A position of some quantity that is settled now; refused on a closed side."""
        _whole(quantity=quantity)
        if quantity < 0:
            raise InputError(("quantity",), quantity, "give a number that is not negative")
        if self.multiplier == 0:
            raise InputError(("quantity",), quantity, "begin a new side: nothing is left of this one")
        return Stake(quantity, self.multiplier, self.index)

    def settled(self, stake: Stake) -> tuple[int, int]:
        """What is left of a position's quantity, and its profit in atoms since it last settled."""
        quantity = stake.quantity * self.multiplier // stake.multiplier
        profit = stake.quantity * (self.index - stake.index) // (stake.multiplier * STEPS)
        return quantity, profit
