"""Pairs of wealth space: debts shared over rows, and what holders pay through an index."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
from hypothesis import strategies as st

from fastadl.reference import socialize
from twins.arithmetic import sizes, whole_numbers
from twins.books import Case, cases
from twins.pair import Pair, assert_equal


@st.composite
def debts(draw: st.DrawFn) -> tuple[np.ndarray, ...]:
    """Owners with up to five rows; who has no weight shares nothing."""
    owners = draw(st.lists(st.lists(sizes.map(lambda n: n >> 3), max_size=5), max_size=4))
    amounts = [draw(sizes) if any(weights) else 0 for weights in owners]
    weight = whole_numbers(*(each for weights in owners for each in weights))
    start = np.cumsum([0, *map(len, owners)])
    return start, whole_numbers(*amounts), weight, np.full(len(weight), -1, np.int64)


@st.composite
def moves(draw: st.DrawFn) -> tuple[Case, int, np.ndarray]:
    """A book, a size of blocks, and an index for each leg; large ones where few lots are held."""
    found = draw(cases())
    legs = 2 * len(found.instruments)
    most = 1 << 61 - max(1, int(np.abs(found.rows.lots).sum())).bit_length()
    nano = st.sampled_from([0, 0, 1, 333_333_334, 999_999_999])
    whole = [draw(st.booleans()) * draw(st.integers(0, most)) for _ in range(legs)]
    delta = np.array([whole, [draw(nano) for _ in range(legs)]], np.int64)
    return found, draw(st.integers(1, 3)), delta


def same_charges(kernel: Any, twin: Any, arguments: tuple[Case, int, np.ndarray]) -> None:
    found, size, delta = arguments
    ours = np.full(len(found.slots), -1, np.int64)
    theirs, rows = ours.copy(), deepcopy(found.rows)
    kernel(found.rows, delta, found.blocks(size), ours)
    twin(found.rows, delta, theirs)
    assert_equal(ours, theirs)
    assert_equal(found.rows, rows)


PAIRS = {
    "socialize.share_by_owner": Pair(socialize.share_by_owner, debts()),
    "socialize.index_charges": Pair(socialize.index_charges, moves(), same_charges),
}
