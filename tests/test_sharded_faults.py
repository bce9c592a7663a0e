"""Shards that are lost, late or broken: a call ends as if nothing had happened, or as if it never was."""

from __future__ import annotations

import pickle
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fastadl.engine.live.room import room_of
from fastadl.errors import InputError, LateError, ShardError, StageError
from fastadl.io.accounts import read_accounts
from fastadl.io.table import Table
from fastadl.policy import VENUES
from fastadl.sharded import log as sharded_log
from fastadl.sharded import on_ray
from fastadl.sharded.engine import ShardedEngine
from fastadl.sharded.log import COMMIT, Log, message
from fastadl.sharded.on_ray import RayLinks
from fastadl.sharded.relay import Gone, Heard
from fastadl.sharded.shard import Shard
from fastadl.sharded.writing import write_dataset
from near_shards import Faults, book, figures, frames, on_links, part, walk
from uncompiled import fewer

#: A fund that runs dry, and one that never does.
POLICIES: dict[str, dict[str, Any]] = {
    "queue": {"fund": "1000", "policy": "bitmex"},
    "fund": {"fund": "100000000000", "policy": "bitmex"},
}
WHATEVER = ("mark", "rank", "go_on", "lend_chosen", "come_back", "commit", "save", "detected")
#: Policies of which each allocates otherwise; with -m soak, all.
SOME = ("deribit", "percolator", "risk_aware", "min_max", "quadratic_projection")
options = pytest.mark.parametrize("options", POLICIES.values(), ids=POLICIES)


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    return Faults(monkeypatch)


@contextmanager
def pair(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], **more: Any
) -> Iterator[tuple[ShardedEngine, ShardedEngine, RayLinks]]:
    """An engine with shards here, and one with shards that may fail."""
    given = {**options, "shards": 3}
    with on_links(monkeypatch, book(), given, **more) as (there, links):
        yield ShardedEngine(book(), **given, address="inline"), there, links


def same(here: ShardedEngine, there: ShardedEngine) -> None:
    assert figures(there) == figures(here)
    assert there.reserves().equals(here.reserves())


def once(what: str, fault: str, shard: int = 1) -> Callable[[int, str], str | None]:
    """The first time that a shard is told something."""
    left = [fault]
    return lambda who, told: left.pop() if left and (who, told) == (shard, what) else None


@options
def test_shards_far_away_give_the_same_answers(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, faults: Faults
) -> None:
    with pair(monkeypatch, options, every=3) as (here, there, links):
        for marks in walk(here.marks, 10, 1):
            assert frames(there.tick(marks)) == frames(here.tick(marks))
            same(here, there)
        assert links.restarts == 0
        assert faults.told["save"] > 3


@pytest.mark.parametrize("fault", ["before", "after", "cluster"])
def test_a_shard_may_be_lost_whatever_it_was_told(
    fault: str, monkeypatch: pytest.MonkeyPatch, faults: Faults
) -> None:
    with pair(monkeypatch, POLICIES["queue"], every=3) as (here, there, links):
        for seed, what in enumerate(WHATEVER):
            faults.fault, before = once(what, fault), links.restarts
            for marks in walk(here.marks, 20, seed):
                assert frames(there.tick(marks)) == frames(here.tick(marks))
                if links.restarts > before:
                    break
            assert links.restarts > before, what
        same(here, there)


@pytest.mark.parametrize(
    "preset", [pytest.param(name, marks=[] if name in SOME else pytest.mark.soak) for name in VENUES]
)
def test_losing_shards_at_random_loses_nothing_under_any_policy(
    preset: str, monkeypatch: pytest.MonkeyPatch, faults: Faults
) -> None:
    lose_at_random(monkeypatch, faults, {"fund": "1000", "policy": preset}, 4)


@options
@pytest.mark.parametrize("ticks", [fewer(30), pytest.param(200, marks=pytest.mark.soak)])
def test_losing_shards_at_random_loses_nothing(
    options: dict[str, Any], ticks: int, monkeypatch: pytest.MonkeyPatch, faults: Faults
) -> None:
    assert lose_at_random(monkeypatch, faults, options, ticks) > ticks // 5


