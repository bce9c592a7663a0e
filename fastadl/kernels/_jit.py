"""How kernels are compiled and cached: one decorator, one cache that any edit in this folder empties.

numba's own ``cache=True`` watches only the file a function stands in, so machine code built from an edited
helper in another file would go on answering. Here the stamp of every cached kernel is a digest of all
sources in this folder, and the cache lives in the user's cache directory
(``FASTADL_CACHE_DIR`` moves it, an empty value turns it off). A cache that cannot be read or written costs
time, never a result: the kernel is compiled anew.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core import caching, types
from numba.core.registry import CPUDispatcher

from fastadl.kernels import _threads

__all__ = ["ByAddress", "Uncalled", "borrowing", "cache_directory", "compiled", "kernel", "parallel", "source_digest"]

F = TypeVar("F", bound=Callable[..., Any])

#: Every loop that is made parallel takes a third of a second to compile.
_ONLY_PRANGE = {"prange": True} | dict.fromkeys(
    ("comprehension", "fusion", "inplace_binop", "numpy", "reduction", "setitem", "stencil"), False
)

#: Every kernel made here, by name: what ``warmup`` reports on.
compiled: dict[str, Any] = {}


@functools.cache
def source_digest() -> str:
    """Digest of every source file of the kernels package."""
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder)}:{path.stat().st_size}:".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:20]


@functools.cache
def cache_directory() -> Path | None:
    """Folder of compiled kernels, or None where none can be written."""
    given = os.environ.get("FASTADL_CACHE_DIR")
    if given == "":
        return None
    variable, fallback = ("LOCALAPPDATA", "") if sys.platform == "win32" else ("XDG_CACHE_HOME", ".cache")
    try:
        root = Path(given) if given else Path(os.environ.get(variable) or Path.home() / fallback) / "fastadl"
        folder = root / source_digest()
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError: a user without a home
        return None
    return folder if os.access(folder, os.W_OK) else None


class _Locator(caching._CacheLocator):  # type: ignore[misc]
    def __init__(self, function: Callable[..., Any], folder: Path) -> None:
        self._folder = folder
        self._line = function.__code__.co_firstlineno

    def get_cache_path(self) -> str:
        return str(self._folder)

    def get_source_stamp(self) -> str:
        return source_digest()

    def get_disambiguator(self) -> str:
        return str(self._line)

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], _py_file: str) -> _Locator | None:
        folder = cache_directory()
        return None if folder is None else cls(py_func, folder)


class _Implementation(caching.CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_Locator,)


class _Cache(caching.FunctionCache):  # type: ignore[misc]
    _impl_class = _Implementation

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # a file cut short by a crash can fail in any way, and none of them matters
            with contextlib.suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with contextlib.suppress(OSError):
            super().save_overload(sig, data)


class _Dispatcher(CPUDispatcher):  # type: ignore[misc]
    """Compiles a helper once for all integers, not once more for each that a caller wrote as a literal."""

    def get_call_template(self, args: Any, kws: Any) -> Any:
        plain = tuple(types.unliteral(each) for each in args)
        return super().get_call_template(plain, {key: types.unliteral(each) for key, each in kws.items()})


class _Parallel(_Dispatcher):
    """Waits for its turn where `fastadl.kernels._threads` says so."""

    def __call__(self, *arguments: Any) -> Any:
        if _threads.free:
            return super().__call__(*arguments)
        with _threads.turn():
            return super().__call__(*arguments)


def _compile(function: F, **options: Any) -> F:
    if function.__name__.startswith("_"):  # called by kernels only
        options["no_cpython_wrapper"] = True
    dispatcher = numba.njit(error_model="numpy", nogil=True, no_cfunc_wrapper=True, **options)(function)
    if not numba.config.DISABLE_JIT:
        dispatcher.__class__ = _Parallel if "parallel" in options else _Dispatcher
    if hasattr(dispatcher, "enable_caching") and cache_directory() is not None:
        dispatcher._cache = _Cache(function)
    compiled[f"{function.__module__.rpartition('.')[2]}.{function.__name__}"] = dispatcher
    return dispatcher


def kernel(function: F) -> F:
    """Compile a serial kernel, or a helper of one."""
    return _compile(function)


def borrowing(function: F) -> F:
    """Compile a serial kernel that allocates nothing and returns no array.

    It counts no references to the arrays in the tuples it is given. Where kernels this small hand tuples on
    to each other in a loop, counting took most of the time (*measured*: `close`, 103 ns with, 13 ns without).
    """
    return _compile(function, _nrt=False)


def parallel(function: F) -> F:
    """Compile a kernel whose ``prange`` runs over fixed chunks, and nothing else of it on several threads."""
    return _compile(function, parallel=_ONLY_PRANGE.copy())  # numba empties it


class Uncalled(types.WrapperAddressProtocol):
    """Stands where a kernel takes a `ByAddress` but is told not to call it, so that there is one type for both.

    Parameters
    ----------
    example : Any
        As for `ByAddress`.
    """

    def __init__(self, example: Any) -> None:
        self._signature = types.float64(numba.typeof(example))

    def __wrapper_address__(self) -> int:
        return 1  # of no function; numba refuses 0

    def signature(self) -> Any:
        return self._signature


class ByAddress(types.WrapperAddressProtocol):
    """A function from outside, compiled when this is made, which kernels call by its address.

    A kernel that takes one is compiled once for all functions of one argument type. The functions themselves
    never reach the cache, so that none can be answered by another one's machine code.

    Parameters
    ----------
    function : callable
        From one argument to a number. Where it raises, kernels get NaN.
    example : Any
        An argument of the type that kernels will call it with.

    Raises
    ------
    TypeError
        If what it returns is no real number.
    numba.core.errors.NumbaError
        If it cannot be compiled.
    """

    def __init__(self, function: Callable[[Any], Any], example: Any) -> None:
        argument = numba.typeof(example)
        inner = numba.njit(error_model="numpy", nogil=True)(function)
        inner.compile((argument,))
        returned = inner.nopython_signatures[0].return_type
        if not isinstance(returned, (types.Float, types.Integer, types.Boolean)):
            raise TypeError(f"it returns {returned}")

        def call(given: Any) -> float:
            try:
                return inner(given) + 0.0
            except Exception:
                return math.nan

        self._signature = types.float64(argument)
        self._compiled = numba.cfunc(self._signature, error_model="numpy")(call)

    def __wrapper_address__(self) -> int:
        return self._compiled.address

    def signature(self) -> Any:
        return self._signature
