"""What pages are made of: sections, cards, keys, tables, figures and code, and the document around them.

Arguments that are text are escaped; those that are called parts or body are HTML, made by these functions.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any, NamedTuple

import altair as alt

from fastadl import io

__all__ = [
    "Cell",
    "Key",
    "cards",
    "code",
    "color",
    "details",
    "document",
    "facts",
    "figure",
    "figures",
    "heading",
    "key",
    "note",
    "paragraph",
    "points",
    "save",
    "section",
    "several",
    "table",
    "title",
    "warning",
]

#: How many colours tell things apart, then they come again; lines and dots from this place on are broken.
COLORS, _BROKEN = 12, 8
#: Nothing may be loaded, whatever stands in a page.
_ALONE = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data:"
)
#: How all charts look; colours are the page's, so that light and dark need no second drawing.
_CONFIG = {
    "background": None,
    "padding": {"left": 0, "right": 4, "top": 6, "bottom": 2},
    "autosize": {"type": "fit-x", "contains": "padding"},
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--soft)",
        "titleColor": "var(--soft)",
        "titleFontWeight": "normal",
        "titleFontSize": 11.5,
        "labelFontSize": 11.5,
        "domainColor": "var(--faint)",
        "tickColor": "var(--faint)",
        "gridColor": "var(--line)",
        "tickSize": 4,
        "labelPadding": 5,
    },
    "axisY": {"domain": False, "ticks": False, "title": None, "tickCount": 5, "minExtent": 44},
    "axisX": {"grid": False, "tickCount": 6, "labelFlush": False},
    "customFormatTypes": True,
    "text": {"fill": "var(--ink)", "fontSize": 11.5},
    "line": {"strokeWidth": 2, "strokeJoin": "round", "strokeCap": "round"},
    "legend": {"disable": True},
}


class Key(NamedTuple):
    """A thing with a colour of its own on the whole page.

    Attributes
    ----------
    id : str
        Plain letters; marks of it carry it as ``of``.
    name : str
    color : str
        As CSS and charts take it.
    broken : bool
        Whether its lines are dashed and its dots hollow: colours alone tell no more than a few apart.
    """

    id: str
    name: str
    color: str
    broken: bool = False

    @classmethod
    def at(cls, place: int, name: str) -> Key:
        """That of the policy at a place of the list."""
        return cls(f"c{place}", name, color(place), place >= _BROKEN)

    @classmethod
    def all(cls, keys: Iterable[Key], name: str) -> Key:
        """One for what has the colour of each of several, to be explained in a `key`."""
        colors = [each.color for each in keys]
        parts = (f"{c} {at / len(colors):.0%} {(at + 1) / len(colors):.0%}" for at, c in enumerate(colors))
        return cls("", name, f"conic-gradient({', '.join(parts)})")


class Cell(NamedTuple):
    """A cell of a table.

    Attributes
    ----------
    text : str
    mark : str
        ``best``, ``worst`` or nothing.
    of : str
        Id of the `Key` whose number it is.
    """

    text: str
    mark: str = ""
    of: str = ""


def color(place: int) -> str:
    """The colour of the thing at a place of a list."""
    return f"var(--c{place % COLORS})"


# ---------------------------------------------------------------------- parts


def paragraph(text: str, *, kind: str = "") -> str:
    """A paragraph; kind: ``soft``, ``over``, ``warn``."""
    return f"<p{_class(kind)}>{_said(text)}</p>"


def warning(text: str) -> str:
    """A paragraph that nobody overlooks."""
    return paragraph(text, kind="warn")


def title(text: str) -> str:
    """The title of a page."""
    return f"<h1>{escape(text)}</h1>"


def heading(text: str) -> str:
    """A heading within a section."""
    return f"<h3>{escape(text)}</h3>"


def section(heading: str, *parts: str, lead: str = "") -> str:
    """A section: heading, a sentence that says what to see, parts."""
    said = paragraph(lead, kind="soft") if lead else ""
    return "\n".join((f"<section>\n<h2>{escape(heading)}</h2>{said}", *parts, "</section>"))


def cards(numbers: Iterable[tuple[str, str]]) -> str:
    """Numbers, each with words under it."""
    shown = (
        f'<div class="card"><b>{_said(number)}</b><small>{_said(words)}</small></div>'
        for number, words in numbers
    )
    return '<div class="cards">' + "".join(shown) + "</div>"


def key(keys: Iterable[Key], *, fixed: bool = False) -> str:
    """Colours and their names; the fixed one stays in sight, and a click on a name makes it stand out."""
    tag = "button" if fixed else "span"
    attributes = ' type="button" aria-pressed="false" data-of="{}"' if fixed else ""
    items = "".join(
        f"<li><{tag}{attributes.format(each.id)}>{_dot(each)}{_name(each)}</{tag}></li>" for each in keys
    )
    return f'<ul class="key{" fixed" if fixed else ""}">{items}</ul>'


def points(lines: Iterable[tuple[Key, str]]) -> str:
    """A sentence about each of some things."""
    items = (
        f'<li data-of="{each.id}"><b>{_dot(each)}{escape(each.name)}</b>{_said(text)}</li>'
        for each, text in lines
    )
    return '<ul class="points">' + "".join(items) + "</ul>"


def table(head: Sequence[str | Key], groups: Iterable[tuple[str, Iterable[Sequence[Any]]]]) -> str:
    """A table that scrolls in its box.

    Parameters
    ----------
    head : sequence of str or Key
        The first names the lines.
    groups : iterable of (heading, rows)
        A row: a word or a pair (word, explanation), then `Cell` or str.
    """
    titles = "".join(_head(each, first=at == 0) for at, each in enumerate(head))
    lines = []
    for heading, rows in groups:
        if heading:
            lines.append(f'<tr class="group"><th colspan="{len(head)}">{escape(heading)}</th></tr>')
        for row in rows:
            cells = "".join(_cell(each) for each in row[1:])
            lines.append(f'<tr><th scope="row">{_line(row[0])}</th>{cells}</tr>')
    body = "\n".join(lines)
    head_and_body = f"<thead><tr>{titles}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="box" tabindex="0"><table>{head_and_body}</table></div>'


def figure(
    chart: alt.TopLevelMixin, *, title: str = "", text: str = "", key: Key | None = None, under: str = ""
) -> str:
    """A chart as wide as its place, under a title and a sentence.

    Parameters
    ----------
    chart : altair chart
        Of one view or layers, with a height.
    title, text : str
    key : Key, optional
        The one thing that it shows.
    under : str
        A part under the title.
    """
    spec: dict[str, Any] = chart.to_dict()
    spec.pop("config", None)
    spec.pop("$schema", None)
    spec["width"] = "container"
    spec["description"] = f"{title}. {text}" if title else text
    dot = "" if key is None else _dot(key)
    of = "" if key is None else f' data-of="{key.id}"'
    said = f"{dot}<b>{escape(title)}</b> {escape(text)}" if title else escape(text)
    return (
        f"<figure{of}><figcaption>{said}</figcaption>{under}"
        f'<div class="plot" style="--height:{spec["height"]}px"></div>'
        f'<script type="application/json">{_json(spec)}</script></figure>'
    )


def figures(title: str, under: str, *parts: str) -> str:
    """Small charts under one title, beside each other as far as there is room."""
    return f"<h4>{escape(title)}</h4>{under}{several(*parts)}"


def note(key: Key, text: str) -> str:
    """A sentence in the place of a chart."""
    said = f"{_dot(key)}<b>{escape(key.name)}</b> {escape(text)}"
    return f'<figure data-of="{key.id}"><figcaption>{said}</figcaption></figure>'


def several(*parts: str) -> str:
    """Parts beside each other as far as there is room."""
    return '<div class="several">' + "".join(parts) + "</div>"


def details(summary: str, *parts: str, key: Key | None = None) -> str:
    """Parts that are opened by a click."""
    dot = "" if key is None else _dot(key)
    return f"<details><summary>{dot}{escape(summary)}</summary>{''.join(parts)}</details>"


def code(text: str) -> str:
    """Text to copy."""
    return f'<div class="code"><button type="button">Copy</button><pre>{escape(text)}</pre></div>'


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and what they are."""
    return "<dl>" + "".join(f"<dt>{escape(a)}</dt><dd>{escape(b)}</dd>" for a, b in pairs) + "</dl>"


