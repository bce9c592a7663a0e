"""A Ray cluster that a module of tests starts and stops."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """For what Ray keeps while it runs; sockets need short names."""
    folder = Path(tempfile.mkdtemp(prefix="rt-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def cluster(folder: Path) -> Iterator[str]:
    """A running cluster of two cores, which the tests share and none of them may stop."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--port=0"]
    options = ["--num-cpus=2", "--include-dashboard=false", "--disable-usage-stats", f"--temp-dir={folder}"]
    noted, place = folder / "ray_current_cluster", folder / "b"
    place.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        patch.setenv("PYTHONPATH", os.fspath(Path(__file__).parent))
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(command + options, stdout=quiet, stderr=quiet, start_new_session=True)
        try:
            waited(lambda: noted.exists() and noted.read_text("utf-8"))  # it is there before its text is
            patch.setenv("TMPDIR", os.fspath(place))
            yield noted.read_text("utf-8")
            assert process.poll() is None
            assert not list(place.iterdir())
        finally:
            process.terminate()
            process.wait(120)
            waited(lambda: not processes_of(folder))


def waited(done: Any) -> None:
    until = time.monotonic() + 120
    while not done():
        assert time.monotonic() < until
        time.sleep(0.05)


def processes_of(what: object) -> list[str]:
    """Processes that name it in their command."""
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if str(what) in line]
