"""A recorded engine whose disk fails, that is interrupted or killed, and loses nothing acknowledged."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

import fastadl as fa
from fastadl.errors import JournalError
from fastadl.journal import ALWAYS, Fsync, verify
from fastadl.recording.entries import difference
from faulty import Crash, Faulty
from live_calls import made, perform, state
from test_live_engine import equal, live

# ---------------------------------------------------------------------- every write fails


@pytest.mark.slow
@pytest.mark.parametrize("how", ["EIO", "ENOSPC", "short", "full"])
def test_a_call_whose_entry_cannot_be_written_was_never_made(how: str, tmp_path: Path) -> None:
    folder, plain, failures = tmp_path / "j", fa.Engine(**made()), 0
    disk = Faulty(how=how)
    engine = live(folder, disk=disk, segment_bytes=4000)
    for number in range(30):
        for later in range(6):  # every call to the disk that this entry makes
            before, last, fails = state(engine), engine.journal.hash, disk.calls + later
            disk.fails_at, disk.how, disk.failed = fails, how, False
            try:
                result = perform(engine, number)[1]
            except JournalError as error:
                failures += 1
                disk.mend()
                assert difference(before, state(engine)) is None, number
                assert engine.journal.hash == last
                if "fsync failed" in str(error):
                    engine.close()
                    engine = fa.LiveEngine.open(folder, disk=disk, segment_bytes=4000)
                    assert difference(before, state(engine)) is None
            else:
                disk.mend()
                assert equal(result, perform(plain, number)[1])
                break
        assert difference(state(plain), state(engine)) is None
    engine.close()
    assert failures > 25
    assert engine.check().ok
    assert fa.replay(folder).ok


@pytest.fixture(scope="module")
def course() -> list[dict[str, Any]]:
    """The states after every entry of the calls below."""
    engine = fa.Engine(**made())
    states = [state(engine)]
    for number in range(CALLS):
        within = engine._tick is not None
        name, result = perform(engine, number)
        if not isinstance(result, str) and not (name == "liquidations" and within):
            states.append(state(engine))
    return states


CALLS = 25


@pytest.mark.slow
@pytest.mark.parametrize("fsync", [ALWAYS, Fsync(entries=3)], ids=["each", "every three"])
@pytest.mark.parametrize("power", [False, True], ids=["killed", "power lost"])
@pytest.mark.parametrize(("how", "part"), [("crash", 0.0), ("crash", 0.6), ("crash after", 1.0)])
def test_after_a_crash_in_any_call_nothing_acknowledged_is_lost(
    how: str, part: float, power: bool, fsync: Fsync, course: list[dict[str, Any]], tmp_path: Path
) -> None:
    random, tried = Random(f"{how}{part}{power}{fsync}"), 0
    options = {"fsync": fsync, "snapshot_every": 6, "keep": 1, "segment_bytes": 3000}
    for number in random.sample(range(15, 110), 8):
        folder, disk = tmp_path / str(number), Faulty(number, how, part)
        engine = None
        try:
            engine = live(folder, disk=disk, **options)
            for step in range(CALLS):
                perform(engine, step)
            engine.close()
        except Crash:
            tried += 1
        disk.die()
        if engine is None:
            continue
        acknowledged, durable = engine.journal.sequence, engine.journal.durable
        engine.journal._writer._lock.__exit__(None, None, None)
        if power:
            disk.lose_power(random)
            acknowledged = durable
        with fa.LiveEngine.open(folder, disk=Faulty(), **options) as engine:
            last = engine.journal.sequence
            assert acknowledged <= last <= engine.journal.sequence + 1
            assert difference(course[last], state(engine)) is None
            engine.open_accounts({"id": ["after the crash"]})
        assert fa.replay(folder).ok
    assert tried > 3


def test_a_call_that_is_interrupted_behind_its_entry_is_done_when_opened_again(tmp_path: Path) -> None:
    engine = live(tmp_path / "j")
    engine.mark(engine.marks)
    append = engine.journal.append

    def interrupted(*given: Any, **options: Any) -> int:
        append(*given, **options)
        raise KeyboardInterrupt

    engine.journal.append = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        engine.deposit({"account": ["a001"], "amount": ["2"]})
    for _ in range(2):
        with pytest.raises(JournalError, match="interrupted"):
            engine.deposit({"account": ["a001"], "amount": ["2"]})
    cash = int(engine.book.cash[1])
    engine.close()
    with fa.LiveEngine.open(tmp_path / "j") as engine:
        assert int(engine.book.cash[1]) == cash + 2_000_000


@pytest.mark.slow
def test_several_threads_are_recorded_in_the_order_they_come(tmp_path: Path) -> None:
    with live(tmp_path / "j", snapshot_every=10) as engine:
        engine.mark(engine.marks)
        errors: list[BaseException] = []

        def ticking() -> None:
            try:
                for step in range(15):
                    engine.tick(engine.marks * (1.02 if step % 2 else 0.98))
            except BaseException as error:
                errors.append(error)

        def trading() -> None:
            fill = {"account": np.array([0, 1]), "symbol": np.array([0, 0]), "lots": np.array([1, -1])}
            try:
                for _ in range(40):
                    engine.apply_fills({**fill, "price": np.array([10.0, 10.0])})
                    engine.deposit({"account": ["a001"], "amount": ["2"]})
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work) for work in (ticking, trading)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        last = state(engine)
    found = fa.replay(tmp_path / "j")
    assert found.ok
    assert found.last == 96
    assert len(found.snapshots) > 3
    assert difference(last, state(found.engine)) is None


# ---------------------------------------------------------------------- real kills

CHILD = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import fastadl as fa
from live_calls import made, perform
folder = Path(sys.argv[1])
warm = fa.Engine(**made())
for number in range(15):  # compiled code is at hand when it starts
    perform(warm, number)
options = dict(fsync=fa.journal.NEVER, snapshot_every=20, keep=3, segment_bytes=20_000)
sys.stdin.readline()
begin = fa.LiveEngine.open if folder.exists() else fa.LiveEngine.create
engine = begin(folder, **({} if folder.exists() else made()), **options)
os.write(1, b"%d\\n" % engine.journal.sequence)
number = 100 * engine.journal.sequence
while True:
    perform(engine, number)
    number = number + 1 if number // 100 == engine.journal.sequence else 100 * engine.journal.sequence
    os.write(1, b"%d\\n" % engine.journal.sequence)
"""


