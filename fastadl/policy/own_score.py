"""A ranking score written by the user (rule R97)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from numba import cloudpickle

from fastadl.errors import PolicyError

__all__ = ["OwnScore", "score"]


@dataclass(frozen=True, slots=True)
class OwnScore:
    """A decorated score: give it to a policy as ``score``, or in ``then``.

    Parameters
    ----------
    name : str
        What results call it.
    function : callable
        From a `fastadl.Candidate` to a float, in what numba can compile.
    """

    name: str
    function: Callable[[Any], float]

    def __post_init__(self) -> None:
        code = getattr(self.function, "__code__", None)
        if code is None or code.co_argcount != 1:
            raise PolicyError(("score",), self.function, "decorate a function of one candidate (rule R97)")

    def __call__(self, candidate: Any) -> float:
        """The score of one candidate, in plain Python."""
        return self.function(candidate)

    def __reduce__(self) -> tuple[Callable[[bytes], OwnScore], tuple[bytes]]:
        """As what it does: where it goes to nobody may have its module."""
        return _remade, (_told(self),)


@lru_cache(64)
def _told(score: OwnScore) -> bytes:
    told: bytes = cloudpickle.dumps((score.name, score.function))
    return told


@lru_cache(64)
def _remade(told: bytes) -> OwnScore:
    """The same one every time, so that it is compiled once."""
    return OwnScore(*cloudpickle.loads(told))


def score(function: Callable[[Any], float]) -> OwnScore:
    """Make a function of a candidate row a ranking score (rule R97).

    Parameters
    ----------
    function : callable
        From a `fastadl.Candidate` to a float: higher is deleveraged first. It is compiled when an engine is
        made with it, and what it takes from outside keeps the value of that moment.

    Raises
    ------
    PolicyError
        If it is not a function of one argument.

    Examples
    --------
    >>> import fastadl as fa
    >>> @fa.score
    ... def profit_per_lot(c):
    ...     return c.profit / c.lots
    >>> fa.AdlPolicy(score=profit_per_lot).choices()["score"]
    'profit_per_lot'
    """
    return OwnScore(getattr(function, "__name__", ""), function)
