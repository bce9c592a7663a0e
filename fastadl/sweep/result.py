"""What came of a sweep: one frame of all runs, what it answers, and an object for machines."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from fastadl import synth
from fastadl.sweep import answers
from fastadl.sweep.design import column
from fastadl.sweep.executor import Trial

if TYPE_CHECKING:
    from fastadl.sweep.sweep import Sweep

__all__ = ["SweepResult", "runs_of"]

#: Points of each of which the object tells, at most.
_MANY = 50


@dataclass(frozen=True)
class SweepResult:
    """What came of a sweep; money in atoms.

    Attributes
    ----------
    sweep : Sweep
    runs : DataFrame
        One row a run: ``point``, the parameters, and the columns of `fastadl.stress.trial`; by point, seed,
        feedback and policy in the order of the sweep.
    lost : mapping of Trial to str
        Trials that failed for good, and why.
    seconds : float
        From beginning to end, this time.
    """

    sweep: Sweep
    runs: pl.DataFrame
    lost: dict[Trial, str]
    seconds: float

    @property
    def parameters(self) -> tuple[str, ...]:
        """What is varied: names of columns of `runs`."""
        return tuple(self.sweep.vary)

    @property
    def done(self) -> int:
        """Trials that are finished."""
        return self.runs.select("point", "seed").n_unique() if len(self.runs) else 0

    @property
    def ok(self) -> bool:
        """Whether every conservation law held in every run."""
        return bool(self.runs["ok"].all())

    @property
    def finished(self) -> bool:
        """Whether every trial is."""
        return self.done == len(self.sweep.trials)

    @cached_property
    def distributions(self) -> pl.DataFrame:
        """How every measure is distributed: see `fastadl.sweep.answers.distributions`."""
        return answers.distributions(self.runs, self.parameters)

    @cached_property
    def differences(self) -> pl.DataFrame:
        """How far policies are apart: see `fastadl.sweep.answers.differences`."""
        return answers.differences(self.runs, self.parameters)

    @cached_property
    def fund(self) -> pl.DataFrame:
        """What keeps deleveraging away: see `fastadl.sweep.answers.fund_for`."""
        return answers.fund_for(self.runs, self.parameters)

    @cached_property
    def importance(self) -> pl.DataFrame:
        """What matters most: see `fastadl.sweep.answers.importance`."""
        return answers.importance(self.runs, self.parameters)

    @cached_property
    def effects(self) -> pl.DataFrame:
        """What each parameter does: see `fastadl.sweep.answers.effects`."""
        return answers.effects(self.runs, self.parameters)

    def frames(self) -> dict[str, pl.DataFrame]:
        """All frames by name."""
        names = ("runs", "distributions", "differences", "fund", "importance", "effects")
        return {name: getattr(self, name) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """The result as one object; the runs are in a frame alone, and so are rows of single points if many.

        Returns
        -------
        dict
            ``sweep``, which `Sweep.of` reads again; ``points``; ``finished``; ``trials`` and ``done``, how
            many there are and were done; ``lost``, a list; ``seconds``; ``decimals``: money is in atoms of
            ``10**-decimals``; and each other frame as a list of rows. Of more than 50 points,
            ``distributions`` and ``differences`` are those of all together, and ``fund`` is of the points
            that need the least and the most, and where it happens least and most often.
        """
        lost = [{"point": trial.point, "seed": trial.seed, "why": why} for trial, why in self.lost.items()]
        return {
            "sweep": self.sweep.to_dict(),
            "points": list(self.sweep.points),
            "finished": self.finished,
            "trials": len(self.sweep.trials),
            "done": self.done,
            "lost": lost,
            "seconds": self.seconds,
            "decimals": synth.perpetuals(1)[0].decimals,
            **{name: self._summary(name).to_dicts() for name in self.frames() if name != "runs"},
        }

    def _summary(self, name: str) -> pl.DataFrame:
        """A frame, or of many points what is said of all of them."""
        frame: pl.DataFrame = getattr(self, name)
        if len(self.sweep.points) <= _MANY:
            return frame
        if name in ("distributions", "differences"):
            return answers.of_all(frame)
        return _ends(frame) if name == "fund" else frame


def _ends(fund: pl.DataFrame) -> pl.DataFrame:
    """Rows of the points that need the least and the most cash, and where it happens least and most often."""
    by, ends = ["feedback", "probability"], []
    for name in ("cash", "observed"):
        known = fund.drop_nulls(name).sort(name, "point")
        ends += [known.unique(by, keep=keep, maintain_order=True)["point"] for keep in ("first", "last")]
    return fund.filter(pl.col("point").is_in(pl.concat(ends).unique().implode()))


def runs_of(sweep: Sweep, frames: list[pl.DataFrame]) -> pl.DataFrame:
    """The frame of all runs, of those of trials that came in any order."""
    points = pl.DataFrame(
        {
            "point": pl.int_range(len(sweep.points), dtype=pl.Int64, eager=True),
            **{name: column([point[name] for point in sweep.points]) for name in sweep.vary},
        }
    )
    seeds = {seed: place for place, seed in enumerate(sweep.seeds)}
    return (
        pl.concat(frames, how="vertical_relaxed")
        .sort("point", pl.col("seed").replace_strict(seeds), maintain_order=True)
        .join(points, on="point", how="left", maintain_order="left")
        .select(*points.columns, pl.exclude(points.columns))
    )
