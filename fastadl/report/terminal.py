"""The result of a scenario as tables for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, TypeAlias

from rich import box
from rich.console import Console, Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

__all__ = ["Number", "checks", "money", "print_result", "table", "tick_lists"]

#: One row of a list of rule R71.
Entry: TypeAlias = dict[str, Any]
#: Heading of a column, and what it shows of an entry.
Column: TypeAlias = tuple[str, Callable[[Entry], object]]

#: Longest table shown whole.
LONGEST = 40

NOTHING = "–"


class Number(str):
    """A number already written out, to stand on the right."""

    __slots__ = ()


def print_result(console: Console, result: Entry) -> None:
    """Print a result object of rule R71: every tick's waterfall, then the book after the last."""
    for tick in result["ticks"]:
        console.print(*_tick(tick), sep="\n")
    console.print(*_after(result), sep="\n")


def table(title: str, columns: Sequence[Column], entries: Iterable[Entry]) -> RenderableType:
    """A titled table of entries; a long one is cut, with a note.

    Parameters
    ----------
    title : str
    columns : sequence of (heading, function of an entry)
        A column of `Number`, int or float stands right and is never wrapped.
    entries : iterable of dict
    """
    entries = list(entries)
    rows = [[show(entry) for _, show in columns] for entry in entries[:LONGEST]]
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for at, (heading, _) in enumerate(columns):
        right = any(isinstance(row[at], (Number, int, float)) for row in rows)
        grid.add_column(
            heading,
            justify="right" if right else "left",
            no_wrap=right,
            overflow="fold",
            min_width=len(heading),
        )
    for row in rows:
        grid.add_row(*(Text(f"{cell:.3g}" if isinstance(cell, float) else str(cell)) for cell in row))
    left_out = len(entries) - LONGEST
    note = f"… and {left_out} more; --json shows all\n" if left_out > 0 else ""
    return Group(Text(title, style="bold"), grid, Text(note, style="dim"))


def money(amount: str | None) -> Number:
    """An exact amount with thousands separated and only the places it needs, two at least.

    Examples
    --------
    >>> money("1234567.500000")
    '1,234,567.50'
    """
    if amount is None:
        return Number(NOTHING)
    whole, _, places = amount.partition(".")
    sign = "-" if whole.startswith("-") else ""
    shown = places.rstrip("0").ljust(min(2, len(places)), "0")
    return Number(f"{sign}{int(whole.lstrip('-')):,}" + (f".{shown}" if shown else ""))


def _price(price: str | None) -> Number:
    """A price to eight digits: it is only a view of the value beside it."""
    if price is None:
        return Number(NOTHING)
    whole, _, places = price.partition(".")
    return Number(f"{float(price):.{max(0, 8 - len(whole))}f}" if len(whole) + len(places) > 8 else price)


def _field(name: str) -> Callable[[Entry], object]:
    return lambda entry: entry[name]


def _money(name: str) -> Callable[[Entry], object]:
    return lambda entry: money(entry.get(name))


_ROW: list[Column] = [("account", _field("account")), ("symbol", _field("symbol"))]
_QTY: Column = ("qty", lambda entry: Number(entry["qty"]))
_SIDE: Column = ("closes", _field("side"))
_SETTLED: list[Column] = [("price", lambda entry: _price(entry["price"])), ("value", _money("value"))]
_REALIZED: Column = ("realised", _money("realized_pnl"))
_AMOUNT: Column = ("amount", _money("amount"))


def _tick(tick: Entry) -> Iterator[RenderableType]:
    yield Rule(Text(f"Tick {tick['tick']} at {tick['time']} s", style="bold"), align="left", style="dim")
    yield Text("Marks: " + "  ".join(f"{symbol} {price}" for symbol, price in tick["marks"].items()) + "\n")
    if not tick["liquidations"]:
        yield Text("Every account meets its maintenance margin.\n", style="green")
    yield from tick_lists(tick)


def tick_lists(tick: Entry) -> Iterator[RenderableType]:
    """The lists of a tick that have entries, as tables, in the order of the waterfall."""
    if tick["liquidations"]:
        yield from _detected_and_closed(tick)
        yield from _fund(tick)
    yield from _deleveraged(tick)
    if tick["liquidations"]:
        yield _uncovered(tick["uncovered"])


