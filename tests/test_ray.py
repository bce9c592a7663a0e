"""Sweeps on Ray: the same results, one copy of a book, workers that die, clusters that are not there."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from fastadl import memory
from fastadl.cluster import join
from fastadl.errors import InputError, MemoryLimitError
from fastadl.sweep import Lost, Sweep, Trial, on_ray
from fastadl.sweep.on_ray import Ray
from ray_clusters import cluster, folder, processes_of, waited
from ray_trials import Scripted

__all__ = ["cluster", "folder"]

pytestmark = [
    pytest.mark.jit,
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None, reason='Ray is not installed: pip install "fastadl[ray]"'
    ),
]

TABLES = {"book": {"positions": 1000, "instruments": 2}, "scenario": {"name": "flash-crash"}}


def performed(work: Scripted, *seeds: int, address: str) -> dict[int, Any]:
    trials = [Trial(0, seed) for seed in seeds]
    return {trial.seed: found for trial, found in Ray(address=address).run(work, trials)}  # type: ignore[arg-type]


def test_a_cluster_of_its_own_gives_the_same_results_and_is_gone_afterwards(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = folder / "a"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", os.fspath(place))
    sweep = Sweep(TABLES, seeds=2, vary={"fund.share": ["0.0001", "0.01"]})
    there = sweep.run(executor="ray", workers=2)
    here = sweep.run(executor="local", workers=1)
    assert there.finished
    assert there.runs.equals(here.runs, null_equal=True)
    assert not processes_of(place)
    assert not list(place.iterdir())


def test_a_running_cluster_gives_the_same_results_with_a_book_that_all_share(cluster: str) -> None:
    tables = TABLES | {"book": {**TABLES["book"], "seed": 7}}
    sweep = Sweep(tables, seeds=4)
    there = sweep.run(executor="ray", address=cluster)
    assert there.finished
    assert there.runs.equals(sweep.run(executor="local", workers=1).runs, null_equal=True)


def test_a_shared_book_is_drawn_once_and_is_one_copy_in_shared_memory(cluster: str, tmp_path: Path) -> None:
    found = performed(Scripted(tmp_path, shared=True), 1, 104, 2, 3, address=cluster)
    assert len((tmp_path / "drawn").read_text().split()) == 1
    threads = {row for frame in found.values() for row in frame.row(0)}
    assert threads == {"1"}  # as many as each worker has


def test_a_trial_whose_worker_is_killed_is_begun_again_and_in_the_end_lost(
    cluster: str, tmp_path: Path
) -> None:
    work = Scripted(tmp_path)
    found = performed(work, 100, 101, 1, address=cluster)
    assert isinstance(found[100], pl.DataFrame)
    assert work.times(100) == 2
    assert found[101] == Lost("its worker was killed, 3 times")
    assert work.times(101) == 3
    assert isinstance(found[1], pl.DataFrame)


def test_what_a_worker_refuses_is_raised_here_as_it_is(cluster: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        performed(Scripted(tmp_path), 102, address=cluster)
    assert str(caught.value) == "fund: seventy: give a number"


def test_as_many_as_asked_for_run_at_a_time_and_closing_ends_them(cluster: str, tmp_path: Path) -> None:
    trials = [Trial(0, seed) for seed in (105, 105, 103)]
    with closing(Ray(1, cluster).run(Scripted(tmp_path), trials)) as results:  # type: ignore[arg-type, type-var]
        assert [next(results)[0].seed for _ in range(2)] == [105, 105]
        waited((tmp_path / "trial-103").exists)
    (worker,) = (tmp_path / "trial-103").read_text().split()
    waited(lambda: not Path(f"/proc/{worker}").exists())


def test_a_defect_in_a_worker_is_told_in_one_line(cluster: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"every node needs fastadl .*: no such thing$"):
        performed(Scripted(tmp_path), 106, address=cluster)


@pytest.mark.parametrize(
    ("address", "why"),
    [("127.0.0.1:1", "refused"), ("nobody.invalid:6379", "known"), ("nonsense", "Invalid address format")],
)
def test_an_address_without_a_cluster_is_refused(address: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"^address: {address}: no Ray cluster to work with: .*{why}"):
        performed(Scripted(tmp_path), 1, address=address)


def test_somebody_else_at_the_address_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(join, "PATIENCE", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(InputError, match=f"^address: {address}: .*: nothing there speaks Ray$"):
            performed(Scripted(tmp_path), 1, address=address)


def test_a_cluster_that_wants_a_token_says_so(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(join, "PATIENCE", 2.0)
    monkeypatch.delenv("RAY_AUTH_MODE")
    with pytest.raises(InputError, match=r"it wants its token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN "):
        performed(Scripted(tmp_path), 1, address=cluster)


def test_without_ray_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ray.py").write_text("raise ImportError('no module')")
    sweep = Sweep(TABLES)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r'^executor: ray: .*: pip install "fastadl\[ray\]" brings it$'):
        list(Ray(1).run(sweep.work, sweep.trials))


def test_more_workers_than_memory_allows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: 1 << 30)
    sweep = Sweep({"book": {"positions": 3_000_000}}, seeds=2)
    with pytest.raises(MemoryLimitError, match=r"^workers: 2: "):
        list(Ray(2).run(sweep.work, sweep.trials))


def test_ctrl_c_stops_a_cluster_of_its_own_and_keeps_what_is_done(folder: Path, tmp_path: Path) -> None:
    place, out = folder / "c", tmp_path / "out"
    place.mkdir()
    script = f"""
from fastadl.sweep import Sweep
result = Sweep({TABLES!r}, seeds=100_000).run(executor="ray", workers=1, out={os.fspath(out)!r})
print(result.finished, 0 < len(result.runs) < 100_000)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env=os.environ | {"TMPDIR": os.fspath(place)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    waited(lambda: list(out.glob("runs/*.parquet")))
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    assert process.communicate(timeout=120)[0] == "False True\n"
    assert process.returncode == 0
    assert not processes_of(place)
    assert not list(place.iterdir())


def test_if_the_process_that_uses_ray_is_killed_nothing_of_its_cluster_is_left(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = folder / "k"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", os.fspath(place))
    drivers: list[subprocess.Popen[bytes]] = []
    send = on_ray._send
    monkeypatch.setattr(on_ray, "_send", lambda *what: drivers.append(what[0]) or send(*what))
    sweep = Sweep(TABLES, seeds=100_000)
    with closing(Ray(1).run(sweep.work, sweep.trials)) as results:  # type: ignore[type-var]
        next(results)
        drivers[0].kill()
        with pytest.raises(InputError, match=r"^executor: ray: no Ray cluster to work with: it is gone$"):
            list(results)
    waited(lambda: not processes_of(place))
    assert not list(place.iterdir())
