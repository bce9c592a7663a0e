"""One input table on its way in: named columns, and the first bad row found so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from fastadl.errors import InputError
from fastadl.schema import INPUTS, SUM_BOUND, BoolArray, Int64Array, IntArray

__all__ = ["Table", "is_text"]

#: Python types whose lists polars takes without changing a value.
_PLAIN = (str, int, float, bool)
_WITHIN = "an integer within ±2^62"


class Table:
    """Columns of an input table, checked from left to right.

    A refused value is kept, not raised, and the table shrinks to the rows before it, which later checks may
    still find fault with: what `finish` raises is the first bad row, and in it the first bad column.

    Parameters
    ----------
    name : str
        A key of `INPUTS`.
    data : DataFrame, LazyFrame, Arrow table, or mapping of arrays, lists and Series

    Attributes
    ----------
    height : int
        Rows before the first bad one found so far.
    """

    def __init__(self, name: str, data: Any) -> None:
        self.name = name
        self._columns = _columns(name, data)
        self._problem: InputError | None = None
        self._check_names()
        self.height = self._common_height()

    def __contains__(self, column: str) -> bool:
        return column in self._columns

    @property
    def names(self) -> tuple[str, ...]:
        """Columns given."""
        return tuple(self._columns)

    def _check_names(self) -> None:
        known = INPUTS[self.name]
        names = [column.name for column in known]
        for name in self._columns:
            if name not in names:
                raise InputError(
                    (self.name, name), "unknown column", f"remove it; there are {', '.join(names)}"
                )
        for column in known:
            same = [
                other for other in known if other is column or (column.group and other.group == column.group)
            ]
            given = [other for other in same if other.name in self]
            if not given and column.default is None:
                wanted = " or ".join(other.name for other in same)
                raise InputError((self.name, column.name), "missing", f"add a column {wanted}")
            whole = [other.name for other in given if column.group and other.type == "integer"]
            if whole and len(given) > 1:
                other = next(other.name for other in given if other.name != whole[0])
                raise InputError(
                    (self.name, whole[0]), f"given beside {other}", "keep one of the two (rule R75)"
                )

    def _common_height(self) -> int:
        heights = {name: len(values) for name, values in self._columns.items()}
        height = next(iter(heights.values()))
        for name, other in heights.items():
            if other != height:
                raise InputError(
                    (self.name, name), f"{other} values", f"give {height}, as many as the first column has"
                )
        return height

    # ------------------------------------------------------------------ refusing

    def refuse(
        self,
        bad: BoolArray | int | None,
        column: str,
        remedy: str | Callable[[int], str],
        *,
        value: Any = ...,
        error: type[InputError] = InputError,
    ) -> None:
        """Keep an error at the first bad row, if there is one, and shrink to the rows before it.

        Parameters
        ----------
        bad : bool (rows), or the row itself
            Rows from `height` on are not looked at.
        column : str
        remedy : str, or a function of the row
        value : object, optional
            What was found; the cell itself if left out.
        error : type of InputError
        """
        if isinstance(bad, np.ndarray):
            bad = bad[: self.height]
            bad = int(bad.argmax()) if bad.any() else None
        if bad is None or bad >= self.height:
            return
        found = self.cell(column, bad) if value is ... else value
        text = remedy if isinstance(remedy, str) else remedy(bad)
        self._problem = error((self.name, bad, column), found, text)
        self.height = bad

    def finish(self) -> None:
        """Raise the first problem."""
        if self._problem is not None:
            raise self._problem

    # ------------------------------------------------------------------ columns

    def column(self, name: str) -> Any:
        """A column as it was given."""
        return self._columns[name]

    def cell(self, column: str, row: int) -> Any:
        """The value as it was given."""
        value = self._columns[column][row]
        return value.item() if isinstance(value, np.generic) else value

    def values(self, column: str) -> Sequence[Any]:
        """All values as Python objects."""
        values = self._columns[column]
        if isinstance(values, pl.Series):
            return [_without_nulls(value) for value in values.to_list()]
        return values if isinstance(values, (list, tuple)) else list(values.tolist())

    def series(self, column: str, *, nulls: bool = False) -> pl.Series:
        """The rows up to `height`; nulls are refused unless they mean something."""
        series = _series(column, self._columns[column])[: self.height]
        if not nulls and series.null_count():
            self.refuse(series.is_null().to_numpy(), column, "give a value in every row", value="null")
        return series[: self.height]

    def refuse_dtype(self, series: pl.Series, wanted: str) -> None:
        """Refuse a column of the wrong dtype at its first value."""
        rows = np.flatnonzero(series.is_not_null().to_numpy())
        if len(rows):
            self.refuse(int(rows[0]), series.name, f"give {wanted}, not {series.dtype}")

    def text(self, column: str, *, nulls: bool = False) -> pl.Series:
        """A column of texts, none of them empty, as String."""
        series = self._texts(column, nulls).cast(pl.String)
        self.refuse((series == "").fill_null(False).to_numpy(), column, "give a text that is not empty")
        return series[: self.height]

    def codes(
        self, column: str, choices: Sequence[str], remedy: Callable[[str], str], *, nulls: bool = False
    ) -> IntArray:
        """Positions of texts among a few choices: int32, −1 for null; others are refused."""
        texts = self._texts(column, nulls)
        codes = texts.cast(pl.Enum(choices), strict=False).to_physical()
        found = codes.cast(pl.Int32).fill_null(-1).to_numpy()
        self.refuse(
            (found < 0) & texts.is_not_null().to_numpy(), column, lambda row: remedy(self.cell(column, row))
        )
        return found[: self.height]

    def _texts(self, column: str, nulls: bool) -> pl.Series:
        series = self.series(column, nulls=nulls)
        if series.dtype == pl.Object:
            series = self._checked(series, is_text, "a text")
            return pl.Series(column, series.to_list(), pl.String)
        if isinstance(series.dtype, (pl.String, pl.Categorical, pl.Enum, pl.Null)):
            return series
        self.refuse_dtype(series, "texts (String)")
        return series[:0].cast(pl.String)

    def integers(self, column: str) -> Int64Array:
        """A column of integers, as int64."""
        series = self.series(column)
        if series.dtype == pl.Object:
            series = self._checked(
                series, lambda value: isinstance(value, int) and not isinstance(value, bool), "an integer"
            )
            series = self._checked(series, lambda value: abs(value) <= SUM_BOUND, _WITHIN)
            series = pl.Series(column, series.to_list(), pl.Int64)
        if not series.dtype.is_integer() and len(series):
            self.refuse_dtype(series, "integers (Int64)")
            return np.empty(0, np.int64)
        whole = series.cast(pl.Int64, strict=False)
        if whole.null_count():
            self.refuse(whole.is_null().to_numpy(), column, f"give {_WITHIN}")
        return whole[: self.height].to_numpy()

    def flags(self, column: str) -> BoolArray:
        """A column of true and false."""
        series = self.series(column)
        if series.dtype == pl.Object:
            series = self._checked(series, lambda value: isinstance(value, bool), "true or false")
            series = pl.Series(column, series.to_list(), pl.Boolean)
        if series.dtype != pl.Boolean and len(series):
            self.refuse_dtype(series, "true or false (Boolean)")
            return np.empty(0, np.bool_)
        return series[: self.height].cast(pl.Boolean).to_numpy()

    def _checked(self, series: pl.Series, fits: Callable[[Any], bool], wanted: str) -> pl.Series:
        bad = [value is not None and not fits(value) for value in series.to_list()]
        self.refuse(np.array(bad, np.bool_), series.name, f"give {wanted}")
        return series[: self.height]


def is_text(value: object) -> bool:
    """Whether a value is a text that can be written as UTF-8."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeError:
        return False


