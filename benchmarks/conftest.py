"""Size, shared books, and the one way a benchmark is run and described."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Protocol

import numba
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import loads
from benchmarks.loads import Load

_FULL, _SMOKE = 1_000_000, 20_000
#: One bankrupt account or fill for so many positions.
_PER_FILL = 100


class Measure(Protocol):
    """Run a benchmark and note what the table says beside it; gives what the function returns."""

    def __call__(
        self,
        function: Callable[..., Any],
        *args: Any,
        who: str,
        unit: tuple[int, str],
        moved: int = 0,
        setup: Callable[[], Any] | None = None,
        rounds: int = 5,
        **facts: Any,
    ) -> Any: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--positions",
        type=lambda text: int(float(text)),
        metavar="N",
        help=f"size of the books (FASTADL_BENCH_POSITIONS, else {_FULL:,}; {_SMOKE:,} for a smoke test)",
    )


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    machine_info["fastadl"] = {
        "positions": _positions(config),
        "threads": numba.get_num_threads(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("fastadl", "numba", "numpy", "polars")},
    }


def _positions(config: pytest.Config) -> int:
    enabled = config.getoption("benchmark_enable") or not config.getoption("benchmark_disable")
    given = config.getoption("--positions") or os.environ.get("FASTADL_BENCH_POSITIONS")
    return int(float(given)) if given else _FULL if enabled else _SMOKE


@pytest.fixture(scope="session")
def positions(request: pytest.FixtureRequest) -> int:
    return _positions(request.config)


@pytest.fixture(scope="session")
def calm(positions: int) -> Load:
    return loads.calm(positions)


@pytest.fixture(scope="session")
def fills(positions: int) -> int:
    return max(positions // _PER_FILL, 1)


@pytest.fixture
def measure(benchmark: BenchmarkFixture) -> Measure:
    """Rounds of one call each after a call that is not counted; a setup runs before each and is not timed.

    `unit` is how many of what one call works on, `moved` the bytes it must at least move through memory.
    """

    def run(
        function: Callable[..., Any],
        *args: Any,
        who: str,
        unit: tuple[int, str],
        moved: int = 0,
        setup: Callable[[], Any] | None = None,
        rounds: int = 5,
        **facts: Any,
    ) -> Any:
        result = benchmark.pedantic(  # type: ignore[no-untyped-call]
            function, args=args, setup=setup, rounds=rounds, warmup_rounds=1
        )
        benchmark.extra_info.update(who=who, units=unit[0], unit=unit[1], **facts)
        if moved:
            benchmark.extra_info["bytes"] = moved
            if benchmark.stats is not None:
                benchmark.extra_info["GB/s"] = moved / benchmark.stats.stats.median / 1e9
        return result

    return run
