"""What the parts of a crowd find out together: one algorithm for a book in one place and for one in shards.

An algorithm over all candidates is a generator. Where it needs to know something of everybody it yields a
`Collective`, made of its own part, and is sent the answer. Whoever runs it decides how that is found:
`alone`, where its part is everybody, at once and by the quickest kernel; `apart`, where there are other
parts, in rounds: the parts hand over small `Reduction` objects, which are merged and sent back to all of
them, so that all go on alike. Nothing that is decided may depend on how a crowd is divided: what is added up
is whole, or settled exactly afterwards.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np

__all__ = ["Collective", "Gather", "Least", "Most", "Reduction", "Rounds", "Steps", "Sum", "alone", "apart"]

T = TypeVar("T")
A = TypeVar("A")


class Reduction(ABC):
    """What one part contributes to a round; all parts contribute the same kind."""

    @staticmethod
    @abstractmethod
    def merge(found: Sequence[Any]) -> Any:
        """What all parts are sent, from what each of them contributed."""


#: An algorithm in rounds among parts.
Rounds: TypeAlias = Generator[Reduction, Any, T]


class Collective(ABC, Generic[A]):
    """Something that is asked of everybody."""

    @abstractmethod
    def alone(self) -> A:
        """The answer where this part is everybody."""

    @abstractmethod
    def apart(self) -> Rounds[A]:
        """The same among parts; an answer by member is that of the members of this part."""


#: An algorithm over everybody.
Steps: TypeAlias = Generator[Collective[Any], Any, T]


def alone(steps: Steps[T]) -> T:
    """Run an algorithm whose part is everybody."""
    try:
        asked = next(steps)
        while True:
            asked = steps.send(asked.alone())
    except StopIteration as end:
        return end.value


def apart(steps: Steps[T]) -> Rounds[T]:
    """The rounds of an algorithm whose part is one of several."""
    try:
        asked = next(steps)
        while True:
            asked = steps.send((yield from asked.apart()))
    except StopIteration as end:
        return end.value


class _Whole(Reduction, Collective[Any]):
    """A number (of any size), or an array of them, of each part."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def alone(self) -> Any:
        return self.value

    def apart(self) -> Rounds[Any]:
        return (yield self)


class Sum(_Whole):
    """Added up; only of integers, which are the same in whatever order."""

    @staticmethod
    def merge(found: Sequence[Any]) -> Any:
        values = [each.value for each in found]
        return np.sum(values, axis=0) if isinstance(values[0], np.ndarray) else sum(values)


class Most(_Whole):
    """The largest, number by number."""

    @staticmethod
    def merge(found: Sequence[Any]) -> Any:
        values = [each.value for each in found]
        return np.max(values, axis=0) if isinstance(values[0], np.ndarray) else max(values)


class Least(_Whole):
    """The smallest, number by number."""

    @staticmethod
    def merge(found: Sequence[Any]) -> Any:
        values = [each.value for each in found]
        return np.min(values, axis=0) if isinstance(values[0], np.ndarray) else min(values)


class Gather(_Whole):
    """What all parts have, in the order of the parts; for what is few, and sorted by whoever asks."""

    def alone(self) -> list[Any]:
        return [self.value]

    @staticmethod
    def merge(found: Sequence[Any]) -> list[Any]:
        return [each.value for each in found]
