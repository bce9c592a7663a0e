"""What a new process sees: ``probe.py cold | memory FOLDER | grow POSITIONS`` prints one line of JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

__all__ = ["cold", "grow", "memory"]


def cold() -> dict[str, float]:
    """Seconds to import, to load what a tick needs, to build a small book, and of its first tick."""
    start = perf_counter()
    import fastadl

    imported = perf_counter()
    from fastadl import Book, Engine

    loaded = perf_counter()
    book = Book.from_frames(
        {
            "symbol": ["X"],
            "kind": ["linear"],
            "contract_size": ["1"],
            "lot": ["0.001"],
            "tiers": [[{"min_notional": "0", "maintenance_rate": "0.005"}]],
        },
        {"id": ["ann", "bob", "cy"], "cash": ["800", "500", "9000"]},
        {
            "account": ["ann", "bob", "cy"],
            "symbol": ["X"] * 3,
            "qty": ["0.100", "-0.060", "-0.040"],
            "entry_price": ["50000", "50000", "49000"],
        },
    )
    built = perf_counter()
    report = Engine(book, fund="33").tick({"X": "41000"})
    ticked = perf_counter()
    assert len(report.adl_fills) == 2
    assert fastadl.__version__
    return {
        "import_seconds": imported - start,
        "load_seconds": loaded - imported,
        "build_seconds": built - loaded,
        "first_tick_seconds": ticked - built,
    }


def memory(folder: str) -> dict[str, int]:
    """Bytes of a book, and the peak of the process so far after each step."""
    from fastadl import Book, Engine

    peaks = {"peak_import_bytes": _peak()}
    book = Book.read(folder)
    facts = {"book_bytes": book.nbytes, "positions": len(book), "accounts": len(book.accounts)}
    peaks["peak_read_bytes"] = _peak()
    engine = Engine(book, copy=False)
    engine.tick(engine.marks)
    peaks["peak_tick_bytes"] = _peak()
    return facts | peaks


def grow(positions: str) -> dict[str, Any]:
    """Draw a book of any size, make its guards and tick: seconds and the peak so far after each step."""
    from fastadl import Engine
    from fastadl.bench.loads import calm

    facts: dict[str, Any] = {}
    start = perf_counter()

    def step(name: str) -> None:
        nonlocal start
        facts[f"{name}_seconds"], facts[f"peak_{name}_bytes"] = perf_counter() - start, _peak()
        start = perf_counter()

    load = calm(int(positions))
    facts |= {"positions": len(load.book), "book_bytes": load.book.nbytes}
    step("draw")
    engine = Engine(load.book, copy=False)
    engine.mark(load.before)
    step("fit")
    engine.tick(load.after)
    step("tick")
    return facts


def _peak() -> int:
    # not getrusage: its peak is that of the parent, too, when the child was forked from a large one
    status = Path("/proc/self/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    asked: dict[str, Callable[..., Any]] = {"cold": cold, "memory": memory, "grow": grow}
    print(json.dumps(asked[what](*arguments)))  # noqa: T201
