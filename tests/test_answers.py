"""What a sweep answers: bands that hold what they promise, and shares of variance known from textbooks."""

from __future__ import annotations

from collections.abc import Callable
from math import comb, floor
from typing import Any

import numpy as np
import polars as pl
import pytest

from fastadl.sweep import answers
from fastadl.sweep.cube import block
from fastadl.sweep.statistics import crossed_reach, order_band, student, wilson
from fastadl.sweep.variance import Design, Share, shares

PARAMETERS = ["fund.share", "book.shape"]
SHAPES = ("flat", "pareto")


def sweep(seeds: int = 40, shares: tuple[float, ...] = (0.5, 2.0, 8.0)) -> pl.DataFrame:
    """Runs at every fund and shape, under two policies, of which one takes twice as much."""
    chance = np.random.default_rng(3).lognormal(size=seeds)
    rows = []
    for point, (share, shape) in enumerate((a, b) for a in shares for b in SHAPES):
        for seed in range(seeds):
            needed = int(1e6 * chance[seed]) * (2 if shape == "pareto" else 1)
            deficit = max(0, needed - int(share * 1e6))
            for policy, factor in (("first", 1), ("second", 2)):
                row: dict[str, Any] = {"point": point, "fund.share": share, "book.shape": shape}
                row |= {"seed": seed + 1, "feedback": "all", "policy": policy}
                row |= {"deficit": deficit, "seized": factor * deficit, "fund_needed": needed, "ok": True}
                row |= {"gini": chance[seed] if deficit else None}
                rows.append(row)
    return pl.DataFrame(rows, infer_schema_length=None)


RUNS = sweep()
ALL: list[Callable[..., pl.DataFrame]] = [
    answers.distributions,
    answers.differences,
    answers.fund_for,
    answers.importance,
    answers.effects,
]


# ---------------------------------------------------------------------- bands


def test_student_is_the_table_of_every_textbook() -> None:
    table = {1: 12.706, 2: 4.303, 4: 2.776, 10: 2.228, 30: 2.042, 120: 1.980, 10**6: 1.960}
    assert {freedom: round(student(freedom), 3) for freedom in table} == table


def test_wilsons_band_is_that_of_his_formula_and_stays_a_probability() -> None:
    assert wilson(3, 10) == pytest.approx((0.10779, 0.60322), abs=1e-5)
    assert wilson(0, 50) == pytest.approx((0.0, 0.07135), abs=1e-5)
    assert wilson(50, 50) == pytest.approx((0.92865, 1.0), abs=1e-5)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.25, 0.5, 0.95])
@pytest.mark.parametrize("n", [1, 5, 6, 20, 60, 73, 74, 400])
def test_values_of_an_order_bound_a_quantile_as_often_as_promised_and_no_tighter_ones_do(
    n: int, share: float
) -> None:
    def at_most(k: int) -> float:
        return sum(comb(n, below) * share**below * (1 - share) ** (n - below) for below in range(k + 1))

    low, high = order_band(n, share)
    # the value at place `low` is above the quantile if at most `low` values are below it
    assert at_most(0 if low is None else low + 1) > 0.025
    assert low is None or at_most(low) <= 0.025
    # the value at place `high` is below the quantile if more than `high` values are
    assert high is None or 1 - at_most(high) <= 0.025
    assert 1 - at_most((n if high is None else high) - 1) > 0.025


def test_bands_of_means_and_quantiles_hold_the_truth_in_some_95_of_100_sweeps() -> None:
    random = np.random.default_rng(8)
    sweeps, seeds = 400, 40
    drawn = random.exponential(size=(sweeps, seeds))
    frame = pl.DataFrame({
        "point": np.repeat(np.arange(sweeps), seeds), "seed": np.tile(np.arange(seeds), sweeps),
        "feedback": "all", "policy": "one", "y": drawn.ravel(), "normal": random.normal(size=drawn.size),
    })  # fmt: skip
    told = answers.distributions(frame, [])

    def held(measure: str, column: str, truth: float) -> float:
        mine = told.filter(measure=measure)
        return float(((mine[f"{column}_low"] <= truth) & (mine[f"{column}_high"] >= truth)).mean())

    assert 0.92 < held("normal", "mean", 0.0) < 0.98
    assert 0.88 < held("y", "mean", 1.0) < 0.98
    assert 0.93 < held("y", "q50", float(np.log(2))) <= 1.0
    assert 0.93 < held("y", "q25", float(np.log(4 / 3))) <= 1.0


