"""Measures, rows and probes: the literature's own examples, numbers by hand, and laws."""

from __future__ import annotations

from math import inf, isnan, sqrt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines import book
from fastadl import Engine, metrics, synth
from fastadl.errors import InputError
from fastadl.metrics.probes import Winner

#: P1's example: e = (10, 5, 1, −3, −12), c = (2, 1, .5, 0, 0), so w = (8, 4, .5), D = 15; θ = 1/2.
ENDOWMENT, EQUITY = [8.0, 4.0, 0.5], [10.0, 5.0, 1.0]
DEFICIT, NEEDED, LARGEST = 15.0, 7.5, 12.0
QUEUE, PRO_RATA = [3.5, 4.0, 0.0], [4.8, 2.4, 0.3]


def measured(seized, **more):
    given = {"deficit": DEFICIT, "needed": NEEDED, "largest": LARGEST, **more}
    return metrics.measure(seized, ENDOWMENT, EQUITY, **given)


# ---------------------------------------------------------------- measures


def test_the_queue_of_the_papers_example():
    of = measured(QUEUE)
    assert of["seized"] == 7.5
    assert (of["residual"], of["coverage"]) == (7.5, 0.5)
    assert (of["overshoot"], of["undershoot"]) == (0, 0)
    assert (of["overshoot_deficit"], of["undershoot_deficit"]) == (0, 7.5)
    assert (of["burden_profit"], of["burden_equity"]) == (1.0, 0.8)
    assert of["touched"] == 2
    assert of["gini"] == pytest.approx((0 * -2 + 3.5 * 0 + 4 * 2) / (3 * 7.5))
    assert of["hhi"] == pytest.approx((3.5**2 + 4**2) / 7.5**2)
    assert (of["ptsr"], of["ptsr_code"]) == pytest.approx((4.5 / 7.5, 4.5 / 7.5))
    assert (of["pmr"], of["pmr_code"]) == pytest.approx((4.5 / 6, 4.5 / 6))
    assert of["rd_nse"] == pytest.approx(4.5 / 12)
    assert of["rank_inversions"] == 0.5  # 4.5, 0, 0.5 are left
    assert of["excess_burden"] == pytest.approx(7.5 * (0.8 - 7.5 / 16))


def test_pro_rata_of_the_papers_example():
    of = measured(PRO_RATA)
    assert of["seized"] == pytest.approx(7.5)
    assert of["burden_profit"] == pytest.approx(0.6)
    assert metrics.burden(PRO_RATA, ENDOWMENT) == pytest.approx([0.6] * 3)
    assert of["burden_equity"] == pytest.approx(0.48)
    assert of["ptsr"] == pytest.approx(3.2 / 7.5)
    assert of["rank_inversions"] == 0
    assert of["touched"] == 3


def test_text_and_code_part_where_more_or_less_than_the_budget_is_taken():
    of = measured([2, 0, 0])  # H = 2 of θD = 7.5; 6 is left
    assert (of["ptsr"], of["ptsr_code"]) == pytest.approx((6 / 7.5, 6 / 13))
    assert (of["pmr"], of["pmr_code"]) == pytest.approx((6 / 6, 6 / (13 / 15 * 12)))
    assert of["rd_nse"] == pytest.approx(6 / 19)
    over = metrics.measure([8, 4, 0.5], ENDOWMENT, EQUITY, deficit=10, needed=7.5, largest=8)
    assert (over["overshoot"], over["overshoot_deficit"]) == (5, 2.5)
    assert isnan(over["ptsr_code"])
    assert isnan(over["pmr_code"])
    assert over["ptsr"] == 0


def test_pro_rata_leaves_the_largest_winner_more_than_a_queue_by_the_papers_gap():
    endowment, seized = np.array(ENDOWMENT), 2.0
    pro_rata = metrics.largest_survivor(seized * endowment / endowment.sum(), endowment)
    queue = metrics.largest_survivor([2, 0, 0], endowment)
    assert pro_rata - queue == pytest.approx(0.72)
    assert pro_rata - queue == pytest.approx(seized * (1 - 8 / 12.5))


def test_quadratic_projection_of_the_literature_hits_the_largest_hardest():
    """Published as w = (10, 5, 1), B = 6, h = (.47619, .2381, .047619)."""
    seized = 6 * np.array([100, 25, 1]) / 126
    assert metrics.burden(seized, [10, 5, 1]) == pytest.approx([0.47619, 0.2381, 0.047619], abs=5e-6)