def lose_at_random(
    monkeypatch: pytest.MonkeyPatch, faults: Faults, options: dict[str, Any], ticks: int
) -> int:
    """Lose shards during some ticks; how many were made again."""
    draws = random.Random(3)
    with pair(monkeypatch, options, every=5) as (here, there, links):
        faults.fault = lambda shard, what: (
            draws.choice(["before", "after", "cluster"]) if draws.random() < 0.02 else None
        )
        for marks in walk(here.marks, ticks, 3):
            assert frames(there.tick(marks)) == frames(here.tick(marks))
        faults.fault = lambda shard, what: None
        same(here, there)
        assert there.check().ok
        return links.restarts


def test_a_shard_is_lost_after_instruments_changed(monkeypatch: pytest.MonkeyPatch, faults: Faults) -> None:
    with pair(monkeypatch, POLICIES["queue"]) as (here, there, links):
        for engine in (here, there):
            engine.set_tiers({engine.symbols[0]: [{"min_notional": "0", "maintenance_rate": "0.3"}]})
        faults.fault = once("mark", "before")
        for marks in walk(here.marks, 2, 11):
            assert frames(there.tick(marks)) == frames(here.tick(marks))
        assert links.restarts == 1


def test_what_a_shard_cannot_do_again_is_told(monkeypatch: pytest.MonkeyPatch, faults: Faults) -> None:
    with pair(monkeypatch, POLICIES["queue"]) as (here, there, _):
        there.tick(here.marks)
        faults.fault = once("unmarked", "before")
        with monkeypatch.context() as patch:
            patch.setattr(Shard, "mark", lambda *_: {}["nothing"])
            with pytest.raises(ShardError, match=r"^shard 1: it could not be made: KeyError: 'nothing'$"):
                there._links.all("unmarked")
        here.tick(here.marks)
        same(here, there)


def test_what_reads_is_not_kept(monkeypatch: pytest.MonkeyPatch, faults: Faults) -> None:
    with pair(monkeypatch, POLICIES["queue"]) as (here, there, links):
        report = there.tick(here.marks * 0.8)
        repr(there), there.values(), there.estimates(), there.cash(), there.frames(), there.check()
        (
            there.positions(3),
            there.codes(accounts=there.accounts[:2].to_list()),
            report.frames(),
            there.reserves(),
        )
        assert not links._log._open


def test_a_shard_lost_too_often_has_the_tick_refused_and_the_next_one_done(
    monkeypatch: pytest.MonkeyPatch, faults: Faults
) -> None:
    with pair(monkeypatch, POLICIES["queue"]) as (here, there, _):
        path = walk(here.marks, 6, 4)
        for fault, marks in zip(("before", "after", "cluster"), path, strict=False):
            faults.fault = lambda shard, what, fault=fault: fault if (shard, what) == (1, "mark") else None
            with pytest.raises(ShardError, match=r"mark lost it 3 times"):
                there.tick(marks * 0.5)
            faults.fault = lambda shard, what: None
            same(here, there)
            assert frames(there.tick(marks)) == frames(here.tick(marks))


@pytest.mark.parametrize("what", ["mark", "go_on", "lend_chosen", "come_back"])
def test_a_late_shard_has_the_tick_refused_and_the_next_one_done(
    what: str, monkeypatch: pytest.MonkeyPatch, faults: Faults
) -> None:
    with pair(monkeypatch, POLICIES["queue"], deadline=0.05) as (here, there, _):
        path = walk(here.marks, 4, 5)
        for marks in path[:2]:
            frames(there.tick(marks)), frames(here.tick(marks))
        faults.fault = once(what, "late")
        with pytest.raises(LateError, match=rf"^shard 1: no answer to {what} in time$"):
            there.tick(path[2] * 0.6)
        same(here, there)
        assert there.marks.tolist() == here.marks.tolist()
        for marks in path:
            assert frames(there.tick(marks)) == frames(here.tick(marks))


