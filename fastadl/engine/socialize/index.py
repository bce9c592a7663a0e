"""Charging every holder through an index that moves once a symbol and side (rule R94)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from fastadl import reference
from fastadl.engine.bankruptcy import Bankruptcies
from fastadl.engine.collective import Steps, Sum
from fastadl.engine.holdings import lots_without
from fastadl.engine.results import exact_sum
from fastadl.engine.socialize.charged import Charged
from fastadl.engine.state import State
from fastadl.kernels.socialize import NANO, index_charges, share_by_owner
from fastadl.policy import index_delta
from fastadl.schema import Float64Array, Int64Array, IntArray

__all__ = ["Holders", "charge_holders", "debts_by_leg", "taken_by_owner"]

#: Sums of weights that kernels take.
_MOST = 2.0**61


def taken_by_owner(doomed: Bankruptcies, taken: Int64Array) -> Float64Array:
    """Σ |value| of what the fund took from each bankrupt account at mark, to float64."""
    total: Float64Array = np.zeros(len(doomed.work.slot))
    np.add.at(total, doomed.owner, np.abs(taken))
    return total


def debts_by_leg(state: State, doomed: Bankruptcies, taken: Int64Array, part: Int64Array) -> Int64Array:
    """What is charged of the debts of bankrupt accounts, shared by the rows taken at mark, by leg.

    Parameters
    ----------
    state : State
    doomed : Bankruptcies
    taken : int64 (rows)
        Value the fund paid for each row at mark.
    part : int64 (accounts)
        What of each debt is charged; 0 where nothing was taken.
    """
    wide = (taken_by_owner(doomed, taken) >= _MOST).any()
    share = reference.share_by_owner if wide else share_by_owner
    by_row = np.zeros(len(taken), np.int64)
    share(doomed.work.start, part, np.abs(taken), by_row)
    owed = np.zeros(2 * len(state.instruments), np.int64)
    np.add.at(owed, doomed.work.leg, by_row)
    return owed


@dataclass(frozen=True, slots=True)
class Holders:
    """Those who hold rows, and what they hold together.

    Attributes
    ----------
    state : State
        Of this part.
    aside : int (n)
        Slots of those who are not charged here.
    lots : int64 (legs)
        Of all parts.
    """

    state: State
    aside: IntArray
    lots: Int64Array

    @classmethod
    def of(cls, state: State, aside: IntArray) -> Steps[Holders]:
        """All but some."""
        return cls(state, aside, (yield Sum(lots_without(state, aside))))


def charge_holders(
    holders: Holders, owed: Int64Array, opposite: bool, currency: int, budget: int
) -> Steps[Charged]:
    """Move one index for each symbol, or symbol and side, and charge all its holders.

    Parameters
    ----------
    holders : Holders
    owed : int64 (legs)
        From `debts_by_leg`.
    opposite : bool
        Charge only the side opposite to the bankrupt rows, instead of both.
    currency, budget : int
    """
    state = holders.state
    rank = state.instruments.rank
    legs = np.flatnonzero((owed > 0) & (np.repeat(state.instruments.currency, 2) == currency)).tolist()
    groups: dict[tuple[int, ...], int] = {}
    for leg in sorted(legs, key=lambda leg: (rank[leg >> 1], leg & 1)):
        payers = (leg ^ 1,) if opposite else (leg & ~1, leg | 1)
        groups[payers] = groups.get(payers, 0) + int(owed[leg])
    total = sum(groups.values())
    exact = [Fraction(budget * part, total) for part in groups.values()]
    delta, covered = np.zeros((2, len(owed)), np.int64), 0
    for reached, share in zip(groups, reference.largest_remainder(exact), strict=True):
        holding = sum(int(holders.lots[leg]) for leg in reached)
        if holding:
            covered += share
            delta[:, reached] = np.array(divmod(index_delta(share, holding, NANO), NANO))[:, None]
    charge = np.zeros(len(state.book.rows.cash), np.int64)
    index_charges(state.book.rows, delta, state.blocks, charge)
    charge[holders.aside] = 0
    slot = np.flatnonzero(charge)
    return Charged(slot, charge[slot], covered, (yield Sum(exact_sum(charge[slot]))))
