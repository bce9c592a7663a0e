"""Shards on Ray: the same answers, processes that are killed or stand still, nothing left behind."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastadl.cluster import join
from fastadl.errors import InputError, LateError, ShardError
from fastadl.sharded.engine import ShardedEngine
from fastadl.sharded.on_ray import RayLinks
from near_shards import book, figures, frames, on_links, part, walk
from ray_clusters import cluster, folder, processes_of, waited

__all__ = ["cluster", "folder"]

pytestmark = [
    pytest.mark.jit,
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None, reason='Ray is not installed: pip install "fastadl[ray]"'
    ),
]

OPTIONS: dict[str, Any] = {"fund": "1000", "policy": "bitmex", "shards": 2}


class Pair:
    """An engine with shards here, one with shards on Ray, and the marks they see."""

    def __init__(self, here: ShardedEngine, there: ShardedEngine, links: RayLinks) -> None:
        self.here, self.there, self.links = here, there, links
        self.path = iter(walk(here.marks, 100, 1))

    def same(self, ticks: int) -> None:
        for _ in range(ticks):
            marks = next(self.path)
            assert frames(self.there.tick(marks)) == frames(self.here.tick(marks))
        assert figures(self.there) == figures(self.here)

    @property
    def place(self) -> str:
        """What Ray keeps is there."""
        assert self.links._speaking is not None
        return self.links._speaking._cluster.folder

    def kill(self, shard: int, how: signal.Signals = signal.SIGKILL) -> None:
        os.kill(self.links._facts[shard].process, how)


@pytest.fixture(scope="module")
def pair(folder: Path) -> Iterator[Pair]:
    """On a cluster of their own, of which nothing is left in the end."""
    with (
        pytest.MonkeyPatch.context() as patch,
        on_links(patch, book(), OPTIONS, every=3, folder=folder) as (there, links),
    ):
        one = Pair(ShardedEngine(book(), **OPTIONS, address="inline"), there, links)
        places = [one.place]
        yield one
        places += [one.place, links._folder.name]
    for place in places:
        waited(lambda place=place: not processes_of(place))
        assert not Path(place).exists()


def test_shards_on_ray_give_the_same_answers(pair: Pair) -> None:
    pair.same(4)
    assert pair.links.restarts == 0
    assert "ray" not in sys.modules


def test_shards_that_are_killed_lose_nothing(pair: Pair) -> None:
    for shard in (0, 1):
        pair.kill(shard)
    pair.same(3)
    assert pair.links.restarts == 2


def test_a_shard_that_stands_still_has_the_tick_refused(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair.links, "_deadline", 2.0)
    stopped = pair.links._facts[1].process
    pair.kill(1, signal.SIGSTOP)
    with pytest.raises(LateError, match=r"^shard 1: no answer to mark in time$"):
        pair.there.tick(pair.here.marks * 0.6)
    monkeypatch.undo()
    pair.same(2)
    waited(lambda: not Path(f"/proc/{stopped}").exists())


def test_shards_outlive_their_cluster(pair: Pair) -> None:
    speaking = pair.links._speaking
    assert speaking is not None
    speaking._process.kill()
    pair.same(2)


def test_a_running_cluster_is_used_and_left_as_it_was(
    cluster: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(join, "PATIENCE", 120.0)
    with on_links(monkeypatch, book(), OPTIONS, address=cluster, folder=tmp_path, every=1) as (there, links):
        one = Pair(ShardedEngine(book(), **OPTIONS, address="inline"), there, links)
        one.same(2)
        one.kill(0)
        one.same(1)
        with pytest.raises(ShardError, match=r"^shard 0: figure failed there: AttributeError: .*nonsense"):
            links.all("figure", "nonsense")
        one.same(1)
        workers = [facts.process for facts in links._facts.values()]
    waited(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    assert not list(tmp_path.iterdir())


ERRORS = """
import ray
from ray import exceptions as errors
from fastadl.cluster.join import Cluster
from fastadl.sharded.relay import _Relay
relay = object.__new__(_Relay)
relay._ray, relay._cluster = ray, Cluster(None, ("shards", "ray"), "", 1.0)
failed = errors.RayTaskError("f", "Traceback\\nModuleNotFoundError: No module named 'fastadl'", ImportError())
for error in (
    errors.ActorDiedError(), errors.ActorUnavailableError("away", None), errors.OutOfMemoryError("all used"),
    errors.ActorDiedError(failed), errors.RuntimeEnvSetupError("no folder"),
):
    print(relay._why(error))
"""


def test_a_shard_that_is_lost_is_told_from_one_that_cannot_be_made() -> None:
    ran = subprocess.run([sys.executable, "-c", ERRORS], capture_output=True, text=True, check=True)
    *lost, imported, environment = ran.stdout.splitlines()
    gone = "Gone(why='its process is no more')"
    assert lost == [gone, gone, "Gone(why='for want of memory')"]
    assert "every node needs fastadl" in imported
    assert imported.endswith("No module named 'fastadl'")
    assert "every node needs fastadl" in environment


def test_without_ray_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ray.py").write_text("raise ImportError('no module')")
    policy = ShardedEngine(book(), **OPTIONS, address="inline").policy
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r'^shards: ray: .*: pip install "fastadl\[ray\]" brings it$'):
        RayLinks([part], policy)


def test_an_address_without_a_cluster_is_refused() -> None:
    policy = ShardedEngine(book(), **OPTIONS, address="inline").policy
    with pytest.raises(InputError, match=r"^address: 127.0.0.1:1: no Ray cluster to work with: .*refused"):
        RayLinks([part], policy, address="127.0.0.1:1")