def children(folder: Path, kills: int) -> Iterator[subprocess.Popen[bytes]]:
    """Processes that wait to begin; the next one starts while one works, as starting takes longest."""
    command = [sys.executable, "-c", CHILD, str(folder), str(Path(__file__).parent)]
    pipe = subprocess.PIPE
    waiting = subprocess.Popen(command, stdin=pipe, stdout=pipe)
    for left in range(kills, 0, -1):
        child = waiting
        if left > 1:
            waiting = subprocess.Popen(command, stdin=pipe, stdout=pipe)
        yield child


def kill_in_a_loop(folder: Path, kills: int, seed: int) -> None:
    random, acknowledged = Random(seed), 0
    for child in children(folder, kills):
        with child:
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write(b"go\n")
            child.stdin.flush()
            first = int(child.stdout.readline())
            assert first >= acknowledged
            enough = first + random.randint(1, 12)
            lines = [next(line for line in child.stdout if int(line) >= enough)]
            killer = threading.Timer(random.uniform(0, 0.05), child.kill)
            killer.start()
            lines += child.stdout
            killer.join()
            acknowledged = int(next(line for line in reversed(lines) if line.endswith(b"\n")))
        assert child.returncode == -signal.SIGKILL
        assert verify(folder).last >= acknowledged
    with fa.LiveEngine.open(folder) as engine:
        last = engine.journal.sequence
        assert last >= acknowledged >= kills
        assert engine.check().ok
        done = state(engine)
    found = fa.replay(folder)
    assert (found.ok, found.last) == (True, last)
    assert difference(done, state(found.engine)) is None


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_ten_killed_engines_lose_nothing_acknowledged(tmp_path: Path) -> None:
    kill_in_a_loop(tmp_path / "j", 10, seed=1)


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
@pytest.mark.parametrize("seed", range(2, 12))
def test_hundreds_of_killed_engines_lose_nothing_acknowledged(seed: int, tmp_path: Path) -> None:
    kill_in_a_loop(tmp_path / "j", 50, seed)
