"""Scores of the user's own that are no number (rule R97)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fastadl.engine.collective import Gather, Least, Steps, Sum
from fastadl.engine.state import State
from fastadl.errors import PolicyError
from fastadl.policy import AdlPolicy, OwnScore
from fastadl.schema import Float64Array, Int64Array, IntArray

if TYPE_CHECKING:
    from fastadl.engine.ranking import Candidates

__all__ = ["note", "noted", "refuse_missing"]

#: Of a candidate of whom every such score is a number.
_FINE = 127


def noted(policy: AdlPolicy, count: int) -> IntArray | None:
    """What `note` notes in, of so many candidates: int8 (n); None if no score is the user's own."""
    own = any(isinstance(score, OwnScore) for score in (policy.score, *policy.then))
    return np.full(count, _FINE, np.int8) if own else None


def note(
    amiss: IntArray | None, score: str | OwnScore, scores: Float64Array, members: IntArray | slice, which: int
) -> None:
    """Note where a score of the user's own is no number: `which` by the order in which they are refused."""
    if amiss is not None and isinstance(score, OwnScore):
        amiss[members] = np.where(np.isnan(scores), np.minimum(amiss[members], which), amiss[members])


def refuse_missing(state: State, policy: AdlPolicy, found: Sequence[Candidates]) -> Steps[None]:
    """Refuse a score of the user's own that is no number for a candidate that it is asked about (rule R97).

    Those of `then` are asked about candidates of equal score, some of which may be in other parts.

    Parameters
    ----------
    state : State
        Of this part.
    policy : AdlPolicy
    found : sequence of Candidates
        Of some legs, the same in all parts.

    Raises
    ------
    PolicyError
        Naming the first such score, then the first account by id; in all parts the same.
    """
    amiss = [each.amiss for each in found if each.amiss is not None]
    if len(amiss) < len(found) or not found:
        return
    doubts = [np.unique(each.key[(at > 0) & (at < _FINE)]) for each, at in zip(found, amiss, strict=True)]
    gathered = yield Gather(doubts)
    asked = [np.unique(np.concatenate(keys)) for keys in zip(*gathered, strict=True)]
    if any(map(len, asked)):
        many = yield Sum(
            np.concatenate([_many(each.key, keys) for each, keys in zip(found, asked, strict=True)])
        )
        asked = [
            keys[some > 1]
            for keys, some in zip(asked, np.split(many, np.cumsum([*map(len, asked)])[:-1]), strict=True)
        ]
    first = _FINE, 0, ""
    for each, at, tied in zip(found, amiss, asked, strict=True):
        wrong = np.flatnonzero((at == 0) | ((at < _FINE) & np.isin(each.key, tied)))
        if len(wrong):
            i = wrong[np.lexsort((each.tie[wrong], at[wrong]))[0]]
            name = state.book.accounts[int(state.book.rows.account[each.slot[i]])]
            first = min(first, (int(at[i]), int(each.tie[i]), name))
    which, _, name = yield Least(first)
    if which < _FINE:
        score = [policy.score, *reversed(policy.then)][which]
        remedy = f"return a number for every candidate: for account {name} it is NaN, or fails"
        raise PolicyError(("score",), getattr(score, "name", score), f"{remedy} (rule R97)")


def _many(key: Int64Array, wanted: Int64Array) -> Int64Array:
    """How many have each of some keys, which ascend."""
    ordered = np.sort(key[np.isin(key, wanted)])
    return np.searchsorted(ordered, wanted, side="right") - np.searchsorted(ordered, wanted)
