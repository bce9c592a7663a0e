"""The picture of a queue: who stands where, how far shocks reach, where one could stand (rule R123)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import altair as alt
import polars as pl

from fastadl.report.page.drawing import data, tip
from fastadl.report.page.skeleton import Key
from fastadl.report.queue import Place
from fastadl.report.queue_words import choice_line, far, reach_line

__all__ = ["LIGHTS", "picture"]

#: Colours of the lights, the first in line first.
LIGHTS = tuple(
    Key(f"light-{light}", words, f"var(--light-{light})")
    for light, words in ((5, "light 5, first in line"), (4, "4"), (3, "3"), (2, "2"), (1, "1, last in line"))
)
#: Bars of a queue, at most about.
_PARTS = 240
#: Pixels: the word above the queue, its tallest bar and its lowest; a line's words and bar; between groups.
_TOP, _TALL, _LEAST, _LINE, _BAR, _GAP = 20.0, 130.0, 7.0, 34.0, 10.0, 12.0
_FLOOR = _TOP + _TALL
#: What a shock reaches, by whether you are among them.
_REACHED = {False: "var(--stage-2)", True: "var(--hot)"}
#: Colours as they stand in a column ``fill``.
_FILL = alt.Fill("fill:N", scale=None)
_X = alt.X(
    "x:Q",
    axis=alt.Axis(format="%", title="lots, the first in line on the left", tickCount=5),
    scale=alt.Scale(domain=[0, 1], nice=False),
)


def picture(place: Place) -> alt.TopLevelMixin:
    """Positions as bars as wide as their lots and as high as their scores; below, shocks and choices.

    Parameters
    ----------
    place : Place
        Of a queue that is not empty.
    """
    reaches = list(place.reach())
    shocks = [_FLOOR + _GAP + _LINE * (at + 1) for at in range(len(reaches))]
    words, floors = [reach_line(place, reach) for reach in reaches], shocks
    moves = place.moves()
    if moves:
        floors = [*shocks, *(shocks[-1] + _GAP + _LINE * (at + 1) for at in range(len(moves)))]
        words += [choice_line(place, move) for move in moves]
    height = floors[-1] + _GAP
    y = alt.Y("y:Q", scale=alt.Scale(domain=[0, height], range=[0, height], nice=False), axis=None)
    runs = [
        runs.with_columns(y=floor - _BAR, base=floor, fill=pl.lit(_REACHED[reach.you]))
        for reach, floor in zip(reaches, shocks, strict=True)
        for runs in [_runs(place, reach.shock)]
    ]
    layers = [_bars(place, y), _tracks(floors, y), _reached(pl.concat(runs), y)]
    if place.standing:
        layers += [*_you(place, floors, y), *_moved(place, floors[len(shocks) :], y)]
    return alt.layer(*layers, _words(words, floors, y)).properties(height=height)


# ---------------------------------------------------------------------- the queue


def _bars(place: Place, y: alt.Y) -> alt.Chart:
    """The queue itself, neighbours of one light as one bar where there are very many."""
    total, lots, many = place.told.lots_of, pl.col("lots"), len(place.queue) > _PARTS
    part = _part(total) if many else pl.col("rank")
    alike = pl.struct(part.alias("part"), "light", "you").rle_id()
    grouped = place.queue.group_by(alike.alias("bar"), maintain_order=True)
    bars = grouped.agg(
        pl.col("light").first(),
        pl.col("ahead").first(),
        lots.sum(),
        pl.col("rank").first().alias("first"),
        pl.col("rank").last().alias("last"),
        pl.col("score").max(),
        pl.col("adl").min(),
    )
    told = [
        tip("ranks", "rank"),
        tip("lots", "lots", ","),
        tip("score", "score", ".4g"),
        tip("at", "reached at"),
    ]
    rank, last = (pl.col(name).cast(pl.String) for name in ("first", "last"))
    rows = bars.select(
        x=pl.col("ahead") / total,
        end=(pl.col("ahead") + lots) / total,
        y=_FLOOR - _height(bars["score"]),
        base=pl.lit(_FLOOR),
        fill=pl.format("var(--light-{})", "light"),
        ranks=pl.when(rank == last).then(rank).otherwise(rank + "–" + last),
        lots=lots,
        score="score",
        at=pl.Series([far(adl) for adl in bars["adl"]]),
    )
    chart = alt.Chart(data(rows)).mark_rect(strokeWidth=0.35, stroke="var(--page)")
    return chart.encode(x=_X, x2="end:Q", y=y, y2="base:Q", fill=_FILL, tooltip=told)


def _height(score: pl.Series) -> pl.Series:
    """Pixels of bars: the root of a score over the best one, the lowest for losers."""
    best = score.filter(score.is_finite() & (score > 0)).max() or 1.0
    return _LEAST + (_TALL - _LEAST) * (score.fill_nan(0.0) / best).clip(0.0, 1.0).sqrt()


def _part(total: int) -> pl.Expr:
    """Which of the many parts of a queue a position is in."""
    return ((pl.col("ahead") + pl.col("lots") / 2) / total * _PARTS).floor()


# ---------------------------------------------------------------------- the lines below it


def _tracks(floors: Sequence[float], y: alt.Y) -> alt.Chart:
    """The whole queue as a pale bar in every line."""
    rows = pl.DataFrame({"x": 0.0, "end": 1.0, "base": floors}).with_columns(y=pl.col("base") - _BAR)
    return alt.Chart(data(rows)).mark_rect(fill="var(--line)").encode(x=_X, x2="end:Q", y=y, y2="base:Q")


def _runs(place: Place, shock: float) -> pl.DataFrame:
    """Stretches of the queue that a shock reaches, and which part of their lots."""
    total, many = place.told.lots_of, len(place.queue) > _PARTS
    hit, lots = pl.col("adl") <= shock, pl.col("lots")
    grouped = place.queue.group_by(_part(total) if many else hit.rle_id().alias("run"), maintain_order=True)
    return (
        grouped.agg(
            x=pl.col("ahead").first() / total,
            end=(pl.col("ahead").last() + lots.last()) / total,
            part=lots.filter(hit).sum() / lots.sum(),
        )
        .filter(pl.col("part") > 0)
        .select("x", "end", "part")
    )


def _reached(runs: pl.DataFrame, y: alt.Y) -> alt.Chart:
    """What shocks reach, in red if that is you."""
    share = alt.Opacity("part:Q", scale=None)
    return (
        alt.Chart(data(runs))
        .mark_rect()
        .encode(x=_X, x2="end:Q", y=y, y2="base:Q", fill=_FILL, opacity=share)
    )


def _you(place: Place, floors: Sequence[float], y: alt.Y) -> Iterator[alt.Chart]:
    """The position itself, through the queue and the bar of every line."""
    tops = [_TOP - 4, *(floor - _BAR - 2 for floor in floors)]
    rows = pl.DataFrame(
        {"x": place.middle, "y": tops, "base": [_FLOOR + 3, *(floor + 2 for floor in floors)]}
    )
    rule = alt.Chart(data(rows)).mark_rule(stroke="var(--ink)", strokeWidth=2)
    yield rule.encode(x=_X, y=y, y2="base:Q")
    align: Literal["left", "center", "right"] = "center"
    if not 0.03 < place.middle < 0.97:
        align = "left" if place.middle < 0.5 else "right"
    word = alt.Chart(data(rows.head(1))).mark_text(text="you", dy=-7, fontWeight=700, align=align)
    yield word.encode(x=_X, y=y)


def _moved(place: Place, floors: Sequence[float], y: alt.Y) -> Iterator[alt.Chart]:
    """Where each choice would put it."""
    rows = pl.DataFrame(
        [
            {"x": (move["lots_ahead"] + move["lots"] / 2) / place.told.lots_of, "y": floor - _BAR / 2}
            for move, floor in zip(place.moves(), floors, strict=True)
        ]
    ).with_columns(start=pl.lit(place.middle))
    there = alt.Chart(data(rows))
    line = there.mark_rule(stroke="var(--accent)", strokeWidth=3)
    yield line.encode(x=_X, x2="start:Q", y=y)
    dot = there.mark_point(size=90, fill="var(--accent)", stroke="var(--page)", opacity=1)
    yield dot.encode(x=_X, y=y)


def _words(words: Sequence[str], floors: Sequence[float], y: alt.Y) -> alt.Chart:
    """A line of words above each bar."""
    rows = pl.DataFrame({"words": words, "y": [floor - _BAR - 4 for floor in floors]})
    said = alt.Chart(data(rows)).mark_text(align="left", baseline="bottom", x=0)
    return said.encode(y=y, text="words:N")
