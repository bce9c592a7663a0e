"""A coordinator with a journal: the entries of an engine in one piece; killed, it goes on."""

from __future__ import annotations

import importlib.util
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastadl as fa
from fastadl.errors import FastadlError, InputError, JournalError, ShardError
from fastadl.journal import NEVER, Journal
from fastadl.recording import recorded
from fastadl.sharded.links import Here
from fastadl.sharded.recording import LiveShardedEngine
from fastadl.sharded.writing import write_dataset
from live_calls import POLICIES, call, made
from near_shards import Faults
from ray_clusters import cluster, folder
from test_sharded_live import at_home
from uncompiled import fewer

__all__ = ["cluster", "folder"]


def clock() -> int:
    """Entries of the same calls have the same time."""
    return 0


def sharded(folder: Path, **options: Any) -> LiveShardedEngine:
    given = {"shards": 3, "address": "inline", "clock": clock, "fsync": NEVER}
    return LiveShardedEngine.create(folder, **{**made(), **given, **options})


def reopened(folder: Path, **options: Any) -> LiveShardedEngine:
    return LiveShardedEngine.open(folder, **{"address": "inline", "clock": clock, "fsync": NEVER, **options})


def ticks(engine: fa.Engine, many: int) -> None:
    """Far enough down and up for bankruptcies; the same for the same number of entries."""
    for _ in range(many):
        engine.tick(prices(engine))


def prices(engine: Any) -> Any:
    draws = np.random.default_rng(engine.journal.sequence)
    return 10 * draws.uniform(0.7, 1.3, len(engine.symbols))


def same(one: fa.Engine, many: fa.Engine) -> None:
    for expected, found in zip(
        (*one.frames(), one.reserves(), one.orders()),
        (*many.frames(), many.reserves(), many.orders()),
        strict=True,
    ):
        assert expected.equals(found)
    assert one._totals == many._totals
    assert one.check() == many.check()
    assert one.check().ok


# ---------------------------------------------------------------------- what is recorded


def side_by_side(tmp_path: Path, which: int, seed: int, calls: int) -> None:
    """Drawn calls of both, one of which is closed and opened again, after a snapshot or in a tick."""
    given, draws = {**POLICIES[which], "seed": seed}, random.Random(seed)
    one = fa.LiveEngine.create(tmp_path / "1", **made(**given), clock=clock, fsync=NEVER)
    many = sharded(tmp_path / "2", **made(**given), shards=1 + (which + seed) % 4)
    for number in range(calls):
        name, arguments = call(one, np.random.default_rng([seed, number]))
        refused = []
        for engine in (one, many):
            try:
                getattr(engine, name)(**arguments)
            except FastadlError as error:
                refused.append(type(error))
        assert len(refused) in (0, 2), (number, name)
        assert one.journal.hash == many.journal.hash, (number, name)
        if many._tick is None and draws.random() < 0.2 and many._snapped < many.journal.sequence:
            many.snapshot()
        if draws.random() < 0.15:
            many.close()
            many = reopened(tmp_path / "2")
            assert one.journal.hash == many.journal.hash
    same(one, many)
    one.close()
    many.close()


@pytest.mark.parametrize("which", [0, 2, 6])
def test_the_same_calls_have_the_same_hash(which: int, tmp_path: Path) -> None:
    side_by_side(tmp_path, which, seed=1, calls=fewer(20))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 22))
@pytest.mark.parametrize("which", range(len(POLICIES)))
def test_the_same_calls_have_the_same_hash_for_longer(which: int, seed: int, tmp_path: Path) -> None:
    side_by_side(tmp_path, which, seed, calls=80)


def test_a_call_whose_accounts_cannot_go_home_is_no_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sharded(tmp_path / "j") as engine:
        ticks(engine, 2)
        last, before = engine.journal.hash, engine.frames()
        with monkeypatch.context() as patch:
            each = Here.each

            def refuse(self: Here, what: str, given: Any) -> Any:
                if what == "come_back":
                    raise ShardError(0, "as the test wants it")
                return each(self, what, given)

            patch.setattr(Here, "each", refuse)
            with pytest.raises(ShardError):
                engine.deposit({"account": ["a001"], "amount": ["2"]})
        assert engine.journal.hash == last
        assert all(one.equals(other) for one, other in zip(before, engine.frames(), strict=True))
        engine.deposit({"account": ["a001"], "amount": ["2"]})
    with reopened(tmp_path / "j") as again:
        assert again.journal.sequence == 3
        assert again.check().ok


def test_a_dataset_is_recorded(tmp_path: Path) -> None:
    book = fa.synth.book("pareto", positions=600, accounts=200, instruments=3, seed=1)
    write_dataset(book, tmp_path / "d", shards=4)
    with sharded(tmp_path / "2", book=tmp_path / "d") as many:
        marks = many.marks
        many.tick(marks * 0.8)
        last = many.journal.hash
    with fa.LiveEngine.create(tmp_path / "1", book, fund="1000", clock=clock) as one:
        one.tick(marks * 0.8)
        assert one.journal.hash == last
        with reopened(tmp_path / "2") as many:
            same(one, many)


