"""The command `warmup`, and what is said while kernels are compiled."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fastadl.cli import main
from test_cli import EXAMPLES, besides_compiling, process


def test_warmup_reports_every_kernel_and_what_it_took(capsys: pytest.CaptureFixture[str]) -> None:
    def warmup(*options: str) -> str:
        assert main(["warmup", *options]) == 0
        out, err = capsys.readouterr()
        assert besides_compiling(err) == ""
        return out

    assert re.search(
        r"(^|\n)(no )?cache: .*\n\d+ kernels from the cache, \d+ compiled in [\d.]+ s(, while .*)?\n$",
        warmup(),
    )
    assert warmup().splitlines()[1:] == ["0 kernels from the cache, 0 compiled in 0.0 s"]
    found = json.loads(warmup("--json"))
    assert (found["kernels"], found["cached"], found["compiled"]) == ([], 0, 0)


#: Compiles one kernel of the package, as the first run of a new version does.
COLD = """
import sys
import numpy as np
from fastadl import compilation
from fastadl.kernels import wide
from fastadl.report import compiling
{change}
def first(progress=None):
    wide.muldiv(3, 4, 5)
    {then}
    return []
compiling.warmup = first
from fastadl.__main__ import main
sys.argv = ["fastadl", *{arguments!r}]
sys.exit(main())
"""


def cold(tmp_path: Path, *arguments: str, change: str = "", then: str = "pass") -> Any:
    program = COLD.format(change=change, then=then, arguments=list(arguments))
    environment = os.environ | {"FASTADL_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.jit
def test_warmup_tells_what_it_compiles_where_there_is_no_terminal(tmp_path: Path) -> None:
    done = cold(tmp_path, "warmup", change="compiling._EVERY = 0.0")
    assert done.returncode == 0, done.stderr
    told = done.stderr.splitlines()
    assert len(told) > 2
    pattern = r"fastadl: compiling kernels \(once per version\): \d+ of \d{3} ready, \d+ s, wide\.\w+"
    assert all(re.fullmatch(pattern, line) for line in told)
    ready = [int(line.split(": ")[2].split()[0]) for line in told]
    assert ready == sorted(ready)
    assert f"cache: {tmp_path / 'cache'}" in done.stdout


@pytest.mark.jit
def test_an_interrupted_warmup_keeps_what_it_compiled(tmp_path: Path) -> None:
    done = cold(tmp_path, "warmup", then="raise KeyboardInterrupt")
    assert done.returncode == 130
    assert re.search(
        r"interrupted; the \d+ kernels compiled so far are kept, the next warmup goes on", done.stderr
    )
    assert list((tmp_path / "cache").rglob("wide.muldiv*.nbc"))
    assert "compiling" not in cold(tmp_path, "warmup").stderr


@pytest.mark.jit
@pytest.mark.parametrize("arguments", [("run",), ("stress", "--positions", "1000")], ids=str)
def test_the_first_run_says_that_it_compiles(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    scenario = tmp_path / "scenario.json"
    scenario.write_text(
        json.dumps(json.loads((EXAMPLES / "fund_takes_part.json").read_text("utf-8"))["scenario"])
    )
    environment = os.environ | {"FASTADL_CACHE_DIR": str(tmp_path / "cache")}
    with process(*arguments, *[str(scenario)] * (arguments == ("run",)), env=environment) as started:
        told = started.stderr.readline()
        started.terminate()
    assert re.match(r"fastadl: compiling kernels \(once per version\): 0 compiled, \d+ s, ", told)


@pytest.mark.jit
def test_warmup_leaves_nothing_to_compile() -> None:
    program = f"""
import json, pathlib
import fastadl as fa
from fastadl.kernels._jit import compiled
from fastadl.stress import pressure
ready = fa.warmup()
before = {{name: list(kernel.signatures) for name, kernel in compiled.items()}}
for file in sorted(pathlib.Path({str(EXAMPLES)!r}).glob("*.json")):
    fa.Scenario.load(json.loads(file.read_text("utf-8"))["scenario"]).run()
book = fa.synth.book("hedged", positions=500, accounts=200, instruments=5, seed=1)
for split in ("notional", "maintenance_margin"):
    pressure(fa.Engine(book, policy={{"split": split}}), fund="9")
engine = fa.Engine(book, fund="9")
row = engine.distances().frame().row(0)
engine.lights(), engine.percentiles(), engine.distances(ranking="present")
engine.explain(*row[:2], side=row[2])
later = [name for name, kernel in compiled.items() if list(kernel.signatures) != before[name]]
print(len(ready), len(fa.warmup()), later)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    number, again, later = done.stdout.split(maxsplit=2)
    assert int(number) > 10
    assert (again, later) == ("0", "[]\n")

    out, _ = process("warmup").communicate()
    assert "0 compiled in 0.0 s" in out
