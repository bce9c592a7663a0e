"""Columns of decimals, exactly: read as digits and places, brought onto the grid of lots and atoms."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

import numpy as np
import polars as pl

from fastadl.contracts import Instruments, decimal_scale
from fastadl.decimals import exact
from fastadl.errors import BoundsError
from fastadl.io.table import Table
from fastadl.kernels import decimal as kernels
from fastadl.schema import ROW_BOUND, SUM_BOUND, BoolArray, Int64Array, IntArray, read_only

__all__ = ["Numbers", "entry_values", "money", "numbers", "on_grid", "refuse_beyond"]

#: Rows whose text is held at once.
_BATCH = 1 << 20
#: Power of ten of a factor that fits no kernel.


@dataclass(frozen=True, slots=True)
class Numbers:
    """A column of exact decimals.

    Attributes
    ----------
    digits : int64 (rows)
    places : int16 (rows)
        The value is ``digits · 10^-places``, unless the row is in `wide`.
    wide : dict of int to Fraction
        The few values that do not fit, by row; their digits are 0.
    """

    digits: Int64Array
    places: IntArray
    wide: dict[int, Fraction]

    def at(self, row: int) -> Fraction:
        """The exact value of a row."""
        found = self.wide.get(row)
        return (
            Fraction(int(self.digits[row])) / Fraction(10) ** int(self.places[row])
            if found is None
            else found
        )

    @property
    def above_zero(self) -> BoolArray:
        """Whether each row is."""
        above = self.digits > 0
        for row, value in self.wide.items():
            if row < len(above):
                above[row] = value > 0
        return above


def numbers(table: Table, column: str, *, null: int | None = None) -> Numbers:
    """Read a column of texts, Decimals, integers or Float64 (rule R75).

    Parameters
    ----------
    table : Table
    column : str
    null : int, optional
        What a null stands for; nulls are refused if left out.
    """
    series = table.series(column, nulls=null is not None)
    if null is not None and series.null_count():
        series = _filled(series, null)
    dtype = series.dtype
    if dtype == pl.Object:
        found = _one_by_one(table, series)
    elif dtype.is_integer():
        found = _whole(series)
    elif isinstance(dtype, pl.Float64):
        found = _shortest(table, series)
    elif isinstance(dtype, (pl.String, pl.Decimal, pl.Null)):
        found = _from_text(table, series)
    else:
        table.refuse_dtype(series, "String, Decimal, Int64 or Float64")
        found = _one_by_one(table, series[:0])
    return Numbers(found.digits[: table.height], found.places[: table.height], found.wide)


def _filled(series: pl.Series, null: int) -> pl.Series:
    if series.dtype == pl.Object:
        values = [null if value is None else value for value in series.to_list()]
        return pl.Series(series.name, values, pl.Object)
    if series.dtype == pl.Null:
        series = series.cast(pl.Int64)
    return series.fill_null(str(null) if series.dtype == pl.String else null)


def _one_by_one(table: Table, series: pl.Series) -> Numbers:
    wide = {}
    for row, value in enumerate(series.to_list()):
        try:
            wide[row] = exact(value)
        except ValueError as error:
            table.refuse(row, series.name, str(error))
            break
    rows = len(series)
    return Numbers(np.zeros(rows, np.int64), np.full(rows, kernels.FAR, np.int16), wide)


def _whole(series: pl.Series) -> Numbers:
    digits = series.cast(pl.Int64, strict=False)
    places = np.zeros(len(series), np.int16)
    rows = np.flatnonzero(digits.is_null().to_numpy())
    places[rows] = kernels.FAR
    wide = {int(row): Fraction(series[int(row)]) for row in rows}
    return Numbers(digits.fill_null(0).to_numpy(), places, wide)


def _from_text(table: Table, series: pl.Series) -> Numbers:
    if series.dtype == pl.String:
        broken = series.str.contains("\n", literal=True).to_numpy()
        table.refuse(broken, series.name, "write a decimal such as 12.5, on one line")
        series = series[: table.height]
    digits, places, status = _parsed(series)
    return _with_wide(table, series, Numbers(digits, places, {}), np.flatnonzero(status))


def _shortest(table: Table, series: pl.Series) -> Numbers:
    """Float64 through its shortest decimal, which is what polars writes where 15 digits are not enough."""
    digits = np.empty(len(series), np.int64)
    places = np.empty(len(series), np.int16)
    status = np.empty(len(series), np.uint8)
    kernels.shortest(series.to_numpy(), digits, places, status)
    rows = np.flatnonzero(status)
    if len(rows):
        digits[rows], places[rows], status[rows] = _parsed(series.gather(rows))
    return _with_wide(table, series, Numbers(digits, places, {}), np.flatnonzero(status))


def _parsed(series: pl.Series) -> tuple[Int64Array, IntArray, IntArray]:
    """Digits, places and status of the texts polars writes; those of a Float64 may have an exponent."""
    digits = np.empty(len(series), np.int64)
    places = np.empty(len(series), np.int16)
    status = np.empty(len(series), np.uint8)
    exponents = series.dtype == pl.Float64
    for start in range(0, len(series), _BATCH):
        part = slice(start, start + _BATCH)
        buffer = io.BytesIO()
        series[part].to_frame().write_csv(buffer, include_header=False, quote_style="never")
        text = np.frombuffer(buffer.getbuffer(), np.uint8)
        kernels.parse(text, exponents, digits[part], places[part], status[part])
    return digits, places, status


def _with_wide(table: Table, series: pl.Series, found: Numbers, rows: Int64Array) -> Numbers:
    """Settle the rows the kernels left, up to the first that is no decimal."""
    for row in map(int, rows):
        try:
            found.wide[row] = exact(series[row])
        except ValueError as error:
            table.refuse(row, series.name, str(error))
            break
        found.digits[row], found.places[row] = 0, kernels.FAR
    return found


def on_grid(
    table: Table,
    column: str,
    given: Numbers,
    code: IntArray,
    steps: Sequence[Fraction],
    remedy: Callable[[int], str],
) -> Int64Array:
    """Decimals as whole steps: lots of a quantity, atoms of money.

    Parameters
    ----------
    table, column, given
        The decimals, and where they stand.
    code : int32 (rows)
        Which of `steps` counts for a row.
    steps : sequence of Fraction
        Steps per unit.
    remedy : function of the row
        What to say of a value between two steps.
    """
    rows = table.height
    out = np.empty(rows, np.int64)
    status = np.empty(rows, np.uint8)
    kernels.on_grid(
        read_only(given.digits[:rows]),
        given.places[:rows],
        read_only(code[:rows]),
        kernels.Scale(*decimal_scale(steps)),
        out,
        status,
    )
    table.refuse(status == kernels.NOT_WHOLE, column, remedy)
    for row in map(int, np.flatnonzero(status[: table.height] == kernels.WIDE)):
        value = given.at(row) * steps[code[row]]
        if value.denominator != 1:
            table.refuse(row, column, remedy)
            break
        if abs(value) > SUM_BOUND:
            table.refuse(row, column, _beyond(column, int(value)), error=BoundsError)
            break
        out[row] = int(value)
    return out[: table.height]


def money(
    table: Table, column: str, currency: IntArray, instruments: Instruments, *, null: int | None = None
) -> Int64Array:
    """Money in atoms, given in units of the row's currency."""
    places = instruments.decimals

    def remedy(row: int) -> str:
        code = currency[row]
        return f"{instruments.currencies[code]} has {places[code]} decimals: give no finer amount"

    steps = [Fraction(10**count) for count in places]
    return on_grid(table, column, numbers(table, column, null=null), currency, steps, remedy)


