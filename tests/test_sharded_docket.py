"""Accounts of many shards come to the docket at once, and are found there; shards have room on machines."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import fastadl as fa
from fastadl.cluster.join import Cluster
from fastadl.sharded.docket import Docket
from fastadl.sharded.moving import Moving, joined
from fastadl.sharded.relay import Begin, Order, _Relay, room

BOOK = fa.synth.book("pareto", positions=2000, accounts=800, instruments=4, seed=1)


def shown(shards: int) -> list[Moving]:
    """Everybody, by shard."""
    with fa.ShardedEngine(BOOK, shards=shards, address="inline") as engine:
        found: list[Moving] = engine._links.all("contents")
    return found


def test_the_docket_grows_once_a_call_however_many_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    grown: list[int] = []
    add = Docket._add
    monkeypatch.setattr(Docket, "_add", lambda self, *given: grown.append(len(given[1])) or add(self, *given))
    counts, fills = [], []
    for shards in (2, 16):
        with fa.ShardedEngine(BOOK, shards=shards, address="inline") as engine:
            fills.append(engine.tick(engine.marks * 0.8).adl_fills)
        counts.append(len(grown))
        grown.clear()
    assert len(fills[0]) > 0
    assert fills[1].equals(fills[0])
    assert counts[1] == counts[0]


def test_accounts_of_several_shards_are_what_they_were() -> None:
    parts = shown(5)
    whole = joined(parts)
    assert len(whole) == len(BOOK.slot)
    first = 0
    for part in parts:
        mine = slice(first, first + len(part))
        rows = slice(whole.start[mine.start], whole.start[mine.stop])
        for name in ("account", "code", "rank", "cash", "adl_tier"):
            np.testing.assert_array_equal(getattr(whole, name)[mine], getattr(part, name))
        for name in ("leg", "lots", "entry"):
            np.testing.assert_array_equal(getattr(whole, name)[rows], getattr(part, name))
        assert whole.id[mine].equals(part.id)
        first = mine.stop


@pytest.mark.parametrize(("name", "otherwise"), [("opening", 0), ("ended", 0), ("sliced", -1)])
def test_what_one_shard_alone_remembers_is_kept(name: str, otherwise: int) -> None:
    one, other = shown(2)
    kept: dict[str, Any] = {name: np.arange(len(other))}
    assert getattr(joined([one, other]), name) is None
    found = getattr(joined([one, replace(other, **kept)]), name)
    np.testing.assert_array_equal(found, [*[otherwise] * len(one), *range(len(other))])


def test_an_owner_that_one_shard_alone_has_is_kept() -> None:
    one, other = shown(2)
    found = joined([one, replace(other, trader=other.id.alias("owner").str.to_uppercase())]).trader
    assert found is not None
    assert found.to_list() == [*one.id, *(each.upper() for each in other.id)]


def test_accounts_are_found_by_their_places_at_home() -> None:
    parts = shown(6)
    with fa.ShardedEngine(BOOK, shards=6, address="inline") as engine:
        seen = engine._state.beside([part if i % 2 else None for i, part in enumerate(parts)])
        codes_of = seen.by_home()
        for i, part in enumerate(parts):
            asked = part.account[::-3] if i % 2 else part.account[:0]
            codes = codes_of(i, asked)
            np.testing.assert_array_equal(seen.part[codes], np.full(len(asked), i))
            np.testing.assert_array_equal(seen.home[codes], asked)
        assert len(codes_of(99, parts[0].account[:0])) == 0


@pytest.mark.parametrize(
    ("cores", "shards", "each"),
    [
        ([4, 4, 4], 3, 4.0),
        ([4, 4, 4], 4, 2.0),
        ([2, 6], 2, 3.0),
        ([2], 8, 0.25),
        ([1], 3, 0.333),
        ([0, 2], 1, 2.0),
        ([], 2, 1.0),
    ],
)
def test_every_shard_finds_a_machine_with_as_many_cores(cores: list[float], shards: int, each: float) -> None:
    assert room(cores, shards) == each


def test_a_shard_that_is_made_again_needs_no_cores_of_its_own() -> None:
    asked: list[float] = []

    class Remote:
        def __init__(self, **options: Any) -> None:
            self._options = options

        def options(self, **more: Any) -> Remote:
            return Remote(**{**self._options, **more})

        def remote(self) -> Any:
            asked.append(self._options["num_cpus"])
            return SimpleNamespace(begin=SimpleNamespace(remote=lambda *_: SimpleNamespace(future=Future)))

    ray = SimpleNamespace(
        nodes=lambda: [{"Alive": alive, "Resources": {"CPU": 4}} for alive in (True, False)],
        remote=lambda **options: lambda _: Remote(**options),
        kill=lambda _: None,
        exceptions=SimpleNamespace(RayError=RuntimeError),
    )
    relay = _Relay(ray, Order(Cluster("head:1", ("shards", "ray"), "", 1.0), 2, 8, None), BytesIO())
    for epoch, shard in enumerate((0, 1, 0)):
        relay.do(Begin(shard, epoch, epoch, ("", b"", ())))
    assert asked == [2, 2, 0]
