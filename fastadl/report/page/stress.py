"""A stress test as a page: what happened, who paid, what every number means, and how to run it again."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from importlib.metadata import version

import fastadl
from fastadl.report.page import book, course, payers, skeleton
from fastadl.report.page.headline import above, below, headline, numbers
from fastadl.report.page.measured import metrics
from fastadl.report.page.sheet import Sheet
from fastadl.report.stress_words import many
from fastadl.stress import StressResult

__all__ = ["html", "write"]


def write(result: StressResult, file: str | os.PathLike[str]) -> None:
    """Write the page of a stress test, whole or not at all.

    Parameters
    ----------
    result : StressResult
    file : path
        Replaced if it is there.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    skeleton.save(html(result), file)


def html(result: StressResult) -> str:
    """The page of a stress test: one text that needs nothing else, in light and dark.

    Parameters
    ----------
    result : StressResult
        Finished or interrupted.

    Returns
    -------
    str
        Of a megabyte or two whatever the size of the book: scripts that draw, and some 300 steps of a line.
    """
    sheet = Sheet(result)
    title = headline(result, sheet.columns)
    return skeleton.document(
        f"{title} – fastadl stress",
        skeleton.paragraph(above(result), kind="over"),
        skeleton.title(title),
        skeleton.paragraph(below(result), kind="soft"),
        *_reservations(result),
        skeleton.cards(numbers(result, sheet.columns)),
        skeleton.key(sheet.keys.values(), fixed=True),
        skeleton.section("The crash, step by step", *course.crash(sheet)),
        skeleton.section("What each policy did", *course.did(sheet)),
        skeleton.section("The insurance fund, and what traders lost", *course.funds(sheet)),
        skeleton.section("Pressure before it began", *book.pressure(sheet)),
        skeleton.section("How much of their profit was taken", *payers.haircuts(sheet)),
        skeleton.section("Who was deleveraged", *payers.who(sheet)),
        skeleton.section("Every metric in plain words", *_metrics(sheet)),
        skeleton.section("The book", *book.picture(sheet)),
        skeleton.section("Run it again", *_again(result)),
    )


def _reservations(result: StressResult) -> Iterator[str]:
    """What to know before any number is read."""
    if not result.finished:
        yield skeleton.warning(_interrupted(result))
    if not result.ok:
        broken = ", ".join(law.replace("_", " ") for law, held in result.checks.items() if not held)
        yield skeleton.warning(f"A conservation law does not hold ({broken}): do not trust these numbers.")
    if len(result.facts) > 1:
        means = f"Numbers are means over {len(result.facts)} seeds"
        yield skeleton.paragraph(f"{means}; charts over time show seed {result.facts[0].seed}.", kind="soft")


def _interrupted(result: StressResult) -> str:
    """What an interrupt left undone."""
    whole, runs = sum(outcome.finished for outcome in result.outcomes), result.experiment.runs
    if whole == runs:
        return "Interrupted: all runs are whole; what the fund would have needed is not known."
    ran = {outcome.which["policy"] for outcome in result.outcomes}
    missing = ", ".join(name for name in result.experiment.policies if name not in ran)
    said = f"Interrupted: {whole} of {many(runs, 'run')} {'is' if whole == 1 else 'are'} whole."
    return f"{said} Not run: {missing}." if missing else said


def _metrics(sheet: Sheet) -> Iterator[str]:
    if len(sheet.columns) > 1:
        yield skeleton.paragraph(
            "The best and the worst of a line are marked where they are more than 1% apart and one end is "
            "plainly better for those concerned.",
            kind="soft",
        )
    yield metrics(sheet.columns, [sheet.key(each)._replace(name=each.name) for each in sheet.columns])


def _again(result: StressResult) -> Iterator[str]:
    yield skeleton.paragraph(
        "The whole experiment, seeds included. Save it as experiment.toml; equal files, those it names "
        "among them, give equal results on any machine.",
        kind="soft",
    )
    yield skeleton.code("fastadl stress experiment.toml --html report.html")
    yield skeleton.code(result.experiment.to_toml())
    held = (f"{law.replace('_', ' ')} {'ok' if held else 'BROKEN'}" for law, held in result.checks.items())
    draws = sum(facts.seconds_book for facts in result.facts)
    packages = ", ".join(f"{name} {version(name)}" for name in ("numba", "numpy", "polars"))
    yield skeleton.facts(
        (
            ("Source of the path", result.facts[0].source),
            ("Seeds", ", ".join(str(facts.seed) for facts in result.facts)),
            ("Conservation", ", ".join(held)),
            ("Time", f"{result.seconds:,.1f} s, {draws:,.1f} s of it to draw the book"),
            ("Versions", f"fastadl {fastadl.__version__}, Python {platform.python_version()}, {packages}"),
        )
    )
    yield skeleton.paragraph(
        "Everything the engine did is exact; the book, the order books and the path are models. What they "
        "rest on, and how far to believe them, says fastadl docs stress.",
        kind="soft",
    )