def test_targets_are_two_numbers_and_never_negative():
    seized, needed, deficit = [5.0, 1.0], [3.0, 2.0], [6.0, 0.5]
    assert metrics.overshoot(seized, needed).tolist() == [2, 0]
    assert metrics.undershoot(seized, needed).tolist() == [0, 1]
    assert metrics.tracking(seized, needed).tolist() == [2, 1]
    assert metrics.overshoot(seized, deficit).tolist() == [0, 0.5]
    assert metrics.residual(seized, deficit).tolist() == [1, 0]
    assert metrics.coverage(seized, deficit).tolist() == [5 / 6, 1]
    assert metrics.coverage(0, 0) == 1
    assert metrics.severity([3, 9, 1], [6, 6, 0]).tolist() == [0.5, 1, 0]


def test_fairness_one_sided_never_charges_for_being_fairer():
    assert metrics.excess_burden(100, 0.2, 0.5) == 0
    assert metrics.excess_burden(100, 0.2, 0.5, one_sided=False) == pytest.approx(30)
    assert metrics.excess_burden([100, 10], [0.7, 1.0], 0.5).tolist() == pytest.approx([20, 5])


def test_a_burden_on_nothing_is_infinite_and_no_burden_is_none():
    assert metrics.burden([1, 0, 1], [0, 0, -3]).tolist() == [inf, 0, inf]
    assert metrics.max_burden([], []) == 0
    assert metrics.least_burden([10, -3, 5, 1], 8) == 0.5
    assert metrics.least_burden([-1], 8) == inf
    assert metrics.least_burden([-1], 0) == 0
    assert isnan(metrics.measure([1], [0], [0], deficit=1)["excess_burden"])


def test_concentration_of_one_and_of_all():
    assert metrics.gini([0, 0, 0, 9]) == 0.75
    assert metrics.gini([2, 2, 2]) == 0
    assert metrics.gini([1, 3]) == 0.25
    assert metrics.hhi([5, 5]) == 0.5
    assert metrics.hhi([7]) == 1
    assert metrics.top_share([1, 2, 3, 4], 2) == 0.7
    assert (metrics.gini([0, 0]), metrics.hhi([]), metrics.top_share([0])) == (0, 0, 0)


def test_equal_endowments_invert_nothing():
    assert metrics.rank_inversions([1, 0], [5, 5]) == 0
    assert metrics.rank_inversions([4, 0], [8, 5]) == 1
    assert metrics.rank_inversions([3, 0], [8, 5]) == 0
    assert metrics.rank_inversions([1], [1]) == 0


def test_regret_bound_and_variation_by_hand():
    severity = metrics.severity([1, 4, 2], [4, 4, 4])
    assert severity.tolist() == [0.25, 1, 0.5]
    assert metrics.variation(severity) == 1.25
    assert metrics.regret_bound([4, 4, 4], severity) == pytest.approx(sqrt(3.5 * 48))


def test_a_debt_seen_in_several_rounds_counts_once():
    assert metrics.counted_once([10, 12, 3, 11, 5], [10, 10, 3, 10, 4]).tolist() == [10, 2, 3, 1, 5]


@pytest.mark.parametrize(
    ("seized", "endowment", "told"),
    [
        ([1, -2], [1, 1], "seized, row 1: -2.0: give a finite number, 0 or more"),
        ([1, inf], [1, 1], "seized, row 1: inf: give a finite number, 0 or more"),
        ([1, 2], [1, float("nan")], "endowment, row 1: nan: give a finite number"),
        ([1, 2], [1], "endowment: 1 entries: give 2, as many as before"),
        ([[1]], [1], "seized: 2 dimensions: give a vector, one entry an account"),
        (["a"], [1], "seized: .*: give a vector of numbers"),
    ],
)
def test_vectors_that_cannot_be_are_named(seized, endowment, told):
    with pytest.raises(InputError, match=told):
        metrics.rank_inversions(seized, endowment)


