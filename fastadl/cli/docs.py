"""``fastadl docs``: the rules, worked examples, and pages about a part of the package."""

from __future__ import annotations

import re
import sys
from importlib.resources import files

from rich.markdown import Markdown

from fastadl.cli.terminal import console
from fastadl.errors import InputError

__all__ = ["docs"]


def docs(rule: str | None = None, /) -> None:
    """Show the rules, or one of them, a section, a worked example, or another page.

    Parameters
    ----------
    rule
        A rule such as R27, a section such as 3, a worked example such as W1, or a page: examples; stress,
        what the stress lab simulates and how far to believe it; transparency, where a position stands and
        why; borders, positions of ccxt and fills of Hyperliquid; monitor, metrics and alerts; incremental,
        marks that cost what moved; sharded, a book on more than one machine.
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
    pages = {file.name.removesuffix(".md"): file for file in folder.iterdir() if file.name.endswith(".md")}
    if name is None:
        return rules
    if name in pages:
        return pages[name].read_text("utf-8")
    heading = rf"## {name}\. " if name.isdigit() else rf"### {re.escape(name.upper())} "
    end = "#{1,2} " if name.isdigit() else "#{1,3} "
    found = re.search(rf"^{heading}.*?(?=^{end}|\Z)", rules + "\n" + examples, flags=re.MULTILINE | re.DOTALL)
    if found is None:
        known = ", ".join(sorted(pages.keys() - {"rules"}))
        raise InputError(
            ("docs",), name, f"name a rule such as R27, a section such as 3, an example W1 to W6, or {known}"
        )
    return found[0].rstrip() + "\n"