def test_a_band_over_seeds_and_drawn_points_counts_both_as_samples() -> None:
    random = np.random.default_rng(4)

    def held(grid: bool, varied: bool) -> float:
        hits = 0
        for _ in range(300):
            points = random.normal(size=(12, 1)) * varied
            cells = points + random.normal(size=(1, 15)) + 0.3 * random.normal(size=(12, 15))
            hits += abs(cells.mean()) <= (crossed_reach(cells, grid) or 0.0)
        return hits / 300

    assert held(grid=False, varied=True) > 0.92
    assert held(grid=True, varied=False) > 0.9
    assert held(grid=True, varied=True) < 0.9
    assert crossed_reach(np.ones((3, 1)), grid=True) is None


# ---------------------------------------------------------------------- distributions, differences


def test_a_distribution_is_that_of_the_seeds_of_a_point_and_policy() -> None:
    told = answers.distributions(RUNS, PARAMETERS)
    assert len(told) == (6 + 1) * 2 * 4
    mine = pl.col("point").eq(1) & pl.col("policy").eq("second")
    values = RUNS.filter(mine)["seized"].to_numpy()
    (row,) = told.filter(mine & pl.col("measure").eq("seized")).to_dicts()
    assert (row["fund.share"], row["book.shape"], row["n"], row["nulls"]) == (0.5, "pareto", 40, 0)
    assert row["mean"] == pytest.approx(values.mean())
    reach = student(39) * values.std(ddof=1) / 40**0.5
    assert row["mean_high"] - row["mean"] == pytest.approx(reach)
    assert row["mean"] - row["mean_low"] == pytest.approx(reach)
    assert (row["least"], row["most"]) == (values.min(), values.max())
    for share in answers.QUANTILES:
        assert row[f"q{round(100 * share):02d}"] == np.quantile(values, share, method="inverted_cdf")


def test_what_a_measure_does_not_say_is_counted_and_left_out() -> None:
    told = answers.distributions(RUNS, PARAMETERS).filter(measure="gini", point=4, policy="first")
    silent = RUNS.filter(point=4, policy="first")["gini"].null_count()
    assert 0 < silent < 40
    assert told.select("n", "nulls").row(0) == (40 - silent, silent)


def test_few_seeds_say_little_and_one_says_nothing_of_chance() -> None:
    few = answers.distributions(sweep(seeds=5), PARAMETERS).filter(
        measure="fund_needed", point=0, policy="first"
    )
    assert few["q50"].null_count() == 0
    assert few.select("q05", "q95", "q50_low", "q50_high").row(0) == (None,) * 4
    one = answers.distributions(sweep(seeds=1), PARAMETERS)
    assert one["mean"].null_count() == (one["n"] == 0).sum()
    single = one.filter(pl.col("point").is_not_null())
    assert single["mean_low"].null_count() == len(single)


def test_differences_are_taken_seed_by_seed() -> None:
    apart = answers.differences(RUNS, PARAMETERS).filter(measure="seized", point=0)
    assert apart.select("policy", "against", "n").row(0) == ("first", "second", 40)
    deficit = RUNS.filter(point=0, policy="first")["deficit"]
    assert apart["mean"].item() == pytest.approx(-deficit.mean())
    assert apart.select("less", "more").row(0) == ((deficit > 0).mean(), 0.0)
    equal = answers.differences(RUNS, PARAMETERS).filter(measure="deficit")
    assert (equal.select("mean", "mean_low", "mean_high", "less", "more") == 0).to_numpy().all()


