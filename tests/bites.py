"""Walks of two engines, one of which was made wrong in one place: run by itself, without compiling.

``python bites.py WALKS`` prints for each way to be wrong how many walks it took to tell, or 0.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["BREAKS"]

#: Module, what stands there, what is put in its place, and what is walked.
Break = tuple[str, str, str, str]

_KERNELS, _WAKE, _STATE = "kernels.wake", "engine.wake.wake", "engine.state"
BREAKS: dict[str, Break] = {
    "only the row that woke gets a new level": (
        _KERNELS,
        "            _write(leg, place, _level(leg, unit, part), levels)\n",
        """            if levels.tree[place] == NEVER:
                _write(leg, place, _level(leg, unit, part), levels)
""",
        "hunts",
    ),
    "no margin is reckoned to grow": (
        _KERNELS, "exposed += margin(2.0 * notional, instrument, margins) - row_margin", "pass", "falls"
    ),
    "margin is reckoned to grow in its first tier": (
        _KERNELS,
        "margin(2.0 * notional, instrument, margins) - row_margin",
        "margins.rate[margins.start[instrument]] * notional",
        "falls",
    ),
    "shorts have the levels of longs": (
        _KERNELS, "worth = -unit[leg >> 1] if leg & 1 else unit[leg >> 1]", "worth = unit[leg >> 1]", "walk"
    ),
    "shorts wake when prices fall": (
        _KERNELS,
        "_search(2 * instrument + 1, _ascending(-unit[instrument])",
        "_search(2 * instrument + 1, _ascending(unit[instrument])",
        "walk",
    ),
    "margin is reckoned to grow for shorts, inverse or not": (
        _KERNELS, "if value < 0.0:", "if lots < 0.0:", "falls"
    ),
    "the error bound is left out": (
        _KERNELS, " - _EPSILON * (16.0 + 8.0 * rows.group_rows[g]) * (size + needed)", "", "edges"
    ),
    "a level that is reached wakes nobody": (_KERNELS, "+ node] >= worth:", "+ node] > worth:", "falls"),
    "who may not be safe is let go": (
        _KERNELS, "safe = held == 0 or part > 0.0", "safe = True", "walk"
    ),
    "maxima stay when a level rises": (
        _KERNELS, "if levels.tree[above] == most:", "if levels.tree[above] <= most:", "walk"
    ),
    "only prices that are named are looked at, whatever was undone": (
        _WAKE, "if before is self._seen:", "if True:", "refusals"
    ),
    "a search that was not ended counts as one": (
        _WAKE, "self._seen, self._passes = None,", "self._seen, self._passes = self._state.marks,", "crowds"
    ),
    "accounts that stages change are not looked at": (
        _STATE, "            self.wake.changed(rows.account[slots])", "            pass", "calls"
    ),
    "accounts that trade are not looked at": (
        "engine.live.fills", "            state.wake.changed(trades.account)", "            pass", "calls"
    ),
    "funding and new tiers wake nobody": (
        _STATE, "            self.wake.all_changed()", "            pass", "calls"
    ),
}  # fmt: skip


@contextmanager
def broken(name: str) -> Iterator[None]:
    """The package with one module made wrong in one place, and then right again."""
    place, before, after, _ = BREAKS[name]
    module = importlib.import_module(f"fastadl.{place}")
    assert module.__file__ is not None
    source = Path(module.__file__).read_text("utf-8")
    assert source.count(before) == 1, f"{before!r} stands {source.count(before)} times in {place}"
    right = vars(module).copy()
    exec(compile(source.replace(before, after), module.__file__, "exec"), vars(module))
    wrong = vars(module).copy()
    _exchange(module, right, wrong)
    try:
        yield
    finally:
        vars(module).update(right)
        _exchange(module, wrong, right)


def _exchange(module: ModuleType, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Have all who imported a function or class of the module hold the new one."""
    mine = {id(each): new[name] for name, each in old.items() if _is_of(module, each)}
    for other in [each for name, each in sys.modules.items() if name.startswith("fastadl.")]:
        for name, each in vars(other).copy().items():
            if id(each) in mine:
                setattr(other, name, mine[id(each)])


def _is_of(module: ModuleType, each: object) -> bool:
    return callable(each) and getattr(each, "__module__", None) == module.__name__


def bites(name: str, most: int) -> int:
    """How many walks it takes until one ends in a difference; 0 if none of so many does."""
    import walks

    with broken(name):
        for seed in range(most):
            try:
                getattr(walks, BREAKS[name][3])(seed)
            except (AssertionError, IndexError):
                return seed + 1
    return 0


if __name__ == "__main__":
    assert os.environ["NUMBA_DISABLE_JIT"] == "1"
    sys.stdout.write(json.dumps({name: bites(name, int(sys.argv[1])) for name in BREAKS}))
