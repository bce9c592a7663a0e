"""The pair of liquidation moves (rule R112)."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st

from fastadl.reference import layout, liquidation
from twins.books import Case, cases
from twins.pair import Pair
from twins.pressure import hedged


def same_moves(kernel: Any, twin: Any, found: Case) -> None:
    """The exact move, or one at which headroom is as near to zero as float64 can tell."""
    out = np.full(len(found.rows.lots), -1.0)
    inverse = found.instruments.inverse
    kernel(found.rows, found.marks.unit, inverse, found.margins, found.blocks(3), out)
    assert np.isnan(out[found.rows.lots == 0]).all()
    for slot in found.slots.tolist():
        held = layout.open_rows(found.rows, slot)
        size = abs(int(found.rows.cash[slot])) + sum(
            abs(r.entry) + 2 * abs(r.lots * found.units[r.instrument]) for r in held
        )
        for row in held:
            exact = twin(found.rows, slot, row, found.units, found.instruments)
            move = float(out[row.at])
            if exact is not None and np.isfinite(move) and abs(move - exact) <= 1e-9 * (1 + exact):
                continue
            if exact is None and np.isinf(move):
                continue
            far, factor = Fraction(0), Fraction(0)
            if np.isinf(move):  # as far as the price may rise: only an inverse value then comes to nothing
                assert inverse[row.instrument], (move, exact)
                assert row.lots < 0, (move, exact)
            else:
                far, factor = Fraction(move), multiple(found, row, Fraction(move))
            units = list(found.units)
            units[row.instrument] *= factor
            left = liquidation.headroom(found.rows, slot, units, found.instruments)
            assert abs(left) <= size * (1 + far) / 10**9 + 1, (move, exact)


def multiple(found: Case, row: Any, move: Fraction) -> Fraction:
    """Of the unit value, after the price went so far against the row."""
    price = 1 - move if row.lots > 0 else 1 + move
    return 1 / price if found.instruments.inverse[row.instrument] else price


PAIRS = {
    "liquidation.liquidation_moves": Pair(
        liquidation.liquidation_moves, st.one_of(cases(), cases(stand="rich"), hedged()), same_moves
    ),
}
