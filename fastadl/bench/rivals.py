"""What fastadl is held against, where it is installed: DuckDB, lrvx, and C if there is a compiler."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import numba
import numpy as np

from fastadl.bench.registry import Absent

__all__ = ["C_FLAGS", "c", "duckdb", "lrvx", "pointers"]

_SOURCE = Path(__file__).with_name("rivals.c")
C_FLAGS = ("-O3", "-march=native", "-fopenmp")


def _installed(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError as error:
        raise Absent(f'{name} cannot be imported ({error}): pip install "fastadl[bench]"') from None


def lrvx() -> Any:
    """The one package on the index that deleverages."""
    return _installed("lrvx")


def duckdb(**tables: Any) -> Any:
    """A connection on as many threads as our kernels, and these tables of columns in memory."""
    connection = _installed("duckdb").connect(config={"threads": numba.get_num_threads()})
    for name, columns in tables.items():
        connection.register("given", columns)
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM given")
        connection.unregister("given")
    return connection


@cache
def c() -> ctypes.CDLL:
    """The loops of ``rivals.c``, compiled for this machine."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        raise Absent("there is no C compiler: install cc, gcc or clang")
    with TemporaryDirectory(prefix="fastadl-") as folder:
        library = Path(folder) / "rivals.so"
        command = [compiler, *C_FLAGS, "-shared", "-fPIC", "-o", str(library), str(_SOURCE)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Absent(f"{compiler} could not build it: {' '.join(done.stderr.split())[:200]}")
        loaded = ctypes.CDLL(str(library))
    whole, column = ctypes.c_int64, ctypes.c_void_p
    loaded.mark.argtypes = [whole, *[column] * 8]
    loaded.choose.argtypes = [whole, *[column] * 3, whole, column]
    loaded.mark.restype = loaded.choose.restype = whole
    loaded.threads(ctypes.c_int(numba.get_num_threads()))
    return loaded


def pointers(*columns: Any) -> list[int]:
    """Addresses of contiguous arrays, to hand to C."""
    assert all(isinstance(column, np.ndarray) and column.flags.c_contiguous for column in columns)
    return [column.ctypes.data for column in columns]
