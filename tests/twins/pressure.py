"""Pairs of the pressure curve (rule R102)."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from fastadl.kernels.pressure import BINS, FALLEN, LEFT, Shocks
from fastadl.reference import pressure
from twins.books import Case, accounts, case, cases, close_some, listings
from twins.pair import Pair

moves = st.lists(st.sampled_from([0.5, 0.9, 1.0, 1.1, 1.5, 40.0, 0.001]), min_size=1, max_size=11)


@st.composite
def hedged(draw: st.DrawFn) -> Case:
    """Accounts with both legs of some instruments, closed ones among them."""
    instruments = draw(listings())
    both = st.lists(st.sampled_from(range(len(instruments))), unique=True)
    legs = both.map(lambda some: [leg for i in some for leg in (2 * i, 2 * i + 1)])
    held = [draw(accounts(instruments, "bankrupt", draw(legs))) for _ in range(draw(st.integers(0, 3)))]
    found = case(instruments, held)
    close_some(draw, found)
    return found


shocked = st.tuples(
    st.one_of(cases(), cases(stand="bankrupt"), hedged()), moves, st.booleans(), st.integers(1, 3)
)


def shocks_of(found: Case, factors: list[float], by_notional: bool) -> Shocks:
    kept = np.array(factors)
    unit = found.marks.unit[:, np.newaxis] * np.where(
        found.instruments.inverse[:, np.newaxis], 1 / kept, kept
    )
    currency = found.instruments.currency
    return Shocks(unit, np.abs(unit).max(axis=1, initial=0.0), currency, by_notional, *found.margins)


def same_count(kernel: Any, twin: Any, arguments: Any) -> None:
    found, factors, by_notional, parts = arguments
    shocks, currencies = shocks_of(found, factors, by_notional), len(found.instruments.currencies)
    accounts = np.zeros((parts, currencies, len(FALLEN), len(factors)))
    depths = np.zeros((parts, currencies, len(factors), BINS))
    kernel(found.rows, shocks, found.blocks(3), accounts, depths)
    expected, deep = np.zeros_like(accounts[0]), np.zeros_like(depths[0])
    usd = found.instruments.currencies.index("USD")
    for slot in found.slots.tolist():
        for k in range(len(factors)):
            fallen = twin(found.rows, slot, shocks.unit[:, k], found.margins, BINS)
            if fallen is not None:
                debt, place = fallen
                expected[usd, :, k] += (1.0, debt > 0, float(debt))
                deep[usd, k, place] += float(debt)
    np.testing.assert_allclose(accounts.sum(axis=0), expected, rtol=1e-14)
    np.testing.assert_allclose(depths.sum(axis=0), deep, rtol=1e-14)


def same_sums(kernel: Any, twin: Any, arguments: Any) -> None:
    found, factors, by_notional, parts = arguments
    shocks, currencies = shocks_of(found, factors, by_notional), len(found.instruments.currencies)
    edge = np.full((currencies, len(factors)), BINS // 2) + np.arange(len(factors)) * 3
    legs = np.zeros((parts, 2 * len(found.instruments), len(LEFT), len(factors)))
    kernel(found.rows, shocks, found.blocks(3), edge, legs)
    expected = np.zeros_like(legs[0])
    for slot in found.slots.tolist():
        lots, left = twin(found.rows, slot)
        for k in range(len(factors)):
            fallen = pressure.count_fallen(found.rows, slot, shocks.unit[:, k], found.margins, BINS)
            if fallen is None:
                continue
            debt, place = fallen
            for leg, n in lots.items():
                expected[leg, 0, k] += n
            if debt:
                shares = pressure.split_debt(debt, left, shocks.unit[:, k], found.margins, by_notional)
                for leg, n in left.items():
                    behind, at_edge = place < edge[0, k], place == edge[0, k]
                    expected[leg, 1:, k] += (n, n * behind, n * at_edge, float(shares[leg]))
    np.testing.assert_allclose(legs.sum(axis=0), expected, rtol=1e-14)


PAIRS = {
    "pressure.count_fallen": Pair(pressure.count_fallen, shocked, same_count),
    "pressure.sum_rows": Pair(pressure.sum_rows, shocked, same_sums),
}
