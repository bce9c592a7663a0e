"""Sections of a stress test that tell what happened: the crash, what policies did, the fund."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from fastadl.report.columns import Column
from fastadl.report.page import charts, skeleton
from fastadl.report.page.charts import PATH
from fastadl.report.page.sheet import Sheet
from fastadl.report.page.skeleton import Key
from fastadl.report.stress_words import ATOMS, CENT, MOVERS, closing

__all__ = ["crash", "did", "funds"]

#: Bars lower than this share of the highest are next to nothing.
_LITTLE = 0.005
#: Lines nearer to each other than this share of what one spans are one to the eye.
_APART = 0.01


def crash(sheet: Sheet) -> Iterator[str]:
    """Prices, and what became of positions below their margin, step by step."""
    for kind, heading, columns in sheet.by_feedback():
        yield heading
        firsts = [(sheet.key(column), sheet.course(column)) for column in columns]
        if len(firsts[0][1]) < 2:
            yield skeleton.paragraph("Stopped after the first step: there is no course to show.")
            continue
        yield _prices(sheet, kind, firsts)
        yield _waterfalls(sheet, firsts)


def _prices(sheet: Sheet, kind: str, firsts: Sequence[tuple[Key, pl.DataFrame]]) -> str:
    lines = [(PATH, firsts[0][1].select("time", y=pl.col("path") - 1))]
    said = "No orders move prices: this is the scenario alone."
    if kind != "off":
        lines += [(key, steps.select("time", y=pl.col("market") - 1)) for key, steps in firsts]
        said = f"Dashed: the scenario alone. In colour: moved by {MOVERS[kind]}, under each policy."
    return skeleton.figure(
        charts.over_time(lines, sheet.clock, how="change", height=230),
        title="All markets, by open interest.",
        text=said + _alike(lines[1:]),
    )


def _waterfalls(sheet: Sheet, firsts: Sequence[tuple[Key, pl.DataFrame]]) -> str:
    if not sheet.fell:
        return skeleton.paragraph("Nobody fell below the maintenance margin at any step.")
    values = {
        "book": pl.col("closed_value") / ATOMS,
        "fund": pl.col("takeover_value") / ATOMS,
        "others": (pl.col("adl_value") + pl.col("socialized")) / ATOMS,
    }
    falls = [(key, steps.select("time", **values)) for key, steps in firsts]
    highest = max(charts.highest(steps) for _, steps in falls)
    if not highest:
        return skeleton.paragraph("Nothing was closed, taken over or deleveraged.")
    stages = (
        Key("", "closed in the order book", "var(--stage-1)"),
        Key("", "taken over by the fund", "var(--stage-2)"),
        Key.all([key for key, _ in falls], "deleveraged, or charged in cash"),
    )
    told = "USD at each step. Steps before and after, at which next to nothing was closed, are left out."
    return skeleton.figures(
        "What became of positions below their margin",
        skeleton.paragraph(told, kind="soft") + skeleton.key(stages),
        *(
            skeleton.figure(
                charts.waterfall(steps, sheet.clock, key, top=1.03 * highest, height=150),
                title=key.name,
                key=key,
            )
            for key, steps in _active(falls, _LITTLE * highest)
        ),
    )


def _active(falls: list[tuple[Key, pl.DataFrame]], least: float) -> list[tuple[Key, pl.DataFrame]]:
    """The steps from the first to the last at which more was closed under any policy, and some around."""
    some = pl.concat(steps.filter(pl.sum_horizontal("book", "fund", "others") >= least) for _, steps in falls)
    first, last = some.select(pl.col("time").min().alias("first"), pl.col("time").max().alias("last")).row(0)
    step = int(np.median(np.diff(falls[0][1]["time"].to_numpy())))
    around = max((last - first) // 10, step)
    kept = pl.col("time").is_between(first - around, last + around)
    return [(key, steps.filter(kept)) for key, steps in falls]


def did(sheet: Sheet) -> Iterator[str]:
    """Who bore the loss, and each policy in words."""
    policies = sheet.result.experiment.policies
    for _, heading, columns in sheet.by_feedback():
        yield heading
        if any(column.total["shortfall"] for column in columns):
            yield _borne(sheet, columns)
        beside = [column.total for column in columns] if all(c.finished for c in columns) else []
        said = [(sheet.key(c), closing(policies[c.policy], c.total, beside)) for c in columns]
        yield skeleton.points((key, f"{text[0].upper()}{text[1:]}") for key, text in said)


def _borne(sheet: Sheet, columns: Sequence[Column]) -> str:
    names = ("fund_paid", "seized", "uncovered", "shortfall")
    frame = pl.DataFrame([{name: column.total[name] / ATOMS for name in names} for column in columns])
    return skeleton.figure(
        charts.borne(frame, [sheet.key(column) for column in columns]),
        title="Who bore the loss.",
        text="USD that the fund paid (grey), that was taken from traders (in colour) and that is still owed "
        "(red). The line is what bankrupt accounts lost beyond their own money: a bar beyond it took more "
        "than was lost.",
    )


def funds(sheet: Sheet) -> Iterator[str]:
    """The fund over time, and what was taken from traders."""
    for _, heading, columns in sheet.by_feedback():
        yield heading
        firsts = [(sheet.key(column), sheet.course(column)) for column in columns]
        if len(firsts[0][1]) < 2:
            yield skeleton.paragraph("Stopped after the first step.")
            continue
        equity_after, seized = pl.col("fund_equity_after"), pl.col("seized").cum_sum()
        fund, taken = (
            [(key, steps.select("time", y=value / ATOMS)) for key, steps in firsts]
            for value in (equity_after, seized)
        )
        equity = skeleton.figure(
            charts.over_time(fund, sheet.clock, how="amount", height=220),
            title="The insurance fund,",
            text="USD, with the positions it has taken over, at mark." + _alike(fund),
        )
        if not any(column.total["seized"] >= CENT for column in columns):
            yield equity + skeleton.paragraph("Nothing was taken from other traders.")
            continue
        lost = skeleton.figure(
            charts.over_time(taken, sheet.clock, how="amount", height=220),
            title="Taken from traders since the start,",
            text="USD: fills worse than mark, and charges.",
        )
        yield skeleton.several(equity, lost)


def _alike(lines: Sequence[tuple[Key, pl.DataFrame]]) -> str:
    """That lines lie over each other, where they do."""
    values = [line["y"].to_numpy() for _, line in lines]
    if len(values) < 2 or len({len(each) for each in values}) > 1:
        return ""
    apart, span = np.ptp(np.stack(values), axis=0).max(), np.ptp(values[0])
    return " The policies' lines lie over each other." if apart <= _APART * span else ""
