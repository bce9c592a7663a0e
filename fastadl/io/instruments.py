"""The instruments table: a few hundred rows, read and written one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import polars as pl

from fastadl.contracts import Instrument, Instruments, Kind, Tier, derived_deductions
from fastadl.decimals import exact, plain
from fastadl.errors import InputError
from fastadl.io.table import Table, is_text
from fastadl.schema import TIERS

__all__ = ["instrument_frame", "read_instruments", "read_ladder", "read_listing"]

Path = tuple[str | int, ...]

_MOST_DECIMALS = 12
_FIELDS = tuple(column.name for column in TIERS)
_KINDS = {kind.name.lower(): kind for kind in Kind}


def read_instruments(data: Any, currency: str, decimals: int) -> Instruments:
    """Check and build the instruments.

    Parameters
    ----------
    data : DataFrame or mapping
    currency, decimals : str, int
        What the columns of these names hold where they are left out; the one currency of a table without
        rows.
    """
    places: dict[str, int] = {}
    found = []
    for row, item in enumerate(_read(Table("instruments", data), currency, lambda _: decimals)):
        if places.setdefault(item.currency, item.decimals) != item.decimals:
            remedy = f"{item.currency} has {places[item.currency]} decimals in an earlier row"
            raise InputError(("instruments", row, "decimals"), item.decimals, remedy)
        found.append(item)
    return Instruments(found, {} if found else {currency: decimals})


def read_listing(data: Any, known: Instruments) -> list[Instrument]:
    """Instruments to be listed beside others, in a currency of theirs (rule R106); data as above."""
    table, places = Table("instruments", data), dict(zip(known.currencies, known.decimals, strict=True))
    named = f"the book settles in {', '.join(places)}"
    if "currency" not in table and len(places) > 1:
        raise InputError(("instruments", "currency"), "missing", f"add the column: {named}")
    found = []
    for row, item in enumerate(_read(table, known.currencies[0], lambda code: places.get(code, 0))):
        at = ("instruments", row)
        if item.symbol in known.code:
            raise InputError((*at, "symbol"), item.symbol, "the book has, or had, it: give a new symbol")
        if item.currency not in places:
            raise InputError((*at, "currency"), item.currency, f"{named}, and each currency has its fund")
        if item.decimals != places[item.currency]:
            raise InputError((*at, "decimals"), item.decimals, f"{item.currency} has {places[item.currency]}")
        found.append(item)
    return found


def read_ladder(given: Any, decimals: int, at: Path) -> tuple[Tier, ...]:
    """Check the tiers of one instrument; money in atoms."""
    return _in_atoms(_tiers(given, at), decimals)


def _in_atoms(tiers: Sequence[Tier], decimals: int) -> tuple[Tier, ...]:
    atoms = 10**decimals
    return tuple(
        Tier(tier.min_notional * atoms, tier.maintenance_rate, tier.deduction * atoms, tier.max_leverage)
        for tier in tiers
    )


def _read(table: Table, currency: str, decimals: Callable[[str], int]) -> Iterator[Instrument]:
    """The rows one by one, with what `currency` and `decimals` say where these columns are left out."""
    columns = {name: table.values(name) for name in table.names}
    symbols: dict[str, int] = {}
    for row in range(table.height):
        cells: dict[str, Any] = {"currency": currency, "mark": None, "delisted": False}
        cells |= {name: values[row] for name, values in columns.items()}
        cells.setdefault("decimals", decimals(str(cells["currency"])))
        at: Path = ("instruments", row)
        symbol = _text(cells["symbol"], (*at, "symbol"))
        if symbols.setdefault(symbol, row) != row:
            raise InputError(
                (*at, "symbol"), symbol, f"symbols are unique; row {symbols[symbol]} has this one"
            )
        yield _instrument(symbol, cells, at)


def _instrument(symbol: str, cells: Mapping[str, Any], at: Path) -> Instrument:
    kind = cells["kind"]
    if not isinstance(kind, str) or kind not in _KINDS:
        raise InputError((*at, "kind"), kind, f"give {', '.join(_KINDS)}")
    contract_size = _above_zero(cells["contract_size"], (*at, "contract_size"))
    lot = _above_zero(cells["lot"], (*at, "lot"))
    tiers = _tiers(cells["tiers"], (*at, "tiers"))
    currency = _text(cells["currency"], (*at, "currency"))
    decimals = cells["decimals"]
    if not isinstance(decimals, int) or isinstance(decimals, bool) or not 0 <= decimals <= _MOST_DECIMALS:
        raise InputError((*at, "decimals"), decimals, f"give an integer from 0 to {_MOST_DECIMALS}")
    mark = None if cells["mark"] is None else _above_zero(cells["mark"], (*at, "mark"))
    delisted = cells["delisted"]
    if not isinstance(delisted, (bool, np.bool_)):
        raise InputError((*at, "delisted"), delisted, "give true or false")
    in_atoms = _in_atoms(tiers, decimals)
    return Instrument(
        symbol, _KINDS[kind], contract_size, lot, in_atoms, currency, decimals, mark, bool(delisted)
    )


def _tiers(given: Any, at: Path) -> list[Tier]:
    """The ladder, money in units of the currency."""
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        raise InputError(at, given, "give a list of at least one tier (in CSV as JSON text)")
    steps: list[tuple[Fraction, Fraction]] = []
    deductions: list[Fraction | None] = []
    leverages = []
    for t, fields in enumerate(given):
        here: Path = (*at, t)
        _check_fields(fields, here)
        notional = _number(fields["min_notional"], (*here, "min_notional"))
        rate = _number(fields["maintenance_rate"], (*here, "maintenance_rate"))
        _check_step(notional, rate, steps, here)
        steps.append((notional, rate))
        deduction = _number(fields["deduction"], (*here, "deduction")) if "deduction" in fields else None
        if t and (deduction is None) != (deductions[0] is None):
            value = "missing" if deduction is None else plain(deduction)
            raise InputError((*here, "deduction"), value, "give a deduction in all tiers or in none")
        deductions.append(deduction)
        leverage = fields.get("max_leverage", ...)
        leverages.append(None if leverage is ... else _above_zero(leverage, (*here, "max_leverage")))
    derived = derived_deductions(steps)
    return [
        Tier(notional, rate, derived[t] if given is None else given, leverages[t])
        for t, ((notional, rate), given) in enumerate(zip(steps, deductions, strict=True))
    ]


def _check_fields(fields: Any, at: Path) -> None:
    if not isinstance(fields, Mapping):
        raise InputError(at, fields, f"give a struct of {', '.join(_FIELDS)}")
    for name in fields:
        if name not in _FIELDS:
            raise InputError((*at, str(name)), "unknown field", f"remove it; there are {', '.join(_FIELDS)}")
    for column in TIERS:
        if column.default is None and column.name not in fields:
            raise InputError((*at, column.name), "missing", "every tier needs it")


def _check_step(
    notional: Fraction, rate: Fraction, below: Sequence[tuple[Fraction, Fraction]], at: Path
) -> None:
    if not below and notional != 0:
        raise InputError((*at, "min_notional"), plain(notional), "the first tier starts at 0")
    if below and notional <= below[-1][0]:
        raise InputError((*at, "min_notional"), plain(notional), f"give more than {plain(below[-1][0])}")
    if not 0 <= rate < 1:
        raise InputError((*at, "maintenance_rate"), plain(rate), "give a rate in [0, 1)")
    if below and rate < below[-1][1]:
        remedy = f"rates do not fall: give at least {plain(below[-1][1])}"
        raise InputError((*at, "maintenance_rate"), plain(rate), remedy)


def _text(value: Any, path: Path) -> str:
    if not is_text(value) or not value:
        raise InputError(path, value, "give a text that is not empty")
    return str(value)


def _number(value: Any, path: Path) -> Fraction:
    try:
        return exact(value)
    except ValueError as error:
        raise InputError(path, value, str(error)) from None


def _above_zero(value: Any, path: Path) -> Fraction:
    number = _number(value, path)
    if number <= 0:
        raise InputError(path, value, "give a number above 0")
    return number


def instrument_frame(instruments: Instruments) -> pl.DataFrame:
    """The instruments as a frame: numbers as the shortest exact decimal texts, deductions written out."""
    tiers = [
        [
            {
                "min_notional": plain(tier.min_notional / 10**item.decimals),
                "maintenance_rate": plain(tier.maintenance_rate),
                "deduction": plain(tier.deduction / 10**item.decimals),
                "max_leverage": None if tier.max_leverage is None else plain(tier.max_leverage),
            }
            for tier in item.tiers
        ]
        for item in instruments
    ]
    frame = pl.DataFrame(
        {
            "symbol": pl.Series([item.symbol for item in instruments], dtype=pl.String),
            "kind": pl.Series([item.kind.name.lower() for item in instruments], dtype=pl.String),
            "contract_size": pl.Series([plain(item.contract_size) for item in instruments], dtype=pl.String),
            "lot": pl.Series([plain(item.lot) for item in instruments], dtype=pl.String),
            "tiers": pl.Series(tiers, dtype=pl.List(pl.Struct(dict.fromkeys(_FIELDS, pl.String)))),
            "currency": pl.Series([item.currency for item in instruments], dtype=pl.String),
            "decimals": pl.Series([item.decimals for item in instruments], dtype=pl.Int64),
            "mark": pl.Series(
                [None if item.mark is None else plain(item.mark) for item in instruments], dtype=pl.String
            ),
        }
    )
    delisted = instruments.delisted
    return frame.with_columns(pl.Series("delisted", delisted)) if delisted.any() else frame
