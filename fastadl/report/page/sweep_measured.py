"""The page of a sweep: what the policies take, how runs are distributed, and every measure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from fastadl.report import sweep_words as words
from fastadl.report.measures import GROUPS, MEASURES, Measure
from fastadl.report.page import skeleton, sweep_charts
from fastadl.report.page.skeleton import Cell
from fastadl.report.page.sweep_sheet import SweepSheet, in_units, with_band
from fastadl.report.terminal import NOTHING

__all__ = ["measures", "policies", "spreads"]

_SPREADS = words.KEY[:6]
#: Which end is better → what those below, and above, all others are.
_ENDS = {"less": {-1: "best", 1: "worst"}, "more": {-1: "worst", 1: "best"}}


def policies(sheet: SweepSheet, feedback: str) -> Iterator[str]:
    """A sentence about each policy."""
    said = words.policies_said(sheet.result, feedback)
    yield skeleton.points((sheet.keys[name], f"{line[0].upper()}{line[1:]}") for name, line in said)


def spreads(sheet: SweepSheet, feedback: str) -> Iterator[str]:
    """How the key measures are distributed."""
    spread, parts = sheet.spread(feedback), []
    for measure in (MEASURES[name] for name in _SPREADS):
        rows = sheet.ordered(spread.filter(pl.col("mean").is_not_null(), measure=measure.column))
        if len(rows) and rows["most"].max() != rows["least"].min():
            chart = sweep_charts.spreads(in_units(rows, measure), sheet.keys_of(rows), measure)
            parts.append(skeleton.figure(chart, title=measure.words))
    yield skeleton.several(*parts) if parts else skeleton.paragraph("Nothing differs between the runs.")


def measures(sheet: SweepSheet, feedback: str) -> Iterator[str]:
    """The table of every measure."""
    apart = words.of_all(sheet.result.differences.filter(feedback=feedback))
    spread = sheet.spread(feedback)
    groups = ((title, _lines(sheet, some, spread, apart)) for title, some in GROUPS.items())
    yield skeleton.table(["", *sheet.keys.values()], groups)


def _lines(
    sheet: SweepSheet, some: Sequence[Measure], spread: pl.DataFrame, apart: pl.DataFrame
) -> Iterator[list[object]]:
    for measure in some:
        rows = {row["policy"]: row for row in spread.filter(measure=measure.column).iter_rows(named=True)}
        marks = _marks(measure, list(sheet.keys), apart.filter(measure=measure.column))
        cells = (
            Cell(_mean(rows.get(name), measure), marks.get(name, ""), key.id)
            for name, key in sheet.keys.items()
        )
        yield [(measure.words, measure.told), *cells]


def _mean(row: words.Row | None, measure: Measure) -> str:
    if row is None or row["mean"] is None:
        return NOTHING
    return with_band(measure.shown(row["mean"]), words.band(row, "mean", measure.shown))


def _marks(measure: Measure, names: Sequence[str], apart: pl.DataFrame) -> dict[str, str]:
    """The policies that are surely below, or above, all others."""
    if not measure.better:
        return {}
    signs: dict[str, list[int]] = {name: [] for name in names}
    for row in apart.drop_nulls("mean_low").iter_rows(named=True):
        sign = 1 if row["mean_low"] > 0 else -1 if row["mean_high"] < 0 else 0
        signs[row["policy"]].append(sign)
        signs[row["against"]].append(-sign)
    sure = {
        name: mine[0] for name, mine in signs.items() if len(mine) == len(names) - 1 and len({*mine}) == 1
    }
    return {name: _ENDS[measure.better][sign] for name, sign in sure.items() if sign}
