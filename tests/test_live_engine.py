"""An engine whose calls are recorded: nothing is forgotten, nothing is done twice, whatever fails."""

from __future__ import annotations

import shutil
import sys
from copy import copy
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import fastadl as fa
from fastadl.errors import InputError, JournalError, StageError
from fastadl.journal import Journal, read, verify, whole_snapshots
from fastadl.recording.engine import engine_of
from fastadl.recording.entries import arguments, difference, inputs, settled
from fastadl.recording.recorded import RECORDED, contents_of
from faulty import Faulty
from journals import contents
from live_calls import POLICIES, made, perform, state

#: What changes nothing; what is neither here nor recorded has been forgotten.
READING = {
    "accounts", "book", "cash", "check", "codes", "copy", "demand", "distances", "equity", "estimates",
    "explain",
    "exposures", "fork", "frames", "free_collateral",
    "in_liquidation", "initial_margin", "liquidation_distances",
    "left", "positions", "prepare_live",
    "lights", "maintenance_margin", "marks", "orders", "percentiles", "rank", "reserves", "symbols",
    "unit_values", "values",
}  # fmt: skip


def test_every_call_that_changes_an_engine_is_recorded() -> None:
    public = {name for name in dir(fa.Engine) if not name.startswith("_")}
    assert public - READING == set(RECORDED)


def equal(one: Any, other: Any) -> bool:
    """Whether two calls were refused alike, or did the same."""
    if isinstance(one, str) or isinstance(other, str):
        return bool(one == other)
    return difference(one, other) is None


# ---------------------------------------------------------------------- snapshots


@pytest.mark.parametrize("which", range(len(POLICIES)))
def test_a_restored_engine_goes_on_bit_equally(which: int) -> None:
    engine = fa.Engine(**made(**POLICIES[which]))
    other, restored, done = None, 0, 0
    for number in range(120):
        result = perform(engine, number, which)[1]
        done += not isinstance(result, str)
        if other is not None:
            assert equal(result, perform(other, number, which)[1]), number
        if number % 9 == 5:
            if other is not None:
                assert difference(state(engine), state(other)) is None, number
            if engine._tick is None:
                other, restored = engine_of(contents_of(engine)), restored + 1
    assert restored > 3
    assert done > 80
    assert engine.check().ok


# ---------------------------------------------------------------------- recording


def live(folder: Path, *, options: dict[str, Any] | None = None, **journal: Any) -> fa.LiveEngine:
    return fa.LiveEngine.create(folder, **made(**(options or {})), **{"disk": Faulty(), **journal})


@pytest.mark.parametrize("which", [0, 2, 6])
def test_an_engine_that_is_opened_again_is_the_one_that_was_closed(which: int, tmp_path: Path) -> None:
    folder, plain = tmp_path / "j", fa.Engine(**made(**POLICIES[which]))
    engine = live(folder, options=POLICIES[which])
    for number in range(75):
        before = engine.journal.sequence
        within = engine._tick is not None
        name, result = perform(engine, number, which)
        assert equal(result, perform(plain, number, which)[1])
        wrote = not isinstance(result, str) and not (name == "liquidations" and within)
        assert engine.journal.sequence - before == wrote
        if number % 25 == 24:
            engine.close()
            engine = fa.LiveEngine.open(folder, disk=Faulty())
            assert engine.lost == ()
            assert difference(state(engine), state(plain)) is None
    engine.close()
    kinds = {entry.kind for entry in read(folder)}
    assert kinds <= set(RECORDED)
    assert len(kinds) > 12


def test_a_refused_call_leaves_the_journal_as_it_is(tmp_path: Path) -> None:
    with live(tmp_path / "j") as engine:
        engine.mark(engine.marks)
        before, were = contents(tmp_path), state(engine)
        for refused in (
            lambda: engine.apply_fills(
                {"account": ["nobody"], "symbol": ["S0"], "lots": [1], "price": ["1"]}
            ),
            lambda: engine.tick({"S9": "1"}),
            lambda: engine.mark({"S0": "1"}, time=-5),
            lambda: engine.withdraw({"account": ["a000"], "amount": ["100000"]}),
            lambda: engine.open_accounts({"id": ["a000"]}),
        ):
            with pytest.raises(InputError):
                refused()
        with pytest.raises(TypeError):
            engine.deposit()  # type: ignore[call-arg]
        assert contents(tmp_path) == before
        assert difference(were, state(engine)) is None


