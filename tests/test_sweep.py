"""A sweep: every point and seed once, the same whoever runs it and however often it was interrupted."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numba
import numpy as np
import polars as pl
import pytest

import fastadl
from fastadl import stress
from fastadl.engine.settings import running_on
from fastadl.errors import FastadlError, InputError, MemoryLimitError
from fastadl.sweep import Lost, Sweep, Trial, Work
from fastadl.sweep.capacity import at_a_time
from fastadl.sweep.executor import ATTEMPTS, Found, Shelf
from fastadl.sweep.local import Local

SMALL = {"positions": 300, "instruments": 2}
CRASH = {"book": SMALL, "scenario": "flash-crash", "policies": ["bitmex", "vega"]}
SHARES = {"fund.share": ["0.0001", "0.01"]}


needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks processes up in /proc")


def started(program: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def until(process: subprocess.Popen[str], trials: int) -> None:
    """Wait until so many trials are done."""
    assert process.stdout is not None
    for line in process.stdout:
        if int(line.split()[-2]) >= trials:
            return
    raise AssertionError(process.communicate())


def workers_of(process: subprocess.Popen[str]) -> set[int]:
    return {
        int(child)
        for tasks in Path(f"/proc/{process.pid}/task").glob("*/children")
        for child in tasks.read_text().split()
    }


def gone(pid: int) -> bool:
    for _ in range(1200):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.1)
    return False


# ---------------------------------------------------------------------- points


def test_lists_give_all_combinations_and_every_seed_meets_each() -> None:
    sweep = Sweep(CRASH, seeds=3, vary={"fund.share": ["0.001", "0.01"], "scenario.depth": [0.3, 0.4, 0.5]})
    assert [point["fund.share"] for point in sweep.points] == ["0.001"] * 3 + ["0.01"] * 3
    assert [point["scenario.depth"] for point in sweep.points] == [0.3, 0.4, 0.5] * 2
    assert sweep.trials[:4] == (Trial(0, 1), Trial(0, 2), Trial(0, 3), Trial(1, 1))
    assert len(sweep.trials) == 18
    at = sweep.experiments[5]
    assert (at.fund.to_dict(), at.scenario.parameters["depth"]) == ({"share": "0.01"}, 0.5)
    assert Sweep(CRASH).points == ({},)
    assert Sweep(CRASH, seeds=[5, 2]).seeds == (5, 2)
    assert Sweep(CRASH | {"seeds": [4]}).seeds == (4,)


def test_drawn_points_take_each_part_of_each_range_once() -> None:
    vary = {
        "scenario.depth": {"low": 0.2, "high": 0.6},
        "fund.share": {"low": "0.0001", "high": "0.1", "log": True},
        "book.positions": {"low": 100, "high": 200, "whole": True},
        "liquidity.impact": ["linear", "square_root"],
    }
    points = Sweep(CRASH, vary=vary, points=20).points
    depths = sorted(point["scenario.depth"] for point in points)
    assert np.array_equal(np.floor((np.array(depths) - 0.2) / 0.4 * 20 + 1e-6), np.arange(20))
    powers = np.log10([point["fund.share"] for point in points])
    assert np.array_equal(np.sort(np.floor((powers + 4) / 3 * 20)), np.arange(20))
    assert all(isinstance(point["book.positions"], int) for point in points)
    assert sorted(point["liquidity.impact"] for point in points) == ["linear"] * 10 + ["square_root"] * 10
    assert points[0]["scenario.depth"] == 0.260667
    first = Sweep(CRASH, vary={"scenario.depth": vary["scenario.depth"]}, points=20).points
    assert [each["scenario.depth"] for each in first] == [each["scenario.depth"] for each in points]


def test_a_file_says_a_sweep_and_gives_it_again(tmp_path: Path) -> None:
    text = """
    seeds = [1, 2]
    points = 3
    book = { positions = 300, instruments = 2 }
    scenario = "flash-crash"
    policies = ["bitmex", "vega"]
    [vary]
    fund.share = { low = "0.001", high = "0.1", log = true }
    scenario = ["flash-crash", { name = "jumps" }]
    policies.bitmex.allocation = ["queue", "pro_rata_size"]
    """
    (tmp_path / "sweep.toml").write_text(text)
    sweep = Sweep.load(tmp_path / "sweep.toml")
    assert list(sweep.vary) == ["scenario", "policies.bitmex.allocation", "fund.share"]
    (tmp_path / "again.toml").write_text(sweep.to_toml())
    again = Sweep.load(tmp_path / "again.toml")
    assert (again.to_dict(), again.points) == (sweep.to_dict(), sweep.points)
    assert Sweep.load(tmp_path, {"seeds": [7], "book": {"positions": 400}}).experiment.book.positions == 400
    assert Sweep.load(tmp_path, seeds=3).seeds == (1, 2, 3)
    assert Sweep.of(CRASH | {"seeds": 5}).seeds == (5,)
    assert Sweep.of(CRASH | {"seeds": 5}, seeds=2).seeds == (1, 2)
    (tmp_path / "wrong.toml").write_text("vary = { fund.cahs = [1] }")
    with pytest.raises(InputError, match=r"wrong.toml: /fund/cahs: 1: no such field.*at fund.cahs = 1"):
        Sweep.load(tmp_path / "wrong.toml")


def test_a_fund_varied_in_cash_has_no_share_and_the_other_way_round() -> None:
    cash = Sweep(CRASH, vary={"fund.cash": ["5", "1000"], "fund.max_drawdown": ["0.3"]})
    assert [each.fund.to_dict()["cash"] for each in cash.experiments] == ["5", "1000"]
    share = Sweep(CRASH | {"fund": {"cash": "7", "min_equity": "1"}}, vary={"fund.share": ["0.5"]})
    assert share.experiments[0].fund.to_dict() == {"share": "0.5"}
    whole = Sweep(CRASH, vary={"fund": ["3", {"share": "0.2"}]})
    assert [each.fund.to_dict() for each in whole.experiments] == [{"cash": "3"}, {"share": "0.2"}]
    with pytest.raises(InputError, match="give a share, or cash and its rules"):
        Sweep(CRASH, vary={"fund.share": ["0.5"], "fund.cash": ["5"]})


def test_each_scenario_has_its_own_feedback_unless_something_is_said() -> None:
    scenarios = {"scenario": ["2020-03-12", "flash-crash"]}
    kinds = [each.feedback for each in Sweep(CRASH, vary=scenarios).experiments]
    assert kinds == [("off",), ("all",)]
    for said in ({"feedback": "all"}, {"liquidity": {"feedback": "all"}}):
        both = Sweep({**CRASH, **said}, vary=scenarios)
        assert {each.feedback for each in both.experiments} == {("all",)}
    again = Sweep.of(tomllib.loads(Sweep(CRASH, vary=scenarios).to_toml()))
    assert [each.feedback for each in again.experiments] == kinds


def test_every_experiment_goes_to_other_processes_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "BTC.csv").write_text("time,close\n0,100\n3600,80\n")
    for scenario in (*stress.SCENARIOS, {"prices": str(tmp_path / "BTC.csv")}):
        sent = stress.Experiment(book={"positions": 300}, scenario=scenario, policies=["okx_2025", "vega"])
        there = pickle.loads(pickle.dumps(sent))
        assert there.to_dict() == sent.to_dict()
        again = stress.Experiment(scenario=there.scenario).to_dict()["scenario"]
        assert stress.Experiment(scenario=again).scenario.parameters == sent.scenario.parameters
        instruments = stress.draw(sent, 3).instruments
        assert np.array_equal(
            there.scenario.path(instruments, 3).marks, sent.scenario.path(instruments, 3).marks
        )


def test_values_of_numpy_and_decimals_are_written_as_what_they_are() -> None:
    from decimal import Decimal

    sweep = Sweep(
        CRASH, vary={"scenario.depth": np.linspace(0.25, 0.5, 2), "fund.cash": [Decimal("1.50"), 2]}
    )
    whole = Sweep(CRASH | {"book": {"positions": np.int64(300), "size_tail": np.float64(1.5)}})
    assert Sweep.of(tomllib.loads(whole.to_toml())).experiment.book == whole.experiment.book
    assert sweep.to_dict()["vary"] == {"scenario.depth": [0.25, 0.5], "fund.cash": ["1.5", 2]}
    assert Sweep.of(tomllib.loads(sweep.to_toml())).points == sweep.points


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"vary": ["fund"]}, "vary: .*give a table"),
        ({"vary": {"fund.share": "0.1"}}, "vary, column fund.share: 0.1: give a list of values"),
        ({"vary": {"fund.share": []}}, "give a list of values"),
        ({"vary": {"fund.share": ["0.1", "0.1"]}}, "name every value once"),
        ({"vary": {"fund.share": ["0.001", "0.0010"]}}, "name every value once"),
        ({"vary": {"fund.share": ["0.001", 0.001]}}, "name every value once"),
        ({"vary": {"fund.share": [object()]}}, "give numbers, texts"),
        ({"vary": {"fnud.share": ["0.1"]}}, "column fnud.share: .*name a field such as fund.share"),
        ({"vary": {"policies": ["bitmex"]}}, "policies.NAME.CHOICE"),
        ({"vary": {"policies.okx.price": ["mark"]}}, "name a policy of bitmex, vega"),
        ({"vary": {"policies.bitmex.price": ["bid"]}}, r"bid.*at policies.bitmex.price = bid"),
        ({"vary": {"seeds": [1, 2]}}, "give several seeds: they are run at every point"),
        ({"vary": {"feedback": ["off"]}}, "give several feedback"),
        ({"vary": {"book.positions": [300, 0]}}, r"book, column positions: 0: .*at book.positions = 0"),
        ({"vary": {"scenario.depth": {"low": 1}}}, "high: missing"),
        ({"vary": {"scenario.depth": {"low": 1, "high": 1}}, "points": 2}, "give more than low"),
        ({"vary": {"scenario.depth": {"low": 0, "high": 1, "log": True}}, "points": 2}, "give more than 0"),
        ({"vary": {"scenario.depth": {"low": 0, "high": 1, "log": 1}}, "points": 2}, "give true or false"),
        ({"vary": {"scenario.depth": {"low": 0, "high": 1, "lgo": True}}}, "no such field"),
        ({"vary": {"scenario.depth": {"low": 0.1, "high": 0.5}}}, "points: None: say how many points"),
        (
            {"vary": {"scenario.depth": {"low": 0.1, "high": 0.5}}, "points": 0},
            "give a whole number, 1 or more",
        ),
        (
            {"vary": {f"book.a{name}": list(range(1000)) for name in range(9)}},
            r"^vary: 1,000,000,000,000,000,000,000,000,000 combinations: give fewer values: at most 100,000",
        ),
        ({"vary": SHARES, "points": 3}, "without a range all combinations are run"),
        ({"seeds": 0}, "seeds: 0: give a whole number, 1 or more"),
        ({"seeds": 10**9}, "give at most"),
        ({"seeds": [1 << 63]}, "below 2.63"),
        ({"seeds": [1, 1]}, "name every seed once"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_before_anything_runs(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Sweep(CRASH, **given)


def test_a_score_of_ones_own_is_refused() -> None:
    own = {"mine": {"score": fastadl.score(lambda candidate: candidate.profit)}}
    with pytest.raises(InputError, match=r"policies, column mine, column score: <lambda>: name a score"):
        Sweep(CRASH | {"policies": own})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"workers": 0}, "workers: 0: give a whole number"),
        ({"executor": "dask"}, "executor: dask: name local or ray"),
        ({"executor": "ray", "address": "local"}, "address: local: leave it out"),
        ({"address": "auto"}, "address: auto: only the executor ray has one"),
        ({"executor": Local(1), "workers": 2}, "has its workers already"),
    ],
)
def test_executors_that_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Sweep(CRASH).run(**given)


# ---------------------------------------------------------------------- runs


@pytest.fixture(scope="module")
def sweep() -> Sweep:
    return Sweep(CRASH, seeds=2, vary=SHARES)


@pytest.fixture(scope="module")
def alone(sweep: Sweep) -> pl.DataFrame:
    return sweep.run(workers=1).runs


def test_runs_are_those_of_the_lab_with_the_point_and_its_values_in_front(
    sweep: Sweep, alone: pl.DataFrame
) -> None:
    assert alone.columns[:5] == ["point", "fund.share", "seed", "feedback", "policy"]
    assert alone["fund.share"].to_list() == [0.0001] * 4 + [0.01] * 4
    with running_on(1):
        lab = pl.concat(stress.trial(sweep.experiments[trial.point], trial.seed) for trial in sweep.trials)
    assert alone.drop("point", "fund.share").equals(lab)


def test_a_parameter_that_is_not_always_a_number_is_text() -> None:
    found = Sweep(CRASH, vary={"scenario": ["flash-crash", {"name": "jumps"}]}).run(workers=1)
    assert found.runs["scenario"].unique(maintain_order=True).to_list() == [
        "flash-crash",
        '{"name": "jumps"}',
    ]


@pytest.mark.slow
def test_processes_give_what_one_process_gives(sweep: Sweep, alone: pl.DataFrame) -> None:
    told: list[tuple[str, int, int]] = []
    found = sweep.run(workers=2, progress=lambda *what: told.append(what))
    assert found.finished
    assert found.runs.equals(alone)
    assert [done for _, done, _ in told] == [0, 1, 2, 3, 4]


class Counted(Work):
    """Counts the books it draws."""

    drawn = 0

    def draw(self, trial: Trial) -> Any:
        Counted.drawn += 1
        return super().draw(trial)


def test_a_book_that_all_seeds_share_is_drawn_once_a_worker() -> None:
    shared = Sweep(CRASH | {"book": SMALL | {"seed": 9}}, seeds=3, vary=SHARES)
    found = dict(Local(1).run(Counted(shared.experiments, ("", "")), shared.trials))
    assert Counted.drawn == 1
    book = stress.draw(shared.experiments[1], 3)
    assert Shelf(shared.work).attempt(Trial(1, 3)).equals(found[Trial(1, 3)])  # type: ignore[union-attr]
    assert shared.work.perform(Trial(1, 3), book).equals(found[Trial(1, 3)])
    dict(Local(1).run(Counted(Sweep(CRASH).experiments, ("",)), [Trial(0, 1)]))
    assert Counted.drawn == 1


def test_a_refused_parameter_ends_the_sweep_and_says_where() -> None:
    wrong = Sweep(CRASH, vary={"book.accounts": [300, 1]})
    with pytest.raises(InputError, match=r"positions: 300: give at most 4 .*\(at book.accounts = 1\)"):
        wrong.run(workers=1)


class Broken(Work):
    """Fails at seed 2, as a defect would; ends its process at seed 3; counts how often in a file."""

    def perform(self, trial: Trial, book: Any = None) -> pl.DataFrame:
        if trial.seed == 2:
            raise ZeroDivisionError("so it\nis")
        if trial.seed == 3:
            with Path(os.environ["COUNTED"]).open("a") as file:
                file.write("x")
            os.kill(os.getpid(), signal.SIGKILL)
        print("what a trial prints is no result")  # noqa: T201
        threads = numba.config.NUMBA_NUM_THREADS
        return pl.DataFrame(
            {"seed": [trial.seed], "threads": [threads], "of polars": [pl.thread_pool_size()]}
        )


@pytest.mark.slow
def test_a_trial_that_kills_its_worker_is_lost_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTED", str(tmp_path / "counted"))
    work = Broken(Sweep(CRASH).experiments, ("",))
    found = dict(Local(2).run(work, [Trial(0, seed) for seed in range(1, 6)]))
    assert found[Trial(0, 2)] == Lost("ZeroDivisionError: so it is")
    assert found[Trial(0, 3)] == Lost("its process was ended by SIGKILL, 3 times")
    assert (tmp_path / "counted").read_text() == "x" * ATTEMPTS
    frames = [each.row(0) for each in found.values() if isinstance(each, pl.DataFrame)]
    assert sorted(frames) == [(1, 1, 1), (4, 1, 1), (5, 1, 1)]


def test_workers_that_cannot_start_end_the_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for program, said in (("true", "its process ended with status 0"), ("absent", "No such file")):
        monkeypatch.setattr(sys, "executable", shutil.which(program) or program)
        with pytest.raises(InputError, match=rf"workers: {said}.*: give 1, which is this process itself"):
            Sweep(CRASH, seeds=2).run(workers=2, out=tmp_path)


class Sleeping(Work):
    """Is done at once with seed 1, and not within ten minutes with others."""

    def perform(self, trial: Trial, book: Any = None) -> pl.DataFrame:
        if trial.seed > 1:
            time.sleep(600)
        return pl.DataFrame({"point": [trial.point], "seed": [trial.seed]})


SLEEPING = """
import sys
sys.path.insert(0, sys.argv[1])
from test_sweep import *
trials = [Trial(0, seed) for seed in (1, 2, 3)]
for trial, _ in Local(2).run(Sleeping(Sweep(CRASH).experiments, ("",)), trials):
    print("done", 1, 3, flush=True)
    if sys.argv[2] == "close":
        break
