"""The page of a sweep: how often the fund is not enough, and what it would need."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from fastadl.report import sweep_words as words
from fastadl.report.measures import MEASURES
from fastadl.report.page import skeleton, sweep_charts
from fastadl.report.page.skeleton import Cell, Key
from fastadl.report.page.sweep_sheet import SweepSheet, with_band
from fastadl.report.stress_words import amount
from fastadl.report.terminal import NOTHING
from fastadl.sweep.answers import fund_for

__all__ = ["fund"]

#: Probabilities on a curve, at most; curves that have colours of their own, and curves at all.
_PROBABILITIES, _COLORS, _CURVES = 100, 6, 30
#: Rows of the table of points, at most, and of one that is open.
_POINTS, _SHOWN = 50, 12


def fund(sheet: SweepSheet, feedback: str) -> Iterator[str]:
    """What is said, the curve, and all points."""
    result = sheet.result
    for said in words.fund_said(result, feedback):
        yield skeleton.paragraph(said)
    seeds = max(result.fund["seeds"], default=0)
    steps = min(seeds, _PROBABILITIES)
    runs = result.runs.filter(feedback=feedback)
    curves = fund_for(runs, result.parameters, [at / steps for at in range(1, steps)])
    curves = _apart(curves.filter(pl.col("cash").is_not_null()), list(result.parameters))
    if not curves.is_empty():
        yield _curves(sheet, feedback, curves)
    points = len(result.sweep.points)
    if points > 1:
        table = _points(sheet, feedback)
        several = f"{min(points, _POINTS):,} of {points:,}" if points > _POINTS else f"All {points:,}"
        yield skeleton.details(f"{several} points", table) if points > _SHOWN else table


def _apart(curves: pl.DataFrame, parameters: list[str]) -> pl.DataFrame:
    """Curves that differ, and where each is: points that need the same fund are one."""
    cash = curves.group_by("point", maintain_order=True).agg("cash", pl.col(parameters).first())
    alike = cash.group_by("cash", maintain_order=True).agg("point", *parameters)
    names = {}
    for row in alike.iter_rows(named=True):
        common = [name for name in parameters if len({*row[name]}) == 1]
        names[row["point"][0]] = words.where({name: row[name][0] for name in common}, common) or "all points"
    shown = curves.filter(pl.col("point").is_in(list(names)))
    return shown.with_columns(where=pl.col("point").replace_strict(names, return_dtype=pl.String))


def _curves(sheet: SweepSheet, feedback: str, curves: pl.DataFrame) -> str:
    """What the fund needs by the odds, a curve for each point that differs."""
    money = pl.col("cash", "cash_low", "cash_high") / MEASURES["fund_needed"].unit
    curves = curves.with_columns(money, strength=pl.lit(1.0))
    names = curves["where"].unique(maintain_order=True).to_list()
    if len(names) > _COLORS:
        keys, under = [Key("p", "points", "var(--accent)")], ""
        curves, text = _strong(sheet, feedback, curves)
    else:
        some = [skeleton.color(len(sheet.keys) + at) for at in range(len(names))]
        colors = some if len(names) > 1 else ["var(--accent)"]
        keys = [Key(f"p{at}", *each) for at, each in enumerate(zip(names, colors, strict=True))]
        curves = curves.with_columns(of=pl.col("where").replace_strict({key.name: key.id for key in keys}))
        text = f"shaded: 95 % bands, as far as {max(curves['seeds']):,} seeds can tell."
        under = skeleton.key(keys) if len(keys) > 1 else ""
    as_it_is = _as_it_is(sheet, feedback, one=len(names) == 1)
    chart = sweep_charts.fund(curves, keys, as_it_is=as_it_is, height=280)
    title = "Cash of the fund, by how often it would not be enough;"
    return skeleton.figure(chart, title=title, text=text, under=under)


def _as_it_is(sheet: SweepSheet, feedback: str, *, one: bool) -> pl.DataFrame:
    """How often the fund is not enough as it is, in words: of all points alike, or of a few on one curve."""
    points = sheet.result.fund.filter(feedback=feedback).drop_nulls("observed").unique("point").sort("point")
    if points["observed"].n_unique() == 1:
        return points.head(1).select(probability="observed", words=pl.lit("with the fund as it is"))
    said = [words.where(row, sheet.result.parameters) for row in points.iter_rows(named=True)]
    shown = points.select(probability="observed", words=pl.Series(said))
    return shown if one and len(points) <= _COLORS else shown.clear()


def _strong(sheet: SweepSheet, feedback: str, curves: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    """Curves of many points, the stronger the more there is of what the fund depends on most."""
    unknown = pl.lit(None, pl.Float64)
    curves = curves.with_columns(of=pl.lit("p"), cash_low=unknown, cash_high=unknown)
    curves, lines = _some(curves)
    factors = words.ranked(sheet.result, feedback, "fund_needed")["factor"]
    numbers = (name for name in factors if name in curves.columns and curves[name].dtype.is_numeric())
    by = next(numbers, None)
    if by is None:
        return curves, f"{lines}."
    rank = pl.col(by).rank("dense")
    strong = curves.with_columns(strength=0.15 + 0.85 * rank / rank.max())
    return strong, f"{lines}, stronger for more {by}."


def _some(curves: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    """As many curves as can be told apart, from the least cash to the most."""
    order = curves.group_by("point").agg(pl.col("cash").mean()).sort("cash", "point")["point"]
    if len(order) <= _CURVES:
        return curves, "a line for each point"
    shown = order.gather([at * (len(order) - 1) // (_CURVES - 1) for at in range(_CURVES)])
    said = f"{_CURVES} of {len(order):,} lines, one for each point, from the least cash to the most"
    return curves.filter(pl.col("point").is_in(shown.implode())), said


def _points(sheet: SweepSheet, feedback: str) -> str:
    """The table of points: how often it happens, what the fund would need, what policies take."""
    result = sheet.result
    table = result.fund.filter(feedback=feedback)
    known = table.filter(pl.any_horizontal(pl.col("cash", "cash_low").is_not_null()))
    odds = known["probability"].unique().sort(descending=True).to_list()
    spread = result.distributions.filter(feedback=feedback, measure="seized")
    rows: list[list[str | Cell]] = []
    for (point,), mine in table.group_by("point", maintain_order=True):
        first = mine.row(0, named=True)
        needs = {row["probability"]: row for row in mine.iter_rows(named=True)}
        means = {row["policy"]: row["mean"] for row in spread.filter(point=point).iter_rows(named=True)}
        taken = (Cell(_money(means.get(name)), of=key.id) for name, key in sheet.keys.items())
        often = NOTHING if first["observed"] is None else words.chance(first)
        rows.append(
            [words.where(first, result.parameters), often, *(_cash(needs[each]) for each in odds), *taken]
        )
    head: list[str | Key] = [
        "",
        "it happens",
        *(f"fund for {words.odds(each)}" for each in odds),
        *sheet.keys.values(),
    ]
    said = "USD; under a policy, what it takes from traders on average"
    shown = skeleton.table(head, [(said, rows[:_POINTS])])
    if len(rows) <= _POINTS:
        return shown
    return shown + skeleton.paragraph(
        f"The first {_POINTS} of {len(rows):,} points; --out writes all.", kind="soft"
    )


def _money(atoms: float | None) -> str:
    return NOTHING if atoms is None else MEASURES["seized"].shown(atoms)


def _cash(row: words.Row) -> str:
    sure = words.band(row, "cash", amount)
    return (sure or NOTHING) if row["cash"] is None else with_band(amount(row["cash"]), sure)
