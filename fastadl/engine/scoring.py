"""A policy's scores as kernels take them: built-in ones by number, a user's own compiled (rule R97)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from numbers import Real
from typing import Any

import numba
import numpy as np

from fastadl.errors import PolicyError
from fastadl.kernels._jit import ByAddress, Uncalled
from fastadl.kernels.scores import NEEDS, SCORES, Candidate, needed, read_figures
from fastadl.policy import OwnScore
from fastadl.policy.choices import nearest

__all__ = ["Scoring", "scoring"]

#: For its types: what kernels hand to a score.
_EXAMPLE = Candidate(**dict.fromkeys(Candidate._fields, 0.0) | {"short": False, "inverse": False, "seed": 0})
_NONE = Uncalled(_EXAMPLE)


@dataclass(frozen=True, slots=True)
class Scoring:
    """The first arguments of `fastadl.kernels.measure.measure`."""

    number: int
    needs: int
    own: Any


def scoring(score: str | OwnScore) -> Scoring:
    """How kernels work out a score.

    Raises
    ------
    PolicyError
        If it is a function that reads what a candidate does not have, that numba cannot compile, or that does
        not return a number.
    """
    if isinstance(score, OwnScore):
        return _compiled(score)
    number = SCORES.index(score)
    return Scoring(number, NEEDS[number], _NONE)


@lru_cache(maxsize=256)
def _compiled(score: OwnScore) -> Scoring:
    """Of one function object, so that a new one of the same name is compiled anew."""
    function = getattr(score.function, "py_func", score.function)
    read = read_figures(function)
    for name in read or ():
        if name not in Candidate._fields:
            known = nearest(name, Candidate._fields)
            raise PolicyError(("score",), score.name, f"a candidate has no {name}{known} (rule R97)")
    own: Any = _uncompiled(score.name, function)
    if not numba.config.DISABLE_JIT:
        try:
            own = ByAddress(function, _EXAMPLE)
        except Exception as error:
            remedy = "let it return a float, from the figures of a candidate and what numba can compile"
            raise PolicyError(("score",), score.name, f"{remedy} (rule R97)") from error
    return Scoring(-1, needed(read), own)


def _uncompiled(name: str, function: Callable[[Any], Any]) -> Callable[[Candidate], float]:
    """The same in plain Python; NumPy's float64 divides by zero as a compiled one does."""

    def call(candidate: Candidate) -> float:
        figures = (np.float64(x) if isinstance(x, float) else x for x in candidate)
        with np.errstate(all="ignore"):
            try:
                found = function(Candidate(*figures))
            except Exception:  # as compiled: whatever fails is not a number
                return float("nan")
        if not isinstance(found, (Real, np.bool_)):
            raise PolicyError(("score",), name, f"let it return a float, not {found!r} (rule R97)")
        return float(found)

    return call
