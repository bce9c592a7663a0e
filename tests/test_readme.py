"""The README's snippets run, and its commands are the ones that are checked."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from fastadl.policy.venues import named

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.jit
def test_every_python_snippet_runs(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    try:
        for snippet in blocks("python"):
            exec(snippet, names)  # they build on each other, as for a reader
    finally:
        named.pop("example_2026", None)
    assert "bob" in capsys.readouterr().out
    assert len(names["orders"]) > len(names["filled"]) > 0


def test_the_checks_run_the_commands_a_reader_runs() -> None:
    commands = [line for block in blocks("console") for line in block.splitlines() if line.startswith("pip ")]
    assert len(commands) == 2
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert script.count('eval "$(readme 1)"') == script.count('eval "$(readme 2)"') == 1


def command_lines() -> list[str]:
    lines = [line.partition(" #")[0].strip() for block in blocks("console") for line in block.splitlines()]
    return [part.strip() for line in lines for part in line.split("&&") if part.strip().startswith("fastadl")]


@pytest.mark.parametrize("line", command_lines())
def test_every_command_line_is_understood(line: str) -> None:
    from fastadl.cli import app

    command, bound, *_ = app.parse_args(shlex.split(line)[1:], exit_on_error=False, print_error=False)
    assert command.__module__.startswith("fastadl.cli")
    assert bound is not None


@pytest.mark.parametrize("link", re.findall(r"\]\((?!http)([^)#]+)\)", README))
def test_every_link_leads_somewhere(link: str) -> None:
    assert (ROOT / link).exists()


def test_readme_names_the_version_it_needs() -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    (needed,) = re.findall(r'requires-python = ">=([\d.]+)"', project)
    assert f"Python {needed} or newer" in README
