"""The tables of the READMEs, from a run: ``python -m benchmarks.table RESULT.json [--write]``.

RESULT.json is what ``fastadl bench --json`` printed. Prints Markdown; with ``--write`` it replaces what
stands between the marks of README.md and benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from fastadl.report.bench import limits, markdown, registry

HERE = Path(__file__).parent


def put(file: Path, mark: str, text: str) -> None:
    """Put text between ``<!-- mark -->`` and ``<!-- /mark -->`` of a Markdown file."""
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    old = file.read_text("utf-8")
    if old.count(begin) != 1 or old.count(end) != 1 or old.index(begin) > old.index(end):
        raise SystemExit(f"{file}: put {begin} and {end}, once each, where the table shall stand")
    head, rest = old.split(begin)
    file.write_text(f"{head}{begin}\n{text}\n{end}{rest.split(end)[1]}", "utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table", description=__doc__)
    parser.add_argument("result", type=Path, help="what fastadl bench --json printed")
    parser.add_argument("--write", action="store_true", help="put the tables into the READMEs")
    given = parser.parse_args(arguments)
    result = json.loads(given.result.read_text("utf-8"))
    if given.write:
        put(HERE.parent / "README.md", "benchmarks", markdown(result))
        put(HERE / "README.md", "limits", limits(result))
        put(HERE / "README.md", "registry", registry())
    else:
        print(markdown(result), limits(result), registry(), sep="\n\n")


if __name__ == "__main__":
    main()
