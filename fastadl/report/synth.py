"""A synthetic book on a terminal: what was drawn, its laws and numbers, how near to real ones it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from math import exp
from typing import Any, TypeAlias

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from fastadl.report import stress
from fastadl.report.compiling import compiling
from fastadl.synth import ABOUT, SHAPES, Shape
from fastadl.synth.shapes import ASSUMED

__all__ = ["bar", "number", "show", "watching"]

Numbers: TypeAlias = dict[str, Any]

_EIGHTHS = " ▏▎▍▌▋▊▉"
_LONG, _SHORT, _PLAIN, _REAL = "green", "magenta", "cyan", "yellow"
#: A measure is near if no quantile is further off than by this factor.
_NEAR, _OFF = 1.5, 2.0

#: Parameters by what they are about.
_GROUPS = {
    "Sizes": ("size_law", "size_scale", "size_sigma", "size_tail", "size_spread", "smallest", "largest"),
    "Markets": ("top_shares", "rank_slope", "crowding", "largest_share"),
    "Accounts": (
        *("even", "busy_share", "busy_factor", "maker_share", "maker_factor", "maker_size"),
        *("hedged_share", "isolated_share", "whales", "whale_share"),
    ),
    "Sides": ("short_share", "one_way"),
    "Leverage": ("long_leverage", "long_sigma", "short_leverage", "short_sigma", "leverage_slope"),
    "Entries": ("past_volatility",),
}
_LINES = {
    "position_size": "position, USD",
    "account_notional": "account, USD",
    "positions_per_account": "positions an account",
    "leverage_long": "leverage, net long",
    "leverage_short": "leverage, net short",
}
_MEASURES = {
    "notional": "notional, USD",
    "profit_share": "profit rate",
    "cash": "cash, USD",
    "leverage": "leverage",
    "positions": "positions",
}


@contextmanager
def watching(console: Console, *, bar: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Kernels that are compiled, and a progress bar over partitions, if there are any."""
    if bar:
        with stress.watching(console) as tell:
            yield lambda done, of: tell("partitions written", done, of)
    else:
        with compiling(console):
            yield None


def show(drawn: Numbers, console: Console, *, described: bool) -> None:
    """Print a drawn book.

    Parameters
    ----------
    drawn : dict
        See `fastadl.synth.command.drawn`.
    console : Console
    described : bool
        With parameters, quantiles and histograms.
    """
    console.print(*_said(drawn), sep="\n")
    if described:
        console.print(*_parameters(drawn), sep="\n")
        console.print(*_described(drawn["book"], console.width), sep="\n")
    if drawn["against"] is not None:
        console.print(*_against(drawn["against"]), sep="\n")


# ---------------------------------------------------------------------- numbers and bars


def number(value: float) -> str:
    """A number in three digits, thousands as letters.

    Examples
    --------
    >>> number(0.0123), number(4.0), number(1234.5), number(2.5e6), number(999.7)
    ('0.0123', '4', '1.23k', '2.5M', '1k')
    """
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def bar(share: float, width: int) -> str:
    """A bar in eighths of a cell, `width` cells for 1; the least share above 0 is seen.

    Examples
    --------
    >>> bar(0.5, 4), bar(0.3, 4), bar(1e-9, 4), bar(0.0, 4)
    ('██', '█▏', '▏', '')
    """
    eighths = round(min(share, 1.0) * width * 8)
    if share > 0:
        eighths = max(eighths, 1)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.0005 or share == 0 else "< 0.1%"


def _grid(*headings: str, left: int = 1) -> Table:
    """A table whose first `left` columns are words and whose others are numbers."""
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for at, heading in enumerate(headings):
        grid.add_column(heading, justify="left" if at < left else "right", no_wrap=True)
    return grid


def _titled(title: str, *shown: RenderableType) -> Group:
    return Group(Text(f"\n{title}", style="bold"), *shown)


# ---------------------------------------------------------------------- what was drawn


def _said(drawn: Numbers) -> Iterator[RenderableType]:
    book, name = drawn["book"], drawn["shape"]
    yield Text.assemble((name, "bold"), f": {ABOUT[name].title}.")
    yield Text(f"Basis: {ABOUT[name].source}.", style="dim")
    yield Text(
        f"{book['positions']:,} positions of {book['accounts']:,} accounts in {book['markets']:,} markets, "
        f"seed {drawn['seed']}: {number(book['open_interest'])} USD of open interest, the same long as "
        "short; nobody is liquidatable at the book's own marks."
    )
    yield Text(f"Drawn in {drawn['seconds']:.2f} s, {drawn['bytes'] / 2**20:,.0f} MiB.", style="dim")
    if drawn["apart"]:
        yield Text(
            "Every partition is a draw of its own, both sides equal: another book than one drawn whole."
        )
    if drawn["written"] is not None:
        many = "" if drawn["shards"] is None else f", partitions: {drawn['shards']:,}"
        yield Text(f"Written to {drawn['written']}: instruments, accounts and positions as Parquet{many}.")


