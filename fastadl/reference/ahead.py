"""Who stands ahead of one position (rule R41)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastadl.reference.account import evaluate
from fastadl.reference.layout import places
from fastadl.reference.measure import measure

if TYPE_CHECKING:
    from fastadl.kernels.ahead import Seeker

__all__ = ["count_ahead"]


def count_ahead(number: int, seeker: Seeker, slot: int, context: Any) -> tuple[int, list[bool]] | None:
    """Lots of an account's row in the leg, and which choices it is ahead of; None if it is no rival.

    All at the unit values of the context, and by its first moment's scores in `seeker`.
    """
    held = [at for at in places(context, slot) if context.leg[at] == seeker.leg and context.lots[at] != 0.0]
    if not held or slot == seeker.slot or seeker.skipped[slot]:
        return None
    if evaluate(context, slot, context.unit, context)[0] < 0.0:
        return None
    score = measure(number, None, held[0], slot, context)["score"]
    first = int(context.place[context.account[slot]]) < seeker.tie
    ahead = [score > mine or (score == mine and first) for mine in seeker.score[:, 0].tolist()]
    return int(abs(context.lots[held[0]])), ahead