def test_rounds_of_different_lengths_are_refused():
    with pytest.raises(InputError, match=r"rounds: .*: give numbers, or vectors of one length"):
        metrics.tracking([1, 2], [1, 2, 3])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e9), st.floats(-1e6, 1e9)), min_size=1, max_size=12),
    st.floats(1, 1e9),
    st.randoms(use_true_random=False),
)
def test_measures_neither_depend_on_order_nor_leave_their_range(accounts, deficit, random):
    seized, endowment, equity = zip(*accounts, strict=True)
    of = metrics.measure(seized, endowment, equity, deficit=deficit, largest=deficit, top=3)
    mixed = random.sample(accounts, len(accounts))
    again = metrics.measure(*zip(*mixed, strict=True), deficit=deficit, largest=deficit, top=3)
    assert {k: repr(v) for k, v in of.items()} == {k: repr(v) for k, v in again.items()}
    for name in ("coverage", "gini", "hhi", "top_share", "rank_inversions"):
        assert 0 <= of[name] <= 1 + 1e-12
    assert of["overshoot"] * of["undershoot"] == 0
    assert of["seized"] + of["undershoot"] - of["overshoot"] == pytest.approx(deficit)


# ---------------------------------------------------------------- rows


SHORTS = "ann X -6 125\nbea X -4 100"


def crash(positions=f"zed X 10 100\n{SHORTS}", mark="100", **cash):
    """A long of 10 from 100 with cash 200 lacks 50 at 75; of the shorts ann has 300 profit, bea 100."""
    money = {"zed": "200", "ann": "100", "bea": "900", "cat": "50", **cash}
    return book(positions, cash=money, listed={"X": {"mark": mark}})


def told(policy, given=None, **more):
    (line,) = metrics.compare(given or crash(), {"X": "75"}, {"it": policy}, **more).to_dicts()
    return line


def test_a_queue_by_hand():
    """ann (roi .4, leverage 450/400) goes before bea (roi .25, leverage .3): 6 lots, then 4, at 80 for 75."""
    line = told("bitmex", top=1)
    assert (line["policy"], line["space"], line["currency"]) == ("it", "contract", "USD")
    assert (line["shortfall"], line["fund_paid"], line["deficit"], line["needed"]) == (5000, 0, 5000, 5000)
    assert (line["seized"], line["residual"], line["uncovered"], line["coverage"]) == (5000, 0, 0, 1)
    assert (line["burden_profit"], line["burden_equity"]) == (0.2, 0.075)
    assert (line["accounts"], line["touched"], line["gained"]) == (2, 2, 0)
    assert (line["gini"], line["hhi"], line["top_share"]) == pytest.approx((0.1, 0.52, 0.6))
    assert (line["adl_lots"], line["adl_notional"]) == (10, 75000)
    assert line["ptsr"] == line["pmr"] == (30000 - 3000) / 5000
    assert line["ptsr_code"] is None
    assert line["excess_burden"] == pytest.approx(5000 * (0.075 - 5000 / (40000 + 100000)))


def test_charges_in_cash_by_hand():
    """The debt of 50 is shared as 300 to 100, and cat, who holds nothing, is not asked."""
    line = told({"space": "wealth"})
    assert (line["space"], line["seized"], line["accounts"]) == ("wealth", 5000, 2)
    assert line["burden_profit"] == pytest.approx(0.125)
    assert line["burden_equity"] == pytest.approx(3750 / 40000)
    assert (line["adl_lots"], line["touched"], line["rank_inversions"]) == (0, 2, 0)


def test_what_the_fund_pays_is_not_needed_of_winners():
    """The fund has 20 and takes 4 lots at a loss of 5 each."""
    line = told("bitmex", fund="20")
    assert (line["shortfall"], line["fund_paid"], line["deficit"], line["seized"]) == (5000, 2000, 3000, 3000)
    assert (line["coverage"], line["adl_lots"]) == (1, 6)


def test_at_mark_nobody_pays_but_everybody_is_touched():
    line = told({"price": "mark"})
    assert (line["seized"], line["touched"], line["residual"], line["uncovered"]) == (0, 2, 5000, 5000)
    assert (line["burden_profit"], line["undershoot"], line["coverage"]) == (0, 5000, 0)


def test_who_has_nothing_left_is_not_counted():
    """dan's profit of 25 just pays his debt; eve is closed like a bankrupt, though she is solvent."""
    given = crash(f"zed X 10 100\n{SHORTS}\ndan X -1 100\nmarket X 1 100", dan="-25")
    assert told({"space": "wealth"}, given)["accounts"] == 2
    given = crash(f"eve X 10 70\n{SHORTS}", eve="-45")
    line = told({"trigger": "unfilled"}, given)
    assert (line["adl_lots"], line["accounts"], line["seized"], line["gained"]) == (10, 2, 0, 500)


def test_a_better_price_than_mark_is_a_gain_and_no_seizure():
    line = told({"price": "previous_mark"}, crash(mark="70"))
    assert (line["seized"], line["gained"], line["touched"], line["gini"]) == (0, 5000, 2, 0)


