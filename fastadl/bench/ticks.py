"""Whole ticks of every named load: from prices to the new book, columns of the report included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastadl import Engine, Report
from fastadl.bench import loads as named
from fastadl.bench.loads import Load, Loads
from fastadl.bench.registry import Group, Work

__all__ = ["CROWD", "TICKS"]

TICKS = Group(
    "ticks",
    "whole ticks",
    "What a tick costs in quiet and in the worst of times, all stages, with an empty fund and no order book.",
    "bankrupt account",
    lambda loads: loads,
)
_FRAMES = "frames of the report, built when read; engines are copies marked before"


def _tick(load: Load, units: int, check: Callable[[Any], None]) -> Work:
    """A tick of this load; `check` is given its summary."""
    return Work(
        Engine.tick,
        units,
        setup=load.starts(),
        check=lambda report: check(_summary(report)),
        facts=lambda report: {
            "liquidated": len(report.liquidations),
            "bankrupt": _summary(report)["bankrupt"],
            "fills": _summary(report)["n_adl_fills"],
        },
    )


def _summary(report: Report) -> dict[str, Any]:
    return report.summary.row(0, named=True)


def _fallen(load: Load) -> Work:
    """A tick in which many fall, by its number of bankrupt accounts."""
    first = _summary(Engine.tick(*load.starts()()))

    def check(summary: dict[str, Any]) -> None:
        assert summary["bankrupt"] == first["bankrupt"] > 0
        assert summary["n_adl_fills"] == first["n_adl_fills"] >= first["bankrupt"]

    return _tick(load, first["bankrupt"], check)


@TICKS.case("fastadl, calm", unit="position", left_out=_FRAMES, rounds=10)
def _calm(loads: Loads) -> Work:
    """Prices move by a hundredth of a percent; hardly anybody falls."""

    def check(summary: dict[str, Any]) -> None:
        assert summary["bankrupt"] < 0.001 * loads.positions + 2

    return _tick(loads.calm, len(loads.calm.book), check)


@TICKS.case("fastadl, crash", left_out=_FRAMES, rounds=3)
def _crash(loads: Loads) -> Work:
    """Every price of the calm book falls by about a tenth at once."""
    return _fallen(named.crash(loads.calm))


@TICKS.case("fastadl, whale", unit="fill", left_out=_FRAMES)
def _whale(loads: Loads) -> Work:
    """One bankrupt long against one short in a hundred positions of the book, in one instrument."""

    def check(summary: dict[str, Any]) -> None:
        assert summary["n_adl_fills"] == loads.fills

    return _tick(named.whale(loads.calm, loads.fills), loads.fills, check)


@TICKS.case("fastadl, many small", left_out=_FRAMES, rounds=3)
def _many_small(loads: Loads) -> Work:
    """Accounts of one small position each at high leverage; prices fall by about a twentieth."""
    return _fallen(named.many_small(loads.positions))


@TICKS.case("fastadl, one instrument", left_out=_FRAMES, rounds=3)
def _one_instrument(loads: Loads) -> Work:
    """All positions in one market, one an account; it falls by about a tenth."""
    return _fallen(named.one_instrument(loads.positions))


@TICKS.case("fastadl, hedge", left_out=_FRAMES, rounds=3)
def _hedge(loads: Loads) -> Work:
    """Accounts long and short of one instrument, netted when bankrupt; prices fall by about a tenth."""
    return _fallen(named.hedge(loads.positions))


@TICKS.case("fastadl, frames of the whale's report", unit="fill", left_out="the tick")
def _frames(loads: Loads) -> Work:
    """Report.frames: every list of the report as a frame, read for the first time."""
    start = named.whale(loads.calm, loads.fills).starts()

    def setup() -> tuple[Report]:
        return (Engine.tick(*start()),)

    def check(frames: Any) -> None:
        assert len(frames["notices"]) == loads.fills

    return Work(Report.frames, loads.fills, setup=setup, check=check)


CROWD = Group(
    "crowd",
    "bankrupt accounts",
    "Exact bankruptcy prices and the order of work for bankrupt cross accounts of three positions, one for a "
    "hundred positions of the book, over every instrument.",
    "account",
    lambda loads: loads,
)


def _crowd(loads: Loads, *, ties: bool) -> Work:
    load = named.crowd(loads.calm, loads.fills, ties=ties)

    def check(summary: dict[str, Any]) -> None:
        assert loads.fills <= summary["bankrupt"] < 1.2 * loads.fills + 20
        assert summary["n_adl_fills"] >= 3 * loads.fills
        assert not summary["uncovered"]

    return _tick(load, loads.fills, check)


@CROWD.case("fastadl, prices of 17 digits", left_out=_FRAMES, rounds=3)
def _odd(loads: Loads) -> Work:
    """Marks whose fractions share no denominator; no two accounts are alike."""
    return _crowd(loads, ties=False)


@CROWD.case("fastadl, exact ties", left_out=_FRAMES, rounds=3)
def _ties(loads: Loads) -> Work:
    """Round marks and a hundred kinds of accounts alike to the last atom."""
    return _crowd(loads, ties=True)
