"""Sections of a stress test about its book as it began: how tight it was, and what is in it."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from fastadl.report.page import charts, skeleton
from fastadl.report.page.sheet import Sheet
from fastadl.report.page.skeleton import Key
from fastadl.report.stress_words import ATOMS, amount, many, neutral

__all__ = ["picture", "pressure"]


def pressure(sheet: Sheet) -> Iterator[str]:
    """What one common move of all prices would leave, by its size."""
    frame = sheet.result.pressure.frame
    if not frame["liquidatable"].sum():
        yield skeleton.paragraph("No common move between −50% and +50% would bring anybody below the margin.")
        return
    yield skeleton.paragraph(_first_beyond(frame), kind="soft")
    money = pl.col("^notional_.*$", "shortfall", "fund", "beyond_fund") / ATOMS
    curve = frame.select("shock", money).with_columns(paid=pl.col("shortfall") - pl.col("beyond_fund"))
    positions = [
        ("notional_liquidatable", Key("", "below the margin", "var(--stage-1)")),
        ("notional_bankrupt", Key("", "bankrupt", "var(--stage-2)")),
        ("notional_beyond", Key("", "to deleverage", "var(--hot)")),
    ]
    losses = [
        ("shortfall", Key("", "shortfall", "var(--hot)")),
        ("paid", Key("", "of it within the fund", "var(--stage-2)")),
        ("fund", Key("", "the fund can pay", "var(--ink)")),
    ]
    said = "and what the fund can pay of them."
    if curve.select(pl.col("fund").min() > 1.5 * pl.col("shortfall").max()).item():
        losses, said = losses[:2], "all within the fund."
    yield skeleton.several(
        skeleton.figure(
            charts.pressure(curve, positions, height=220),
            title="Positions, USD,",
            text="if every price moved at once by so much.",
            under=skeleton.key(key for _, key in positions),
        ),
        skeleton.figure(
            charts.pressure(curve, losses, height=220),
            title="Losses beyond own money, USD,",
            text=said,
            under=skeleton.key(key for _, key in losses),
        ),
    )


def _first_beyond(frame: pl.DataFrame) -> str:
    """How far prices may move until somebody is deleveraged."""
    beyond = frame.filter(pl.col("beyond_fund") > 0)["shock"].to_list()
    sides = {
        "a fall": [-move for move in beyond if move < 0],
        "a rise": [move for move in beyond if move > 0],
    }
    said = " or ".join(f"{words} of {100 * min(moves):.3g}%" for words, moves in sides.items() if moves)
    if not said:
        return "The fund could pay for every move shown, one at a time."
    return (
        f"If all prices jumped at once and nothing could be closed on the way, {said} would be "
        "beyond the fund, and somebody would be deleveraged."
    )


def picture(sheet: Sheet) -> Iterator[str]:
    """Who holds what: sizes, leverage, markets."""
    facts, book = sheet.result.facts[0], sheet.result.experiment.book
    origin = f"drawn from the shape {book.shape}" if book.folder is None else f"read from {book.folder}"
    seed = f", seed {facts.seed}" if len(sheet.result.facts) > 1 else ""
    yield skeleton.paragraph(
        f"{many(facts.positions, 'position')} of {many(facts.accounts, 'account')} in "
        f"{many(facts.instruments, 'market')}, "
        f"{origin}{seed}; open interest {amount(facts.open_interest)} USD; "
        f"{neutral(facts.neutral)}. The stronger the colour of a cell, the more "
        "notional lies in it.",
        kind="soft",
    )
    cells = sheet.result.density.with_columns(pl.col("notional") / ATOMS)
    sides = {side: cells.filter(side=side) for side in ("long", "short")}
    yield skeleton.several(
        *(
            skeleton.figure(
                charts.density(some, among=cells, height=260),
                title=f"{side.capitalize()} positions",
                text="by size, USD, and by leverage of their account.",
            )
            for side, some in sides.items()
            if len(some)
        )
    )
    named = pl.col("symbol").fill_null("all others")
    table = sheet.result.markets.with_columns(named, pl.col("open_interest") / ATOMS)
    yield skeleton.figure(charts.markets(table), title="Open interest by market,", text="share of all.")
