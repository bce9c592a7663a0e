"""Charts of a sweep: small frames in, one altair chart out, with the band of every estimate."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import polars as pl

from fastadl.report.measures import Measure
from fastadl.report.page.drawing import LIT, axis, colors, dashes, data, stands_out, tip
from fastadl.report.page.skeleton import Key

__all__ = ["effects", "fund", "importance", "spreads"]

_INK = "var(--ink)"


def spreads(rows: pl.DataFrame, keys: Sequence[Key], measure: Measure) -> alt.TopLevelMixin:
    """Where a measure lies over the runs, a line for each key, and its mean with its band.

    Parameters
    ----------
    rows : DataFrame
        As `fastadl.sweep.answers.distributions` gives them, one for each key, in units; where there are too
        few runs for a quantile, the least and the most stand for it.
    keys : sequence of Key
    measure : Measure
    """
    rows = rows.with_columns(
        of=pl.Series([each.id for each in keys]),
        name=pl.Series([each.name for each in keys]),
        low=pl.coalesce("q05", "least"),
        lower=pl.coalesce("q25", "least"),
        middle=pl.coalesce("q50", "mean"),
        upper=pl.coalesce("q75", "most"),
        high=pl.coalesce("q95", "most"),
    )
    words = {"low": "5 %", "lower": "25 %", "middle": "median", "upper": "75 %", "high": "95 %"}
    words |= {"mean": "mean", "mean_low": "its band from", "mean_high": "to"}
    how = measure.axis
    told = [tip("name", "policy"), *(tip(column, said, how) for column, said in words.items())]
    names = alt.Axis(labelColor=_INK, grid=False, labelLimit=130)
    x = alt.X("low:Q", title=None, axis=axis(how, tickCount=4, grid=True), scale=alt.Scale(zero=False))
    base = alt.Chart(data(rows.select("of", "name", *words))).encode(
        y=alt.Y("name:N", sort=None, title=None, axis=names), opacity=stands_out(), tooltip=told
    )
    half = base.mark_bar(height={"band": 0.5}, fillOpacity=0.55)
    middle = base.mark_tick(thickness=2, height={"band": 0.5})
    mean = base.mark_point(filled=True, size=42, fill=_INK, stroke="var(--page)")
    return (
        alt.layer(
            base.mark_rule(strokeWidth=2).encode(x=x, x2="high", color=colors(keys)),
            half.encode(x="lower:Q", x2="upper", fill=colors(keys)),
            middle.encode(x="middle:Q", color=colors(keys)),
            base.mark_rule(strokeWidth=3, stroke=_INK).encode(x="mean_low:Q", x2="mean_high"),
            mean.encode(x="mean:Q"),
        )
        .add_params(LIT)
        .properties(height=40 * len(keys))
    )


def fund(
    curves: pl.DataFrame, keys: Sequence[Key], *, as_it_is: pl.DataFrame, height: int
) -> alt.TopLevelMixin:
    """Cash of the fund by the probability that losses still reach others, with the band of each.

    Parameters
    ----------
    curves : DataFrame
        ``of``, ``where``, ``probability``, ``cash``, ``cash_low``, ``cash_high``, in units; how strong the
        line of each ``where`` is, in ``strength``.
    keys : sequence of Key
    as_it_is : DataFrame
        How often they do with funds as they are: ``probability``, ``words``.
    height : int
    """
    columns = ("of", "where", "probability", "cash", "cash_low", "cash_high", "strength")
    shown = data(curves.select(columns))
    many = curves["where"].n_unique() > len(keys)
    told = [tip("where", "at"), tip("probability", "probability", ".3~%"), tip("cash", "cash", "amount")]
    if not many:
        told += [tip("cash_low", "its band from", "amount"), tip("cash_high", "to", "amount")]
    title = "probability that losses reach others"
    y = alt.Y("probability:Q", title=title, axis=axis(".0%", tickCount=4), scale=alt.Scale(domain=[0, 1]))
    x = alt.X("cash:Q", title="cash of the fund, USD", axis=axis("amount"), scale=alt.Scale(zero=False))
    base = alt.Chart(shown).encode(y=y)
    layers = []
    if len(curves.drop_nulls(("cash_low", "cash_high"))):
        known = base.transform_filter("isValid(datum.cash_low) && isValid(datum.cash_high)")
        area = known.mark_area(orient="horizontal", fillOpacity=0.18)
        layers.append(area.encode(x="cash_low:Q", x2="cash_high", fill=colors(keys)))
    layers += [
        base.mark_line(strokeWidth=1.3 if many else 2).encode(
            x=x,
            color=colors(keys),
            detail="where:N",
            order="probability:Q",
            strokeOpacity=alt.StrokeOpacity("strength:Q", scale=None),
        ),
        base.mark_point(filled=True, size=90, fillOpacity=0, strokeOpacity=0).encode(x=x, tooltip=told),
    ]
    if len(as_it_is):
        line = alt.Chart(data(as_it_is)).encode(y="probability:Q")
        words = line.mark_text(align="right", x="width", dy=12 if max(as_it_is["probability"]) > 0.9 else -6)
        layers += [line.mark_rule(stroke=_INK, strokeDash=[5, 4]), words.encode(text="words:N")]
    return alt.layer(*layers).properties(height=height)


def importance(rows: pl.DataFrame, keys: Sequence[Key]) -> alt.TopLevelMixin:
    """Of what the variance of each measure is made.

    Parameters
    ----------
    rows : DataFrame
        ``measure``, ``factor``, ``of``, ``from`` and ``to`` (where its bar is), ``alone``, ``band`` (words).
    keys : sequence of Key
        Of the factors.
    """
    order = rows["measure"].unique(maintain_order=True).to_list()
    names = alt.Axis(labelColor=_INK, grid=False, labelLimit=190)
    share = axis(".0%", grid=True)
    bars = alt.Chart(data(rows)).mark_bar(height={"band": 0.68}, stroke="var(--page)", strokeWidth=1)
    shown = bars.encode(
        y=alt.Y("measure:N", sort=order, title=None, axis=names),
        x=alt.X("from:Q", title="share of the variance", axis=share, scale=alt.Scale(domain=[0, 1])),
        x2="to",
        fill=colors(keys),
        tooltip=[
            tip("measure", "measure"),
            tip("factor", "from"),
            tip("alone", "share", ".1%"),
            tip("band", "its band"),
        ],
    )
    return alt.layer(shown).properties(height=30 * len(order))


def effects(rows: pl.DataFrame, keys: Sequence[Key], measure: Measure, *, height: int) -> alt.TopLevelMixin:
    """A measure by the values of a parameter, a line for each key, with the bands of the means.

    Parameters
    ----------
    rows : DataFrame
        As `fastadl.sweep.answers.effects` gives them, of one parameter, in units, and ``of``.
    keys : sequence of Key
    measure : Measure
    height : int
    """
    columns = ["of", "value", "at", "mean", "mean_low", "mean_high"]
    names = pl.col("of").replace_strict({each.id: each.name for each in keys}, return_dtype=pl.String)
    how = measure.axis
    told = [tip("name", "policy"), tip("value", "where it is"), tip("mean", "mean", how)]
    told += [tip("mean_low", "its band from", how), tip("mean_high", "to", how)]
    y = alt.Y("mean:Q", title=None, axis=axis(how, tickCount=4))
    shown = alt.Chart(data(rows.select(*columns, name=names))).encode(opacity=stands_out(), tooltip=told)
    if rows["at"].null_count():
        parts = _upright(shown, rows, keys, y)
    else:
        parts = _ribbons(shown.encode(x=_numbers(rows["at"])), keys, y)
    return alt.layer(*parts).add_params(LIT).properties(height=height)


def _upright(shown: alt.Chart, rows: pl.DataFrame, keys: Sequence[Key], y: alt.Y) -> list[alt.Chart]:
    """Means of words, side by side at each."""
    order = rows["value"].unique(maintain_order=True).to_list()
    names = alt.Axis(labelAngle=0, labelLimit=90)
    apart = alt.XOffset("of:N", sort=[each.id for each in keys], scale=alt.Scale(paddingOuter=0.6))
    base = shown.encode(x=alt.X("value:N", sort=order, title=None, axis=names), xOffset=apart)
    return [
        base.mark_rule(strokeWidth=2.5).encode(y="mean_low:Q", y2="mean_high", color=colors(keys)),
        base.mark_point(filled=True, size=60).encode(y=y, color=colors(keys)),
    ]


def _ribbons(base: alt.Chart, keys: Sequence[Key], y: alt.Y) -> list[alt.Chart]:
    """Means of numbers, as lines."""
    return [
        base.mark_area(fillOpacity=0.16).encode(y="mean_low:Q", y2="mean_high", fill=colors(keys)),
        base.mark_line(strokeWidth=2).encode(y=y, color=colors(keys), strokeDash=dashes(keys)),
        base.mark_point(filled=True, size=45).encode(y=y, color=colors(keys)),
    ]


def _numbers(values: pl.Series) -> alt.X:
    """An axis of values of a parameter: in the logarithm where they are far apart."""
    found = values.unique().sort().to_list()
    ticks = {"values": found} if len(found) <= 5 else {"tickCount": 4}
    wide = found[0] > 0 and found[-1] >= 15 * found[0]
    kind = {"type": "log"} if wide else {"zero": False}
    scale = alt.Scale(**kind, nice=False, padding=8)
    return alt.X("at:Q", title=None, axis=axis("~r", labelOverlap=True, **ticks), scale=scale)
