"""Calls of an engine and what came of them, as entries of a journal hold them, and back (rule R109).

An entry's payload is ``input`` and ``result``, plain values by name, and beside them the frames and arrays
among these as ``input.NAME`` and ``result.NAME``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from fractions import Fraction
from hashlib import sha256
from typing import Any

import numpy as np
import polars as pl

from fastadl.decimals import exact, places_of, plain
from fastadl.engine.results import LISTS, Report
from fastadl.errors import InputError

__all__ = ["arguments", "difference", "inputs", "outcome", "settled"]

_INPUT, _RESULT = "input", "result"
#: Longer arrays of a result are told by their hash.
_FEW = 16
#: Key of a fraction that no decimal writes; no symbol and no column is called so.
_FRACTION = ""
#: How deep values may stand in one another.
_DEEPEST = 24
#: Columns that come back as arrays, and arrays that are columns.
_NUMBERS = {pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64, pl.Float32,
            pl.Float64}  # fmt: skip
_ARRAYS = {np.dtype(code) for code in ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8")}


def settled(given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments that can be read twice: collected where need be, frames of others as those of polars."""
    found = {}
    for name, value in given.items():
        if isinstance(value, pl.LazyFrame):
            value = value.collect()
        elif hasattr(value, "__arrow_c_stream__") and not isinstance(value, (pl.DataFrame, pl.Series)):
            value = pl.DataFrame(value)
        if isinstance(value, pl.DataFrame) and pl.Object in value.schema.values():
            value = {column.name: column for column in value}
        found[name] = value
    return found


def inputs(given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a call as a part of its entry.

    Numbers stay exactly what they are: `Decimal` and `Fraction` become text, columns that are arrays stay
    arrays, of the same type. What comes back from `arguments` changes with nothing that was given.

    Raises
    ------
    InputError
        For what no journal can hold.
    """
    values: dict[str, Any] = {}
    parts: dict[str, Any] = {}
    for name, value in given.items():
        if _is_part(value):
            parts[f"{_INPUT}.{name}"] = value.copy() if isinstance(value, np.ndarray) else value
            continue
        columns = _columns(value)
        if columns:
            parts[f"{_INPUT}.{name}"] = pl.DataFrame(columns)
            value = {column: cells for column, cells in value.items() if column not in columns}
        values[name] = _plain(value, (name,))
    return {_INPUT: values, **parts}


def arguments(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that `inputs` was given, or ones that mean the same."""
    found: dict[str, Any] = {name: _unplain(value) for name, value in payload[_INPUT].items()}
    for key, part in payload.items():
        place, _, name = key.partition(".")
        if place != _INPUT or not name:
            continue
        found[name] = part if name not in found else found[name] | {c.name: _array(c) for c in part}
    return found


def outcome(result: Any) -> dict[str, Any]:
    """What a call returned as a part of its entry; reports without the time they took."""
    values: dict[str, Any] = {}
    parts: dict[str, Any] = {}
    for name, value in _told(result):
        if isinstance(value, pl.DataFrame):
            parts[f"{_RESULT}.{name}"] = value
        elif isinstance(value, np.ndarray):
            values[name] = value.tolist() if len(value) <= _FEW else _digest(value)
        else:
            values[name] = _plain(value, (name,))
    return {_RESULT: values, **parts}


def difference(noted: Mapping[str, Any], found: Mapping[str, Any]) -> str | None:
    """The first name under which two results, or two states, are not the same; None if they are."""
    for name in sorted({*noted, *found}):
        if name.partition(".")[0] == _INPUT:
            continue
        if name not in noted or name not in found:
            return name
        inner = _difference(noted[name], found[name])
        if inner is not None:
            return f"{name}.{inner}" if inner else name
    return None


def _difference(one: Any, other: Any) -> str | None:
    if isinstance(one, pl.DataFrame) and isinstance(other, pl.DataFrame):
        if one.schema == other.schema and one.equals(other):
            return None
        names = [name for name in one.columns if name in other.columns and len(one) == len(other)]
        return next((name for name in names if not one[name].equals(other[name])), "")
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return None if one.dtype == other.dtype and one.tobytes() == other.tobytes() else ""
    if isinstance(one, dict) and isinstance(other, dict):
        return difference(one, other)
    return None if _text(one) == _text(other) else ""


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=repr)


def _told(result: Any) -> Iterable[tuple[str, Any]]:
    if result is None:
        return
    if isinstance(result, Report):
        for name in LISTS:
            if len(next(iter(result.columns(name).values()))):
                yield name, getattr(result, name)
        yield "summary", result.summary.select(pl.exclude("^seconds_.*$"))
    elif is_dataclass(result):
        for field in fields(result):
            if not field.name.startswith("_"):
                yield field.name, getattr(result, field.name)
    else:
        yield "value", result


def _is_part(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return type(value) is np.ndarray and value.ndim == 1 and value.dtype in _ARRAYS
    return isinstance(value, pl.DataFrame) and pl.Object not in value.schema.values()


def _columns(value: Any) -> dict[str, Any]:
    """Those columns of a table that are arrays or series."""
    if not isinstance(value, Mapping):
        return {}
    found = {
        name: cells
        for name, cells in value.items()
        if isinstance(name, str)
        and (
            (isinstance(cells, np.ndarray) and _is_part(cells))
            or (isinstance(cells, pl.Series) and cells.dtype != pl.Object)
        )
    }
    return found if len({len(cells) for cells in found.values()}) < 2 else {}


def _array(column: pl.Series) -> Any:
    return column.to_numpy() if column.dtype in _NUMBERS and not column.null_count() else column


def _plain(value: Any, path: tuple[str | int, ...]) -> Any:
    """A value as JSON has it, with nothing lost; refused at its path if JSON has none."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Decimal):
        value = exact(value)
    if isinstance(value, Fraction):
        return {_FRACTION: str(value)} if places_of(value) is None else plain(value)
    for kind in (str, bool, int, float):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, np.generic) and not isinstance(value.item(), np.generic):
        return _plain(value.item(), path)
    if isinstance(value, Mapping):
        return {_key(key, path): _plain(item, (*path, str(key))) for key, item in value.items()}
    if isinstance(value, pl.DataFrame):
        return {column.name: _plain(column, (*path, column.name)) for column in value}
    if isinstance(value, np.ma.MaskedArray):
        raise InputError(path, "a masked array", "fill what is masked, or leave it out")
    if isinstance(value, (pl.Series, np.ndarray)):
        value = value.to_list() if isinstance(value, pl.Series) else list(value)
    if isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray, memoryview)):
        if len(path) > _DEEPEST:
            raise InputError(path[:1], f"more than {_DEEPEST} deep", "give flatter values")
        return [_plain(item, (*path, row)) for row, item in enumerate(value)]
    raise InputError(path, f"{type(value).__name__} {value!r}", "give texts, numbers, and tables of these")


def _key(key: Any, path: tuple[str | int, ...]) -> str:
    if isinstance(key, str):
        return str(key)
    raise InputError(path, key, "give names that are texts")


def _unplain(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {_FRACTION}:
            return Fraction(value[_FRACTION])
        return {key: _unplain(item) for key, item in value.items()}
    return [_unplain(item) for item in value] if isinstance(value, list) else value


def _digest(array: Any) -> str:
    digest = sha256(f"{array.dtype.str} {array.shape} ".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