def test_what_is_given_once_is_used_once(tmp_path: Path) -> None:
    with live(tmp_path / "j") as engine:
        engine.deposit(pl.LazyFrame({"account": ["a001"], "amount": ["2"]}))
        engine.mark(engine.marks)
        engine.deleverage()
        engine.cancel_orders(iter([]))
        cash = int(engine.book.cash[1])
    with fa.LiveEngine.open(tmp_path / "j") as engine:
        assert int(engine.book.cash[1]) == cash


def test_numbers_and_times_follow_on_the_last_entry(tmp_path: Path) -> None:
    with live(tmp_path / "j") as engine:
        with engine.numbered(1, time=50):
            engine.mark(engine.marks)
        before = state(engine)
        for sequence, time in (
            (1, None), (3, None), (0, None), (2.0, None), (True, None),
            (2, 49), (None, 2**63), (None, True), (None, 51.0),
        ):  # fmt: skip
            with pytest.raises(JournalError), engine.numbered(sequence, time=time):
                engine.deposit({"account": ["a001"], "amount": ["2"]})
        assert difference(before, state(engine)) is None
        with engine.numbered(2, time=50):
            engine.deleverage()
            with pytest.raises(JournalError, match="next is 3"):
                engine.mark(engine.marks)
            with pytest.raises(JournalError, match="before"), engine.numbered(3):
                pass
        engine.mark(engine.marks)
        assert engine.journal.sequence == 3
    assert [entry.time for entry in read(tmp_path / "j")][:2] == [50, 50]


def test_a_numbered_block_is_of_one_call(tmp_path: Path) -> None:
    with live(tmp_path / "j") as engine:
        with pytest.raises(JournalError, match="next is 1"), engine.numbered(True):
            engine.mark(engine.marks)
        with pytest.raises(JournalError, match="1970, from 0 on"), engine.numbered(time=-1):
            engine.mark(engine.marks)
        with engine.numbered(time=7):
            with pytest.raises(InputError):
                engine.deposit({"account": ["nobody"], "amount": ["2"]})
            engine.deposit({"account": ["a001"], "amount": ["2"]})
            with pytest.raises(JournalError, match="second call"):
                engine.deposit({"account": ["a001"], "amount": ["2"]})
        engine.mark(engine.marks)
        assert engine.journal.sequence == 2


def test_with_a_clock_of_its_own_the_same_calls_have_the_same_hash(tmp_path: Path) -> None:
    hashes = set()
    for name in ("a", "b"):
        ticking = iter([5, 4, 9, 12])
        with live(tmp_path / name, clock=lambda ticking=ticking: next(ticking)) as engine:
            engine.tick(engine.marks * 0.8)
            engine.deposit({"account": ["a001"], "amount": ["2"]})
            with engine.numbered(time=8):
                engine.deposit({"account": ["a001"], "amount": ["2"]})
        with fa.LiveEngine.open(tmp_path / name, clock=lambda ticking=ticking: next(ticking)) as engine:
            engine.mark(engine.marks)
            hashes.add(engine.journal.hash)
        assert [entry.time for entry in read(tmp_path / name)] == [5, 5, 8, 9]
    assert len(hashes) == 1
    with live(tmp_path / "c", clock=lambda: 1.5) as engine:
        with pytest.raises(JournalError, match="1970"):
            engine.mark(engine.marks)
        with engine.numbered(time=8):
            engine.mark(engine.marks)


def test_copies_and_forks_are_not_recorded(tmp_path: Path) -> None:
    with live(tmp_path / "j") as engine:
        for other in (engine.copy(), engine.fork("bitmex")):
            assert type(other) is fa.Engine
            other.mark(other.marks)
            other.deleverage()
        assert engine.journal.sequence == 0


def test_a_plain_copy_is_not_recorded(tmp_path: Path) -> None:
    with live(tmp_path / "j") as engine:
        other = copy(engine)
        assert type(other) is fa.Engine
        other.deposit({"account": ["a001"], "amount": ["2"]})
        assert engine.journal.sequence == 0
        assert int(engine.book.cash[1]) + 2_000_000 == int(other.book.cash[1])