def test_what_is_heard_of_a_process_that_was_given_up_is_not_taken_for_the_next_one(
    monkeypatch: pytest.MonkeyPatch, faults: Faults
) -> None:
    with pair(monkeypatch, POLICIES["queue"], deadline=0.05) as (here, there, links):
        faults.fault = once("mark", "late")
        near: Any = links._connected()
        epoch = links._epoch[1]
        with pytest.raises(LateError):
            there.tick(here.marks * 0.6)
        for marks in walk(here.marks, 2, 17):
            near._heard.append(Heard(1, epoch, -1, Gone("it ended at last")))
            assert frames(there.tick(marks)) == frames(here.tick(marks))
        assert faults.told["begin"] == 3 + 1


def test_a_shard_that_is_late_with_a_commit_is_only_late_for_what_comes_next(
    monkeypatch: pytest.MonkeyPatch, faults: Faults
) -> None:
    with pair(monkeypatch, POLICIES["queue"], deadline=0.05) as (here, there, _):
        for what in ("commit", "save"):
            faults.fault = once(what, "before")
            for marks in walk(here.marks, 3, 6):
                assert frames(there.tick(marks)) == frames(here.tick(marks))
        same(here, there)


def test_what_a_shard_refuses_is_raised_here_as_it_is(
    monkeypatch: pytest.MonkeyPatch, faults: Faults
) -> None:
    with pair(monkeypatch, POLICIES["fund"]) as (here, there, links):
        with pytest.raises(
            ShardError, match=r"^shard 0: figure failed there: AttributeError: .*nonsense"
        ) as e:
            links.all("figure", "nonsense")
        assert "Traceback" in e.value.__notes__[0]
        same(here, there)
        assert faults.told["begin"] == 3 + 1  # who knows what it left
        monkeypatch.setattr("fastadl.sharded.shard.Shard.unmarked", refuse)
        with pytest.raises(InputError, match=r"^fund: seventy: give a number$"):
            links.all("unmarked")


def refuse(_: Any) -> None:
    raise InputError(("fund",), "seventy", "give a number")


def test_an_interrupted_tick_never_was(monkeypatch: pytest.MonkeyPatch, faults: Faults) -> None:
    with pair(monkeypatch, POLICIES["queue"]) as (here, there, _):
        path = walk(here.marks, 3, 7)
        for what in ("mark", "go_on", "lend_chosen", "come_back"):
            faults.fault = lambda shard, told, what=what: (
                interrupted() if told == what and shard == 1 else None
            )
            with pytest.raises(KeyboardInterrupt):
                there.tick(path[0] * 0.7)
            faults.fault = lambda shard, what: None
            same(here, there)
        for marks in path:
            assert frames(there.tick(marks)) == frames(here.tick(marks))


def interrupted() -> None:
    raise KeyboardInterrupt


@contextmanager
def heeded(number: signal.Signals) -> Iterator[None]:
    """Raise KeyboardInterrupt, also where who started this process had it ignore the signal."""
    before = signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("what", ["commit", "rollback"])
