"""Instruments that come, and terms of theirs that change (rule R106)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fastadl.contracts import Instrument, Instruments
from fastadl.engine.prices import Marks, margins, nearest_units
from fastadl.engine.state import HEADROOM, State
from fastadl.errors import BoundsError

__all__ = ["delist", "list_instruments", "set_tiers"]

#: What a state has of its instruments, and a book.
_OF_STATE = ("instruments", "margins", "first_rate", "one", "inverse", "ceiling", "most_lots")
_OF_BOOK = ("instruments", "reserve_lots", "reserve_entry")


def list_instruments(state: State, new: Sequence[Instrument]) -> None:
    """Add instruments behind the others, with the marks they came with."""
    count = len(state.instruments)
    most = (int(np.iinfo(state.book.rows.leg.dtype).max) + 1) // 2
    if count + len(new) > most:
        remedy = f"keep at most {most} instruments, or make an engine of a book with more"
        raise BoundsError(("instruments",), count + len(new), remedy)
    given = {count + i: item.mark for i, item in enumerate(new) if item.mark is not None}
    instruments = _with(state.instruments, [*state.instruments, *new])
    unit, ceiling = nearest_units(instruments, given, "instruments"), state.ceiling
    _take_over(state, instruments, lambda marks: marks.under(instruments).moved(given, unit))
    if ceiling.any():  # nobody holds the new ones: the guards are as good as they were
        state.ceiling = np.append(ceiling, np.abs(state.marks.unit[count:]) * HEADROOM)


def set_tiers(state: State, tiers: dict[int, Any]) -> None:
    """Replace the tiers of some instruments."""
    _replace(state, {i: replace(state.instruments[i], tiers=ladder) for i, ladder in tiers.items()})


def delist(state: State, instrument: int) -> None:
    """Close an instrument to trading (rule R107)."""
    _replace(state, {instrument: replace(state.instruments[instrument], delisted=True)})


def _replace(state: State, changed: dict[int, Instrument]) -> None:
    items = [changed.get(i, item) for i, item in enumerate(state.instruments)]
    instruments = _with(state.instruments, items)
    _take_over(state, instruments, lambda marks: marks.under(instruments))


def _with(known: Instruments, items: Sequence[Instrument]) -> Instruments:
    return Instruments(items, dict(zip(known.currencies, known.decimals, strict=True)))


def _take_over(state: State, instruments: Instruments, anew: Callable[[Marks], Marks]) -> None:
    """Have all that knows the instruments know these; guards are made anew at the next mark."""
    book, room, more = state.book, state.room, len(instruments) - len(state.instruments)
    _undoable(state)
    state.instruments = book.instruments = instruments
    marks, previous, oracle, told = state.prices()
    state.set_prices((anew(marks), anew(previous), anew(oracle), told))
    state.margins = margins(instruments)
    state.first_rate = state.margins.rate[state.margins.start[:-1]]
    state.one = np.array([10.0**item.decimals for item in instruments])
    state.inverse = instruments.inverse
    state.outdated()
    if more:
        state.most_lots = np.append(state.most_lots, np.zeros(more))
        none = np.zeros((2, more), np.int64)
        state.reserve_realized = np.append(state.reserve_realized, none, axis=1)
        book.reserve_lots = np.append(book.reserve_lots, none, axis=1)
        book.reserve_entry = np.append(book.reserve_entry, none, axis=1)
        if room is not None:
            room.instruments_came(more)


def _undoable(state: State) -> None:
    book = state.book
    of_state = {name: getattr(state, name) for name in (*_OF_STATE, "reserve_realized")}
    of_book = {name: getattr(book, name) for name in _OF_BOOK}

    def undo() -> None:
        for name, value in of_state.items():
            setattr(state, name, value)
        for name, value in of_book.items():
            setattr(book, name, value)
        state.outdated()

    state.undoable(undo)