# ---------------------------------------------------------------------- snapshots


def sets(folder: Path) -> set[str]:
    """Entries of which there are snapshots of shards."""
    return {path.name.lstrip("0") or "0" for path in folder.glob("shards/*/snapshots/*")}


def test_snapshots_of_shards_go_with_that_which_names_them(tmp_path: Path) -> None:
    folder = tmp_path / "j"
    with sharded(folder, keep=1, snapshot_every=2) as engine:
        assert sets(folder) == {"0"}
        ticks(engine, 5)
        assert sets(folder) == {"4"}
        engine.snapshot()
        with pytest.raises(JournalError, match="a snapshot of entry 5 is there"):
            engine.snapshot()
        assert sets(folder) == {"5"}
        ticks(engine, 1)
    with reopened(folder) as engine:
        assert engine.journal.sequence == 6


@pytest.mark.parametrize("which", [0, 2])
def test_all_that_is_remembered_comes_back(which: int, tmp_path: Path) -> None:
    given = made(**POLICIES[which])
    one = fa.LiveEngine.create(tmp_path / "1", **given, clock=clock, fsync=NEVER)
    many = sharded(tmp_path / "2", **made(**POLICIES[which]))

    def both(name: str, **arguments: Any) -> None:
        for engine in (one, many):
            getattr(engine, name)(**arguments)
        assert one.journal.hash == many.journal.hash, name

    marks = np.where(np.isnan(one.marks), 10.0, one.marks)
    strict = [{"min_notional": "0", "maintenance_rate": "0.5"}]
    both("set_tiers", tiers=dict.fromkeys(one.symbols[:4], strict))
    both("mark", prices=marks * 0.93, time=10, oracle={"S0": "11.5"})
    both("order_liquidations", slice="0.4", slice_above={"USD": 1}, least=2)
    both("deleverage")
    both("open_accounts", accounts={"id": ["a0", "zzz"], "cash": ["250", "1"]})
    assert len(many._state.code)
    rank = many._state.book.rank.tolist()
    many.snapshot()
    many.close()
    many = reopened(tmp_path / "2")
    same(one, many)
    at_home(many)
    assert many._state.book.rank.tolist() == rank
    assert max(rank) >= len(rank)
    assert len(np.unique(many._state.part)) > 1
    assert one.accounts.to_list() == many.accounts.to_list()
    assert np.array_equal(one.equity(), many.equity())
    orders = one.orders()
    held = orders["account"].unique(maintain_order=True)
    both("deposit", transfers={"account": held, "amount": ["3"] * len(held)})
    both("open_accounts", accounts={"id": ["a00"], "cash": ["7"]})
    price = float(one.marks[one.symbols.index(orders["symbol"][0])])
    fill = {name: [orders[name][0]] for name in ("account", "symbol", "side", "lots", "order")}
    both("settle", executions={**fill, "price": [price]})
    both("tick", prices=marks * 0.9, time=30)
    both("cancel_orders", numbers=None)
    for step, factor in enumerate((0.85, 0.8, 1.2, 0.7)):
        both("tick", prices=marks * factor, time=40 + 20 * step)
    same(one, many)
    at_home(many)
    one.close()
    many.close()


def test_a_crash_between_the_snapshots_leaves_the_last_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "j"
    with sharded(folder, keep=1) as engine:
        ticks(engine, 2)

        def crash(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(Journal, "snapshot", crash)
            with pytest.raises(KeyboardInterrupt):
                engine.snapshot()
        (folder / "shards" / "1" / "snapshots" / "3.part").mkdir()
        before = engine.frames()
    with reopened(folder, keep=1) as engine:
        assert all(one.equals(other) for one, other in zip(before, engine.frames(), strict=True))
        assert sets(folder) == {"0", "2", "3.part"}
        engine.snapshot()
        assert sets(folder) == {"2"}


# ---------------------------------------------------------------------- refusals


def test_what_cannot_be_opened_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "j"
    with sharded(folder) as engine:
        ticks(engine, 1)
        with pytest.raises(JournalError, match="in use"):
            reopened(folder)
        with pytest.raises(JournalError, match="holds"):
            sharded(folder)
    with pytest.raises(InputError, match="shards: 2: leave it out: the journal is of 3"):
        reopened(folder, shards=2)
    with pytest.raises(JournalError, match="open it with LiveShardedEngine"):
        fa.LiveEngine.open(folder)
    with pytest.raises(JournalError, match="open it with LiveShardedEngine"):
        fa.replay(folder)
    with fa.LiveEngine.create(tmp_path / "1", **made()):
        pass
    with pytest.raises(JournalError, match="open it with LiveEngine"):
        reopened(tmp_path / "1")
    with monkeypatch.context() as patch:
        patch.setattr(recorded, "_CONTENTS", 2)
        with pytest.raises(JournalError, match="contents of format 1"):
            reopened(folder)
    with reopened(folder, shards=3) as engine:
        assert engine.journal.sequence == 1


@pytest.mark.parametrize("how", ["missing", "another", "changed"])
def test_snapshots_of_shards_that_are_not_whole_are_refused(how: str, tmp_path: Path) -> None:
    with sharded(tmp_path / "j") as engine:
        ticks(engine, 1)
    [place] = (tmp_path / "j" / "shards" / "2" / "snapshots").iterdir()
    manifest = place / "manifest.json"
    if how == "missing":
        place.rename(tmp_path / "away")
    elif how == "another":
        manifest.write_bytes((place.parents[2] / "0" / "snapshots" / place.name / manifest.name).read_bytes())
    else:
        data = place / "accounts.parquet"
        data.write_bytes(data.read_bytes()[:-1] + b"\0")
    message = {"missing": "is missing", "another": "is not the one", "changed": "accounts.parquet is not"}
    with pytest.raises(JournalError, match=message[how]):
        reopened(tmp_path / "j")
    if how == "missing":
        (tmp_path / "away").rename(place)
        reopened(tmp_path / "j").close()


def test_what_cannot_be_created_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="code is not in a journal"):
        sharded(tmp_path / "j", policy={"score": fa.score(lambda candidate: candidate.profit)})
    with pytest.raises(InputError, match="snapshot_every"):
        sharded(tmp_path / "j", snapshot_every=0)
    assert not (tmp_path / "j").exists()


