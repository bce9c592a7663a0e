"""Scenarios: what they promise of their moves, and that any book can be driven through them."""

from __future__ import annotations

import os
from fractions import Fraction
from math import log, sqrt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fastadl import synth
from fastadl.contracts import Instrument, Instruments, Kind, Tier
from fastadl.engine import Engine
from fastadl.errors import InputError
from fastadl.stress import paths
from fastadl.stress.paths import SCENARIOS, named
from fastadl.stress.paths.events import EVENTS
from fastadl.stress.paths.files import read_path
from fastadl.stress.paths.history import Historical
from fastadl.stress.paths.shapes import betas

DATA = Path(os.environ.get("FASTADL_DATA", Path(__file__).parents[2] / "shared" / "data"))
MADE = ("flash-crash", "rally", "slow-bleed", "depeg", "jumps")


def markets(scenario, count=40):
    return Instruments(synth.perpetuals(count, marks=scenario.anchors))


def returns(scenario, count=40, seed=1):
    """Logarithms of marks over first marks."""
    marks = scenario.path(markets(scenario, count), seed).marks
    return np.log(marks / marks[0])


def test_names():
    assert list(SCENARIOS) == [*MADE, *EVENTS]
    assert list(EVENTS) == ["2020-03-12", "2021-05-19", "luna-2022-05", "ftx-2022-11", "2025-10-10"]


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_path_marks_every_instrument_from_its_own_mark(name):
    scenario = named(name)
    book = markets(scenario)
    path = scenario.path(book, 7)
    assert path.symbols == book.symbols
    assert path.marks.shape == (len(path.times), len(book))
    assert (path.times.dtype, path.marks.dtype) == (np.int64, np.float64)
    assert (np.diff(path.times) > 0).all()
    assert (np.isfinite(path.marks) & (path.marks > 0)).all()
    assert path.marks[0].tolist() == [float(item.mark) for item in book]
    assert scenario.title
    assert scenario.source
    assert path.source


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name != "2020-03-12"])
def test_equal_seeds_give_equal_paths_and_other_seeds_other_ones(name):
    scenario = named(name) if name in MADE else named(name, noise=0.5)
    book = markets(scenario)
    first, again, other = (scenario.path(book, seed).marks for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", SCENARIOS)
def test_marks_have_few_digits(name):
    scenario = named(name)
    marks = scenario.path(markets(scenario), 1).marks
    assert all(float(f"{mark:.8g}") == mark for mark in marks[1:].ravel().tolist())


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_book_is_liquidated_and_deleveraged_along_it_and_keeps_every_law(name):
    scenario = named(name)
    table = synth.perpetuals(max(12, len(scenario.anchors)), marks=scenario.anchors)
    book = synth.book("pareto", positions=2000, accounts=800, instruments=table, seed=1)
    path = scenario.path(book.instruments, 1)
    engine = Engine(book, policy="bitmex", fund="1000")
    happened = dict.fromkeys(("n_liquidations", "n_adl_fills"), 0)
    for time, marks in zip(path.times, path.marks, strict=True):
        report = engine.tick(marks, time=int(time))
        assert engine.check().ok
        for what in happened:
            happened[what] += report.summary[what][0]
        if time == path.times[0]:
            assert happened["n_liquidations"] == 0
    assert all(happened.values())


def test_parameters_are_shown_as_they_are_in_force():
    assert named("flash-crash").to_dict()["depth"] == 0.45
    scenario = named("flash-crash", depth=1 / 2, steps=np.int64(20))
    assert scenario.to_dict() == {
        "name": "flash-crash",
        "depth": 0.5,
        "ramp": 12,
        "recovery": 0.6,
        "half_life": 600.0,
        "dispersion": 0.5,
        "noise": 0.05,
        "steps": 20,
        "seconds": 60,
    }
    for name in SCENARIOS:
        table = named(name).to_dict()
        assert named(table.pop("name"), **table).parameters == named(name).parameters == table


@pytest.mark.parametrize(
    ("name", "parameters", "where", "words"),
    [
        ("flash-crsh", {}, (), ["flash-crsh", "did you mean flash-crash", "2025-10-10"]),
        ("luna", {}, (), ["luna-2022-05"]),
        (5, {}, (), ["5", "rally"]),
        (["rally"], {}, (), ["rally"]),
        ("flash-crash", {"dept": 0.5}, ("dept",), ["did you mean depth", "half_life"]),
        ("2020-03-12", {"event": 5}, ("event",), ["beta, noise, seconds"]),
        ("flash-crash", {"depth": "deep"}, ("depth",), ["deep", "a number"]),
        ("flash-crash", {"depth": 1.0}, ("depth",), ["0.999"]),
        ("flash-crash", {"depth": float("nan")}, ("depth",), ["nan", "from"]),
        ("flash-crash", {"steps": 2.5}, ("steps",), ["2.5", "whole"]),
        ("flash-crash", {"steps": True}, ("steps",), ["True", "whole"]),
        ("flash-crash", {"steps": 1}, ("steps",), ["from 2"]),
        ("flash-crash", {"steps": 12}, ("ramp",), ["from 1 to 11"]),
        ("rally", {"height": 0}, ("height",), ["0.001"]),
        ("slow-bleed", {"correlation": 1.5}, ("correlation",), ["from 0 to 1"]),
        ("depeg", {"asset": 5}, ("asset",), ["give text"]),
        ("jumps", {"nu": 2}, ("nu",), ["2.01"]),
        ("jumps", {"volatility": -1}, ("volatility",), ["-1"]),
        ("2020-03-12", {"beta": 50}, ("beta",), ["-10 to 10"]),
        ("2020-03-12", {"noise": -0.1}, ("noise",), ["-0.1"]),
        ("2020-03-12", {"seconds": 0}, ("seconds",), ["from 1"]),
    ],
)
def test_unknown_names_and_bad_parameters_are_refused(name, parameters, where, words):
    with pytest.raises(InputError) as error:
        named(name, **parameters)
    assert error.value.path == ("scenario", *where)
    assert all(word in str(error.value) for word in words)


def test_an_instrument_without_a_mark_is_refused():
    tier = Tier(Fraction(0), Fraction(1, 100), Fraction(0))
    bare = Instruments([Instrument("X-PERP", Kind.LINEAR, Fraction(1), Fraction(1), (tier,))])
    for name in ("rally", "2020-03-12"):
        with pytest.raises(InputError, match="X-PERP"):
            named(name).path(bare, 1)


# ---------------------------------------------------------------- made-up moves


def test_betas_rise_from_large_to_small_markets():
    beta = betas(301, 0.5, np.random.default_rng(1))
    assert beta.mean() == pytest.approx(1, abs=0.02)
    assert beta[:30].mean() == pytest.approx(0.55, abs=0.06)
    assert beta[-30:].mean() == pytest.approx(1.45, abs=0.06)
    assert betas(5, 0.0, np.random.default_rng(1)).tolist() == [1] * 5


def test_a_flash_crash_falls_by_its_depth_and_makes_good_its_share():
    moves = returns(named("flash-crash", depth=0.5, noise=0.0, dispersion=0.0))
    assert np.argmin(moves, axis=0).tolist() == [12] * 40
    assert np.exp(moves[12]) == pytest.approx(0.5)
    assert (np.diff(moves[:13], axis=0) < 0).all()
    assert (np.diff(moves[:13], n=2, axis=0) < 0).all()
    half_life = moves[22]
    assert half_life == pytest.approx(log(0.5) * (1 - 0.6 / 2), rel=1e-6)
    late = returns(named("flash-crash", depth=0.5, noise=0.0, dispersion=0.0, steps=500))
    assert late[-1] == pytest.approx(log(0.5) * 0.4, rel=1e-4)


def test_large_markets_fall_less_and_wicks_only_overshoot():
    calm = named("flash-crash", noise=0.0, dispersion=0.5)
    lows = returns(calm, 100).min(axis=0)
    assert lows[:10].mean() > 0.7 * lows.mean() > 1.3 * lows[-10:].mean() / 2
    assert np.exp(np.median(lows)) == pytest.approx(1 - 0.45, abs=0.04)
    flat = {"dispersion": 0.0, "seconds": 600, "steps": 60}
    excess = returns(named("flash-crash", noise=0.1, **flat), 400) - returns(
        named("flash-crash", noise=0.0, **flat), 400
    )
    assert (excess <= 1e-7).all()
    assert excess[12].mean() == pytest.approx(-0.1 * sqrt(2 / np.pi), rel=0.1)
    assert abs(excess[-1]).max() < 1e-6


def test_a_rally_rises_and_gives_back():
    moves = returns(named("rally", height=1.0, recovery=1.0, half_life=60.0, noise=0.0, dispersion=0.0))
    assert np.exp(moves[12]) == pytest.approx(2.0)
    assert moves[-1] == pytest.approx(0, abs=1e-6)
    assert returns(named("rally")).min() >= 0


def test_a_slow_bleed_ends_where_it_says_in_small_steps():
    moves = returns(named("slow-bleed", fall=0.4, dispersion=0.0), 200)
    assert np.exp(moves[-1]) == pytest.approx(0.6)
    step = np.diff(moves, axis=0)
    assert step.min() > -0.2
    assert step.std() == pytest.approx(0.8 * sqrt(21600 / (365 * 86400)), rel=0.15)
    long = returns(named("slow-bleed", dispersion=0.0, correlation=0.6, steps=20_000), 3)
    assert np.corrcoef(np.diff(long, axis=0).T)[0, 1] == pytest.approx(0.6, abs=0.02)


def test_a_depeg_breaks_one_market_and_moves_the_others_less():
    calm = {"depth": 0.8, "noise": 0.0, "dispersion": 0.0, "contagion": 0.25}
    scenario = named("depeg", asset="eth", **calm)
    moves = returns(scenario)
    assert np.exp(moves[36, 1]) == pytest.approx(0.2)
    assert np.delete(moves[36], 1) == pytest.approx(0.25 * log(0.2))
    assert 0.7 < moves[-1, 1] / log(0.2) < 0.72
    book = markets(scenario)
    nearest_to_one = min(range(len(book)), key=lambda i: abs(log(book[i].mark)))
    assert np.argmin(returns(named("depeg", **calm))[36]) == nearest_to_one
    with pytest.raises(InputError, match=r"ETHH.*did you mean ETH"):
        named("depeg", asset="ETHH").path(book, 1)


# ---------------------------------------------------------------- jumps

LONG = {"steps": 200_001, "dispersion": 0.0, "seconds": 60, "drift": 0.0}
DAY = 86400


def steps(count=2, seed=1, **parameters):
    """One-step returns of a long path, drawn without the rounding of marks."""
    shape = SCENARIOS["jumps"]
    made = type(shape)(**{**LONG, **parameters})
    return np.diff(made.returns([None] * count, np.random.default_rng(seed)), axis=0)


def test_diffusion_has_its_volatility_correlation_and_drift():
    moves = steps(jumps=0.0, volatility=1.0, correlation=0.6, nu=8.0, drift=50.0)
    year = 365 * DAY / 60
    assert moves.mean(axis=0) * year == pytest.approx([50, 50], abs=4)
    assert moves.std(axis=0) * sqrt(year) == pytest.approx([1, 1], rel=0.01)
    assert np.corrcoef(moves.T)[0, 1] == pytest.approx(0.6, abs=0.01)
    excess = ((moves - moves.mean(axis=0)) ** 4).mean(axis=0) / moves.var(axis=0) ** 2
    assert excess == pytest.approx([3 + 6 / (8 - 4)] * 2, rel=0.15)


def tail_dependence(moves, share):
    """How often the second is in its lowest share of returns when the first is."""
    low = moves <= np.quantile(moves, share, axis=0)
    return (low[:, 0] & low[:, 1]).mean() / share


def test_tails_depend_on_each_other_as_those_of_a_t_copula_do():
    # 2·t₅(−√(5·0.4/1.6)) with nu 4 and correlation 0.6 (Demarta and McNeil 2005, proposition 1)
    limit = 0.3143
    assert tail_dependence(steps(jumps=0.0, nu=4.0, seed=2), 0.001) == pytest.approx(limit, abs=0.06)
    assert tail_dependence(steps(jumps=0.0, nu=4.0, correlation=0.0), 0.001) == pytest.approx(
        0.0756, abs=0.06
    )
    assert tail_dependence(steps(jumps=0.0, nu=1e6), 0.001) < 0.2


def test_jumps_have_their_rate_sizes_and_share_in_common():
    rate = 40 * 60 / DAY
    moves = steps(volatility=0.0, jumps=40.0, jump_mean=-0.1, jump_spread=0.05, common=0.75, correlation=0.6)
    hit = moves != 0
    assert hit.mean(axis=0) == pytest.approx([1 - np.exp(-rate)] * 2, rel=0.05)
    assert (hit[:, 0] & hit[:, 1]).mean() == pytest.approx(0.75 * rate, rel=0.08)
    second = 0.1**2 + 0.05**2
    assert moves.mean(axis=0) == pytest.approx([-0.1 * rate] * 2, rel=0.05)
    assert moves.var(axis=0) == pytest.approx([second * rate] * 2, rel=0.05)
    shared = 0.75 * rate * (0.1**2 + 0.6 * 0.05**2)
    assert np.cov(moves.T)[0, 1] == pytest.approx(shared, rel=0.06)
    many = steps(volatility=0.0, jumps=2880.0, jump_mean=-0.1, jump_spread=0.05, common=0.5, correlation=1.0)
    assert many.var(axis=0) == pytest.approx([2 * second] * 2, rel=0.02)
    assert np.cov(many.T)[0, 1] == pytest.approx(second, rel=0.03)
    never = steps(volatility=0.0, jumps=40.0, common=0.0)
    assert ((never != 0).all(axis=1)).mean() < 3 * rate**2


def test_small_markets_are_more_volatile():
    moves = np.diff(returns(named("jumps", jumps=0.0, dispersion=0.5, steps=2000), 60), axis=0)
    spread = moves.std(axis=0)
    assert spread[-10:].mean() > 2 * spread[:10].mean()


# ---------------------------------------------------------------- crashes of the past


def test_march_2020_is_48_hours_of_bitcoin_exactly():
    scenario = named("2020-03-12")
    assert scenario.anchors == {"BTC": Fraction("7923.79")}
    path = scenario.path(markets(scenario), 1)
    assert len(path.times) == 48
    assert set(np.diff(path.times)) == {3600}
    assert path.marks[[0, 25, 47], 0].tolist() == [7923.79, 4160, 5653.03]


@pytest.mark.parametrize("name", EVENTS)
def test_facts_are_on_the_path_whatever_the_noise(name):
    event = EVENTS[name]
    for noise in (0.0, 1.0):
        own = Historical(beta=1.0, noise=noise, seconds=event.seconds, event=event).own(5)
        assert own.symbols == tuple(event.facts)
        for column, facts in enumerate(event.facts.values()):
            assert (min(facts), max(facts)) == (own.times[0], own.times[-1])
            at = np.searchsorted(own.times, sorted(facts))
            assert own.times[at].tolist() == sorted(facts)
            assert own.marks[at, column].tolist() == [facts[time] for time in sorted(facts)]


def test_prices_between_facts_are_on_straight_lines_in_logarithms():
    own = Historical.of(EVENTS["ftx-2022-11"]).own(1)
    first = np.log(own.marks[:9, 0])
    assert first == pytest.approx(np.linspace(first[0], first[-1], 9), abs=1e-7)
    wild = Historical(beta=1.0, noise=1.0, seconds=60, event=EVENTS["ftx-2022-11"]).own(1)
    step = np.diff(np.log(wild.marks[:, 0])).std()
    assert step == pytest.approx(sqrt(60 / (365 * DAY)), rel=0.1)


def test_others_follow_the_leaders_by_beta():
    for name, leaders in (("luna-2022-05", [0, 1]), ("2025-10-10", slice(None, 22))):
        moves = returns(named(name, beta=1.5), 30)
        assert moves[:, -1] == pytest.approx(1.5 * np.median(moves[:, leaders], axis=1), abs=1e-6)


def test_a_book_at_other_prices_has_the_same_returns():
    scenario = named("luna-2022-05")
    fine = Fraction("17.123456789012")
    elsewhere = Instruments(synth.perpetuals(4, marks={"LUNA": Fraction(3), "BTC": fine}))
    marks = scenario.path(elsewhere, 1).marks
    assert marks[0, :2].tolist() == [3, 17.123456789012]
    assert marks[-1, 0] == pytest.approx(3 * 0.00005 / 77.3, rel=1e-7)
    assert marks[-1, 1] == pytest.approx(float(fine) * 29545.39 / 36013.77, rel=1e-7)


def test_october_2025_falls_as_reported():
    moves = np.exp(returns(named("2025-10-10"), 30).min(axis=0)) - 1
    fall = dict(zip(EVENTS["2025-10-10"].facts, moves, strict=False))
    assert fall["BTC"] == pytest.approx(-0.12, abs=0.01)
    assert -0.2 < fall["ETH"] < -0.1
    assert -0.45 < fall["SOL"] < -0.3
    assert fall["DOGE"] < -0.5
    assert np.median(list(fall.values())) == pytest.approx(-0.55, abs=0.05)


PRICES = {
    "2020-03-12": {"BTC": "btcusd_gemini"},
    "2021-05-19": {asset: f"{asset.lower()}usdt_binance_1h_2021" for asset in ("BTC", "ETH")},
    "luna-2022-05": {
        asset: f"{asset.lower()}usdt_binance_1h_2022-05" for asset in ("BTC", "ETH", "LUNA", "UST")
    },
    "ftx-2022-11": {asset: f"{asset.lower()}usdt_binance_1h_2022-11" for asset in ("BTC", "ETH", "FTT")},
}


@pytest.mark.skipif(not (DATA / "price_paths").is_dir(), reason=f"no price files in {DATA}")
@pytest.mark.parametrize(("name", "asset"), [(name, asset) for name in PRICES for asset in PRICES[name]])
def test_crashes_agree_with_hourly_prices(name, asset):
    """Low within 4 %, largest fall within 3 points, worst hour within 8 points of the bars' own."""
    own = Historical.of(EVENTS[name]).own(1)
    ours = own.marks[:, own.symbols.index(asset)]
    bars = pl.read_csv(next((DATA / "price_paths").glob(PRICES[name][asset] + "*")))
    begin = bars["date"].str.to_datetime().dt.epoch("s").to_numpy()
    # Facts of 2020 stand at the beginning of their hour, the others at its end.
    late = 0 if name == "2020-03-12" else 3600
    inside = (begin + late >= own.times[0]) & (begin + late <= own.times[-1])
    closes, lows = (bars[column].to_numpy()[inside] for column in ("close", "low"))
    seen = closes if name == "2020-03-12" else np.minimum(lows, closes)
    seen = np.concatenate([closes[:1], seen[1:]])

    assert ours[0] == closes[0]
    assert ours.min() == pytest.approx(seen.min(), rel=0.04 if asset != "LUNA" else 0.3)
    fall = (seen / np.maximum.accumulate(closes)).min()
    assert (ours / np.maximum.accumulate(ours)).min() == pytest.approx(fall, abs=0.03)
    stride = 3600 // int(np.diff(own.times)[0])
    worst = (ours[stride:] / ours[:-stride]).min() - 1
    hourly = (seen[1:] / closes[:-1]).min() - 1
    assert worst == pytest.approx(hourly, abs=0.08)


def test_october_2025_agrees_with_the_rounds():
    file = DATA / "hyperliquid_2025-10-10" / "derived_adl_vwap_by_wave_coin.csv"
    if not file.is_file():
        pytest.skip(f"no {file}")
    rounds = pl.read_csv(file)
    checked = 0
    for asset, facts in EVENTS["2025-10-10"].facts.items():
        prices = rounds.filter(pl.col("coin") == asset)["adl_vwap"].to_numpy()
        for price in list(facts.values())[:-4]:
            assert abs(prices / price - 1).min() < 0.001, (asset, price)
            checked += 1
        assert min(facts.values()) == pytest.approx(prices.min(), rel=0.01), asset
    assert checked > 80


def test_files_follow_with_the_usual_beta_and_mark_their_assets_exactly(tmp_path):
    file = tmp_path / "two.csv"
    file.write_text("time,BTCUSDT,ETH\n0,8000,200\n60,8000.5,200\n120,4000.123456789,80.25\n")
    scenario = paths.read(file)
    path = scenario.path(markets(scenario), 1)
    assert path.marks[2, :2].tolist() == [4000.123456789, 80.25]
    level = read_path([str(file)]).level()
    assert level.tolist() == pytest.approx(
        [1, sqrt(8000.5 / 8000), sqrt(4000.123456789 / 8000 * 80.25 / 200)]
    )
    assert path.marks[2, 2] == pytest.approx(150 * level[2] ** 1.2, rel=1e-7)