def _parameters(drawn: Numbers) -> Iterator[RenderableType]:
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
    grid.add_column("parameter", no_wrap=True)
    grid.add_column("value", justify="right", max_width=18)
    grid.add_column("meaning")
    grid.add_column("from", justify="right", style="dim")
    shape = Shape(**drawn["parameters"])
    told = Shape.parameters()
    notes: dict[str, int] = {}
    for names in _GROUPS.values():
        shown = [name for name in names if _used(shape, name)]
        for name in shown:
            value, source = getattr(shape, name), _source(drawn["shape"], shape, name)
            note = "" if source == ASSUMED else str(notes.setdefault(source, len(notes) + 1))
            style = "bold" if value != getattr(Shape(), name) else ""
            cells = (Text(name), Text(_value(value), style), Text(told[name]["told"]), Text(note))
            grid.add_row(*cells, end_section=name == shown[-1])
    said = [f"{note}  {source[0].upper()}{source[1:]}." for source, note in notes.items()]
    yield _titled("Parameters", grid)
    yield Text("\n".join([*said, "No number: an assumption. Bold: differs from pareto."]), style="dim")


def _used(shape: Shape, name: str) -> bool:
    """Whether a parameter plays a part in the shape."""
    law = {
        "size_scale": shape.size_law != "uniform",
        "size_sigma": shape.size_law != "uniform",
        "size_spread": shape.size_law != "uniform",
        "size_tail": shape.size_law == "pareto",
        "busy_factor": shape.busy_share > 0,
        "maker_factor": shape.maker_share > 0,
        "maker_size": shape.maker_share > 0,
        "whale_share": shape.whales > 0,
    }
    degree = name.startswith(("busy", "maker_share", "maker_factor"))
    return law.get(name, True) and not (shape.even and degree)


