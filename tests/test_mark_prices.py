"""Prices as one float64 array mean what the same numbers mean one by one (rules R20, R78)."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastadl import Book, BoundsError, Engine, InputError, synth
from fastadl.contracts import Instrument, Instruments, Kind, Tier
from fastadl.decimals import exact
from fastadl.engine.prices import FloatPrices, Marks, given_prices, nearest_units
from fastadl.kernels.decimal import Scale
from fastadl.kernels.price import unit_values

TIERS = (Tier(Fraction(0), Fraction(1, 200), Fraction(0)),)
SIZES = ["1", "0.001", "0.25", "100", "1/3", "123456789.123456789", "98765432109876543210"]

floats = st.one_of(
    st.floats(1e-6, 1e12),
    st.builds(lambda n, k: n / 10**k, st.integers(1, 10**17), st.integers(0, 12)),
    st.builds(lambda k: 2.0**k, st.integers(-20, 40)),
)
listed = st.builds(
    lambda size, kind, decimals: (Fraction(size), kind, decimals),
    st.sampled_from(SIZES),
    st.sampled_from(list(Kind)),
    st.integers(0, 8),
)


def instruments(given: list[tuple[Fraction, Kind, int]]) -> Instruments:
    return Instruments(
        [
            Instrument(f"S{i}", kind, size, Fraction(1), TIERS, f"C{decimals}", decimals)
            for i, (size, kind, decimals) in enumerate(given)
        ]
    )


def tried(found: Instruments, prices: Mapping[int, Fraction]) -> tuple[list[float], str]:
    """The units, or what is said against a price."""
    try:
        return np.asarray(nearest_units(found, prices)).tolist(), ""
    except BoundsError as error:
        return [], str(error)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(listed, floats), min_size=1, max_size=8))
def test_an_array_gives_the_units_and_fractions_of_its_numbers(rows: list[tuple[object, float]]) -> None:
    found = instruments([row for row, _ in rows])
    array = np.array([price for _, price in rows])
    one_by_one = given_prices(found, array.tolist())
    together = given_prices(found, array)
    assert isinstance(together, FloatPrices)
    assert dict(together) == one_by_one == {i: exact(p) for i, p in enumerate(array.tolist())}
    wanted, refused = tried(found, one_by_one)
    units, told = tried(found, together)
    assert (units, told) == (wanted, refused)
    if refused:
        return
    ours = Marks.initial(found).moved(together, units)
    theirs = Marks.initial(found).moved(one_by_one, wanted)
    assert ours.price.tolist() == theirs.price.tolist()
    assert list(ours.units) == list(theirs.units)
    assert [ours.units.mark(i) for i in range(len(found))] == list(one_by_one.values())
    later = ours.moved({0: Fraction(7, 2)}, [1.0])
    assert later.units.mark(0) == Fraction(7, 2)
    assert later.units[len(found) - 1] == later.moved({}, []).units[len(found) - 1]


def test_what_an_exchange_sends_needs_no_unlimited_integers() -> None:
    rng = np.random.default_rng(1)
    array = np.concatenate([50_000.0 * rng.random(2000), np.round(50_000.0 * rng.random(2000), 2) + 0.01])
    found = instruments([(Fraction("0.001"), Kind(i % 2), 6) for i in range(len(array))])
    units, sure = np.empty(len(array)), np.empty(len(array), np.bool_)
    unit_values(array, Scale(*found.scale), found.inverse, units, sure)
    assert np.mean(sure) > 0.998  # a power of two now and then


def engine() -> Engine:
    columns = {"symbol": ["A", "B"], "kind": ["linear"] * 2, "contract_size": ["1"] * 2, "lot": ["1"] * 2}
    tiers = [[{"min_notional": "0", "maintenance_rate": "0.01"}]] * 2
    accounts = {"id": ["a", "b"], "cash": ["100", "100"]}
    positions = {"account": ["a", "b"], "symbol": ["A"] * 2, "qty": ["1", "-1"], "entry_price": ["10"] * 2}
    return Engine(Book.from_frames({**columns, "tiers": tiers}, accounts, positions))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 0.0, -1.0, 1e300, 1e-300])
def test_an_array_is_refused_in_the_words_a_list_is(bad: float) -> None:
    found = engine()
    told = []
    for prices in (np.array([1.0, bad]), [1.0, bad]):
        with pytest.raises(InputError) as caught:
            found.mark(prices)
        told.append(str(caught.value))
    assert told[0] == told[1]
    assert np.isnan(found.marks).all()


def test_the_engine_keeps_nothing_of_the_callers_array() -> None:
    found = engine()
    prices = np.array([10.0, 20.0])
    found.mark(prices)
    prices[:] = 99.0
    assert found.marks.tolist() == [10.0, 20.0]
    found.marks[:] = 1.0
    assert found.marks.tolist() == [10.0, 20.0]


@pytest.mark.parametrize("incremental", [False, True])
@pytest.mark.parametrize("moved", [0, 1, 2, 8, 9, 20])
def test_an_array_of_which_few_prices_are_new_sets_all_of_them(moved: int, incremental: bool) -> None:
    """Few are worked on one by one, and none of them is left out, in whatever place it stands."""
    book = synth.book("pareto", positions=300, accounts=100, instruments=20, seed=1)
    engine, random = Engine(book, incremental=incremental), np.random.default_rng(moved)
    marks = engine.marks
    engine.mark(marks)
    for some in (random.permutation(20)[:moved], np.arange(20)[20 - moved :]):
        marks[some] *= random.uniform(0.97, 1.03, len(some))
        engine.mark(marks)
        anew = Engine(book)
        anew.mark(dict(zip(engine.symbols, marks.tolist(), strict=True)))
        assert engine.marks.tolist() == marks.tolist()
        assert engine.unit_values.tolist() == anew.unit_values.tolist()
        assert engine.equity().tolist() == anew.equity().tolist()
        assert engine.liquidations().equals(anew.liquidations())
