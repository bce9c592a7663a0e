"""An engine's positions and places in the queue, in ccxt's unified structures."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from math import inf, nextafter
from typing import Any

import numpy as np
import polars as pl

from fastadl.contracts import Instruments, Kind
from fastadl.engine import Engine
from fastadl.engine.indicator.adl_rank import adl_rank, stamped
from fastadl.schema import BoolArray, Float64Array, IntArray

__all__ = ["adl_ranks", "positions"]


def positions(engine: Engine, *, timestamp: int | None = None) -> dict[str, list[dict[str, Any]]]:
    """Every open position in the form of ccxt's ``fetch_positions``.

    Keys of what a book does not hold are there and None: ``id``, ``leverage`` (the setting) and the initial
    margins and ``percentage`` that follow from it, ``realizedPnl``, last and stop prices.

    Parameters
    ----------
    engine : Engine
        Marked.
    timestamp : int, optional
        Milliseconds of the epoch, which the structures state.

    Returns
    -------
    dict of account to list of position
        Accounts in the order of the book, fund and market left out; rows by (symbol, long first); floats,
        money in units of the settlement currency. ``collateral`` is the account's equity, of which all its
        positions have one, ``positionMargin`` the cash of an isolated account, None of a cross one,
        ``maintenanceMargin`` the position's, and ``marginRatio`` the account's maintenance margin over its
        equity, None where that is not above 0. ``hedged`` says whether the account holds the other side too.
        ``entryPrice`` is one from which `book` makes the same entry value again, ``liquidationPrice`` as in
        `Engine.positions`.

    Raises
    ------
    StageError
        Before the first mark.
    """
    book, marks, unit = engine.book, engine.marks, engine.unit_values
    estimates = engine.estimates()
    equity, margin = estimates.equity, estimates.maintenance_margin
    instruments, accounts, rows = book.columns()
    trader = rows.account >= 0
    account, instrument, lots, entry = (
        column[trader] for column in (rows.account, rows.instrument, rows.lots, rows.entry_value)
    )
    atoms = 10.0 ** np.array([item.decimals for item in instruments])[instrument]
    value = lots * unit[instrument]
    # a whole number over a whole number is the float that the decimal stands for
    steps, parts = (np.array(pair, np.float64) for pair in _fractions(instruments))
    required = _row_margins(instruments, instrument, np.abs(value))
    both = _both_sides(account, instrument)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = margin / equity
        rate = required / np.abs(value)
    columns = {
        "symbol": [instruments.symbols[i] for i in instrument.tolist()],
        "contracts": np.abs(lots) * steps[instrument] / parts[instrument],
        "contractSize": np.array([float(item.contract_size) for item in instruments])[instrument],
        "side": np.where(lots > 0, "long", "short"),
        "notional": np.abs(value) / atoms,
        "unrealizedPnl": (value - entry) / atoms,
        "positionMargin": _or_none(np.where(accounts.isolated, accounts.cash, np.nan)[account] / atoms),
        "collateral": equity[account] / atoms,
        "entryPrice": list(
            map(_entry_price, _scales(instruments, instrument), lots.tolist(), entry.tolist())
        ),
        "markPrice": marks[instrument],
        "liquidationPrice": _or_none(_liquidation_prices(engine, marks[instrument], lots > 0, both)),
        "marginMode": np.where(accounts.isolated[account], "isolated", "cross"),
        "hedged": both,
        "maintenanceMargin": required / atoms,
        "maintenanceMarginPercentage": _or_none(rate),
        "marginRatio": _or_none(np.where(equity > 0, ratio, np.nan))[account],
    }
    lists = [column if isinstance(column, list) else column.tolist() for column in columns.values()]
    blank = _blank(timestamp)
    return _by_account(
        accounts.id.gather(account.astype(np.uint32)).to_list(),
        (
            {**blank, "info": {}, **dict(zip(columns, cells, strict=True))}
            for cells in zip(*lists, strict=True)
        ),
    )


def adl_ranks(
    engine: Engine, *, by: str = "quantity", timestamp: int | None = None
) -> dict[str, list[dict[str, Any]]]:
    """Places in the queue in the form of ccxt's ``fetch_positions_adl_rank`` (rules R99, R122).

    Parameters
    ----------
    engine : Engine
        Marked.
    by : {"quantity", "count"}
        As in `Engine.lights`.
    timestamp : int, optional
        Milliseconds of the epoch, which the structures state.

    Returns
    -------
    dict of account to list of structure
        ``symbol``, ``rank`` (the light, 5 for the first fifth), ``rating`` (the same as text), ``percentage``
        (share of the symbol and side that is deleveraged after the position, from 0 for the last to nearly
        100 for the first), ``timestamp`` and ``datetime``; ``info`` holds the ``side``. Positions that cannot
        be deleveraged are left out.

    Raises
    ------
    StageError
        Before the first mark.
    """
    lights, shares = engine.lights(by=by).frame(), engine.percentiles(by=by).frame()
    cells = zip(lights["symbol"], lights["side"], lights["light"], shares["percentile"], strict=True)
    return _by_account(lights["account"].to_list(), (adl_rank(*each, timestamp) for each in cells))


def _row_margins(instruments: Instruments, instrument: IntArray, notional: Float64Array) -> Float64Array:
    """Maintenance margin of rows in atoms (rule R4): float64 (rows)."""
    out = np.zeros(len(notional))
    tiers = instruments.tiers
    by_instrument = np.argsort(instrument, kind="stable")
    held, first = np.unique(instrument[by_instrument], return_index=True)
    for i, rows in zip(held, np.split(by_instrument, first[1:]), strict=True):
        steps = slice(tiers.start[i], tiers.start[i + 1])
        each = tiers.rate[steps] * notional[rows, None] - tiers.deduction[steps]
        out[rows] = np.maximum(each.max(axis=1), 0.0)
    return out


def _scales(instruments: Instruments, instrument: IntArray) -> list[tuple[int, int, bool]]:
    """Of each row the atoms a lot is worth per unit of price, as a ratio, and whether it is inverse."""
    each = [(*item.scale.as_integer_ratio(), item.kind is Kind.INVERSE) for item in instruments]
    return [each[i] for i in instrument.tolist()]


def _entry_price(scale: tuple[int, int, bool], lots: int, entry: int) -> float | None:
    """The price nearest to the true one whose shortest decimal is worth the entry value again (rule R11).

    Values are rounded up on their way in, so a decimal that comes to the least bit more would make an atom
    more of it.
    """
    parts, whole, inverse = scale
    if not entry:
        return None
    over, under = (-lots * parts, entry * whole) if inverse else (entry * whole, lots * parts)
    price = over / under
    while _too_much(price, over, under, inverse):
        price = nextafter(price, -inf if lots > 0 else inf)
    return price


def _too_much(price: float, over: int, under: int, inverse: bool) -> bool:
    """Whether the shortest decimal of a price is worth more than the entry value."""
    numerator, denominator = Decimal(repr(price)).as_integer_ratio()
    left, right = numerator * under, over * denominator
    return left < right if inverse else left > right


def _liquidation_prices(
    engine: Engine, marks: Float64Array, long: BoolArray, both: BoolArray
) -> Float64Array:
    """Of an account's rows of a symbol the one nearest to the mark, NaN where there is none."""
    moves = engine.liquidation_distances()["liquidation"].to_numpy()
    parts = np.where(long, 1.0 - moves, 1.0 + moves)
    parts[np.isinf(parts) | (moves == 0.0)] = np.nan
    first = np.flatnonzero(both & long)
    pairs = parts[np.stack([first, first + 1])]
    nearest = np.where(np.isnan(pairs), np.inf, np.abs(pairs - 1.0)).argmin(axis=0)
    parts[first] = parts[first + 1] = np.take_along_axis(pairs, nearest[None], axis=0)[0]
    prices: Float64Array = marks * parts
    return prices