def _source(name: str, shape: Shape, parameter: str) -> str:
    value = getattr(shape, parameter)
    if value != getattr(SHAPES[name], parameter):
        return "given with --set"
    if parameter in ABOUT[name].sources:
        return ABOUT[name].sources[parameter]
    if value == getattr(Shape(), parameter):
        return str(Shape.parameters()[parameter]["source"])
    return ABOUT[name].source


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(f"{share:.3g}" for share in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else number(value)


# ---------------------------------------------------------------------- its numbers


def _described(book: Numbers, width: int) -> Iterator[RenderableType]:
    at = book["quantiles"]["at"]
    grid = _grid("quantiles", *map(_quantile, at))
    for name, words in _LINES.items():
        grid.add_row(words, *map(number, book["quantiles"][name]))
    yield _titled("Sizes and leverage", grid)

    sides = _grid("", "positions", "notional, USD", "accounts, by net side")
    for side, style in (("long", _LONG), ("short", _SHORT)):
        of = book["sides"][side]
        sides.add_row(
            Text(side, style), f"{of['positions']:,}", number(of["notional"]), f"{of['accounts']:,}"
        )
    yield _titled("Sides", sides, Text(_kinds(book["kinds"])))
    yield _titled("Markets and holders", _markets(book, width), _holders(book))
    yield from _histograms(book["histograms"], width)


def _quantile(at: float) -> str:
    return "median" if at == 0.5 else f"{100 * at:g} %"


def _kinds(kinds: dict[str, int]) -> str:
    words = [f"{count:,} {name.replace('_', ' ')}" for name, count in kinds.items() if count]
    return f"Accounts: {', '.join(words)}."


def _markets(book: Numbers, width: int) -> Table:
    names = max((len(market["symbol"]) for market in book["largest_markets"]), default=0)
    room = min(max(width - 47 - names, 8), 40)
    grid = _grid("market", "open interest", "", "positions", "largest of a side")
    grid.columns[2].justify = "left"
    first = max((market["open_interest_share"] for market in book["largest_markets"]), default=1.0)
    for market in book["largest_markets"]:
        share = market["open_interest_share"]
        grid.add_row(
            Text(market["symbol"]),
            _percent(share),
            Text(bar(share / first, room), _PLAIN),
            f"{market['positions']:,}",
            _percent(market["largest_position_share"]),
        )
    return grid


def _holders(book: Numbers) -> Text:
    of = book["holders"]
    return Text(
        f"Of all notional the largest account has {_percent(of['top_1'])}, the ten largest "
        f"{_percent(of['top_10'])}, the largest 1 % {_percent(of['top_percent'])}; Gini {of['gini']:.3f}."
    )


def _histograms(of: Numbers, width: int) -> Iterator[RenderableType]:
    size, leverage = of["size"], of["leverage"]
    labels = [f"{number(edge)} – {number(10 * edge)}" for edge in size["from"]]
    pair = (("of positions", size["positions"], _PLAIN), ("of value", size["value"], _REAL))
    yield _titled("Position size, USD", _side_by_side(labels, pair, width))
    edges = leverage["from"]
    labels = [f"{low:g} – {high:g}" for low, high in pairwise(edges)]
    labels.append(f"{edges[-1]:g} and more")
    pair = (
        ("of notional, net long", leverage["long"], _LONG),
        ("of notional, net short", leverage["short"], _SHORT),
    )
    yield _titled("Leverage", _side_by_side(labels, pair, width))


def _side_by_side(
    labels: Sequence[str], pair: Iterable[tuple[str, Sequence[float], str]], width: int
) -> Table:
    """Two histograms over the same classes."""
    pair = list(pair)
    room = max((min(width, 120) - 34) // 2, 8)
    grid = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), show_header=True, header_style="dim")
    grid.add_column("", justify="right", no_wrap=True, min_width=12)
    for heading, _, _ in pair:
        grid.add_column("", justify="right", no_wrap=True, min_width=6)
        grid.add_column(heading, no_wrap=True, width=room)
    longest = max((share for _, shares, _ in pair for share in shares), default=0.0) or 1.0
    for at, label in enumerate(labels):
        cells: list[Text] = []
        for _, shares, style in pair:
            cells += [Text(_percent(shares[at])), Text(bar(shares[at] / longest, room), style)]
        grid.add_row(Text(label), *cells)
    return grid


# ---------------------------------------------------------------------- beside real ones


def _against(found: Numbers) -> Iterator[RenderableType]:
    users, falls = found["users"], found["falls"]["drop"]
    yield Text("\nBeside the accounts deleveraged on Hyperliquid on 2025-10-10", style="bold")
    yield Text(
        f"{users['real']:,} real users, all winners of the fall, beside {users['compared']:,} of the "
        f"{users['winners']:,} drawn accounts whose shorts gain when every market falls as far as the real "
        f"one's shorts gained (by {falls[1]:.0%} in the middle, {falls[0]:.0%} to {falls[2]:.0%}). Nothing "
        "here says how near the losers are."
    )
    grid = _grid("of a user", "", *map(_quantile, found["at"]), left=2)
    for name, words in _MEASURES.items():
        line = found["quantiles"][name]
        factor = exp(line["distance"])
        style = "green" if factor <= _NEAR else "yellow" if factor <= _OFF else "red"
        off = Text(f"off by × {factor:.2f}", style)
        grid.add_row(words, Text("real", _REAL), *map(number, line["real"]))
        grid.add_row(off, Text("drawn", _PLAIN), *map(number, line["drawn"]), end_section=True)
    yield grid
    yield Text(
        "off by: the largest factor between a real quantile and the drawn one. profit rate: profit by "
        "notional at the fallen marks. leverage: that notional by cash, where cash is above 100.\n",
        style="dim",
    )
    first = found["markets"]["first"]
    shares = _grid("share of the first markets", "", *(f"{many}" for many in first), left=2)
    for kind, words in (("notional", "by notional"), ("users", "by users")):
        for who, style in (("real", _REAL), ("drawn", _PLAIN)):
            cells = map(_percent, found["markets"][kind][who])
            shares.add_row(words if who == "real" else "", Text(who, style), *cells)
    yield shares
    holders = _grid("notional of users", "", "largest", "ten largest", "largest 1 %", "Gini", left=2)
    for who, style in (("real", _REAL), ("drawn", _PLAIN)):
        of = found["holders"][who]
        parts = (_percent(of[part]) for part in ("top_1", "top_10", "top_percent"))
        holders.add_row("", Text(who, style), *parts, f"{of['gini']:.3f}")
    yield Text()
    yield holders
