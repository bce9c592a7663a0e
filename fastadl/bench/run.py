"""One run: every case of the chosen groups, and the triad in turn with what is held against it."""

from __future__ import annotations

import gc
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median, median_low
from time import perf_counter
from typing import Any

import numba

from fastadl.bench.cases import chosen
from fastadl.bench.limit import TRIAD, Triad
from fastadl.bench.loads import Loads
from fastadl.bench.registry import Absent, Case, Group, Work
from fastadl.errors import InputError

__all__ = ["SMALLEST", "Bench"]

#: Smaller books leave some loads nothing to do.
SMALLEST = 1000
_LARGEST = 1 << 31
#: A case stops after the round in which its timed seconds pass this, but not before the third.
_ENOUGH, _FEWEST = 3.0, 3


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one call in the rounds of a case, and shares of the triad's bandwidth, by either."""

    median: float
    min: float
    rounds: int
    of_triad: float | None
    of_triad_best: float | None


class Bench:
    """A run of the benchmarks: iterate it to the end, or as far as patience goes, then take its `result`.

    Parameters
    ----------
    positions : int
        Size of the books.
    only : sequence of str
        Names of groups; all if empty.

    Raises
    ------
    InputError
        For a size out of range or an unknown group.
    """

    def __init__(self, positions: int = 1_000_000, only: Sequence[str] = ()) -> None:
        if not SMALLEST <= positions < _LARGEST:
            raise InputError(("positions",), positions, f"give {SMALLEST:,} to {_LARGEST - 1:,}")
        self.groups = chosen(only)
        self.loads = Loads(positions)
        self._started = perf_counter()
        self._shown: list[dict[str, Any]] = []
        self._absent: list[dict[str, str]] = []
        self._triads: list[float] = []
        self._finished = False

    def __len__(self) -> int:
        return sum(len(group.cases) for group in self.groups)

    def __iter__(self) -> Iterator[tuple[Group, Case]]:
        """Run case after case; gives each before it is run."""
        for group in self.groups:
            lines: list[dict[str, Any]] = []
            told = {name: getattr(group, name) for name in ("name", "title", "intent", "several")}
            self._shown.append({**told, "lines": lines})
            shared: Any = None
            for case in group.cases:
                yield group, case
                try:
                    shared = group.shared(self.loads) if shared is None else shared
                    lines.append(self._line(case, case.make(shared), lines))
                except Absent as absent:
                    self._absent.append({"group": group.name, "who": case.who, "why": str(absent)})
        self._finished = True

    def _line(self, case: Case, work: Work, lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
        timing, facts = self._timed(case, work)
        each = timing.median / work.units
        first = lines[0] if lines and lines[0]["unit"] == case.unit else None
        return {
            "who": case.who,
            "ours": case.ours,
            "does": case.does,
            "left_out": case.left_out,
            "held_back": case.held_back,
            "unit": case.unit,
            "units": work.units,
            **asdict(timing),
            "per_unit": each,
            "against_first": each / first["per_unit"] if first else None,
            "moved_bytes": work.moved or None,
            "facts": {name: median_low(each[name] for each in facts) for name in facts[0]},
        }

    def _timed(self, case: Case, work: Work) -> tuple[Timing, list[Mapping[str, float]]]:
        """Rounds of one call each, and their facts; each after a call of the triad it is held against."""
        limit = self.loads.once(Triad) if work.moved and case.who != TRIAD else None
        triad = None if limit is None else Work(limit, 1, moved=limit.moved)
        gc.collect()
        if case.warm:
            _timed_call(work)
            if triad is not None:
                _timed_call(triad)
        seconds: list[float] = []
        limits: list[float] = []
        facts: list[Mapping[str, float]] = []
        while len(seconds) < case.rounds and (len(seconds) < _FEWEST or sum(seconds) < _ENOUGH):
            if triad is not None:
                limits.append(_timed_call(triad)[0])
            spent, result = _timed_call(work)
            seconds.append(spent)
            facts.append(work.facts(result))
            if len(seconds) == 1:
                work.check(result)
        if case.who == TRIAD:
            limits = seconds
        self._triads += limits
        shares = [
            work.moved / of(seconds) / (self._moved / of(limits)) if limits else None for of in (median, min)
        ]
        return Timing(median(seconds), min(seconds), len(seconds), *shares), facts

    @property
    def _moved(self) -> int:
        """Bytes of a call of the triad."""
        return self.loads.once(Triad).moved

    def result(self) -> dict[str, Any]:
        """All that is known so far, as ``fastadl bench --json`` prints it.

        Returns
        -------
        dict
            ``positions``; ``machine``; ``triad_bytes_per_second``, the median of all its rounds, or None, and
            ``triad_best_bytes_per_second``; ``groups``, each with ``name``, ``title``, ``intent``,
            ``several`` and ``lines``; ``absent``, what was left out and why; ``seconds`` of the whole run;
            ``finished``. Times of a line are in seconds.
        """
        return {
            "positions": self.loads.positions,
            "machine": _machine(),
            "triad_bytes_per_second": self._moved / median(self._triads) if self._triads else None,
            "triad_best_bytes_per_second": self._moved / min(self._triads) if self._triads else None,
            "groups": [group for group in self._shown if group["lines"]],
            "absent": self._absent,
            "seconds": perf_counter() - self._started,
            "finished": self._finished,
        }


def _timed_call(work: Work) -> tuple[float, Any]:
    """Seconds of one call, and what it gives."""
    arguments = work.setup() if work.setup is not None else work.arguments
    start = perf_counter()
    result = work.run(*arguments)
    return perf_counter() - start, result


def _machine() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": numba.get_num_threads(),
        "compiled": not numba.config.DISABLE_JIT,
        "system": platform.system(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("fastadl", "numba", "numpy", "polars")},
    }


def _processor() -> str:
    known = Path("/proc/cpuinfo")
    if known.exists():
        for line in known.read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()