# ---------------------------------------------------------------------- shards elsewhere


def test_a_lost_shard_is_made_again_from_the_last_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = Faults(monkeypatch)
    with (
        fa.LiveEngine.create(tmp_path / "1", **made(), clock=clock) as one,
        sharded(tmp_path / "2", address="near", keep=1) as many,
    ):
        links: Any = many._links
        ticks(one, 5)
        ticks(many, 2)
        many.snapshot()
        assert [links._log.history(shard) for shard in range(3)] == [[]] * 3
        ticks(many, 1)
        killed = {0, 2}

        def fault(shard: int, what: str) -> str | None:
            if what == "mark" and shard in killed:
                killed.remove(shard)
                return "before"
            return None

        faults.fault = fault
        ticks(many, 2)
        assert links.restarts == 2
        assert one.journal.hash == many.journal.hash
        same(one, many)


@pytest.mark.parametrize("fault", ["before", "after", "cluster"])
def test_a_shard_is_lost_while_it_writes_a_snapshot(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults, left = Faults(monkeypatch), [fault]
    with sharded(tmp_path / "j", address="near") as engine:
        ticks(engine, 2)
        faults.fault = lambda shard, what: left.pop() if left and (shard, what) == (1, "save") else None
        engine.snapshot()
        assert not left
        before = engine.frames()
    with reopened(tmp_path / "j") as again:
        assert again._snapped == 2
        assert all(one.equals(other) for one, other in zip(before, again.frames(), strict=True))


# ---------------------------------------------------------------------- real kills

CHILD = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_sharded_recording import made, reopened, sharded, ticks
folder, options = Path(sys.argv[1]), {"address": sys.argv[3], "snapshot_every": 5, "keep": 2}
engine = reopened(folder, **options) if folder.exists() else sharded(folder, **options)
while True:
    os.write(1, b"%d\\n" % engine.journal.sequence)
    ticks(engine, 1)
"""


def kill_in_a_loop(folder: Path, address: str, kills: int, seed: int) -> None:
    """Coordinators that are killed lose nothing that was acknowledged, and differ in nothing."""
    draws, acknowledged = random.Random(seed), 0
    for _ in range(kills):
        command = [sys.executable, "-c", CHILD, str(folder), str(Path(__file__).parent), address]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            first = int(child.stdout.readline())
            assert first >= acknowledged
            enough = first + draws.randint(1, 8)
            lines = [next(line for line in child.stdout if int(line) >= enough)]
            killer = threading.Timer(draws.uniform(0, 0.1), child.kill)
            killer.start()
            lines += child.stdout
            killer.join()
            acknowledged = int(next(line for line in reversed(lines) if line.endswith(b"\n")))
        assert child.returncode == -signal.SIGKILL
    with (
        reopened(folder, address=address) as many,
        fa.LiveEngine.create(folder.with_name("1"), **made(), clock=clock, fsync=NEVER) as one,
    ):
        assert many.journal.sequence >= acknowledged
        ticks(one, many.journal.sequence)
        assert one.journal.hash == many.journal.hash
        same(one, many)
        ticks(one, 1)
        ticks(many, 1)
        assert one.journal.hash == many.journal.hash


KILLS = pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")


@KILLS
@pytest.mark.jit
def test_killed_coordinators_lose_nothing(tmp_path: Path) -> None:
    kill_in_a_loop(tmp_path / "j", "inline", 2, seed=1)


@KILLS
@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 8))
def test_many_killed_coordinators_lose_nothing(seed: int, tmp_path: Path) -> None:
    kill_in_a_loop(tmp_path / "j", "inline", 20, seed)


@KILLS
@pytest.mark.jit
@pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason='Ray is not installed: pip install "fastadl[ray]"'
)
def test_a_killed_coordinator_of_shards_on_ray_goes_on(cluster: str, tmp_path: Path) -> None:
    kill_in_a_loop(tmp_path / "j", cluster, 1, seed=1)
