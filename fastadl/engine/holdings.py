"""What all traders hold together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastadl.engine.collective import Steps, Sum
from fastadl.engine.state import State, places, sums
from fastadl.schema import Int64Array, IntArray

__all__ = ["Holdings", "holdings", "lots_without"]


class Holdings(NamedTuple):
    """Unsigned lots and entry value (atoms) of all traders together: int64 (legs)."""

    lots: Int64Array
    entry: Int64Array


def holdings(state: State, lent: IntArray) -> Steps[Holdings]:
    """What all traders hold by leg.

    Parameters
    ----------
    state : State
        Of this part.
    lent : int (n)
        Slots of accounts that are looked at in another part.
    """
    row = places(state.book, lent)
    entry = state.open_entries() - _by_leg(state, row, state.book.rows.entry[row])
    return Holdings(*(yield Sum(np.stack([lots_without(state, lent), entry]))))


def lots_without(state: State, slots: IntArray) -> Int64Array:
    """Lots of the traders of this part by leg, some left out who are named once each: int64 (legs)."""
    row = places(state.book, slots)
    return state.open_lots() - _by_leg(state, row, np.abs(state.book.rows.lots[row]).astype(np.int64))


def _by_leg(state: State, row: IntArray, values: Int64Array) -> Int64Array:
    return sums(state.book.rows.leg[row], values, 2 * len(state.instruments))
