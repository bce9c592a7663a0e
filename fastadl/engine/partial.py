"""How many lots of each detected row are ordered closed (rule R101)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import floor

import numpy as np

from fastadl.engine.results import Tick
from fastadl.engine.state import State
from fastadl.engine.worth import values_at
from fastadl.policy import Partial
from fastadl.schema import SUM_BOUND, BoolArray, Int64Array, IntArray

__all__ = ["ordered", "remember"]


def ordered(
    state: State,
    partial: Partial,
    time: int,
    accounts: IntArray,
    bankrupt: BoolArray,
    owner: IntArray,
    leg: IntArray,
    held: Int64Array,
    above: Sequence[Fraction],
) -> Int64Array:
    """Lots to be closed of rows of detected accounts.

    Parameters
    ----------
    accounts : int (detected)
    bankrupt : bool (detected)
        As detected.
    owner : int64 (n)
        Place of each row's account among them.
    leg, held : int64 (n)
    above : sequence of Fraction
        By currency, in its units: what rows must be worth more than to be sliced.

    Returns
    -------
    int64 (n)
        From 0 to `held`.
    """
    cooling = _cooling(state, time, accounts, partial)
    waits = cooling & ~bankrupt if partial.in_cooldown == "wait" else np.zeros_like(cooling)
    whole = bankrupt | cooling
    lots = held.copy()
    some = np.flatnonzero(~whole[owner])
    if partial.slice is not None:
        lots[some] = np.minimum(lots[some], _slices(state, partial.slice, above, leg[some], held[some]))
    if partial.step_down:
        lots[some] = np.minimum(lots[some], held[some] - _borders(state, leg[some], held[some]))
    if partial.bankrupt == "fund":
        waits |= bankrupt
    lots[waits[owner]] = 0
    return lots


def remember(state: State, tick: Tick, sliced: BoolArray) -> None:
    """Begin the cooldown of the detected accounts that an order closed a part of, whoever asks for one."""
    if sliced.any():
        state.remember_slices(tick.accounts[sliced], tick.time)


def _cooling(state: State, time: int, accounts: IntArray, partial: Partial) -> BoolArray:
    """Which detected accounts were sliced less than a cooldown ago."""
    if state.sliced is None:
        return np.zeros(len(accounts), np.bool_)
    before = state.sliced[accounts]
    return (before >= 0) & (time - before < partial.cooldown)


def _slices(
    state: State, share: Fraction, above: Sequence[Fraction], leg: IntArray, held: Int64Array
) -> Int64Array:
    """Slice of each row, in lots rounded up; all of it where its notional is not above the least."""
    sliced = -values_at(-held, np.zeros(len(held), np.int64), {0: share})
    smallest = np.zeros(len(state.instruments), np.int64)
    for i in np.unique(leg >> 1):
        atoms = above[state.instruments.currency[i]] * 10 ** state.instruments[i].decimals
        smallest[i] = _within(atoms / abs(state.marks.units[i]))
    return np.where(held > smallest[leg >> 1], sliced, held)


def _borders(state: State, leg: IntArray, held: Int64Array) -> Int64Array:
    """Lots that each row may keep in the tier below its own: 0 in the first tier."""
    start = state.instruments.tiers.start
    borders = np.full((len(state.instruments), int(np.diff(start).max(initial=0))), SUM_BOUND, np.int64)
    for i in np.unique(leg >> 1):
        unit = abs(state.marks.units[i])
        for t, tier in enumerate(state.instruments[i].tiers):
            borders[i, t] = _within(tier.min_notional / unit)
    keeps = np.zeros(len(held), np.int64)
    for column in borders.T:
        border = column[leg >> 1]
        keeps = np.where(border < held, border, keeps)
    return keeps


def _within(lots: object) -> int:
    return min(floor(lots), SUM_BOUND)  # type: ignore[call-overload]
