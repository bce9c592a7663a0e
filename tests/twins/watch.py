"""Pairs of the exposures (rule R118)."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from fastadl.kernels.watch import Exposed, Exposure
from fastadl.reference import watch
from twins.books import Case, cases
from twins.demand import sizes
from twins.pair import Pair
from twins.pressure import hedged

bounds = st.lists(st.sampled_from([0.5, 1.0, 2.0, 10.0, 50.0]), min_size=1, unique=True).map(sorted)
watched = st.tuples(
    st.one_of(cases(), cases(stand="bankrupt"), cases(stand="worthless"), hedged()),
    bounds,
    sizes,
    st.integers(1, 3),
    st.integers(1, 3),
)


def exposure_of(found: Case, leverages: list[float], shocks: list[float]) -> Exposure:
    unit, inverse = np.repeat(found.marks.unit, 2), np.repeat(found.instruments.inverse, 2)
    kept = np.array([[1 - size for size in shocks], [1 + size for size in shocks]])
    linear, backward = np.where(inverse, 0.0, unit), np.where(inverse, unit, 0.0)
    bounds = np.array(leverages)
    return Exposure(
        linear, backward, bool(inverse.any()), kept, 1.0 / kept, bounds, found.instruments.currency
    )


def same_exposures(kernel: Any, twin: Any, arguments: Any) -> None:
    found, leverages, shocks, parts, most = arguments
    given = exposure_of(found, leverages, shocks)
    legs, currencies = 2 * len(found.instruments), len(found.instruments.currencies)
    usd = found.instruments.currencies.index("USD")
    out = Exposed(
        lots=np.zeros((parts, len(leverages) + 1, legs)),
        rows=np.zeros((parts, legs, most)),
        accounts=np.zeros((parts, currencies, most)),
        debts=np.zeros((parts, currencies, *given.kept.shape)),
        fallen=np.zeros((parts, legs, *given.kept.shape)),
    )
    kernel(given, found.rows, found.blocks(3), out)
    lots, debts = np.zeros_like(out.lots[0]), np.zeros_like(out.debts[0])
    fallen, sizes, gross = np.zeros_like(out.fallen[0]), [[0.0] * most for _ in range(legs)], [0.0] * most
    for slot in found.slots.tolist():
        added = twin(found.rows, slot, given)
        gross.append(added.gross)
        for leg, n in added.lots.items():
            lots[added.passes, leg] += n
            sizes[leg].append(float(n))
        for (way, k), debt in added.debts.items():
            debts[usd, way, k] += debt
        for (leg, way, k), n in added.fallen.items():
            fallen[leg, way, k:] += n
    np.testing.assert_allclose(out.lots.sum(axis=0), lots, rtol=1e-14)
    np.testing.assert_allclose(out.debts.sum(axis=0), debts, rtol=1e-14)
    np.testing.assert_allclose(out.fallen.sum(axis=0), fallen, rtol=1e-14)
    np.testing.assert_array_equal(largest(out.rows, most), [sorted(each)[-most:] for each in sizes])
    np.testing.assert_array_equal(largest(out.accounts, most)[usd], sorted(gross)[-most:])
    assert (np.diff(out.rows) >= 0).all()


def largest(parts: np.ndarray, most: int) -> np.ndarray:
    return np.sort(parts.swapaxes(0, 1).reshape(parts.shape[1], -1))[:, -most:]


PAIRS = {"watch.expose": Pair(watch.expose, watched, same_exposures)}