def _columns(name: str, data: Any) -> dict[str, Any]:
    if isinstance(data, pl.LazyFrame):
        data = data.collect()
    if not isinstance(data, (pl.DataFrame, Mapping)) and hasattr(data, "__arrow_c_stream__"):
        data = pl.DataFrame(data)
    if isinstance(data, pl.DataFrame):
        return {series.name: series for series in data}
    if not isinstance(data, Mapping):
        raise InputError((name,), type(data).__name__, "give a polars DataFrame or a mapping of arrays")
    for column, values in data.items():
        if not isinstance(values, (pl.Series, list, tuple)) and getattr(values, "ndim", 0) != 1:
            raise InputError(
                (name, column), type(values).__name__, "give a list, a one-dimensional array or a Series"
            )
    return {
        column: values if isinstance(values, (pl.Series, list, tuple)) else np.asarray(values)
        for column, values in data.items()
    }


def _series(name: str, values: Any) -> pl.Series:
    if isinstance(values, pl.Series):
        return values.alias(name)
    if isinstance(values, np.ndarray):
        if values.dtype != object:
            return pl.Series(name, values)
        values = values.tolist()
    kinds = set(map(type, values)) - {type(None)}
    if not kinds or (len(kinds) == 1 and kinds.issubset(_PLAIN)):
        try:
            return pl.Series(name, values)
        except (TypeError, OverflowError, UnicodeError):  # integers beyond 128 bits, half a surrogate pair
            pass
    return pl.Series(name, values, dtype=pl.Object)


def _without_nulls(value: Any) -> Any:
    """A list of structs without the fields that polars filled with null."""
    if not isinstance(value, list):
        return value
    return [
        {name: cell for name, cell in item.items() if cell is not None} if isinstance(item, dict) else item
        for item in value
    ]
