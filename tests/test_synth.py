"""Synthetic books hold what they promise: exact counts, balance, bounds, and nobody near liquidation."""

from __future__ import annotations

import os
from dataclasses import asdict, fields, replace
from fractions import Fraction
from pathlib import Path
from statistics import NormalDist

import numba
import numpy as np
import pytest

from fastadl import Engine, synth
from fastadl.book import empty_rows
from fastadl.contracts import Instrument, Kind, Tier
from fastadl.errors import BoundsError, InputError
from fastadl.schema import ROW_BOUND
from fastadl.synth.blocks import Draw
from fastadl.synth.degrees import WHALE, draw_degrees
from fastadl.synth.describe import Holdings
from fastadl.synth.laws import crowding, market_shares, mean_size
from fastadl.synth.named import assigned

DATA = Path(os.environ.get("FASTADL_DATA", Path(__file__).parents[2] / "shared" / "data"))
CRASH = DATA / "hyperliquid_2025-10-10"

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


@pytest.mark.jit
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


@pytest.mark.jit
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


# ---------------------------------------------------------------- laws and shapes


def held(shape, positions=60_000, accounts=25_000, instruments=40, **changes):
    laws = replace(synth.SHAPES[shape], **changes)
    return Holdings.of(
        synth.book(laws, positions=positions, accounts=accounts, instruments=instruments, seed=3)
    )


def levered(of, *, short):
    there = (of.held > 0) & ((of.net < 0) == short)
    return of.gross[there] / of.equity[there]


@pytest.mark.parametrize("shape", sorted(synth.SHAPES))
def test_an_engine_finds_nobody_to_liquidate_at_the_books_own_marks(shape):
    book = synth.book(shape, positions=3000, accounts=1300, instruments=20, seed=5)
    report = Engine(book).tick({})
    assert report.liquidations.is_empty()


@pytest.mark.parametrize("shape", ["hyperliquid_like", "whale", "hedged"])
def test_the_number_of_threads_plays_no_part(shape):
    drawn = []
    for threads in (1, numba.config.NUMBA_NUM_THREADS):
        before = numba.get_num_threads()
        numba.set_num_threads(threads)
        try:
            drawn.append(columns(shape, 90_000, 40_000, 30))
        finally:
            numba.set_num_threads(before)
    one, many = drawn
    for name in ("account", "instrument", "lots", "entry_value"):
        np.testing.assert_array_equal(getattr(one[2], name), getattr(many[2], name))
    np.testing.assert_array_equal(one[1].cash, many[1].cash)
    np.testing.assert_array_equal(one[1].isolated, many[1].isolated)


@pytest.mark.parametrize(
    ("changes", "quantile"),
    [
        ({"size_tail": 0.8}, lambda p: 100 * (1 - p * (1 - (100 / 200e6) ** 0.8)) ** (-1 / 0.8)),
        ({"size_tail": 2.0}, lambda p: 100 * (1 - p * (1 - (100 / 200e6) ** 2.0)) ** (-1 / 2.0)),
        (
            {"size_law": "lognormal", "size_scale": 500.0, "size_sigma": 1.5},
            lambda p: 500 * np.exp(1.5 * NormalDist().inv_cdf(p)),
        ),
        ({"size_law": "uniform", "smallest": 100.0, "largest": 900.0}, lambda p: 100 + 800 * p),
    ],
    ids=["pareto", "steeper", "lognormal", "uniform"],
)
def test_sizes_of_each_side_follow_their_law(changes, quantile):
    of = held("pareto", 80_000, 80_000, 1, size_spread=0.0, hedged_share=0.0, **changes)
    at = [0.05, 0.25, 0.5, 0.75, 0.9]
    for side in (of.short, ~of.short):
        ratio = np.quantile(of.size[side], at) / [quantile(p) for p in at]
        assert ratio / ratio.mean() == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize(
    "changes", [{"size_tail": 1.5}, {"size_tail": 1.0}, {"size_law": "lognormal"}], ids=str
)
def test_the_expected_size_is_the_mean_of_the_sizes(changes):
    changes = {"size_sigma": 0.5, "largest_share": 1.0, "largest": 1e4, "size_spread": 0.3, **changes}
    of = held("pareto", 80_000, 80_000, 1, **changes)
    assert of.size.mean() == pytest.approx(mean_size(replace(synth.SHAPES["pareto"], **changes)), rel=0.05)


def test_no_account_is_larger_than_the_largest_and_no_position_than_its_share_of_a_market():
    of = held("pareto", 40_000, 40_000, 1, size_tail=0.3, size_spread=0.0, largest=1e4, hedged_share=0.0)
    assert of.size.max() == pytest.approx(1e4, rel=0.1)
    laws = replace(synth.SHAPES["pareto"], size_tail=0.5, largest_share=0.002)
    of = held("pareto", 40_000, 40_000, 1, size_tail=0.5, largest_share=0.002)
    assert of.size.max() < 1.1 * 0.002 * 40_000 * mean_size(laws)


