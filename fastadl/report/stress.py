"""A stress test on a terminal: what it ran on, the steps that mattered, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from fastadl.stress.run import BETA, DEPTH, SLIPPAGE, StressResult

__all__ = ["amount", "show", "watching"]

_ATOMS = 10**6
_SIZES = ((10**9, "B"), (10**6, "M"), (10**3, "k"))
_BUSY = ("n_liquidations", "n_executions", "n_takeovers", "n_adl_fills", "n_socialized", "n_uncovered")
_HEADINGS = (
    *("time", "price", "below\nmargin", "bank-\nrupt", "closed\nin book", "taken\nover"),
    *("delev-\neraged", "un-\ncovered", "fund", "ms"),
)


@contextmanager
def watching(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar over the steps; gives the callable that `fastadl.stress.run` reports to."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def tell(what: str, done: int, of: int) -> None:
            bar.update(task, description=what, completed=done, total=of)

        yield tell


def show(result: StressResult, console: Console) -> None:
    """Print a stress test: what it ran on, its steps with the quiet ones folded, totals, and a sentence."""
    console.print(_header(result), "", _steps(result), "", _totals(result), "", _sentence(result), sep="\n")


def amount(atoms: int) -> str:
    """Money in two to four digits.

    Examples
    --------
    >>> amount(12_345_678_000_000), amount(999_000_000), amount(400_000), amount(0)
    ('12.3M', '999', '0.4', '0')
    """
    for size, letter in _SIZES:
        if abs(atoms) >= size * _ATOMS:
            units = atoms / _ATOMS / size
            return f"{units:,.{1 if abs(units) < 99.95 else 0}f}{letter}"
    units = atoms / _ATOMS
    return f"{units:.{1 if 0 < abs(units) < 9.95 else 0}f}"


def _header(result: StressResult) -> Table:
    stress, path, policy = result.stress, result.path, result.policy
    closes = [Decimal(row[0]) for row in path.closes]
    others = stress.instruments - len(path.symbols)
    follow = f"; {others} other markets move by the power {BETA} of it" if others else ""
    named = stress.policy if isinstance(stress.policy, str) else "given"
    rule = f"score {policy.score}, {policy.allocation}, at {policy.price} price"
    lines = {
        "Book": f"{stress.positions:,} positions of {result.accounts:,} accounts in {stress.instruments:,} "
        f"markets ({stress.shape}, seed {stress.seed}); open interest {amount(result.open_interest)} USD; "
        f"drawn in {result.seconds_book:.1f} s",
        "Path": f"{path.source}: {', '.join(path.symbols)} in {len(closes)} steps; {path.symbols[0]} "
        f"{closes[0]:,} to {closes[-1]:,}, lowest {min(closes):,} ({min(closes) / closes[0] - 1:+.1%})"
        + follow,
        "Policy": f"{named}: {rule if policy.space == 'contract' else 'losses charged in cash'}",
        "Fund": f"{amount(int(result.fund.cash * _ATOMS))} USD",
        "Order book": f"takes {float(DEPTH):.0%} of a market's open interest per step and direction, "
        f"{float(SLIPPAGE):.0%} from mark; what a closed account has left goes to the fund",
    }
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, line in lines.items():
        grid.add_row(name, Text(line))
    return grid


def _steps(result: StressResult) -> Table:
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for heading in _HEADINGS:
        grid.add_column(heading, justify="left" if heading == "time" else "right", no_wrap=True)
    rows = [
        {**step, "close": Decimal(closes[0])}
        for step, closes in zip(result.steps.to_dicts(), result.path.closes, strict=True)
    ]
    for busy, group in groupby(rows, key=lambda step: any(step[name] for name in _BUSY)):
        steps = list(group)
        if busy:
            for step in steps:
                grid.add_row(*_cells(step))
        else:
            grid.add_row(f"{len(steps)} quiet", f"{steps[-1]['close']:,}", style="dim")
    return grid


def _cells(step: dict[str, Any]) -> tuple[Text | str, ...]:
    charged = step["adl_value"] + step["socialized"]
    return (
        datetime.fromtimestamp(step["time"], UTC).strftime("%m-%d %H:%M"),
        f"{step['close']:,}",
        f"{step['n_liquidations']:,}",
        f"{step['bankrupt']:,}",
        amount(step["closed_value"]),
        amount(step["takeover_value"]),
        Text(amount(charged), style="yellow" if charged else ""),
        Text(amount(step["uncovered"]), style="red" if step["uncovered"] else ""),
        amount(step["fund_equity_after"]),
        f"{1000 * step['seconds_total']:,.0f}",
    )


def _totals(result: StressResult) -> Text:
    of = _sums(result)
    seconds = result.steps["seconds_total"].to_list()
    broken = [law.replace("_", " ") for law, held in result.checks.items() if not held]
    return Text.assemble(
        ("Losses  ", "bold"),
        f"shortfall of the bankrupt {of['shortfall']} USD; the fund lost {of['takeover_loss']} in take-overs "
        f"and paid {of['fund_paid']} in cash; uncovered {of['uncovered']}\n",
        ("Time    ", "bold"),
        f"{sum(seconds):.2f} s for {len(seconds)} steps, the longest {1000 * max(seconds):,.0f} ms\n",
        ("Checks  ", "bold"),
        (f"broken: {', '.join(broken)}", "bold red")
        if broken
        else ("lots, money, fills and bankrupt accounts all as they must be", "green"),
    )


def _sentence(result: StressResult) -> Text:
    of, who, path = _sums(result), result.distinct, result.path
    if not who["liquidated"]:
        return Text("Nobody fell below the maintenance margin.")
    lowest = min(Decimal(row[0]) for row in path.closes) / Decimal(path.closes[0][0]) - 1
    deleveraged = (
        f"{who['deleveraged']:,} winning traders were deleveraged for {of['adl_value']} USD"
        if who["deleveraged"]
        else f"winners were charged {of['socialized']} USD"
        if result.policy.space == "wealth"
        else "nobody had to be deleveraged"
    )
    covered = not any(result.steps["uncovered"])
    return Text(
        f"While {path.symbols[0]} moved by as much as {lowest:+.1%}, {who['liquidated']:,} of "
        f"{result.accounts:,} accounts fell below their maintenance margin and {who['bankrupt']:,} went "
        f"bankrupt; the order book closed {of['closed_value']} USD and the fund took over "
        f"{of['takeover_value']}, {deleveraged}, and "
        + ("every loss was covered." if covered else f"{of['uncovered']} USD stayed uncovered.")
    )


def _sums(result: StressResult) -> dict[str, str]:
    names = (
        *("shortfall", "takeover_loss", "fund_paid", "uncovered", "adl_value", "socialized"),
        *("closed_value", "takeover_value"),
    )
    return {name: amount(int(result.steps[name].sum())) for name in names}
