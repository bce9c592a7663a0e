"""A pressure curve on a terminal: a line and a bar for every shock, who is pressed most, and a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import polars as pl
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from fastadl.report.stress_words import ATOMS, amount, short
from fastadl.report.terminal import NOTHING
from fastadl.stress.pressure import Pressure

__all__ = ["show"]

Row: TypeAlias = dict[str, Any]

#: Shocks shown of a longer curve, about; legs shown of each end.
_SHOWN, _LEGS = 21, 5
#: What a bar shows from the left, each part of the next: column, letter, style and name.
_PARTS = (
    ("notional_beyond", "█", "red", "to deleverage"),
    ("notional_bankrupt", "▓", "yellow", "bankrupt"),
    ("notional_liquidatable", "░", "", "liquidatable"),
)
#: A bar is as wide as the terminal less this, but not narrower than that.
_REST, _NARROWEST = 66, 8


def show(pressure: Pressure, console: Console) -> None:
    """Print a curve: for each currency a table, the legs that are pressed most at its ends, and a sentence.

    Parameters
    ----------
    pressure : Pressure
    console : rich.console.Console
    """
    for (currency,), frame in pressure.frame.group_by("currency", maintain_order=True):
        console.print(*_of_currency(pressure, str(currency), frame, console.width), sep="\n")


def _of_currency(
    pressure: Pressure, currency: str, frame: pl.DataFrame, width: int
) -> Iterator[RenderableType]:
    rows = [_in_amounts(row, pressure.decimals[currency]) for row in frame.iter_rows(named=True)]
    yield Text.assemble(
        ("ADL pressure: ", "bold"),
        f"{pressure.symbol or 'every price'} moves at once; {currency}",
    )
    yield _curve(rows, max(width - _REST, _NARROWEST))
    yield Text("   ").join(Text.assemble((letter, style), f" {name}") for _, letter, style, name in _PARTS)
    yield Text()
    yield from _legs(pressure, currency)
    yield _sentence(rows, currency)


def _in_amounts(row: Row, decimals: int) -> Row:
    """The row with its money as `amount` takes it."""
    return {
        name: value * (ATOMS / 10.0**decimals) if isinstance(value, float) and name != "shock" else value
        for name, value in row.items()
    }


def _curve(rows: list[Row], width: int) -> Table:
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for heading in (
        *("move", "below\nmargin", "bank-\nrupt", "liquid-\natable", "short-\nfall", "fund"),
        *("beyond\nfund", "to de-\nleverage"),
    ):
        grid.add_column(heading, justify="right", no_wrap=True)
    grid.add_column("notional", no_wrap=True)
    most = max(row["notional_liquidatable"] for row in rows)
    for row in _thinned(rows):
        grid.add_row(
            Text(_percent(row["shock"])),
            *(Text(_count(row[name])) for name in ("liquidatable", "bankrupt")),
            *(Text(amount(row[name])) for name in ("notional_liquidatable", "shortfall", "fund")),
            Text(amount(row["beyond_fund"]), style="red"),
            Text(amount(row["notional_beyond"]), style="red"),
            _bar(row, most, width),
        )
    return grid


def _thinned(rows: list[Row]) -> list[Row]:
    """Both ends, and every second or third row counted from the smallest shock on, if there are many."""
    step = -(-len(rows) // (_SHOWN + 1))
    middle = min(range(len(rows)), key=lambda at: abs(rows[at]["shock"]))
    return [row for at, row in enumerate(rows) if (at - middle) % step == 0 or at in (0, len(rows) - 1)]


def _count(number: int) -> str:
    return short(number) if number >= 10_000 else f"{number:,}" if number else NOTHING


def _bar(row: Row, most: float, width: int) -> Text:
    bar, reached = Text(), 0
    for name, letter, style, _ in _PARTS:
        length = round(width * row[name] / most) if most else 0
        bar.append(letter * (length - reached), style)
        reached = max(reached, length)
    return bar


def _legs(pressure: Pressure, currency: str) -> Iterator[RenderableType]:
    """Who is pressed most at the largest move down and the largest up."""
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for heading in ("move", "most pressed", "side"):
        grid.add_column(heading, overflow="fold")
    for heading in (
        "liquid-\natable",
        "bank-\nrupt",
        "short-\nfall",
        "lots\nbeyond fund",
        "to de-\nleverage",
    ):
        grid.add_column(heading, justify="right", no_wrap=True)
    mine = pressure.by_instrument.filter((pl.col("currency") == currency) & (pl.col("lots_liquidatable") > 0))
    moves = pressure.frame["shock"].to_list()
    for move in dict.fromkeys((moves[0], moves[-1])):
        by = ["notional_beyond", "notional_bankrupt", "notional_liquidatable"]
        for leg in mine.filter(pl.col("shock") == move).sort(by, descending=True).head(_LEGS).to_dicts():
            row = _in_amounts(leg, pressure.decimals[currency])
            grid.add_row(
                _percent(move),
                *(Text(row[name]) for name in ("symbol", "side")),
                *(Text(amount(row[f"notional_{name}"])) for name in ("liquidatable", "bankrupt")),
                Text(amount(row["shortfall"])),
                Text(f"{row['lots_beyond']:,}" if row["lots_beyond"] else NOTHING),
                Text(amount(row["notional_beyond"]), style="red"),
            )
    if grid.row_count:
        yield grid
        yield Text()


def _sentence(rows: list[Row], currency: str) -> Text:
    worst = max(rows, key=lambda row: (row["notional_beyond"], row["shortfall"]))
    if not worst["liquidatable"]:
        return Text("Nobody falls below the maintenance margin at any of these moves.")
    accounts = "account" if worst["liquidatable"] == 1 else "accounts"
    fallen = (
        f"At {_percent(worst['shock'])} {worst['liquidatable']:,} {accounts} would be below the margin, "
        f"{worst['bankrupt']:,} of them bankrupt"
    )
    if not worst["beyond_fund"]:
        return Text(f"{fallen}; the fund covers every move shown.")
    held = _covered(rows)
    covers = f"The fund covers moves from {held[0]} to {held[1]}. " if held else "The fund covers no move. "
    return Text(
        f"{covers}{fallen}, short of {amount(worst['shortfall'])} {currency}, of which the fund could pay "
        f"{amount(worst['fund']) if worst['fund'] else 'nothing'}: positions of "
        f"{amount(worst['notional_beyond'])} {currency} would be deleveraged."
    )


def _covered(rows: list[Row]) -> tuple[str, str] | None:
    """The moves on either side of the smallest up to which nothing is beyond the fund, if there are any."""
    first = last = min(range(len(rows)), key=lambda at: abs(rows[at]["shock"]))
    if rows[first]["beyond_fund"]:
        return None
    while first > 0 and not rows[first - 1]["beyond_fund"]:
        first -= 1
    while last < len(rows) - 1 and not rows[last + 1]["beyond_fund"]:
        last += 1
    only_none = first == last and not rows[first]["shock"]
    return None if only_none else (_percent(rows[first]["shock"]), _percent(rows[last]["shock"]))


def _percent(move: float) -> str:
    return f"{100 * move:+.4g}%" if move else "0%"
