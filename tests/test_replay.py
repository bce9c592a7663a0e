"""A journal done again: what is equal, what is not and where, and what another policy would have done."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Any

import polars as pl
import pytest

import fastadl as fa
from fastadl.cli import main
from fastadl.errors import InputError, JournalError
from fastadl.journal import Journal, read, recovery, whole_snapshots
from fastadl.recording import replaying
from fastadl.recording.entries import difference
from faulty import Faulty
from journals import boundaries, contents, flip, segments
from live_calls import made, perform, state


def crash(folder: Path, *, policy: Any = "bitmex", fund: str = "0", ticks: int = 12, **journal: Any) -> Path:
    """A journal of a market that falls, with fills between ticks, and a snapshot after every third one."""
    with fa.LiveEngine.create(
        folder, **made(policy=policy, fund=fund), **{"disk": Faulty(), **journal}
    ) as engine:
        for number in range(ticks):
            engine.tick(engine.marks * (0.8, 0.8, 1.3)[number % 3], time=10 * number)
            engine.apply_fills({"account": ["a001", "a002"], "symbol": ["S0"] * 2, "lots": [1, -1],
                                "price": [engine.marks[0]] * 2})  # fmt: skip
            if number % 3 == 2:
                engine.snapshot()
    return folder


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return crash(tmp_path_factory.mktemp("journal") / "j")


def test_a_journal_is_equal_to_what_it_does_again(journal: Path) -> None:
    before, told = contents(journal), []
    found = fa.replay(journal, progress=lambda done, of: told.append((done, of)))
    assert (found.ok, found.equal, found.first, found.last) == (True, True, 1, 24)
    assert found.snapshots == (6, 12, 18, 24)
    assert found.hash == list(read(journal))[-1].hash
    assert found.engine.check().ok
    assert told == [(number, 24) for number in range(1, 25)]
    assert contents(journal) == before


def test_whatever_was_called_is_done_again(tmp_path: Path) -> None:
    with fa.LiveEngine.create(tmp_path / "j", **made(), disk=Faulty(), snapshot_every=15) as engine:
        for number in range(90):
            perform(engine, number, 3)
        last = state(engine)
    found = fa.replay(tmp_path / "j")
    assert found.ok
    assert len(found.snapshots) > 2
    assert difference(last, state(found.engine)) is None


@pytest.mark.parametrize("until", [0, 1, 7, 12, 23])
def test_only_so_far(until: int, journal: Path) -> None:
    found = fa.replay(journal, until=until)
    assert (found.ok, found.last) == (True, until)
    assert found.snapshots == tuple(n for n in (6, 12, 18, 24) if n <= until)
    assert found.engine._number == (until + 1) // 2 - 1


@pytest.mark.parametrize(("since", "first"), [(0, 1), (5, 1), (6, 7), (13, 13), (24, 25)])
def test_only_from_there(since: int, first: int, journal: Path) -> None:
    found = fa.replay(journal, since=since)
    assert (found.ok, found.first, found.last) == (True, first, 24)
    assert difference(state(found.engine), state(fa.replay(journal).engine)) is None


@pytest.mark.parametrize("name", ["until", "since"])
@pytest.mark.parametrize("entry", [25, -1])
def test_an_entry_that_is_not_there(name: str, entry: int, journal: Path) -> None:
    with pytest.raises(InputError, match="up to 24"):
        fa.replay(journal, **{name: entry})


def test_it_begins_before_it_ends(journal: Path) -> None:
    with pytest.raises(InputError, match="up to 8"):
        fa.replay(journal, since=9, until=8)


def test_what_is_no_journal_of_an_engine(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="no journal"):
        fa.replay(tmp_path)
    with Journal.create(tmp_path / "j") as other:
        other.append("note", {})
    with pytest.raises(JournalError, match="of an engine"):
        fa.replay(tmp_path / "j")


# ---------------------------------------------------------------------- what is not equal


def changed(source: Path, target: Path, change: Callable[[int, dict[str, Any]], None]) -> Path:
    """The same journal with other entries."""
    with Journal.create(target, disk=Faulty()) as written:
        written.snapshot(whole_snapshots(source)[0].read())
        for entry in read(source):
            change(entry.sequence, entry.payload)
            written.append(entry.kind, entry.payload, time=entry.time)
    return target


def _summary(sequence: int, payload: dict[str, Any]) -> None:
    if sequence == 9:
        payload["result.summary"] = payload["result.summary"].with_columns(pl.col("fund_paid") + 1)


def _missing(sequence: int, payload: dict[str, Any]) -> None:
    if sequence == 3:
        del payload["result.adl_fills"]


def _profit(sequence: int, payload: dict[str, Any]) -> None:
    if sequence == 6:
        payload["result"]["realized_pnl"] = [0, 1]


def _input(sequence: int, payload: dict[str, Any]) -> None:
    if sequence == 4:
        payload["input"]["fills"]["price"] = [500.0, 500.0]


def _refused(sequence: int, payload: dict[str, Any]) -> None:
    if sequence == 8:
        payload["input"]["fills"]["lots"] = [2, -1]


@pytest.mark.parametrize(
    ("change", "sequence", "kind", "what"),
    [
        (_summary, 9, "tick", "result.summary.fund_paid"),
        (_missing, 3, "tick", "result.adl_fills"),
        (_profit, 6, "apply_fills", "result.realized_pnl"),
        (_input, 4, "apply_fills", "result.far"),
        (_refused, 8, "apply_fills", "refused: fills, column lots: +1 lots of S0 in all"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_first_difference_is_named(
    change: Any, sequence: int, kind: str, what: str, journal: Path, tmp_path: Path
) -> None:
    found = fa.replay(changed(journal, tmp_path / "j", change))
    where = found.difference
    assert where is not None
    assert (where.sequence, where.kind, found.equal, found.ok) == (sequence, kind, False, False)
    assert where.what.startswith(what)
    assert found.last == where.sequence - 1
    with pytest.raises(JournalError, match=f"entry {where.sequence}, {where.kind}"):
        fa.LiveEngine.open(tmp_path / "j")


def test_a_snapshot_that_is_not_the_state_is_a_difference(journal: Path, tmp_path: Path) -> None:
    entries = list(read(journal))
    with Journal.create(tmp_path / "j", disk=Faulty()) as written:
        first = whole_snapshots(journal)[0].read()
        written.snapshot(first)
        for entry in entries[:6]:
            written.append(entry.kind, entry.payload)
        written.snapshot({**whole_snapshots(journal)[1].read(), "time": 21})
    found = fa.replay(tmp_path / "j")
    assert found.difference is not None
    assert (found.difference.sequence, found.difference.kind, found.difference.what) == (
        6,
        "snapshot",
        "time",
    )


def test_what_is_lost_is_told_and_the_rest_is_done(journal: Path, tmp_path: Path) -> None:
    folder = changed(journal, tmp_path / "j", lambda *_: None)
    (file,) = segments(folder)
    middle = file.stat().st_size // 2
    flip(file, middle, 3)
    found = fa.replay(folder)
    assert found.equal
    assert not found.ok
    assert 1 < found.last < 23
    assert len(found.lost) == 1


def test_an_entry_that_is_being_written_is_not_lost(journal: Path, tmp_path: Path) -> None:
    folder = changed(journal, tmp_path / "j", lambda *_: None)
    (file,) = segments(folder)
    file.write_bytes(file.read_bytes()[:-20])
    found = fa.replay(folder)
    assert (found.ok, found.last) == (True, 23)


def test_an_engine_may_be_running_meanwhile(tmp_path: Path) -> None:
    with fa.LiveEngine.create(tmp_path / "j", **made(), disk=Faulty()) as engine:
        for number in range(20):
            perform(engine, number)
            assert fa.replay(tmp_path / "j").last == engine.journal.sequence


def test_an_engine_may_forget_meanwhile(tmp_path: Path) -> None:
    engine = fa.LiveEngine.create(
        tmp_path / "j", **made(), disk=Faulty(), snapshot_every=3, keep=1, segment_bytes=2000
    )
    ended, done = Event(), []

    def running() -> None:
        while not ended.is_set():
            engine.deposit({"account": ["a001"], "amount": ["1"]})
            engine.mark(engine.marks)
            engine.deleverage()

    thread = Thread(target=running)
    thread.start()
    try:
        for _ in range(30):
            found = fa.replay(tmp_path / "j", until=None)
            assert found.ok, (found.difference, found.lost)
            done.append(found.last)
    finally:
        ended.set()
        thread.join()
        engine.close()
    assert done[-1] > done[0] + 3


def test_snapshots_may_be_others_by_the_time_they_are_read(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, listed = recovery.snapshots(journal), []

    def first_outdated(folder: Path) -> list[Path]:
        listed.append(folder)
        return [there[0].with_name("1".zfill(len(there[0].name)))] if len(listed) == 1 else there

    monkeypatch.setattr(recovery, "snapshots", first_outdated)
    assert [each.path for each in recovery.whole_snapshots(journal)] == there[::-1]


def test_all_snapshots_may_be_forgotten_once_it_is_known_how_far_a_journal_goes(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, asked = fa.replay(journal), []

    def first_none(folder: Path) -> list[Any]:
        asked.append(folder)
        return [] if len(asked) == 1 else recovery.whole_snapshots(folder)

    monkeypatch.setattr(replaying, "whole_snapshots", first_none)
    found = fa.replay(journal)
    assert len(asked) == 2
    assert (found.ok, found.first, found.last) == (True, expected.first, expected.last)


def test_what_was_forgotten_meanwhile_is_begun_anew(journal: Path, tmp_path: Path) -> None:
    folder, removed = tmp_path / "j", []
    shutil.copytree(journal, folder)

    def forgetting(done: int, of: int) -> None:
        if not removed and done == 3:
            removed.append(done)
            with Journal.open(folder) as written:
                written.forget(keep=2)

    found = fa.replay(folder, progress=forgetting)
    assert removed
    assert (found.ok, found.first, found.last) == (True, 19, 24)


def test_what_another_version_wrote_is_named(journal: Path, tmp_path: Path) -> None:
    entries, state = list(read(journal))[:2], whole_snapshots(journal)[0].read()
    cases = {
        "contents of format 2": ({**state, "contents": 2}, entries[0].payload),
        "contents of format None": (
            {name: part for name, part in state.items() if name != "contents"},
            entries[0].payload,
        ),
        "the snapshot: KeyError": (
            {name: part for name, part in state.items() if name != "settings"},
            entries[0].payload,
        ),
        "entry 1, tick: TypeError": (state, {**entries[0].payload, "input": {"unheard": 1}}),
    }
    for number, (told, (given, payload)) in enumerate(cases.items()):
        folder = tmp_path / str(number)
        with Journal.create(folder, disk=Faulty()) as written:
            written.snapshot(given)
            written.append("tick", payload)
        with pytest.raises(JournalError, match=told):
            fa.LiveEngine.open(folder)
        if told.startswith("entry"):
            where = fa.replay(folder).difference
            assert where is not None
            assert told in where.what
        else:
            with pytest.raises(JournalError, match=told):
                fa.replay(folder)


# ---------------------------------------------------------------------- what if


def test_the_same_policy_does_the_same(journal: Path) -> None:
    mine, other = fa.replay(journal, policy="bitmex").courses
    assert mine == other
    assert mine.adl_fills > 0
    assert mine.adl_value["USD"] > 0
    assert mine.refused == 0


def test_another_policy_does_what_it_does_from_the_beginning(journal: Path) -> None:
    policy = {"preset": "okx_2025", "allocation": "pro_rata_size"}
    found = fa.replay(journal, policy=policy)
    mine, other = found.courses
    engine, fills, accounts, uncovered = fa.Engine(**made(policy=policy, fund="0")), 0, set(), 0
    for entry in read(journal):
        if entry.kind == "tick":
            report = engine.tick(entry.payload["input.prices"], time=entry.payload["input"]["time"])
            fills += len(report.adl_fills)
            accounts |= set(report.adl_fills["counterparty"])
            uncovered += report.uncovered["amount"].sum()
        else:
            engine.apply_fills(entry.payload["input"]["fills"])
    assert (other.adl_fills, other.adl_accounts, other.uncovered) == (
        fills,
        len(accounts),
        {"USD": uncovered},
    )
    assert other.fund == {"USD": engine.reserves()["equity"][0]}
    assert (found.ok, mine.adl_fills != other.adl_fills) == (True, True)


@pytest.mark.parametrize(
    "policy", [{"trigger": "drawdown"}, {"space": "wealth", "session": 40, "socialization": "clawback"}]
)
def test_memories_of_another_policy_begin_anew(policy: Any, journal: Path, tmp_path: Path) -> None:
    found = fa.replay(journal, policy=policy, since=6)
    assert found.ok
    back = crash(tmp_path / "j", policy=policy, ticks=6)
    assert fa.replay(back, policy="bitmex", since=6).ok


def test_what_the_other_policy_refuses_is_counted(journal: Path, tmp_path: Path) -> None:
    with fa.LiveEngine.create(tmp_path / "j", **made(fund="0"), disk=Faulty()) as engine:
        engine.tick(engine.marks * 0.8)
        engine.tick(engine.marks * 0.8)
        rows = engine.book.to_frames()[2].filter(pl.col("lots") > 0)
        for row in rows.head(12).iter_rows(named=True):
            engine.deleverage_account(row["account"], row["symbol"], side="long", lots=row["lots"])
    mine, other = fa.replay(tmp_path / "j", policy={"allocation": "pro_rata_size"}).courses
    assert (mine.refused, mine.first_refused) == (0, None)
    assert other.refused > 0
    assert other.first_refused is not None
    assert other.first_refused.kind == "deleverage_account"


def test_a_policy_that_does_not_exist(journal: Path) -> None:
    with pytest.raises(fa.PolicyError, match="okx_2025"):
        fa.replay(journal, policy="okx_2052")


# ---------------------------------------------------------------------- the command


def test_the_command_says_what_was_found(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(journal)]) == 0
    shown = capsys.readouterr()
    assert "Equal: entries 1 to 24, 4 later snapshots" in " ".join(shown.out.split())
    assert "ADL fills" in shown.out
    assert shown.err == ""


def test_the_command_in_json(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--until", "20", "--from", "7", "--policy", "okx_2025", "--json"]
    assert main(["replay", str(journal), *arguments]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["first"], told["last"], told["equal"], told["lost"]) == (7, 20, True, [])
    assert [course["policy"]["score"] for course in told["courses"]] == ["bitmex", "okx"]
    assert set(told["courses"][0]["fund"]) == {"USD"}


def test_the_command_fails_where_something_differs(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", str(changed(journal, tmp_path / "j", _profit))]) == 1
    assert "entry 6, apply_fills: result.realized_pnl" in " ".join(capsys.readouterr().out.split())
    assert main(["replay", str(tmp_path / "nothing")]) == 2
    refused = capsys.readouterr()
    assert refused.out == ""
    assert "no journal" in refused.err
    assert main(["replay", str(journal), "--until", "99"]) == 2


def test_policies_stand_side_by_side(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(journal), "--policy", "hyperliquid_2025"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "as journaled what if" in shown
    assert "What if: " in shown


# ---------------------------------------------------------------------- damage


def deposits(folder: Path, entries: int = 5, *, snapshot: int = 0) -> Path:
    with fa.LiveEngine.create(folder, **made(), disk=Faulty()) as engine:
        for number in range(1, entries + 1):
            engine.deposit({"account": [f"a{number:03}"], "amount": ["1"]})
            if number == snapshot:
                engine.snapshot()
    return folder


def test_no_flipped_bit_is_equal(tmp_path: Path) -> None:
    folder, random = deposits(tmp_path / "j", snapshot=3), Random(4)
    kept = contents(folder)
    starts = [(file, end) for file, end in boundaries(folder).values()] + [
        (f.name, 64) for f in segments(folder)
    ]
    places = [(file, start + offset) for file, start in starts for offset in range(56)]
    places += [(path.name, o) for path in segments(folder) for o in range(0, path.stat().st_size, 37)]
    tried = 0
    for file, offset in random.sample(places, 220):
        if offset >= len(kept[file]):
            continue
        flip(folder / file, offset, random.randrange(8))
        assert not fa.replay(folder).ok, (file, offset)
        (folder / file).write_bytes(kept[file])
        tried += 1
    assert tried > 150
    assert fa.replay(folder).ok


@pytest.mark.parametrize(("entry", "found"), [(1, 4), (3, 2), (4, 1), (5, 0)])
@pytest.mark.parametrize("byte", [0, 1, 7])
def test_a_damaged_length_is_no_entry_being_written(
    entry: int, found: int, byte: int, tmp_path: Path
) -> None:
    folder = deposits(tmp_path / "j")
    (file,) = segments(folder)
    start = 64 if entry == 1 else boundaries(folder)[entry - 1][1]
    flip(file, start + byte, 3)
    replayed = fa.replay(folder)
    assert (replayed.equal, replayed.ok, replayed.last) == (True, False, entry - 1)
    assert replayed.lost[0].entries == found


def test_only_the_last_segment_ends_within_an_entry(tmp_path: Path) -> None:
    folder = deposits(tmp_path / "j", snapshot=3)
    first, last = segments(folder)
    whole = last.read_bytes()
    for size in range(boundaries(folder)[4][1], len(whole)):
        last.write_bytes(whole[:size])
        assert fa.replay(folder).ok, size
    for size in range(64):
        last.write_bytes(whole[:size])
        assert fa.replay(folder).ok, size
    last.write_bytes(whole[:40] + b"x")
    assert not fa.replay(folder).ok
    last.write_bytes(whole)
    first.write_bytes(first.read_bytes()[:-9])
    found = fa.replay(folder)
    assert (found.ok, found.equal, found.last, found.until) == (False, True, 2, 5)


def test_the_command_does_not_say_equal_of_a_journal_with_damage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = deposits(tmp_path / "j")
    flip(segments(folder)[0], boundaries(folder)[2][1], 6)
    assert main(["replay", str(folder)]) == 1
    assert "Not whole: what could be done is equal: entries 1 to 2" in " ".join(
        capsys.readouterr().out.split()
    )