# ---------------------------------------------------------------------- the fund


@pytest.mark.parametrize("seeds", [1, 19, 20, 40, 100])
def test_the_fund_is_the_least_that_was_found_with_which_so_few_seeds_deleverage(seeds: int) -> None:
    runs = sweep(seeds=seeds)
    needed = runs.filter(point=2, policy="first")["fund_needed"].to_numpy()
    for row in (
        answers.fund_for(runs, PARAMETERS, (0.5, 0.29, 0.05, 0.01)).filter(point=2).iter_rows(named=True)
    ):
        probability, cash = row["probability"], row["cash"]
        if probability * seeds < 1 - 1e-9:
            assert cash is None
            continue
        assert (needed > cash).mean() <= probability + 1e-12
        assert (needed > cash - 1).mean() > probability - 1e-12
        for edge in (row["cash_low"], row["cash_high"]):
            assert edge is None or edge in needed
        assert (row["cash_low"] or 0) <= cash <= (row["cash_high"] or cash)


def test_the_fund_as_it_was_is_seen_to_fail_in_the_seeds_that_left_something_to_others() -> None:
    told = answers.fund_for(RUNS, PARAMETERS)
    assert len(told) == 6 * 4
    for (point,), mine in told.group_by("point"):
        hits = int((RUNS.filter(point=point, policy="first")["deficit"] > 0).sum())
        assert mine["seeds"].unique().to_list() == [40]
        assert mine["observed"].unique().to_list() == [hits / 40]
        assert mine.select("observed_low", "observed_high").unique().row(0) == pytest.approx(wilson(hits, 40))


def test_seeds_whose_fund_is_unknown_are_left_out() -> None:
    cut = RUNS.with_columns(fund_needed=pl.when(pl.col("seed") == 1).then("fund_needed"))
    assert answers.fund_for(cut, PARAMETERS)["seeds"].unique().to_list() == [1]
    none = answers.fund_for(RUNS.with_columns(fund_needed=pl.lit(None, pl.Int64)), PARAMETERS)
    assert none["observed"].null_count() == none["cash_low"].null_count() == len(none)


# ---------------------------------------------------------------------- shares of variance


def ishigami(x: Any) -> Any:
    """Ishigami and Homma 1990, with their 7 and 0.1."""
    return np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])


ALONE = {"a": 0.3139, "b": 0.4424, "c": 0.0}
TOTAL = {"a": 0.5576, "b": 0.4424, "c": 0.2437}


def of_ishigami(points: Any) -> dict[str, Share]:
    named = {name: points[:, at] for at, name in enumerate("abc")}
    return shares(ishigami(points)[:, None, None], Design.of(named))


def test_drawn_points_give_the_first_order_indices_of_the_ishigami_function() -> None:
    found = of_ishigami(np.random.default_rng(0).uniform(-np.pi, np.pi, (4000, 3)))
    for name, share in found.items():
        assert share.alone[0] == pytest.approx(ALONE[name], abs=0.04)
        assert share.alone[1] <= ALONE[name] + 0.01
        assert share.alone[2] >= ALONE[name] - 0.01
        assert np.isnan(share.total).all()


def test_a_full_grid_gives_all_indices_of_the_ishigami_function() -> None:
    axis = (np.arange(40) + 0.5) / 40 * 2 * np.pi - np.pi
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    found = of_ishigami(np.random.default_rng(1).permutation(grid))
    assert {name: share.alone[0] for name, share in found.items()} == pytest.approx(ALONE, abs=2e-3)
    assert {name: share.total[0] for name, share in found.items()} == pytest.approx(TOTAL, abs=2e-3)


#: Parts of the variance of `mixed`: 1 of x, ¼ of z, 1 of the seed, ¼ of x with the seed, ¼ of the policy.
MIXED_ALONE = {"x": 4 / 11, "z": 1 / 11, "policy": 1 / 11, "seed": 4 / 11}
MIXED_TOTAL = {"x": 5 / 11, "z": 1 / 11, "policy": 1 / 11, "seed": 5 / 11}


