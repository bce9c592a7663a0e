"""The shipped rules are complete, and every number in their worked examples is what the engine prints."""

from __future__ import annotations

import json
import re
import tomllib
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

import fastadl

PACKAGE = Path(fastadl.__file__).parent
RULES = (PACKAGE / "docs" / "rules.md").read_text("utf-8")
EXAMPLES = (PACKAGE / "docs" / "examples.md").read_text("utf-8")
NUMBERS = [
    *range(1, 8),
    *range(10, 17),
    *range(20, 33),
    *range(40, 47),
    50,
    51,
    *range(66, 73),
    *range(75, 131),
]

SECTIONS = {part.split(maxsplit=1)[0]: part for part in re.split(r"^### ", EXAMPLES, flags=re.MULTILINE)[1:]}


def cited(text: str) -> set[int]:
    """Numbers of all rules a text names; `R28 to R31` names all four."""
    spans = re.findall(r"\bR(\d+)(?: to R(\d+))?\b", text)
    named = {number for first, last in spans for number in range(int(first), int(last or first) + 1)}
    ends = {int(end) for span in spans for end in span if end}
    return named & set(NUMBERS) | ends


def test_every_rule_stands_in_the_docs_once_and_in_order() -> None:
    assert [int(n) for n in re.findall(r"^### R(\d+) \S", RULES, flags=re.MULTILINE)] == NUMBERS


@pytest.mark.parametrize("folder", [PACKAGE, Path(__file__).parent], ids=["fastadl", "tests"])
def test_every_rule_cited_exists(folder: Path) -> None:
    unknown = {
        f"{path.relative_to(folder)}: R{number}"
        for path in [*folder.rglob("*.py"), *folder.rglob("*.md")]
        for number in cited(path.read_text("utf-8")) - set(NUMBERS)
    }
    assert not unknown


def test_every_rule_about_the_tick_is_cited_by_code() -> None:
    code = "".join(path.read_text("utf-8") for path in PACKAGE.rglob("*.py"))
    assert not {number for number in NUMBERS if number <= 51} - cited(code)


def scenario(name: str) -> dict[str, Any]:
    """The scenario of a worked example, or that of another with one field replaced."""
    section = SECTIONS[name]
    if block := re.search(r"^```toml\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL):
        return tomllib.loads(block[1])
    other, path, value = re.search(r"(W\d) with `--set (\S+)=(\S+)`", section).groups()
    given = scenario(other)
    table, field = path.split(".")
    given.setdefault(table, {})[field] = json.loads(value)
    return given


@pytest.mark.parametrize("name", ["W1", "W2", "W3", "W4", "W5", "W6"])
def test_worked_example(name: str) -> None:
    result = fastadl.Scenario.load(scenario(name)).run()
    rows = re.findall(r"^\| `([\w.]+)` \| `(.+)` \|$", SECTIONS[name], flags=re.MULTILINE)
    assert len(rows) > 5
    for where, value in rows:
        steps = [int(step) if step.isdigit() else step for step in where.split(".")]
        assert reduce(lambda at, step: at[step], steps, result) == json.loads(value), where
    assert all(result["checks"].values())


def test_the_snippets_about_borders_run_and_say_what_they_claim(capsys: pytest.CaptureFixture[str]) -> None:
    page = (PACKAGE / "docs" / "borders.md").read_text("utf-8")
    names: dict[str, Any] = {}
    for snippet in re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL):
        exec(snippet, names)
    assert capsys.readouterr().out.startswith("10.0\n1\n")
    assert names["folded"].differences.select("line", "stated", "folded").rows() == [(2, "0.4", "0.5")]
    assert names["book"].cash.tolist() == [10_168_410_000]


def test_the_snippet_about_transparency_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (PACKAGE / "docs" / "transparency.md").read_text("utf-8")
    section = page.partition("## The question\n")[2].partition("\n## ")[0]
    (snippet,) = re.findall(r"^```python\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(snippet, names)
    assert capsys.readouterr().out.splitlines()[0].startswith("1 ")
    assert names["told"].to_ccxt()["rank"] == names["told"].light


@pytest.mark.parametrize(("name", "least"), [("transparency", 5), ("sharded", 4)])
def test_the_commands_of_a_page_are_understood(name: str, least: int) -> None:
    from fastadl.cli import app

    page = (PACKAGE / "docs" / f"{name}.md").read_text("utf-8")
    lines = re.findall(r"^ *fastadl (.*?)(?: +#.*)?$", page, flags=re.MULTILINE)
    assert len(lines) >= least
    for line in lines:
        app.parse_args(line.split(), exit_on_error=False, print_error=False)


def test_the_snippets_about_shards_run() -> None:
    page = (PACKAGE / "docs" / "sharded.md").read_text("utf-8")
    names: dict[str, Any] = {}
    for snippet in re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL):
        exec(snippet, names)
    assert names["report"].adl_fills.height > 0
