"""Sweeps in a folder: interrupted, torn, full, killed, and gone on with."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pytest

import fastadl
from fastadl.errors import InputError
from fastadl.sweep import Sweep, Trial, Work
from fastadl.sweep.executor import Found
from fastadl.sweep.store import opened
from test_sweep import CRASH, SHARES, SMALL, gone, needs_proc, started, until, workers_of

# ---------------------------------------------------------------------- folders


class Made:
    """An executor that makes up what comes of trials, and remembers which it was given."""

    def __init__(self, stop: int | None = None, error: BaseException | None = None) -> None:
        self.given: list[Trial] = []
        self.closed = False
        self._stop, self._error = stop, error

    def run(self, work: Work, trials: Sequence[Trial]) -> Iterator[tuple[Trial, Found]]:
        try:
            for count, trial in enumerate(reversed(trials)):
                if count == self._stop:
                    raise self._error or KeyboardInterrupt
                self.given.append(trial)
                yield trial, rows_of(work, trial)
        finally:
            self.closed = True


def rows_of(work: Work, trial: Trial) -> pl.DataFrame:
    experiment = work.experiments[trial.point]
    rows = [
        {"point": trial.point, "seed": trial.seed, "feedback": feedback, "policy": policy}
        for feedback in experiment.feedback
        for policy in experiment.policies
    ]
    cash = 100 * trial.point + trial.seed
    return pl.DataFrame(rows).with_columns(seized=pl.lit(cash / 3), fund_needed=cash, deficit=cash % 2)


MANY = Sweep(CRASH, seeds=[5, 2, 3, 1, 4], vary=SHARES)


def test_what_was_interrupted_goes_on_and_repeats_nothing(tmp_path: Path) -> None:
    whole = MANY.run(executor=Made())
    assert whole.runs["point"].to_list() == [0] * 10 + [1] * 10
    assert whole.runs["seed"].to_list() == [5, 5, 2, 2, 3, 3, 1, 1, 4, 4] * 2
    first = Made(stop=4)
    part = MANY.run(executor=first, out=tmp_path)
    assert not part.finished
    assert part.done == 4
    assert first.closed
    assert json.loads((tmp_path / "result.json").read_text())["finished"] is False
    told: list[tuple[str, int, int]] = []
    second = Made()
    rest = MANY.run(executor=second, out=tmp_path, progress=lambda *what: told.append(what))
    assert sorted(first.given + second.given) == sorted(MANY.trials)
    assert told[0] == ("starting; 4 of them found finished", 4, 10)
    assert rest.finished
    assert rest.runs.equals(whole.runs)
    assert pl.read_parquet(tmp_path / "runs.parquet").equals(whole.runs)
    assert Sweep.load(tmp_path).to_dict() == MANY.to_dict()
    assert Sweep.load(tmp_path / "result.json").to_dict() == MANY.to_dict()
    shutil.copy(tmp_path / "result.json", tmp_path / "runs" / "copy.json")
    assert Sweep.load(tmp_path / "runs" / "copy.json").to_dict() == MANY.to_dict()
    third = Made()
    assert MANY.run(executor=third, out=tmp_path).runs.equals(whole.runs)
    assert third.given == []


def test_an_interrupt_before_anything_is_done_is_one() -> None:
    with pytest.raises(KeyboardInterrupt):
        MANY.run(executor=Made(stop=0))


def test_more_seeds_go_on_and_fewer_lose_none(tmp_path: Path) -> None:
    MANY.run(executor=Made(), out=tmp_path)
    more, executor = Sweep(CRASH, seeds=7, vary=SHARES), Made()
    assert more.run(executor=executor, out=tmp_path).finished
    assert sorted(executor.given) == [Trial(0, 6), Trial(0, 7), Trial(1, 6), Trial(1, 7)]
    fewer, executor = Sweep(CRASH, seeds=[3], vary=SHARES), Made()
    assert fewer.run(executor=executor, out=tmp_path).runs["seed"].unique().to_list() == [3]
    assert executor.given == []
    assert sorted(Sweep.load(tmp_path).seeds) == [1, 2, 3, 4, 5, 6, 7]
    executor = Made()
    assert more.run(executor=executor, out=tmp_path).finished
    assert executor.given == []


def test_many_trials_are_made_one_file_as_they_come(tmp_path: Path) -> None:
    big, error = Sweep(CRASH, seeds=600), RuntimeError("stop")
    with pytest.raises(RuntimeError):
        big.run(executor=Made(stop=580, error=error), out=tmp_path)
    names = {path.name for path in (tmp_path / "runs").iterdir()}
    assert {"all-1.parquet", "all-2.parquet"} < names
    assert len(names) == 2 + 580 - 512
    executor = Made()
    result = big.run(executor=executor, out=tmp_path)
    assert len(executor.given) == 20
    assert result.runs.equals(big.run(executor=Made()).runs)
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_trials_that_are_there_twice_count_once(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        MANY.run(executor=Made(stop=6, error=RuntimeError()), out=tmp_path)
    with opened(tmp_path, MANY) as store:
        singles = sorted((tmp_path / "runs").iterdir())
        kept = {path: path.read_bytes() for path in singles}
        store._merge(singles[:4])
    for path, data in kept.items():  # as if killed before it could remove them
        path.write_bytes(data)
    executor = Made()
    assert MANY.run(executor=executor, out=tmp_path).runs.equals(MANY.run(executor=Made()).runs)
    assert len(executor.given) == 4


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_torn_files_are_run_again(tmp_path: Path, share: float) -> None:
    with pytest.raises(RuntimeError):
        MANY.run(executor=Made(stop=6, error=RuntimeError()), out=tmp_path)
    torn = sorted((tmp_path / "runs").iterdir())[:2]
    for path in torn:
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    (tmp_path / "runs" / "0-1.parquet.part").write_bytes(b"PAR1")
    (tmp_path / "runs" / "strange.parquet").write_bytes(pl_bytes(pl.DataFrame({"a": [1]})))
    executor = Made()
    assert MANY.run(executor=executor, out=tmp_path).runs.equals(MANY.run(executor=Made()).runs)
    assert len(executor.given) == 6
    assert not list((tmp_path / "runs").glob("*.part"))


def test_a_torn_file_of_many_trials_is_gone_in_the_end(tmp_path: Path) -> None:
    MANY.run(executor=Made(), out=tmp_path)
    (whole,) = (tmp_path / "runs").iterdir()
    whole.write_bytes(whole.read_bytes()[:100])
    assert MANY.run(executor=Made(), out=tmp_path).finished
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["all-2.parquet"]
    one = Sweep(CRASH)
    one.run(executor=Made(), out=tmp_path / "one")
    (single,) = (tmp_path / "one" / "runs").iterdir()
    single.write_bytes(b"PAR1")
    assert one.run(executor=Made(), out=tmp_path / "one").finished
    assert pl.read_parquet(single).height == 2


def pl_bytes(frame: pl.DataFrame) -> bytes:
    import io

    stream = io.BytesIO()
    frame.write_parquet(stream)
    return stream.getvalue()


def test_rows_of_another_sweep_are_not_taken_for_its_own(tmp_path: Path) -> None:
    other = Sweep(CRASH, seeds=5, vary={"fund.share": ["0.002", "0.02"]})
    other.run(executor=Made(), out=tmp_path / "other")
    MANY.run(executor=Made(stop=2), out=tmp_path / "mine")
    strange = next((tmp_path / "other" / "runs").iterdir())
    (tmp_path / "mine" / "runs" / "all-9.parquet").write_bytes(strange.read_bytes())
    executor = Made()
    assert MANY.run(executor=executor, out=tmp_path / "mine").finished
    assert len(executor.given) == 8


def test_half_a_trial_is_none(tmp_path: Path) -> None:
    MANY.run(executor=Made(), out=tmp_path)
    (file,) = (tmp_path / "runs").iterdir()
    frame = pl.read_parquet(file)
    lacking = frame.filter(~((pl.col("point") == 1) & (pl.col("seed") == 2) & (pl.col("policy") == "vega")))
    assert len(lacking) == len(frame) - 1
    file.write_bytes(pl_bytes(lacking))
    executor = Made()
    assert MANY.run(executor=executor, out=tmp_path).finished
    assert executor.given == [Trial(1, 2)]


def test_the_folder_of_another_sweep_is_refused_and_says_what_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    MANY.run(executor=Made(), out=tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()}
    larger = Sweep(CRASH | {"book": SMALL | {"positions": 301}}, vary=SHARES)
    with pytest.raises(
        InputError, match=r"the folder of another sweep: book.positions is 300 there and 301 here"
    ):
        larger.run(executor=Made(), out=tmp_path)
    others = Sweep(CRASH, vary={"fund.share": ["0.01", "0.0001"]})
    with pytest.raises(InputError, match=r'vary.fund.share is \["0.0001", "0.01"\] there and'):
        others.run(executor=Made(), out=tmp_path)
    with pytest.raises(InputError, match=r"vary is \{.*\} there and not given here"):
        Sweep(CRASH).run(executor=Made(), out=tmp_path)
    monkeypatch.setattr(fastadl, "__version__", "99.0")
    with pytest.raises(InputError, match=r'fastadl is ".*" there and "99.0" here: .* with that version'):
        MANY.run(executor=Made(), out=tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()} == before


def test_a_file_of_prices_that_changed_makes_it_another_sweep(tmp_path: Path) -> None:
    prices = tmp_path / "BTC_1h.csv"
    prices.write_text("time,close\n0,100\n3600,80\n7200,70\n")
    own = CRASH | {"scenario": {"prices": str(prices)}}
    Sweep(own).run(executor=Made(), out=tmp_path / "out")
    Sweep(own).run(executor=Made(), out=tmp_path / "out")
    assert Sweep.load(tmp_path / "out").experiments[0].scenario.to_dict() == {"prices": [str(prices)]}
    prices.write_text("time,close\n0,100\n3600,80\n7200,60\n")
    with pytest.raises(InputError, match=r"made.files\..*BTC_1h.csv is "):
        Sweep(own).run(executor=Made(), out=tmp_path / "out")


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"holds thesis.tex: give a new or empty folder"):
        MANY.run(executor=Made(), out=tmp_path)
    with pytest.raises(InputError, match="give a folder that can be written"):
        MANY.run(executor=Made(), out=tmp_path / "thesis.tex")
    torn = tmp_path / "torn"
    torn.mkdir()
    (torn / "sweep.toml").write_text("seeds = [1")
    with pytest.raises(InputError, match=r"sweep.toml cannot be read: give the folder of a sweep"):
        MANY.run(executor=Made(), out=torn)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["sweep.toml", "thesis.tex", "torn"]


def test_two_at_once_in_a_folder_are_one_too_many(tmp_path: Path) -> None:
    said = rf"/: in use by process {os.getpid()} on .*: wait until"
    with opened(tmp_path, MANY), pytest.raises(InputError, match=said):
        MANY.run(executor=Made(), out=tmp_path)
    assert MANY.run(executor=Made(), out=tmp_path).finished


def test_a_full_disk_keeps_what_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Filling(Made):
        def run(self, work: Work, trials: Sequence[Trial]) -> Iterator[tuple[Trial, Found]]:
            for count, found in enumerate(super().run(work, trials)):
                if count == 3:
                    monkeypatch.setattr(os, "fsync", full)
                yield found

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    executor = Filling()
    with pytest.raises(InputError, match=r"No space left on device: .*: 3 finished trials are kept there$"):
        MANY.run(executor=executor, out=tmp_path)
    assert executor.closed
    assert len(list((tmp_path / "runs").iterdir())) == 3
    monkeypatch.undo()
    executor = Filling()
    monkeypatch.setattr(Filling, "run", Made.run)
    assert MANY.run(executor=executor, out=tmp_path).finished
    assert len(executor.given) == 7


@pytest.mark.parametrize("again", [False, True])
def test_a_folder_that_is_taken_away_ends_the_sweep(tmp_path: Path, again: bool) -> None:
    class Away(Made):
        def run(self, work: Work, trials: Sequence[Trial]) -> Iterator[tuple[Trial, Found]]:
            for count, found in enumerate(super().run(work, trials)):
                if count == 3:
                    shutil.rmtree(tmp_path / "out")
                    if again:  # somebody begins anew under its name
                        MANY.run(executor=Made(), out=tmp_path / "out")
                yield found

    said = "another folder took its place" if again else "the folder is gone: run it again: 3 finished"
    with pytest.raises(InputError, match=said):
        MANY.run(executor=Away(), out=tmp_path / "out")
    assert (tmp_path / "out").exists() == again


# ---------------------------------------------------------------------- processes that are killed

PROGRAM = """
import sys
from fastadl.sweep import Sweep
sweep = Sweep(
    {"book": {"positions": 2000, "instruments": 3}, "scenario": "flash-crash"},
    seeds=12,
    vary={"fund.share": ["0.001", "0.01"]},
)
result = sweep.run(out=sys.argv[1], workers=2, progress=lambda *what: print(*what, flush=True))
print("ended", result.finished, result.done)
"""


@needs_proc
@pytest.mark.slow
@pytest.mark.jit
def test_killed_at_random_it_goes_on_leaves_nobody_behind_and_comes_to_the_same(tmp_path: Path) -> None:
    process = started(PROGRAM, str(tmp_path / "out"))
    until(process, 3)
    workers = workers_of(process)
    assert len(workers) == 2
    process.kill()
    process.communicate()
    assert all(map(gone, workers))
    process = started(PROGRAM, str(tmp_path / "out"))
    until(process, 6)
    os.kill(min(workers_of(process)), signal.SIGKILL)
    until(process, 10)
    workers = workers_of(process)
    process.send_signal(signal.SIGINT)
    said, wrong = process.communicate(timeout=120)
    assert wrong == ""
    assert said.splitlines()[-1].startswith("ended False 1")
    assert all(map(gone, workers))
    sweep = Sweep.load(tmp_path / "out")
    result = sweep.run(out=tmp_path / "out", workers=1)
    assert result.finished
    assert result.lost == {}
    assert result.runs.equals(sweep.run(workers=2).runs)
