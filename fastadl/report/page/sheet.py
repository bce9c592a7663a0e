"""What all sections of the page of a stress test work on."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from fastadl.report.columns import Column
from fastadl.report.page import skeleton
from fastadl.report.page.drawing import Clock
from fastadl.report.page.skeleton import Key
from fastadl.report.stress_words import MOVERS
from fastadl.stress import StressResult

__all__ = ["Sheet"]


class Sheet:
    """A result, policy by policy.

    Attributes
    ----------
    result : StressResult
    columns : list of Column
        A policy under one kind of feedback each.
    keys : dict of str to Key
        Of each policy that was run.
    clock : Clock
        Of charts over time.
    fell, taken : bool
        Whether anybody fell below the margin; whether anybody was deleveraged.
    """

    def __init__(self, result: StressResult) -> None:
        self.result, self.columns = result, Column.all(result)
        run = {column.policy for column in self.columns}
        names = enumerate(result.experiment.policies)
        self.keys = {name: Key.at(at, name) for at, name in names if name in run}
        calendar = bool(result.experiment.scenario.anchors)
        self.clock = Clock.of(result.outcomes[0].steps["time"], calendar=calendar)
        self.fell = any(column.total["liquidated"] for column in self.columns)
        self.taken = any(column.total["deleveraged"] for column in self.columns)

    def by_feedback(self) -> Iterator[tuple[str, str, list[Column]]]:
        """The columns under each kind of feedback, with a heading if there are several kinds."""
        kinds = list(dict.fromkeys(column.feedback for column in self.columns))
        for kind in kinds:
            heading = skeleton.heading(f"Later prices moved by {MOVERS[kind]}") if len(kinds) > 1 else ""
            yield kind, heading, [column for column in self.columns if column.feedback == kind]

    def key(self, column: Column) -> Key:
        """The key of a column's policy."""
        return self.keys[column.policy]

    def course(self, column: Column) -> pl.DataFrame:
        """The steps of the first seed."""
        return self.result.outcomes[column.runs[0]].steps

    def rows(self, frame: pl.DataFrame, column: Column) -> pl.DataFrame:
        """Those of a frame of the result that belong to a column."""
        return frame.filter(policy=column.policy, feedback=column.feedback)
