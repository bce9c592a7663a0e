"""How many positions each account of a synthetic book holds, and which accounts are of another kind."""

from __future__ import annotations

import numpy as np

from fastadl.schema import IntArray
from fastadl.synth.blocks import generator
from fastadl.synth.shapes import Shape

__all__ = ["MAKER", "TRADER", "WHALE", "draw_degrees"]

TRADER, MAKER, WHALE = np.uint8(0), np.uint8(1), np.uint8(2)

#: Accounts drawn at a time.
_STEP = 1 << 20


def draw_degrees(
    seed: int, laws: Shape, positions: int, accounts: int, count: int
) -> tuple[IntArray, IntArray]:
    """Positions of each account, `positions` in all (int32), and its kind (uint8): two arrays (accounts)."""
    held = np.zeros(accounts, np.int32)
    kind = np.zeros(accounts, np.uint8)
    rng = generator(seed, 0)
    if positions <= accounts:
        held[rng.choice(accounts, positions, replace=False, shuffle=False)] = 1
    else:
        _draw(seed, laws, positions / accounts - 1, held, kind)
        if laws.even:
            held[:] = positions // accounts
        np.minimum(held, 2 * count, out=held)
        _settle(rng, held, positions, 2 * count)
    if laws.whales:
        holders = np.flatnonzero(held)
        kind[rng.choice(holders, min(laws.whales, len(holders)), replace=False)] = WHALE
    return held, kind


def _draw(seed: int, laws: Shape, more: float, held: IntArray, kind: IntArray) -> None:
    """One position each and geometric numbers of `more` on average, by kind of account."""
    busy, makers = laws.busy_share, laws.maker_share
    rest = 1 - busy - makers
    quiet = more * (1 - busy * laws.busy_factor - makers * laws.maker_factor) / rest if rest > 0 else 0.0
    means = np.array([max(quiet, 0.0), more * laws.busy_factor, more * laws.maker_factor])
    for step, first in enumerate(range(0, len(held), _STEP)):
        rng = generator(seed, 0, step)
        own = slice(first, first + _STEP)
        drawn = rng.random(len(held[own]))
        who = (drawn < busy + makers).astype(np.uint8) + (drawn < makers)
        kind[own] = np.where(who == 2, MAKER, TRADER)
        held[own] = np.minimum(rng.geometric(1 / (1 + means[who])), 1 << 17)


def _settle(rng: np.random.Generator, held: IntArray, positions: int, most: int) -> None:
    """Add or take single positions until there are as many as asked for."""
    while missing := positions - int(held.sum(dtype=np.int64)):
        step = 1 if missing > 0 else -1
        open_to = np.flatnonzero(held < most if missing > 0 else held > 1)
        held[rng.choice(open_to, min(abs(missing), len(open_to)), replace=False, shuffle=False)] += step
