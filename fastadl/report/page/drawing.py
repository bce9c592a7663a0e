"""What charts have in common: rows of a frame, colours of keys, words under the pointer, time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import altair as alt
import polars as pl
import polars.selectors as cs

from fastadl.report.page.skeleton import Key

__all__ = [
    "LIT",
    "POINTS",
    "Clock",
    "axis",
    "colors",
    "dashes",
    "data",
    "near",
    "safe",
    "shown",
    "stands_out",
    "summed",
    "thinned",
    "tip",
    "widths",
]

#: Points of a line, at most about; bars over time.
POINTS, _BARS = 300, 150
#: Digits of numbers in charts, but for times.
_DIGITS, _TIMES = 5, ("t", "end")
#: The id of the key that stands out, if one does; a click in the page's key sets it in every chart.
LIT = alt.param(name="lit", value=None)
#: How far the others step back.
_FAINT = 0.12


class Clock(NamedTuple):
    """Time on the horizontal axis: since the beginning, or of the calendar.

    Attributes
    ----------
    start : int
        Unix seconds of the first step.
    unit : str
        ``minutes``, ``hours``, ``days``; or nothing: dates in UTC.
    format : str
        How the axis shows dates.
    """

    start: int
    unit: str
    format: str

    @classmethod
    def of(cls, times: pl.Series, *, calendar: bool) -> Clock:
        """One that suits unix seconds."""
        first, lasts = int(times[0]), int(times[-1]) - int(times[0])
        unit = "minutes" if lasts <= 3 * 3600 else "hours" if lasts <= 96 * 3600 else "days"
        dates = {"minutes": "%H:%M", "hours": "%d %b, %H:%M", "days": "%d %b"}[unit]
        return cls(first, "" if calendar else unit, dates)

    def placed(self) -> pl.Expr:
        """Column ``t`` as the axis counts it, of ``time`` in unix seconds."""
        time = pl.col("time")
        if not self.unit:
            return (time * 1000).alias("t")
        seconds = {"minutes": 60, "hours": 3600, "days": 86400}[self.unit]
        return ((time - self.start) / seconds).round(4).alias("t")

    def words(self) -> pl.Expr:
        """Column ``when``: column ``t`` in words."""
        if not self.unit:
            return pl.from_epoch("t", "ms").dt.strftime("%Y-%m-%d %H:%M").alias("when")
        number = pl.col("t").round(1).cast(pl.String).str.strip_suffix(".0")
        return (number + f" {self.unit}").alias("when")

    def axis(self) -> alt.X:
        """The axis of column ``t``."""
        if not self.unit:
            dates = alt.Axis(format=self.format, labelOverlap=True)
            scale = alt.Scale(type="utc", nice=False)
            return alt.X("t:T", title="UTC", scale=scale, axis=dates)
        title = f"{self.unit} since the start"
        return alt.X("t:Q", title=title, scale=alt.Scale(nice=False))

    def tip(self) -> alt.Tooltip:
        """Column ``when`` under the pointer."""
        # with a format of its own, since Vega-Lite loses plain text of what is nearest
        title = "time" if self.unit else "UTC"
        return alt.Tooltip("when:N", title=title, formatType="words", format="")


# ---------------------------------------------------------------------- rows


def thinned(frame: pl.DataFrame, most: int = POINTS) -> pl.DataFrame:
    """Rows of a line ``t``, ``y`` that are enough to draw it: the extremes of each part stay.

    Examples
    --------
    >>> line = pl.DataFrame({"t": range(9), "y": [0, 0, 0, 9, 0, 0, 0, -9, 0]})
    >>> thinned(line, 4)["y"].to_list()
    [0, 9, 0, -9, 0]
    """
    if len(frame) <= most:
        return frame
    part = pl.int_range(pl.len()) * (most // 2) // pl.len()
    rows = frame.with_row_index("row", 0).group_by(part.alias("part"))
    ends = rows.agg(
        pl.col("row").get(pl.col("y").arg_min()).alias("low"), pl.col("row").get(pl.col("y").arg_max())
    )
    kept = {0, len(frame) - 1, *ends["low"].to_list(), *ends["row"].to_list()}
    return frame[sorted(kept)]


def summed(frame: pl.DataFrame, values: Iterable[str], most: int = _BARS) -> pl.DataFrame:
    """Rows of bars at ``t``, neighbours added up where there are more than `most`.

    Examples
    --------
    >>> summed(pl.DataFrame({"t": [0, 1, 2, 3], "a": [1, 2, 3, 4]}), ["a"], 2).rows()
    [(0, 3), (2, 7)]
    """
    parts = min(most, len(frame))
    part = (pl.int_range(pl.len()) * parts // pl.len()).alias("part")
    grouped = frame.group_by(part, maintain_order=True)
    return grouped.agg(pl.col("t").first(), pl.col(list(values)).sum()).drop("part")


def data(frame: pl.DataFrame) -> alt.InlineData:
    """Rows of a frame with no more digits than are seen; what is not finite is null."""
    floats = cs.float() - cs.by_name(*_TIMES, require_all=False)
    short = frame.with_columns(pl.when(floats.is_finite()).then(floats.round_sig_figs(_DIGITS)))
    rows = [{name: _short(value) for name, value in row.items()} for row in short.iter_rows(named=True)]
    return alt.InlineData(values=rows)


def _short(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


# ---------------------------------------------------------------------- channels


def shown(how: str) -> dict[str, Any]:
    """How numbers are shown: ``amount``, ``change`` (in per cent), or a format of d3."""
    return {"formatType": how, "format": ""} if how in ("amount", "change") else {"format": how}


def axis(how: str, **more: Any) -> alt.Axis:
    """An axis of numbers, shown as `shown` says."""
    return alt.Axis(**shown(how), **more)


def tip(column: str, title: str, how: str = "") -> alt.Tooltip:
    """A value under the pointer; as text unless it is said how it is shown."""
    return (
        alt.Tooltip(f"{column}:Q", title=title, **shown(how))
        if how
        else alt.Tooltip(f"{column}:N", title=title)
    )


def safe(name: str) -> str:
    """A name that may stand in a text of Vega's own language: nothing in it ends a line, or the text."""
    return "".join(letter if letter.isprintable() else " " for letter in name).replace("\\", "\\\\")


