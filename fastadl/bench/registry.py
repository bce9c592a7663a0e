"""What a benchmark is: a piece of work in a group, who does it, what it counts and what it leaves out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from fastadl.bench.loads import Loads

__all__ = ["Absent", "Case", "Group", "Work"]


class Absent(Exception):  # noqa: N818  # not an error: a rival that is not here is left out, with the reason
    """A rival, or what a benchmark needs, is not on this machine."""


def _anything(_: Any) -> None:
    """No check."""


def _no_facts(_: Any) -> Mapping[str, float]:
    return {}


@dataclass(frozen=True, slots=True)
class Work:
    """A piece of work, ready to be done again and again.

    Parameters
    ----------
    run : callable
        What is timed.
    units : int
        How many units of work one call does.
    arguments : tuple
        Of `run`, the same in every round.
    setup : callable, optional
        Gives the arguments of one round instead; not timed.
    moved : int
        Bytes one call must at least move through memory; 0 if that says nothing.
    check : callable
        Given a result, asserts that the work was done, and done right.
    facts : callable
        Given a result, numbers to stand beside the time. The end of a name is its unit: ``_seconds``,
        ``_bytes``, ``_share`` or none.
    """

    run: Callable[..., Any]
    units: int
    arguments: tuple[Any, ...] = ()
    setup: Callable[[], tuple[Any, ...]] | None = None
    moved: int = 0
    check: Callable[[Any], None] = _anything
    facts: Callable[[Any], Mapping[str, float]] = _no_facts


Make: TypeAlias = Callable[[Any], Work]


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the table.

    Parameters
    ----------
    who : str
        Who does the work; fastadl or a rival.
    does : str
        One sentence: how.
    unit : str
        What one unit of work is.
    left_out : str
        What is not timed, or what the work is spared.
    held_back : str
        What keeps fastadl from the machine's limit; empty for rivals.
    make : callable
        Makes the `Work` of what the group shares; raises `Absent`.
    rounds : int
        At most; fewer where they take seconds.
    warm : bool
        Whether a first call, which compiles and faults pages in, is not counted.
    """

    who: str
    does: str
    unit: str
    left_out: str
    held_back: str
    make: Make
    rounds: int
    warm: bool

    @property
    def ours(self) -> bool:
        """Whether fastadl does the work."""
        return self.who.startswith("fastadl")


@dataclass(frozen=True, slots=True)
class Group:
    """Cases that do the same work, or work of one kind; the first is what the others are held against.

    Parameters
    ----------
    name : str
        Short, for ``--only``.
    title : str
    intent : str
        The question it answers.
    unit : str
        Unit of work of its cases, unless they name their own.
    shared : callable
        Makes of `Loads` what its cases have in common; once.
    several : str
        What its cases are, where a short table gives only their range.
    """

    name: str
    title: str
    intent: str
    unit: str
    shared: Callable[[Loads], Any]
    several: str = ""
    cases: list[Case] = field(default_factory=list)

    def case(
        self,
        who: str,
        *,
        left_out: str,
        does: str = "",
        unit: str = "",
        held_back: str = "",
        rounds: int = 5,
        warm: bool = True,
    ) -> Callable[[Make], Make]:
        """Add a case; decorates the function that makes its `Work`, whose docstring says what it does."""

        def add(make: Make) -> Make:
            said = does or " ".join((make.__doc__ or "").split())
            self.cases.append(Case(who, said, unit or self.unit, left_out, held_back, make, rounds, warm))
            return make

        return add
