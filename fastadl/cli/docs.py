"""``fastadl docs``: the rules, worked examples and what the lab simulates."""

from __future__ import annotations

import re
import sys
from importlib.resources import files

from rich.markdown import Markdown

from fastadl.cli.terminal import console
from fastadl.errors import InputError

__all__ = ["docs"]


def docs(rule: str | None = None, /) -> None:
    """Show the rules, or one of them, a section, or a worked example.

    Parameters
    ----------
    rule
        A rule such as R27, a section 1 to 9, a worked example such as W1, examples for all of them, or stress
        for what the stress lab simulates and how far to believe it.
    """
    text = _documentation(rule)
    terminal = console()
    if terminal.is_terminal:
        terminal.print(Markdown(text))
    else:
        sys.stdout.write(text)


def _documentation(name: str | None) -> str:
    folder = files("fastadl") / "docs"
    rules = (folder / "rules.md").read_text("utf-8")
    examples = (folder / "examples.md").read_text("utf-8")
    if name is None:
        return rules
    if name == "examples":
        return examples
    if name == "stress":
        return (folder / "stress.md").read_text("utf-8")
    heading = rf"## {name}\. " if name.isdigit() else rf"### {re.escape(name.upper())} "
    end = "#{1,2} " if name.isdigit() else "#{1,3} "
    found = re.search(rf"^{heading}.*?(?=^{end}|\Z)", rules + "\n" + examples, flags=re.MULTILINE | re.DOTALL)
    if found is None:
        raise InputError(
            ("docs",),
            name,
            "name a rule such as R27, a section 1 to 9, an example W1 to W6, examples, or stress",
        )
    return found[0].rstrip() + "\n"