def test_an_interrupt_comes_between_no_two_halves_of_a_tick(
    what: str, after: bool, monkeypatch: pytest.MonkeyPatch, faults: Faults
) -> None:
    decide, left = getattr(Log, what), [signal.SIGINT]

    def interrupted(log: Log) -> Any:
        if after:
            shards = decide(log)
        while left:
            signal.raise_signal(left.pop())
        return shards if after else decide(log)

    with pair(monkeypatch, POLICIES["queue"]) as (here, there, _), heeded(signal.SIGINT):
        path = walk(here.marks, 3, 15)
        for engine in (here, there):
            engine.tick(path[0])
        monkeypatch.setattr(Log, what, interrupted)
        if what == "rollback":
            faults.fault = lambda shard, told: "before" if (shard, told) == (1, "come_back") else None
        with pytest.raises(KeyboardInterrupt):
            there.tick(path[1] * 0.8)
        assert not left
        faults.fault = lambda shard, told: None
        if what == "commit":
            here.tick(path[1] * 0.8)
        same(here, there)
        assert there.marks.tolist() == here.marks.tolist()
        assert there.check() == here.check()
        assert frames(there.tick(path[2])) == frames(here.tick(path[2]))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_snapshot_that_cannot_be_written_does_not_matter(
    monkeypatch: pytest.MonkeyPatch, faults: Faults, tmp_path: Path
) -> None:
    with pair(monkeypatch, POLICIES["queue"], every=1, folder=tmp_path) as (here, there, links):
        path = walk(here.marks, 3, 8)
        with monkeypatch.context() as patch:
            patch.setattr("fastadl.sharded.actor.write", full)
            there.tick(path[0]), there.tick(path[1])
            figures(there)
        here.tick(path[0]), here.tick(path[1])
        assert links._log._first == [0, 0, 0]
        faults.fault = once("mark", "before")
        assert frames(there.tick(path[2])) == frames(here.tick(path[2]))
        assert links._log._first == [3, 3, 3]
    assert not list(tmp_path.iterdir())


def test_a_snapshot_that_cannot_be_written_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, faults: Faults
) -> None:
    monkeypatch.setattr("fastadl.sharded.actor.write", full)
    policy = ShardedEngine(book(), fund="0", shards=1, address="inline").policy
    with RayLinks([part], policy, every=1) as links:
        links.all("lend", np.array([0], np.int32))
        links.all("commit")
        with pytest.warns(RuntimeWarning, match=r"^no snapshot of shard 0: .*: OSError: disk full$"):
            links.all("unmarked")


def full(path: Path, what: object) -> None:
    raise OSError("disk full")


@pytest.mark.parametrize("how", ["missing", "torn", "changed"])
def test_a_snapshot_that_is_not_what_was_written_is_named(
    how: str, monkeypatch: pytest.MonkeyPatch, faults: Faults, tmp_path: Path
) -> None:
    with pair(monkeypatch, POLICIES["queue"], every=1, folder=tmp_path) as (here, there, _):
        for marks in walk(here.marks, 2, 12):
            frames(there.tick(marks)), frames(here.tick(marks))
        (file,) = tmp_path.glob("*/1-*.pickle")
        data = file.read_bytes()
        file.unlink()
        if how != "missing":
            file.write_bytes(data[:-9] if how == "torn" else data[:-9] + b"\0" + data[-8:])
        faults.fault = once("mark", "before")
        said = "No such file" if how == "missing" else "not what was written"
        with pytest.raises(InputError, match=rf"1-\d+\.pickle: .*{said}"):
            there.tick(here.marks)
        file.write_bytes(data)
        for marks in walk(here.marks, 2, 13):
            assert frames(there.tick(marks)) == frames(here.tick(marks))


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_shard_lost_with_its_snapshot_leaves_no_file(
    fault: str, monkeypatch: pytest.MonkeyPatch, faults: Faults, tmp_path: Path
) -> None:
    with pair(monkeypatch, POLICIES["queue"], every=2, folder=tmp_path) as (here, there, links):

        def lost(_: int, what: str) -> str | None:
            for *_, path in links._saves.values() if what == "save" else ():
                path.with_name(path.name + ".part").touch()
            return fault if what == "save" else None

        faults.fault = lost
        for marks in walk(here.marks, 6, 14):
            assert frames(there.tick(marks)) == frames(here.tick(marks))
        figures(there)
        assert links.restarts > 3
        assert sorted(path.name for path in tmp_path.glob("*/*")) == [
            "0.pickle",
            "1.pickle",
            "2.pickle",
            "seal",
        ]


