"""BitMEX: the lights that show a trader his place in the queue."""

from __future__ import annotations

from collections.abc import Sequence

from fastadl.errors import InputError

__all__ = ["percentiles"]

_LIGHTS = 5


def percentiles(quantities: Sequence[int]) -> list[int]:
    """In which fifth of the queue each position ends, in percent: ``20 · ⌈5 · Q / ΣQ⌉``.

    Q is the quantity of a position and of all that rank before it, so fifths are weighted by quantity.

    Parameters
    ----------
    quantities : sequence of int
        Above 0, in rank order.

    Raises
    ------
    InputError
        If a quantity is not above 0.

    Notes
    -----
    bitmex.com/app/autoDeleveragingExamples. That quantities and not accounts are counted is inferred from its
    table.

    Examples
    --------
    >>> percentiles([10, 20, 30, 10, 10, 20])
    [20, 40, 60, 80, 80, 100]
    """
    total, so_far, found = sum(quantities), 0, []
    for place, quantity in enumerate(quantities):
        if quantity <= 0:
            raise InputError(("quantities", place), quantity, "give a quantity above 0")
        so_far += quantity
        found.append(100 // _LIGHTS * -(-_LIGHTS * so_far // total))
    return found