def near(column: str) -> alt.Parameter:
    """What is nearest to the pointer, by a column."""
    return alt.selection_point(
        fields=[column], nearest=True, on="pointermove", clear="pointerout", empty=False
    )


def stands_out(always: str = "") -> Any:
    """Opacity of what carries the id of its key as ``of``: full, unless another one is lit.

    Parameters
    ----------
    always : str
        The id of one that never steps back.
    """
    test = "lit === null || lit === datum.of" + (f" || datum.of === '{always}'" if always else "")
    return alt.when(test).then(alt.value(1)).otherwise(alt.value(_FAINT))


def colors(keys: Iterable[Key]) -> alt.Color:
    """The colour of each key, by its id in ``of``."""
    keys = list(keys)
    scale = alt.Scale(domain=[each.id for each in keys], range=[each.color for each in keys])
    return alt.Color("of:N", scale=scale)


def dashes(keys: Iterable[Key]) -> alt.StrokeDash:
    """How the line of each key is broken, by its id in ``of``."""
    keys = list(keys)
    scale = alt.Scale(
        domain=[each.id for each in keys], range=[[6, 3] if each.broken else [1, 0] for each in keys]
    )
    return alt.StrokeDash("of:N", scale=scale)


def widths(keys: Iterable[Key], *, plain: str = "", widest: float = 4.0, finest: float = 1.6) -> alt.Size:
    """Widths of lines: the first is the widest, so that one which lies over another does not hide it.

    Parameters
    ----------
    keys : iterable of Key
    plain : str
        The id of one that does not count.
    widest, finest : float
    """
    ids = [each.id for each in keys if each.id != plain]
    finer = (widest - finest) / max(len(ids) - 1, 1)
    found = [round(widest - at * finer, 2) for at in range(len(ids))] if len(ids) > 1 else [2.0] * len(ids)
    domain = [plain, *ids] if plain else ids
    scale = alt.Scale(type="ordinal", domain=domain, range=[2.0, *found] if plain else found)
    return alt.Size("of:O", sort=domain, scale=scale)