def test_a_snapshot_that_is_slow_stands_for_what_came_before_it(
    monkeypatch: pytest.MonkeyPatch, faults: Faults
) -> None:
    with pair(monkeypatch, POLICIES["queue"], every=2) as (here, there, links):
        faults.fault = lambda shard, what: "slow" if what == "save" else None
        for tick, marks in enumerate(walk(here.marks, 8, 10)):
            if tick > 3:
                faults.fault = once("mark", "before", shard=tick % 3)
            assert frames(there.tick(marks)) == frames(here.tick(marks))
        same(here, there)
        assert links.restarts == 4


def test_a_shard_that_cannot_commit_is_made_again_as_it_was_to_be(
    monkeypatch: pytest.MonkeyPatch, faults: Faults
) -> None:
    commit, left = Shard.commit, [0]
    policy = ShardedEngine(book(), fund="0", shards=1, address="inline").policy
    monkeypatch.setattr(Shard, "commit", lambda shard: left.pop() / 0 if left else commit(shard))
    with RayLinks([part], policy) as links:
        lent = links.all("lend", np.array([0], np.int32))[0]
        links.all("commit")
        links.all("unmarked")
        assert links.all("lend", lent.account)[0] is None  # it has left for good
        assert faults.told["begin"] == 2


def test_a_shard_read_from_its_snapshot_grows_as_it_would_have() -> None:
    whole, codes = part()
    policy = ShardedEngine(book(), fund="0", shards=1, address="inline").policy
    one = Shard(whole, policy, codes)

    def open_two(shard: Shard, *ids: str) -> None:
        index, first = shard.state.book.index(), len(shard.codes)
        table = Table("new_accounts", {"id": ids, "cash": ["1", "2"]})
        new, _ = read_accounts(table, shard.state.instruments, index)
        codes = np.arange(first, first + 2)
        shard.open_accounts(new, codes.astype(np.int32), codes)
        shard.commit()

    room_of(one.state).add(1)
    open_two(one, "y", "z")
    other = pickle.loads(pickle.dumps(one))
    for shard in (one, other):
        mine = shard.state.book
        mine.rows.cash[mine.slot] += 7
        mine.adl_tier[:] = 3
        held = shard.state.totals()
        for rows in (1, 2, 3):
            room_of(shard.state).add(rows, 1 << 14)
        assert shard.state.totals() == held
        open_two(shard, "yy", "zz")
    assert other.state.totals() == one.state.totals()
    assert other.state.book.to_frames()[1].equals(one.state.book.to_frames()[1])


def test_snapshots_shorten_what_is_kept_and_old_ones_are_removed(
    monkeypatch: pytest.MonkeyPatch, faults: Faults, tmp_path: Path
) -> None:
    with pair(monkeypatch, POLICIES["queue"], every=2, folder=tmp_path) as (here, there, links):
        for marks in walk(here.marks, 12, 9):
            there.tick(marks)
        figures(there)
        (folder,) = tmp_path.iterdir()
        assert len(list(folder.glob("*.pickle"))) == 3
        assert len(links._log._kept) <= 2
        assert min(links._log._first) >= 10
    assert not list(tmp_path.iterdir())


def test_ids_of_a_dataset_are_not_all_kept(
    monkeypatch: pytest.MonkeyPatch, faults: Faults, tmp_path: Path
) -> None:
    write_dataset(book(), tmp_path / "d", shards=4, by="hash")
    monkeypatch.setattr(sharded_log, "_MOST", 100)
    most, told = 0, Log.told

    def noted(log: Log, shard: int, what: str, text: bytes) -> None:
        nonlocal most
        told(log, shard, what, text)
        kept = [each for all_told in (*log._kept, log._open) for own in all_told.values() for each in own]
        most = max(most, len({id(each) for each in kept if b"stand_among" in each}))

    monkeypatch.setattr(Log, "told", noted)
    given = {**POLICIES["queue"], "shards": 4}
    with on_links(monkeypatch, tmp_path / "d", given) as (there, _):
        assert faults.told["stand_among"] == 4 * 3
        assert most == 2  # of one shard, and of the one before, of which snapshots are being written
        faults.fault = once("mark", "before")
        here = ShardedEngine(tmp_path / "d", **given, address="inline")
        for marks in walk(here.marks, 2, 16):
            there.tick(marks), here.tick(marks)
        same(here, there)


