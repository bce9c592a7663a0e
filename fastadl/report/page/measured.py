"""All metrics of a stress test in plain words, policies side by side, the best and the worst marked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fastadl.report.columns import Column
from fastadl.report.measures import TOTALS, Measure
from fastadl.report.page.skeleton import Cell, Key, table

__all__ = ["metrics"]

#: Values closer than this share of the largest count as equal.
_APART = 0.01


def metrics(columns: Sequence[Column], keys: Sequence[Key]) -> str:
    """The table.

    Parameters
    ----------
    columns : sequence of Column
    keys : sequence of Key
        Of each column.
    """
    groups = ((title, _rows(lines, columns, keys)) for title, lines in TOTALS.items())
    return table(["", *keys], groups)


def _rows(lines: Sequence[Measure], columns: Sequence[Column], keys: Sequence[Key]) -> Iterator[list[object]]:
    for line in lines:
        values = [column.total[line.column] for column in columns]
        texts = [line.said(value) for value in values]
        marks = _marks(line.better, columns, values, texts)
        cells = (Cell(text, mark, key.id) for text, mark, key in zip(texts, marks, keys, strict=True))
        yield [(line.words, line.told), *cells]


def _marks(
    better: str, columns: Sequence[Column], values: Sequence[float | None], texts: Sequence[str]
) -> list[str]:
    """``best`` and ``worst`` among all policies under the same kind of feedback, if they are apart."""
    marks = [""] * len(columns)
    for feedback in {column.feedback for column in columns} if better else ():
        alike = [at for at, column in enumerate(columns) if column.feedback == feedback]
        known = {at: value for at in alike if (value := values[at]) is not None}
        if len(known) < max(2, len(alike)) or not all(columns[at].finished for at in alike):
            continue
        low, high = min(known.values()), max(known.values())
        if low == high or high - low <= _APART * max(abs(low), abs(high)):
            continue
        ends = {low: "best", high: "worst"} if better == "less" else {low: "worst", high: "best"}
        said = {texts[at]: ends[value] for at, value in known.items() if value in ends}
        if len(said) == 2:
            for at in alike:
                marks[at] = said.get(texts[at], "")
    return marks
