"""What the whole suite shares: the conformance files, shipped and given with ``--scenarios DIR``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

#: Waiting threads must not spin: several processes test at once, each with as many threads as cores.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

settings.register_profile("fastadl", deadline=None)  # machines are shared: no test is about time
settings.load_profile("fastadl")

EXAMPLES = Path(__file__).parent / "conformance" / "examples"
#: Files that take long, in the order they are begun: what is begun last is what the run waits for.
LONG = (
    "test_ray", "test_sharded_ray", "test_kernels", "test_sharded", "test_sharded_live",
    "test_sharded_recording", "test_sharded_cli", "test_sharded_faults", "test_sharded_large",
    "test_collective_wealth", "test_wide_ids", "test_incremental", "test_audit",
    "test_live_crashes", "test_model", "test_distance", "test_kernel_cache", "test_cli_warmup",
    "test_page", "test_examples", "test_cli", "test_live_interrupts", "test_processes", "test_sweep",
    "test_sweep_report", "test_sweep_folder", "test_journal_faults", "test_cli_sweep",
    "test_against_model", "test_live_stateful", "test_replay", "test_bench", "test_order_book",
    "test_kernel_edges", "test_bad_input", "test_live", "test_live_engine", "test_live_grow",
    "test_live_day", "test_synth", "test_queue",
)  # fmt: skip


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "scenario_file" in metafunc.fixturenames:
        files = [
            file for folder in scenario_folders(metafunc.config) for file in sorted(folder.glob("*.json"))
        ]
        metafunc.parametrize("scenario_file", files, ids=[file.stem for file in files])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))
    if "soak" in config.getoption("markexpr"):
        return
    for item in items:
        if item.get_closest_marker("soak"):
            item.add_marker(pytest.mark.skip(reason="takes long; only with -m soak"))


def scenario_folders(config: pytest.Config) -> list[Path]:
    """The shipped examples, then those asked for."""
    given = [Path(folder) for folder in config.getoption("--scenarios")]
    for folder in given:
        if not any(folder.glob("*.json")):
            raise pytest.UsageError(f"--scenarios {folder}: no *.json file there")
    return [EXAMPLES, *given]
