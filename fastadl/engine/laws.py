"""Law 4 of rule R32: who has to end a tick with nothing."""

from __future__ import annotations

import numpy as np

from fastadl.engine.bankruptcy import Bankruptcies
from fastadl.engine.state import State
from fastadl.policy import AdlPolicy
from fastadl.schema import BoolArray

__all__ = ["closed_at_zero", "owed_zero"]


def owed_zero(doomed: Bankruptcies, policy: AdlPolicy) -> BoolArray:
    """Accounts with rows that nothing but bankruptcy values, none cut off, will have closed.

    Told before they are deleveraged; at another price these are the ones the fund has closed already.
    """
    owed = (np.diff(doomed.work.start) > 0) & ~doomed.cut
    if policy.space == "contract" and policy.price == "bankruptcy":
        return owed
    return owed & _gone(doomed)


def closed_at_zero(state: State, doomed: Bankruptcies, owed: BoolArray) -> bool:
    """Whether those of them that were wholly closed have no cash left."""
    zero = state.book.rows.cash[doomed.work.slot] == 0
    return bool(zero[_gone(doomed) & owed].all())


def _gone(doomed: Bankruptcies) -> BoolArray:
    return np.asarray(np.bincount(doomed.owner, doomed.left, len(doomed.work.slot)) == 0)
