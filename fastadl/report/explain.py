"""Why me, and how close am I, on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import itemgetter

import polars as pl
from rich.console import Console, RenderableType
from rich.text import Text

from fastadl.report.queue import Place
from fastadl.report.queue_words import (
    amount,
    far,
    headline,
    in_line,
    liquidated,
    lit,
    named,
    position,
    share,
    takes,
)
from fastadl.report.terminal import NOTHING, Number, table

__all__ = ["drawn", "show"]

#: Light → its letter in a queue, and its colour.
_LETTERS = {5: "█", 4: "▓", 3: "▒", 2: "░", 1: "·"}
_COLORS = {5: "red", 4: "dark_orange", 3: "yellow", 2: "cyan", 1: "dim"}
#: Letters of the words before a bar and behind it, and of the longest bar.
_WORDS, _BEHIND, _WIDEST = 15, 8, 80


def show(places: Sequence[Place], source: str, console: Console) -> None:
    """Print one position with its queue, or several in a table, each in a line."""
    if len(places) == 1:
        console.print(*_one(places[0], console.width), sep="\n")
    else:
        console.print(_several(places), Text("Name a symbol to see its queue, and why."), sep="\n")
    console.print(Text(f"State of {source}.", style="dim"))


def _several(places: Sequence[Place]) -> RenderableType:
    rows = [
        {
            "position": f"{place.told.symbol} {place.told.side}",
            "contracts": Number(f"{place.held['contracts']:,.6g}"),
            "light": lit(place.told.light),
            "in line": in_line(place),
            "ADL at": Number(far(place.told.adl)),
            "liquidation at": Number(far(place.told.liquidation)),
        }
        for place in places
    ]
    title = f"{places[0].told.account}: {len(places)} positions, the nearest to deleveraging first"
    return table(title, [(name, itemgetter(name)) for name in rows[0]], rows)


def _one(place: Place, width: int) -> Iterator[RenderableType]:
    told = place.told
    yield Text(headline(place), style="bold")
    yield Text(position(place))
    yield Text()
    if told.rank is not None:
        ahead = share(told.lots_ahead or 0, told.lots_of)
        yield Text.assemble(
            (lit(place.told.light), _COLORS[told.light]),
            f"  light {told.light} of 5: {ahead} of the lots are ahead",
        )
    yield Text(liquidated(place))
    if not place.queue.is_empty():
        yield Text()
        yield from drawn(place, width)
    yield Text()
    yield _choices(place)
    yield from _why(place)


def drawn(place: Place, width: int) -> Iterator[Text]:
    """The queue in letters: lights, what shocks reach, where choices would put one.

    Parameters
    ----------
    place : Place
        Of a queue that is not empty.
    width : int
        Letters of a line.
    """
    width = max(min(width - _WORDS - _BEHIND, _WIDEST), 10)
    total = place.told.lots_of
    middles = pl.Series([(2 * at + 1) * total // (2 * width) for at in range(width)])  # lots in the middle
    shown = place.queue[place.queue["ahead"].search_sorted(middles, side="right") - 1]
    here = _letter(place.middle, width) if place.standing else None
    yield Text.assemble(
        "the queue".ljust(_WORDS),
        *((_LETTERS[each], _COLORS[each]) for each in shown["light"]),
    )
    if here is not None:
        yield Text(" " * (_WORDS + here) + "▲ you", style="bold")
    for reach in place.reach():
        bar = ["━" if hit else " " for hit in shown["adl"] <= reach.shock]
        if here is not None:
            bar[here] = "┿" if reach.you else "│"
        words = f"all {'+' if place.sign > 0 else '−'}{far(reach.shock)}".ljust(_WORDS)
        told = "nobody" if not reach.positions else "you too" if reach.you else ""
        yield Text.assemble(words, ("".join(bar), "red" if reach.you else "dim"), f" {told}")
    for move in place.moves():
        there = _letter((move["lots_ahead"] + move["lots"] / 2) / total, width)
        low, high = sorted((here or 0, there))
        line = (" " * low + "─" * (high + 1 - low)).ljust(there)
        yield Text.assemble(named(move).ljust(_WORDS), (f"{line[:there]}●{line[there + 1 :]}", "blue"))


def _letter(part: float, width: int) -> int:
    """Which letter of a bar."""
    return min(int(part * width), width - 1)


def _choices(place: Place) -> RenderableType:
    rows = [
        {
            "what if": named(row),
            "takes": takes(place, row),
            "leverage": Number(f"{row['leverage']:.2f}×"),
            "lots ahead": Number(
                NOTHING if row["lots_ahead"] is None else share(row["lots_ahead"], place.told.lots_of)
            ),
            "ADL at": Number(far(row["adl"])),
            "liq. at": Number(far(row["liquidation"])),
        }
        for row in place.told.to_dict()["choices"]
    ]
    return table("What would help", [(name, itemgetter(name)) for name in rows[0]], rows)


def _why(place: Place) -> Iterator[Text]:
    told = place.told
    before, after = place.neighbours()
    around = ", ".join(
        f"the one {where} you {score:.6g}"
        for where, score in (("before", before), ("after", after))
        if score is not None
    )
    yield Text(f"Why: ranked by {told.score}, {place.meaning}.")
    yield Text(f"You have {told.parts['score']:.6g}" + (f"; {around}." if around else "."))
    parts = told.to_dict()["parts"]
    yield Text(
        "It comes from "
        + ", ".join(
            f"{name.replace('_', ' ')} {amount(part) if isinstance(part, str) else f'{part:.4g}'}"
            for name, part in parts.items()
            if name != "score"
        )
        + "."
    )
