"""What a sweep answers, in words and short numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import Any, TypeAlias

import polars as pl

from fastadl.report.measures import MEASURES
from fastadl.report.stress_words import MOVERS, amount, many, percent
from fastadl.sweep import SweepResult
from fastadl.sweep.answers import of_all
from fastadl.sweep.design import shown

__all__ = [
    "KEY",
    "above",
    "band",
    "chance",
    "factor",
    "feedbacks",
    "fund_said",
    "headline",
    "many",
    "numbers",
    "odds",
    "of_all",
    "parameter_of_most",
    "policies_said",
    "ranked",
    "seeds",
    "state",
    "told_of",
    "varied",
    "where",
    "worst",
]

Row: TypeAlias = Mapping[str, Any]

#: Measures that the summary is about, the most telling first.
KEY = ("seized", "deleveraged", "deficit", "closed", "uncovered", "broken_hedges", "top_share", "fund_needed")

#: Share of a variance that is worth a word, whatever else explains more.
_CLEAR = 0.1
_FACTORS = {"seed": "chance", "policy": "the policy"}


def above(result: SweepResult) -> str:
    """What was run, in a line."""
    sweep = result.sweep
    scenario = sweep.experiment.scenario.name
    if {"scenario", "scenario.name"} & sweep.vary.keys():
        scenario = "several scenarios"
    parts = ["Sweep", scenario]
    if len(sweep.points) > 1:
        parts.append(f"{len(sweep.points):,} points")
    return " · ".join(
        (*parts, many(len(sweep.seeds), "seed"), many(len(sweep.experiment.policies), "policy"))
    )


def headline(result: SweepResult) -> str:
    """How often deleveraging happens, and what its size depends on or what the fund would need."""
    kinds = feedbacks(result)
    said = _headline(result, kinds[0])
    if len(kinds) == 1:
        return said
    return f"Where {MOVERS[kinds[0]]} move later prices, {said[0].lower()}{said[1:]}"


def _headline(result: SweepResult, feedback: str) -> str:
    """The same of a kind of feedback."""
    fund = result.fund.filter(feedback=feedback)
    often = fund["observed"].drop_nulls()
    if often.is_empty():
        return "Too little was run to say anything"
    low, high = float(often.min()), float(often.max())  # type: ignore[arg-type]
    if not high:
        return f"In none of {many(sum(fund.unique('point')['seeds']), 'crash')} is anybody deleveraged"
    if low != high:
        said = f"Losses reach other traders in {percent(low)} to {percent(high)} of crashes"
        return f"{said}{_what_matters(result, feedback)}"
    said = f"Losses reach other traders in {percent(low)} of crashes"
    rarer = fund.filter(pl.col("cash").is_not_null() & (pl.col("probability") < low))
    if len(result.sweep.points) > 1 or rarer.is_empty():
        return said
    best = rarer.sort("probability").row(0, named=True)
    return f"{said}; a fund of {amount(best['cash'])} USD would make that {odds(best['probability'])}"


def _what_matters(result: SweepResult, feedback: str) -> str:
    """What the losses that reach others depend on: their amounts, of which alone the variance is known."""
    matters = parameter_of_most(result, feedback, "deficit")
    if matters is None:
        return ""
    said = f"; for how large they are, of the parameters, {matters} matters most"
    first = ranked(result, feedback, "deficit")["factor"][0]
    return said if first == matters else f"{said}, and {factor(first)} more"


def told_of(result: SweepResult) -> str:
    """Which kind of feedback the headline and its numbers are of, if there are several."""
    kinds = feedbacks(result)
    several = f"Later prices moved by {MOVERS[kinds[0]]}; what else was run is further down."
    return several if len(kinds) > 1 else ""


def numbers(result: SweepResult) -> Iterator[tuple[str, str]]:
    """The few numbers to remember, each with its words."""
    feedback = feedbacks(result)[0]
    fund = result.fund.filter(feedback=feedback)
    often = fund.unique("point").drop_nulls("observed").sort("observed")
    if often.is_empty():
        return
    low, high = often.row(0, named=True), often.row(-1, named=True)
    between = f"{percent(low['observed_low'])} to {percent(high['observed_high'])}"
    yield (
        _between(low["observed"], high["observed"], percent),
        f"of crashes leave losses to others ({between})",
    )
    for probability in (0.05, 0.01):
        known = fund.filter(pl.col("probability") == probability).drop_nulls("cash")["cash"].sort()
        if len(known):
            words = f"USD in the fund would make that {odds(probability)}"
            yield _between(known[0], known[-1], amount), words
    table = result.distributions.filter(pl.col("mean").is_not_null(), feedback=feedback, measure="seized")
    means = of_all(table)["mean"].sort()
    if len(means) and means[-1]:
        words = "USD taken from traders on average"
        several = ", from the mildest policy to the harshest" if means[0] != means[-1] else ""
        yield _between(means[0], means[-1], amount), words + several
    matters = parameter_of_most(result, feedback, "seized")
    if matters is not None:
        row = ranked(result, feedback, "seized").filter(factor=matters).row(0, named=True)
        yield percent(row["alone"]), f"of the variance of what is taken comes from {matters} alone"


def _between(low: float, high: float, shown: Any) -> str:
    return shown(low) if shown(low) == shown(high) else f"{shown(low)} to {shown(high)}"


# ---------------------------------------------------------------------- what was run


def feedbacks(result: SweepResult) -> list[str]:
    """Kinds of feedback that were run, in the order of the sweep."""
    ran = result.runs["feedback"].unique().to_list()
    return [kind for kind in MOVERS if kind in ran]


def varied(result: SweepResult) -> Iterator[tuple[str, str]]:
    """Each parameter and its values."""
    for name in result.parameters:
        values = result.runs.unique("point").sort("point")[name]
        found = values.unique(maintain_order=True).to_list()
        if len(found) > 8 and values.dtype.is_numeric():
            yield name, f"{shown(min(found))} to {shown(max(found))}, {len(found):,} values"
        else:
            words = ", ".join(map(shown, found[:12]))
            yield name, words + (f" and {len(found) - 12} more" if len(found) > 12 else "")


def seeds(result: SweepResult) -> str:
    """The seeds; the first and the last of many."""
    found = result.sweep.seeds
    return f"{found[0]} to {found[-1]}" if len(found) > 8 else ", ".join(map(str, found))


def where(row: Row, parameters: Sequence[str]) -> str:
    """A point in words.

    Examples
    --------
    >>> where({"point": 3, "fund.share": 0.001, "book.shape": "whale"}, ["fund.share", "book.shape"])
    'fund.share 0.001, book.shape whale'
    """
    return ", ".join(f"{name} {shown(row[name])}" for name in parameters)


def state(result: SweepResult) -> str:
    """What is missing, if anything."""
    sweep = result.sweep
    of = len(sweep.trials)
    said = []
    if not result.finished:
        said.append(f"{result.done:,} of {of:,} trials are done; answers are of these.")
    if result.lost:
        trial, why = next(iter(result.lost.items()))
        said.append(
            f"{many(len(result.lost), 'trial')} failed; seed {trial.seed} of point {trial.point}: {why}"
        )
    return " ".join(said)


# ---------------------------------------------------------------------- answers


def band(row: Row, name: str, shown: Any) -> str:
    """The band of a number, ``–`` where it has no end."""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    if low is None and high is None:
        return ""
    measure = MEASURES.get(row.get("measure", ""))
    if low is not None and name == "mean" and measure is not None and not measure.signed:
        low = max(low, 0.0)
    if low is None:
        return f"at most {shown(high)}"
    return f"at least {shown(low)}" if high is None else f"{shown(low)} to {shown(high)}"


def chance(row: Row) -> str:
    """How often losses reached others, and how sure that is.

    Examples
    --------
    >>> chance({"observed": 0.05, "observed_low": 0.014, "observed_high": 0.165})
    '5.0% (1.4% to 16%)'
    """
    return f"{percent(row['observed'])} ({band(row, 'observed', percent)})"


def odds(probability: float) -> str:
    """A probability that somebody chose.

    Examples
    --------
    >>> odds(0.05), odds(0.001)
    ('5%', '0.1%')
    """
    return f"{100 * probability:g}%"


def fund_said(result: SweepResult, feedback: str) -> Iterator[str]:
    """What the fund did and would have needed."""
    fund = result.fund.filter(feedback=feedback).drop_nulls("observed")
    if fund.is_empty():
        return
    often = fund.unique("point").sort("observed", "point")
    low, high = often.row(0, named=True), often.row(-1, named=True)
    if len(often) == 1 or low["observed"] == high["observed"]:
        yield f"With the fund as it is, losses reach other traders in {chance(low)} of crashes."
    else:
        at = (where(row, result.parameters) for row in (low, high))
        yield (
            f"With the fund as it is, losses reach other traders in {chance(low)} of crashes at {next(at)}, "
            f"and in {chance(high)} at {next(at)}."
        )
    silent = []
    for probability in sorted(fund["probability"].unique(), reverse=True):
        known = fund.filter(pl.col("probability") == probability).drop_nulls("cash").sort("cash", "point")
        if known.is_empty():
            silent.append(probability)
            continue
        first, last = known.row(0, named=True), known.row(-1, named=True)
        if len(often) == 1 or first["cash"] == last["cash"]:
            yield f"For {odds(probability)} the fund needs {amount(first['cash'])} USD{_sure(first)}."
        else:
            between = f"{amount(first['cash'])} to {amount(last['cash'])} USD"
            most = where(last, result.parameters)
            yield f"For {odds(probability)} the fund needs {between}, the most at {most}."
    if silent:
        takes = ceil(1 / silent[-1] - 1e-9)
        less = " or less" if len(silent) > 1 else ""
        that = odds(silent[-1]) if less else "that"
        yield f"{many(low['seeds'], 'seed')} cannot tell of {odds(silent[0])}{less}: {that} takes {takes:,}."


def _sure(row: Row) -> str:
    return f" ({band(row, 'cash', amount) or 'too few seeds for a band'})"


def factor(name: str) -> str:
    """What explains something, in words."""
    return _FACTORS.get(name, name)


def ranked(result: SweepResult, feedback: str, measure: str) -> pl.DataFrame:
    """What explains a measure over all runs, the most first; nothing where the sweep cannot say."""
    policies = list(result.sweep.experiment.policies)
    policy = None if len(policies) > 1 else policies[0]
    of = pl.col("policy").is_null() if policy is None else pl.col("policy") == policy
    return result.importance.filter(of, pl.col("alone").is_not_null(), feedback=feedback, measure=measure)


def parameter_of_most(result: SweepResult, feedback: str, measure: str) -> str | None:
    """The parameter that explains most of what a measure varies, if one surely explains a good part of it."""
    for place, row in enumerate(ranked(result, feedback, measure).iter_rows(named=True)):
        if row["factor"] in result.parameters:
            clear = place == 0 or row["alone"] >= _CLEAR
            return str(row["factor"]) if clear and row["alone_low"] else None
    return None


def policies_said(result: SweepResult, feedback: str) -> Iterator[tuple[str, str]]:
    """What each policy takes, from whom, and how often it takes the least."""
    runs = result.runs.filter(feedback=feedback)
    names = [name for name in result.sweep.experiment.policies if name in runs["policy"]]
    table = of_all(result.distributions.filter(feedback=feedback))
    least = (pl.col("seized") == pl.col("seized").min()).over("point", "seed")
    whole = (pl.len() == len(names)) & (pl.col("seized").max() > 0)
    alone = runs.filter(whole.over("point", "seed")).with_columns(least=least)
    alone = alone.with_columns(alone=pl.col("least").sum().over("point", "seed") == 1)
    for name in names:
        taken, asked = (
            table.filter(policy=name, measure=each).row(0, named=True) for each in ("seized", "deleveraged")
        )
        if not asked["most"]:
            yield name, "nobody had to be deleveraged."
            continue
        sure = band(taken, "mean", MEASURES["seized"].shown)
        said = f"takes {amount(taken['mean'])} USD on average" + (f" ({sure})" if sure else "")
        said += f", from {many(asked['mean'], 'trader')}."
        mine = alone.filter(policy=name)
        if len(names) > 1 and len(mine):
            times = mine.select((pl.col("least") & pl.col("alone")).sum()).item()
            crashes = f"{many(len(mine), 'crash')} with anything to take"
            said += f" It takes the least of all in {times:,} of {crashes}."
        yield name, said


def worst(result: SweepResult) -> tuple[Row, str]:
    """The run that left most to others, and which it is in words."""
    order = result.runs.sort("deficit", "point", "seed", descending=[True, False, False])
    row = order.row(0, named=True)
    at = where(row, result.parameters)
    return row, f"seed {row['seed']}" + (f" at {at}" if at else "")
