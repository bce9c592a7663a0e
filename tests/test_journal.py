"""The journal: what is read back, order, clock, folders, snapshots, groups and when entries are forced."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zlib import crc32

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastadl.errors import InputError, JournalError
from fastadl.journal import ALWAYS, NEVER, Disk, Fsync, Journal, read, verify
from fastadl.journal.entry import encode
from faulty import Faulty
from journals import (
    FILLS,
    by_name,
    check,
    contents,
    filled,
    payload,
    same,
    segments,
)

# ---------------------------------------------------------------------- what is read back


def test_entries_are_read_back_as_they_were_given(tmp_path: Path) -> None:
    given = {
        "none": None,
        "flag": True,
        "wide": -(2**200),
        "exact": 0.1,
        "nan": float("nan"),
        "zero": -0.0,
        "text": 'ü "\n',
        "list": [1, [2.0], {}],
        "frame": FILLS,
        "nothing": FILLS.clear(),
        "empty": np.array([], dtype=np.uint64),
        "flags": np.array([True, False]),
        "codes": np.arange(5, dtype=np.int32)[::2],
    }
    with Journal.create(tmp_path / "j") as journal:
        assert journal.append("everything", given, time=7) == 1
        assert journal.append("nothing", {}, time=7) == 2
    first, second = read(tmp_path / "j")
    assert (first.sequence, first.time, first.kind) == (1, 7, "everything")
    assert same(by_name(first.payload), by_name(given))
    assert (second.sequence, second.kind, second.payload, second.hash) == (2, "nothing", {}, journal.hash)


def test_frames_are_the_same_bytes_whatever_they_were_made_of() -> None:
    ids, places = pl.Series("x", ["a", "b", "c"]), pl.Series([0, 2])
    masked = ids.gather(places.set(places < 0, None)).fill_null("none").to_frame()
    pieces = pl.concat([ids[:1], ids[2:]], rechunk=False).to_frame()
    bytes_of = {encode("x", {"frame": frame}) for frame in (ids.gather([0, 2]).to_frame(), masked, pieces)}
    assert len(bytes_of) == 1


def test_the_same_entries_have_the_same_hash_and_any_difference_another(tmp_path: Path) -> None:
    def of(name: str, kind: str = "k", time: int = 1, value: Any = 1) -> str:
        with Journal.create(tmp_path / name, fsync=NEVER, segment_bytes=len(name)) as journal:
            journal.append(kind, {"v": value}, time=time)
            journal.append("last", {}, time=9)
            return journal.hash

    assert of("a") == of("longer name")
    assert len({of("b"), of("c", kind="l"), of("d", time=2), of("e", value=1.0), of("f", value=True)}) == 5


@pytest.mark.parametrize(
    "value",
    [
        (1, 2),
        b"bytes",
        np.float64(1),
        {1: 2},
        {"a": {3}},
        "\ud800",
        10**5000,
        np.zeros((2, 2)),
        np.array(["a"]),
        np.array(1.0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_would_come_back_as_something_else_is_refused(value: Any, tmp_path: Path) -> None:
    with Journal.create(tmp_path / "j") as journal:
        before = contents(tmp_path)
        with pytest.raises(JournalError):
            journal.append("kind", {"value": value})
        assert (journal.sequence, contents(tmp_path)) == (0, before)
        assert journal.append("kind", {}) == 1


def test_objects_names_cycles_and_kinds_are_refused(tmp_path: Path) -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    with Journal.create(tmp_path / "j") as journal:
        for given in ({"f": pl.DataFrame({"o": [object()]})}, {1: 2}, {1: FILLS}, {"c": cycle}):
            with pytest.raises(JournalError):
                journal.append("kind", given)  # type: ignore[arg-type]
        with pytest.raises(JournalError):
            journal.append(7, {})  # type: ignore[arg-type]
        assert journal.sequence == 0


@given(st.lists(st.binary(max_size=40), max_size=8), st.data())
@settings(max_examples=60, deadline=None)
def test_reading_between_any_two_entries(texts: list[bytes], data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "j"
        with Journal.create(path, disk=Faulty(), segment_bytes=data.draw(st.integers(1, 600))) as journal:
            for text in texts:
                journal.append("text", {"text": text.hex()})
        after = data.draw(st.integers(0, len(texts)))
        until = data.draw(st.integers(0, len(texts) + 1))
        found = [entry.payload["text"] for entry in read(path, after=after, until=until)]
        assert found == [text.hex() for text in texts[after:until]]
        assert verify(path).lost == ()


# ---------------------------------------------------------------------- order and clock


@pytest.mark.parametrize("sequence", [0, 2, 4, -1, 2**70])
def test_a_sequence_number_that_is_not_the_next_is_refused(sequence: int, tmp_path: Path) -> None:
    with Journal.create(tmp_path / "j") as journal:
        journal.append("kind", {}, sequence=1)
        journal.append("kind", {}, sequence=2)
        before = contents(tmp_path)
        with pytest.raises(JournalError, match="the next is 3"):
            journal.append("kind", {}, sequence=sequence)
        assert contents(tmp_path) == before
        assert journal.append("kind", {}, sequence=3) == 3


@pytest.mark.parametrize("moment", [99, -1, 2**63, 100.0, True])
def test_a_clock_that_goes_back_is_refused(moment: Any, tmp_path: Path) -> None:
    with Journal.create(tmp_path / "j") as journal:
        journal.append("kind", {}, time=100)
        with pytest.raises(JournalError, match="give 100"):
            journal.append("kind", {}, time=moment)
        assert journal.append("kind", {}, time=100) == 2


def test_the_systems_clock_never_goes_behind_the_last_entry(tmp_path: Path) -> None:
    ahead = time.time_ns() + 10**15
    with Journal.create(tmp_path / "j") as journal:
        journal.append("kind", {}, time=ahead)
        journal.append("kind", {})
        assert journal.time == ahead
    with Journal.open(tmp_path / "j") as journal, pytest.raises(JournalError):
        journal.append("kind", {}, time=ahead - 1)


# ---------------------------------------------------------------------- folders


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "note").write_text("mine")
    for begin in (Journal.create, Journal.open):
        with pytest.raises(JournalError):
            begin(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["note"]


def test_a_journal_is_not_begun_on_another_nor_opened_where_none_is(tmp_path: Path) -> None:
    filled(tmp_path / "j")
    before = contents(tmp_path)
    with pytest.raises(JournalError, match="open the journal in it"):
        Journal.create(tmp_path / "j")
    for absent in (tmp_path / "no", tmp_path / "j" / ".lock"):
        for use in (Journal.open, verify, lambda path: list(read(path))):
            with pytest.raises(JournalError, match="no journal"):
                use(absent)
    assert contents(tmp_path) == before


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError):
        Journal.create(tmp_path / "file" / "j")


def test_one_writer_at_a_time_in_this_process_and_others(tmp_path: Path) -> None:
    folder = tmp_path / "j"
    program = f"from fastadl.journal import Journal\nJournal.open({str(folder)!r})"
    with Journal.create(folder) as journal:
        journal.append("kind", {})
        with pytest.raises(JournalError, match=f"in use by process {os.getpid()}"):
            Journal.open(folder)
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert "JournalError" in done.stderr
        assert "in use by process" in done.stderr
        assert verify(folder).last == 1
    with Journal.open(folder) as journal:
        assert journal.append("kind", {}) == 2


def test_a_closed_journal_refuses_and_closing_again_is_harmless(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path / "j")
    journal.close()
    journal.close()
    for use in (lambda: journal.append("kind", {}), journal.sync, lambda: journal.snapshot({})):
        with pytest.raises(JournalError, match="closed"):
            use()


def test_another_format_is_refused_and_not_taken_for_damage(tmp_path: Path) -> None:
    folder = filled(tmp_path / "j", 3)
    first = segments(folder)[0]
    data = bytearray(first.read_bytes())
    data[8:12] = (2).to_bytes(4, "little")
    data[60:64] = crc32(data[:60]).to_bytes(4, "little")
    first.write_bytes(data)
    before = contents(folder)
    for use in (Journal.open, verify, lambda path: list(read(path))):
        with pytest.raises(JournalError, match="format 2"):
            use(folder)
    assert contents(folder) == before


def test_a_folder_that_another_replaced_is_not_written_to(tmp_path: Path) -> None:
    folder = tmp_path / "j"
    with Journal.create(folder, segment_bytes=1) as journal:
        journal.append("kind", {})
        folder.rename(tmp_path / "old")
        Journal.create(folder).close()
        with pytest.raises(JournalError, match="another folder took its place"):
            journal.append("kind", {})


# ---------------------------------------------------------------------- groups and durability


class Counting(Disk):
    def __init__(self) -> None:
        self.writes = self.syncs = 0

    def write(self, descriptor: int, data: memoryview) -> int:
        self.writes += 1
        return super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        self.syncs += 1


@pytest.mark.parametrize(
    ("fsync", "syncs", "durable"),
    [
        (ALWAYS, 10, 10),
        (Fsync(entries=4), 2, 8),
        (NEVER, 0, 0),
        (Fsync(seconds=3600), 0, 0),
        (Fsync(entries=4, seconds=3600), 2, 8),
    ],
)
def test_entries_are_forced_as_the_caller_says(
    fsync: Fsync, syncs: int, durable: int, tmp_path: Path
) -> None:
    disk = Counting()
    with Journal.create(tmp_path / "j", fsync=fsync, disk=disk) as journal:
        before = disk.syncs
        for number in range(1, 11):
            journal.append("kind", payload(number))
        assert (disk.syncs - before, journal.durable) == (syncs, durable)
        journal.sync()
        assert journal.durable == 10


def test_a_thread_forces_entries_every_so_many_seconds(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "j", fsync=Fsync(seconds=0.01), segment_bytes=2000) as journal:
        for number in range(1, 40):
            journal.append("kind", payload(number))
        for _ in range(1000):
            if journal.durable == 39:
                break
            time.sleep(0.01)
        assert journal.durable == 39
    assert check(tmp_path / "j", 39).lost == ()


def test_what_a_thread_could_not_force_is_told_with_the_next_append(tmp_path: Path) -> None:
    class Unsure(Disk):
        def sync(self, descriptor: int) -> None:
            if threading.current_thread() is not threading.main_thread():
                raise OSError(5, "Input/output error")

    with Journal.create(tmp_path / "j", fsync=Fsync(seconds=0.001), disk=Unsure()) as journal:
        with pytest.raises(JournalError, match=r"fsync failed \(Input/output error\): entries after 0"):
            append_slowly(journal)
        assert journal.durable == 0


def append_slowly(journal: Journal) -> None:
    for number in range(1, 1000):
        journal.append("kind", payload(number))
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("entries", "seconds"), [(0, None), (-1, None), (None, 0), (None, -1), (None, float("nan"))]
)
def test_a_policy_that_means_nothing_is_refused(entries: int | None, seconds: float | None) -> None:
    with pytest.raises(InputError):
        Fsync(entries, seconds)


def append_two(journal: Journal, sequence: int) -> None:
    with journal.group():
        journal.append("kind", payload(6))
        journal.append("kind", payload(7), sequence=sequence)


def test_a_group_is_one_write_and_one_sync(tmp_path: Path) -> None:
    disk = Counting()
    with Journal.create(tmp_path / "j", disk=disk) as journal:
        before = disk.writes, disk.syncs
        with journal.group():
            numbers = [journal.append("kind", payload(number)) for number in range(1, 6)]
            assert (numbers, journal.sequence) == ([1, 2, 3, 4, 5], 0)
        assert (disk.writes, disk.syncs) == (before[0] + 1, before[1] + 1)
        assert (journal.sequence, journal.durable) == (5, 5)
        with pytest.raises(JournalError):
            append_two(journal, sequence=6)
        with pytest.raises(JournalError, match="a group within a group"), journal.group(), journal.group():
            pass
        with journal.group():
            pass
        assert journal.append("kind", payload(6)) == 6
    assert check(tmp_path / "j", 6).lost == ()


def test_one_thread_reads_while_another_appends(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "j", disk=Halves(), fsync=NEVER, segment_bytes=2000) as journal:

        def work() -> None:
            for number in range(1, 201):
                journal.append("kind", payload(number))

        writer = threading.Thread(target=work)
        writer.start()
        while writer.is_alive():
            last = journal.sequence
            assert [entry.sequence for entry in read(tmp_path / "j", until=last)] == list(range(1, last + 1))
        writer.join()


class Halves(Disk):
    """Writes in two pieces, with time to look between them."""

    def write(self, descriptor: int, data: memoryview) -> int:
        time.sleep(0.0005)
        return super().write(descriptor, data[: len(data) // 2 + 1])


def test_threads_append_one_at_a_time(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "j", fsync=NEVER, segment_bytes=2000) as journal:

        def work(name: str) -> None:
            for number in range(50):
                journal.append(name, {"number": number})

        threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    entries = list(read(tmp_path / "j"))
    assert len(entries) == 150
    for name in "abc":
        assert [entry.payload["number"] for entry in entries if entry.kind == name] == list(range(50))


@pytest.mark.parametrize(
    ("name", "value"),
    [("fsync", None), ("fsync", 1), ("segment_bytes", "x"), ("segment_bytes", 0), ("segment_bytes", True),
     ("folder", "a\0b"), ("folder", None)],
)  # fmt: skip
def test_options_that_cannot_be_are_named(name: str, value: Any, tmp_path: Path) -> None:
    options: dict[str, Any] = {"folder": tmp_path / "j", name: value}
    for way in (Journal.create, Journal.open):
        with pytest.raises(InputError) as error:
            way(**options)
        assert error.value.path == (name,)
    assert not (tmp_path / "j").exists()


@pytest.mark.parametrize(
    "options",
    [{"entries": "a"}, {"entries": 1.5}, {"entries": True}, {"entries": 0},
     {"seconds": "a"}, {"seconds": True}, {"seconds": float("nan")}],
)  # fmt: skip
def test_when_to_force_is_a_number(options: Any) -> None:
    with pytest.raises(InputError, match="fsync"):
        Fsync(**options)


@pytest.mark.parametrize("moment", [True, -1, -(2**63)])
def test_the_first_time_is_refused_for_what_it_is(moment: Any, tmp_path: Path) -> None:
    with Journal.create(tmp_path / "j") as journal:
        with pytest.raises(JournalError, match="give nanoseconds since"):
            journal.append("kind", {}, time=moment)
        assert journal.append("kind", {}, time=0) == 1


def test_a_clock_before_1970_tells_0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: -5)
    with Journal.create(tmp_path / "j") as journal:
        journal.append("kind", {})
        assert journal.time == 0
