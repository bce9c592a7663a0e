"""What came of an experiment: frames, one object for machines, and a folder of files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from fastadl.decimals import fixed, json_number
from fastadl.engine import Report
from fastadl.stress import compare
from fastadl.stress.portrait import Portrait
from fastadl.stress.pressure import Pressure
from fastadl.stress.run import Outcome

if TYPE_CHECKING:
    from fastadl.stress.experiment import Experiment

__all__ = ["Facts", "StressResult", "Writer"]

_FRAMES = ("policies", "steps", "payers", "haircuts", "largest", "fund_needed", "moves", "density", "markets")
#: Columns of the frames in atoms; shown as decimal text (rule R72).
_MONEY = frozenset(
    {
        "shortfall", "new_shortfall", "fees", "fund_paid", "takeover_loss", "adl_value", "adl_long",
        "adl_short", "socialized", "uncovered", "deficit", "fund_equity_before", "fund_equity_after",
        "closed_value", "takeover_value", "seized", "gained", "fund_needed", "fund_lowest", "overshoot",
        "profit", "closed", "depth", "equity", "gross", "notional", "open_interest",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Facts:
    """What all runs of a seed have in common, in numbers.

    Attributes
    ----------
    seed : int
    accounts, positions, instruments, steps : int
    open_interest, fund : int
        Of all markets at the first marks, and the insurance fund's cash; atoms.
    neutral : int
        Accounts that are delta-neutral at first.
    source, symbol : str
        Where the path is from; the first market.
    seconds_book : float
        Time it took to draw the book.
    """

    seed: int
    accounts: int
    positions: int
    instruments: int
    steps: int
    open_interest: int
    fund: int
    neutral: int
    source: str
    symbol: str
    seconds_book: float


@dataclass(frozen=True)
class StressResult:
    """What came of an experiment; money in atoms.

    Attributes
    ----------
    experiment : Experiment
    outcomes : tuple of Outcome
        One a run, in the order they were run; those interrupted hold the steps that were done.
    facts : tuple of Facts
        One a seed.
    needed : mapping of (seed, feedback) to int
        Cash with which the fund would have left nothing to others, in atoms.
    portrait : Portrait
        The book of the first seed before anything happened.
    decimals : int
        An atom is ``10**-decimals`` of the currency.
    seconds : float
        From beginning to end.
    """

    experiment: Experiment
    outcomes: tuple[Outcome, ...]
    facts: tuple[Facts, ...]
    needed: Mapping[tuple[int, str], int]
    portrait: Portrait
    decimals: int
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether every conservation law held in every run."""
        return all(self.checks.values())

    @property
    def checks(self) -> dict[str, bool]:
        """The four conservation laws, over all runs."""
        laws = self.outcomes[0].checks
        return {law: all(outcome.checks[law] for outcome in self.outcomes) for law in laws}

    @property
    def finished(self) -> bool:
        """Whether every step of every run was run, and the fund that was needed is known."""
        whole = len(self.outcomes) == self.experiment.runs and all(each.finished for each in self.outcomes)
        return whole and len(self.needed) * len(self.experiment.policies) == self.experiment.runs

    @cached_property
    def steps(self) -> pl.DataFrame:
        """One row a step of a run: see `fastadl.stress.run.Outcome`."""
        return compare.named(self.outcomes, "steps")

    @cached_property
    def policies(self) -> pl.DataFrame:
        """One row a run: see `fastadl.stress.compare.policies`."""
        return compare.policies(self.outcomes, self.needed)

    @cached_property
    def payers(self) -> pl.DataFrame:
        """What classes of winners paid in each run: see `fastadl.stress.payers.Ledger.by_class`."""
        return compare.named(self.outcomes, "payers")

    @cached_property
    def haircuts(self) -> pl.DataFrame:
        """Winners of each run by the share of their profit that was taken: see `Ledger.haircuts`."""
        return compare.named(self.outcomes, "haircuts")

    @cached_property
    def largest(self) -> pl.DataFrame:
        """The ten accounts of each run from which most was taken: see `Ledger.largest`."""
        return compare.named(self.outcomes, "largest")

    @cached_property
    def fund_needed(self) -> pl.DataFrame:
        """What the fund would have needed: see `fastadl.stress.compare.fund_quantiles`."""
        return compare.fund_quantiles(self.needed)

    @cached_property
    def moves(self) -> pl.DataFrame:
        """How far the market went, by whose orders move it: see `fastadl.stress.compare.moves`."""
        return compare.moves(self.policies)

    @property
    def density(self) -> pl.DataFrame:
        """Positions of the first seed's book by size and leverage: see `fastadl.stress.portrait.Portrait`."""
        return self.portrait.density

    @property
    def markets(self) -> pl.DataFrame:
        """The largest markets of the first seed's book: see `fastadl.stress.portrait.Portrait`."""
        return self.portrait.markets

    @property
    def pressure(self) -> Pressure:
        """What one shock of many sizes would leave of the first seed's book, as it began."""
        return self.portrait.pressure

    def frames(self) -> dict[str, pl.DataFrame]:
        """All frames by name."""
        found = {name: getattr(self, name) for name in _FRAMES}
        return {**found, "pressure": self.pressure.frame}

    def to_dict(self) -> dict[str, Any]:
        """The result as one object: money as decimal text (rule R72), null for what has no bound.

        Returns
        -------
        dict
            ``experiment``, which `Experiment.of` reads again; ``finished``; ``checks``; ``books``, one entry
            a seed; ``explained``, the columns of ``policies`` in plain words; ``seconds``; and each frame as
            a list of rows.
        """
        money = {"open_interest": "", "fund": ""}
        books = [
            {
                name: fixed(value, self.decimals) if name in money else value
                for name, value in asdict(facts).items()
            }
            for facts in self.facts
        ]
        return {
            "experiment": self.experiment.to_dict(),
            "finished": self.finished,
            "checks": self.checks,
            "books": books,
            "explained": compare.EXPLAINED,
            "seconds": self.seconds,
            **{name: self._rows(frame) for name, frame in self.frames().items()},
            "pressure": self.pressure.curve(),
        }

    def _rows(self, frame: pl.DataFrame) -> list[dict[str, Any]]:
        rows = frame.to_dicts()
        for row in rows:
            for name, value in row.items():
                if name in _MONEY and value is not None:
                    row[name] = fixed(int(value), self.decimals)
                elif isinstance(value, float):
                    row[name] = json_number(value) if isfinite(value) else None
        return rows