def test_leverage_follows_its_law_by_side_and_grows_with_size_where_asked():
    of = held(
        "pareto", long_leverage=4.0, short_leverage=1.0, long_sigma=0.3, short_sigma=0.8, past_volatility=0.0
    )
    for short, median, sigma in ((False, 4.0, 0.3), (True, 1.0, 0.8)):
        logs = np.log(levered(of, short=short))
        assert np.median(logs) == pytest.approx(np.log(median), abs=0.03)
        assert np.quantile(logs, 0.84) - np.median(logs) == pytest.approx(sigma, rel=0.1)
    steep = held("pareto", leverage_slope=0.2, long_leverage=0.5, past_volatility=0.0)
    longs = steep.net > 0
    logs = np.log([steep.gross[longs], steep.gross[longs] / steep.equity[longs]])
    assert np.polyfit(*logs, 1)[0] == pytest.approx(0.2, abs=0.03)


def test_markets_have_their_shares_of_value_and_of_positions():
    changes = {"crowding": 0.3, "top_shares": (0.5, 0.2), "rank_slope": 1.0}
    laws = synth.named("pareto", **changes)
    of = held("pareto", 60_000, 60_000, 12, **changes)
    value = np.bincount(of.instrument, of.size) / of.size.sum()
    assert value == pytest.approx(market_shares(laws, 12), rel=0.05)
    assert np.bincount(of.instrument) / 60_000 == pytest.approx(crowding(laws, 12), rel=0.1)
    assert market_shares(laws, 12)[:3] == pytest.approx([0.5, 0.2, 0.3 / 3 / (1 / np.arange(3, 13)).sum()])
    alike = held("pareto", 60_000, 60_000, 12, crowding=0.0, top_shares=(0.9,))
    assert alike.size[alike.instrument == 0].sum() == pytest.approx(0.9 * alike.size.sum(), rel=0.05)


def test_what_is_drawn_of_one_thing_says_nothing_of_another():
    of = held("pareto", 100_000, 100_000, 1, size_spread=0.0, past_volatility=0.4)
    assert len(np.unique(of.equity)) > 99_000
    longs = ~of.short
    things = [of.size[longs], of.gross[longs] / of.equity[longs], np.arange(longs.sum())]
    ranks = [np.argsort(np.argsort(thing)) for thing in things]
    assert np.abs(np.corrcoef(ranks) - np.eye(3)).max() < 0.02


def test_every_pass_over_every_block_has_random_numbers_of_its_own():
    _, rows = empty_rows(np.ones(100_000, np.int32), np.uint16)
    draw = Draw(rows, seed=4)
    passes = [draw.each(lambda rng, block: rng.random()) for _ in range(2)]
    assert len(draw.blocks) > 2
    assert len({*passes[0], *passes[1]}) == 2 * len(draw.blocks)
    assert Draw(rows, seed=4).each(lambda rng, block: rng.random()) == passes[0]
    assert [block.account[0] for block in draw.blocks] == draw.each(lambda _, block: block.account[0])


def test_entries_are_spread_over_past_prices():
    spread = []
    for volatility in (0.0, 0.3):
        *_, rows = columns(synth.named("pareto", past_volatility=volatility), 20_000, 9000, 5)
        one = rows.instrument == 0
        spread.append(np.log(rows.entry_value[one] / rows.lots[one]).std())
    assert spread[0] == pytest.approx(0.002, rel=0.2)
    assert 0.03 < spread[1] < 0.3


def test_retail_accounts_are_alike_small_and_highly_levered():
    of = held("retail", 30_000, 10_000)
    assert (of.held == 3).all()
    assert of.size.max() < 1200
    assert np.median(levered(of, short=False)) > 6
    np.testing.assert_allclose(np.abs(of.net), of.gross)


def test_whales_hold_their_share_of_each_side_they_stand_on():
    table, _, rows = columns("whale", 60_000, 25_000, 40)
    unit = np.array([float(item.unit_value(item.mark)) for item in table])
    size = np.abs(rows.lots) * unit[rows.instrument]
    _, kind = draw_degrees(1, synth.SHAPES["whale"], 60_000, 25_000, 40)
    leg, theirs = 2 * rows.instrument + (rows.lots < 0), (kind == WHALE)[rows.account]
    assert len(np.unique(rows.account[theirs])) == synth.SHAPES["whale"].whales
    share = np.bincount(leg, size * theirs, 80) / np.bincount(leg, size, 80)
    assert share[np.unique(leg[theirs])] == pytest.approx(0.6, abs=0.01)
    assert size[theirs].sum() > 0.3 * size.sum()
    flat = synth.named("whale", crowding=0.0, top_shares=(0.9,))
    *_, rows = columns(flat, 60_000, 25_000, 40)
    mine = rows.instrument[(kind == WHALE)[rows.account]]
    assert (mine == 0).sum() == synth.SHAPES["whale"].whales