def _detected_and_closed(tick: Entry) -> Iterator[RenderableType]:
    found = tick["liquidations"]
    bankrupt = sum(entry["status"] == "bankrupt" for entry in found)
    yield table(
        f"Detected: {len(found)} below maintenance margin, {bankrupt} of them bankrupt",
        [
            _ROW[0],
            ("status", _field("status")),
            ("equity", _money("equity")),
            ("maintenance", _money("maintenance_margin")),
            ("shortfall", _money("shortfall")),
        ],
        found,
    )
    if tick["executions"]:
        yield table(
            "Closed in the order book", [*_ROW, _SIDE, _QTY, *_SETTLED, _REALIZED], tick["executions"]
        )
    if tick["fees"]:
        yield table("Paid to the insurance fund", [_ROW[0], ("for", _field("kind")), _AMOUNT], tick["fees"])
    if tick["netted"]:
        yield table("Hedges netted at mark", [*_ROW, _QTY, _REALIZED], tick["netted"])


def _fund(tick: Entry) -> Iterator[RenderableType]:
    for price, taken in groupby(tick["takeovers"], key=lambda entry: str(entry["at"])):
        name = {"bankruptcy": "the bankruptcy price", "mark": "mark"}[price]
        yield table(
            f"Taken over by the insurance fund at {name}",
            [*_ROW, _SIDE, _QTY, *_SETTLED, ("fund loss", _money("fund_loss"))],
            taken,
        )
    if tick["fund_payments"]:
        yield table("Debts paid by the insurance fund", [_ROW[0], _AMOUNT], tick["fund_payments"])


def _deleveraged(tick: Entry) -> Iterator[RenderableType]:
    columns: list[Column] = [
        ("bankrupt", _field("bankrupt")),
        ("rank", _field("rank")),
        ("counterparty", _field("counterparty")),
        _QTY,
        *_SETTLED,
        _REALIZED,
        ("score", _field("score")),
    ]
    for (symbol, side), group in groupby(tick["adl_fills"], key=lambda fill: (fill["symbol"], fill["side"])):
        fills = list(group)
        other = "shorts" if side == "long" else "longs"
        against = "the pool" if fills[0]["bankrupt"] == "fund" else f"bankrupt {side}s"
        yield table(f"Auto-deleveraged: {symbol} {other} close against {against}", columns, fills)
    if tick.get("refused"):
        yield table(
            "Passed over, in whole or in part, to protect the counterparty",
            [
                ("counterparty", _field("account")),
                ("bankrupt", _field("bankrupt")),
                _QTY,
                ("why", _field("reason")),
            ],
            tick["refused"],
        )
    if tick["socialized"]:
        yield table(
            "Losses charged in cash",
            [
                _ROW[0],
                ("", lambda entry: "pays" if entry["amount"].startswith("-") else "receives"),
                ("amount", lambda entry: money(entry["amount"].lstrip("-"))),
            ],
            tick["socialized"],
        )


def _uncovered(entries: list[Entry]) -> RenderableType:
    if not entries:
        return Text("Nothing is left uncovered.\n", style="green")

    def still_open(entry: Entry) -> str:
        return ", ".join(f"{row['side']} {row['qty']} {row['symbol']}" for row in entry["open"]) or NOTHING

    return table("Uncovered: losses nobody paid", [_ROW[0], _AMOUNT, ("still open", still_open)], entries)


def _after(result: Entry) -> Iterator[RenderableType]:
    title = "The book after" if result["ticks"] else "The book"
    yield Rule(Text(title, style="bold"), align="left", style="dim")
    reserved = [{"id": name, **result[name]} for name in ("fund", "market")]
    yield table(
        f"Accounts, in {result['currency']['code']}",
        [
            ("account", _field("id")),
            ("cash", _money("cash")),
            ("equity", _money("equity")),
            ("maintenance", _money("maintenance_margin")),
        ],
        [*result["accounts"], *reserved],
    )
    if result["positions"]:
        yield table(
            "Positions",
            [
                *_ROW,
                _QTY,
                ("entry price", lambda entry: _price(entry["entry_price"])),
                ("entry value", _money("entry_value")),
            ],
            result["positions"],
        )
    else:
        yield Text("No position is open.\n")
    yield checks(result["checks"])
    if not result["balanced"]:
        yield Text("The lots of some symbol do not sum to zero.", style="yellow")


def checks(laws: Mapping[str, bool]) -> Text:
    """One line that says of every conservation law whether it holds."""
    line = Text("Conservation:")
    for law, held in laws.items():
        line.append(f"  {law.replace('_', ' ')} ").append(
            "ok" if held else "BROKEN", style="green" if held else "bold red"
        )
    return line
