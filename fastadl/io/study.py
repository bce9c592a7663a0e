"""CSV files of published studies."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from fastadl.errors import InputError
from fastadl.schema import Float64Array, Int64Array

__all__ = ["StudyTable"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class StudyTable:
    """A CSV file whose columns are read on demand; every complaint names the file."""

    def __init__(self, path: Path) -> None:
        self._file = str(path)
        if not path.is_file():
            raise InputError((), "missing", "give a folder with this file", self._file)
        try:
            with path.open("rb") as stream:
                self._frame = pl.read_csv(stream, infer_schema=False)
        except (pl.exceptions.PolarsError, OSError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise InputError((), reason, "give a complete CSV file that can be read", self._file) from None
        if self._frame.is_empty():
            raise InputError((), "no rows", "give at least one", self._file)

    def numbers(self, column: str) -> Float64Array:
        """A column of finite numbers."""
        values = self._column(column).cast(pl.Float64, strict=False)
        self._refuse(column, ~values.is_finite().fill_null(False), "a finite number")
        return values.to_numpy()

    def times(self, column: str) -> Int64Array:
        """A column of ISO times with their zone, as milliseconds."""
        return np.array([self._time(column, row) for row in range(len(self._frame))], np.int64)

    def _time(self, column: str, row: int) -> int:
        text = self._column(column)[row]
        try:
            time = datetime.fromisoformat(text)
            return round((time - _EPOCH).total_seconds() * 1000)
        except (TypeError, ValueError):
            raise InputError((row, column), text, "give an ISO time with its zone", self._file) from None

    def _column(self, name: str) -> pl.Series:
        if name not in self._frame.columns:
            raise InputError((name,), "missing", "give a file with this column", self._file)
        return self._frame[name]

    def _refuse(self, column: str, bad: pl.Series, wanted: str) -> None:
        if bad.any():
            row = int(bad.arg_true()[0])
            raise InputError((row, column), self._frame[column][row], f"give {wanted}", self._file)
