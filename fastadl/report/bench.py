"""Benchmarks to read: on a terminal, and as the Markdown tables of the READMEs; both from the JSON object."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from fastadl.bench.cases import GROUPS
from fastadl.bench.run import Bench

__all__ = [
    "about",
    "beside",
    "busy",
    "limits",
    "markdown",
    "per_unit",
    "ratio",
    "registry",
    "run",
    "seconds",
    "share",
    "show",
]

Line: TypeAlias = dict[str, Any]

#: A line was disturbed if its median is so many times its best; more than this share of them is often.
_DISTURBED, _OFTEN = 1.5, 0.1
#: Terminals from this width on have a column for what a line is.
_WIDE = 110


@contextmanager
def _watching(console: Console, of: int) -> Iterator[Any]:
    """A progress bar over the cases, on a terminal only; gives what is told of each."""
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=of)
        yield lambda what: bar.update(task, description=what, advance=1)


def run(bench: Bench, console: Console) -> dict[str, Any]:
    """The result of a run, or of what was finished when it was interrupted; progress on `console`."""
    try:
        with _watching(console, len(bench)) as tell:
            for group, case in bench:
                tell(f"{group.title}: {case.who}")
    except KeyboardInterrupt:
        pass
    return bench.result()


# ---------------------------------------------------------------------- words and numbers


def seconds(value: float) -> str:
    """A time in three digits.

    Examples
    --------
    >>> seconds(0.01234), seconds(1.69e-9), seconds(0.9999)
    ('12.3 ms', '1.69 ns', '1 s')
    """
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= 0.9995 * scale:
            return f"{value / scale:.3g} {unit}" if value < 999.5 * scale else f"{value / scale:,.0f} {unit}"
    return f"{value / 1e-9:.3g} ns"


def per_unit(line: Line) -> str:
    """Time of one unit of work; of one that is a process nothing is left to say."""
    return f"{seconds(line['per_unit'])} / {line['unit']}" if line["units"] > 1 else ""


def ratio(line: Line) -> str:
    """How many times as long as the first of its group, by unit of work."""
    times = line["against_first"]
    if times is None:
        return ""
    return f"× {times:.2g}" if times < 0.95 else f"× {times:,.{0 if times >= 9.95 else 1}f}"


def share(line: Line) -> str:
    """Share of the triad's bandwidth."""
    of = line["of_triad"]
    return "" if of is None else f"{of:.0%}" if of >= 0.01 else "< 1%"


def beside(line: Line) -> str:
    """The facts of a line in words, by the units in their names."""
    said = []
    for name, value in line["facts"].items():
        words, _, unit = name.rpartition("_")
        words = words.replace("_", " ")
        if unit == "seconds":
            said.append(f"{words} {seconds(value)}")
        elif unit == "bytes":
            said.append(f"{words} {value / 1e6:,.{0 if value >= 1e7 else 1}f} MB")
        elif unit == "share":
            said.append(f"{words} {value:.0%}")
        elif name not in ("positions", "accounts"):
            said.append(f"{name} {value:,}")
    return "; ".join(said)


def about(result: dict[str, Any]) -> str:
    """What it was run on."""
    machine = result["machine"]
    versions = ", ".join(f"{name} {machine[name]}" for name in ("python", "numba", "numpy", "polars"))
    many = "1 thread" if machine["threads"] == 1 else f"{machine['threads']} threads"
    return f"{result['positions']:,} positions, {many}, {machine['processor']}; {versions}."


def busy(result: dict[str, Any]) -> str:
    """A warning if the machine had other work to do, by how far medians are from the best; else nothing."""
    lines = [line for group in result["groups"] for line in group["lines"] if line["rounds"] > 1]
    disturbed = sum(line["median"] > _DISTURBED * line["min"] for line in lines)
    if disturbed <= _OFTEN * len(lines):
        return ""
    return (
        f"The machine was busy: in {disturbed} of {len(lines)} lines the median is over {_DISTURBED} times "
        "the best. Run it again when nothing else runs; shares of the triad say little here."
    )


def _limit(result: dict[str, Any]) -> str:
    bandwidth = result["triad_bytes_per_second"]
    return "not measured" if bandwidth is None else f"STREAM triad {bandwidth / 1e9:.1f} GB/s"


# ---------------------------------------------------------------------- a terminal


def show(result: dict[str, Any], console: Console) -> None:
    """Print a run: what it ran on, then a table a group."""
    console.print(Text("fastadl bench: ", style="bold") + Text(about(result)))
    console.print(Text(f"Limit: {_limit(result)}. Run: {result['seconds']:,.0f} s."))
    if not result["machine"]["compiled"]:
        console.print(Text("NUMBA_DISABLE_JIT is set: kernels are plain Python here.", style="red"))
    for group in result["groups"]:
        console.print(
            Text(f"\n{group['title'].capitalize()}", style="bold"), Text(group["intent"], "dim"), sep="\n"
        )
        console.print(_lines(group["lines"], wide=console.width >= _WIDE))
        if console.width < _WIDE:
            for line in group["lines"]:
                console.print(Padding(Text(f"{line['who']}: {_told(line)}", style="dim"), (0, 0, 0, 2)))
    console.print(*_ending(result), sep="\n")


