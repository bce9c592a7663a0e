"""The book of an experiment before anything happens: who holds what, at which leverage; how tight it is."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from fastadl.contracts import Instruments
from fastadl.engine import Engine
from fastadl.policy import Fund
from fastadl.schema import Float64Array, Int64Array
from fastadl.stress.payers import Holders
from fastadl.stress.pressure import Pressure, pressure

__all__ = ["Portrait"]

#: Borders of cells: four a decade of notional in currency units, three a doubling of leverage. What lies
#: beyond the first or the last is in the cell next to it.
_SIZES = tuple(10.0 ** (step / 4) for step in range(-4, 41))
_LEVERAGES = tuple(2.0 ** (step / 3) for step in range(-15, 25))
#: Markets that are named; the others are added up.
_NAMED = 12


@dataclass(frozen=True, slots=True)
class Portrait:
    """A book at its first marks, in few numbers whatever its size.

    Attributes
    ----------
    density : DataFrame
        One row for every cell with a position in it: ``side``, long or short; ``size_from`` and ``size_to``,
        of the position's notional in units of the currency; ``leverage_from`` and ``leverage_to``, of its
        account; how many ``positions`` there are, and their ``notional`` in atoms.
    markets : DataFrame
        The twelve of most open interest, most first, and a last row of all others, if there are any, with
        null for ``symbol``: ``open_interest`` (of one side, in atoms), its ``share`` of the book's, and how
        many positions are ``longs`` and ``shorts``.
    pressure : Pressure
        See `fastadl.stress.pressure`; shortfalls are split as the first policy says.
    """

    density: pl.DataFrame
    markets: pl.DataFrame
    pressure: Pressure

    @classmethod
    def of(cls, engine: Engine, holders: Holders, interest: Float64Array, fund: Fund) -> Portrait:
        """The book of an engine at its marks, with the open interest of each market."""
        rows = engine.book.rows
        counts = np.bincount(rows.leg[rows.lots != 0], minlength=2 * len(interest)).reshape(-1, 2)
        return cls(
            _density(engine, holders),
            _markets(engine.book.instruments, interest, counts),
            pressure(engine, fund=fund),
        )


def _density(engine: Engine, holders: Holders) -> pl.DataFrame:
    rows, value = engine.book.rows, np.repeat(np.abs(engine.unit_values), 2)
    leverage = _cells(holders.leverage, _LEVERAGES)[rows.account]
    shape = (len(_SIZES) - 1, len(_LEVERAGES) - 1, 2)
    count, total = np.zeros((2, np.prod(shape)))
    for g, (first, last) in enumerate(pairwise(rows.group_slot.tolist())):
        own = slice(*rows.group_row[g : g + 2].tolist())
        leg, lots = rows.leg[own], rows.lots[own]
        notional = np.abs(lots) * value[leg]
        of_account = np.tile(leverage[first:last], int(rows.group_rows[g]))
        cell = (_cells(notional / holders.atoms, _SIZES) * shape[1] + of_account) * 2 + (leg & 1)
        count += np.bincount(cell, lots != 0, len(count))
        total += np.bincount(cell, notional, len(total))
    there = np.flatnonzero(count)
    size, leverage, short = np.unravel_index(there, shape)
    return pl.DataFrame(
        {
            "side": np.where(short, "short", "long"),
            "size_from": np.array(_SIZES)[size],
            "size_to": np.array(_SIZES)[size + 1],
            "leverage_from": np.array(_LEVERAGES)[leverage],
            "leverage_to": np.array(_LEVERAGES)[leverage + 1],
            "positions": count[there].astype(np.int64),
            "notional": total[there],
        },
        schema_overrides={"side": pl.String},
    )


def _cells(values: Float64Array, borders: tuple[float, ...]) -> Int64Array:
    """The cell of each value: from a border, which is in it, to the next."""
    return np.searchsorted(borders[1:-1], values, side="right")


def _markets(instruments: Instruments, interest: Float64Array, counts: Int64Array) -> pl.DataFrame:
    order = np.lexsort((instruments.rank, -interest))
    named, others = order[:_NAMED], order[_NAMED:]
    groups = [*named[:, np.newaxis], *([others] if len(others) else [])]
    symbols: list[str | None] = [instruments.symbols[at] for at in named]
    value = np.array([interest[each].sum() for each in groups])
    return pl.DataFrame(
        {
            "symbol": symbols + [None] * (len(groups) - len(named)),
            "open_interest": value,
            "share": value / max(float(interest.sum()), 1.0),
            "longs": [counts[each, 0].sum() for each in groups],
            "shorts": [counts[each, 1].sum() for each in groups],
        },
        schema_overrides={"symbol": pl.String, "longs": pl.Int64, "shorts": pl.Int64},
    )
