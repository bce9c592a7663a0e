"""Policies side by side: what was taken and from whom, the fund that was needed, what orders did."""

from __future__ import annotations

import io
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import polars as pl
import pytest

import fastadl as fa
from fastadl import metrics, stress
from fastadl.decimals import plain
from fastadl.stress import EXPLAINED, Experiment
from fastadl.stress.compare import PROBABILITIES, fund_quantiles
from fastadl.stress.lab import Ground
from fastadl.stress.payers import MEASURED, Holders, Ledger
from fastadl.sweep.answers import fund_for

SMALL = {"positions": 3000, "instruments": 5}
THREE = ("bitmex", "hyperliquid_2025", "vega")


@pytest.fixture(scope="module")
def three() -> stress.StressResult:
    return Experiment(book=SMALL, scenario="flash-crash", policies=THREE).run()


def test_what_deleveraging_took_is_what_the_fills_say() -> None:
    """Step by step with the metrics' own arithmetic."""
    experiment = Experiment(book=SMALL, scenario="flash-crash", policies="bitmex", feedback="off")
    ground = Ground.of(experiment, 1)
    engine = fa.Engine(ground.book, policy="bitmex", fund=ground.fund)
    ledger, seized, lots = Ledger(len(engine.accounts)), np.zeros(len(engine.accounts)), 0
    tilted = np.zeros(len(engine.accounts))
    code = {name: i for i, name in enumerate(engine.accounts)}
    for marks in ground.course.marks:
        before = engine.copy()
        before.mark(marks)
        report = engine.tick(marks)
        told = ledger.add(engine, report, 0)
        assert told["seized"] == pytest.approx(
            metrics.forgone(report, engine)["cost"].clip(0).sum(), abs=1000
        )
        for account, cost, here, _ in metrics.forgone(report, engine).iter_rows():
            seized[code[account]] += max(cost, 0)
            lots += here
        unit = dict(zip(engine.symbols, engine.unit_values, strict=True))
        for fill in report.adl_fills.iter_rows(named=True):
            sign = 1 if fill["side"] == "short" else -1
            tilted[code[fill["counterparty"]]] += sign * fill["lots"] * unit[fill["symbol"]]
        borne = metrics.burdens(report, before)
        for account, profit, equity in borne.select("account", "profit", "equity").iter_rows():
            i = code[account]
            if report.adl_fills.height and profit > 0 and equity > 0:
                assert ledger.profit[i] >= profit * (1 - 1e-9) - 2
                assert ledger.equity[i] >= equity * (1 - 1e-9) - 2
    assert lots > 0
    assert np.allclose(ledger.tilted, tilted, rtol=1e-9, atol=1000)
    assert np.allclose(ledger.seized, seized, rtol=1e-9, atol=1000)
    assert set(np.flatnonzero(ledger.deleveraged)) == set(np.flatnonzero(ledger.closed))


def test_what_wealth_policies_charge_is_in_the_ledger(three: stress.StressResult) -> None:
    outcome = three.outcomes[2]
    charged = int(outcome.steps["socialized"].sum())
    assert charged > 0
    assert outcome.totals["seized"] == pytest.approx(charged, rel=1e-9, abs=2)
    assert three.policies["adl_value"][2] == 0


def test_payers_add_up_to_what_was_taken(three: stress.StressResult) -> None:
    for outcome, total in zip(three.outcomes, three.policies.to_dicts(), strict=True):
        mine = three.payers.filter(policy=outcome.which["policy"])
        for _, part in mine.group_by("by"):
            assert part["seized"].sum() == pytest.approx(total["seized"], rel=1e-9, abs=2)
            assert part["deleveraged"].sum() == total["deleveraged"]
            assert (part["accounts"] >= part["deleveraged"]).all()
        mine = three.steps.filter(policy=outcome.which["policy"])
        assert mine["seized"].sum() == pytest.approx(total["seized"], rel=1e-9, abs=2)
        assert (mine["adl_long"] + mine["adl_short"]).sum() == mine["adl_value"].sum() == total["adl_value"]
    assert set(three.payers["by"]) == {"leverage", "size", "profit"}


