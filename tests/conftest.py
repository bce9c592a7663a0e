"""What the whole suite shares: the conformance files, shipped and given with ``--scenarios DIR``."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("fastadl", deadline=None)  # machines are shared: no test is about time
settings.load_profile("fastadl")

EXAMPLES = Path(__file__).parent / "conformance" / "examples"
#: Files that take long, in the order they are begun: what is begun last is what the run waits for.
LONG = (
    "test_wide_ids", "test_cli", "test_ray", "test_cli_warmup", "test_kernels", "test_bad_input", "test_page",
    "test_live_crashes", "test_live_engine", "test_against_model", "test_live_stateful", "test_stateful",
    "test_model", "test_determinism", "test_sweep_folder", "test_sweep_report", "test_replay",
    "test_cli_sweep",
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
