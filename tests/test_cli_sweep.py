"""Reports and sweeps from the command line."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from fastadl import cli
from fastadl.cli.sweep import spelled
from fastadl.errors import InputError

#: Trials of a second in all.
SMALL = ("stress", "--positions", "600", "--instruments", "2", "--scenario", "jumps", "--policy", "bitmex")
MANY = (*SMALL, "--policy", "vega", "--seeds", "3", "--vary", "fund.share=0,0.01", "--workers", "1")


def besides_compiling(told: str) -> str:
    """What is said on stderr, whether kernels had to be compiled or not."""
    return "".join(line for line in told.splitlines(True) if not line.startswith("fastadl: compiling "))


@pytest.fixture
def stress(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main([*arguments])
        out, err = capsys.readouterr()
        return code, out, besides_compiling(err)

    return call


def refusal(of: tuple[int, str, str]) -> str:
    """The one line that a command was refused with."""
    code, out, err = of
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    return err


def test_a_report_is_written_beside_the_tables(stress: Any, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    code, out, err = stress(*SMALL, "--html", str(file))
    assert (code, err) == (0, "")
    assert "bitmex" in out
    page = file.read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert "--html report.html" in page


@pytest.mark.slow
@pytest.mark.parametrize("when", [1, 10**9])
def test_a_full_disk_costs_the_folder_and_nothing_else(
    stress: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: int
) -> None:
    from fastadl.stress.result import Writer

    def full(self: Writer, name: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Writer, "_ROWS", when)  # while it runs, or in the end
    monkeypatch.setattr(Writer, "_flush", full)
    out, page = tmp_path / "out", tmp_path / "report.html"
    code, text, err = stress(*SMALL, "--out", str(out), "--html", str(page))
    assert code == 2
    assert "Conservation:  lots ok" in text
    assert err == f"{out}: /: No space left on device: give a folder that can be written\n"
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.slow
def test_a_page_that_cannot_be_written_in_the_end_costs_the_page_alone(
    stress: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    code, text, err = stress(*SMALL, "--html", str(tmp_path / "report.html"))
    assert code == 2
    assert "Conservation:  lots ok" in text
    assert "report.html: /: No space left on device" in err
    assert list(tmp_path.iterdir()) == []


def test_seeds_are_counted_from_1_and_every_value_meets_each(stress: Any, tmp_path: Path) -> None:
    out, page = tmp_path / "sweep", tmp_path / "sweep.html"
    code, text, err = stress(*MANY, "--out", str(out), "--html", str(page))
    assert (code, err) == (0, "")
    assert "Losses reach other traders in" in text
    runs = pl.read_parquet(out / "runs.parquet")
    assert runs.select("fund.share", "seed", "policy").rows() == [
        (share, seed, policy) for share in (0.0, 0.01) for seed in (1, 2, 3) for policy in ("bitmex", "vega")
    ]
    assert re.search(r"fund\.share", page.read_text("utf-8"))


def test_a_sweep_goes_on_in_its_folder_with_further_seeds(
    stress: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastadl.sweep.executor import Work

    assert stress(*MANY, "--out", str(tmp_path))[0] == 0
    performed: list[Any] = []
    perform = Work.perform
    monkeypatch.setattr(Work, "perform", lambda *what: performed.append(what[1]) or perform(*what))
    code, out, _ = stress("stress", str(tmp_path), "--seeds", "4", "--workers", "1", "--json")
    found = json.loads(out)
    assert (code, found["trials"], found["done"]) == (0, 8, 8)
    assert performed == [(0, 4), (1, 4)]
    result = str(tmp_path / "result.json")
    assert stress("stress", result, "--seeds", "5", "--workers", "1", "--json")[0] == 0
    assert performed == [(0, 4), (1, 4), (0, 5), (1, 5)]
    assert json.loads(Path(result).read_text())["done"] == 10


def test_what_is_varied_can_be_said_on_a_line() -> None:
    said = spelled(["a.b=1,0.5,x", "c=1..2:log", "d=1..9:whole", "e=true", "f=2020-03-12,flash-crash"])
    assert said == {
        "a.b": [1, 0.5, "x"],
        "c": {"low": 1, "high": 2, "log": True},
        "d": {"low": 1, "high": 9, "whole": True},
        "e": [True],
        "f": ["2020-03-12", "flash-crash"],
    }
    for wrong in (["a"], ["=1"], ["a="], ["a=1", "a=2"]):
        with pytest.raises(
            InputError, match=r"vary: .*give NAME=VALUE,VALUE,… or NAME=LOW..HIGH, each name once"
        ):
            spelled(wrong)
    with pytest.raises(InputError, match=r"^vary, column scenario.depth: 0.1..0.5:lgo: .*:log or :whole"):
        spelled(["scenario.depth=0.1..0.5:lgo"])


def test_a_path_with_dots_in_it_is_no_range() -> None:
    assert spelled(["book.tiers=../a.json,../b.json"]) == {"book.tiers": ["../a.json", "../b.json"]}
    assert spelled(["book.tiers=../a.json", "b=1..x"]) == {"book.tiers": ["../a.json"], "b": ["1..x"]}


def test_a_file_that_varies_something_is_a_sweep(stress: Any, tmp_path: Path) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text(
        "seeds = [7]\npoints = 2\n[book]\npositions = 600\ninstruments = 2\n"
        "[scenario]\nname = 'flash-crash'\n[vary]\n'scenario.depth' = { low = 0.2, high = 0.6 }\n"
    )
    code, out, _ = stress("stress", str(file), "--workers", "1", "--json")
    assert code == 0
    assert [0.2 <= point["scenario.depth"] <= 0.6 for point in json.loads(out)["points"]] == [True, True]


def test_an_interrupted_sweep_keeps_what_is_done_and_ends_with_130(
    stress: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastadl.sweep.executor import Work

    perform, done = Work.perform, []

    def pressed(*what: Any) -> pl.DataFrame:
        if len(done) == 2:
            signal.raise_signal(signal.SIGINT)
        done.append(what)
        return perform(*what)

    monkeypatch.setattr(Work, "perform", pressed)
    code, out, _ = stress(*MANY, "--out", str(tmp_path), "--json")
    assert (code, json.loads(out)["done"]) == (130, 2)
    assert pl.read_parquet(tmp_path / "runs.parquet").select("point", "seed").unique().height == 2


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--seeds", "0"], ["seeds", "1 or more"]),
        (["--seeds", "10000001"], ["seeds", "at most 10,000,000"]),
        (["--seeds", "2", "--seed", "3"], ["seeds", "--seed"]),
        (["--vary", "fund.share"], ["vary", "NAME=LOW..HIGH"]),
        (["--vary", "fund.shar=0,1"], ["fund", "shar"]),
        (["--vary", "fund.share=0..1"], ["points", "how many"]),
        (["--vary", "nothing=1"], ["vary", "nothing", "fund.share"]),
        (["--executor", "spark"], ["executor", "local or ray"]),
        (["--address", "host:1"], ["address", "ray"]),
        (["--workers", "0"], ["workers", "1"]),
        (["--seeds", "2", "--pressure", "all"], ["pressure", "sweep"]),
        (["--html", "r.html", "--pressure", "all"], ["html", "--pressure"]),
        (["--html", "/none/report.html"], ["/none/report.html", "can be written"]),
        (["--html", "/dev/null"], ["/dev/null", "can be replaced"]),
        (["--seeds", "2", "--html", "/none/report.html"], ["/none/report.html", "can be written"]),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(stress: Any, arguments: list[str], parts: list[str]) -> None:
    line = refusal(stress(*SMALL, *arguments))
    assert [part for part in parts if part not in line] == []


@pytest.mark.slow
def test_a_folder_of_another_sweep_is_left_alone(stress: Any, tmp_path: Path) -> None:
    assert stress(*MANY, "--out", str(tmp_path))[0] == 0
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    line = refusal(stress(*MANY, "--fund", "5", "--out", str(tmp_path)))
    assert str(tmp_path) in line
    assert "another sweep" in line
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_without_charts_the_extra_is_named_before_anything_is_run(
    stress: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    file = tmp_path / "report.html"
    assert 'pip install "fastadl[lab]"' in refusal(stress(*SMALL, "--html", str(file)))
    assert not file.exists()


@pytest.mark.parametrize("given", [SMALL, MANY])
def test_without_charts_everything_else_works(given: tuple[str, ...]) -> None:
    program = (
        "import sys; sys.modules['altair'] = sys.modules['vl_convert'] = None; from fastadl import cli; "
        f"sys.exit(cli.main({list(given)}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, besides_compiling(done.stderr)) == (0, "")
