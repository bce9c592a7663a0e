"""A sweep on a terminal: how often it happens, what the fund would need, policies, and what matters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from fastadl.report import sweep_words as words
from fastadl.report.measures import MEASURES
from fastadl.report.stress import watching
from fastadl.report.stress_words import MOVERS, amount, percent
from fastadl.report.terminal import NOTHING, Number, table
from fastadl.sweep import SweepResult
from fastadl.sweep.design import shown

__all__ = ["show", "watching"]

#: Points whose funds are shown, most.
_POINTS = 20
#: Cells that words on the left and a policy's numbers take; a chart of a distribution, at most.
_WORDS, _POLICY, _CHART = 31, 16, 60


def show(result: SweepResult, console: Console) -> None:
    """Print a sweep: what was run, and for each kind of feedback what it answers."""
    kinds = words.feedbacks(result)
    console.print(_header(result), Text(), Text(f"{words.headline(result)}.", style="bold"), sep="\n")
    for feedback in kinds:
        if len(kinds) > 1:
            console.print(Text(f"\nLater prices moved by {MOVERS[feedback]}", style="bold underline"))
        console.print(*_answers(result, feedback, console.width), sep="\n")
    console.print(_end(result))


def _header(result: SweepResult) -> Table:
    sweep, drawn = result.sweep, result.sweep.experiment.book
    lines = {
        "Sweep": f"{words.above(result).partition(' · ')[2]}; {words.many(len(result.runs), 'run')}",
        "Seeds": words.seeds(result),
        "Book": f"{drawn.positions:,} positions in {drawn.instruments:,} markets, {drawn.shape}"
        + ("" if drawn.seed is None else f"; seed {drawn.seed} for all"),
        **dict(words.varied(result)),
        "Policies" if len(sweep.experiment.policies) > 1 else "Policy": ", ".join(sweep.experiment.policies),
    }
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, line in lines.items():
        grid.add_row(Text(name), Text(line))
    return grid


def _answers(result: SweepResult, feedback: str, width: int) -> Iterator[RenderableType]:
    yield Text.assemble(("Fund: ", "bold"), " ".join(words.fund_said(result, feedback)))
    yield from _funds(result, feedback)
    spread = words.of_all(result.distributions.filter(feedback=feedback))
    yield from _spreads(spread, result, width)
    yield Text()
    yield from _side_by_side(spread, result, width)
    yield from _matters(result, feedback, width)
    yield from _effects(result, feedback)
    for name, said in words.policies_said(result, feedback):
        yield Text.assemble((f"{name}: ", "bold"), said)


def _policies(result: SweepResult, frame: pl.DataFrame) -> list[str]:
    """Those in a frame, in the order of the sweep."""
    return [name for name in result.sweep.experiment.policies if name in frame["policy"]]


# ---------------------------------------------------------------------- the fund


def _funds(result: SweepResult, feedback: str) -> Iterator[RenderableType]:
    """What the fund would need at each point."""
    fund = result.fund.filter(feedback=feedback)
    points = fund["point"].unique().sort().to_list()
    if len(points) < 2:
        return
    rows: list[Any] = [fund.filter(point=point).rows(named=True) for point in points[:_POINTS]]

    def needs(at: int) -> Any:
        return lambda row: Number(NOTHING if row[at]["cash"] is None else amount(row[at]["cash"]))

    columns = [
        *((name, lambda row, name=name: _value(row[0][name])) for name in result.parameters),
        ("it happens", lambda row: NOTHING if row[0]["observed"] is None else words.chance(row[0])),
        *((f"for {words.odds(row['probability'])}", needs(at)) for at, row in enumerate(rows[0])),
    ]
    yield Text()
    yield table("How often losses reach others, and the fund that would make that rarer, USD", columns, rows)
    if len(points) > _POINTS:
        yield Text(f"… and {len(points) - _POINTS} more points; --out writes all", style="dim")


def _value(value: object) -> object:
    return Number(shown(value)) if isinstance(value, float) else value


# ---------------------------------------------------------------------- distributions


def _spreads(spread: pl.DataFrame, result: SweepResult, width: int) -> Iterator[RenderableType]:
    """Where nine tenths of the runs lie: a line for each policy."""
    rows = spread.filter(pl.col("q05").is_not_null(), measure="seized")
    if rows.is_empty() or not rows["q95"].max():
        return
    low, high = float(rows["q05"].min()), float(rows["q95"].max())  # type: ignore[arg-type]
    room = max(10, min(_CHART, width - _WORDS))
    yield Text()
    yield Text.assemble(
        ("Taken from traders, USD", "bold"), ": nine tenths of the runs, half of them, the middle"
    )
    for policy in _policies(result, rows):
        row = rows.filter(policy=policy).row(0, named=True)
        places = [_place(row[name], low, high, room) for name in ("q05", "q25", "q50", "q75", "q95")]
        line = Text(f"{policy[: _WORDS - 10]:<{_WORDS - 10}}")
        yield line.append(_box(places, room), style="blue").append(f" {amount(row['q50'])}")
    yield Text(f"{'':<{_WORDS - 10}}{amount(low)}{amount(high):>{room - len(amount(low))}}", style="dim")


def _place(value: float, low: float, high: float, room: int) -> int:
    return round((value - low) / ((high - low) or 1.0) * (room - 1))


def _box(places: Sequence[int], room: int) -> str:
    """A box plot in a row of letters.

    Examples
    --------
    >>> _box([0, 2, 4, 6, 9], 12)
    '──━━┃━━───  '
    """
    first, lower, middle, upper, last = places
    letters = [" "] * room
    letters[first : last + 1] = "─" * (last + 1 - first)
    letters[lower : upper + 1] = "━" * (upper + 1 - lower)
    letters[middle] = "┃"
    return "".join(letters)


def _side_by_side(spread: pl.DataFrame, result: SweepResult, width: int) -> Iterator[RenderableType]:
    """Means of the key measures and their bands."""
    policies = _policies(result, spread)
    beside = max(1, (width - _WORDS) // _POLICY)
    for first in range(0, len(policies), beside):
        some = policies[first : first + beside]
        grid = _grid("mean over the runs, and its 95 % band", some)
        for measure in words.KEY:
            rows = [spread.filter(policy=policy, measure=measure).row(0, named=True) for policy in some]
            grid.add_row(MEASURES[measure].words, *(_mean(row, MEASURES[measure].shown) for row in rows))
        yield grid
        yield Text()


def _mean(row: words.Row, shown: Any) -> Text:
    if row["mean"] is None:
        return Text(NOTHING)
    sure = words.band(row, "mean", shown)
    return Text.assemble(shown(row["mean"]), (f"\n{sure}", "dim") if sure else "")


def _grid(title: str, policies: Sequence[str]) -> Table:
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    grid.add_column(Text(title, style="dim"), max_width=_WORDS - 1)
    for policy in policies:
        name = policy if len(policy) <= _POLICY - 2 else policy.replace("_", "_\n")
        grid.add_column(Text(name, style="bold"), justify="right", overflow="fold", min_width=_POLICY - 2)
    return grid


# ---------------------------------------------------------------------- parameters


def _matters(result: SweepResult, feedback: str, width: int) -> Iterator[RenderableType]:
    """What each factor explains of what the key measures vary."""
    told = [rows for measure in words.KEY if len(rows := words.ranked(result, feedback, measure)) > 1]
    factors = [name for name in (*result.parameters, "policy", "seed") if told and name in told[0]["factor"]]
    beside = max(1, (width - _WORDS) // _POLICY)
    for first in range(0, len(factors), beside):
        some = factors[first : first + beside]
        grid = _grid("share of its variance, and band", [words.factor(name) for name in some])
        for rows in told:
            cells = [rows.filter(factor=name).row(0, named=True) for name in some]
            grid.add_row(MEASURES[rows["measure"][0]].words, *(_share(cell) for cell in cells))
        yield grid
        yield Text()


def _share(row: words.Row) -> Text:
    return _over(percent(row["alone"]), words.band(row, "alone", percent))


def _over(number: str, band: str) -> Text:
    """A number, and its band under it if it has one."""
    return Text.assemble(number, (f"\n{band}", "dim") if band else "")


def _effects(result: SweepResult, feedback: str) -> Iterator[RenderableType]:
    """What is taken from traders where each parameter has a value."""
    effects = result.effects.filter(feedback=feedback, measure="seized")
    for parameter in result.parameters:
        mine = effects.filter(parameter=parameter)
        policies = _policies(result, mine)
        if mine["level"].n_unique() < 2:
            continue
        grid = _grid(f"{parameter}: taken from traders, USD", policies)
        for level in mine["level"].unique().sort():
            rows = [mine.filter(policy=policy, level=level).row(0, named=True) for policy in policies]
            grid.add_row(rows[0]["value"], *(_mean(row, MEASURES["seized"].shown) for row in rows))
        yield grid
        yield Text()


def _end(result: SweepResult) -> Text:
    line = Text.assemble(("Time: ", "bold"), f"{result.seconds:,.1f} s")
    row, which = words.worst(result)
    if row["deficit"]:
        line.append("\nWorst: ", "bold")
        line.append(
            f"{which} left {amount(row['deficit'])} USD to others; the page of --html says how to look at it"
        )
    missing = words.state(result)
    if missing:
        line.append(f"\n{missing}", style="yellow")
    if not bool(result.runs["ok"].all()):
        line.append("\nA conservation law did not hold in some run.", style="bold red")
    return line