def test_the_largest_lack_is_of_one_account():
    """zed lacks 50 and zoe 25, her long of 1 from 100 on no cash."""
    given = crash(f"zed X 10 100\n{SHORTS}\nzoe X 1 100\nbob X -1 100", zoe="0", bob="1000")
    line = told({"space": "wealth"}, given)
    assert line["deficit"] == 7500
    assert line["pmr"] * 5000 == pytest.approx(line["ptsr"] * 7500)


def test_both_targets_when_the_previous_mark_takes_too_much():
    """At 100 instead of 75 the shorts forgo 250; 50 was lacking, 60 asked for."""
    line = told({"price": "previous_mark"}, needed=6000)
    assert (line["seized"], line["overshoot"], line["overshoot_deficit"]) == (25000, 19000, 20000)
    assert line["ptsr"] == (30000 - 15000) / 6000
    assert line["rd_nse"] is None


def test_forgone_profit_grows_with_the_marks_it_is_valued_at():
    engine = Engine(crash())
    before = engine.copy()
    report = engine.tick({"X": "75"})
    borne = metrics.burdens(report, before, {"X": "75"})
    assert borne.select("account", "seized", "gained", "profit", "equity", "lots").rows() == [
        ("ann", 3000, 0, 30000, 40000, 6),
        ("bea", 2000, 0, 10000, 100000, 4),
    ]
    assert before.marks.tolist() == [100]
    later = before.copy()
    later.mark({"X": "70.5"})
    assert metrics.forgone(report, later).rows() == [("ann", 5700, 6, 42300), ("bea", 3800, 4, 28200)]
    later.mark({"X": "99"})
    assert metrics.forgone(report, later)["cost"].to_list() == [-11400, -7600]


def test_a_cost_is_rounded_up_for_longs_and_shorts():
    """At 70.5051 six lots bought at 80 cost 56.9694; the mirror image does at 129.4949, sold at 120."""
    sides = (
        (crash(), "75", "70.5051"),
        (crash("zed X -10 100\nann X 6 75\nbea X 4 100"), "125", "129.4949"),
    )
    for base, price, after in sides:
        engine = Engine(base)
        report = engine.tick({"X": price})
        engine.mark({"X": after})
        assert metrics.forgone(report, engine)["cost"].to_list() == [5697, 3798]


def test_costs_of_odd_atoms_are_rounded_against_nobody_by_more_than_one():
    """An inverse book and a price without an end: each cost is within an atom of the exact one."""
    base = synth.book("pareto", positions=300, accounts=120, instruments=3, seed=1)
    marks = {item.symbol: float(item.mark) * 0.7 for item in base.instruments}
    engine = Engine(base)
    before = engine.copy()
    report = engine.tick(marks)
    borne = metrics.burdens(report, before, marks)
    after = dict(zip(engine.accounts, engine.equity().tolist(), strict=True))
    lost = (
        borne["equity"] - borne["seized"] + borne["gained"] - pl.Series([after[a] for a in borne["account"]])
    )
    assert len(report.adl_fills) > 10
    assert lost.abs().max() <= 3  # one an instrument
    assert borne["seized"].sum() == pytest.approx(int(report.summary["shortfall"][0]), abs=100)


def test_a_book_of_two_currencies_has_two_rows():
    two = book(
        "zed X 10 100\nann X -10 100\nzoe Y 10 100\nbea Y -10 100",
        cash={"zed": "200", "ann": "500", "zoe": "900", "bea": "1"},
        currency=["USD", "USD", "EUR", "EUR"],
        listed={"X": {}, "Y": {"currency": "EUR"}},
    )
    prices = {"X": 75, "Y": 99}
    rows = metrics.compare(two, prices, ["bitmex"])
    assert rows.select("currency", "shortfall", "seized", "accounts").rows() == [
        ("EUR", 0, 0, 1),
        ("USD", 5000, 5000, 1),
    ]
    with pytest.raises(InputError, match="needed: 5: leave it out: the book has several currencies"):
        metrics.compare(two, prices, ["bitmex"], needed=5)


def test_comparing_leaves_the_book_alone_and_wants_a_policy():
    given = crash()
    rows = metrics.compare(
        given, {"X": "75"}, ["bitmex", "pro_rata"], liquidity={"model": "fixed", "depth": {}}
    )
    assert rows["policy"].to_list() == ["bitmex", "pro_rata"]
    assert len(given) == 3
    with pytest.raises(InputError, match="policies: none: name at least one policy"):
        metrics.compare(given, {"X": "75"}, [])


