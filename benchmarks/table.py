"""The README's table of speed, from what pytest-benchmark wrote: ``python -m benchmarks.table RESULT.json``.

Prints Markdown; with ``--write README.md`` it replaces what stands between the two marks there.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- benchmarks -->", "<!-- /benchmarks -->"
_HEAD = (
    "| work | by | median | per unit | against fastadl | of triad | beside |",
    "|---|---|--:|--:|--:|--:|---|",
)
_LIMIT = "STREAM triad"


def table(result: dict[str, Any]) -> str:
    """A Markdown table: medians, ratios and shares of the triad's bandwidth, all from one run."""
    runs = result["benchmarks"]
    bandwidth = next((_bandwidth(run) for run in runs if run["extra_info"]["who"] == _LIMIT), None)
    lines = list(_HEAD)
    for group in dict.fromkeys(run["group"] for run in runs):
        each = sorted((run for run in runs if run["group"] == group), key=lambda run: not _ours(run))
        for i, run in enumerate(each):
            lines.append(_line(run, each[0], group if i == 0 else "", bandwidth))
    return "\n".join([*lines, "", _caption(result["machine_info"])])


def _line(run: dict[str, Any], first: dict[str, Any], group: str, bandwidth: float | None) -> str:
    info = run["extra_info"]
    rival = not _ours(run) and info["unit"] == first["extra_info"]["unit"]
    cells = [
        group,
        info["who"],
        _seconds(run["stats"]["median"]),
        f"{_seconds(_per_unit(run))} / {info['unit']}",
        f"× {_ratio(run, first)}" if rival else "",
        f"{_bandwidth(run) / bandwidth:.0%}" if bandwidth and "bytes" in info else "",
        _beside(info),
    ]
    return f"| {' | '.join(cells)} |"


def _ours(run: dict[str, Any]) -> bool:
    return str(run["extra_info"]["who"]).startswith("fastadl")


def _per_unit(run: dict[str, Any]) -> float:
    return float(run["stats"]["median"] / run["extra_info"]["units"])


def _ratio(run: dict[str, Any], first: dict[str, Any]) -> str:
    ratio = _per_unit(run) / _per_unit(first)
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}"


def _bandwidth(run: dict[str, Any]) -> float:
    return float(run["extra_info"].get("bytes", 0) / run["stats"]["median"])


def _beside(info: dict[str, Any]) -> str:
    said = []
    if "GB/s" in info:
        said.append(f"{info['GB/s']:.1f} GB/s")
    if "bytes_per_position" in info:
        said.append(f"{info['bytes_per_position']} B read a position")
    if "book" in info:
        said.append(f"book {info['book'] / info['positions']:.0f} B a position, ids and accounts included")
        said.append(f"{info['share_of_budget']:.0%} of budget")
        said.append(
            f"peak {info['peak_tick'] / 1e6:,.0f} MB, of which {info['peak_import'] / 1e6:,.0f} at import"
        )
    if "first_tick" in info:
        steps = ("import", "load", "build", "first_tick")
        said += [f"{step.replace('_', ' ')} {_seconds(info[step])}" for step in steps]
    return "; ".join(said)


def _caption(machine: dict[str, Any]) -> str:
    about, processor = machine["fastadl"], machine.get("cpu", {}).get("brand_raw", machine["machine"])
    versions = ", ".join(f"{name} {about[name]}" for name in ("python", "numba", "numpy", "polars"))
    return f"{about['positions']:,} positions, {about['threads']} threads, {processor}; {versions}."


def _seconds(value: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def write(readme: Path, text: str) -> None:
    """Put the table between the marks of a Markdown file."""
    old = readme.read_text(encoding="utf-8")
    if old.count(BEGIN) != 1 or old.count(END) != 1 or old.index(BEGIN) > old.index(END):
        raise SystemExit(f"{readme}: put {BEGIN} and {END}, once each, where the table shall stand")
    head, rest = old.split(BEGIN)
    tail = rest.split(END)[1]
    readme.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table", description=__doc__)
    parser.add_argument("result", type=Path, help="file of pytest --benchmark-json")
    parser.add_argument("--write", type=Path, metavar="README.md", help="file to put the table in")
    given = parser.parse_args(arguments)
    text = table(json.loads(given.result.read_text(encoding="utf-8")))
    if given.write:
        write(given.write, text)
    else:
        print(text)


if __name__ == "__main__":
    main()
