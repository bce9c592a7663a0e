"""The page of a sweep: what matters most, and what each parameter does."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from fastadl.report import sweep_words as words
from fastadl.report.measures import MEASURES
from fastadl.report.page import skeleton, sweep_charts
from fastadl.report.page.skeleton import Key
from fastadl.report.page.sweep_sheet import SweepSheet, in_units, with_band
from fastadl.report.stress_words import percent

__all__ = ["effects", "importance"]

_TOGETHER = Key("f", "combinations of them", "var(--stage-1)")
#: Measures by parameter.
_EFFECTS = words.KEY[:3]


def importance(sheet: SweepSheet, feedback: str) -> Iterator[str]:
    """Where the variance of the key measures comes from."""
    told = {name: words.ranked(sheet.result, feedback, name) for name in words.KEY}
    told = {name: rows for name, rows in told.items() if len(rows) > 1}
    if not told:
        yield skeleton.paragraph("One policy at one point: all that varies here is chance.")
        return
    names = [name for name in sheet.factors if name in next(iter(told.values()))["factor"]]
    keys = [sheet.factors[name] for name in names]
    bars = pl.concat(_bars(sheet, rows, names, _name(measure)) for measure, rows in told.items())
    yield skeleton.figure(
        sweep_charts.importance(bars, [*keys, _TOGETHER]),
        title="Where the variance of a measure comes from:",
        text="the share that each thing explains alone; the rest lies in combinations of them. Chance is the "
        "seed, which draws the book and the path.",
        under=skeleton.key([*keys, _TOGETHER]),
    )
    rows = [[_name(measure), *(_share(mine, each) for each in names)] for measure, mine in told.items()]
    table = skeleton.table(["", *keys], [("", rows)])
    yield skeleton.details("The shares, their 95 % bands, and with combinations", table)


def _name(measure: str) -> str:
    return MEASURES[measure].words.removesuffix(", USD")


def _bars(sheet: SweepSheet, rows: pl.DataFrame, names: list[str], measure: str) -> pl.DataFrame:
    """Shares of a measure, one after the other; estimates may sum to more than all of it."""
    by = {row["factor"]: row for row in rows.iter_rows(named=True)}
    found = [
        (sheet.factors[each], by[each]["alone"], words.band(by[each], "alone", percent)) for each in names
    ]
    whole = sum(share for _, share, _ in found)
    found.append((_TOGETHER, max(0.0, 1.0 - whole), ""))
    bars, end = [], 0.0
    for key, share, band in found:
        begin, end = end, end + share / max(1.0, whole)
        bars.append(
            {"factor": key.name, "of": key.id, "from": begin, "to": end, "alone": share, "band": band}
        )
    return pl.DataFrame(bars).filter(pl.col("alone") > 0.0005).with_columns(measure=pl.lit(measure))


def _share(rows: pl.DataFrame, factor: str) -> str:
    row = rows.filter(factor=factor).row(0, named=True)
    said = with_band(percent(row["alone"]), words.band(row, "alone", percent))
    return said if row["total"] is None else f"{said}; in all {percent(row['total'])}"


def effects(sheet: SweepSheet, feedback: str) -> Iterator[str]:
    """The first key measures by the values of each parameter."""
    table = sheet.result.effects.filter(pl.col("mean").is_not_null(), feedback=feedback)
    for parameter in sheet.result.parameters:
        parts = []
        for measure in (MEASURES[name] for name in _EFFECTS):
            rows = sheet.ordered(table.filter(parameter=parameter, measure=measure.column))
            if rows["level"].n_unique() < 2:
                continue
            keys = sheet.keys_of(rows)
            ids = {key.name: key.id for key in keys}
            rows = in_units(rows.with_columns(of=pl.col("policy").replace_strict(ids)), measure)
            chart = sweep_charts.effects(rows, keys, measure, height=200)
            parts.append(skeleton.figure(chart, title=measure.words, text=f"by {parameter}"))
        yield skeleton.figures(parameter, "", *parts) if parts else ""
