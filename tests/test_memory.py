"""A book that does not fit is refused before it is built, and says what it would take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastadl import Book, Engine, InputError, MemoryLimitError, memory, synth
from fastadl.cli import main


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> int:
    """A machine with a mebibyte to spare."""
    monkeypatch.setattr(memory, "available", lambda: 1 << 20)
    return 1 << 20


def test_a_synthetic_book_larger_than_memory_is_refused() -> None:
    if memory.available() is None:
        pytest.skip("what is free is not known here")
    with pytest.raises(MemoryLimitError, match=r"positions: .* takes [\d,.]+ GiB of memory and .* free: use"):
        synth.book("pareto", positions=2_000_000_000, accounts=2_000_000_000, instruments=3, seed=1)


def test_the_command_line_says_so_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stress", "--positions", "1000000000000"]) == 2
    assert capsys.readouterr().err.startswith("book, column positions: 1000000000000: ")
    if memory.available() is not None:
        assert main(["stress", "--positions", "2000000000"]) == 2
        assert "GiB of memory" in capsys.readouterr().err


def test_frames_larger_than_memory_are_refused(little: int) -> None:
    rows = little // 42 + 1
    tiers = [[{"min_notional": "0", "maintenance_rate": "0.01"}]]
    listed = {"symbol": ["X"], "kind": ["linear"], "contract_size": ["1"], "lot": ["1"], "tiers": tiers}
    positions = {"account": ["a"] * rows, "symbol": ["X"] * rows, "entry_price": ["1"] * rows}
    positions["lots"] = np.ones(rows, np.int64)
    with pytest.raises(MemoryLimitError) as caught:
        Book.from_frames(listed, {"id": ["a"], "cash": ["1"]}, positions)
    assert isinstance(caught.value, InputError)
    assert isinstance(caught.value, MemoryError)
    assert str(caught.value).startswith(f"positions: {rows:,} positions of 1 accounts: it takes 0.0 GiB")


def test_a_copy_that_does_not_fit_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    book = synth.book("pareto", positions=1000, accounts=400, instruments=3, seed=1)
    monkeypatch.setattr(memory, "available", lambda: 1000)
    with pytest.raises(MemoryLimitError, match=r"^copy: a copy of <Book: 400 accounts"):
        Engine(book)
    Engine(book, copy=False)


def write(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(f"{content}\n")


def test_the_narrowest_control_group_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_SYSTEM", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_GROUP", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "_GROUPS", tmp_path / "fs")
    assert memory.available() is None
    write(tmp_path, meminfo="MemTotal: 9 kB\nMemAvailable: 7 kB")
    assert memory.available() == 7 * 1024
    write(tmp_path, cgroup="0::/outer/inner")
    write(tmp_path / "fs" / "outer" / "inner", memory__max="max", memory__current=5)
    assert memory.available() == 7 * 1024
    write(tmp_path / "fs" / "outer", memory__max=3000, memory__current=2500)
    assert memory.available() == 500
    write(tmp_path / "fs" / "outer", memory__stat="active_file 9\ninactive_file 1000")
    assert memory.available() == 1500
    write(tmp_path, cgroup="3:cpu:/\n4:memory,hugetlb:/job")
    write(
        tmp_path / "fs" / "memory" / "job",
        memory__limit_in_bytes=900,
        memory__usage_in_bytes=1000,
    )
    assert memory.available() == 0
