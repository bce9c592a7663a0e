"""What a journal may forget, and that it stays a journal whatever happens meanwhile."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import pytest

from fastadl.errors import JournalError
from fastadl.journal import NEVER, Journal, read, verify, whole_snapshots
from faulty import Crash, Faulty
from journals import FILLS, by_name, contents, flip, payload, same, segments, with_snapshots


def whole(folder: Path, last: int) -> int:
    """The journal is whole, and can be read from its first snapshot on; that snapshot's sequence."""
    found = verify(folder)
    assert (found.last, found.lost) == (last, ())
    begin = whole_snapshots(folder)[0].end.sequence
    assert begin >= found.first - 1
    entries = list(read(folder, after=begin))
    assert [entry.sequence for entry in entries] == list(range(begin + 1, last + 1))
    assert all(same(by_name(entry.payload), by_name(payload(entry.sequence))) for entry in entries)
    return begin


@pytest.mark.parametrize(("keep", "begin"), [(1, 9), (2, 6), (3, 3), (4, 0), (5, 0)])
def test_what_is_before_the_kept_snapshots_is_gone(keep: int, begin: int, tmp_path: Path) -> None:
    folder = with_snapshots(tmp_path / "j")
    with Journal.open(folder, fsync=NEVER) as journal:
        last = journal.hash
        assert journal.forget(keep=keep) == begin
        assert journal.forget(keep=keep) == begin
        assert whole(folder, 10) == begin
        assert [s.end.sequence for s in whole_snapshots(folder)] == [n for n in (0, 3, 6, 9) if n >= begin]
        assert len(segments(folder)) == (10 - begin + 2) // 3
        assert journal.append("kind", payload(11), time=11) == 11
    with Journal.open(folder) as journal:
        assert (journal.sequence, journal.lost) == (11, ())
        assert journal.restored.snapshot is not None
    assert verify(folder).first == begin + 1
    assert next(read(folder, after=9)).hash == last


def test_a_damaged_snapshot_is_none_of_those_kept(tmp_path: Path) -> None:
    folder = with_snapshots(tmp_path / "j")
    with Journal.open(folder) as journal:
        flip(folder / "snapshots" / f"{9:020d}" / "book.parquet", 10, 1)
        assert journal.forget(keep=1) == 6
        assert (folder / "snapshots" / f"{9:020d}").exists()
    with Journal.open(folder) as journal:
        assert journal.restored.snapshot is not None
        assert (journal.restored.snapshot.end.sequence, journal.sequence) == (6, 10)


@pytest.mark.parametrize("keep", [0, -1, True, 1.0, None])
def test_something_is_kept(keep: object, tmp_path: Path) -> None:
    folder = with_snapshots(tmp_path / "j")
    with Journal.open(folder) as journal:
        before = contents(folder)
        with pytest.raises(JournalError, match="1 or more"):
            journal.forget(keep=keep)  # type: ignore[arg-type]
        assert contents(folder) == before


@pytest.mark.parametrize("power", [False, True], ids=["killed", "power lost"])
@pytest.mark.parametrize("how", ["crash", "crash after", "EIO"])
def test_whatever_happens_meanwhile_a_journal_is_left(how: str, power: bool, tmp_path: Path) -> None:
    original = with_snapshots(tmp_path / "original")
    number, failures = 0, 0
    while True:
        folder = tmp_path / str(number)
        shutil.copytree(original, folder)
        disk = Faulty(how=how)
        journal = Journal.open(folder, fsync=NEVER, disk=disk)
        disk.fails_at = disk.calls + number
        try:
            journal.forget(keep=1)
        except JournalError:
            disk.mend()
            assert journal.append("kind", payload(11), time=11) == 11
            assert journal.forget(keep=1) == 9
            assert whole(folder, 11) == 9
            journal.close()
        except Crash:
            disk.die()
            journal._writer._lock.__exit__(None, None, None)
            if power:
                disk.lose_power(Random(number))
            for _ in range(2):
                with Journal.open(folder) as journal:
                    assert (journal.sequence, journal.lost) == (10, ())
                    assert not list(folder.rglob("*.part"))
            with Journal.open(folder) as journal:
                journal.append("kind", payload(11), time=11)
                journal.snapshot({"state": 11, "book": FILLS})
                assert journal.forget(keep=1) == 11
            assert verify(folder).lost == ()
        else:
            disk.mend()
            journal.close()
            break
        failures, number = failures + 1, number + 1
    assert failures > 10
