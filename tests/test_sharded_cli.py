"""Stress on a book in shards: the same result as in one place, from Python and from the command line."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

import numba
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from fastadl import cli, stress, synth
from fastadl.cluster import child, join
from fastadl.engine.settings import checked_threads
from fastadl.errors import InputError
from fastadl.sharded import engine, linking
from fastadl.sharded.dataset import Dataset
from ray_clusters import cluster, folder, processes_of, waited

__all__ = ["cluster", "folder"]

SMALL = {"positions": 900, "instruments": 2}
COMMAND = ("stress", "--positions", "900", "--instruments", "2", "--scenario", "flash-crash")
NEEDS_RAY = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason='Ray is not installed: pip install "fastadl[ray]"'
)


def frames(result: stress.StressResult) -> dict[str, pl.DataFrame]:
    """All frames, without the clock."""
    clock = pl.selectors.starts_with("seconds")
    return {name: frame.drop(clock) for name, frame in result.frames().items()}


def same(one: stress.StressResult, other: stress.StressResult) -> None:
    assert one.ok
    assert one.finished
    assert other.finished
    found = frames(other)
    for name, frame in frames(one).items():
        assert_frame_equal(found[name], frame, check_exact=True)
    assert other.checks == one.checks


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main([*arguments])
        out, err = capsys.readouterr()
        return (
            code,
            out,
            "".join(line for line in err.splitlines(True) if not line.startswith("fastadl: compiling ")),
        )

    return call


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("book") / "dataset"
    arguments = ("synth", "retail", "--positions", "1200", "--instruments", "3", "--shards", "4")
    assert cli.main([*arguments, "--out", str(path), "--json"]) == 0
    return str(path)


# ---------------------------------------------------------------------- the same result


def test_a_crash_in_shards_is_the_crash_in_one_place() -> None:
    what: dict[str, Any] = {"book": SMALL, "scenario": "flash-crash", "feedback": ["off", "all"]}
    what["policies"] = ["bitmex", "vega", "pro_rata"]
    one = stress.run(**what)
    assert int(one.policies["deleveraged"].sum()) > 0
    same(one, stress.run(**what, shards=3, address="inline"))


def test_shards_are_as_they_are_asked_for(
    command: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given: list[Any] = []
    linked = linking.linked

    def noted(parts: Any, policy: Any, address: Any, **settings: Any) -> Any:
        given.append(settings)
        return linked(parts, policy, address, **settings)

    monkeypatch.setattr(engine, "linked", noted)
    options = ("--deadline", "7.5", "--threads", "1", "--snapshots", str(tmp_path))
    assert command(*COMMAND, "--shards", "2", "--address", "inline", *options)[0] == 0
    assert {"deadline": 7.5, "threads": 1, "folder": str(tmp_path)} in given


def test_shards_elsewhere_may_have_more_threads_than_this_machine() -> None:
    here = numba.config.NUMBA_NUM_THREADS
    assert checked_threads(here + 1, elsewhere=True) == here
    with pytest.raises(InputError, match="threads"):
        checked_threads(here + 1)


def test_seeds_have_their_own_books_in_shards_too() -> None:
    what: dict[str, Any] = {"book": {**SMALL, "positions": 300}, "seeds": [3, 4]}
    same(stress.run(**what), stress.run(**what, shards=2, address="inline"))


def test_shards_read_a_dataset_themselves(dataset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    what: dict[str, Any] = {"book": {"folder": dataset}, "scenario": "flash-crash", "policies": ["bitmex"]}
    one = stress.run(**what)
    assert one.facts[0].positions == Dataset.open(dataset).book().rows.lots.astype(bool).sum() > 1000
    given: list[Any] = []
    linked = linking.linked

    def noted(parts: Any, *rest: Any, **settings: Any) -> Any:
        parts = list(parts)
        given.append(all(callable(part) for part in parts))
        return linked(parts, *rest, **settings)

    monkeypatch.setattr(engine, "linked", noted)
    same(one, stress.run(**what, shards=3, address="inline"))
    assert given.count(True) == 2  # the run, and the fund that was needed; kernels are compiled on a book


def test_a_book_on_disk_is_the_book_that_was_written(tmp_path: Path) -> None:
    synth.book("pareto", positions=500, accounts=200, instruments=2, seed=5).write(tmp_path / "book")
    what: dict[str, Any] = {"book": {"folder": str(tmp_path / "book")}, "scenario": "flash-crash"}
    one = stress.run(**what)
    assert (one.facts[0].positions, one.facts[0].accounts) == (500, 200)
    same(one, stress.run(**what, shards=2, address="inline"))
    again = stress.Experiment.of(one.to_dict()["experiment"])
    assert again.book == one.experiment.book


def test_every_output_of_the_command_is_the_same_in_shards(command: Any, tmp_path: Path) -> None:
    told, pages = [], []
    for name, more in {"one": (), "shards": ("--shards", "2", "--address", "inline")}.items():
        page, out = tmp_path / f"{name}.html", tmp_path / name
        code, text, err = command(*COMMAND, *more, "--html", str(page), "--out", str(out), "--json")
        assert (code, err) == (0, "")
        told.append(besides_time(json.loads(text)))
        pages.append(len(page.read_text("utf-8").splitlines()))
    assert told[0] == told[1]
    assert pages[0] == pages[1]
    for file in sorted((tmp_path / "one").rglob("*.parquet")):
        other = tmp_path / "shards" / file.relative_to(tmp_path / "one")
        clock = pl.selectors.starts_with("seconds")
        one, apart = (pl.read_parquet(each).drop(clock) for each in (file, other))
        assert_frame_equal(apart, one, check_exact=True)
    assert "ray" not in sys.modules


def besides_time(told: Any) -> Any:
    """What is told, without seconds."""
    if isinstance(told, dict):
        return {k: besides_time(v) for k, v in told.items() if not k.startswith("seconds")}
    return [besides_time(each) for each in told] if isinstance(told, list) else told


def test_an_interrupt_keeps_the_steps_that_are_done() -> None:
    what: dict[str, Any] = {"book": SMALL, "scenario": "flash-crash"}

    def interrupt(said: str, done: int, _: int) -> None:
        if "marking" in said and done == 5:
            raise KeyboardInterrupt

    one = stress.run(**what, progress=interrupt)
    apart = stress.run(**what, progress=interrupt, shards=2, address="inline")
    assert len(apart.steps) == 5
    assert not apart.finished
    assert_frame_equal(frames(apart)["steps"], frames(one)["steps"], check_exact=True)


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--shards", "0"), "shards"),
        (("--shards", "2", "--seeds", "3"), "seeds"),
        (("--shards", "2", "--vary", "fund.share=0,0.1"), "vary"),
        (("--shards", "2", "--workers", "1"), "workers"),
        (("--shards", "2", "--executor", "ray"), "executor"),
        (("--shards", "2", "--pressure", "all"), "pressure"),
        (("--snapshots", "somewhere"), "snapshots"),
        (("--deadline", "5"), "deadline"),
        (("--threads", "2"), "threads"),
        (("--shards", "2", "--deadline", "0"), "deadline"),
        (("--shards", "2", "--threads", "0"), "threads"),
        (("--shards", "2", "--snapshots", "nowhere"), "snapshots"),
        (("--book", "nowhere"), "the book is read from a folder"),
    ],
)
def test_options_that_cannot_work_together_are_refused(command: Any, more: Any, said: str) -> None:
    code, out, err = command(*COMMAND, *more)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


@pytest.mark.parametrize("name", ["address", "snapshots", "deadline", "threads"])
def test_a_place_without_shards_is_refused(name: str) -> None:
    place: dict[str, Any] = {name: "inline"}
    with pytest.raises(InputError, match="how many shards") as refused:
        stress.run(book=SMALL, **place)
    assert refused.value.path == (name,)


def test_a_sweep_is_not_run_in_shards(command: Any, tmp_path: Path) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text('points = 3\n[vary]\n"fund.share" = { low = 0.001, high = 0.1 }\n')
    code, out, err = command("stress", str(file), "--shards", "2")
    assert (code, out) == (2, "")
    assert "leave out --shards" in err


def test_a_sweep_does_not_read_a_book(command: Any, dataset: str) -> None:
    code, out, err = command("stress", "--book", dataset, "--seeds", "2")
    assert (code, out) == (2, "")
    assert "a sweep draws its books" in err


def test_a_folder_without_a_book_is_refused(command: Any, tmp_path: Path) -> None:
    code, out, err = command("stress", "--book", str(tmp_path), "--shards", "2", "--address", "inline")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert str(tmp_path) in err


def test_ray_that_is_missing_is_named(command: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ray.py").write_text("raise ImportError('not here')")
    monkeypatch.syspath_prepend(str(tmp_path))
    code, out, err = command(*COMMAND, "--shards", "2")
    assert (code, out) == (2, "")
    assert "fastadl[ray]" in err
    assert child.__name__ in sys.modules


def test_a_cluster_that_is_not_there_is_refused(command: Any) -> None:
    code, out, err = command(*COMMAND, "--shards", "2", "--address", "127.0.0.1:1")
    assert (code, out) == (2, "")
    assert "address" in err


# ---------------------------------------------------------------------- on Ray


@NEEDS_RAY
@pytest.mark.jit
def test_a_crash_on_a_cluster_is_the_crash_in_one_place(
    cluster: str, folder: Path, command: Any, dataset: str
) -> None:
    arguments = ("stress", "--book", dataset, "--scenario", "flash-crash", "--json")
    _, one, _ = command(*arguments)
    code, apart, _ = command(*arguments, "--shards", "2", "--address", cluster)
    assert code == 0
    assert besides_time(json.loads(apart)) == besides_time(json.loads(one))
    assert "ray" not in sys.modules
    waited(lambda: not [line for line in processes_of(folder) if "Actor" in line])


@NEEDS_RAY
@pytest.mark.jit
def test_a_cluster_that_is_started_for_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    folders = []
    scratch = join.scratch

    def noted() -> Any:
        folders.append(scratch())
        return folders[-1]

    monkeypatch.setattr(join, "scratch", noted)
    before = dict(os.environ)
    what: dict[str, Any] = {"book": {**SMALL, "positions": 300}, "scenario": "flash-crash"}
    same(stress.run(**what), stress.run(**what, shards=2))
    assert os.environ == before
    for each in folders:
        waited(lambda each=each: not processes_of(each.name))
        assert not Path(each.name).exists()