print("closed")
"""


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize("how", ["close", "kill"])
def test_no_worker_outlives_the_sweep_even_amid_a_trial(how: str) -> None:
    process = started(SLEEPING, str(Path(__file__).parent), how)
    workers: set[int] = set()
    while len(workers) < 2 and process.poll() is None:
        workers |= workers_of(process)
    until(process, 1)
    if how == "kill":
        process.kill()
    said, wrong = process.communicate(timeout=120)
    assert (said, wrong) == ("closed\n" if how == "close" else "", "")
    assert all(map(gone, workers))


def test_a_sweep_of_which_nothing_works_says_why() -> None:
    class Hopeless:
        def run(self, work: Work, trials: Sequence[Trial]) -> Iterator[tuple[Trial, Found]]:
            yield from ((trial, Lost("no luck")) for trial in trials)

    with pytest.raises(FastadlError, match="no trial could be done; seed 1 of point 0: no luck"):
        Sweep(CRASH).run(executor=Hopeless())


def test_fewer_workers_where_memory_is_short_and_none_if_so_many_were_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("fastadl.memory.available", lambda: 3 << 30)
    monkeypatch.setattr("fastadl.sweep.capacity.cores", lambda: 64)
    large = Sweep(CRASH | {"book": {"positions": 4_000_000}}).work
    assert at_a_time(None, large, 100) == 2
    assert at_a_time(None, Sweep(CRASH).work, 100) == 12
    assert at_a_time(None, Sweep(CRASH).work, 5) == 5
    assert at_a_time(2, large, 100) == 2
    with pytest.raises(MemoryLimitError, match=r"workers: 3: it takes .* GiB of memory"):
        at_a_time(3, large, 100)


@pytest.mark.parametrize("workers", [None, 1, 2])
def test_a_trial_that_does_not_fit_the_memory_is_refused_by_any_number_of_workers(
    monkeypatch: pytest.MonkeyPatch, workers: int | None
) -> None:
    monkeypatch.setattr("fastadl.memory.available", lambda: 3 << 30)
    sweep = Sweep(CRASH | {"book": SMALL}, vary={"book.positions": [300, 20_000_000]})
    said = r"^book, column positions: 20,000,000 positions of 10,000,000 accounts: it takes 5.0 GiB of memory"
    with pytest.raises(MemoryLimitError, match=said):
        sweep.run(workers=workers)
    with pytest.raises(MemoryLimitError, match=said):
        sweep.experiments[1].run()