def test_hedged_accounts_of_two_or_more_are_long_and_short_in_one_market():
    of = held("hedged")
    np.testing.assert_array_equal(of.hedged, of.held > 1)


def test_crowded_longs_are_many_small_and_highly_levered_the_shorts_few_and_large():
    of = held("crowded_long")
    assert 0.96 < 1 - of.short.mean() < 0.99
    assert np.median(of.size[of.short]) > 15 * np.median(of.size[~of.short])
    assert np.median(levered(of, short=False)) > 4 * np.median(levered(of, short=True))


def test_market_makers_stand_in_many_markets_near_delta_neutral():
    of = held("pareto", maker_share=0.01, maker_factor=15.0, maker_size=30.0, size_tail=2.0)
    makers = (of.held >= 10) & (of.gross > 50_000)
    others = (of.held >= 2) & ~makers
    tilt = np.abs(of.net) / np.maximum(of.gross, 1)
    assert 0.004 < makers.mean() < 0.012
    assert np.median(tilt[makers]) < 0.2 < 0.5 < np.median(tilt[others])


def test_isolated_accounts_hold_at_most_one_position():
    of = held("pareto", isolated_share=0.5)
    assert of.held[of.isolated].max() == 1
    assert of.isolated[of.held == 1].mean() == pytest.approx(0.5, abs=0.02)
    assert not held("pareto").isolated.any()


def test_accounts_keep_to_their_side_as_far_as_asked():
    for one_way, share in ((1.0, 0.0), (0.0, 0.5)):
        of = held("pareto", 40_000, 20_000, even=True, one_way=one_way, hedged_share=0.0)
        mixed = (of.held == 2) & (np.abs(of.net) < 0.999 * of.gross)
        assert mixed.sum() / (of.held == 2).sum() == pytest.approx(share, abs=0.02)


def test_a_shape_of_ones_own_is_a_named_one_with_other_parameters():
    own = synth.named("pareto", size_tail=0.9, whales=2)
    assert own == replace(synth.SHAPES["pareto"], size_tail=0.9, whales=2)
    assert asdict(own) != asdict(synth.SHAPES["pareto"])
    given = assigned(["size_tail = 0.9", "whales=2", "even=yes", "top_shares=0.3,0.2", "size_law=uniform"])
    assert given == {
        "size_tail": 0.9,
        "whales": 2,
        "even": True,
        "top_shares": (0.3, 0.2),
        "size_law": "uniform",
    }


def test_every_parameter_and_shape_says_what_it_is_and_where_from():
    assert synth.ABOUT.keys() == synth.SHAPES.keys()
    for parameter in synth.Shape.parameters().values():
        assert parameter["told"]
        assert parameter["source"]
    names = {law.name for law in fields(synth.Shape)}
    for about in synth.ABOUT.values():
        assert about.title
        assert about.source
        assert about.sources.keys() <= names


BAD_PARAMETERS = [
    ({"size_tial": 1.0}, "size_tial", "nearest is size_tail"),
    ({"size_tail": 0.0}, "size_tail", "from 0.1 to 10"),
    ({"size_tail": float("nan")}, "size_tail", "from 0.1 to 10"),
    ({"size_tail": "steep"}, "size_tail", "a number"),
    ({"size_law": "paretto"}, "size_law", "nearest is pareto"),
    ({"whales": 1.5}, "whales", "whole number"),
    ({"whales": True}, "whales", "whole number"),
    ({"whales": -1}, "whales", "from 0"),
    ({"even": 1}, "even", "true or false"),
    ({"top_shares": (0.7, 0.6)}, "top_shares", "sum to at most 1"),
    ({"top_shares": [0.7]}, "top_shares", "a tuple"),
    ({"top_shares": (0.0,)}, "top_shares", "above 0"),
    ({"smallest": 10.0, "largest": 1.0}, "smallest", "at most largest"),
    ({"short_share": 0.0}, "short_share", "from 1e-06"),
    ({"busy_share": 0.5, "busy_factor": 3.0}, "busy_factor", "further positions"),
]


@pytest.mark.parametrize(("changes", "name", "remedy"), BAD_PARAMETERS, ids=str)
def test_bad_parameters_of_a_shape_are_refused_with_a_remedy(changes, name, remedy):
    with pytest.raises(InputError, match=name) as error:
        synth.named("pareto", **changes)
    assert error.value.path == ("shape", name)
    assert remedy in error.value.remedy


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("size_tail", "NAME=VALUE"),
        ("size_tial=1", "nearest is size_tail"),
        ("size_tail=x", "a number"),
        ("whales=1.5", "a whole number"),
        ("even=perhaps", "true or false"),
        ("top_shares=a b", "shares such as"),
    ],
)
def test_bad_assignments_are_refused_with_a_remedy(text, remedy):
    with pytest.raises(InputError) as error:
        assigned([text])
    assert remedy in error.value.remedy


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