def mixed(random: np.random.Generator, seeds: int, drawn: int | None) -> tuple[Any, Design]:
    """Two parameters of variance 1, one of them stronger with some seeds than with others."""
    if drawn:
        x, z = random.uniform(-(3**0.5), 3**0.5, (2, drawn))
    else:
        level = np.array([-1.0, 0.0, 1.0]) * 1.5**0.5
        x, z = (axis.ravel() for axis in np.meshgrid(level, level))
    of_seed, of_policy = random.normal(size=seeds), np.array([-0.5, 0.5])
    measured = (x + 0.5 * z)[:, None, None] + of_policy[:, None] + of_seed + 0.5 * x[:, None, None] * of_seed
    return measured, Design.of({"x": x, "z": z})


@pytest.mark.parametrize(("seeds", "drawn"), [(40, None), (40, 50)])
def test_shares_are_right_on_average_and_bands_hold_them_in_some_95_of_100_sweeps(
    seeds: int, drawn: int | None
) -> None:
    random, many = np.random.default_rng(2), 100
    found = [shares(*mixed(random, seeds, drawn)) for _ in range(many)]
    for name, truth in MIXED_ALONE.items():
        alone = np.array([each[name].alone for each in found])
        assert alone[:, 0].mean() == pytest.approx(truth, abs=0.02), name
        assert np.mean((alone[:, 1] <= truth) & (truth <= alone[:, 2])) > 0.89, name
    for name, truth in MIXED_TOTAL.items():
        total = np.array([each[name].total for each in found])
        if drawn and name in "xz":
            assert np.isnan(total).all()
        else:
            assert total[:, 0].mean() == pytest.approx(truth, abs=0.02), name
            assert np.mean((total[:, 1] <= truth) & (truth <= total[:, 2])) > 0.89, name


def test_chance_alone_explains_nothing_on_average() -> None:
    random = np.random.default_rng(6)
    idle = []
    for _ in range(100):
        design = Design.of({"idle": random.uniform(size=30)})
        idle.append(shares(random.normal(size=(30, 1, 4)), design)["idle"].alone)
    assert 0.35 < np.mean([share == 0.0 for share, *_ in idle]) < 0.65  # cut there, half of the estimates
    assert np.mean([low == 0.0 for _, low, _ in idle]) > 0.93


def test_factors_are_ranked_and_one_that_does_nothing_is_last() -> None:
    whole = answers.importance(RUNS, PARAMETERS).filter(
        pl.col("policy").is_null() & (pl.col("measure") == "seized")
    )
    assert whole["rank"].to_list() == [1, 2, 3, 4]
    assert whole["alone"].is_sorted(descending=True)
    needed = answers.importance(RUNS, PARAMETERS).filter(measure="fund_needed", policy="first")
    assert needed["factor"].to_list() == ["seed", "book.shape", "fund.share"]
    assert needed["total"].to_list()[2] == 0.0
    assert needed.select("points", "seeds").unique().row(0) == (6, 40)


def test_nothing_is_said_of_a_measure_that_mostly_says_nothing_or_never_varies() -> None:
    rare = answers.importance(RUNS, PARAMETERS).filter(measure="gini")
    flat = answers.importance(RUNS.with_columns(seized=pl.lit(0.1)), PARAMETERS).filter(measure="seized")
    for told in (rare, flat):
        assert len(told) > 0
        assert told["alone"].null_count() == told["total"].null_count() == len(told)


def test_an_interrupted_sweep_answers_from_the_seeds_that_ran_everywhere() -> None:
    cut = RUNS.filter((pl.col("seed") <= 30) | (pl.col("point") < 2))
    whole = RUNS.filter(pl.col("seed") <= 30)
    told = answers.importance(cut, PARAMETERS).filter(measure="deficit")
    assert told.equals(answers.importance(whole, PARAMETERS).filter(measure="deficit"))
    some = answers.importance(RUNS.filter(pl.col("point") < 4), PARAMETERS)
    assert some["points"].max() == 4


