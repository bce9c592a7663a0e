"""A journal done again, on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from fastadl.recording import Replayed
from fastadl.report.terminal import NOTHING, Number, checks, money, table

__all__ = ["show", "watching"]

_LINES = {
    "adl_fills": "ADL fills",
    "adl_accounts": "accounts deleveraged",
    "adl_value": "value of the fills",
    "charged": "charged in cash",
    "uncovered": "uncovered",
    "fund": "fund at the end",
    "refused": "entries refused",
}


@contextmanager
def watching(console: Console) -> Iterator[Callable[[int, int], None]]:
    """A progress bar over the entries, on a terminal only."""
    columns = (TextColumn("entries"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("entries")
        yield lambda done, of: bar.update(task, completed=done, total=of)


def show(replayed: Replayed, console: Console) -> None:
    """Print whether everything is what it was, the first difference, and what policies did."""
    console.print(_verdict(replayed))
    for lost in replayed.lost:
        console.print(Text(f"Lost: {lost}", style="bold red"))
    courses = [course.to_dict(replayed.decimals) for course in replayed.courses]
    names = ["as journaled", "what if"][: len(courses)]
    lines = [
        {"what": what, **{name: _cell(course[line]) for name, course in zip(names, courses, strict=True)}}
        for line, what in _LINES.items()
    ]
    columns = [(name, lambda entry, name=name: entry[name]) for name in ("what", *names)]
    console.print(table(_title(courses), columns, lines))
    first = courses[-1]["first_refused"] if len(courses) > 1 else None
    if first is not None:
        where = f"entry {first['sequence']}, {first['kind']}"
        console.print(Text(f"First refused under the other policy: {where}: {first['what']}"))
    laws = replayed.engine.check()
    console.print(
        checks({name: getattr(laws, name) for name in ("lots", "money", "fills", "bankrupt_closed_at_zero")})
    )


def _verdict(replayed: Replayed) -> Text:
    first, last, where = replayed.first, replayed.last, replayed.difference
    done = f"entries {first} to {last}" if last >= first else "no entry"
    states = f"{len(replayed.snapshots)} later snapshots"
    told = f"{done}, {states}; hash {replayed.hash or NOTHING}"
    if replayed.ok:
        return Text(f"Equal: {told}", style="green")
    if where is None:
        return Text(f"Not whole: what could be done is equal: {told}", style="bold red")
    line = f"Not equal: entry {where.sequence}, {where.kind}: {where.what}; {done} are"
    return Text(line, style="bold red")


def _title(courses: list[dict[str, Any]]) -> str:
    if len(courses) == 1:
        return "What happened"
    mine, other = (course["policy"] for course in courses)
    changed = [
        f"{name} {other.get(name, 'as usual')} in place of {mine.get(name, 'as usual')}"
        for name in sorted({*mine, *other})
        if mine.get(name) != other.get(name)
    ]
    return "What if: " + ("; ".join(changed) or "the same policy")


def _cell(value: int | Mapping[str, str]) -> Number:
    if isinstance(value, int):
        return Number(f"{value:,}")
    amounts = [f"{money(amount)} {code}" for code, amount in value.items()]
    return Number("\n".join(amounts) or NOTHING)