def _fractions(instruments: Instruments) -> tuple[list[int], list[int]]:
    """Numerators and denominators of the lots."""
    return [item.lot.numerator for item in instruments], [item.lot.denominator for item in instruments]


def _both_sides(account: IntArray, instrument: IntArray) -> Any:
    keys = pl.Series(account.astype(np.int64) << 32 | instrument)
    return keys.is_duplicated().to_numpy()


def _or_none(values: Float64Array) -> Any:
    """Values as objects, None where there is no finite one."""
    found = values.astype(object)
    found[~np.isfinite(values)] = None
    return found


def _blank(timestamp: int | None) -> dict[str, Any]:
    """A position of which nothing is known."""
    names = (
        *("info", "id", "symbol", "timestamp", "datetime", "contracts", "contractSize", "side", "notional"),
        *(
            "leverage",
            "unrealizedPnl",
            "realizedPnl",
            "positionMargin",
            "collateral",
            "entryPrice",
            "markPrice",
        ),
        *("liquidationPrice", "marginMode", "hedged", "maintenanceMargin", "maintenanceMarginPercentage"),
        *("initialMargin", "initialMarginPercentage", "marginRatio", "lastUpdateTimestamp", "lastPrice"),
        *("stopLossPrice", "takeProfitPrice", "percentage"),
    )
    return dict.fromkeys(names) | stamped(timestamp)


def _by_account(
    accounts: Iterable[str], structures: Iterable[dict[str, Any]]
) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for account, structure in zip(accounts, structures, strict=True):
        found.setdefault(account, []).append(structure)
    return found
