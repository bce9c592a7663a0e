"""The journal, whatever call fails and whenever the process ends: nothing acknowledged is lost."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from fastadl.errors import JournalError
from fastadl.journal import ALWAYS, NEVER, Disk, Fsync, Journal, verify
from faulty import Crash, Faulty
from journals import (
    FILLS,
    check,
    contents,
    flip,
    payload,
    segments,
    with_snapshots,
)

# ---------------------------------------------------------------------- every call fails


def attempt(journal: Journal, tried: list[int], step: int) -> None:
    """One of the things that are done with a journal; what was acknowledged is its `sequence`."""
    last = journal.sequence
    if step % 4 == 3:
        tried.append(last + 2)
        with journal.group():
            for number in (last + 1, last + 2):
                journal.append("kind", payload(number), time=number)
    elif step % 7 == 5:
        journal.snapshot({"state": last, "book": FILLS})
    else:
        tried.append(last + 1)
        journal.append("kind", payload(last + 1), time=last + 1, sequence=last + 1)


STEPS = 13


def calls_of_a_run(folder: Path) -> list[str]:
    disk = Faulty()
    with Journal.create(folder, disk=disk, segment_bytes=500) as journal:
        for step in range(STEPS):
            attempt(journal, [], step)
    return disk.names


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> int:
    names = calls_of_a_run(tmp_path_factory.mktemp("calls") / "j")
    assert {"create", "write", "sync", "sync_folder", "rename", "make_folder", "close"} == set(names)
    return len(names)


@pytest.mark.parametrize("how", ["EIO", "ENOSPC", "short", "full"])
def test_after_any_failed_call_the_journal_is_unchanged_and_goes_on(
    how: str, calls: int, tmp_path: Path
) -> None:
    failures = 0
    for number in range(calls):
        folder = tmp_path / str(number)
        disk = Faulty(number, how)
        try:
            journal = Journal.create(folder, disk=disk, segment_bytes=500)
        except JournalError:
            disk.mend()
            journal = begun_again(folder, disk)
        try:
            for step in range(STEPS):
                before = journal.sequence, journal.hash
                try:
                    attempt(journal, [], step)
                except JournalError as error:
                    failures += 1
                    assert (journal.sequence, journal.hash) == before
                    disk.mend()
                    if "fsync failed" in str(error):
                        journal.close()
                        journal = Journal.open(folder, disk=disk, segment_bytes=500)
                        assert (journal.sequence, journal.hash) == before
                    attempt(journal, [], step)
        finally:
            journal.close()
        found = check(folder, journal.sequence)
        assert found.lost == ()
        assert not list(folder.rglob("*.part"))
    assert failures > calls / 3


def begun_again(folder: Path, disk: Disk) -> Journal:
    """A journal whose creation failed is created, or opened if that much is there."""
    if list(folder.glob("*.journal")):
        return Journal.open(folder, disk=disk, segment_bytes=500)
    return Journal.create(folder, disk=disk, segment_bytes=500)


def crashed(folder: Path, disk: Faulty, tried: list[int], fsync: Fsync) -> tuple[int, int, list[int]]:
    """Work until the process ends; what was acknowledged, what of it as durable, and the snapshots."""
    journal, snapshots = None, []
    try:
        journal = Journal.create(folder, fsync=fsync, disk=disk, segment_bytes=500)
        for step in range(STEPS):
            attempt(journal, tried, step)
            if step % 4 != 3 and step % 7 == 5:
                snapshots.append(journal.sequence)
        journal.close()
    except Crash:
        pass
    disk.die()
    if journal is None:
        return 0, 0, []
    journal._writer._lock.__exit__(None, None, None)
    return journal.sequence, journal.durable, snapshots


@pytest.mark.parametrize("fsync", [ALWAYS, Fsync(entries=4)], ids=["each", "every four"])
@pytest.mark.parametrize("power", [False, True], ids=["killed", "power lost"])
@pytest.mark.parametrize(
    ("how", "part"), [("crash", 0.0), ("crash", 0.3), ("crash", 0.9), ("crash after", 1.0)]
)
def test_after_a_crash_in_any_call_nothing_acknowledged_is_lost(
    how: str, part: float, power: bool, fsync: Fsync, calls: int, tmp_path: Path
) -> None:
    for number in range(calls):
        folder, tried, random = tmp_path / str(number), [0], Random(number)
        disk = Faulty(number, how, part)
        acknowledged, durable, snapshots = crashed(folder, disk, tried, fsync)
        if power:
            disk.lose_power(random)
            acknowledged = durable
        if not list(folder.glob("*.journal")):
            assert acknowledged == 0
            continue
        with Journal.open(folder, fsync=NEVER, segment_bytes=500) as journal:
            assert acknowledged <= journal.sequence <= max(tried)
            last = journal.sequence
            journal.append("kind", payload(last + 1), time=last + 1)
        found = check(folder, last + 1)
        assert found.lost == ()
        assert set(snapshots) <= set(found.snapshots)
        assert not list(folder.rglob("*.part"))


def test_after_a_crash_within_recovery_it_recovers(tmp_path: Path) -> None:
    folder = with_snapshots(tmp_path / "j")
    flip(segments(folder)[-1], 100, 0)
    flip(folder / "snapshots" / f"{9:020d}" / "book.parquet", 10, 1)
    flip(segments(folder)[-2], segments(folder)[-2].stat().st_size - 9, 1)
    kept = contents(folder)
    damaged = {
        (folder / loss.file).read_bytes()[loss.offset :]
        for loss in verify(folder).lost
        if "/" not in loss.file
    }
    damaged |= {kept[f"snapshots/{9:020d}/book.parquet"]}
    assert len(damaged) == 3
    for power in (False, True):
        for how in ("crash", "crash after"):
            number = 0
            while True:
                disk = Faulty(number, how)
                try:
                    Journal.open(folder, disk=disk).close()
                except Crash:
                    disk.die()
                if power:
                    disk.lose_power(Random(number))
                assert disk.dead or verify(folder).lost == ()
                with Journal.open(folder) as journal:
                    assert journal.sequence == 8
                check(folder, 8)
                aside = [path.read_bytes() for path in (folder / "lost").rglob("*") if path.is_file()]
                assert damaged <= set(aside)
                shutil.rmtree(folder)
                for file, data in kept.items():
                    (folder / file).parent.mkdir(parents=True, exist_ok=True)
                    (folder / file).write_bytes(data)
                if not disk.dead or disk.fails_at == disk.calls:
                    break
                number += 1
            assert number > 8


def test_an_interrupt_leaves_no_entry(tmp_path: Path) -> None:
    class Interrupted(Disk):
        armed = False

        def write(self, descriptor: int, data: memoryview) -> int:
            written = super().write(descriptor, data[:50] if self.armed else data)
            if self.armed:
                self.armed = False
                raise KeyboardInterrupt
            return written

    disk = Interrupted()
    with Journal.create(tmp_path / "j", disk=disk) as journal:
        journal.append("kind", payload(1))
        disk.armed = True
        with pytest.raises(KeyboardInterrupt):
            journal.append("kind", payload(2))
        assert journal.append("kind", payload(2)) == 2
    assert check(tmp_path / "j", 2).lost == ()


def test_when_not_even_cutting_works_the_next_append_mends(tmp_path: Path) -> None:
    class Stuck(Disk):
        stuck = False

        def write(self, descriptor: int, data: memoryview) -> int:
            if self.stuck and len(data) < 100:
                raise OSError(28, "No space left on device")
            return super().write(descriptor, data[: len(data) // 2] if self.stuck else data)

        def truncate(self, descriptor: int, size: int) -> None:
            if self.stuck:
                raise OSError(5, "Input/output error")
            super().truncate(descriptor, size)

    disk = Stuck()
    with Journal.create(tmp_path / "j", disk=disk) as journal:
        journal.append("kind", payload(1))
        disk.stuck = True
        for _ in range(3):
            with pytest.raises(JournalError):
                journal.append("kind", payload(2))
        assert verify(tmp_path / "j").last == 1
        disk.stuck = False
        assert journal.append("kind", payload(2)) == 2
    assert check(tmp_path / "j", 2).lost == ()


def test_what_a_failed_write_left_is_cut_at_the_latest_when_closing(tmp_path: Path) -> None:
    class Stuck(Faulty):
        stuck = False

        def write(self, descriptor: int, data: memoryview) -> int:
            if self.stuck:
                super().write(descriptor, data[:60])
                raise OSError(28, "No space left on device")
            return super().write(descriptor, data)

        def truncate(self, descriptor: int, size: int) -> None:
            if self.stuck:
                raise OSError(5, "Input/output error")
            super().truncate(descriptor, size)

        def remove(self, path: Path) -> None:
            if self.stuck:
                raise OSError(5, "Input/output error")
            super().remove(path)

    for segment_bytes in (10_000, 64):
        disk, folder = Stuck(), tmp_path / str(segment_bytes)
        with Journal.create(folder, disk=disk, segment_bytes=segment_bytes) as journal:
            journal.append("kind", payload(1))
            disk.stuck = True
            with pytest.raises(JournalError):
                journal.append("kind", payload(2))
            assert verify(folder).lost != ()
            disk.stuck = False
        assert check(folder, 1).lost == ()


def test_what_a_killed_process_left_is_forced_when_opening(tmp_path: Path) -> None:
    disk, folder = Faulty(), tmp_path / "j"
    journal = Journal.create(folder, disk=disk, fsync=NEVER)
    for number in range(1, 9):
        journal.append("kind", payload(number))
    disk.die()
    journal._writer._lock.__exit__(None, None, None)
    disk.dead = False
    with Journal.open(folder, disk=disk) as journal:
        assert journal.durable == 8
        disk.lose_power(Random(1))
    check(folder, 8)


def test_after_a_failed_fsync_a_journal_is_not_trusted_until_opened_again(tmp_path: Path) -> None:
    class Unsure(Disk):
        unsure = False

        def sync(self, descriptor: int) -> None:
            if self.unsure:
                raise OSError(5, "Input/output error")

    disk = Unsure()
    journal = Journal.create(tmp_path / "j", disk=disk, fsync=Fsync(entries=3))
    journal.append("kind", payload(1))
    journal.append("kind", payload(2))
    disk.unsure = True
    with pytest.raises(JournalError):
        journal.append("kind", payload(3))
    disk.unsure = False
    with pytest.raises(JournalError, match="entries after 0 may be off the device"):
        journal.append("kind", payload(3))
    journal.close()
    with Journal.open(tmp_path / "j", disk=disk) as journal:
        assert (journal.sequence, journal.durable) == (2, 2)


# ---------------------------------------------------------------------- real kills

CHILD = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from journals import FILLS, payload
from fastadl.journal import NEVER, Journal
folder = Path(sys.argv[1])
sys.stdin.readline()
begin = Journal.open if list(folder.glob("*.journal")) else Journal.create
journal = begin(folder, fsync=NEVER, segment_bytes=20_000)
while True:
    last = journal.sequence
    if last % 50 == 7 and not (folder / "snapshots" / f"{last:020d}").exists():
        journal.snapshot({"state": last, "book": FILLS})
    elif last % 11 == 3:
        with journal.group():
            journal.append("kind", payload(last + 1))
            journal.append("kind", payload(last + 2))
    else:
        journal.append("kind", payload(last + 1))
    os.write(1, b"%d\\n" % journal.sequence)
"""


