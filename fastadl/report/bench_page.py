"""Benchmarks as one self-contained page: bars, words, light and dark, nothing loaded from anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from fastadl.report.bench import Line, about, beside, busy, per_unit, ratio, seconds, share

__all__ = ["page"]

_STYLE = """
:root { color-scheme: light dark; --page: #fcfcfb; --text: #1a1d21; --soft: #5c636b; --line: #dfe2e5;
  --ours: #0f766e; --other: #b9bfc6; --limit: #b45309; }
@media (prefers-color-scheme: dark) { :root { --page: #14171a; --text: #e8eaec; --soft: #9aa2ab;
  --line: #2c3238; --ours: #2dd4bf; --other: #59626c; --limit: #fbbf24; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem 1rem 4rem; background: var(--page);
  color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 0; }
p { margin: .2rem 0; } .soft, small { color: var(--soft); } small { font-size: .85rem; display: block; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem;
  margin: 1.25rem 0; }
.card { border: 1px solid var(--line); border-radius: .5rem; padding: .7rem .9rem; }
.card b { display: block; font-size: 1.35rem; line-height: 1.3; }
section { border-top: 1px solid var(--line); margin-top: 1.5rem; padding-top: 1.1rem; }
.row { display: grid; grid-template-columns: 14rem minmax(0, 1fr); gap: 0 1rem; margin: .8rem 0; }
.who { overflow-wrap: anywhere; } .ours .who { font-weight: 600; }
.track { display: flex; align-items: center; gap: .5rem; min-width: 0; }
.bar { height: .9rem; min-width: 2px; border-radius: 2px; background: var(--other); flex: none; }
summary { overflow-wrap: anywhere; }
.ours .bar { background: var(--ours); }
.time { white-space: nowrap; font-variant-numeric: tabular-nums; }
.more { grid-column: 2; } .more span { margin-right: .9rem; white-space: nowrap; }
.triad { color: var(--limit); }
details { grid-column: 2; } summary { cursor: pointer; color: var(--soft); font-size: .85rem; }
@media (max-width: 40rem) { .row { grid-template-columns: minmax(0, 1fr); }
  .more, details { grid-column: 1; } }
"""
#: The longest bar, as a share of the room, so that its time fits beside it.
_LONGEST = 70


def page(result: dict[str, Any]) -> str:
    """HTML of a run, for a file of its own.

    Parameters
    ----------
    result : dict
        What ``fastadl bench --json`` prints.
    """
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>fastadl bench</title>\n<style>{_STYLE}</style>\n</head>\n<body>",
            f'<h1>fastadl bench</h1>\n<p class="soft">{escape(about(result))}</p>',
            *_cards(result),
            *(part for group in result["groups"] for part in _group(group)),
            *_footer(result),
            "</body>\n</html>\n",
        ]
    )


def _cards(result: dict[str, Any]) -> Iterator[str]:
    yield '<div class="cards">'
    bandwidth = result["triad_bytes_per_second"]
    if bandwidth is not None:
        yield _card(f"{bandwidth / 1e9:.1f} GB/s", "the machine's limit: STREAM triad")
    for group in result["groups"]:
        first = group["lines"][0]
        rivals = [line for line in group["lines"] if not line["ours"] and line["against_first"]]
        if rivals and first["ours"]:
            nearest = min(rivals, key=lambda line: line["against_first"])
            yield _card(
                seconds(first["median"]),
                f"{group['title']}; {nearest['who']} takes {ratio(nearest)[2:]} times as long",
            )
        elif group["name"] in ("cold", "memory"):
            yield _card(seconds(first["median"]), f"{group['title']}: {first['who'].partition(', ')[2]}")
    yield "</div>"


def _card(number: str, words: str) -> str:
    return f'<div class="card"><b>{escape(number)}</b><small>{escape(words)}</small></div>'


def _group(group: dict[str, Any]) -> Iterator[str]:
    lines: Sequence[Line] = group["lines"]
    measure = "per_unit" if len({line["unit"] for line in lines}) == 1 else "median"
    longest = max(line[measure] for line in lines)
    yield f"<section>\n<h2>{escape(group['title'].capitalize())}</h2>"
    yield f'<p class="soft">{escape(group["intent"])}</p>'
    if measure == "per_unit" and len({line["units"] for line in lines}) > 1:
        yield f"<small>Bars: time per {escape(lines[0]['unit'])}.</small>"
    for line in lines:
        yield from _row(line, line[measure] / longest)
    yield "</section>"


def _row(line: Line, length: float) -> Iterator[str]:
    more = [
        per_unit(line),
        f"best of {line['rounds']}: {seconds(line['min'])}" if line["rounds"] > 1 else "one round",
        f"{ratio(line)} the first" if line["against_first"] else "",
    ]
    yield f'<div class="row{" ours" if line["ours"] else ""}"><div class="who">{escape(line["who"])}</div>'
    yield f'<div class="track"><div class="bar" style="width:{_LONGEST * length:.2f}%"></div>'
    yield f'<div class="time">{escape(seconds(line["median"]))}</div></div>'
    said = " ".join(f"<span>{escape(words)}</span>" for words in more if words)
    triad = f'<span class="triad">{escape(share(line))} of triad</span>' if line["of_triad"] else ""
    yield f'<small class="more">{said} {triad}</small>'
    facts = f"<small>{escape(beside(line))}</small>" if line["facts"] else ""
    held = f"<small>What holds it back: {escape(line['held_back'])}.</small>" if line["held_back"] else ""
    yield f"<details><summary>{escape(line['does'])}</summary>"
    yield f"<small>Left out: {escape(line['left_out'])}.</small>{facts}{held}</details></div>"


def _footer(result: dict[str, Any]) -> Iterator[str]:
    yield '<section class="soft">'
    if not result["finished"]:
        yield "<p>Interrupted: what was not finished is not shown.</p>"
    if not result["machine"]["compiled"]:
        yield "<p>NUMBA_DISABLE_JIT was set: kernels ran as plain Python.</p>"
    if busy(result):
        yield f"<p>{escape(busy(result))}</p>"
    for absent in result["absent"]:
        yield f"<p>Left out, {escape(absent['group'])}: {escape(absent['who'])}: {escape(absent['why'])}</p>"
    yield (
        "<p><small>Times are medians of rounds; × is against the first of the group, by unit of work. Of "
        "triad: bytes that the work cannot do without, by its time, over the triad's bandwidth in rounds run "
        f"in turn with it. The run took {result['seconds']:,.0f} s.</small></p></section>"
    )
