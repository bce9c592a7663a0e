"""A sweep on a terminal and as a page: what it says is what was run, and every chart has marks."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fastadl.errors import InputError
from fastadl.stress import EXPLAINED, Experiment
from fastadl.sweep import Sweep, SweepResult, Trial

pytest.importorskip("rich")
pytest.importorskip("altair")
from rich.console import Console

from chromium import opened
from fastadl.report import sweep_words as words
from fastadl.report.measures import GROUPS, MEASURES
from fastadl.report.page import html_sweep, write_sweep
from fastadl.report.page.sweep_sheet import in_units
from fastadl.report.sweep import _box, show

HOSTILE = "</script><b>&\"'\\"
TABLES: dict[str, Any] = {"book": {"positions": 1000, "instruments": 2}, "scenario": "flash-crash"}


def swept(*, seeds: int = 30, policies: Any = ("bitmex", "pro_rata"), **how: Any) -> SweepResult:
    """A result as a sweep gives it, of made-up runs: the second policy takes twice as much as the first."""
    feedback = how.pop("feedback", ["all"])
    sweep = Sweep({**TABLES, "policies": policies, "feedback": feedback}, seeds=seeds, **how)
    random = np.random.default_rng(11)
    needed = random.lognormal(12, 0.6, len(sweep.trials)) * 1e6
    rows = []
    for (point, seed), cash in zip(sweep.trials, needed, strict=True):
        values = sweep.points[point]
        share = float(values.get("fund.share", 0.1))
        deficit = max(0, int(cash - 1e12 * share))
        for kind in sweep.experiment.feedback:
            for at, policy in enumerate(sweep.experiment.policies, 1):
                row: dict[str, Any] = {
                    "point": point,
                    **values,
                    "seed": seed,
                    "feedback": kind,
                    "policy": policy,
                }
                row |= {name: float(random.uniform()) for name in EXPLAINED}
                row |= {"deficit": deficit, "seized": at * deficit, "fund_needed": int(cash)}
                row |= {"deleveraged": 100 * at * (deficit > 0), "gini": 0.5 if deficit else None}
                row |= {"uncovered": 0, "fund_lowest": -deficit, "ok": True, "finished": True}
                rows.append(row)
    runs = pl.DataFrame(rows, infer_schema_length=None)
    numbers = [name for name in sweep.vary if name in ("fund.share", "fund.cash")]
    return SweepResult(sweep, runs.with_columns(pl.col(numbers).cast(pl.Float64)), {}, 12.0)


ONE = swept()
GRID = swept(vary={"fund.share": ["0.05", "0.2", "0.8"], "book.shape": ["pareto", "whale"]})
DRAWN = swept(seeds=8, vary={"fund.share": {"low": 0.01, "high": 1, "log": True}}, points=24)
SINGLE = swept(seeds=1, policies=("bitmex",))
TWICE = swept(seeds=12, feedback=["off", "all"])
HARMLESS = swept(vary={"fund.share": ["99"]})
RESULTS = {"one": ONE, "grid": GRID, "drawn": DRAWN, "single": SINGLE, "twice": TWICE, "harmless": HARMLESS}


def printed(result: SweepResult, width: int = 80) -> str:
    out = io.StringIO()
    show(result, Console(file=out, width=width))
    return out.getvalue()


# ---------------------------------------------------------------------- words


def test_every_measure_of_a_run_has_a_name() -> None:
    assert MEASURES.keys() == EXPLAINED.keys()
    assert sum(map(len, GROUPS.values())) == len(MEASURES)


def test_the_headline_says_how_often_it_happens_and_what_would_make_it_rarer() -> None:
    often = ONE.runs.filter(pl.col("deficit") > 0)["seed"].n_unique() / 30
    cash = ONE.fund.filter(probability=0.05)["cash"].item()
    said = words.headline(ONE)
    assert words.percent(often) in said
    assert words.amount(cash) in said
    assert said.endswith("5%")
    assert words.headline(HARMLESS) == "In none of 30 crashes is anybody deleveraged"


def test_the_headline_of_several_points_names_the_parameter_that_matters_most() -> None:
    assert words.headline(GRID).endswith(
        "; for how large they are, of the parameters, fund.share matters most"
    )
    assert words.parameter_of_most(GRID, "all", "deficit") == "fund.share"
    assert words.parameter_of_most(ONE, "all", "deficit") is None


@pytest.mark.parametrize(
    ("alone", "low", "end"),
    [
        (0.017, 0.01, "% of crashes"),
        (0.12, 0.0, "% of crashes"),
        (0.12, 0.05, "of the parameters, fund.share matters most, and chance more"),
    ],
)
def test_a_parameter_matters_where_it_surely_explains_a_good_part(alone: float, low: float, end: str) -> None:
    result = replace(GRID)
    of_chance = pl.col("factor") == "seed"
    shares = [
        pl.when(of_chance).then(0.8).otherwise(alone).alias("alone"),
        pl.when(of_chance).then(0.7).otherwise(low).alias("alone_low"),
    ]
    told = GRID.importance.filter(pl.col("factor").is_in(["seed", "fund.share"])).with_columns(shares)
    result.__dict__["importance"] = told.sort("alone", descending=True, maintain_order=True)
    assert words.headline(result).endswith(end)


def test_headline_and_cards_say_which_kind_of_feedback_they_are_of() -> None:
    assert words.headline(TWICE).startswith("Where nobody's orders move later prices, losses reach")
    page = html_sweep(TWICE)
    said = "Later prices moved by nobody&#x27;s orders; what else was run is further down."
    assert said in page[: page.index('class="cards"')]
    assert words.told_of(ONE) == ""


def test_too_few_seeds_are_told_how_many_it_takes() -> None:
    assert list(words.fund_said(ONE, "all"))[-1] == "30 seeds cannot tell of 1%: that takes 100."
    assert list(words.fund_said(SINGLE, "all"))[-1] == "1 seed cannot tell of 50% or less: 1% takes 100."


def test_a_fund_without_a_band_says_that_it_has_none() -> None:
    few = swept(seeds=3)
    (said,) = (line for line in words.fund_said(few, "all") if line.startswith("For 50%"))
    assert said.endswith("USD (too few seeds for a band).")
    assert not any("too few" in line for line in words.fund_said(ONE, "all") if line.startswith("For 50%"))


def test_the_policy_that_takes_the_least_is_told_how_often_it_does() -> None:
    said = dict(words.policies_said(ONE, "all"))
    crashes = ONE.runs.filter(pl.col("deficit") > 0)["seed"].n_unique()
    assert said["bitmex"].endswith(f"in {crashes} of {crashes} crashes with anything to take.")
    assert said["pro_rata"].endswith(f"in 0 of {crashes} crashes with anything to take.")
    assert dict(words.policies_said(HARMLESS, "all"))["bitmex"] == "nobody had to be deleveraged."


def test_what_is_missing_is_said() -> None:
    cut = replace(ONE, runs=ONE.runs.filter(pl.col("seed") < 20), lost={Trial(0, 21): "killed three times"})
    said = words.state(cut)
    assert "19 of 30 trials are done" in said
    assert "seed 21 of point 0: killed three times" in said
    assert said in " ".join(printed(cut, 200).split())
    assert "killed three times" in html_sweep(cut)
    assert words.state(ONE) == ""


def test_a_broken_law_is_not_passed_over() -> None:
    broken = replace(ONE, runs=ONE.runs.with_columns(ok=pl.col("seed") > 1))
    assert "conservation law" in printed(broken)
    assert "do not trust these numbers" in html_sweep(broken)


# ---------------------------------------------------------------------- terminal


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("width", [80, 120])
def test_a_terminal_shows_every_policy_and_no_line_is_too_long(name: str, width: int) -> None:
    result = RESULTS[name]
    text = printed(result, width)
    assert max(map(len, text.splitlines())) <= width
    for policy in result.sweep.experiment.policies:
        assert policy in text
    for parameter in result.parameters:
        assert parameter in text
    assert "nan" not in text
    assert "None" not in text


def test_means_and_bands_of_a_terminal_are_those_of_the_frame() -> None:
    (row,) = ONE.distributions.filter(measure="seized", policy="pro_rata").to_dicts()
    shown = MEASURES["seized"].shown
    assert f"{shown(row['mean_low'])} to {shown(row['mean_high'])}" in printed(ONE)


# ---------------------------------------------------------------------- page


@pytest.mark.parametrize("name", RESULTS)
def test_every_chart_of_a_page_has_marks_and_nothing_is_loaded_or_complained_of(
    name: str, tmp_path: Path
) -> None:
    page = html_sweep(RESULTS[name])
    seen = opened(page, tmp_path)
    assert seen["console"] == []
    assert seen["requests"] == []
    assert [each["title"] for each in seen["figures"] if not each["marks"]] == []
    assert len(seen["figures"]) >= {"single": 0, "harmless": 1}.get(name, 7)
    assert seen["width"] <= seen["window"]
    assert len(page) < 2_000_000


def test_a_page_fits_a_phone_and_is_dark_where_people_want_it(tmp_path: Path) -> None:
    page = html_sweep(GRID)
    phone = opened(page, tmp_path, width=390, dark=True)
    assert phone["width"] <= 390
    assert phone["console"] == []
    assert phone["page"] != opened(page, tmp_path)["page"]


def test_names_of_policies_cannot_end_a_script(tmp_path: Path) -> None:
    page = html_sweep(
        swept(policies={HOSTILE: "bitmex", "plain": "pro_rata"}, vary={"book.shape": ["whale", "retail"]})
    )
    seen = opened(page, tmp_path)
    assert seen["console"] == []
    assert HOSTILE in seen["text"]
    assert all(each["marks"] for each in seen["figures"])


def test_the_page_holds_what_runs_it_again() -> None:
    page = html_sweep(GRID)
    assert "fastadl stress sweep.toml" in page
    assert GRID.sweep.to_toml().split("\n")[0] in page
    worst = GRID.runs.sort("deficit", descending=True).row(0, named=True)
    assert f"seed {worst['seed']} at {words.where(worst, GRID.parameters)}" in page
    alone = Experiment.of({**GRID.sweep.experiments[worst["point"]].to_dict(), "seeds": [worst["seed"]]})
    assert f"seeds = [{worst['seed']}]" in alone.to_toml()
    assert f"seeds = [{worst['seed']}]" in page


def test_a_band_ends_at_zero_for_what_is_never_negative() -> None:
    low = {"mean": 2.0, "mean_low": -5.0, "mean_high": 9.0}
    assert words.band({**low, "measure": "deleveraged"}, "mean", str) == "0.0 to 9.0"
    assert words.band({**low, "measure": "added_by_adl"}, "mean", str) == "-5.0 to 9.0"
    assert words.band({**low, "mean_low": None}, "mean", str) == "at most 9.0"
    assert words.band({**low, "mean_high": None}, "mean", str) == "at least -5.0"
    frame = pl.DataFrame({name: [1e6 * value] for name, value in low.items()})
    assert in_units(frame, MEASURES["seized"]).row(0) == (2.0, 0.0, 9.0)
    assert in_units(frame, MEASURES["fund_lowest"]).row(0) == (2.0, -5.0, 9.0)


def test_points_that_need_the_same_fund_share_a_curve_that_says_what_sets_it_apart() -> None:
    by_shape = pl.col("seed") * 10**11 * pl.when(pl.col("book.shape") == "whale").then(2).otherwise(1)
    page = html_sweep(replace(GRID, runs=GRID.runs.with_columns(fund_needed=by_shape)))
    fund = page[page.index("how often it would not be enough") :].partition("</figure>")[0]
    assert fund.partition("<script")[0].count("<li>") == 2
    assert "book.shape whale" in fund
    assert "fund.share" not in fund


def test_a_box_plot_of_letters_holds_every_part_where_it_lies() -> None:
    assert _box([0, 2, 4, 6, 9], 12) == "──━━┃━━───  "
    assert _box([3, 3, 3, 3, 3], 5) == "   ┃ "


def test_of_many_points_a_page_and_the_object_for_machines_hold_no_more_than_of_few(tmp_path: Path) -> None:
    share = {"fund.share": {"low": 0.01, "high": 1, "log": True}}
    many = swept(seeds=20, policies="bitmex", vary=share, points=60)
    page = html_sweep(many)
    fund = page[page.index("how often it would not be enough") :]
    assert "30 of 60 lines, one for each point, from the least cash to the most" in fund
    drawn = json.loads(fund[fund.index("{") :].partition("</script>")[0])
    (curves,) = (rows for rows in drawn["datasets"].values() if "strength" in rows[0])
    cash = many.fund.filter(probability=0.5)["cash"]
    assert len({row["where"] for row in curves}) == 30
    assert "50 of 60 points" in page
    assert page.count("it happens") == 1
    assert page[page.index("it happens") :].partition("</table>")[0].count("<tr") == 51
    told = many.to_dict()
    for name in ("distributions", "differences"):
        assert {row["point"] for row in told[name]} <= {None}
        assert len(told[name]) == getattr(many, name)["point"].null_count()
    of_half = [row["cash"] for row in told["fund"] if row["probability"] == 0.5]
    assert (min(of_half), max(of_half)) == (cash.min(), cash.max())
    assert {row["observed"] for row in told["fund"]} >= {
        many.fund["observed"].min(),
        many.fund["observed"].max(),
    }
    assert len(told["fund"]) <= 40
    assert GRID.to_dict()["fund"] == GRID.fund.to_dicts()


def test_values_of_parameters_are_told_apart_and_have_no_exponents() -> None:
    cash = [30000, 123456, 123457, 20_000_000]
    result = swept(seeds=4, policies="bitmex", vary={"fund.cash": cash})
    text = printed(result, 120)
    page = html_sweep(result)
    for each in cash:
        assert re.search(rf"\b{each}\b", text)
        assert f"fund.cash {each}<" in page
    assert result.effects["value"].unique().sort().to_list() == sorted(map(str, cash))
    assert not re.search(r"\de\+\d", text)


def test_best_and_worst_are_marked_only_where_it_is_sure() -> None:
    page = html_sweep(ONE)
    row = page[page.index("Taken from traders, USD<small>") :].partition("</tr>")[0]
    assert row.count('class="best"') == row.count('class="worst"') == 1
    assert row.index('class="best"') < row.index('class="worst"')
    seen = set()
    for measure in (each for each in MEASURES.values() if each.better):
        (apart,) = ONE.differences.filter(measure=measure.column).to_dicts()
        sure = apart["mean_low"] > 0 or apart["mean_high"] < 0
        row = page[page.index(f"{measure.words}<small>") :].partition("</tr>")[0]
        assert (row.count('class="best"'), row.count('class="worst"')) == (sure, sure), measure
        seen.add(sure)
    assert seen == {True, False}


def test_a_page_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="html"):
        write_sweep(SINGLE, tmp_path / "no such folder" / "sweep.html")
    assert list(tmp_path.iterdir()) == []
