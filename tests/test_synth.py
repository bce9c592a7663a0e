"""Synthetic books hold what they promise: exact counts, balance, bounds, and nobody near liquidation."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from fastadl import synth
from fastadl.contracts import Instrument, Kind, Tier
from fastadl.errors import BoundsError, InputError
from fastadl.schema import ROW_BOUND

SIZES = [
    (1, 1, 1),
    (2, 1, 1),
    (10, 4, 3),
    (3, 9, 2),
    (1000, 400, 300),
    (600, 1, 300),
    (1195, 2, 300),
    (20_000, 8000, 40),
]


def columns(shape, positions, accounts, instruments, seed=1):
    book = synth.book(shape, positions=positions, accounts=accounts, instruments=instruments, seed=seed)
    return book.columns()


def perpetual(**changes):
    tier = Tier(Fraction(0), Fraction(1, 100), Fraction(0))
    base = Instrument("X", Kind.LINEAR, Fraction(1), Fraction(1, 10), (tier,), mark=Fraction(20))
    return replace(base, **changes)


def deepest(instruments, accounts, positions, sample):
    """Smallest equity less maintenance margin of some accounts, in unlimited precision."""
    worst = None
    for account in sample:
        equity, margin = Fraction(int(accounts.cash[account])), Fraction(0)
        for row in np.flatnonzero(positions.account == account):
            item = instruments[positions.instrument[row]]
            value = int(positions.lots[row]) * item.unit_value(item.mark)
            equity += value - int(positions.entry_value[row])
            margin += item.maintenance_margin(abs(value))
        worst = equity - margin if worst is None else min(worst, equity - margin)
    return worst


@pytest.mark.parametrize("shape", sorted(synth.SHAPES))
@pytest.mark.parametrize(("positions", "accounts", "instruments"), SIZES)
def test_counts_are_exact_rows_unique_and_every_instrument_balanced(shape, positions, accounts, instruments):
    table, people, rows = columns(shape, positions, accounts, instruments)
    traders = rows.account >= 0
    assert len(people.id) == accounts == people.id.n_unique()
    assert traders.sum() == positions
    assert len(table) == instruments
    keys = (rows.account.astype(np.int64) * instruments + rows.instrument) * 2 + (rows.lots < 0)
    assert len(np.unique(keys)) == len(keys)
    sums = np.zeros(instruments, np.int64)
    np.add.at(sums, rows.instrument, rows.lots)
    assert not sums.any()
    assert (np.sign(rows.lots) == np.sign(rows.entry_value)).all()
    for numbers in (rows.lots, rows.entry_value, people.cash):
        assert 0 < np.abs(numbers).min() <= np.abs(numbers).max() <= ROW_BOUND


@pytest.mark.parametrize("shape", sorted(synth.SHAPES))
@pytest.mark.parametrize(("positions", "accounts", "instruments"), SIZES)
def test_nobody_is_liquidatable_at_the_books_own_marks(shape, positions, accounts, instruments):
    table, people, rows = columns(shape, positions, accounts, instruments)
    value = rows.lots * np.array([float(item.unit_value(item.mark)) for item in table])[rows.instrument]
    mine = rows.account >= 0
    gross = np.bincount(rows.account[mine], np.abs(value[mine]), accounts)
    equity = people.cash + np.bincount(rows.account[mine], (value - rows.entry_value)[mine], accounts)
    nearest = np.argsort(-gross / equity)[:20]
    assert deepest(table, people, rows, nearest) > 0


def test_only_a_lone_row_needs_the_market_account():
    *_, rows = columns("pareto", 1000, 400, 300)
    assert (rows.account >= 0).all()
    *_, rows = columns("pareto", 1, 1, 1)
    assert rows.account.tolist() == [0, -2]


def test_market_shares_sizes_and_leverage_follow_the_published_figures():
    table, people, rows = columns("pareto", 300_000, 120_000, 300)
    unit = np.array([float(item.unit_value(item.mark)) for item in table])
    value = rows.lots * unit[rows.instrument]
    size = np.abs(value) / 1e6
    shares = np.bincount(rows.instrument, size) / size.sum()
    assert shares[:3] == pytest.approx([0.295, 0.218, 0.131], abs=0.01)
    first = np.array([float(item.tiers[1].min_notional) for item in table])
    assert (np.abs(value) <= first[rows.instrument]).mean() > 0.985
    tail = np.sort(size)[-3000:]
    assert 0.6 < 1 / np.log(tail / tail[0]).mean() < 1.1
    gross = np.bincount(rows.account, size, 120_000)
    equity = (people.cash + np.bincount(rows.account, value - rows.entry_value, 120_000)) / 1e6
    assert 3 < np.median(gross / equity) < 4.5
    assert np.bincount(np.bincount(rows.account))[0] == 0
    assert 0.45 < (rows.lots > 0).mean() < 0.55
    hedged = np.unique(rows.account.astype(np.int64) * 300 + rows.instrument, return_counts=True)[1] == 2
    assert 0.02 < hedged.sum() / 120_000 < 0.05


def test_no_account_is_levered_beyond_its_tiers():
    ladder = {"A": [Tier(Fraction(0), Fraction(1, 100), Fraction(0), Fraction(2))]}
    tight = synth.perpetuals(1, marks={"A": Fraction(5)}, ladders=ladder)
    table, people, rows = columns("pareto", 500, 400, tight)
    unit = float(table[0].unit_value(table[0].mark))
    gross = np.bincount(rows.account, np.abs(rows.lots * unit), 400)
    equity = people.cash + np.bincount(rows.account, rows.lots * unit - rows.entry_value, 400)
    assert (gross / equity).max() <= 2


def test_equal_seeds_give_equal_books_and_others_do_not():
    one, two, other = (columns("pareto", 5000, 2000, 30, seed) for seed in (7, 7, 8))
    for name in ("account", "instrument", "lots", "entry_value"):
        np.testing.assert_array_equal(getattr(one[2], name), getattr(two[2], name))
    np.testing.assert_array_equal(one[1].cash, two[1].cash)
    assert not np.array_equal(one[1].cash, other[1].cash)


def test_inverse_instruments_carry_the_sign_of_their_value():
    inverse = perpetual(kind=Kind.INVERSE, lot=Fraction(1), contract_size=Fraction(100), decimals=8)
    table, people, rows = columns("uniform", 120, 80, [inverse])
    value = rows.lots * float(table[0].unit_value(table[0].mark))
    assert (np.sign(value) == np.sign(rows.entry_value)).all()
    assert (np.sign(value) == -np.sign(rows.lots)).all()
    assert deepest(table, people, rows, range(80)) > 0


def test_perpetuals_put_given_assets_first_and_derive_deductions():
    marks = {"FTT": Fraction("25.46"), "BTC": Fraction(21000)}
    ladder = [Tier(Fraction(0), Fraction("0.01"), Fraction(0))]
    items = synth.perpetuals(20, marks=marks, ladders={"FTT": ladder})
    assert [item.symbol for item in items[:3]] == ["FTT-PERP", "BTC-PERP", "ETH-PERP"]
    assert len({item.symbol for item in items}) == 20
    assert items[0].tiers == tuple(ladder)
    assert (items[0].mark, items[0].lot) == (marks["FTT"], Fraction(1, 100))
    for item in items:
        rates = [tier.maintenance_rate for tier in item.tiers]
        steps = [tier.min_notional for tier in item.tiers]
        assert rates == sorted(rates)
        margins = [item.maintenance_margin(step) for step in steps]
        slow = [item.maintenance_margin(step - 1) for step in steps]
        assert all(0 <= at - below <= 1 for at, below in zip(margins[1:], slow[1:], strict=True))
        assert steps == sorted(set(steps))
        assert Fraction(1, 10) < item.lot * item.mark <= 1


BAD = [
    ({"shape": "parreto"}, "pareto"),
    ({"positions": 0}, "at least 1"),
    ({"positions": -5}, "at least 1"),
    ({"positions": 1.5}, "whole number"),
    ({"positions": True}, "whole number"),
    ({"positions": 25}, "at most 24 (accounts × instruments × 2 sides)"),
    ({"positions": 1 << 40, "accounts": 1 << 30}, "at most 2147483648"),
    ({"accounts": 0}, "at least 1"),
    ({"seed": -1}, "at least 0"),
    ({"seed": None}, "whole number"),
    ({"instruments": 0}, "at least 1"),
    ({"instruments": 1 << 16}, "at most 32768"),
    ({"instruments": "3"}, "list of instruments"),
    ({"instruments": []}, "at least 1"),
    ({"instruments": [perpetual(mark=None)]}, "a mark"),
    ({"instruments": [perpetual(), perpetual()]}, "every symbol once"),
    ({"instruments": [perpetual(), perpetual(symbol="Y", currency="EUR")]}, "one settlement currency"),
]


@pytest.mark.parametrize(("change", "remedy"), BAD)
def test_bad_parameters_are_refused_with_a_remedy(change, remedy):
    good = {"shape": "pareto", "positions": 8, "accounts": 4, "instruments": 3, "seed": 1}
    arguments = good | change
    with pytest.raises(InputError, match=next(iter(change))) as error:
        synth.book(arguments.pop("shape"), **arguments)
    assert remedy in error.value.remedy
    assert error.value.path[0] == next(iter(change))


def test_numbers_past_the_bounds_are_refused():
    for item in (perpetual(decimals=15), perpetual(lot=Fraction(1, 10**18))):
        with pytest.raises(BoundsError, match="R1"):
            synth.book("pareto", positions=8, accounts=4, instruments=[item], seed=1)
