"""The journal, cut at any byte or with any bit flipped: the longest valid prefix, and what was lost."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import numpy as np
import pytest

from fastadl.errors import JournalError
from fastadl.journal import NEVER, Journal, read, verify
from journals import (
    FILLS,
    boundaries,
    by_name,
    check,
    contents,
    filled,
    flip,
    payload,
    same,
    segments,
    with_snapshots,
)

# ---------------------------------------------------------------------- cuts and flips


def test_a_file_cut_at_any_byte_gives_the_longest_valid_prefix(tmp_path: Path) -> None:
    folder = filled(tmp_path / "j", 7)
    kept, cuts = contents(folder), 0
    ends = boundaries(folder)
    for path in segments(folder):
        data = path.read_bytes()
        for size in range(len(data)):
            path.write_bytes(data[:size])
            whole = [
                last
                for last, (file, end) in ends.items()
                if file < path.name or (end <= size and file == path.name)
            ]
            found = verify(folder)
            assert found.last == max(whole, default=0), (path.name, size)
            at_the_very_end = path == segments(folder)[-1] and (path.name, size) in [
                *ends.values(),
                (path.name, 64),
            ]
            assert bool(found.lost) is not at_the_very_end, (path.name, size)
            cuts += 1
        path.write_bytes(data)
    assert cuts > 1500
    assert contents(folder) == kept


def test_a_flipped_bit_gives_the_longest_valid_prefix_and_opening_goes_on_from_there(tmp_path: Path) -> None:
    folder = filled(tmp_path / "j")
    kept, ends, random = contents(folder), boundaries(folder), Random(1)
    places = [(path.name, offset) for path in segments(folder) for offset in range(path.stat().st_size)]
    for name, offset in random.sample(places, 250):
        flip(folder / name, offset, random.randrange(8))
        expected = sum(1 for file, end in ends.values() if file < name or (file == name and end <= offset))
        found = verify(folder)
        assert found.last == expected, (name, offset)
        assert found.lost
        assert found.lost[0].file == name
        if random.random() < 0.2:
            reopened(folder, expected)
            shutil.rmtree(folder)
            folder.mkdir()
        for file, data in kept.items():
            (folder / file).write_bytes(data)


def reopened(folder: Path, last: int) -> None:
    """Opening keeps what is valid, puts the rest aside byte for byte, and the journal goes on."""
    before = sum(len(data) for data in contents(folder).values())
    lost = verify(folder).lost
    with Journal.open(folder, fsync=NEVER, segment_bytes=700) as journal:
        assert (journal.sequence, journal.lost) == (last, lost)
        aside = sum(path.stat().st_size for path in (folder / "lost").iterdir())
        assert aside == sum(loss.size for loss in lost)
        assert sum(len(data) for data in contents(folder).values()) - before in (0, 64)
        for number in range(last + 1, last + 4):
            assert journal.append("kind", payload(number)) == number
    assert check(folder, last + 3).lost == ()


def test_what_was_lost_is_told(tmp_path: Path) -> None:
    folder = filled(tmp_path / "j", segment_bytes=10**6)
    (path,) = segments(folder)
    _, end = boundaries(folder)[4]
    flip(path, end + 70, 0)
    (lost,) = verify(folder).lost
    assert (lost.file, lost.offset, lost.size) == (path.name, end, path.stat().st_size - end)
    assert lost.entries == 7  # the fifth of twelve is damaged
    assert "7 whole entries among them: an entry is not what was written, by its hash" in str(lost)
    entries = read(folder)
    assert [next(entries).sequence for _ in range(4)] == [1, 2, 3, 4]
    with pytest.raises(JournalError, match="ends with entry 4"):
        next(entries)


def test_a_missing_segment_ends_what_is_valid(tmp_path: Path) -> None:
    folder = filled(tmp_path / "j")
    second, third = segments(folder)[1:3]
    second.unlink()
    found = verify(folder)
    assert found.last == int(second.stem) - 1
    assert f"it follows on entry {int(third.stem) - 1}" in found.lost[0].reason
    reopened(folder, found.last)


def test_segments_of_two_journals_do_not_mix(tmp_path: Path) -> None:
    folder, other = filled(tmp_path / "a"), tmp_path / "b"
    with Journal.create(other, segment_bytes=700, fsync=NEVER) as journal:
        for number in range(1, 13):
            journal.append("kind", payload(number), time=number + 1)
    shutil.copy(segments(other)[1], segments(folder)[1])
    found = verify(folder)
    assert found.last == int(segments(folder)[1].stem) - 1
    assert found.lost[0].reason == "it does not follow on the segment before it, by its hash"


# ---------------------------------------------------------------------- snapshots


def test_recovery_begins_from_the_last_snapshot(tmp_path: Path) -> None:
    folder = with_snapshots(tmp_path / "j")
    assert check(folder, 10).snapshots == (0, 3, 6, 9)
    with Journal.open(folder) as journal:
        snapshot = journal.restored.snapshot
        assert snapshot is not None
        assert snapshot.end.sequence == 9
        assert same(by_name(snapshot.read()), by_name({"state": 9, "book": FILLS, "marks": np.arange(9)}))
        assert [entry.sequence for entry in journal.tail()] == [10]
        journal.append("kind", payload(11))
        assert [entry.sequence for entry in journal.tail()] == [10, 11]


def test_any_flipped_bit_of_a_snapshot_gives_the_one_before(tmp_path: Path) -> None:
    folder = with_snapshots(tmp_path / "j")
    last = folder / "snapshots" / f"{9:020d}"
    random = Random(2)
    places = [(path, offset) for path in sorted(last.iterdir()) for offset in range(path.stat().st_size)]
    for path, offset in random.sample(places, 200):
        data = path.read_bytes()
        flip(path, offset, random.randrange(8))
        found = verify(folder)
        assert (found.snapshots, found.last) == ((0, 3, 6), 10), (path.name, offset)
        assert found.lost[0].file == f"snapshots/{9:020d}"
        path.write_bytes(data)
    (last / "book.parquet").unlink()
    with Journal.open(folder) as journal:
        snapshot = journal.restored.snapshot
        assert snapshot is not None
        assert snapshot.read()["state"] == 6
        assert [entry.sequence for entry in journal.tail()] == [7, 8, 9, 10]
        assert journal.lost[0].reason.startswith("book.parquet")
    assert check(folder, 10).snapshots == (0, 3, 6)


def test_damage_before_a_snapshot_costs_no_state(tmp_path: Path) -> None:
    folder = with_snapshots(tmp_path / "j")
    flip(segments(folder)[1], 100, 0)
    found = verify(folder)
    assert (found.last, len(found.lost)) == (10, 1)
    with Journal.open(folder) as journal:
        assert (journal.sequence, journal.lost) == (10, ())
        journal.append("kind", payload(11))
    assert [entry.sequence for entry in read(folder, after=6)] == [7, 8, 9, 10, 11]


def test_entries_from_the_first_are_not_there_when_only_later_ones_are(tmp_path: Path) -> None:
    folder = with_snapshots(tmp_path / "j")
    for path in segments(folder)[:2]:
        path.unlink()
    assert (verify(folder).first, verify(folder).last) == (7, 10)
    with pytest.raises(JournalError, match="read after entry 6"):
        next(read(folder))
    with Journal.open(folder) as journal:
        assert journal.sequence == 10
    shutil.rmtree(folder / "snapshots")
    with pytest.raises(JournalError, match="no entry before 7"):
        Journal.open(folder)


def test_a_state_has_one_snapshot_and_bad_contents_change_nothing(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "j") as journal:
        journal.append("kind", payload(1))
        before = contents(tmp_path)
        for bad in ({"a/b": 1}, {"..": 1}, {"": 1}, {"a": (1,)}, {"a": np.zeros((1, 1))}, {3: 1}):
            with pytest.raises(JournalError):
                journal.snapshot(bad)  # type: ignore[arg-type]
        assert contents(tmp_path) == before
        journal.snapshot({"state": 1})
        before = contents(tmp_path)
        with pytest.raises(JournalError, match="a snapshot of entry 1 is there"):
            journal.snapshot({"state": 1})
        with journal.group(), pytest.raises(JournalError, match="within a group"):
            journal.snapshot({"state": 1})
        assert contents(tmp_path) == before


def test_a_snapshot_under_another_name_is_none(tmp_path: Path) -> None:
    folder = with_snapshots(tmp_path / "j")
    shutil.copytree(folder / "snapshots" / f"{3:020d}", folder / "snapshots" / f"{10:020d}")
    found = verify(folder)
    assert found.snapshots == (0, 3, 6, 9)
    assert found.lost[0].reason == "it is of entry 3, by its manifest"
