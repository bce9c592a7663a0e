"""Charts of one stress test: small frames in, one altair chart out; titles and words come from the page."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import polars as pl

from fastadl.report.page.drawing import (
    LIT,
    POINTS,
    Clock,
    axis,
    colors,
    dashes,
    data,
    near,
    safe,
    stands_out,
    summed,
    thinned,
    tip,
    widths,
)
from fastadl.report.page.skeleton import Key

__all__ = [
    "PATH",
    "borne",
    "classes",
    "density",
    "haircuts",
    "highest",
    "markets",
    "most",
    "over_time",
    "pressure",
    "waterfall",
]

#: The line of the scenario alone, dashed beside others.
PATH = Key("path", "the scenario alone", "var(--faint)", broken=True)

#: Column of a waterfall → words, and the colour of the stages before deleveraging.
_STAGES = {
    "book": "closed in the order book",
    "fund": "taken over by the fund",
    "others": "deleveraged or charged",
}
_INK = "var(--ink)"


# ---------------------------------------------------------------------- over time


def over_time(
    lines: Sequence[tuple[Key, pl.DataFrame]], clock: Clock, *, how: str, height: int
) -> alt.TopLevelMixin:
    """Lines over time, and all their values under the pointer.

    Parameters
    ----------
    lines : sequence of (Key, DataFrame)
        Frames ``time`` (unix seconds), ``y``; the longest first. `PATH` never steps back.
    clock : Clock
    how : str
        How numbers are shown: ``amount``, ``change`` or a format.
    height : int
    """
    keys = [key for key, _ in lines]
    placed = [(key, line.select(clock.placed(), pl.col("y").cast(pl.Float64))) for key, line in lines]
    rows = pl.concat(thinned(line).with_columns(of=pl.lit(key.id)) for key, line in placed)
    beside = pl.concat(line.with_columns(of=pl.lit(key.id)) for key, line in placed)
    table = beside.pivot("of", index="t", values="y", maintain_order=True)
    table = table.gather_every(-(-len(table) // POINTS)).with_columns(clock.words())
    x = clock.axis()
    drawn = (
        alt.Chart(data(rows))
        .mark_line()
        .encode(
            x=x,
            y=alt.Y("y:Q", axis=axis(how), scale=alt.Scale(zero=True)),
            color=colors(keys),
            size=widths(keys, plain=PATH.id),
            opacity=stands_out(PATH.id),
            strokeDash=dashes(keys if len(keys) > 1 else [PATH._replace(broken=False)]),
        )
        .add_params(LIT)
    )
    told = [clock.tip(), *(tip(key.id, safe(key.name), how) for key in keys)]
    pointer = near("t")
    seen = alt.when(pointer).then(alt.value(0.6)).otherwise(alt.value(0))
    rule = alt.Chart(data(table)).mark_rule(stroke=_INK).encode(x=x, tooltip=told, opacity=seen)
    return alt.layer(drawn, rule.add_params(pointer)).properties(height=height)


def highest(steps: pl.DataFrame) -> float:
    """The highest bar of `waterfall`."""
    bars = summed(steps.with_columns(t=pl.col("time")), _STAGES)
    return float(bars.select(pl.sum_horizontal(*_STAGES).max()).item())


def waterfall(steps: pl.DataFrame, clock: Clock, last: Key, *, top: float, height: int) -> alt.TopLevelMixin:
    """What became of positions below their margin, step by step, each stage on the one before it.

    Parameters
    ----------
    steps : DataFrame
        ``time``, and values ``book``, ``fund``, ``others``.
    clock : Clock
    last : Key
        Whose colour the last stage has.
    top : float
        Where the axis ends.
    height : int
    """
    bars = summed(steps.with_columns(clock.placed()), _STAGES)
    end = pl.col("t").shift(-1).fill_null(pl.col("t") + pl.col("t").diff().median())
    bars = bars.with_columns(
        clock.words(),
        end=end.fill_null(pl.col("t") + 1),
        first=pl.col("book"),
        second=pl.col("book") + pl.col("fund"),
        third=pl.sum_horizontal(*_STAGES),
        none=pl.lit(0),
        all=pl.lit(top),
    )
    told = [clock.tip(), *(tip(name, words, "amount") for name, words in _STAGES.items())]
    base = alt.Chart(data(bars)).encode(x=clock.axis(), x2="end")

    def stage(low: str, high: str, fill: str) -> alt.Chart:
        y = alt.Y(f"{high}:Q", scale=alt.Scale(domain=[0, top]), axis=axis("amount", tickCount=3))
        return base.mark_rect(fill=fill).encode(y=y, y2=low)

    return alt.layer(
        stage("none", "first", "var(--stage-1)"),
        stage("first", "second", "var(--stage-2)"),
        stage("second", "third", last.color),
        stage("none", "all", "transparent").encode(tooltip=told),
    ).properties(height=height)


# ---------------------------------------------------------------------- who paid


def borne(frame: pl.DataFrame, keys: Sequence[Key], *, height: int = 34) -> alt.TopLevelMixin:
    """Who bore a loss: a bar for each key, and a line across it where the loss ends.

    Parameters
    ----------
    frame : DataFrame
        ``fund_paid``, ``seized``, ``uncovered``, ``shortfall``; a row for each key.
    keys : sequence of Key
    height : int
        Of a bar and the room around it.
    """
    rows = frame.with_columns(
        of=pl.Series([key.id for key in keys]),
        name=pl.Series([key.name for key in keys]),
        none=pl.lit(0),
        first=pl.col("fund_paid"),
        second=pl.col("fund_paid") + pl.col("seized"),
        third=pl.col("fund_paid") + pl.col("seized") + pl.col("uncovered"),
    )
    told = [
        tip("name", "policy"),
        tip("shortfall", "lost beyond own money", "amount"),
        tip("fund_paid", "paid by the fund", "amount"),
        tip("seized", "taken from traders", "amount"),
        tip("uncovered", "still owed", "amount"),
    ]
    names = alt.Y("name:N", sort=None, axis=alt.Axis(labelColor=_INK, grid=False, labelLimit=130))
    base = alt.Chart(data(rows)).encode(y=names, opacity=stands_out(), tooltip=told)

    def part(low: str, high: str) -> alt.Chart:
        x = alt.X(f"{high}:Q", title=None, axis=axis("amount", grid=True))
        return base.mark_bar(height={"band": 0.6}).encode(x=x, x2=low)

    bars = (
        part("none", "first").encode(fill=alt.value("var(--stage-2)")),
        part("first", "second").encode(color=colors(keys)),
        part("second", "third").encode(fill=alt.value("var(--alarm)")),
    )
    loss = base.mark_tick(color=_INK, thickness=2.5, height={"band": 0.92}).encode(x="shortfall:Q")
    return alt.layer(*bars, loss).add_params(LIT).properties(height=height * len(keys))


def most(haircuts: pl.DataFrame) -> float:
    """The highest bar of `haircuts`."""
    return float(_payers(haircuts).select(pl.col("accounts").max().fill_null(0)).item())


def _payers(haircuts: pl.DataFrame) -> pl.DataFrame:
    return haircuts.filter((pl.col("to") > 0) | pl.col("to").is_null())


def haircuts(frame: pl.DataFrame, of: Key, *, top: float, height: int) -> alt.TopLevelMixin:
    """Winners by the share of their profit that was taken; those who paid nothing are left to the text.

    Parameters
    ----------
    frame : DataFrame
        ``from``, ``to`` (null: no end), ``accounts``, ``seized``.
    of : Key
    top : float
        Where the axis ends.
    height : int
    """
    whole = pl.col("to").is_not_null()
    share = (100 * pl.col("to")).round().cast(pl.Int64).cast(pl.String)
    bars = (
        _payers(frame)
        .filter(pl.col("accounts") > 0)
        .select(
            pl.when(whole).then(pl.col("from")).otherwise(pl.col("from") + 0.02).alias("start"),
            pl.when(whole).then(pl.col("to")).otherwise(pl.col("from") + 0.07).alias("end"),
            pl.when(whole).then("up to " + share + "%").otherwise(pl.lit("more than all")).alias("words"),
            "accounts",
            "seized",
            whole.alias("whole"),
            pl.lit(0).alias("none"),
        )
    )
    words = "datum.value > 1 ? 'more than all' : format(datum.value, '.0%')"
    marks = alt.Axis(values=[0, 0.25, 0.5, 0.75, 1.045], ticks=False, labelExpr=words)
    scale = alt.Scale(domain=[0, 1.08], nice=False)
    fill = alt.when("datum.whole").then(alt.value(of.color)).otherwise(alt.value("var(--alarm)"))
    chart = (
        alt.Chart(data(bars))
        .mark_rect(stroke="var(--page)")
        .encode(
            x=alt.X("start:Q", title="share of profit taken", scale=scale, axis=marks),
            x2="end",
            y=alt.Y("accounts:Q", scale=alt.Scale(domain=[0, top]), axis=axis("amount", tickCount=3)),
            y2="none",
            fill=fill,
            tooltip=[
                tip("words", "of their profit"),
                tip("accounts", "accounts", ",.0f"),
                tip("seized", "taken from them", "amount"),
            ],
        )
    )
    return chart.properties(height=height)


def classes(frame: pl.DataFrame, keys: Sequence[Key], *, column: str, height: int) -> alt.TopLevelMixin:
    """A share by class of payers, a line for each key.

    Parameters
    ----------
    frame : DataFrame
        ``of``; ``class`` in words, ``from`` in few letters and in order; ``share`` of what was taken, and
        ``paid``, share of their own profit.
    keys : sequence of Key
    column : str
        ``share`` or ``paid``.
    height : int
    """
    order = frame["from"].unique(maintain_order=True).to_list()
    names = {key.id: key.name for key in keys}
    rows = frame.with_columns(name=pl.col("of").replace_strict(names, return_dtype=pl.String))
    base = alt.Chart(data(rows)).encode(
        x=alt.X("from:O", sort=order, title=None, axis=alt.Axis(labelAngle=0)),
        y=alt.Y(f"{column}:Q", axis=axis(".0%", tickCount=4)),
        color=colors(keys),
        opacity=stands_out(),
        tooltip=[
            tip("name", "policy"),
            tip("class", "class"),
            tip("share", "of all that was taken", ".1%"),
            tip("paid", "of their own profit", ".1%"),
        ],
    )
    lines = base.mark_line().encode(size=widths(keys, widest=3.0), strokeDash=dashes(keys))
    return alt.layer(lines, base.mark_circle(size=55)).add_params(LIT).properties(height=height)


# ---------------------------------------------------------------------- the book


def pressure(curve: pl.DataFrame, parts: Sequence[tuple[str, Key]], *, height: int) -> alt.TopLevelMixin:
    """Areas that lie over each other, and a line, by the size of a common shock.

    Parameters
    ----------
    curve : DataFrame
        ``shock`` and the columns of the parts, in units of the currency.
    parts : sequence of (column, Key)
        The largest first; ``fund`` is a line.
    height : int
    """
    x = alt.X("shock:Q", title="move of every price", scale=alt.Scale(nice=False), axis=axis("change"))
    base = alt.Chart(data(curve)).encode(x=x)
    layers = []
    for column, key in parts:
        if column == "fund":
            mark = base.mark_line(stroke=key.color, strokeDash=[5, 4])
        else:
            mark = base.mark_area(fill=key.color, opacity=1)
        layers.append(mark.encode(y=alt.Y(f"{column}:Q", axis=axis("amount"))))
    pointer = near("shock")
    rule = base.mark_rule(stroke=_INK).encode(
        tooltip=[tip("shock", "move", "change"), *(tip(column, key.name, "amount") for column, key in parts)],
        opacity=alt.when(pointer).then(alt.value(0.6)).otherwise(alt.value(0)),
    )
    return alt.layer(*layers, rule.add_params(pointer)).properties(height=height)


def density(cells: pl.DataFrame, *, among: pl.DataFrame, height: int) -> alt.TopLevelMixin:
    """Where the open interest of one side is: size of positions by leverage of their accounts.

    Parameters
    ----------
    cells : DataFrame
        ``size_from``, ``size_to``, ``leverage_from``, ``leverage_to``, ``positions``, ``notional``.
    among : DataFrame
        The cells of both sides, so that axes and colours are the same.
    height : int
    """
    size, leverage = (_ends(among, name) for name in ("size", "leverage"))
    marks = [at for at in (0.1, 0.25, 0.5, 1, 2, 5, 10, 25, 50, 100) if leverage[0] <= at <= leverage[1]]
    times = alt.Axis(values=marks, labelExpr="datum.label + '×'", format="~g")
    darkest = alt.Scale(
        type="sqrt", domain=[0, among.select(pl.col("notional").max()).item()], range=[0.07, 1]
    )
    chart = (
        alt.Chart(data(cells))
        .mark_rect(fill="var(--accent)")
        .encode(
            x=alt.X("leverage_from:Q", title="leverage of the account", axis=times, scale=_log(leverage)),
            x2="leverage_to",
            y=alt.Y("size_from:Q", axis=axis("amount"), scale=_log(size)),
            y2="size_to",
            fillOpacity=alt.FillOpacity("notional:Q", scale=darkest),
            tooltip=[
                tip("size_from", "size from", "amount"),
                tip("size_to", "size to", "amount"),
                tip("leverage_from", "leverage from", ".3~g"),
                tip("leverage_to", "leverage to", ".3~g"),
                tip("positions", "positions", ","),
                tip("notional", "notional", "amount"),
            ],
        )
    )
    return chart.properties(height=height)


def _ends(cells: pl.DataFrame, name: str) -> tuple[float, float]:
    ends = cells.select(pl.col(f"{name}_from").min(), pl.col(f"{name}_to").max()).row(0)
    return float(ends[0]), float(ends[1])


def _log(ends: tuple[float, float]) -> alt.Scale:
    return alt.Scale(type="log", domain=list(ends), nice=False)


def markets(table: pl.DataFrame, *, height: int = 24) -> alt.TopLevelMixin:
    """Open interest by market.

    Parameters
    ----------
    table : DataFrame
        ``symbol``, ``open_interest``, ``share``, ``longs``, ``shorts``, in the order to show.
    height : int
        Of a bar and the room around it.
    """
    longest = table.select(pl.col("open_interest").max()).item()
    room = alt.Scale(domain=[0, 1.15 * longest], nice=False)
    base = alt.Chart(data(table)).encode(
        y=alt.Y("symbol:N", sort=None, axis=alt.Axis(labelColor=_INK, grid=False)),
        x=alt.X("open_interest:Q", axis=None, scale=room),
        tooltip=[
            tip("symbol", "market"),
            tip("open_interest", "open interest", "amount"),
            tip("share", "share", ".1%"),
            tip("longs", "long positions", ","),
            tip("shorts", "short positions", ","),
        ],
    )
    bars = base.mark_bar(fill="var(--accent)", height={"band": 0.62})
    words = base.mark_text(align="left", dx=5).encode(text=alt.Text("share:Q", format=".1%"))
    return alt.layer(bars, words).properties(height=height * len(table))
