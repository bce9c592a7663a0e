"""A scenario: what makes the marks of every instrument of a book, step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import log
from typing import Any

import numpy as np

from fastadl.contracts import Instruments
from fastadl.errors import InputError
from fastadl.schema import Float64Array, Int64Array
from fastadl.stress.paths.path import Path, asset_of, eight_digits

__all__ = ["BETA", "Scenario", "first_marks", "following", "marked"]

#: Markets that a scenario does not name move by this power of its own return, unless it says otherwise.
BETA = 1.2
#: Prices beyond are refused: none was ever seen, and float64 ends not far from there.
_LEAST, _MOST = 1e-100, 1e100


@dataclass(frozen=True, slots=True)
class Scenario:
    """Price moves that any book can be driven through.

    Attributes
    ----------
    name, title : str
    source : str
        What it is based on.
    parameters : mapping of str to int, float, str or list of str
        All of them, as they are in force.
    anchors : mapping of str to Fraction
        By asset, largest market first: the first prices that it fixes; empty where it only has returns.
    """

    name: str
    title: str
    source: str
    parameters: Mapping[str, Any]
    anchors: Mapping[str, Fraction]
    draw: Callable[[Instruments, int], Path] = field(repr=False, compare=False)

    def path(self, instruments: Instruments, seed: int) -> Path:
        """Marks of all instruments.

        Parameters
        ----------
        instruments : Instruments
            Largest market first. Each is matched by its asset; the others follow.
        seed : int
            Of everything random.

        Returns
        -------
        Path
            Its first row has the instruments' own marks, as the book is drawn at them.

        Raises
        ------
        InputError
            Where an instrument has no mark, or would have one beyond 1e-100 or 1e100.
        """
        return self.draw(instruments, seed)

    def to_dict(self) -> dict[str, Any]:
        """Name and parameters, or ``prices``, as an experiment's table of the scenario has them."""
        if "prices" in self.parameters:
            return dict(self.parameters)
        return {"name": self.name, **self.parameters}


def first_marks(instruments: Instruments) -> Float64Array:
    """The marks that the instruments come with: float64 (instruments)."""
    for item in instruments:
        if item.mark is None:
            raise InputError(("instruments", item.symbol, "mark"), None, "give every instrument a mark")
    return np.array([float(item.mark or 0) for item in instruments])


def marked(times: Int64Array, moves: Float64Array, instruments: Instruments, source: str) -> Path:
    """The path on which each instrument's own mark moves, in logarithms (steps, instruments)."""
    start = first_marks(instruments)
    prices = np.log(start) + moves
    wild = np.argwhere(~((prices > log(_LEAST)) & (prices < log(_MOST))))
    if len(wild):
        step, market = wild[0]
        found = f"a move of {moves[step, market] / log(10):.3g} powers of ten"
        raise InputError(("scenario", instruments.symbols[market]), found, "give smaller moves")
    marks = eight_digits(start * np.exp(moves))
    marks[0] = start
    return Path(times, instruments.symbols, marks, source)


def following(own: Path, leaders: Sequence[str], beta: float, instruments: Instruments) -> Path:
    """A path of some assets on the instruments of a book.

    Instruments of the path's assets are marked by it: exactly where they start at its first price, else by
    its returns. All others are at their first mark times ``level ** beta``, the level of the leaders.

    Parameters
    ----------
    own : Path
    leaders : sequence of str
        Symbols of `own`.
    beta : float
    instruments : Instruments
    """
    column = {asset_of(symbol): i for i, symbol in enumerate(own.symbols)}
    led = [own.symbols.index(symbol) for symbol in leaders]
    returns = np.log(own.marks) - np.log(own.marks[0])
    level = np.median(returns[:, led], axis=1)
    moves = np.repeat(beta * level[:, None], len(instruments), axis=1)
    which = [
        (i, column[asset_of(item)]) for i, item in enumerate(instruments.symbols) if asset_of(item) in column
    ]
    for i, j in which:
        moves[:, i] = returns[:, j]
    path = marked(own.times, moves, instruments, own.source)
    for i, j in which:
        if path.marks[0, i] == own.marks[0, j]:
            path.marks[:, i] = own.marks[:, j]
    return path
