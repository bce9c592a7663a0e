"""How far every position is from being deleveraged, and from being liquidated (rules R111, R112)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from fastadl.book import Book
from fastadl.engine.indicator.demand import Demand
from fastadl.engine.indicator.shocks import sides_after
from fastadl.engine.indicator.sides import Sides
from fastadl.engine.indicator.standing import frame_of, room_of, steps_ahead
from fastadl.engine.ranking import by_score_alone
from fastadl.engine.state import State, places
from fastadl.errors import InputError
from fastadl.kernels.liquidation import liquidation_moves
from fastadl.policy import AdlPolicy
from fastadl.schema import Float64Array

__all__ = ["RANKINGS", "Distances", "distances", "liquidations"]

#: Scores that positions are ranked by at a shock: those they would have then, or those they have now.
RANKINGS = ("shocked", "present")


@dataclass(frozen=True, slots=True)
class Distances:
    """How far every position is from both, as of one moment (rules R111, R112).

    Attributes
    ----------
    adl : float64 (rows)
        Size of the smallest shock against the other side at which deleveraging reaches the position, in the
        order of the book's rows (`fastadl.kernels.layout.Rows`). Infinite if none of the shocks does, NaN if
        the position cannot be deleveraged.
    liquidation : float64 (rows)
        Size of the move of its own price against the position at which its account is liquidated: 0 if it is
        below its margin now, infinite if no move takes it there, NaN for a closed row.
    demand : Demand
        What the former is read off.
    """

    adl: Float64Array
    liquidation: Float64Array
    demand: Demand
    _book: Book

    def __len__(self) -> int:
        return int(np.count_nonzero(self._book.rows.lots))

    def frame(self) -> pl.DataFrame:
        """``account``, ``symbol``, ``side``, ``adl`` and ``liquidation`` of every open position.

        Accounts in the order of the book, each one's rows by (symbol, long first).
        """
        return frame_of(self._book, ~np.isnan(self.liquidation), adl=self.adl, liquidation=self.liquidation)


def distances(state: State, policy: AdlPolicy, number: int, wanted: Demand, ranking: object) -> Distances:
    """Distances of all rows under a demand; `number` is the tick's, for a ranking drawn by it."""
    if ranking not in RANKINGS:
        raise InputError(("ranking",), ranking, f"say {' or '.join(RANKINGS)}")
    reach = _by_present_scores if ranking == "present" else _by_shocked_scores
    return Distances(
        reach(state, policy, number, wanted), liquidations(state), wanted, state.book.read_only()
    )


def _by_shocked_scores(state: State, policy: AdlPolicy, number: int, wanted: Demand) -> Float64Array:
    """As everybody stands at the prices of each shock."""
    code = (state.book.rows.lots != 0.0).astype(np.uint8)  # 0 for no distance, 1 for none of the sizes
    last = len(wanted.sizes) + 1
    room = room_of(state) if by_score_alone(state, policy) else None
    for k in np.flatnonzero(wanted.lots.any(axis=0)).tolist():
        steps = np.ascontiguousarray(wanted.lots[:, k : k + 1])
        left = steps_ahead(sides_after(state, wanted._exact[k]), policy, number, steps, room)
        np.maximum(code, (left == 2) * np.uint8(last - k), out=code)  # the smallest size has the largest code
    code[places(state.book, state.book.slot[state.never])] = 0
    found: Float64Array = np.concatenate([[np.nan, np.inf], wanted.sizes[::-1]])[code]
    return found


def _by_present_scores(state: State, policy: AdlPolicy, number: int, wanted: Demand) -> Float64Array:
    """As everybody stands now, where what a smaller shock has taken stays taken."""
    most = np.maximum.accumulate(wanted.lots, axis=1)
    left = steps_ahead(Sides.alike(state), policy, number, most)  # 1 for out of reach
    found: Float64Array = np.concatenate([[np.nan, np.inf], wanted.sizes[::-1]])[left]
    return found


def liquidations(state: State) -> Float64Array:
    """Moves that liquidate, of all rows."""
    rows = state.book.rows
    out = np.full(len(rows.lots), np.nan)  # also where nobody is: groups that are not in use
    liquidation_moves(rows, state.marks.unit, state.inverse, state.margins, state.blocks, out)
    return out
