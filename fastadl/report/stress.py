"""A stress test on a terminal: what it ran on, the steps that moved most, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from typing import Any, TypeAlias

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from fastadl.report.compiling import compiling
from fastadl.report.terminal import NOTHING, checks
from fastadl.stress.run import BETA, DEPTH, SLIPPAGE, StressResult

__all__ = ["amount", "show", "watching"]

Step: TypeAlias = dict[str, Any]

_ATOMS = 10**6
_SIZES = ((10**9, "B"), (10**6, "M"), (10**3, "k"))
#: Steps shown one by one; the others are folded into sums.
_MOST = 30
_VALUES = ("closed_value", "takeover_value", "adl_value", "socialized", "uncovered")
_SUMMED = ("n_liquidations", "bankrupt", "seconds_total", *_VALUES)
_HEADINGS = (
    *("time", "price", "below\nmargin", "bank-\nrupt", "closed\nin book", "taken\nover"),
    *("delev-\neraged", "un-\ncovered", "fund", "ms"),
)


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
    """Print a stress test: what it ran on, the steps that moved most, totals, and a sentence."""
    console.print(_header(result), Text(), _steps(result), Text(), sep="\n")
    console.print(_totals(result), checks(result.checks), Text(), _sentence(result), sep="\n")


def amount(atoms: int) -> str:
    """Money in two to four digits; a dash for none.

    Examples
    --------
    >>> amount(12_345_678_000_000), amount(999_000_000), amount(400_000), amount(0)
    ('12.3M', '999', '0.4', '–')
    """
    units = atoms / _ATOMS
    for size, letter in _SIZES:
        if abs(units) >= size:
            scaled = units / size
            return f"{scaled:,.{1 if abs(scaled) < 99.95 else 0}f}{letter}"
    return f"{units:.{1 if abs(units) < 9.95 else 0}f}" if atoms else NOTHING


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
        f"{closes[0]:,} to {closes[-1]:,}, lowest {min(closes):,}, highest {max(closes):,}{follow}",
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
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0, show_edge=False)
    for heading in _HEADINGS:
        grid.add_column(heading, justify="left" if heading == "time" else "right", no_wrap=True)
    rows: list[Step] = [
        {**step, "close": Decimal(closes[0])}
        for step, closes in zip(result.steps.to_dicts(), result.path.closes, strict=True)
    ]
    busiest = sorted(range(len(rows)), key=lambda at: -_moved(rows[at]))[:_MOST]
    shown = {at for at in busiest if _moved(rows[at])}
    for one_by_one, group in groupby(range(len(rows)), key=shown.__contains__):
        steps = [rows[at] for at in group]
        if one_by_one:
            for step in steps:
                grid.add_row(_clock(step), *_cells(step))
        else:
            folded = {name: sum(step[name] for step in steps) for name in _SUMMED}
            grid.add_row(f"{len(steps)} more", *_cells({**steps[-1], **folded}), style="dim")
    return grid


def _moved(step: Step) -> int:
    """Money that changed hands at a step: what brings it into the table."""
    return int(step["n_liquidations"] + sum(step[name] for name in _VALUES))


def _clock(step: Step) -> str:
    return datetime.fromtimestamp(step["time"], UTC).strftime("%m-%d %H:%M")


def _cells(step: Step) -> tuple[Text, ...]:
    return (
        Text(f"{step['close']:,}"),
        *(Text(f"{step[name]:,}" if step[name] else NOTHING) for name in ("n_liquidations", "bankrupt")),
        Text(amount(step["closed_value"])),
        Text(amount(step["takeover_value"])),
        Text(amount(step["adl_value"] + step["socialized"]), style="yellow"),
        Text(amount(step["uncovered"]), style="red"),
        Text(amount(step["fund_equity_after"])),
        Text(f"{1000 * step['seconds_total']:,.0f}"),
    )


def _totals(result: StressResult) -> Text:
    of = _sums(result)
    seconds = sorted(result.steps["seconds_total"].to_list())
    return Text.assemble(
        ("Losses: ", "bold"),
        f"shortfall of the bankrupt {of['shortfall']}; the fund lost {of['takeover_loss']} in take-overs "
        f"and paid {of['fund_paid']} in cash; uncovered {of['uncovered']}\n",
        ("Time: ", "bold"),
        f"{sum(seconds):.2f} s for {len(seconds)} steps; median {1000 * seconds[len(seconds) // 2]:,.1f} ms, "
        f"longest {1000 * seconds[-1]:,.0f} ms",
    )


def _sentence(result: StressResult) -> Text:
    of, who, path = _sums(result), result.distinct, result.path
    if not who["liquidated"]:
        return Text("Nobody fell below the maintenance margin.")
    returns = [Decimal(row[0]) / Decimal(path.closes[0][0]) - 1 for row in path.closes]
    if result.policy.space == "wealth":
        charged = f"winners were charged {of['socialized']}"
    elif who["deleveraged"]:
        charged = f"{who['deleveraged']:,} winning traders were deleveraged for {of['adl_value']}"
    else:
        charged = "nobody had to be deleveraged"
    uncovered = of["uncovered"] != "nothing"
    return Text(
        f"While {path.symbols[0]} moved by as much as {max(returns, key=abs):+.1%}, {who['liquidated']:,} "
        f"of {result.accounts:,} accounts fell below their maintenance margin and {who['bankrupt']:,} went "
        f"bankrupt; the order book closed {of['closed_value']} and the fund took over "
        f"{of['takeover_value']}, {charged}, and "
        + (f"{of['uncovered']} stayed uncovered." if uncovered else "every loss was covered.")
    )


def _sums(result: StressResult) -> dict[str, str]:
    names = (*_VALUES, "shortfall", "takeover_loss", "fund_paid")
    totals = {name: int(result.steps[name].sum()) for name in names}
    return {name: f"{amount(total)} USD" if total else "nothing" for name, total in totals.items()}
