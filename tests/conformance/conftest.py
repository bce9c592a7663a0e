"""The cases that are run: those of this folder, or of the files given with ``--cases FILE``."""

from __future__ import annotations

from pathlib import Path

import pytest
from adapters.registry import read

CASES = Path(__file__).parent / "cases"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        files = [Path(file) for file in metafunc.config.getoption("--cases")] or sorted(CASES.glob("*.json"))
        try:
            cases = [case for file in files for case in read(file)]
        except ValueError as error:
            raise pytest.UsageError(f"--cases {error}") from None
        metafunc.parametrize("case", cases, ids=[case.id for case in cases])