def test_the_largest_block_of_points_and_seeds_that_ran_is_taken() -> None:
    there = np.array([[1, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 1]], np.bool_)
    points, seeds = block(there)
    assert (points.tolist(), seeds.tolist()) == ([0, 1], [0, 1, 2])


# ---------------------------------------------------------------------- effects


def test_an_effect_is_the_mean_over_seeds_and_other_parameters() -> None:
    told = answers.effects(RUNS, PARAMETERS).filter(measure="seized", policy="second")
    funds = told.filter(parameter="fund.share")
    assert funds.select("value", "at").rows() == [("0.5", 0.5), ("2", 2.0), ("8", 8.0)]
    mine = RUNS.filter(policy="second").group_by("fund.share").agg(pl.col("seized").mean()).sort("fund.share")
    assert funds["mean"].to_list() == pytest.approx(mine["seized"].to_list())
    assert funds["n"].to_list() == [80, 80, 80]
    by_seed = RUNS.filter(policy="second").filter(pl.col("fund.share") == 2).group_by("seed").agg("seized")
    means = by_seed["seized"].list.mean().to_numpy()
    reach = student(39) * means.std(ddof=1) / 40**0.5
    assert funds["mean_high"][1] - funds["mean"][1] == pytest.approx(reach)
    shapes = told.filter(parameter="book.shape")
    assert shapes.select("value", "at", "from").rows() == [("flat", None, None), ("pareto", None, None)]


def test_drawn_values_are_told_of_in_classes_of_as_many_points() -> None:
    x = np.random.default_rng(9).uniform(size=60)
    frame = pl.DataFrame(
        {"point": range(60), "x": x, "seed": 1, "feedback": "off", "policy": "one", "y": 3 * x}
    )
    told = answers.effects(frame, ["x"])
    assert told["n"].sum() == 60
    assert told["n"].max() - told["n"].min() <= 1
    assert told["mean"].to_list() == pytest.approx((3 * told["at"]).to_list())
    assert told.select((pl.col("from").shift(-1) > pl.col("to")).all()).item()


# ---------------------------------------------------------------------- all of them


@pytest.mark.parametrize("answer", ALL, ids=lambda answer: answer.__name__)
def test_answers_do_not_depend_on_the_order_of_rows(answer: Callable[..., pl.DataFrame]) -> None:
    mixed_up = RUNS.sample(fraction=1.0, shuffle=True, seed=1)
    assert answer(mixed_up, PARAMETERS).equals(answer(RUNS, PARAMETERS), null_equal=True)


@pytest.mark.parametrize("answer", ALL, ids=lambda answer: answer.__name__)
def test_a_sweep_of_nothing_has_the_same_columns(answer: Callable[..., pl.DataFrame]) -> None:
    empty, told = answer(RUNS.head(0), PARAMETERS), answer(RUNS, PARAMETERS)
    assert empty.is_empty()
    assert empty.schema == told.schema
    assert answer(RUNS.drop("gini").filter(point=0), []).schema.names()


def test_probabilities_are_rounded_as_written() -> None:
    assert floor(0.29 * 100) == 28
    runs = sweep(seeds=100)
    (cash,) = answers.fund_for(runs, PARAMETERS, (0.29,)).filter(point=0)["cash"]
    assert (runs.filter(point=0, policy="first")["fund_needed"] > cash).sum() == 29


