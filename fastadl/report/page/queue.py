"""Why me, and how close am I: a page of one account's positions in their queues."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from fastadl.report.page import skeleton
from fastadl.report.page.queue_chart import LIGHTS, picture
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
from fastadl.report.stress_words import many
from fastadl.report.terminal import NOTHING

__all__ = ["html", "write"]


def write(places: Sequence[Place], source: str, file: str | os.PathLike[str]) -> None:
    """Write the page of some positions of one account, whole or not at all.

    Parameters
    ----------
    places : sequence of Place
    source : str
        Where the state is from, in words.
    file : path
        Replaced if it is there.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    skeleton.save(html(places, source), file)


def html(places: Sequence[Place], source: str) -> str:
    """The page: one text that needs nothing else, in light and dark.

    Nobody else's id is on it.
    """
    first, several = places[0], len(places) > 1
    title = f"{first.told.symbol}: {headline(first)}" if several else headline(first)
    which = many(len(places), "position") if several else f"{first.told.symbol}, {first.told.side}"
    return skeleton.document(
        f"{title} – fastadl explain",
        skeleton.paragraph(f"Why me, and how close am I? · {which} · {source}", kind="over"),
        skeleton.title(title),
        *([_overview(places)] if several else [_said(first), _cards(first)]),
        *(part for place in places for part in _place(place, several=several)),
        skeleton.paragraph(
            "Distances are for moves of all prices together, the fund as it is, nothing closed by the order "
            "book; fastadl docs transparency says what they mean.",
            kind="soft",
        ),
    )


def _said(place: Place) -> str:
    return skeleton.paragraph(f"{position(place)}. {liquidated(place)}", kind="soft")


def _cards(place: Place) -> str:
    told = place.told
    ahead = NOTHING if told.lots_ahead is None else share(told.lots_ahead, told.lots_of)
    toward, away = _ways(place)
    return skeleton.cards(
        [
            (lit(told.light), f"light {told.light} of 5; 5 is asked first"),
            (ahead, f"of {many(told.lots_of, 'lot')} are ahead: {in_line(place)}"),
            (far(told.adl), f"is how far all prices go {toward} until deleveraging comes here"),
            (far(told.liquidation), f"is how far {told.symbol} alone goes {away} until liquidation"),
        ]
    )


def _ways(place: Place) -> tuple[str, str]:
    """Which way prices go towards deleveraging, and towards liquidation."""
    return ("up", "down") if place.sign > 0 else ("down", "up")


def _overview(places: Sequence[Place]) -> str:
    rows = [
        [
            (
                f"{place.told.symbol}, {place.told.side}",
                f"{place.held['contracts']:,g} contracts; {in_line(place)}",
            ),
            lit(place.told.light),
            far(place.told.adl),
            far(place.told.liquidation),
        ]
        for place in places
    ]
    head = ["position", "light", "ADL at", "liq. at"]
    return skeleton.table(head, [("", rows)])


def _place(place: Place, *, several: bool) -> Iterator[str]:
    told = place.told
    about = f": {told.symbol}, {told.side}" if several else ""
    queue: list[str] = [_said(place)] if several else []
    if place.queue.is_empty():
        queue.append(skeleton.paragraph("Nobody on this side can be deleveraged."))
    else:
        queue += [
            skeleton.key(LIGHTS),
            skeleton.figure(
                picture(place),
                title=f"{told.of:,} positions, {told.lots_of:,} lots.",
                text="As wide as their lots, as high as the root of their scores. Below: whom a move of all "
                "prices reaches, red where you are among them; and where else you could stand.",
            ),
        ]
    yield skeleton.section(f"The queue{about}", *queue)
    yield skeleton.section(f"What would help{about}", *_choices(place))
    yield skeleton.section(f"Why this place{about}", *_why(place))


def _choices(place: Place) -> Iterator[str]:
    rows = [
        [
            (named(row), f"{takes(place, row)}; leverage {row['leverage']:.2f}×"),
            NOTHING if row["lots_ahead"] is None else share(row["lots_ahead"], place.told.lots_of),
            far(row["adl"]),
            far(row["liquidation"]),
        ]
        for row in place.told.to_dict()["choices"]
    ]
    yield skeleton.table(["what if", "lots ahead", "ADL at", "liq. at"], [("", rows)])
    toward, away = _ways(place)
    yield skeleton.paragraph(
        f"ADL: how far all prices go {toward} until deleveraging comes here. Liq.: how far "
        f"{place.told.symbol} alone goes {away} until liquidation. A part is closed at mark; everybody else "
        "stays where they are.",
        kind="soft",
    )


def _why(place: Place) -> Iterator[str]:
    told = place.told
    yield skeleton.paragraph(f"Ranked by {told.score}: {place.meaning}.")
    before, after = place.neighbours()
    around = [("the one before you", before), ("you", told.parts["score"]), ("the one after you", after)]
    scores = [[who, NOTHING if score is None else f"{score:.6g}"] for who, score in around]
    parts = [
        [name.replace("_", " "), amount(part) if isinstance(part, str) else f"{part:.4g}"]
        for name, part in told.to_dict()["parts"].items()
        if name != "score"
    ]
    yield skeleton.table(["", "score"], [("", scores), ("What scores are made of", parts)])
