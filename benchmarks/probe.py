"""What a new process sees: ``probe.py cold`` and ``probe.py memory FOLDER`` print one line of JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import perf_counter


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
        "import": imported - start,
        "load": loaded - imported,
        "build": built - loaded,
        "first_tick": ticked - built,
    }


def memory(folder: str) -> dict[str, int]:
    """Bytes of a book, and the peak of the process so far after each step."""
    from fastadl import Book, Engine

    peaks = {"peak_import": _peak()}
    book = Book.read(folder)
    facts = {"book": book.nbytes, "positions": len(book), "accounts": len(book.accounts)}
    peaks["peak_read"] = _peak()
    engine = Engine(book, copy=False)
    engine.tick(engine.marks)
    peaks["peak_tick"] = _peak()
    return facts | peaks


def _peak() -> int:
    # not getrusage: its peak is that of the parent, too, when the child was forked from a large one
    status = Path("/proc/self/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


if __name__ == "__main__":
    print(json.dumps(cold() if sys.argv[1] == "cold" else memory(*sys.argv[2:])))