def _lines(lines: Sequence[Line], *, wide: bool) -> Table:
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    cells: dict[str, list[str]] = {
        "by": [line["who"] for line in lines],
        "median": [seconds(line["median"]) for line in lines],
        "best": [seconds(line["min"]) for line in lines],
        "per unit": [per_unit(line) for line in lines],
        "times": [ratio(line) for line in lines],
        "of triad": [share(line) for line in lines],
    }
    if wide:
        cells["what"] = [_told(line) for line in lines]
    kept = {heading: column for heading, column in cells.items() if any(column)}
    for heading in kept:
        text = heading in ("by", "what")
        grid.add_column(
            heading, justify="left" if text else "right", no_wrap=not text, overflow="fold",
            style="dim" if heading == "what" else "",
        )  # fmt: skip
    for line, row in zip(lines, zip(*kept.values(), strict=True), strict=True):
        grid.add_row(*map(Text, row), style="bold" if line is lines[0] else "")
    return grid


def _told(line: Line) -> str:
    facts = beside(line)
    return f"{line['does']} {facts[0].upper()}{facts[1:]}." if facts else line["does"]


def _ending(result: dict[str, Any]) -> Iterator[Text]:
    yield Text(
        "\ntimes: as long as the first of its group, by unit of work. of triad: bytes that must move, by "
        "time, over the triad's bandwidth in rounds run in turn with it.",
        style="dim",
    )
    if busy(result):
        yield Text(busy(result), style="yellow")
    for absent in result["absent"]:
        yield Text(f"Left out, {absent['group']}: {absent['who']}: {absent['why']}", style="yellow")
    if not result["finished"]:
        yield Text("Interrupted: what is not finished is not shown.", style="red")


# ---------------------------------------------------------------------- Markdown


def markdown(result: dict[str, Any]) -> str:
    """The README's table of speed: groups of many alike as one line, the rest line by line."""
    heading = ("work", "by", "median", "per unit", "against fastadl", "of triad", "beside")
    rows = [row for group in result["groups"] for row in _short(group)]
    return "\n".join([*_grid(heading, rows, "llrrrrl"), "", about(result)])


def _short(group: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    lines = group["lines"]
    if group["several"] and len(lines) > 1:
        fast, slow = (pick(lines, key=lambda line: line["per_unit"]) for pick in (min, max))
        yield (
            group["title"],
            f"fastadl, {len(lines)} {group['several']}",
            f"{seconds(fast['median'])} to {seconds(slow['median'])}",
            f"{seconds(fast['per_unit'])} to {per_unit(slow)}",
            *("", "", ""),
        )
        return
    for i, line in enumerate(lines):
        yield (
            group["title"] if i == 0 else "",
            line["who"],
            seconds(line["median"]),
            per_unit(line),
            ratio(line),
            share(line),
            beside(line),
        )


def limits(result: dict[str, Any]) -> str:
    """How far every line of ours that says what holds it back is from the limit."""
    heading = ("work", "by", "moves", "of triad", "best rounds", "what holds it back")
    rows = [
        (
            group["title"],
            line["who"],
            f"{line['moved_bytes'] / line['median'] / 1e9:.1f} GB/s",
            share(line),
            f"{line['of_triad_best']:.0%}",
            line["held_back"],
        )
        for group in result["groups"]
        for line in group["lines"]
        if line["held_back"] and line["of_triad"] is not None
    ]
    return "\n".join([*_grid(heading, rows, "llrrrl"), "", f"{about(result)} {_limit(result)}."])


def registry() -> str:
    """Every benchmark: intent, unit of work, and what is left out."""
    heading = ("`--only`", "work and intent", "by", "unit", "left out")
    rows = []
    for group in GROUPS:
        cases = group.cases[:1] if group.several else group.cases
        for i, case in enumerate(cases):
            several = f"fastadl, {len(group.cases)} {group.several}" if group.several else case.who
            first = (f"`{group.name}`", f"**{group.title}**: {group.intent}") if i == 0 else ("", "")
            rows.append((*first, several, case.unit, case.left_out))
    return "\n".join(_grid(heading, rows, "lllll"))


def _grid(heading: Sequence[str], rows: Sequence[Sequence[str]], sides: str) -> Iterator[str]:
    yield f"| {' | '.join(heading)} |"
    yield f"|{'|'.join('--:' if side == 'r' else '---' for side in sides)}|"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
