"""Order books of a simulation: depth, impact, recovery, and what orders leave behind (rule R100)."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from fractions import Fraction
from math import ceil, exp, log, sqrt
from typing import Any

import numpy as np
import pytest

from fastadl import Book, Engine, InputError, StageError, synth
from fastadl.contracts import Instrument, Instruments, Kind, Tier
from fastadl.stress.order_book import Depth, OrderBook
from fastadl.testing import check_invariants

COUNT = 4
#: No collapse, no concentration: 10 M of depth in every market, and a move of 1 % is 10 M.
PLAIN = Depth(depth="0.1", concentration=1, elasticity=0, band="0.02", half_life=100)
INTEREST = np.full(COUNT, 1e14)  # 100 M


class Report:
    """What an order book reads of a report."""

    def __init__(self, executions: dict[int, int] | None = None, adl: dict[int, int] | None = None) -> None:
        self._lists = {"executions": executions or {}, "adl_fills": adl or {}}

    def lots(self, name: str) -> np.ndarray:
        lots = np.zeros(2 * COUNT, np.int64)
        for leg, many in self._lists[name].items():
            lots[leg] = many
        return lots


@pytest.fixture(scope="module")
def instruments() -> Instruments:
    """Four markets; at a price of 100 a lot is worth 0.1."""
    tiers = (Tier(Fraction(0), Fraction(1, 100), Fraction(0)),)
    return Instruments(
        [Instrument(symbol, Kind.LINEAR, Fraction(1), Fraction(1, 1000), tiers) for symbol in "ABCD"]
    )


def orders(settings: Depth, instruments: Instruments, interest: np.ndarray = INTEREST) -> OrderBook:
    """At time 0 and prices of 100."""
    one = OrderBook(settings, instruments, interest)
    one.marks(np.full(COUNT, 100.0), 0)
    return one


def lots_of(notional: float) -> int:
    return int(notional * 10)


def demand(**lots: int) -> np.ndarray:
    """By leg, as in ``l0=5`` for five lots of longs of the first market."""
    found = np.zeros(2 * COUNT, np.int64)
    for name, many in lots.items():
        found[2 * int(name[1]) + (name[0] == "s")] = many
    return found


# ---------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("settings", "pointer", "remedy"),
    [
        ("deep", "/liquidity", "give a table"),
        ({"depth": 0}, "/liquidity/depth", "above 0 to 1000"),
        ({"depth": "-0.1"}, "/liquidity/depth", "above 0"),
        ({"depth": None}, "/liquidity/depth", "give a decimal"),
        ({"depth": "deep"}, "/liquidity/depth", "decimal"),
        ({"concentration": -1}, "/liquidity/concentration", "from 0 to 3"),
        ({"markets": 5}, "/liquidity/markets", "by symbol"),
        ({"markets": {"BTC-PERP": 0}}, "/liquidity/markets/BTC-PERP", "above 0"),
        ({"markets": {"BTC-PERP": -5}}, "/liquidity/markets/BTC-PERP", "above 0"),
        ({"distance": 0}, "/liquidity/distance", "above 0 below 1"),
        ({"impact": "-1"}, "/liquidity/impact", "linear, square_root"),
        ({"impact": -1}, "/liquidity/impact", "linear, square_root"),
        ({"impact": "linaer"}, "/liquidity/impact", "did you mean linear?"),
        ({"band": 1}, "/liquidity/band", "below 1"),
        ({"band": 0}, "/liquidity/band", "above 0"),
        ({"elasticity": "-0.1"}, "/liquidity/elasticity", "from 0 to 10"),
        ({"calm": 0}, "/liquidity/calm", "above 0 to 1"),
        ({"floor": 0}, "/liquidity/floor", "above 0 to 1"),
        ({"floor": "1.1"}, "/liquidity/floor", "to 1"),
        ({"half_life": 0}, "/liquidity/half_life", "1 or more"),
        ({"half_life": "60"}, "/liquidity/half_life", "whole seconds"),
        ({"half_life": True}, "/liquidity/half_life", "whole seconds"),
        ({"half_life": 2**63}, "/liquidity/half_life", "2^62"),
        ({"permanent": "1.5"}, "/liquidity/permanent", "from 0 to 1"),
        ({"adl_share": -1}, "/liquidity/adl_share", "from 0 to 1"),
        ({"feedback": "on"}, "/liquidity/feedback", "all, liquidations, off"),
        ({"fee": 1}, "/liquidity/fee", "from 0 below 1"),
        ({"surplus": "house"}, "/liquidity/surplus", "trader, fund"),
        ({"slice": 2}, "/liquidity/slice", "above 0 and below 1"),
        ({"cooldown": 5}, "/liquidity/cooldown", "slice or step_down"),
        ({"dept": 1}, "/liquidity/dept", "did you mean depth?"),
        ({"half_live": 1}, "/liquidity/half_live", "did you mean half_life?"),
    ],
)
def test_what_is_refused(settings: Any, pointer: str, remedy: str) -> None:
    with pytest.raises(InputError) as refused:
        Depth.of(settings)
    assert refused.value.pointer == pointer
    assert remedy in refused.value.remedy


def test_settings_travel_through_a_table() -> None:
    settings = Depth(impact="square_root", markets={"A": "5.5"}, slice="0.2", slice_above=100_000)
    table = settings.to_dict()
    assert {type(value) for value in table.values()} <= {str, int, bool, dict}
    assert Depth.of(table) == settings != Depth()
    assert Depth.of(None) == Depth() == Depth.of(Depth().to_dict())
    assert Depth.of(tomllib.loads('depth = "0.2"\nstep_down = true')).partial.step_down


def test_the_defaults_follow_from_the_figures_they_are_said_to_come_from() -> None:
    settings = Depth()
    assert float(settings.depth) == pytest.approx(1124 / 8510, abs=5e-4)
    spread = 2 * log(46.2 / 8.4)  # variance of logarithms, from mean and median
    power = sqrt(log(5.47 / 0.42) / (spread / 2))
    assert float(settings.concentration) == pytest.approx(power, abs=5e-3)
    assert float(settings.floor) == pytest.approx(284 / 1124, abs=5e-3)
    fall = log(122 / 104)
    assert (float(settings.calm) / fall) ** float(settings.elasticity) == pytest.approx(284 / 1124, abs=5e-3)


# ---------------------------------------------------------------------- depth


def test_depth_is_a_share_of_open_interest_and_denser_in_large_markets(instruments: Instruments) -> None:
    interest = np.array([8e14, 1e14, 1e14, 0.0])
    even = OrderBook(PLAIN, instruments, interest)
    assert even.depth.tolist() == pytest.approx([8e13, 1e13, 1e13, 0.0])
    uneven = OrderBook(replace(PLAIN, concentration=2), instruments, interest)
    assert uneven.depth.tolist() == pytest.approx([1e14 * 64 / 66, 1e14 / 66, 1e14 / 66, 0.0])


def test_depth_of_single_markets_may_be_given(instruments: Instruments) -> None:
    one = OrderBook(replace(PLAIN, markets={"B": "2.5"}), instruments, INTEREST)
    assert one.depth.tolist() == pytest.approx([1e13, 2.5e6, 1e13, 1e13])
    with pytest.raises(InputError) as refused:
        OrderBook(replace(PLAIN, markets={"NO-PERP": 1}), instruments, INTEREST)
    assert refused.value.pointer == "/liquidity/markets/NO-PERP"


@pytest.mark.parametrize("interest", [np.ones(3), np.array([1, 1, 1, -1]), np.array([1, 1, 1, np.nan])])
def test_an_open_interest_that_cannot_be_is_refused(instruments: Instruments, interest: np.ndarray) -> None:
    with pytest.raises(InputError, match="4 finite amounts"):
        OrderBook(PLAIN, instruments, interest)


# ---------------------------------------------------------------------- fills


@pytest.mark.parametrize("impact", ["linear", "square_root"])
def test_the_price_of_a_fill_is_the_mean_of_the_impact_over_its_lots(
    instruments: Instruments, impact: Any
) -> None:
    one = orders(replace(PLAIN, impact=impact), instruments)
    many = lots_of(7e6)
    filled, factors = one.fits(demand(l0=many, s1=many), instruments)
    assert filled.tolist() == demand(l0=many, s1=many).tolist()
    at = (np.arange(100_000) + 0.5) / 100_000 * 0.7  # of the depth
    mean = float((0.01 * (at if impact == "linear" else np.sqrt(at))).mean())
    assert list(factors) == [0, 3]
    assert float(1 - factors[0]) == pytest.approx(mean, rel=1e-4)
    assert float(factors[3] - 1) == pytest.approx(mean, rel=1e-4)


def test_inverse_contracts_count_by_their_value_at_the_price() -> None:
    """A lot of face 100 is worth 2 at 50, and 1 at 100; selling it is a push down too."""
    tiers = (Tier(Fraction(0), Fraction(1, 100), Fraction(0)),)
    listed = Instruments([Instrument("I", Kind.INVERSE, Fraction(100), Fraction(1), tiers)])
    for price, most in ((50.0, 10**7), (100.0, 2 * 10**7)):
        one = OrderBook(PLAIN, listed, INTEREST[:1])
        one.marks(np.array([price]), 0)
        filled, factors = one.fits(np.array([10**9, 10**9]), listed)
        assert filled.tolist() == [most, most]
        assert factors[0] < 1 < factors[1]


def test_slippage_is_rounded_up_to_billionths(instruments: Instruments) -> None:
    one = orders(PLAIN, instruments)
    many = 12_345_644  # 617,282.2 billionths
    _, factors = one.fits(demand(l0=many, s0=many), instruments)
    exactly = Fraction(1, 200) * many * 10**5 / 10**13
    steps = ceil(exactly * 10**9)
    assert factors == {0: 1 - Fraction(steps, 10**9), 1: 1 + Fraction(steps, 10**9)}
    assert 1 - factors[0] > exactly


@pytest.mark.parametrize(("impact", "reach"), [("linear", 2), ("square_root", 4)])
def test_lots_fit_until_the_price_reaches_the_band(instruments: Instruments, impact: Any, reach: int) -> None:
    one = orders(replace(PLAIN, impact=impact), instruments)
    most = lots_of(reach * 1e7)
    filled, factors = one.fits(demand(l0=2 * most), instruments)
    assert abs(int(filled[0]) - most) <= 1
    assert float(1 - factors[0]) == pytest.approx(0.02 * (0.5 if reach == 2 else 2 / 3), rel=1e-3)


def test_nothing_fits_where_there_is_no_depth_and_nothing_moves(instruments: Instruments) -> None:
    one = orders(PLAIN, instruments, np.array([1e14, 0.0, 1e14, 1e14]))
    filled, factors = one.fits(demand(l1=5, s1=7, l0=1), instruments)
    assert filled.tolist() == demand(l0=1).tolist()
    assert list(factors) == [0]
    one.absorb(Report(adl={2: 10**9}))
    assert one.displacement["adl"][1] == 0.0


def test_asking_changes_nothing(instruments: Instruments) -> None:
    one = orders(PLAIN, instruments)
    asked = demand(l0=10**6, s2=10**12)
    first, second = (one.fits(asked, instruments) for _ in range(2))
    assert first[0].tolist() == second[0].tolist()
    assert first[1] == second[1]
    assert asked.tolist() == demand(l0=10**6, s2=10**12).tolist()


# ---------------------------------------------------------------------- collapse and recovery


def test_depth_falls_with_the_move_just_seen_down_to_a_floor(instruments: Instruments) -> None:
    settings = replace(PLAIN, elasticity="0.5", calm="0.01", floor="0.25")
    one = orders(settings, instruments)
    move = 0.01 * sqrt(0.25)  # what is calm in a quarter of an hour
    one.marks(100 * np.exp([0.9 * move, 4 * move, -9 * move, 100 * move]), 900)
    assert (one.depth / 1e13).tolist() == pytest.approx([1.0, 1 / 2, 1 / 3, 1 / 4])


def test_half_of_what_is_missing_is_back_after_a_half_life(instruments: Instruments) -> None:
    one = orders(replace(PLAIN, elasticity=1), instruments)
    one.marks(np.full(COUNT, 50.0), 1)
    assert (one.depth / 1e13).tolist() == pytest.approx([0.25] * COUNT)
    for time, share in ((101, 0.625), (201, 0.8125)):
        one.marks(np.full(COUNT, 50.0), time)
        assert (one.depth / 1e13).tolist() == pytest.approx([share] * COUNT)


# ---------------------------------------------------------------------- what orders leave behind


@pytest.mark.parametrize("impact", ["linear", "square_root"])
def test_liquidations_push_the_next_mark_to_their_last_lot(instruments: Instruments, impact: Any) -> None:
    one = orders(replace(PLAIN, impact=impact), instruments)
    many = lots_of(4e6)
    one.absorb(Report({0: many, 3: lots_of(4e6)}))
    pushed = 0.004 if impact == "linear" else 0.01 * sqrt(0.4)
    assert one.displacement["liquidations"].tolist() == pytest.approx([-pushed, pushed, 0, 0], rel=1e-3)
    assert one.displacement["adl"].tolist() == [0] * COUNT
    marks = one.marks(np.full(COUNT, 100.0), 100)  # a half-life later
    wanted = [100 * sqrt(1 - pushed), 100 * sqrt(1 + pushed), 100, 100]
    assert marks.tolist() == pytest.approx(wanted, rel=1e-5)


def test_buying_and_selling_in_one_market_offset_each_other(instruments: Instruments) -> None:
    one = orders(PLAIN, instruments)
    one.absorb(Report({0: 9 * 10**6, 1: 9 * 10**6}))
    assert one.displacement["liquidations"].tolist() == [0] * COUNT


def test_deleveraged_traders_push_the_price_on_by_their_share(instruments: Instruments) -> None:
    """Bankrupt longs of the first market are closed against shorts, who sell again."""
    one = orders(replace(PLAIN, adl_share="0.25"), instruments)
    one.absorb(Report({0: lots_of(2e6)}, {0: lots_of(4e6), 3: 5}))
    assert one.displacement["liquidations"][0] == pytest.approx(-0.002, rel=1e-3)
    assert one.displacement["adl"][0] == pytest.approx(-0.001, rel=1e-3)
    assert one.displacement["adl"][1] > 0


def test_one_step_pushes_no_farther_than_the_band(instruments: Instruments) -> None:
    one = orders(replace(PLAIN, adl_share=1), instruments)
    one.absorb(Report({0: 10**15}, {0: 10**15}))
    assert one.displacement["liquidations"][0] == pytest.approx(-0.02)
    assert one.displacement["adl"][0] == pytest.approx(-0.02)


@pytest.mark.parametrize(("feedback", "seen"), [("off", (0, 0)), ("liquidations", (1, 0)), ("all", (1, 1))])
def test_feedback_says_whose_orders_move_prices(instruments: Instruments, feedback: Any, seen: Any) -> None:
    one = orders(replace(PLAIN, feedback=feedback), instruments)
    one.absorb(Report({0: 10**6}, {0: 10**6}))
    moved = one.displacement
    assert (moved["liquidations"][0] < 0, moved["adl"][0] < 0) == seen


def test_the_permanent_share_of_a_push_stays(instruments: Instruments) -> None:
    one = orders(replace(PLAIN, permanent="0.25"), instruments)
    one.absorb(Report({0: lots_of(1e7)}))
    push = log(0.99)
    for time, left in ((100, 0.25 + 0.75 / 2), (10**6, 0.25)):
        assert one.marks(np.full(COUNT, 100.0), time)[0] == pytest.approx(100 * exp(left * push), rel=1e-5)


def test_displaced_marks_have_nine_digits_and_others_are_the_path(instruments: Instruments) -> None:
    one = orders(PLAIN, instruments)
    one.absorb(Report({0: 12345, 4: 54321}))
    path = np.array([100 / 3, 200 / 3, 0.0001 / 3, 1e5 / 3])
    marks = one.marks(path, 1)
    assert marks[[1, 3]].tolist() == path[[1, 3]].tolist()
    for i in (0, 2):
        assert marks[i] != path[i]
        assert float(f"{marks[i]:.9g}") == marks[i]


def test_prices_stay_above_zero_whatever_is_thrown_at_them(instruments: Instruments) -> None:
    one = orders(replace(PLAIN, band="0.9", permanent="0.5", half_life=10**6), instruments)
    path = np.array([1e-40, 1e-7, 100.0, 1e40])
    for step in range(1, 200):
        with np.errstate(all="raise"):
            marks = one.marks(path, step)
            one.fits(demand(l0=10**17, l2=10**17, s3=10**17), instruments)
            one.absorb(Report({0: 10**17, 2: 10**17, 4: 10**17, 7: 10**17}, {0: 10**17, 7: 10**17}))
        assert (np.isfinite(marks) & (marks > 0)).all()
        assert (np.abs(np.log(marks / path)) < 6.01).all()


@pytest.mark.parametrize("path", [np.ones(3), np.array([1, 1, 1, 0.0]), np.array([1, 1, np.nan, 1])])
def test_paths_that_cannot_be_are_refused(instruments: Instruments, path: np.ndarray) -> None:
    with pytest.raises(InputError, match="4 finite prices"):
        orders(PLAIN, instruments).marks(path, 1)


def test_time_runs_forward(instruments: Instruments) -> None:
    one = orders(PLAIN, instruments)
    with pytest.raises(InputError, match="after 0"):
        one.marks(np.ones(COUNT), 0)


def test_before_the_first_marks_there_is_nothing_to_fill_at(instruments: Instruments) -> None:
    with pytest.raises(StageError, match="call marks"):
        OrderBook(PLAIN, instruments, INTEREST).fits(demand(l0=1), instruments)


# ---------------------------------------------------------------------- with the engine

HYPERLIQUID = {"slice": "0.2", "slice_above": "1000", "cooldown": 30, "in_cooldown": "whole"}
PARTS = [{}, HYPERLIQUID, {"slice": "0.5", "cooldown": 90}, {"step_down": True}]


def crash(given: Book, settings: Depth, *, copies: bool = True) -> tuple[Engine, list[np.ndarray], OrderBook]:
    """A fall by a third in ten steps of a minute, the laws checked at each."""
    interest = np.bincount(given.rows.leg, given.rows.lots, 2 * len(given.instruments))[::2]
    interest = interest * [float(item.unit_value(item.mark)) for item in given.instruments]
    one = OrderBook(settings, given.instruments, interest)
    engine = Engine(given, policy="bitmex", fund=str(int(interest.sum() / 1e9)), liquidity=one)
    start, marks = engine.marks, []
    for step in range(10):
        marks.append(one.marks(start * (1 - step / 27), 60 * step))
        before = engine.copy() if copies else None
        report = engine.tick(marks[-1], time=60 * step)
        one.absorb(report)
        if before is not None:
            check_invariants(before, report, engine)
        assert engine.check().ok
    return engine, marks, one


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("impact", ["linear", "square_root"])
@pytest.mark.parametrize("parts", PARTS, ids=["whole", "hyperliquid", "halves", "tiers"])
def test_the_laws_hold_in_a_cascade(seed: int, impact: Any, parts: dict[str, Any]) -> None:
    given = synth.book("pareto", positions=1500, accounts=600, instruments=5, seed=seed)
    engine, marks, one = crash(given, Depth(impact=impact, fee="0.001", permanent="0.5", **parts))
    assert engine.reserves()["equity"].null_count() == 0
    assert (one.displacement["liquidations"] < 0).any()
    assert (np.array(marks[-1]) < np.array(marks[0]) * 0.67).any()


def test_a_cascade_is_the_same_every_time_and_feedback_deepens_it() -> None:
    given = synth.book("pareto", positions=1500, accounts=600, instruments=5, seed=4)
    settings = Depth(permanent="0.5")
    (_, first, one), (_, second, _) = (crash(given, settings, copies=False) for _ in range(2))
    assert [marks.tolist() for marks in first] == [marks.tolist() for marks in second]
    assert (one.displacement["adl"] < 0).any()
    falls = [
        crash(given, replace(settings, feedback=feedback), copies=False)[1][-1].sum()
        for feedback in ("off", "liquidations", "all")
    ]
    assert falls[0] > falls[1] > falls[2]


def test_an_order_book_of_other_instruments_is_refused(instruments: Instruments) -> None:
    given = synth.book("pareto", positions=50, accounts=20, instruments=5, seed=1)
    with pytest.raises(InputError, match="for the instruments of the book"):
        Engine(given, liquidity=OrderBook(PLAIN, instruments, INTEREST))
