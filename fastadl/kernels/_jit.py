"""How kernels are compiled: three decorators, and functions from outside that kernels call by address."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from numba.core import types
from numba.core.registry import CPUDispatcher
from numba.core.types.misc import unliteral

from fastadl.kernels import _threads
from fastadl.kernels._cache import KernelCache, cache_directory

__all__ = ["ByAddress", "Uncalled", "borrowing", "compiled", "dividing", "kernel", "parallel"]

F = TypeVar("F", bound=Callable[..., Any])

#: Every loop that is made parallel takes a third of a second to compile.
_ONLY_PRANGE = {"prange": True} | dict.fromkeys(
    ("comprehension", "fusion", "inplace_binop", "numpy", "reduction", "setitem", "stencil"), False
)

#: Every kernel made here, by name: what ``warmup`` reports on.
compiled: dict[str, Any] = {}


class _Dispatcher(CPUDispatcher):  # type: ignore[misc]
    """Compiles a helper once for all integers, not once more for each that a caller wrote as a literal.

    Called from Python it waits for its turn where `fastadl.kernels._threads` says so.
    """

    def get_call_template(self, args: Any, kws: Any) -> Any:
        plain = tuple(unliteral(each) for each in args)
        return super().get_call_template(plain, {key: unliteral(each) for key, each in kws.items()})

    def __call__(self, *arguments: Any) -> Any:
        if _threads.free:
            return super().__call__(*arguments)
        if not self.threaded:
            _threads.begin()
            return super().__call__(*arguments)
        with _threads.turn():
            return super().__call__(*arguments)

    @functools.cached_property
    def threaded(self) -> bool:
        """Whether this kernel, or one it calls, is parallel."""
        found, left = set(), [self]
        while left:
            kernel = left.pop()
            if "parallel" in kernel.targetoptions:
                return True
            if kernel not in found:
                found.add(kernel)
                named = (kernel.py_func.__globals__.get(name) for name in kernel.py_func.__code__.co_names)
                left += [each for each in named if isinstance(each, _Dispatcher)]
        return False


def _compile(function: F, **options: Any) -> F:
    helper = function.__name__.startswith("_")  # called by kernels only, whose files on disk contain it
    if helper:
        options["no_cpython_wrapper"] = True
    dispatcher = numba.njit(error_model="numpy", nogil=True, no_cfunc_wrapper=True, **options)(function)
    if not numba.config.DISABLE_JIT:
        dispatcher.__class__ = _Dispatcher
    if hasattr(dispatcher, "enable_caching") and not helper and cache_directory() is not None:
        dispatcher._cache = KernelCache(function)
    compiled[f"{function.__module__.rpartition('.')[2]}.{function.__name__}"] = dispatcher
    return dispatcher


def kernel(function: F) -> F:
    """Compile a serial kernel, or a helper of one."""
    return _compile(function)


def dividing(function: F) -> F:
    """Compile a serial kernel that may divide by next to nothing; uncompiled, NumPy shall not warn of it."""
    if numba.config.DISABLE_JIT:
        function = np.errstate(divide="ignore", invalid="ignore", over="ignore")(function)
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
    """Stands where a kernel takes a `ByAddress` but is told not to call it; there is one type for both.

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
