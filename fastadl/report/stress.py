"""An experiment on a terminal: what was run, what happened over time, policies side by side, and who paid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeAlias

import numpy as np
from rich import box
from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from fastadl.report.blocks import chart, sparkline
from fastadl.report.columns import Column
from fastadl.report.compiling import compiling
from fastadl.report.measures import TOTALS
from fastadl.report.stress_words import (
    CENT,
    MOVERS,
    amount,
    class_of,
    closing,
    duration,
    many,
    money,
    neutral,
    percent,
    signed,
    spared,
    with_seeds,
)
from fastadl.report.terminal import NOTHING, checks
from fastadl.stress import StressResult

__all__ = ["show", "watching"]

Row: TypeAlias = dict[str, Any]

#: Cells that words on the left and a policy's numbers take.
_WORDS, _POLICY = 33, 15


@contextmanager
def watching(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar over the steps, on a terminal only; gives what `fastadl.stress.run` reports to.

    Kernels that have to be compiled first are told of anywhere.
    """
    if not console.is_terminal:
        with compiling(console):
            yield lambda *_: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def tell(what: str, done: int, of: int) -> None:
            bar.update(task, description=what, completed=done, total=of)

        with compiling(console, lambda line: bar.update(task, description=line)):
            yield tell


def show(result: StressResult, console: Console) -> None:
    """Print an experiment: what was run, its course, policies side by side, who paid, and all in words."""
    columns = Column.all(result)
    console.print(_header(result), Text(), _course(result, columns, console.width), sep="\n")
    beside = max(1, (console.width - _WORDS) // _POLICY)
    for first in range(0, len(columns), beside):
        some = columns[first : first + beside]
        console.print(Text(), _side_by_side(some), sep="\n")
        if any(column.total["seized"] for column in some):
            console.print(Text(), *_who_paid(result, some), sep="\n")
    console.print(Text(), _end(result), checks(result.checks), Text(), sep="\n")
    for column in columns:
        alike = [each for each in columns if each.feedback == column.feedback]
        beside_it = [each.total for each in alike] if all(each.finished for each in alike) else []
        policy = result.experiment.policies[column.policy]
        console.print(Text.assemble((f"{column.name}: ", "bold"), closing(policy, column.total, beside_it)))


# ---------------------------------------------------------------------- what was run


def _header(result: StressResult) -> Table:
    experiment, facts = result.experiment, result.facts[0]
    drawn, depth = experiment.book, experiment.liquidity
    times = result.outcomes[0].steps["time"]
    seeds = f"seed{'s' if len(experiment.seeds) > 1 else ''} {', '.join(map(str, experiment.seeds))}"
    title = experiment.scenario.title or facts.source
    lasts = duration(int(times[-1]) - int(times[0]))
    movers = "; then by ".join(MOVERS[kind] for kind in experiment.feedback)
    lines = {
        "Book": f"{many(facts.positions, 'position')} of {many(facts.accounts, 'account')} in "
        f"{many(facts.instruments, 'market')} ({drawn.origin}, {seeds}); open interest "
        f"{amount(facts.open_interest)} USD; {neutral(facts.neutral)}"
        + ("" if len(experiment.seeds) == 1 else "; this is the first seed, tables are means over all"),
        "Scenario": f"{title}: {many(facts.steps, 'step')}, {lasts}",
        "Order books": f"{amount(result.outcomes[0].steps['depth'][0])} USD within "
        f"{float(depth.distance):.0%} of mark on each side, {depth.impact.replace('_', '-')} impact; "
        f"later prices are moved by {movers}",
        "Fund": f"{money(facts.fund)} USD",
        "Policies" if len(experiment.policies) > 1 else "Policy": ", ".join(experiment.policies),
    }
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, line in lines.items():
        grid.add_row(name, Text(line))
    return grid


# ---------------------------------------------------------------------- over time


def _course(result: StressResult, columns: list[Column], width: int) -> Group:
    """The first seed over time: the level of all markets, what each policy took, and the fund."""
    firsts = [result.outcomes[column.runs[0]] for column in columns]
    steps = firsts[0].steps
    room = max(10, min(len(steps), width - 42, 90))
    grid = Table.grid(padding=(0, 1))
    for justify in ("right", "left", "left"):
        grid.add_column(justify=justify, no_wrap=True)
    level = steps["market"].to_numpy()
    down = level.min() - 1 < 1 - level.max()
    rows = chart(level, room, 4, of=np.min if down else np.max)
    edges = {0: signed(level.max() - 1), len(rows) - 1: signed(level.min() - 1)}
    for at, row in enumerate(rows):
        said = "all markets, by open interest" if at == 0 else ""
        grid.add_row(edges.get(at, ""), Text(row, style="blue"), Text(said, style="dim"))
    fell = steps["n_liquidations"].to_numpy()
    grid.add_row(f"{fell.max():,}", Text(sparkline(fell, room), style="yellow"), Text("below margin", "dim"))
    for column, outcome in zip(columns, firsts, strict=True):
        taken = (outcome.steps["adl_value"] + outcome.steps["socialized"]).to_numpy()
        name = f"ADL by {column.name}" if len(columns) > 1 else "deleveraged"
        grid.add_row(amount(taken.max()), Text(sparkline(taken, room), style="red"), Text(name[:32], "dim"))
    fund = steps["fund_equity_after"].to_numpy()
    line = Text(sparkline(fund, room, of=np.min), style="green")
    grid.add_row(amount(fund.min()), line, Text("fund at its lowest", style="dim"))
    begin, end = (datetime.fromtimestamp(steps["time"][at], UTC).strftime("%Y-%m-%d %H:%M") for at in (0, -1))
    told = f"{begin} to {end} UTC; beside each line its largest step"
    if len(result.facts) > 1:
        told += f"; seed {result.facts[0].seed}"
    return Group(grid, Text(told, style="dim"))


# ---------------------------------------------------------------------- side by side


#: What is shown of `TOTALS`, group by group.
_MEASURES = {measure.column: measure for group in TOTALS.values() for measure in group}
_LINES = (
    ("liquidated", "bankrupt", "shortfall", "fund_paid", "deficit", "seized", "covered", "uncovered"),
    (
        *("deleveraged", "closed", "paid_own", "broken_hedges", "burden_equity", "top_share", "gini"),
        "rank_inversions",
    ),
    ("fund_lowest", "furthest", "added_by_liquidations", "added_by_adl"),
)


def _grid(columns: Sequence[Column]) -> Table:
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    grid.add_column("", no_wrap=True)
    for column in columns:
        room = _POLICY - 2
        name = (
            column.name if len(column.name) <= room else column.name.replace("_", "_\n").replace(", ", ",\n")
        )
        grid.add_column(Text(name, style="bold"), justify="right", overflow="fold", min_width=room)
    return grid


def _side_by_side(columns: Sequence[Column]) -> Table:
    grid = _grid(columns)
    for group in _LINES:
        for name in group:
            measure = _MEASURES[name]
            cells = (measure.said(column.total[name]) for column in columns)
            grid.add_row(measure.words, *cells, end_section=name == group[-1])
    grid.add_row("Seconds of computing", *(f"{column.total['seconds']:,.1f}" for column in columns))
    return grid


def _who_paid(result: StressResult, columns: Sequence[Column]) -> Iterator[RenderableType]:
    """Share of what was taken, and the part of their profit that a class paid."""
    told = ": share of all that was taken, and in brackets how much of the class's own profit"
    yield Text.assemble(("Who paid", "bold"), told)
    grid = _grid(columns)
    for by in ("leverage", "size", "profit"):
        some = [column.classes(result, by).to_dicts() for column in columns]
        paying = [at for at in range(len(some[0])) if any(rows[at]["seized"] >= CENT for rows in some)]
        for at in paying:
            cells = (_paid(rows[at], sum(row["seized"] for row in rows)) for rows in some)
            words = class_of(by, some[0][at]["from"], some[0][at]["to"])
            grid.add_row(words, *cells, end_section=at == paying[-1])
    yield grid


def _paid(row: Row, total: float) -> Text:
    if row["seized"] < CENT:
        return Text(NOTHING)
    own = row["seized"] / row["profit"] if row["profit"] else np.inf
    return Text.assemble(percent(row["seized"] / total), (f" ({percent(own) if own < 10 else 'all'})", "dim"))


# ---------------------------------------------------------------------- the end


def _end(result: StressResult) -> Text:
    draws = sum(facts.seconds_book for facts in result.facts)
    line = Text.assemble(
        ("Time: ", "bold"), f"{result.seconds:,.1f} s in all, {draws:,.1f} s of it to draw the book"
    )
    for row in spared(result).iter_rows(named=True):
        line.append("\nFund: ", "bold")
        line.append(f"{money(row['fund_needed'])} USD would have spared everybody {with_seeds(row['seeds'])}")
        if len(result.needed) > row["seeds"]:
            line.append(f", later prices moved by {MOVERS[row['feedback']]}")
    kinds = result.experiment.feedback
    for row in result.moves.iter_rows(named=True) if len(kinds) > 1 else ():
        went = (f"{signed(row[kind] - 1)} with {MOVERS[kind]}" for kind in kinds if row.get(kind) is not None)
        line.append("\nMove: ", "bold")
        line.append(f"{row['policy']}, seed {row['seed']}: " + "; ".join(went))
    if not result.finished:
        whole = sum(each.finished for each in result.outcomes)
        last = result.outcomes[-1]
        done = f"\nInterrupted: {whole} of {result.experiment.runs} runs are whole"
        if not last.finished:
            done += f"; {last.which['policy']} did {len(last.steps)} of {result.facts[-1].steps} steps"
        line.append(f"{done}.", style="yellow")
    return line
