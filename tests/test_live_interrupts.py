"""Calls between ticks that are interrupted at any line: whole or undone, or refused until opened again."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastadl as fa
from fastadl.engine.live import face, fills
from fastadl.errors import JournalError
from fastadl.journal import NEVER
from fastadl.recording import recorded
from fastadl.recording.entries import difference
from live_calls import made, state
from test_live import batch


def interrupted_at(line: int, files: set[str], call: Callable[[], Any], within: str = "") -> bool:
    """Whether a call was interrupted, at so many lines of some files, or of functions of one name in them."""
    left = [line]

    def trace(frame: Any, event: str, _: Any) -> Any:
        code = frame.f_code
        if code.co_filename not in files or within not in ("", code.co_name):
            return None
        if event == "line":
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def fills_of(engine: fa.Engine) -> dict[str, Any]:
    """A batch that opens and closes rows, and trades with the fund."""
    given = batch(np.random.default_rng(5), engine.book, 6)
    more = {
        "account": [-1, 1],
        "symbol": [0, 0],
        "lots": [1, -1],
        "value_atoms": [5, -5],
        "fee_atoms": [0, 0],
    }
    return {name: np.append(column, np.array(more[name], column.dtype)) for name, column in given.items()}


def test_a_batch_of_fills_is_whole_or_undone_wherever_it_is_interrupted() -> None:
    engine = fa.Engine(**made(fund="1000"))
    given = fills_of(engine)
    engine.prepare_live()
    whole = engine.copy()
    whole.apply_fills(given)
    after, line, undone = state(whole), 1, 0
    while True:
        other = engine.copy()
        other.prepare_live()
        before = state(other)
        files = {face.__file__, fills.__file__}
        if not interrupted_at(line, files, lambda other=other: other.apply_fills(given)):  # type: ignore[misc]
            break
        undone += difference(before, state(other)) is None
        if difference(before, state(other)) is not None:
            assert difference(after, state(other)) is None, line
            assert line > 40
        assert other.check().ok
        line += 1
    assert undone > 40


@pytest.mark.slow
@pytest.mark.parametrize("name", ["apply_fills", "deposit", "tick"])
def test_a_recorded_call_that_is_interrupted_is_in_doubt_until_opened_again(
    name: str, tmp_path: Path
) -> None:
    line, doubts = 0, 0
    files = {recorded.__file__, face.__file__, fills.__file__}
    while True:
        line += 1
        folder = tmp_path / f"{name}{line}"
        engine = fa.LiveEngine.create(folder, **made(), fsync=NEVER)
        given: Any = {
            "apply_fills": (fills_of(engine),),
            "deposit": ({"account": ["a001"], "amount": ["2"]},),
            "tick": (engine.marks * 0.9,),
        }[name]
        engine.deposit({"account": ["a002"], "amount": ["1"]})
        before = state(engine)
        if not interrupted_at(line, files, lambda e=engine, g=given: getattr(e, name)(*g)):  # type: ignore[misc]
            engine.close()
            break
        if engine._broken:
            with pytest.raises(JournalError, match="interrupted"):
                engine.deposit({"account": ["a002"], "amount": ["1"]})
            doubts += 1
        else:
            engine.deposit({"account": ["a002"], "amount": ["1"]})
            assert engine.journal.sequence - 2 in (0, 1)
        held = state(engine) if not engine._broken else before
        broken = engine._broken
        engine.close()
        assert fa.replay(folder).ok
        with fa.LiveEngine.open(folder, fsync=NEVER) as opened:
            if not broken:
                assert difference(held, state(opened)) is None, line
    assert doubts > 5


def test_an_error_that_nobody_foresaw_leaves_no_engine_beside_its_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = fa.LiveEngine.create(tmp_path / "j", **made(), fsync=NEVER)

    def fails(*_: Any) -> Any:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(fills.Trading, "_trade_accounts", fails)
        with pytest.raises(MemoryError):
            engine.apply_fills(fills_of(engine))
    with pytest.raises(JournalError, match="apply_fills, after entry 0, was interrupted"):
        engine.deposit({"account": ["a001"], "amount": ["2"]})
    engine.close()
    with fa.LiveEngine.open(tmp_path / "j") as engine:
        engine.deposit({"account": ["a001"], "amount": ["2"]})
