"""``fastadl bench``: the table of cases is complete, and a run says what it measured, even one cut short."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from fastadl import cli
from fastadl.bench import rivals
from fastadl.bench.build import probe
from fastadl.bench.cases import GROUPS
from fastadl.bench.registry import Absent, Group, Work
from fastadl.bench.run import Bench
from fastadl.report import bench as report
from fastadl.report.bench_page import page

ROOT = Path(__file__).parent.parent
CASES = [(group, case) for group in GROUPS for case in group.cases]
SMALL = ["bench", "--positions", "2000"]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = cli.main([*SMALL, *arguments])
    return code, *capsys.readouterr()


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    """A run of two groups on a small book."""
    bench = Bench(2000, ["select", "deep"])
    for _ in bench:
        pass
    return bench.result()


# ---------------------------------------------------------------- the table of cases


@pytest.mark.parametrize(("group", "case"), CASES, ids=lambda part: getattr(part, "name", None))
def test_every_case_says_what_it_does_counts_and_leaves_out(group: Group, case: Any) -> None:
    assert group.intent.endswith(".")
    assert case.does.endswith(".")
    assert case.unit
    assert case.left_out
    assert not case.left_out.endswith(".")
    assert case.rounds >= 1


def test_names_of_groups_and_cases_are_unique() -> None:
    assert len({group.name for group in GROUPS}) == len(GROUPS)
    assert len({(group.name, case.who) for group, case in CASES}) == len(CASES)


def test_every_rival_stands_beside_ours() -> None:
    for group in GROUPS:
        rivals_of = [case for case in group.cases if not case.ours]
        assert group.name == "limit" or not rivals_of or group.cases[0].ours


def test_the_loads_asked_for_are_there() -> None:
    ticks = {case.who for group, case in CASES if group.name == "ticks"}
    named = ("calm", "crash", "whale", "many small", "one instrument", "hedge")
    assert {f"fastadl, {load}" for load in named} <= ticks


def test_the_readme_of_the_benchmarks_lists_every_case() -> None:
    text = (ROOT / "benchmarks" / "README.md").read_text("utf-8")
    shown = text.partition("<!-- registry -->\n")[2].partition("\n<!-- /registry -->")[0]
    assert shown == report.registry()


# ---------------------------------------------------------------- a run


@pytest.mark.slow
def test_a_run_is_one_json_object_with_these_fields(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--only", "mark", "--json")
    assert (code, err, out.count("\n")) == (0, "", 1)
    result = json.loads(out)
    assert set(result) == {
        *("positions", "machine", "triad_bytes_per_second", "triad_best_bytes_per_second"),
        *("groups", "absent", "seconds", "finished"),
    }
    assert (result["positions"], result["finished"]) == (2000, True)
    (mark,) = result["groups"]
    assert mark["name"] == "mark"
    whole, scan, *others = mark["lines"]
    assert (whole["who"], whole["units"], whole["unit"]) == ("fastadl", 2000, "position")
    assert whole["min"] <= whole["median"] == pytest.approx(2000 * whole["per_unit"])
    assert whole["against_first"] is None
    assert scan["against_first"] == pytest.approx(scan["median"] / whole["median"])
    assert scan["of_triad"] > 0
    named = {line["who"] for line in others} | {gone["who"] for gone in result["absent"]}
    assert named == {"numpy", "polars", "DuckDB", "C"}


def test_a_group_without_bytes_needs_no_triad(result: dict[str, Any]) -> None:
    deep = result["groups"][1]
    assert [line["of_triad"] for line in deep["lines"]] == [None] * len(deep["lines"])


def test_the_terminal_shows_every_line_and_fits(result: dict[str, Any]) -> None:
    for width in (80, 120):
        console = Console(width=width, file=StringIO())
        report.show(result, console)
        shown = console.file.getvalue()
        assert max(map(len, shown.splitlines())) <= width
        for words in ("Selection without a sort", "numpy argsort", "heapq", "2,000 positions", "of triad"):
            assert words in shown


def test_the_page_holds_every_line_and_loads_nothing(result: dict[str, Any]) -> None:
    html = page(result)
    assert not re.search(r"https?://|\bsrc=|\bhref=|@import|url\(", html)
    assert html.count('class="row') == sum(len(group["lines"]) for group in result["groups"])
    assert "prefers-color-scheme: dark" in html
    assert 'name="viewport"' in html


def test_the_page_shows_names_as_text(result: dict[str, Any]) -> None:
    odd = {**result, "absent": [{"group": "mark", "who": "<b>", "why": "a & b"}]}
    assert "&lt;b&gt;: a &amp; b" in page(odd)


def test_html_is_written_beside_the_tables(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "bench.html"
    code, out, _ = run(capsys, "--only", "deep", "--html", str(file))
    assert code == 0
    assert "close-out" in out
    assert file.read_text("utf-8").startswith("<!doctype html>")


def test_the_readme_table_is_short_and_has_every_group(result: dict[str, Any]) -> None:
    alike = {**result["groups"][0], "several": "ways"}
    (line,) = [row for row in report.markdown({**result, "groups": [alike]}).splitlines() if " to " in row]
    assert f"fastadl, {len(alike['lines'])} ways" in line
    assert report.markdown(result).splitlines()[2].startswith("| selection without a sort | fastadl | ")
    assert "what holds it back" in report.limits(result)


@pytest.mark.parametrize(("median", "said"), [(1.0, False), (2.0, True)])
def test_a_disturbed_run_says_so(median: float, said: bool) -> None:
    line = {"rounds": 5, "min": 1.0, "median": median}
    assert bool(report.busy({"groups": [{"lines": [line]}]})) is said


@pytest.mark.parametrize(
    ("value", "shown"), [(0.01234, "12.3 ms"), (0.9999, "1 s"), (1234.5, "1,234 s"), (1.69e-9, "1.69 ns")]
)
def test_times_have_three_digits(value: float, shown: str) -> None:
    assert report.seconds(value) == shown


# ---------------------------------------------------------------- cut short, missing, refused


def test_ctrl_c_keeps_what_is_finished(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(bench: Bench) -> Iterator[tuple[Group, Any]]:
        for number, each in enumerate(every(bench)):
            if number == 2:
                raise KeyboardInterrupt
            yield each

    every = Bench.__iter__
    monkeypatch.setattr(Bench, "__iter__", interrupted)
    file = tmp_path / "bench.html"
    code, out, _ = run(capsys, "--only", "select", "--json", "--html", str(file))
    result = json.loads(out)
    assert (code, result["finished"]) == (130, False)
    assert [line["who"] for line in result["groups"][0]["lines"]] == ["fastadl", "numpy argsort"]
    assert "Interrupted" in file.read_text("utf-8")
    code, out, _ = run(capsys, "--only", "select")
    assert code == 130
    assert "Interrupted" in out


def test_a_rival_that_is_missing_is_left_out_with_the_reason(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("lrvx", "duckdb"):
        monkeypatch.setitem(sys.modules, name, None)
    code, out, _ = run(capsys, "--only", "deep")
    assert code == 0
    assert "Left out, deep: lrvx: lrvx cannot be imported" in out
    with pytest.raises(Absent, match=r'pip install "fastadl\[bench\]"'):
        rivals.duckdb()


def test_without_a_compiler_c_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rivals.shutil, "which", lambda _: None)
    with pytest.raises(Absent, match="no C compiler"):
        rivals.c.__wrapped__()


def test_a_compiler_that_fails_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rivals, "C_FLAGS", ("--no-such-flag",))
    with pytest.raises(Absent):
        rivals.c.__wrapped__()


def test_work_that_was_not_done_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise AssertionError("not done")

    group = Group("idle", "idling", "Nothing.", "nap", lambda loads: loads)
    group.case("fastadl", left_out="all")(lambda _: Work(lambda: None, 1, check=refuse))
    bench = Bench(1000)
    monkeypatch.setattr(bench, "groups", (group,))
    with pytest.raises(AssertionError, match="not done"):
        list(bench)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--only", "marc"], ("only: marc", "the nearest is mark")),
        (["--positions", "3"], ("positions: 3", "1,000")),
        (["--positions", "many"], ("positions", "many")),
        (["--html", "no/such/folder/x.html"], ("no/such/folder/x.html: /: ", "can be written")),
        (["--html", "."], (".: /: ", "can be replaced")),
    ],
)
def test_bad_input_is_refused_before_the_run(
    capsys: pytest.CaptureFixture[str], arguments: list[str], parts: tuple[str, ...]
) -> None:
    code = cli.main(["bench", *arguments])
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert not [part for part in parts if part not in err], err


# ---------------------------------------------------------------- processes of their own


def test_probes_say_what_a_new_process_takes() -> None:
    said = probe("cold")
    assert set(said) == {f"{step}_seconds" for step in ("import", "load", "build", "first_tick")}


@pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from /proc")
def test_a_book_of_any_size_can_be_drawn_fitted_and_ticked() -> None:
    said = probe("grow", "3000")
    assert said["positions"] == 3000
    assert said["peak_draw_bytes"] <= said["peak_fit_bytes"] <= said["peak_tick_bytes"]


def test_it_runs_where_there_is_no_clone(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "fastadl", *SMALL, "--only", "deep", "--json"]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["finished"] is True
