"""Shards on actors of this process that fail when a test says so, and engines on whatever links."""

from __future__ import annotations

import pickle
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from fastadl import Book, synth
from fastadl.sharded import actor, engine, on_ray
from fastadl.sharded.actor import Actor
from fastadl.sharded.engine import ShardedEngine
from fastadl.sharded.on_ray import RayLinks
from fastadl.sharded.relay import Begin, Call, End, Gone, Heard

#: What happens to a shard that is told something: it dies before or after it did it, never answers, does so
#: after its next commit, or takes all others with it; or nothing.
Fault = Callable[[int, str], str | None]


def book(seed: int = 1) -> Book:
    return synth.book("pareto", positions=1500, accounts=500, instruments=3, seed=seed)


def part() -> tuple[Book, Any]:
    """All of it, as the part of one shard."""
    whole = book()
    return whole, np.arange(len(whole.accounts))


def walk(marks: Any, ticks: int, seed: int) -> list[Any]:
    """Marks that go down and up, far enough for bankruptcies."""
    draws = np.random.default_rng(seed)
    return [marks * draws.uniform(0.75, 1.25, len(marks)) for _ in range(ticks)]


class Near:
    """Stands for `fastadl.sharded.speaking.Speaking`."""

    def __init__(self, fault: Fault, told: Counter[str]) -> None:
        self._fault, self._told = fault, told
        self._actors: dict[int, tuple[int, Actor]] = {}
        self._heard: deque[Heard] = deque()
        self._slow: list[tuple[Begin | Call, bytes | Gone]] = []
        self.gone = False

    def tell(self, messages: Sequence[Any]) -> None:
        for each in messages:
            if not self.gone:
                self._tell(each)

    def _tell(self, told: Begin | Call | End) -> None:
        if isinstance(told, End):
            self._actors.pop(told.shard, None)
            return
        if isinstance(told, Begin):
            one = Actor()
            self._actors[told.shard] = told.epoch, one
            self._do(told, "begin", lambda: one.begin(*told.given))
            return
        epoch, there = self._actors.get(told.shard, (-1, None))
        if there is None or epoch != told.epoch:
            self._answer(told, Gone("it was given up"))
            return
        what = told.what if told.what == "save" else pickle.loads(told.given)[0]  # type: ignore[arg-type]
        self._do(told, what, lambda: getattr(there, told.what)(told.given))

    def _do(self, told: Begin | Call, what: str, done: Callable[[], bytes]) -> None:
        self._told[what] += 1
        fault = self._fault(told.shard, what)
        answer: bytes | Gone = b"" if fault == "before" else done()
        if fault == "cluster":
            self.gone = True
        elif fault in ("before", "after"):
            self._actors.pop(told.shard)
            answer = Gone("as the test wants it")
        if fault == "slow":
            self._slow.append((told, answer))
        elif fault != "late":
            self._answer(told, answer)
        if what == "commit":
            for each in [each for each in self._slow if each[0].shard == told.shard]:
                self._slow.remove(each)
                self._answer(*each)

    def _answer(self, told: Begin | Call, answer: bytes | Gone) -> None:
        self._heard.append(Heard(told.shard, told.epoch, told.number, answer))

    def hear(self, timeout: float) -> Heard | None:
        if self.gone:
            raise EOFError
        if self._heard:
            return self._heard.popleft()
        time.sleep(timeout)
        return None

    def shard(self, number: int) -> Any:
        return self._actors[number][1]._shard

    def close(self) -> None:
        self._actors.clear()


class Faults:
    """Links whose shards are near; `fault` may be replaced at any time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fault: Fault = lambda shard, what: None
        self.told: Counter[str] = Counter()
        monkeypatch.setattr(on_ray, "Speaking", lambda *_: Near(lambda *what: self.fault(*what), self.told))
        monkeypatch.setattr(actor, "rehearse", lambda *_: None)


@contextmanager
def on_links(
    monkeypatch: pytest.MonkeyPatch, book: Book, options: dict[str, Any], **more: Any
) -> Iterator[tuple[ShardedEngine, RayLinks]]:
    """An engine whose shards are reached by `RayLinks`."""
    made: list[RayLinks] = []

    def links(parts: Any, policy: Any, *_: object, **__: object) -> RayLinks:
        made.append(RayLinks(parts, policy, **more))
        return made[0]

    with monkeypatch.context() as patch:
        patch.setattr(engine, "linked", links)
        one = ShardedEngine(book, **options)
    with made[0]:
        yield one, made[0]


def frames(report: Any) -> dict[str, Any]:
    """All that a report says, but how long it took."""
    found = {name: frame.to_dict(as_series=False) for name, frame in report.frames().items()}
    found["summary"] = {k: v for k, v in found["summary"].items() if not k.startswith("seconds_")}
    return found


def figures(engine: ShardedEngine) -> list[str]:
    """What shards add up, exactly."""
    links: Any = engine._links
    names = ("open_lots", "open_entries", "totals")
    return [repr(links.all("figure", name)) for name in names]
