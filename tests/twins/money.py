"""Pairs over the money of accounts: what is free beyond initial margin."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st

from fastadl.contracts import Instruments
from fastadl.kernels.collateral import Ladder
from fastadl.reference.collateral import collateral
from fastadl.reference.layout import open_rows
from twins.books import Case, cases
from twins.pair import Pair


@st.composite
def levered(draw: st.DrawFn) -> Case:
    """Some tiers name a leverage, and some rows stand on a border of theirs."""
    found = draw(cases())
    items = []
    for item in found.instruments:
        at = {abs(lots) * abs(item.unit_value(item.mark)) for lots in (1, 2, 10)}
        tiers = [
            replace(
                tier,
                min_notional=tier.min_notional
                if t == 0 or draw(st.booleans())
                else draw(st.sampled_from(sorted(at))),
                max_leverage=draw(st.sampled_from([None, Fraction(1), Fraction(10, 3), Fraction(125)])),
            )
            for t, tier in enumerate(item.tiers)
        ]
        items.append(replace(item, tiers=tuple(sorted(tiers, key=lambda tier: tier.min_notional))))
    decimals = dict(zip(found.instruments.currencies, found.instruments.decimals, strict=True))
    return Case(Instruments(items, decimals), found.rows)


def within_bound(kernel: Any, twin: Any, found: Case) -> None:
    tiers, out = found.instruments.tiers, np.empty((2, len(found.slots)))
    ladder = Ladder(tiers.start, tiers.min_notional, tiers.initial_rate)
    kernel(found.rows, found.slots, found.marks.unit, found.margins, ladder, out)
    for slot, (free, bound) in enumerate(out.T.tolist()):
        exact = twin(found.rows, slot, found.units, found.instruments)
        if bound < np.inf:
            assert abs(Fraction(free) - exact) <= Fraction(bound)
            assert bound <= 2.0**-30 * (1 + abs(float(exact)) + _size(found, slot))


def _size(found: Case, slot: int) -> float:
    held = open_rows(found.rows, slot)
    worth = sum(3 * abs(row.lots * found.units[row.instrument]) + abs(row.entry) for row in held)
    return float(abs(int(found.rows.cash[slot])) + worth)


PAIRS = {"collateral.collateral": Pair(collateral, levered(), within_bound)}