def test_parts_of_different_books_are_refused(faults: Faults, tmp_path: Path) -> None:
    here = ShardedEngine(book(), fund="0", shards=1, address="inline")
    with pytest.raises(InputError, match=r"^shards, row 1: its instruments: give parts of one book"):
        RayLinks([part(), (synth_of_other_instruments(), np.arange(20))], here.policy, folder=tmp_path)
    assert not list(tmp_path.iterdir())


def synth_of_other_instruments() -> Any:
    from fastadl import synth

    return synth.book("pareto", positions=50, accounts=20, instruments=2, seed=1)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"deadline": 0}, r"^deadline: 0: give seconds above 0$"),
        ({"deadline": "soon"}, r"^deadline: soon: "),
        ({"every": 0}, r"^every: 0: give a whole number above 0$"),
        ({"folder": "/nowhere/at/all"}, r"^folder: /nowhere/at/all: give a folder to write to: "),
        ({"parts": []}, r"^shards: 0: give at least one part$"),
        ({"parts": ["a"]}, r"^shards, row 0: a: give a book and codes, or what gives them$"),
        (
            {"parts": [lambda: None]},
            r"^shards, row 0: .*: give a function that the process of the shard can import",
        ),
    ],
)
def test_what_cannot_be_is_named(given: dict[str, Any], said: str, faults: Faults) -> None:
    policy = ShardedEngine(book(), fund="0", shards=1, address="inline").policy
    with pytest.raises(InputError, match=said):
        RayLinks(**{"parts": [part()], "policy": policy, **given})


def test_a_folder_that_a_node_does_not_see_is_named(
    faults: Faults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_ray, "Path", Elsewhere)
    policy = ShardedEngine(book(), fund="0", shards=1, address="inline").policy
    with pytest.raises(InputError, match=r"^folder: .*: give a folder that every node"):
        RayLinks([part], policy, folder=tmp_path)


class Elsewhere(type(Path())):  # type: ignore[misc]
    """A folder of which nothing arrives elsewhere."""

    def touch(self, *_: Any, **__: Any) -> None:
        pass


def test_a_node_with_another_version_is_named(faults: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = ShardedEngine(book(), fund="0", shards=1, address="inline").policy
    monkeypatch.setattr(on_ray, "fastadl", SimpleNamespace(__version__="9"))
    with pytest.raises(InputError, match=r"^address: a node with fastadl .*: install fastadl 9 there"):
        RayLinks([part], policy)


def test_books_can_be_made_where_the_shard_is(faults: Faults) -> None:
    policy = ShardedEngine(book(), fund="0", shards=1, address="inline").policy
    with RayLinks([part, part], policy) as links:
        faults.fault = once("figure", "before")
        found = links.all("figure", "open_lots")
        assert found[0].tolist() == found[1].tolist()
        assert links.restarts == 1
    with pytest.raises(StageError, match="let go"):
        links.all("figure", "open_lots")


def test_a_log_keeps_what_changes_shards_until_their_snapshots() -> None:
    log, texts = Log(["a", "b"], 4), [message("mark", (n,)) for n in range(4)]
    log.told(0, "find", b"")
    assert log.commit() == []
    log.told(0, "mark", texts[0])
    log.told(1, "mark", texts[1])
    assert log.history(0, "mark") == []
    assert log.history(0, "find") == [texts[0]]
    assert log.rollback() == [0, 1]
    log.told(0, "mark", texts[2])
    assert log.commit() == [0]
    log.told(1, "mark", texts[3])
    assert log.commit() == [1]
    assert log.history(0) == [texts[2], COMMIT]
    log.cut(1, 2, "c")
    assert log.history(1) == []
    assert log.history(0) == [texts[2], COMMIT]
    log.cut(0, 1, "d")
    assert log.history(0) == []
    assert log.origins == ["d", "c"]
    assert np.array_equal(log._bytes, [0, 0])