def test_what_has_no_bound_has_an_order_but_no_mean() -> None:
    endless = RUNS.with_columns(seized=pl.when(pl.col("seed") < 4).then(float("inf")).otherwise("seized"))
    (row,) = (
        answers.distributions(endless, PARAMETERS)
        .filter(measure="seized", point=0, policy="first")
        .to_dicts()
    )
    assert (row["mean"], row["mean_low"], row["most"], row["n"]) == (None, None, float("inf"), 40)
    assert row["q50"] < float("inf")
    assert answers.effects(endless, PARAMETERS).filter(measure="seized")["mean"].null_count() == 2 * 5
    shared = answers.importance(endless, PARAMETERS).filter(measure="seized")
    assert shared["seeds"].unique().to_list() == [37]
    apart = answers.differences(endless, PARAMETERS).filter(measure="seized", point=0)
    assert apart["n"].item() == 37


def test_all_points_together_are_told_of_last_with_a_band_that_knows_a_grid_is_no_sample() -> None:
    told = answers.distributions(RUNS, PARAMETERS).filter(
        pl.col("point").is_null(), measure="seized", policy="first"
    )
    values = RUNS.filter(policy="first")
    assert told["n"].item() == 240
    assert told["mean"].item() == pytest.approx(values["seized"].mean())
    by_seed = values.group_by("seed").agg(pl.col("seized").mean())["seized"].to_numpy()
    assert told["mean_high"].item() - told["mean"].item() == pytest.approx(
        student(39) * by_seed.std(ddof=1) / 40**0.5
    )
    assert told["q50_low"].item() is None


# ---------------------------------------------------------------------- the same, the obvious way


def pairs_mean(cells: Any, grid: bool) -> float:
    """Mean product of two cells of different seeds, and of different points if these are drawn."""
    points, seeds = cells.shape
    found = [
        cells[p, s] * cells[q, t]
        for p in range(points)
        for q in range(points)
        for s in range(seeds)
        for t in range(seeds)
        if (grid or p != q) and s != t
    ]
    return float(np.mean(found))


@pytest.mark.parametrize("grid", [True, False])
def test_shares_are_those_of_a_plain_sum_over_pairs(grid: bool) -> None:
    random = np.random.default_rng(13)
    level = np.array([0, 0, 1, 1, 2, 2]) if grid else np.array([0, 1, 1, 1, 2, 2])
    other = np.array([0, 1, 0, 1, 0, 1]) if grid else np.array([0, 1, 1, 2, 2, 2])
    design = Design({"x": level, "z": other}, grid)
    measured = random.normal(size=(6, 2, 4)) + (2 * level * level)[:, None, None] + 3 * random.normal(size=4)
    found = shares(measured, design)

    y = measured - measured.mean()
    mean = y.mean(axis=1)
    centre = pairs_mean(mean, grid)
    variance = np.mean(y * y) - centre
    classes = [(mean[level == at], np.sum(level == at)) for at in range(3)]
    told = [(cells, size) for cells, size in classes if grid or size > 1]
    between = sum(size * pairs_mean(cells, grid) for cells, size in told) / sum(size for _, size in told)
    assert found["x"].alone[0] == pytest.approx(max(0.0, (between - centre) / variance))
    policy = np.mean([pairs_mean(y[:, at], grid) for at in range(2)])
    assert found["policy"].alone[0] == pytest.approx(max(0.0, (policy - centre) / variance), abs=1e-9)
    of_seed = [
        np.mean([mean[p, s] * mean[q, s] for p in range(6) for q in range(6) if grid or p != q])
        for s in range(4)
    ]
    assert found["seed"].alone[0] == pytest.approx(max(0.0, (np.mean(of_seed) - centre) / variance))
    assert found["seed"].total[0] == pytest.approx(np.var(y, axis=2, ddof=1).mean() / variance)
    if grid:
        within = [np.var([y[2 * at + z] for at in range(3)], axis=0).mean() for z in range(2)]
        assert found["x"].total[0] == pytest.approx(np.mean(within) / variance)


def test_a_fund_fails_if_it_leaves_something_to_others_under_any_policy() -> None:
    spared = RUNS.with_columns(deficit=pl.when(pl.col("policy") == "second").then("deficit").otherwise(0))
    assert answers.fund_for(spared, PARAMETERS).equals(answers.fund_for(RUNS, PARAMETERS))
