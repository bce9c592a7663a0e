"""What shards and the docket have in common: accounts that take part in what is asked of everybody."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from fastadl.engine.allocation import NEEDS_DETAIL, Given, allocate, line
from fastadl.engine.collective import Reduction, Rounds, Steps, apart
from fastadl.engine.holdings import holdings
from fastadl.engine.pool import first_batch
from fastadl.engine.ranking import Candidates, among, candidates
from fastadl.engine.refusing import refuse_missing
from fastadl.engine.socialize.charged import Bill
from fastadl.engine.socialize.charging import charge
from fastadl.engine.state import State
from fastadl.policy import AdlPolicy
from fastadl.schema import Float64Array, Int64Array, IntArray

__all__ = ["Chosen", "Part", "in_step"]

_NOBODY = np.empty(0, np.int32)
#: Key of the algorithm that refuses scores, beside those of legs.
_REFUSING = "refusing"


@dataclass(frozen=True, slots=True)
class Chosen:
    """Candidates of one leg in one part that give lots, in rank order among themselves.

    Attributes
    ----------
    account : int32 (n)
        Positions in the part's book.
    lots : int64 (n)
        What each may give.
    score : float64 (n)
    words : tuple of int (n)
        What they are ranked by among those of other parts.
    place : int64 (n) or None
        From 0, among all candidates; None where those that are chosen are the first of all.
    """

    account: IntArray
    lots: Int64Array
    score: Float64Array
    words: tuple[IntArray, ...]
    place: Int64Array | None


class Part:
    """Accounts of a state, and the collective algorithms that run over them.

    Attributes
    ----------
    state : State
    policy : AdlPolicy
    """

    def __init__(self, state: State, policy: AdlPolicy) -> None:
        self.state, self.policy = state, policy
        self._running: dict[Any, Rounds[Any]] = {}
        self._ended: dict[Any, Any] = {}
        self._given: dict[Any, Given] = {}
        self._lines: list[Candidates] = []

    def __getstate__(self) -> dict[str, Any]:
        """All but the algorithms that run: these end within one call of the coordinator."""
        return {**self.__dict__, "_running": {}, "_ended": {}, "_given": {}, "_lines": []}

    def rank(
        self,
        legs: list[int],
        needs: list[int],
        policy: AdlPolicy,
        number: int,
        bankrupt: IntArray = _NOBODY,
    ) -> dict[Any, Reduction]:
        """Begin to find who gives how many lots on some legs; the first round of each.

        Parameters
        ----------
        legs, needs : list of int
            Legs of the candidates' rows, and lots wanted on each.
        policy : AdlPolicy
        number : int
            Of the tick.
        bankrupt : int32 (n), optional
            Slots of accounts that are bankrupt.
        """
        detail = policy.allocation in NEEDS_DETAIL
        excluded = among(self.state, bankrupt)
        found = candidates(self.state, legs, policy, excluded, number, detail=detail, apart=True)
        asked = enumerate(zip(found, needs, strict=True))
        steps: dict[Any, Steps[Any]] = {
            key: _placed(allocate(self.state, each, policy, need)) for key, (each, need) in asked
        }
        steps[_REFUSING] = refuse_missing(self.state, policy, found)
        return self.run({key: apart(each) for key, each in steps.items()})

    def line_up(
        self, legs: list[int], policy: AdlPolicy, number: int, bankrupt: IntArray = _NOBODY
    ) -> dict[Any, Reduction]:
        """Look at the candidates of some legs as they stand now; `begin` asks who is first."""
        excluded = among(self.state, bankrupt)
        self._lines = candidates(self.state, legs, policy, excluded, number, apart=True)
        return self.run({_REFUSING: apart(refuse_missing(self.state, policy, self._lines))})

    def begin(self, place: int, part: Fraction) -> dict[Any, Reduction]:
        """Begin to find who is first of the leg at a place, for all they hold, until a part of all lots."""
        return self.run({place: apart(_first(self._lines[place], part))})

    def hold(self) -> dict[Any, Reduction]:
        """Begin to add up what all hold."""
        return self.run({0: apart(holdings(self.state, _NOBODY))})

    def charge(self, bill: Bill, policy: AdlPolicy) -> dict[Any, Reduction]:
        """Begin to find who pays a bill."""
        return self.run({0: apart(charge(self.state, bill, policy, _NOBODY))})

    @property
    def answer(self) -> Any:
        """What the only algorithm that ran has found."""
        return self._ended[0]

    def further(self, keys: list[Any]) -> dict[Any, Reduction]:
        """Begin to find who comes next on some of these legs."""
        return self.run({key: apart(_next(self._given[key])) for key in keys})

    def chosen(self) -> dict[Any, Chosen | None]:
        """Whom the rounds that ended have found, by leg; None where there is nobody left to ask."""
        return {key: self._chosen(key, *found) for key, found in self._ended.items() if key != _REFUSING}

    def _chosen(self, key: Any, given: Given | None, place: Int64Array | None) -> Chosen | None:
        if given is None:
            return None
        self._given[key] = given
        found, members = given.found, given.chosen
        account = self.state.book.rows.account[found.slot[members]]
        return Chosen(account, given.lots, found.parts[0][members], given.words, place)

    def run(self, algorithms: dict[Any, Rounds[Any]]) -> dict[Any, Reduction]:
        """Begin some; what this part contributes to the first round of each."""
        self._running, self._ended = algorithms, {}
        return self.go_on(dict.fromkeys(algorithms))

    def go_on(self, answers: dict[Any, Any]) -> dict[Any, Reduction]:
        """What this part contributes to the next round, given the answers of the last."""
        found = {}
        for key, answer in answers.items():
            try:
                found[key] = self._running[key].send(answer)
            except StopIteration as end:
                self._ended[key] = end.value
                del self._running[key]
        return found


def in_step(contributed: list[dict[Any, Reduction]]) -> dict[Any, Any]:
    """The answers of a round, from what every part contributed."""
    first = contributed[0]
    return {key: type(first[key]).merge([each[key] for each in contributed]) for key in first}


def _placed(steps: Steps[Given]) -> Steps[tuple[Given, Int64Array | None]]:
    """With the places of those who give among all candidates."""
    given = yield from steps
    return given, (yield from given.among_all())


def _next(given: Given) -> Steps[tuple[Given | None, None]]:
    return (yield from given.further()), None


def _first(found: Candidates, part: Fraction) -> Steps[tuple[Given, None]]:
    need = yield from first_batch(found, part)
    return (yield from line(found, need)), None
