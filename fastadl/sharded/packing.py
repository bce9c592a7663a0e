"""Messages between the coordinator and shards, in few bytes."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

__all__ = ["packed", "unpacked"]

#: Shorter columns are not worth it.
_LEAST = 64

_Array = npt.NDArray[Any]
_Reduced = tuple[Callable[..., Any], tuple[Any, ...]]


def packed(what: Any) -> bytes:
    """Anything that can be pickled; columns in the narrowest type that holds them."""
    into = io.BytesIO()
    _Packer(into, pickle.HIGHEST_PROTOCOL).dump(what)
    return into.getvalue()


#: What `packed` made, as it was.
unpacked = pickle.loads


class _Packer(pickle.Pickler):
    def reducer_override(self, what: Any) -> Any:
        """How columns are packed; all else is pickled as ever."""
        if type(what) is np.ndarray and what.ndim == 1 and len(what) >= _LEAST and what.dtype.kind in "iub":
            return _narrow(what)
        if type(what) is pl.Series and what.dtype == pl.String and len(what) >= _LEAST:
            return _texts, (what.name, _compressed(what))
        return NotImplemented


def _narrow(column: _Array) -> _Reduced | Any:
    low, high = column.min(), column.max()
    if low == high:
        return _alike, (low.item(), len(column), column.dtype.str)
    if column.dtype.kind == "b":
        return _flags, (len(column), np.packbits(column).tobytes())
    span = np.min_scalar_type(int(high) - int(low))
    if span.itemsize >= column.dtype.itemsize:
        return NotImplemented
    return _wide, (low.item(), (column - low).astype(span).tobytes(), span.str, column.dtype.str)


def _alike(value: Any, count: int, dtype: str) -> _Array:
    return np.full(count, value, dtype)


def _flags(count: int, bits: bytes) -> _Array:
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=count).view(np.bool_)


def _wide(low: int, narrow: bytes, span: str, dtype: str) -> _Array:
    column = np.frombuffer(narrow, span).astype(dtype)
    column += np.dtype(dtype).type(low)
    return column


def _compressed(texts: pl.Series) -> bytes:
    into = io.BytesIO()
    texts.alias("").to_frame().write_ipc_stream(into, compression="zstd")
    return into.getvalue()


def _texts(name: str, compressed: bytes) -> pl.Series:
    return pl.read_ipc_stream(compressed).to_series().alias(name)
