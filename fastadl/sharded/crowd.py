"""Everybody, of all shards and the docket."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from fastadl.engine.allocation import Quotas
from fastadl.engine.collective import Reduction
from fastadl.engine.crowd import Crowd, Ranking
from fastadl.engine.holdings import Holdings
from fastadl.engine.ranking import merge_order
from fastadl.engine.socialize.charged import Bill, Charges
from fastadl.engine.socialize.sessions import forget_ended, slots_in_debt
from fastadl.kernels.money import find_rows
from fastadl.policy import AdlPolicy
from fastadl.schema import IntArray
from fastadl.sharded.docket import Docket
from fastadl.sharded.links import Links
from fastadl.sharded.part import Chosen, Part, in_step

__all__ = ["ShardedCrowd"]

_NOBODY = np.empty(0, np.int32)


class ShardedCrowd(Crowd):
    """Asks shards and the docket in rounds, and has those lent who give.

    Parameters
    ----------
    docket : Docket
    links : Links
    policy : AdlPolicy
    number : int
        Of the tick.
    """

    def __init__(self, docket: Docket, links: Links, policy: AdlPolicy, number: int) -> None:
        self._docket, self._links = docket, links
        self._policy, self._number = policy, number
        self._own = Part(docket, policy)

    def holdings(self) -> Holdings:
        """Sums of all parts."""
        self._rounds([self._own.hold(), *self._links.all("hold")])
        found: Holdings = self._own.answer
        return found

    def quotas(self, legs: list[int], needs: list[int], excluded: IntArray) -> list[Quotas]:
        """One look at every part; who gives is lent."""
        if not legs:
            return []
        ask = legs, needs, self._policy, self._number
        self._rounds([self._own.rank(*ask, excluded), *self._links.all("rank", *ask)])
        found = self._collect(dict(enumerate(legs)), 0)
        if self._policy.allocation != "queue" or self._policy.guard == "none":
            return list(found.values())
        return [self._going_on(key, leg, found[key]) for key, leg in enumerate(legs)]

    def rankings(self, legs: list[int], excluded: IntArray) -> list[Ranking]:
        """One look at every part; who is next is found, and lent, when asked for."""
        ask = legs, self._policy, self._number
        self._rounds([self._own.line_up(*ask, excluded), *self._links.all("line_up", *ask)])
        return [partial(self._ranking, place, leg) for place, leg in enumerate(legs)]

    def in_debt(self) -> IntArray:
        """All of them, who are lent."""
        self._docket.admit(self._links.all("lend_in_debt"))
        return slots_in_debt(self._docket)

    def charge(self, bill: Bill) -> Charges:
        """All pay; those at home in a shard there."""
        self._rounds([self._own.charge(bill, self._policy), *self._links.all("charge", bill, self._policy)])
        self._links.all("pay", self._number)
        found: Charges = self._own.answer
        return found

    def forget_ended(self) -> None:
        """Here and in all shards."""
        forget_ended(self._docket)
        self._links.all("forget_ended")

    # ------------------------------------------------------------------ rounds

    def _ranking(self, place: int, leg: int, part: Fraction) -> Quotas:
        """Who is first on a leg, and who comes next."""
        self._rounds([self._own.begin(place, part), *self._links.all("begin", place, part)])
        return self._going_on(place, leg, self._collect({place: leg}, 0)[place])

    def _going_on(self, key: int, leg: int, found: Quotas) -> Quotas:
        return replace(found, further=self._further(key, leg, len(found.row)))

    def _rounds(self, contributed: list[dict[Any, Reduction]]) -> None:
        """Go on, round by round, until all parts know what they were asked."""
        while contributed[0]:
            answers = in_step(contributed)
            contributed = [self._own.go_on(answers), *self._links.all("go_on", answers)]

    def _further(self, key: int, leg: int, before: int) -> Iterator[Quotas]:
        """Who comes next on a leg, a batch at a time."""
        while True:
            self._rounds([self._own.further([key]), *self._links.all("further", [key])])
            found = self._collect({key: leg}, before)[key]
            if not len(found.row):
                return
            before += len(found.row)
            yield found

    def _collect(self, legs: dict[int, int], before: int) -> dict[int, Quotas]:
        """Those whom the rounds found on each leg, in rank order, on the docket."""
        own, answers = self._own.chosen(), self._links.all("lend_chosen")
        self._docket.admit([lent for _, lent in answers])
        codes_of, found = self._docket.by_home(), {}
        for key, leg in legs.items():
            chosen = [own[key], *(each[key] for each, _ in answers)]
            codes = [
                each.account if part < 0 else codes_of(part, each.account)
                for part, each in enumerate(chosen, -1)
                if each is not None
            ]
            there = [each for each in chosen if each is not None]
            found[key] = self._merged(np.concatenate([_NOBODY, *codes]), there, leg, before)
        return found

    def _merged(self, code: IntArray, chosen: list[Chosen], leg: int, before: int) -> Quotas:
        """Those chosen in all parts, in rank order."""
        order = merge_order([each.words for each in chosen]) if chosen else np.empty(0, np.int64)
        slot = self._docket.book.slot[code.astype(np.int64)[order]]
        row = np.empty(len(slot), np.int64)
        find_rows(self._docket.book.rows, slot, np.full(len(slot), leg), row)
        place = np.arange(before, before + len(order))
        if chosen and chosen[0].place is not None:
            place = _joined([each.place for each in chosen])[order]
        return Quotas(
            row=row,
            slot=slot,
            lots=_joined([each.lots for each in chosen]).astype(np.int64)[order],
            rank=place + 1,
            score=_joined([each.score for each in chosen])[order],
        )


def _joined(columns: list[Any]) -> Any:
    return np.concatenate([np.empty(0), *columns]) if not columns else np.concatenate(columns)