@pytest.mark.parametrize("policy", ["bitmex", "vega"])
def test_the_fund_that_was_needed_is_just_enough(policy: str) -> None:
    usual: Any = {"book": SMALL, "scenario": "flash-crash", "policies": policy}
    needed = Experiment(**usual).run().policies["fund_needed"][0]
    spared = Experiment(**usual, fund=plain(Fraction(needed, 10**6))).run()
    assert spared.policies["deleveraged"][0] == spared.policies["uncovered"][0] == 0
    assert spared.policies["fund_needed"][0] == needed
    less = Experiment(**usual, fund=plain(Fraction(needed * 999 // 1000, 10**6))).run()
    assert less.policies["deleveraged"][0] > 0


def test_fund_needed_falls_short_in_no_more_seeds_than_was_asked_for_and_is_null_where_few_cannot_say() -> (
    None
):
    needed = {(seed, "off"): cash for seed, cash in enumerate((30, 10, 40, 20))}
    found = fund_quantiles(needed)
    assert dict(zip(found["probability"], found["fund_needed"], strict=True)) == {
        0.5: 20, 0.1: None, 0.05: None, 0.01: None,
    }  # fmt: skip
    assert found["seeds"].to_list() == [4] * len(PROBABILITIES)


@pytest.mark.parametrize("seeds", [1, 7, 20, 100])
def test_a_sweep_and_a_stress_test_mean_the_same_fund(seeds: int) -> None:
    cash = np.random.default_rng(5).integers(0, 1000, seeds)
    runs = pl.DataFrame(
        {"point": 0, "seed": range(seeds), "feedback": "off", "fund_needed": cash, "deficit": 0}
    )
    swept = fund_for(runs, ()).sort("probability", descending=True)["cash"].to_list()
    alone = fund_quantiles({(seed, "off"): int(each) for seed, each in enumerate(cash)})
    assert alone["fund_needed"].to_list() == swept
    assert [each is None for each in swept] == [seeds * each < 1 for each in PROBABILITIES]


@pytest.mark.parametrize("seeds", [2, 20])
def test_a_terminal_says_which_fund_would_have_spared_everybody_with_so_many_seeds(seeds: int) -> None:
    pytest.importorskip("rich")
    pytest.importorskip("altair")
    from rich.console import Console

    from fastadl.report.columns import Column
    from fastadl.report.page.headline import numbers
    from fastadl.report.stress import show

    result = Experiment(book=SMALL, scenario="flash-crash", seeds=[1, 2]).run()
    needed = {(seed, "all"): (1 + seed) * 10**9 for seed in range(seeds)}
    out = io.StringIO()
    result = replace(result, needed=needed)
    show(result, Console(file=out, width=200))
    said = {
        2: "2.0k USD would have spared everybody with each of 2",
        20: "19.0k USD would have spared everybody in 95%",
    }
    assert said[seeds] in out.getvalue()
    cards = [cash for cash, words in numbers(result, Column.all(result)) if "spared everybody" in words]
    assert cards == [said[seeds].split()[0]]


def test_feedback_moves_the_market_on_and_says_by_whom() -> None:
    result = Experiment(
        book=SMALL, scenario="flash-crash", policies=["bitmex"], feedback=["off", "liquidations", "all"]
    ).run()
    off, some, every = result.policies.to_dicts()
    assert off["furthest"] == pytest.approx(off["furthest_path"])
    assert off["added_by_liquidations"] == off["added_by_adl"] == some["added_by_adl"] == 0.0
    assert some["added_by_liquidations"] < 0
    assert every["added_by_adl"] < 0
    assert every["furthest"] < some["furthest"] < off["furthest"]
    for row in result.steps.iter_rows(named=True):
        made = row["path"] + row["by_liquidations"] + row["by_adl"]
        assert row["market"] == pytest.approx(made, abs=1e-8)
    assert result.moves.columns == ["seed", "policy", "path", "off", "liquidations", "all"]
    assert result.moves.row(0)[2:] == (off["furthest_path"], *(row["furthest"] for row in (off, some, every)))


def test_hedged_books_are_seen_and_seen_broken() -> None:
    book = fa.synth.book("hedged", positions=2000, accounts=800, instruments=4, seed=1)
    engine = fa.Engine(book)
    engine.mark(engine.marks)
    holders = Holders.of(engine)
    rows = book.to_frames()[2].join(
        pl.DataFrame({"symbol": engine.symbols, "unit": engine.unit_values}), on="symbol"
    )
    value = pl.col("lots") * pl.col("unit")
    sums = rows.group_by("account").agg(value.abs().sum().alias("gross"), value.sum().abs().alias("net"))
    by_name = {name: (gross, net) for name, gross, net in sums.iter_rows()}
    for i, name in enumerate(engine.accounts):
        gross, net = by_name.get(name, (0.0, 0.0))
        assert holders.gross[i] == pytest.approx(gross)
        assert holders.neutral[i] == (gross > 0 and net <= 0.1 * gross)
    assert 0 < holders.neutral.sum() < len(holders.neutral)
    ledger = Ledger(len(engine.accounts))
    some = int(np.flatnonzero(holders.neutral)[0])
    for tilted, broken in ((0.11, 1), (-0.11, 1), (0.1, 0)):
        ledger.tilted[some] = tilted * holders.gross[some]
        assert ledger.broken_hedges(holders) == broken


def test_measures_stand_at_steps_with_deleveraging_only(three: stress.StressResult) -> None:
    some = (pl.col("n_adl_fills") > 0) | (pl.col("socialized") > 0)
    asked, idle = three.steps.filter(some), three.steps.filter(~some)
    assert 0 < asked.height < three.steps.height
    for name in MEASURED:
        assert asked[name].null_count() == 0
        assert idle[name].null_count() == idle.height
    assert (asked["gini"] <= 1).all()
    assert (asked["hhi"] * asked["top_share"] <= asked["top_share"]).all()
    assert three.policies["steps_with_adl"].to_list() == [
        asked.filter(policy=policy).height for policy in THREE
    ]


def test_measures_of_a_run_with_one_step_of_deleveraging_are_those_of_the_tick() -> None:
    """What `fastadl.metrics` makes of the same tick, and the totals of a path of that step alone."""
    experiment = Experiment(book=SMALL, scenario={"name": "flash-crash", "ramp": 1, "steps": 2}, fund="0")
    found = experiment.run().policies.row(0, named=True)
    ground = Ground.of(experiment, 1)
    orders = ground._orders("all")
    engine = fa.Engine(ground.book, fund="0", liquidity=orders)
    for time, marks in zip(ground.course.times.tolist(), ground.course.marks, strict=True):
        price, before = orders.marks(marks, time), engine.copy()
        report = engine.tick(price, time=time)
        orders.absorb(report)
    row = metrics.row("bitmex", report, metrics.burdens(report, before, price)).row(0, named=True)
    assert found["shortfall"] == row["shortfall"] > 0
    assert found["seized"] == pytest.approx(row["seized"], rel=1e-6)
    for name in ("coverage", "hhi", "top_share"):
        assert found[name] == pytest.approx(row[name], rel=1e-6)
    assert found["gini"] == pytest.approx(row["gini"], abs=0.01)


def test_a_shortfall_that_stays_is_counted_once() -> None:
    nothing = {"nothing": {"trigger": "none"}}
    result = Experiment(book=SMALL, scenario="flash-crash", policies=nothing, fund="0", feedback="off").run()
    total, steps = result.policies.row(0, named=True), result.steps
    assert 0 < total["shortfall"] < steps["shortfall"].sum()
    assert total["shortfall"] >= steps["shortfall"].max()
    assert steps["new_shortfall"].sum() == pytest.approx(total["shortfall"], abs=2)
    assert total["deleveraged"] == total["seized"] == 0
    assert total["uncovered"] > 0


def test_every_column_is_explained(three: stress.StressResult) -> None:
    others = {"seed", "feedback", "policy", "seconds", "ok", "finished"}
    assert set(three.policies.columns) == set(EXPLAINED) | others
