"""What the waterfall asks of everybody, whom it may not have at hand."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol, TypeAlias

from fastadl.engine.holdings import Holdings
from fastadl.schema import IntArray

if TYPE_CHECKING:
    from fastadl.engine.allocation import Quotas
    from fastadl.engine.socialize.charged import Bill, Charges

__all__ = ["Crowd", "Ranking"]

#: Candidates for all they hold, in rank order and in batches: from the part of all lots that the first batch
#: is to cover.
Ranking: TypeAlias = "Callable[[Fraction], Quotas]"


class Crowd(Protocol):
    """All traders, as seen from where the stages work.

    Slots and rows are those of the state that the stages change: who is not at hand there is fetched first.
    """

    def holdings(self) -> Holdings:
        """What all hold by leg."""

    def quotas(self, legs: list[int], needs: list[int], excluded: IntArray) -> list[Quotas]:
        """Who gives how many lots of those needed on each leg, ranked as things stand now (R41, R43)."""

    def rankings(self, legs: list[int], excluded: IntArray) -> list[Ranking]:
        """Candidates as they stand now, of each leg, without the accounts of some slots."""

    def in_debt(self) -> IntArray:
        """Slots of all accounts without rows whose cash is negative, by id."""

    def charge(self, bill: Bill) -> Charges:
        """Who pays a bill."""

    def forget_ended(self) -> None:
        """The debts of the session that ended have been charged."""
