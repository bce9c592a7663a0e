"""What a book looks like in numbers: sizes, leverage by side, markets, holders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastadl.book import Book
from fastadl.contracts import Instruments
from fastadl.errors import InputError
from fastadl.schema import BoolArray, Float64Array, Int64Array, IntArray

__all__ = [
    "LEVERAGES",
    "QUANTILES",
    "Holdings",
    "concentration",
    "describe",
    "quantiles",
    "sums",
    "unit_values",
]

QUANTILES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999)
#: Bounds of the histogram of leverage; the last class has no upper bound.
LEVERAGES = (0.0, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 20.0, 50.0)
#: An account of two positions or more is near delta-neutral if its net is below this share of its gross.
_NEUTRAL = 0.2
#: Markets listed by name.
_LISTED = 10


def unit_values(table: Instruments) -> Float64Array:
    """Value of one lot of each instrument at its mark, in atoms, signed: float64 (instruments)."""
    units = np.empty(len(table))
    for i, item in enumerate(table):
        if item.mark is None:
            raise InputError(("instruments", i, "mark"), "null", "give every instrument a mark")
        units[i] = item.unit_value(item.mark)
    return units


@dataclass(frozen=True, slots=True)
class Holdings:
    """A book's rows and accounts at its own marks, in currency units.

    Attributes
    ----------
    size : float64 (rows)
        Notional.
    short : bool (rows)
    instrument : int (rows)
    held, gross, net, equity : arrays (accounts)
        Positions, notional, long less short notional, and equity, in the order of the book's slots.
    hedged : bool (accounts)
        Long and short in one instrument.
    isolated : bool (accounts)
    """

    size: Float64Array
    short: BoolArray
    instrument: IntArray
    held: Int64Array
    gross: Float64Array
    net: Float64Array
    equity: Float64Array
    hedged: BoolArray
    isolated: BoolArray

    @classmethod
    def of(cls, book: Book) -> Holdings:
        """The holdings of a book of one currency."""
        book = book.compact()
        rows, unit = book.rows, unit_values(book.instruments)
        atoms = 10.0 ** book.instruments.decimals[0]
        accounts = len(rows.account)
        gross, net, value = np.zeros((3, accounts))
        hedged = np.zeros(accounts, np.bool_)
        size = np.empty(len(rows.lots))
        for g, many in enumerate(rows.group_rows.tolist()):
            slots = slice(*rows.group_slot[g : g + 2].tolist())
            own = slice(*rows.group_row[g : g + 2].tolist())
            shape = (many, slots.stop - slots.start)
            leg, lots = rows.leg[own].reshape(shape), rows.lots[own].reshape(shape)
            signed = lots * np.abs(unit)[leg >> 1] / atoms
            size[own] = np.abs(signed).ravel()
            gross[slots] = np.abs(signed).sum(axis=0)
            net[slots] = signed.sum(axis=0)
            entry = rows.entry[own].reshape(shape)
            value[slots] = ((lots * unit[leg >> 1] - entry) / atoms).sum(axis=0)
            hedged[slots] = (leg[1:] >> 1 == leg[:-1] >> 1).any(axis=0)
        return cls(
            size=size,
            short=rows.leg % 2 == 1,
            instrument=rows.leg >> 1,
            held=np.repeat(rows.group_rows, np.diff(rows.group_slot)),
            gross=gross,
            net=net,
            equity=rows.cash / atoms + value,
            hedged=hedged,
            isolated=book.isolated[rows.account],
        )


def sums(index: IntArray, values: Float64Array, count: int) -> Float64Array:
    """Sums of values by index: float64 (count), of no values too."""
    return np.bincount(index, values, count).astype(np.float64)


def quantiles(values: Float64Array, at: tuple[float, ...] = QUANTILES) -> list[float]:
    """Quantiles; of nothing, zeros."""
    return np.quantile(values, at).tolist() if len(values) else [0.0] * len(at)


def concentration(amounts: Float64Array) -> dict[str, float]:
    """How much the largest holders have: shares of the first, the first ten and the first percent; Gini."""
    ranked = np.sort(amounts[amounts > 0])[::-1]
    total = ranked.sum()
    if not total:
        return {"top_1": 0.0, "top_10": 0.0, "top_percent": 0.0, "gini": 0.0}
    rank = np.arange(1, len(ranked) + 1)
    return {
        "top_1": float(ranked[0] / total),
        "top_10": float(ranked[:10].sum() / total),
        "top_percent": float(ranked[: max(round(len(ranked) / 100), 1)].sum() / total),
        "gini": float((len(ranked) + 1 - 2 * (rank * ranked).sum() / total) / len(ranked)),
    }


def describe(book: Book) -> dict[str, Any]:
    """Plain numbers about a book of one currency, at its own marks.

    Parameters
    ----------
    book : Book
        With a mark for every instrument.

    Returns
    -------
    dict
        ``accounts``, ``positions``, ``markets``, ``open_interest`` (of one side); ``kinds`` (counts of
        accounts); ``sides`` (positions, notional and accounts by net side); ``quantiles`` at `QUANTILES`;
        ``holders`` (concentration of gross notional); ``largest_markets``; ``histograms``.

    Raises
    ------
    InputError
        If an instrument has no mark.

    Examples
    --------
    >>> from fastadl import synth
    >>> book = synth.book("pareto", positions=100, accounts=40, instruments=3, seed=1)
    >>> synth.describe(book)["accounts"]
    40
    """
    held = Holdings.of(book)
    there = held.held > 0
    gross, leverage = held.gross[there], held.gross[there] / held.equity[there]
    sides = {"long": held.net[there] >= 0, "short": held.net[there] < 0}
    value = sums(held.instrument, held.size, len(book.instruments))
    total = float(value.sum())
    return {
        "accounts": len(book.accounts),
        "positions": len(held.size),
        "markets": len(book.instruments),
        "open_interest": total / 2,
        "kinds": {
            "with_positions": int(there.sum()),
            "hedged_in_one_market": int(held.hedged.sum()),
            "near_delta_neutral": int(((held.held > 1) & (np.abs(held.net) < _NEUTRAL * held.gross)).sum()),
            "isolated": int(held.isolated.sum()),
        },
        "sides": {
            name: {
                "positions": int((held.short == (name == "short")).sum()),
                "notional": float(held.size[held.short == (name == "short")].sum()),
                "accounts": int(mine.sum()),
            }
            for name, mine in sides.items()
        },
        "quantiles": {
            "at": list(QUANTILES),
            "position_size": quantiles(held.size),
            "account_notional": quantiles(gross),
            "positions_per_account": quantiles(held.held[there].astype(np.float64)),
            "leverage_long": quantiles(leverage[sides["long"]]),
            "leverage_short": quantiles(leverage[sides["short"]]),
        },
        "holders": concentration(gross),
        "market_concentration": concentration(value),
        "largest_markets": _markets(book, held, value, total),
        "histograms": {
            "size": _size_histogram(held.size),
            "leverage": {
                "from": list(LEVERAGES),
                **{name: _classes(leverage[mine], gross[mine]) for name, mine in sides.items()},
            },
        },
    }


def _markets(book: Book, held: Holdings, value: Float64Array, total: float) -> list[dict[str, Any]]:
    rows = np.bincount(held.instrument, minlength=len(value))
    return [
        {
            "symbol": book.instruments[int(i)].symbol,
            "open_interest_share": float(value[i] / total),
            "positions": int(rows[i]),
            "largest_position_share": float(held.size[held.instrument == i].max(initial=0) * 2 / value[i]),
        }
        for i in np.argsort(-value, kind="stable")[:_LISTED]
        if rows[i]
    ]


def _size_histogram(size: Float64Array) -> dict[str, list[float]]:
    """Shares of positions and of their value by powers of ten; the least and most powers have the rest."""
    power = np.clip(np.floor(np.log10(np.maximum(size, 1e-9))), -1, 9).astype(np.int64) + 1
    used = range(int(power.min(initial=11)), int(power.max(initial=-1)) + 1)
    counts, values = np.bincount(power, minlength=12), np.bincount(power, size, 12)
    return {
        "from": [10.0 ** (at - 1) for at in used],
        "positions": [float(counts[at] / len(size)) for at in used],
        "value": [float(values[at] / size.sum()) for at in used],
    }


def _classes(leverage: Float64Array, gross: Float64Array) -> list[float]:
    """Share of notional by class of leverage."""
    at = np.searchsorted(LEVERAGES, leverage, side="right") - 1
    sums = np.bincount(at, gross, len(LEVERAGES))
    return (sums / max(gross.sum(), 1e-300)).tolist()
