"""The columns that reports on an experiment stand in: a policy under one kind of feedback, over all seeds."""

from __future__ import annotations

from typing import Any, TypeAlias

import polars as pl

from fastadl.stress import StressResult

__all__ = ["Column"]

Row: TypeAlias = dict[str, Any]


class Column:
    """A policy under one kind of feedback.

    Attributes
    ----------
    name, policy, feedback : str
    runs : list of int
        Places of its outcomes, one a seed.
    total : dict
        Means over the seeds of what `StressResult.policies` says, None where it says nothing; ``covered``,
        the part of all deficits together that nobody is owed at the end.
    finished : bool
        Whether every step of every seed was run.
    """

    def __init__(self, name: str, rows: pl.DataFrame, runs: list[int], seeds: int) -> None:
        first = rows.row(0, named=True)
        self.name, self.policy, self.feedback, self.runs = name, first["policy"], first["feedback"], runs
        self.total: Row = {
            column: rows[column].mean() if rows[column].dtype.is_numeric() else first[column]
            for column in rows.columns
        }
        deficit = float(rows["deficit"].sum())
        owed = float(rows["uncovered"].sum())
        self.total["covered"] = max(0.0, 1.0 - owed / deficit) if deficit else None
        self.finished = seeds == len(runs) and bool(rows["finished"].all())

    @classmethod
    def all(cls, result: StressResult) -> list[Column]:
        """Those of a result, kind of feedback by kind."""
        table, several = result.policies, len(result.experiment.feedback) > 1
        found = []
        for feedback in result.experiment.feedback:
            for policy in result.experiment.policies:
                mine = (table["feedback"] == feedback) & (table["policy"] == policy)
                if mine.any():
                    name = f"{policy}, {feedback}" if several else policy
                    runs = mine.arg_true().to_list()
                    found.append(cls(name, table.filter(mine), runs, len(result.experiment.seeds)))
        return found

    def classes(self, result: StressResult, by: str) -> pl.DataFrame:
        """What classes of payers had and paid, over all seeds: ``from``, ``to``, ``profit``, ``seized``."""
        mine = result.payers.filter(policy=self.policy, feedback=self.feedback, by=by)
        return mine.group_by("from", "to", maintain_order=True).agg(pl.col("profit", "seized").sum())
