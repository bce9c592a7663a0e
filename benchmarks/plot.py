"""The picture of incremental marks, from runs: ``python -m benchmarks.plot RESULT.json ... [--into FOLDER]``.

Each RESULT.json is what ``fastadl bench --only incremental --json`` printed for a book of another size.
Writes ``incremental.png`` and ``incremental-dark.png``: what a mark costs, the mean of all.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import altair as alt
import polars as pl

FOLDER = Path(__file__).parent.parent / "fastadl" / "docs"
#: What a case moves its price by, in basis points; that of ``fastadl, one price`` stands in the intent.
_MOVE, _USUAL = re.compile(r"fastadl, one price by up to (\d+) basis points"), 10.0
#: Cases that are drawn by the size of the book.
_FULL = "a full pass"
_BY_SIZE = {
    "fastadl, one price": "one price, 10 bp",
    "fastadl, all prices by up to 5 basis points": "all 300 prices, 5 bp",
    "fastadl, one price by up to 1000 basis points": "one price, 1,000 bp",
    f"fastadl, {_FULL}": _FULL,
}
_WIDTH, _HEIGHT = 330, 300


class Look(NamedTuple):
    """Colours of one picture."""

    page: str
    text: str
    soft: str
    line: str
    ours: tuple[str, ...]
    full: str


LIGHT = Look("#fcfcfb", "#1a1d21", "#5c636b", "#e4e7ea", ("#7cc4bb", "#2a9d8f", "#0b5751"), "#b45309")
DARK = Look("#14171a", "#e8eaec", "#9aa2ab", "#262b30", ("#2b8f86", "#2dd4bf", "#a7f3e6"), "#fbbf24")


def rows(results: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """``positions``, ``who`` and ``seconds``, the mean of a mark, of every case of every run."""
    found = [
        (result["positions"], line["who"], line["per_unit"])
        for result in results
        for group in result["groups"]
        if group["name"] == "incremental"
        for line in group["lines"]
    ]
    return pl.DataFrame(found, ["positions", "who", "seconds"], orient="row").sort("positions")


def picture(found: pl.DataFrame, look: Look) -> alt.TopLevelMixin:
    """Cost by how far a price moves, and by how many positions there are, on one scale."""
    y = alt.Y(
        "seconds:Q",
        scale=alt.Scale(type="log", domain=[1e-5, 2e-2], nice=False),
        axis=alt.Axis(
            title=None,
            values=[1e-5, 1e-4, 1e-3, 1e-2],
            labelExpr="datum.value < 0.00099 ? format(datum.value * 1e6, '.3~g') + ' µs'"
            " : format(datum.value * 1e3, '.3~g') + ' ms'",
        ),
    )
    charts = _by_move(found, y, look), _by_size(found, y, look)
    chart = alt.hconcat(*charts, spacing=36).resolve_scale(color="independent")
    return chart.configure(**_config(look))


def _by_move(found: pl.DataFrame, y: alt.Y, look: Look) -> alt.TopLevelMixin:
    moves = [(who, _moved(who)) for who in found["who"].unique() if _moved(who)]
    ours = found.join(pl.DataFrame(moves, ["who", "x"], orient="row"), on="who").sort("positions", "x")
    ours = ours.with_columns(name=pl.col("positions").map_elements(_many, pl.String))
    ends = ours["x"].unique().sort().to_list()
    flat = found.filter(who=f"fastadl, {_FULL}").join(pl.DataFrame({"x": [ends[0], ends[-1]]}), how="cross")
    flat = flat.with_columns(name=pl.col("positions").map_elements(_many, pl.String))
    color = _color(ours, look.ours)
    x = alt.X(
        "x:Q",
        scale=alt.Scale(type="log"),
        axis=alt.Axis(title="one price moves by up to, in basis points", values=ends, format=",", grid=False),
    )
    words = flat.filter(x=ends[0], positions=flat["positions"].max()).with_columns(name=pl.lit(_FULL))
    layers = (
        _line(flat, [4, 4]).encode(x=x, y=y, color=color),
        _line(ours).encode(x=x, y=y, color=color),
        _words(ours.filter(x=ends[-1]), dx=8).encode(x=x, y=y, text="name:N", color=color),
        _words(words, dx=4, dy=-9).encode(x=x, y=y, text="name:N", color=alt.value(look.soft)),
    )
    return alt.layer(*layers).properties(width=_WIDTH, height=_HEIGHT, title="A mark costs what moved …")


def _by_size(found: pl.DataFrame, y: alt.Y, look: Look) -> alt.TopLevelMixin:
    names = pl.DataFrame(list(_BY_SIZE.items()), ["who", "name"], orient="row")
    some = names.join(found, on="who", maintain_order="left_right")
    color = _color(some, (*look.ours, look.full))
    sizes = some["positions"].unique().sort().to_list()
    x = alt.X(
        "positions:Q",
        scale=alt.Scale(type="log"),
        axis=alt.Axis(title="positions in the book", values=sizes, format=",", grid=False),
    )
    layers = (
        _line(some).encode(x=x, y=y, color=color),
        _words(some.filter(positions=sizes[-1]), dx=8).encode(x=x, y=y, text="name:N", color=color),
    )
    return alt.layer(*layers).properties(width=_WIDTH, height=_HEIGHT, title="… and not what exists")


def _moved(who: str) -> float:
    """By how many basis points a case moves one price; 0 if it does not."""
    move = _MOVE.fullmatch(who)
    return float(move[1]) if move else _USUAL if who == "fastadl, one price" else 0.0


def _color(named: pl.DataFrame, colors: Sequence[str]) -> alt.Color:
    names = named["name"].unique(maintain_order=True).to_list()
    return alt.Color("name:N", scale=alt.Scale(domain=names, range=list(colors)), sort=names, legend=None)


def _line(data: pl.DataFrame, dash: Sequence[int] = (1, 0)) -> alt.Chart:
    return alt.Chart(data).mark_line(strokeDash=list(dash), point={"size": 36} if dash[1] == 0 else False)


def _words(data: pl.DataFrame, dx: int = 0, dy: int = 0) -> alt.Chart:
    return alt.Chart(data).mark_text(align="left", dx=dx, dy=dy, fontSize=12)


def _many(positions: int) -> str:
    return f"{positions // 10**6} million" if positions >= 10**6 else f"{positions:,}"


def _config(look: Look) -> dict[str, Any]:
    axis = {
        "labelColor": look.soft, "titleColor": look.soft, "gridColor": look.line, "domainColor": look.line,
        "tickColor": look.line, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal",
    }  # fmt: skip
    title = {"color": look.text, "fontSize": 14, "anchor": "start", "offset": 14}
    return {"background": look.page, "axis": axis, "title": title, "view": {"stroke": None}, "padding": 14}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--into", type=Path, default=FOLDER)
    given = parser.parse_args()
    found = rows([json.loads(file.read_text("utf-8")) for file in given.results])
    for name, look in (("incremental", LIGHT), ("incremental-dark", DARK)):
        picture(found, look).save(given.into / f"{name}.png", ppi=72)


if __name__ == "__main__":
    main()
