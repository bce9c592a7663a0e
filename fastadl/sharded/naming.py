"""Accounts that the arguments of a call name, by id or by code, and those arguments in other codes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl

from fastadl.io.table import is_text
from fastadl.schema import Int64Array

__all__ = ["Named", "recoded", "table_of"]

#: Columns that name accounts.
_COLUMNS = ("account", "counterparty", "source", "target")
#: Where codes are larger than what they stand in for.
_WIDER: dict[Any, Any] = {
    **dict.fromkeys([pl.Int8, pl.Int16, pl.Int32], pl.Int64),
    **dict.fromkeys([pl.UInt8, pl.UInt16, pl.UInt32], pl.UInt64),
}


class Named:
    """Who is named.

    Attributes
    ----------
    ids : String
        Some of them may be nobody's.
    codes : int64 (n)
        Of `everybody`.
    """

    def __init__(self, columns: Iterable[Any], everybody: int) -> None:
        ids: list[pl.Series] = [pl.Series([], dtype=pl.String)]
        codes = [np.empty(0, np.int64)]
        for column in columns:
            texts, numbers = _split(column)
            ids.append(texts.alias(""))
            codes.append(numbers[(numbers >= 0) & (numbers < everybody)].astype(np.int64))
        self.ids = pl.concat(ids, rechunk=True).unique()
        self.codes = np.unique(np.concatenate(codes))


def table_of(given: Any, *, iterables: bool = False) -> tuple[Any, list[str]]:
    """A table as columns that can be read twice, and which of them name accounts; else as it was given.

    Columns may be whatever can be iterated over, or only what `fastadl.io.table.Table` takes.
    """
    if isinstance(given, pl.LazyFrame):
        given = given.collect()
    if not isinstance(given, (pl.DataFrame, Mapping)) and hasattr(given, "__arrow_c_stream__"):
        given = pl.DataFrame(given)
    if isinstance(given, pl.DataFrame):
        given = {column.name: column for column in given}
    if not isinstance(given, Mapping):
        return given, []
    table = {name: _column(each, iterables) for name, each in given.items()}
    return table, [name for name in _COLUMNS if name in table]


def _column(given: Any, iterables: bool) -> Any:
    if isinstance(given, (pl.Series, list, tuple)):
        return given
    if getattr(given, "ndim", 0) == 1:
        return np.asarray(given)
    listed = iterables and isinstance(given, Iterable) and not isinstance(given, (str, bytes, Mapping))
    return list(given) if listed else given


def recoded(column: Any, code: Callable[[Int64Array], Int64Array]) -> Any:
    """A column with other codes in place of those it has.

    Parameters
    ----------
    column : Series, array, or sequence
    code : callable
        Codes by those given; −1 for what has to stay as it is.
    """
    if isinstance(column, pl.Series) and column.dtype.is_integer():
        values = [_one(each, code) for each in column] if column.null_count() else None
        wider = _WIDER.get(column.dtype.base_type(), column.dtype)
        if values is None and wider != pl.Int64:
            values = [_one(each, code) for each in column]
        found = _many(column.cast(wider).to_numpy(), code) if values is None else values
        return pl.Series(column.name, found, dtype=wider)
    if isinstance(column, pl.Series):
        if column.dtype != pl.Object:
            return column
        return pl.Series(column.name, [_one(each, code) for each in column.to_list()], dtype=pl.Object)
    if isinstance(column, np.ndarray) and column.dtype.kind == "i":
        return _many(column.astype(np.int64), code)
    if isinstance(column, np.ndarray) and column.dtype != object:
        return column if column.dtype.kind != "u" else _unsigned(column, code)
    if isinstance(column, np.ndarray):
        out = column.copy()
        out[:] = [_one(each, code) for each in column]
        return out
    if isinstance(column, (list, tuple)):
        return [_one(each, code) for each in column]
    return column


def _split(column: Any) -> tuple[pl.Series, Any]:
    """Ids and codes of a column."""
    none = pl.Series([], dtype=pl.String)
    if isinstance(column, pl.Series):
        column = column.drop_nulls()
        if column.dtype.is_integer():
            return none, column.to_numpy()
        if isinstance(column.dtype, (pl.String, pl.Categorical, pl.Enum)):
            return column.cast(pl.String), np.empty(0, np.int64)
        column = column.to_list()
    if isinstance(column, np.ndarray):
        if column.dtype.kind in "iu":
            return none, column
        column = column.tolist()
    if not isinstance(column, (list, tuple)):
        return none, np.empty(0, np.int64)
    codes = [int(each) for each in column if _is_code(each) and abs(int(each)) < 1 << 62]
    texts = [str(each) for each in column if is_text(each)]
    return pl.Series(texts, dtype=pl.String), np.array(codes, np.int64)


def _is_code(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _one(value: Any, code: Callable[[Int64Array], Int64Array]) -> Any:
    if not _is_code(value) or not 0 <= int(value) < 1 << 62:
        return value
    found = int(code(np.array([int(value)]))[0])
    if found < 0 or isinstance(value, int):
        return value if found < 0 else found
    kind = type(value)
    return kind(found) if found <= np.iinfo(kind).max else np.int64(found)


def _many(values: Int64Array, code: Callable[[Int64Array], Int64Array]) -> Int64Array:
    found = code(values)
    return np.where(found < 0, values, found)


def _unsigned(values: Any, code: Callable[[Int64Array], Int64Array]) -> Any:
    within = values < 1 << 62
    out = values.astype(np.uint64)
    out[within] = _many(values[within].astype(np.int64), code)
    return out