# ---------------------------------------------------------------- probes


def probed(policy, **more):
    (line,) = metrics.probe(policy, **more).to_dicts()
    return line


def verdicts(line):
    return [line[name] for name in ("sybil_proof", "scale_free", "order_preserving", "path_independent")]


def test_by_size_pro_rata_keeps_every_axiom_and_says_in_what():
    line = probed({"allocation": "pro_rata_size"})
    assert (line["policy"], line["numeraire"], line["shared"]) == ("given", "lots", 6000)
    assert verdicts(line) == [True] * 4
    assert max(line[name] for name in ("sybil", "scale", "order", "path")) <= 4 / 6000
    line = probed("vega", name="here")
    assert (line["policy"], line["numeraire"], line["shared"]) == ("here", "atoms", 6_000_000)
    assert verdicts(line) == [True] * 4


def test_a_queue_by_size_pays_for_being_split():
    """The largest, 8000 lots, gives all 6000; in halves of 4000 the next one with 6000 lots gives them."""
    line = probed({"score": "size"})
    assert (line["sybil"], line["sybil_proof"]) == (1, False)


def test_who_had_as_much_must_keep_as_much():
    twins = (Winner(1000, 60, 100_000), Winner(1000, 60, 100_000))
    assert probed({"score": "given"}, winners=twins, need=600)["order"] == 1
    assert probed({"allocation": "pro_rata_size"}, winners=twins, need=600)["order"] == 0


def test_a_queue_closes_the_best_ranked_below_the_others():
    """The first has the higher return and leverage: of 1400 lots it keeps none, the other all 1200."""
    line = probed("bitmex", winners=(Winner(700, 20, 12_000), Winner(600, 82, 100_000)), need=700)
    assert line["order"] == 1200 / 1400
    assert not line["order_preserving"]


def test_quadratic_projection_pays_for_being_split():
    assert not probed("quadratic_projection")["sybil_proof"]


def test_levels_of_leverage_are_path_independent_where_equity_stays():
    """P3's claim holds at mark, where a fill costs nothing; at the bankruptcy price it takes equity."""
    at_mark = probed({"allocation": "leverage_fill", "price": "mark"})
    assert verdicts(at_mark) == [True, True, False, True]
    assert not probed("leverage_fill")["path_independent"]


def test_random_order_depends_on_how_many_there_are():
    assert not probed("dydx_v4")["sybil_proof"]


def test_a_floor_in_money_is_not_free_of_scale():
    """binance divides by cash, but by 1 at least: of no cash the score is 20 for 20 lots and 60 for 60.

    The other scores 40 at any size: he gives all 1000 lots, and when all is thrice as much but 2940 of 3000.
    """
    winners = (Winner(10, 60, 0), Winner(1000, 60, 25))
    line = probed({"score": "binance"}, winners=winners, need=500)
    assert (line["scale"], line["scale_free"]) == (60 / 1000, False)


def test_clawbacks_are_probed_when_the_session_is_over():
    assert probed({"space": "wealth", "socialization": "clawback", "session": 3600})["shared"] == 6_000_000


def test_triggers_are_passed_over():
    assert probed("gmx_v2")["shared"] == 6000
    assert probed("bybit_2025")["shared"] == 6000


@pytest.mark.parametrize(("more", "told"), [({"winners": ()}, "winners: none"), ({"need": 0}, "need: 0")])
def test_a_probe_of_nothing_is_refused(more, told):
    with pytest.raises(InputError, match=told):
        metrics.probe("bitmex", **more)


def test_compare_takes_one_name_and_refuses_choices_without_a_name() -> None:
    some = synth.book("pareto", positions=30, accounts=15, instruments=2, seed=1)
    marks = {item.symbol: item.mark for item in some.instruments}
    assert metrics.compare(some, marks, "bitmex")["policy"].to_list() == ["bitmex"]
    with pytest.raises(InputError, match="mapping of name to choices") as refused:
        metrics.compare(some, marks, ["bitmex", {"score": "size"}])  # type: ignore[list-item]
    assert refused.value.pointer == "/policies/1"


def test_gini_among_more_than_those_who_bear_something() -> None:
    assert metrics.gini([3.0, 1.0], among=4) == metrics.gini([0.0, 3.0, 0.0, 1.0])
    assert metrics.gini([3.0, 1.0], among=1) == metrics.gini([3.0, 1.0])