def refuse_beyond(table: Table, column: str, values: Int64Array, *, exempt: BoolArray | None = None) -> None:
    """Refuse lots or atoms beyond 2^53 (rule R1), but those of fund and market."""
    bad = (values > ROW_BOUND) | (values < -ROW_BOUND)
    if exempt is not None:
        bad &= ~exempt[: len(bad)]
    table.refuse(bad, column, lambda row: _beyond(column, int(values[row])), error=BoundsError)


def _beyond(column: str, value: int) -> str:
    unit = "lots" if column in ("qty", "lots") else "atoms"
    return f"this is {value} {unit}: keep it within ±2^53 (rule R1)"


def entry_values(
    table: Table, column: str, prices: Numbers, lots: Int64Array, code: IntArray, instruments: Instruments
) -> Int64Array:
    """Entry values in atoms of rows given by entry price, rounded against the holder (rule R11)."""
    rows = table.height
    out = np.empty(rows, np.int64)
    status = np.empty(rows, np.uint8)
    kernels.entry_values(
        read_only(lots[:rows]),
        read_only(prices.digits[:rows]),
        prices.places[:rows],
        read_only(code[:rows]),
        kernels.Scale(*instruments.scale),
        instruments.inverse,
        out,
        status,
    )
    for row in map(int, np.flatnonzero(status == kernels.WIDE)):
        value = ceil(int(lots[row]) * instruments[code[row]].unit_value(prices.at(row)))
        if abs(value) > SUM_BOUND:
            table.refuse(row, column, _beyond(column, value), error=BoundsError)
            break
        out[row] = value
    return out[: table.height]
