"""The size of the books, and what the cases of a group share."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from fastadl.bench.loads import Loads
from fastadl.bench.registry import Group

_FULL, _SMOKE = 1_000_000, 20_000


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--positions",
        type=lambda text: int(float(text)),
        metavar="N",
        help=f"size of the books (FASTADL_BENCH_POSITIONS, else {_FULL:,}; {_SMOKE:,} for a smoke test)",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "huge" not in config.getoption("markexpr"):
        for item in items:
            if item.get_closest_marker("huge"):
                item.add_marker(pytest.mark.skip(reason="a hundred million positions: only with -m huge"))


@pytest.fixture(scope="session")
def positions(request: pytest.FixtureRequest) -> int:
    config = request.config
    enabled = config.getoption("benchmark_enable") or not config.getoption("benchmark_disable")
    given = config.getoption("--positions") or os.environ.get("FASTADL_BENCH_POSITIONS")
    return int(float(given)) if given else _FULL if enabled else _SMOKE


@pytest.fixture(scope="session")
def loads(positions: int) -> Loads:
    return Loads(positions)


@pytest.fixture(scope="session")
def shared(loads: Loads) -> Callable[[Group], Any]:
    """What the cases of a group have in common, until another group asks."""
    kept: dict[str, Any] = {}

    def of(group: Group) -> Any:
        if group.name not in kept:
            kept.clear()
            kept[group.name] = group.shared(loads)
        return kept[group.name]

    return of
