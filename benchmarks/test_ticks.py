"""Whole ticks in which many accounts fail."""

from __future__ import annotations

import pytest

from benchmarks import loads
from benchmarks.conftest import Measure
from benchmarks.loads import Load
from fastadl import Engine, Report
from fastadl.schema import Float64Array


@pytest.fixture(scope="module")
def whale(calm: Load, fills: int) -> Load:
    return loads.whale(calm, fills)


def _tick(engine: Engine, prices: Float64Array) -> Report:
    return engine.tick(prices)


@pytest.mark.benchmark(group="a whale of one instrument")
def test_whale(measure: Measure, whale: Load, fills: int) -> None:
    """One bankrupt long is closed against one short in a hundred positions of the book.

    Intent: ranking and settling a single deep ADL in a large book. Unit: one fill. A tick from prices to the
    new book, report columns included. Left out: frames of the report, built when read (see below).
    """
    report = measure(_tick, setup=whale.starts(), who="fastadl", unit=(fills, "fill"))
    assert len(report.adl_fills) == fills
    assert len(report.liquidations) < 0.001 * len(whale.book.accounts) + 2


@pytest.mark.benchmark(group="a whale of one instrument")
def test_whale_frames(measure: Measure, whale: Load, fills: int) -> None:
    """Reading every frame of that report for the first time. Unit: one fill. Left out: the tick."""
    starts = whale.starts()

    def setup() -> tuple[tuple[Report], dict[str, object]]:
        (engine, prices), _ = starts()
        return (engine.tick(prices),), {}

    frames = measure(Report.frames, setup=setup, who="fastadl, frames", unit=(fills, "fill"))
    assert len(frames["notices"]) == fills


@pytest.mark.benchmark(group="bankrupt accounts")
@pytest.mark.parametrize("ties", [False, True], ids=["floats", "ties"])
def test_crowd(measure: Measure, calm: Load, fills: int, ties: bool) -> None:
    """Bankrupt cross accounts of three positions, one for a hundred positions of the book.

    Intent: exact bankruptcy prices and the order of work for many accounts at once, over every instrument.
    ``floats``: marks of seventeen digits, whose fractions share no denominator. ``ties``: round marks and a
    hundred kinds of accounts alike to the last atom. Unit: one bankrupt account. Left out: frames.
    """
    load = loads.crowd(calm, fills, ties=ties)
    report = measure(
        _tick,
        setup=load.starts(),
        who="fastadl, exact ties" if ties else "fastadl, prices of 17 digits",
        unit=(fills, "account"),
        rounds=3,
    )
    summary = report.summary.row(0, named=True)
    assert fills <= summary["bankrupt"] < 1.2 * fills + 20
    assert summary["n_adl_fills"] >= 3 * fills
    assert not summary["uncovered"]
