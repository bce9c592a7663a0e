"""A sweep as a page: how often it happens, what the fund would need, policies side by side, what matters."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from importlib.metadata import version

import fastadl
from fastadl.report import sweep_words as words
from fastadl.report.page import skeleton
from fastadl.report.page.sweep_fund import fund
from fastadl.report.page.sweep_matters import effects, importance
from fastadl.report.page.sweep_measured import measures, policies, spreads
from fastadl.report.page.sweep_sheet import SweepSheet
from fastadl.stress import Experiment
from fastadl.sweep import SweepResult

__all__ = ["html", "write"]

_SPREADS = (
    "the line holds nine tenths of the runs, the bar half of them, the stroke is in the middle. The dark dot "
    "is the mean, the dark line its 95 % band."
)
_EFFECTS = (
    "Means over all seeds and all values of the other parameters; shaded or upright: their 95 % bands. "
    "Policies and values share their seeds, so that they differ more surely than their bands suggest."
)
_MEASURES = (
    "Means over the runs, with their 95 % bands. Best and worst are marked where the difference to every "
    "other policy, taken run by run, is sure."
)


def write(result: SweepResult, file: str | os.PathLike[str]) -> None:
    """Write the page of a sweep, whole or not at all.

    Parameters
    ----------
    result : SweepResult
    file : path

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    skeleton.save(html(result), file)


def html(result: SweepResult) -> str:
    """The page of a sweep: one text that needs nothing else, drawn in light and dark.

    Parameters
    ----------
    result : SweepResult
    """
    sheet, title = SweepSheet(result), words.headline(result)
    over = "all points and seeds" if len(result.sweep.points) > 1 else "all seeds"
    does = skeleton.section("What each parameter does", *sheet.each(effects), lead=_EFFECTS)
    return skeleton.document(
        f"{title} – fastadl sweep",
        f"<header>{skeleton.paragraph(words.above(result), kind='over')}{skeleton.title(title)}",
        *_warnings(result),
        skeleton.paragraph(words.told_of(result), kind="soft") if words.told_of(result) else "",
        skeleton.cards(words.numbers(result)),
        "</header>",
        skeleton.key(sheet.keys.values(), fixed=True),
        skeleton.section("What each policy takes", *sheet.each(policies)),
        skeleton.section("The fund, and how often it is not enough", *sheet.each(fund)),
        skeleton.section(
            "How the runs are distributed", *sheet.each(spreads), lead=f"Over {over}: {_SPREADS}"
        ),
        skeleton.section("What matters most", *sheet.each(importance)),
        does if result.parameters else "",
        skeleton.section("Every measure, policies side by side", *sheet.each(measures), lead=_MEASURES),
        skeleton.section("Run it again", *_again(result)),
    )


def _warnings(result: SweepResult) -> Iterator[str]:
    missing = words.state(result)
    if missing:
        yield skeleton.warning(missing)
    if not result.ok:
        yield skeleton.warning("A conservation law does not hold in some run: do not trust these numbers.")


def _again(result: SweepResult) -> Iterator[str]:
    """The sweep as a file, and a run of it to look at."""
    said = (
        "The whole sweep. Save it as sweep.toml; equal files, those it names among them, give equal results "
        "on any machine."
    )
    yield skeleton.paragraph(said, kind="soft")
    yield skeleton.code("fastadl stress sweep.toml --html sweep.html --out sweep")
    yield skeleton.code(result.sweep.to_toml())
    worst, which = words.worst(result)
    said = f"To look at one run: {which} left most to others. Save it as seed.toml for a page of its own."
    yield skeleton.paragraph(said, kind="soft")
    yield skeleton.code("fastadl stress seed.toml --html seed.html")
    tables = {**result.sweep.experiments[worst["point"]].to_dict(), "seeds": [worst["seed"]]}
    yield skeleton.details("seed.toml", skeleton.code(Experiment.of(tables).to_toml()))
    packages = ", ".join(f"{name} {version(name)}" for name in ("numba", "numpy", "polars"))
    made = f"fastadl {fastadl.__version__}, Python {platform.python_version()}, {packages}"
    facts = {
        "Seeds": words.seeds(result),
        "Runs": f"{len(result.runs):,}",
        "Time": f"{result.seconds:,.1f} s",
    }
    yield skeleton.facts((*words.varied(result), *facts.items(), ("Versions", made)))
    yield skeleton.paragraph(
        "Bands of means are Student's, of quantiles and of the fund by the binomial law, of how often a "
        "thing happens Wilson's, of shares of the variance by leaving out seeds in turn. They tell how far "
        "chance may lead astray, not how far the models may: fastadl docs stress says what those rest on.",
        kind="soft",
    )
