"""What all sections of the page of a sweep work on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import polars as pl

from fastadl.report import sweep_words as words
from fastadl.report.measures import Measure
from fastadl.report.page import skeleton
from fastadl.report.page.skeleton import Key
from fastadl.report.stress_words import MOVERS
from fastadl.sweep import SweepResult

__all__ = ["SweepSheet", "in_units", "with_band"]


class SweepSheet:
    """A result, and the colours of all that is in it.

    Attributes
    ----------
    result : SweepResult
    keys : dict of str to Key
        Of each policy.
    factors : dict of str to Key
        Of what may explain a variance: parameters, ``policy`` and ``seed``.
    """

    def __init__(self, result: SweepResult) -> None:
        self.result = result
        names = [name for name in result.sweep.experiment.policies if name in result.runs["policy"]]
        self.keys = {name: Key.at(at, name) for at, name in enumerate(names)}
        colors = {name: skeleton.color(len(names) + at) for at, name in enumerate(result.parameters)}
        colors |= {"policy": "var(--accent)", "seed": "var(--stage-2)"}
        self.factors = {
            name: Key(f"f{at}", words.factor(name), color) for at, (name, color) in enumerate(colors.items())
        }

    def each(self, part: Callable[[SweepSheet, str], Iterator[str]]) -> Iterator[str]:
        """A part of the page for each kind of feedback, under a heading if there are several."""
        kinds = words.feedbacks(self.result)
        for feedback in kinds:
            if len(kinds) > 1:
                yield skeleton.heading(f"Later prices moved by {MOVERS[feedback]}")
            yield from part(self, feedback)

    def spread(self, feedback: str) -> pl.DataFrame:
        """Distributions over all points, or of the only one."""
        return words.of_all(self.result.distributions.filter(feedback=feedback))

    def ordered(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows in the order of the policies of the sweep."""
        places = {name: at for at, name in enumerate(self.keys)}
        return rows.sort(pl.col("policy").replace_strict(places, return_dtype=pl.Int64), maintain_order=True)

    def keys_of(self, rows: pl.DataFrame) -> list[Key]:
        """The keys of the policies in a frame."""
        return [self.keys[name] for name in rows["policy"].unique(maintain_order=True)]


def in_units(rows: pl.DataFrame, measure: Measure) -> pl.DataFrame:
    """Rows of a measure, money in units of the currency, and no band below zero of what never is."""
    names = [name for name in rows.columns if name.startswith(("mean", "q")) or name in ("least", "most")]
    low = pl.col("mean_low")
    cut = rows if measure.signed else rows.with_columns(low.clip(lower_bound=0.0))
    return cut.with_columns(pl.col(names) / measure.unit)


def with_band(number: str, band: str) -> str:
    """A number and its band in brackets, if it has one."""
    return f"{number} ({band})" if band else number
