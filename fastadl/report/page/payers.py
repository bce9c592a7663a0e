"""Sections of a stress test about those who paid: how much of their profit, and who they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from fastadl.report.columns import Column
from fastadl.report.page import charts, skeleton
from fastadl.report.page.sheet import Sheet
from fastadl.report.stress_words import ATOMS, CENT, amount, class_of, many, percent, short
from fastadl.report.terminal import NOTHING

__all__ = ["haircuts", "who"]

_NOBODY = "Nobody was deleveraged."
#: Of accounts without equity to speak of.
_ENDLESS = 1000
_BY = {"leverage": "By leverage", "size": "By size, USD", "profit": "By profit, USD"}
_SHARES = {"paid": "Part of its profit that a class lost", "share": "Its part of all that was taken"}


def haircuts(sheet: Sheet) -> Iterator[str]:
    """Those who might have been asked by the share of their profit that was taken, policy by policy."""
    if not sheet.taken:
        yield skeleton.paragraph(_NOBODY)
        return
    told = (
        "Accounts by the share of their profit that was taken, in steps of 5%; in red, at the end, those who "
    )
    yield skeleton.paragraph(f"{told}paid more than they had won.", kind="soft")
    for _, heading, columns in sheet.by_feedback():
        yield heading
        found = [(column, _haircuts(sheet, column)) for column in columns]
        top = max(charts.most(frame) for _, frame in found)
        yield skeleton.several(*(_haircut(sheet, column, frame, top) for column, frame in found))


def _haircuts(sheet: Sheet, column: Column) -> pl.DataFrame:
    """Means over the seeds, in units."""
    rows = sheet.rows(sheet.result.haircuts, column).group_by("from", "to", maintain_order=True)
    sums = rows.agg(pl.col("accounts", "seized").sum() / len(column.runs))
    return sums.with_columns(pl.col("seized") / ATOMS)


def _haircut(sheet: Sheet, column: Column, frame: pl.DataFrame, top: float) -> str:
    key, asked = sheet.key(column), float(frame["accounts"].sum())
    spared = float(frame.filter(pl.col("to") == 0)["accounts"].sum())
    if column.total["seized"] < CENT:
        nothing = f"None of {many(asked, 'account')} that might have been asked paid anything."
        return skeleton.note(key, nothing if column.total["deleveraged"] else _NOBODY)
    said = f"{percent(spared / asked)} of {many(asked, 'account')} that might have been asked paid nothing."
    chart = charts.haircuts(frame, key, top=1.03 * top, height=150)
    return skeleton.figure(chart, title=key.name, text=said, key=key)


def who(sheet: Sheet) -> Iterator[str]:
    """Classes of those who might have been asked, and the accounts that paid most."""
    if not sheet.taken:
        yield skeleton.paragraph(_NOBODY)
        return
    told = (
        "Accounts that might have been asked, by leverage and size when the run began, and by the most "
        "profit they had; classes are named by where they begin."
    )
    yield skeleton.paragraph(told, kind="soft")
    for _, heading, columns in sheet.by_feedback():
        yield heading
        some = [column for column in columns if column.total["seized"] >= CENT]
        if some:
            yield from _classes(sheet, some)
        else:
            yield skeleton.paragraph("Deleveraging cost nobody anything: every fill was at mark or better.")
        for column in columns:
            yield _largest(sheet, column)


def _classes(sheet: Sheet, columns: Sequence[Column]) -> Iterator[str]:
    keys = [sheet.key(column) for column in columns]
    tables = {by: pl.concat(_class(sheet, by, column) for column in columns) for by in _BY}
    for share, title in _SHARES.items():
        figures = (
            skeleton.figure(charts.classes(table, keys, column=share, height=160), title=_BY[by])
            for by, table in tables.items()
        )
        yield skeleton.figures(title, "", *figures)


def _class(sheet: Sheet, by: str, column: Column) -> pl.DataFrame:
    sums = column.classes(sheet.result, by)
    edges = sums.select("from", "to").rows()
    own = pl.when(pl.col("profit") >= 1).then(pl.col("seized") / pl.col("profit"))
    return sums.select(
        pl.lit(sheet.key(column).id).alias("of"),
        pl.Series("class", [class_of(by, low, high) for low, high in edges]),
        pl.Series("from", [_edge(by, low, high) for low, high in edges]),
        (pl.col("seized") / pl.col("seized").sum()).alias("share"),
        own.alias("paid"),
    )


def _edge(by: str, low: float, high: float | None) -> str:
    """Where a class begins, in a few letters: ``<1×``, ``1k``, ``25×+``."""
    edge = low or high or 0.0
    words = f"{edge:g}×" if by == "leverage" else short(edge).replace(".0", "")
    return f"{words}+" if high is None else words if low else f"<{words}"


def _largest(sheet: Sheet, column: Column) -> str:
    """The accounts from which most was taken, in the first seed."""
    seed = sheet.result.facts[0].seed
    frame = sheet.rows(sheet.result.largest, column).filter(pl.col("seed") == seed, pl.col("seized") >= CENT)
    if frame.is_empty():
        return ""
    money = {
        "seized": "taken",
        "closed": "closed on it",
        "profit": "profit",
        "equity": "equity at first",
        "gross": "positions at first",
    }
    rows = [
        [row["account"], *(amount(row[name]) for name in money), _leverage(row["leverage"])]
        for row in frame.iter_rows(named=True)
    ]
    which = "account" if len(rows) == 1 else f"{len(rows)} accounts"
    of = f" of seed {seed}" if len(sheet.result.facts) > 1 else ""
    return skeleton.details(
        f"{column.name}: the {which}{of} that paid most, USD",
        skeleton.table(["account", *money.values(), "leverage"], [("", rows)]),
        key=sheet.key(column),
    )


def _leverage(times: float) -> str:
    return f"{times:.1f}×" if times < _ENDLESS else NOTHING