def test_it_shows_its_journal(tmp_path: Path) -> None:
    with live(tmp_path / "j") as engine:
        engine.mark(engine.marks)
        assert repr(engine).endswith(f", entry 1 of {tmp_path / 'j'}>")
    assert "entry" not in repr(fa.LiveEngine(**made()))


@pytest.mark.parametrize(("name", "value"), [("policy", fa.AdlPolicy.of("okx_2025")), ("liquidity", None)])
def test_what_no_entry_tells_cannot_be_assigned(name: str, value: Any, tmp_path: Path) -> None:
    with live(tmp_path / "j") as engine:
        with pytest.raises(InputError, match=name):
            setattr(engine, name, value)
        engine.tick(engine.marks * 0.8)
        assert engine.policy == fa.AdlPolicy.of("bitmex")
    assert fa.replay(tmp_path / "j").ok


@pytest.mark.parametrize("error", [RuntimeError, MemoryError, JournalError, KeyboardInterrupt])
def test_a_snapshot_that_is_due_and_fails_is_no_failure_of_the_call(
    error: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = live(tmp_path / "j", snapshot_every=1)

    def fails(*_: Any) -> Any:
        raise error() if error is not JournalError else JournalError((), "full", "make room")

    with monkeypatch.context() as patch:
        patch.setattr(engine.journal, "snapshot", fails)
        if error is KeyboardInterrupt:
            with pytest.raises(KeyboardInterrupt):
                engine.tick(engine.marks * 0.9)
        else:
            engine.tick(engine.marks * 0.9)
    assert engine.journal.sequence == 1
    engine.tick(engine.marks * 0.9)
    last = state(engine)
    engine.close()
    found = fa.replay(tmp_path / "j")
    assert (found.ok, found.last, found.snapshots) == (True, 2, (2,))
    assert difference(state(found.engine), last) is None


@pytest.mark.skipif(sys.platform == "win32", reason="no file that is open can be removed")
@pytest.mark.parametrize("gone", [".lock", "."])
def test_nothing_is_written_where_the_lock_was_removed(gone: str, tmp_path: Path) -> None:
    engine = live(tmp_path / "j")
    engine.mark(engine.marks)
    were = state(engine)
    shutil.rmtree(tmp_path / "j") if gone == "." else (tmp_path / "j" / gone).unlink()
    with pytest.raises(JournalError, match="was removed"):
        engine.deposit({"account": ["a001"], "amount": ["2"]})
    assert difference(were, state(engine)) is None
    assert engine.journal.sequence == 1
    with pytest.raises(JournalError, match="was removed"):
        engine.close()
    engine.close()


def test_it_is_not_made_without_a_journal() -> None:
    engine = fa.LiveEngine(**made())
    with pytest.raises(StageError, match=r"LiveEngine\.create"):
        engine.mark(engine.marks)
    engine.close()


# ---------------------------------------------------------------------- what a journal can hold


def test_arguments_come_back_meaning_the_same() -> None:
    given = {
        "plain": {"a": "1.5", "b": Decimal("1E+3"), "c": Fraction(1, 3), "e": None, "f": np.float64(0.1)},
        "text": "x",
        "array": np.arange(3.0),
        "frame": pl.DataFrame({"a": [1, 2], "b": ["x", "y"]}),
        "lazy": pl.LazyFrame({"a": [1]}),
        "columns": {"a": np.array([1, 2], np.int32), "b": ["x", "y"], "c": pl.Series(["u", "v"])},
        "names": np.array(["u", "v"]),
        "series": pl.Series([1.5, 2.5]),
        "tiers": {"S": [{"min_notional": "0", "maintenance_rate": Decimal("0.01")}]},
        "flags": [True, np.True_],
        "objects": pl.DataFrame({"price": pl.Series([Decimal("1.5")], dtype=pl.Object)}),
    }
    back = arguments(inputs(settled(given)))
    assert back["plain"] == {"a": "1.5", "b": "1000", "c": Fraction(1, 3), "e": None, "f": 0.1}
    assert back["array"].dtype == np.float64
    assert back["frame"].equals(given["frame"])
    assert back["lazy"].equals(pl.DataFrame({"a": [1]}))
    assert back["columns"]["a"].dtype == np.int32
    assert (back["columns"]["b"], back["columns"]["c"].to_list()) == (["x", "y"], ["u", "v"])
    assert (back["names"], back["series"], back["flags"]) == (["u", "v"], [1.5, 2.5], [True, True])
    assert back["tiers"] == {"S": [{"min_notional": "0", "maintenance_rate": "0.01"}]}
    assert back["objects"] == {"price": ["1.5"]}
    assert back["text"] == "x"


def test_a_call_is_done_on_what_the_journal_will_read_back(tmp_path: Path) -> None:
    class Twice(dict[str, Any]):
        """Says something else the second time it is read."""

        def items(self) -> Any:
            self["amount"] = [str(int(self["amount"][0]) + 1)]
            return super().items()

    lots = pl.Series([1, -1], dtype=pl.Int128)
    fills = {
        "account": {"a001": 1, "a002": 2}.keys(),
        "symbol": ("S0", "S0"),
        "lots": lots,
        "value": [100, -100],
    }
    with live(tmp_path / "j") as engine:
        plain = fa.Engine(**made())
        engine.mark(engine.marks)
        plain.mark(plain.marks)
        objects = [Decimal("7.5"), Decimal(8)]
        price = pl.DataFrame({"account": ["a001", "a002"], "amount": pl.Series(objects, dtype=pl.Object)})
        for each in (engine, plain):
            each.deposit(price)
            each.apply_fills({**fills, "account": ["a001", "a002"]} if each is plain else fills)
            each.deposit({"account": ["a001"], "amount_atoms": np.array([5], np.int64)})
            each.deleverage()
        engine.cancel_orders(set())
        assert difference(state(engine), state(plain)) is None
        engine.deposit(Twice(account=["a001"], amount=["2"]))
        last = state(engine)
    assert fa.replay(tmp_path / "j").ok
    with fa.LiveEngine.open(tmp_path / "j") as engine:
        assert difference(state(engine), last) is None


@pytest.mark.parametrize(
    "amount",
    [
        np.ma.masked_array([2, 3], [False, True]),
        [np.longdouble(2), np.longdouble(3)],
        [b"2", b"3"],
        [object(), 1],
        {1: "2"},
        pl.Series([Decimal(2), object()], dtype=pl.Object),
        np.datetime64("2025-10-10"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_no_journal_can_hold_is_refused_before_anything_is_done(amount: Any, tmp_path: Path) -> None:
    with live(tmp_path / "j") as engine:
        were = state(engine)
        with pytest.raises(InputError, match="amount"):
            engine.deposit({"account": ["a001", "a002"], "amount": amount})
        assert (engine.journal.sequence, difference(were, state(engine))) == (0, None)
        engine.deposit({"account": ["a001"], "amount": ["2"]})


def test_values_within_values_without_end_are_refused(tmp_path: Path) -> None:
    deep: list[Any] = []
    deep.append(deep)
    with live(tmp_path / "j") as engine:
        with pytest.raises(InputError, match="deep"):
            engine.deposit({"account": ["a001"], "amount": deep})
        engine.mark(engine.marks)


@fa.score
def own(candidate: fa.Candidate) -> float:
    return candidate.lots


class OrderBook:
    fee, surplus, partial = Fraction(0), "fund", None

    def check(self, instruments: Any) -> None: ...

    def fits(self, demand: Any, instruments: Any) -> Any: ...


@pytest.mark.parametrize(
    "options", [{"policy": {"score": own}}, {"policy": {"then": [own]}}, {"liquidity": OrderBook()}]
)
def test_code_is_refused_before_anything_is_written(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="code is not in a journal"):
        live(tmp_path / "j", options=options)
    assert not (tmp_path / "j").exists()


@pytest.mark.parametrize(
    ("name", "value"), [("snapshot_every", 0), ("keep", 0), ("keep", 1.5), ("keep", True), ("clock", 5)]
)
def test_options_that_cannot_be(name: str, value: Any, tmp_path: Path) -> None:
    options: dict[str, Any] = {name: value}
    with pytest.raises(InputError, match=name):
        live(tmp_path / "j", **options)
    live(tmp_path / "j").close()
    with pytest.raises(InputError, match=name):
        fa.LiveEngine.open(tmp_path / "j", **options)


# ---------------------------------------------------------------------- folders


def test_folders_that_hold_something_else(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x")
    with pytest.raises(JournalError, match="holds x"):
        live(tmp_path / "full")
    with pytest.raises(JournalError, match="no journal"):
        fa.LiveEngine.open(tmp_path / "nothing")
    with Journal.create(tmp_path / "other") as journal:
        journal.append("note", {})
    with pytest.raises(JournalError, match="no snapshot of an engine"):
        fa.LiveEngine.open(tmp_path / "other")
    with live(tmp_path / "j"):
        with pytest.raises(JournalError, match="in use"):
            fa.LiveEngine.open(tmp_path / "j")
        with pytest.raises(JournalError):
            live(tmp_path / "j")
    with fa.LiveEngine.open(tmp_path / "j") as engine:
        engine.journal.append("tock", {"input": {}})
    with pytest.raises(JournalError, match="entry 1, tock"):
        fa.LiveEngine.open(tmp_path / "j")


def test_an_engine_that_could_not_be_created_leaves_nothing(tmp_path: Path) -> None:
    disk = Faulty()
    live(tmp_path / "whole", disk=disk).close()
    for number in range(disk.calls):
        disk = Faulty(number, "EIO")
        try:
            live(tmp_path / "j", disk=disk).close()
        except JournalError:
            disk.mend()
        else:
            assert disk.failed
            fa.LiveEngine.open(tmp_path / "j", disk=Faulty()).close()
            continue
        live(tmp_path / "j", disk=Faulty()).close()
        fa.LiveEngine.open(tmp_path / "j", disk=Faulty()).close()
        for path in sorted((tmp_path / "j").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()


def test_a_closed_engine_is_read_and_not_changed(tmp_path: Path) -> None:
    engine = live(tmp_path / "j")
    engine.mark(engine.marks)
    engine.close()
    engine.close()
    before = state(engine)
    with pytest.raises(JournalError, match="closed"):
        engine.deleverage()
    assert difference(before, state(engine)) is None
    assert len(engine.equity())


# ---------------------------------------------------------------------- automatic snapshots


def test_snapshots_come_by_themselves_and_old_ones_go(tmp_path: Path) -> None:
    with live(tmp_path / "j", snapshot_every=4, keep=2, segment_bytes=2000) as engine:
        with pytest.raises(JournalError, match="is there"):
            engine.snapshot()
        for number in range(80):
            perform(engine, number)
        within = engine._tick is not None
        last = state(engine)
    kept = [snapshot.end.sequence for snapshot in whole_snapshots(tmp_path / "j")]
    assert len(kept) == 2
    assert verify(tmp_path / "j").first == kept[0] + 1 > 20
    assert within or engine.journal.sequence - kept[1] < 4
    with fa.LiveEngine.open(tmp_path / "j") as engine:
        assert difference(last, state(engine)) is None
    assert fa.replay(tmp_path / "j").equal


def test_no_snapshot_within_a_tick(tmp_path: Path) -> None:
    with live(tmp_path / "j", snapshot_every=1) as engine:
        engine.mark(engine.marks)
        with pytest.raises(StageError, match="in progress"):
            engine.snapshot()
        engine.takeover()
        assert len(whole_snapshots(tmp_path / "j")) == 1
        engine.deleverage()
        assert [snapshot.end.sequence for snapshot in whole_snapshots(tmp_path / "j")] == [0, 3]


def test_a_call_does_not_fail_with_its_snapshot(tmp_path: Path) -> None:
    disk = Faulty()
    with live(tmp_path / "j", disk=disk, snapshot_every=2) as engine:
        engine.tick(engine.marks)
        disk.fails_at, disk.how = disk.calls + 3, "full"
        engine.tick(engine.marks)
        assert disk.failed
        disk.mend()
        engine.tick(engine.marks)
        engine.tick(engine.marks)
        assert [snapshot.end.sequence for snapshot in whole_snapshots(tmp_path / "j")] == [0, 4]