def children(folder: Path, kills: int) -> Iterator[subprocess.Popen[bytes]]:
    """Processes that wait to append; the next one starts while one works, as starting takes longest."""
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
            first = child.stdout.readline()
            assert int(first) >= acknowledged
            killer = threading.Timer(random.uniform(0, 0.05), child.kill)
            killer.start()
            lines = [first, *child.stdout]
            killer.join()
            acknowledged = int(next(line for line in reversed(lines) if line.endswith(b"\n")))
        assert child.returncode == -signal.SIGKILL
        assert verify(folder).last >= acknowledged
    with Journal.open(folder) as journal:
        last = journal.sequence
    assert last >= acknowledged > kills
    assert check(folder, last).lost == ()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_twenty_killed_processes_lose_nothing_acknowledged(tmp_path: Path) -> None:
    kill_in_a_loop(tmp_path / "j", 20, seed=1)


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
@pytest.mark.parametrize("seed", range(2, 12))
def test_hundreds_of_killed_processes_lose_nothing_acknowledged(seed: int, tmp_path: Path) -> None:
    kill_in_a_loop(tmp_path / "j", 50, seed)


def test_an_interrupt_behind_a_new_segment_leaves_no_name_in_the_way(tmp_path: Path) -> None:
    class Interrupted(Faulty):
        armed = False

        def create(self, path: Path) -> int:
            descriptor = super().create(path)
            if self.armed and path.suffix == ".journal":
                self.armed = False
                self.close(descriptor)
                raise KeyboardInterrupt
            return descriptor

    disk = Interrupted()
    with Journal.create(tmp_path / "j", disk=disk) as journal:
        journal.append("kind", {})
        disk.armed = True
        with pytest.raises(KeyboardInterrupt):
            journal.snapshot({"state": 1})
        journal.append("kind", {})
        journal.snapshot({"state": 2})
        journal.append("kind", {})
    found = verify(tmp_path / "j")
    assert (found.last, found.lost) == (3, ())