def _said(text: str) -> str:
    """Text with its minus signs as they are set."""
    return escape(re.sub(r"(?<![\w.-])-(?=\d)", "−", text))


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def _dot(of: Key) -> str:
    hollow = " hollow" if of.broken else ""
    return f'<span class="dot{hollow}" style="--of:{of.color}"></span>'


def _name(of: Key) -> str:
    """A name that is cut where it is too long for its place."""
    return f'<span class="name" title="{escape(of.name)}">{escape(of.name)}</span>'


def _head(title: str | Key, *, first: bool) -> str:
    if isinstance(title, Key):
        return f'<th scope="col" data-of="{title.id}">{_dot(title)} {escape(title.name)}</th>'
    return f'<th scope="col"{_class("words" if first else "")}>{escape(title)}</th>'


def _line(words: str | tuple[str, str]) -> str:
    if isinstance(words, str):
        return escape(words)
    return f"{escape(words[0])}<small>{escape(words[1])}</small>"


def _cell(cell: str | Cell) -> str:
    if isinstance(cell, str):
        return f"<td>{_said(cell)}</td>"
    of = f' data-of="{cell.of}"' if cell.of else ""
    mark = f'<i class="{cell.mark}">{cell.mark}</i>' if cell.mark else ""
    return f"<td{of}>{mark}{_said(cell.text)}</td>"


# ---------------------------------------------------------------------- the document


def document(title: str, *body: str) -> str:
    """A whole page.

    Parameters
    ----------
    title : str
        What the browser calls it.
    *body : str
        Parts; the first should hold an ``<h1>``.
    """
    text = "\n".join(body)
    scripts = ""
    if "<figure" in text:
        live = _own("live.js").replace("CONFIG", json.dumps(_CONFIG, separators=(",", ":")))
        scripts = f'<script type="module">{_vega()}</script>\n<script type="module">\n{live}</script>'
    return "\n".join(
        (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{_ALONE}">',
            f"<title>{escape(title)}</title>\n<style>\n{_own('look.css')}</style>\n</head>\n<body>",
            '<noscript><p class="warn">Charts are drawn by scripts, which are switched off here; the tables '
            "show without them.</p></noscript>"
            if scripts
            else "",
            text,
            scripts,
            "</body>\n</html>\n",
        )
    )


def save(text: str, file: str | os.PathLike[str]) -> None:
    """Write a page, whole or not at all.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    with io.new_file(file) as partial:
        partial.write_text(text, "utf-8")


def _json(spec: object) -> str:
    """JSON that no text in it can end the script with."""
    return json.dumps(spec, separators=(",", ":"), allow_nan=False, ensure_ascii=False).replace(
        "<", "\\u003c"
    )


def _own(name: str) -> str:
    return files("fastadl.report.page").joinpath(name).read_text("utf-8")


@cache
def _vega() -> str:
    """Vega, Vega-Lite of the version that altair writes for, and what puts them into a page."""
    import vl_convert

    version = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=version)