class Writer:
    """Writes the lists of all reports as they come, a Parquet file for about a million rows of each.

    Parameters
    ----------
    folder : path
        Each list gets a folder in it, which `polars.read_parquet` reads whole; rows are preceded by the names
        of the run and the tick.
    """

    _ROWS = 1 << 20

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[str, list[pl.DataFrame]] = {}
        self._parts: dict[str, int] = {}
        self._failed: Exception | None = None

    def add(self, which: Mapping[str, Any], report: Report) -> None:
        """Take a report of a run; what cannot be written ends the writing, and not the run."""
        if self._failed is None:
            try:
                self._add(which, report)
            except (OSError, pl.exceptions.PolarsError) as error:
                self._failed = error

    def _add(self, which: Mapping[str, Any], report: Report) -> None:
        names = [pl.lit(value).alias(key) for key, value in which.items()]
        names.append(pl.lit(report.tick, pl.Int64).alias("tick"))
        for name, frame in report.frames().items():
            if name == "summary" or (frame.is_empty() and name in self._parts):
                continue
            self._kept.setdefault(name, []).append(frame.select(*names, pl.all()))
            self._parts.setdefault(name, 0)
            if sum(len(each) for each in self._kept[name]) >= self._ROWS:
                self._flush(name)

    def finish(self, result: StressResult) -> None:
        """Write what is left, the frames, ``result.json``, and ``experiment.toml`` to run it again."""
        import msgspec

        if self._failed is not None:
            raise self._failed
        for name in self._parts:
            self._flush(name)
        for name, frame in result.frames().items():
            frame.write_parquet(self._folder / f"{name}.parquet")
        text = msgspec.json.format(msgspec.json.encode(result.to_dict()), indent=1)
        (self._folder / "result.json").write_bytes(text + b"\n")
        (self._folder / "experiment.toml").write_text(result.experiment.to_toml(), "utf-8")

    def _flush(self, name: str) -> None:
        if not self._kept[name]:
            return
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        pl.concat(self._kept[name]).write_parquet(folder / f"{self._parts[name]:04d}.parquet")
        self._parts[name] += 1
        self._kept[name].clear()
