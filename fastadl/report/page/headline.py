"""What a stress test found, in a sentence and a few numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import log
from statistics import fmean

import numpy as np

from fastadl.report.columns import Column
from fastadl.report.stress_words import (
    CENT,
    duration,
    many,
    money,
    percent,
    short,
    signed,
    spared,
    with_seeds,
)
from fastadl.stress import StressResult

__all__ = ["above", "below", "headline", "numbers"]
#: A move of all markets that is none.
_FLAT = 5e-5


def above(result: StressResult) -> str:
    """What was run, in a line."""
    facts, scenario = result.facts[0], result.experiment.scenario
    policies = result.experiment.policies
    parts = (scenario.name, many(facts.positions, "position"), many(len(policies), "policy"))
    return " · ".join(("Stress test", *parts))


def headline(result: StressResult, columns: Sequence[Column]) -> str:
    """What happened to the market, and what that did to traders."""
    said = f"{_moved(result, _furthest(columns))}{_met(columns)}"
    stopped = _stopped(result)
    return f"{stopped}: {said[0].lower()}{said[1:]}" if stopped else said


def _stopped(result: StressResult) -> str:
    """How far it came, unless every run is whole."""
    last, steps, runs = result.outcomes[-1], result.facts[-1].steps, result.experiment.runs
    if not last.finished:
        of = f" of run {len(result.outcomes)} of {runs}" if len(result.outcomes) > 1 else ""
        return f"Stopped after {len(last.steps)} of {many(steps, 'step')}{of}"
    return f"Stopped after {len(result.outcomes)} of {runs} runs" if len(result.outcomes) < runs else ""


def _moved(result: StressResult, far: Column) -> str:
    moved = far.total["furthest"] - 1
    if abs(moved) < _FLAT:
        return "Markets hardly move"
    return f"Markets {'fall' if moved < 0 else 'rise'} by {percent(abs(moved))}{_within(result, far)}"


def _met(columns: Sequence[Column]) -> str:
    """What that did to traders, from the policy that did the least to the one that did the most."""
    if not any(column.total["liquidated"] for column in columns):
        return ", and nobody falls below the margin"
    who = [column.total["deleveraged"] for column in columns]
    if not any(who):
        return ": the insurance fund holds, and nobody is deleveraged"
    taken = [column.total["seized"] for column in columns]
    much = _between(taken, money) if min(taken) >= CENT else f"up to {money(max(taken))}"
    traders = _between(who, counted)
    are, lose = ("trader is", "loses") if traders == "1" else ("traders are", "lose")
    lost = f" and {lose} {much} USD by it" if max(taken) >= CENT else ""
    return f": {traders} {are} deleveraged{lost}"


def _furthest(columns: Sequence[Column]) -> Column:
    return max(columns, key=lambda column: abs(log(column.total["furthest"])))


def _within(result: StressResult, far: Column) -> str:
    """After how long, where there is one path."""
    if len(far.runs) > 1:
        return ""
    steps = result.outcomes[far.runs[0]].steps
    at = int(np.abs(np.log(steps["market"].to_numpy())).argmax())
    return f" in {duration(int(steps['time'][at]) - int(steps['time'][0]))}"


def _between(values: Sequence[float], shown: Callable[[float], str]) -> str:
    """From the least to the most.

    Examples
    --------
    >>> _between([663, 5_500], counted), _between([89_706, 116_782], counted), _between([7, 7], counted)
    ('663–5.5k', '89.7k–117k', '7')
    >>> _between([-9, 5], counted)
    '-9 to 5'
    """
    low, high = shown(min(values)), shown(max(values))
    between = " to " if min(values) < 0 else "–"
    return low if low == high else f"{low}{between}{high}"


def below(result: StressResult) -> str:
    """What the headline is about, in two sentences."""
    facts, scenario = result.facts[0], result.experiment.scenario
    title = (scenario.title or facts.source).rstrip(".")
    book = f"{many(facts.accounts, 'account')} in {many(facts.instruments, 'market')}"
    about = f"{result.experiment.book.origin}, {money(facts.open_interest)} USD of open interest"
    several = len(result.experiment.policies) > 1
    same = "the same path, the same order books and the same fund."
    if len(result.facts) > 1:
        which = "every" if several else "the"
        book = f"the same book (of seed {facts.seed}: {book}; {about})"
        return f"{title}. In each seed {which} policy meets {book}, {same}"
    if several:
        return f"{title}. Every policy meets the same {book} ({about}), {same}"
    return f"{title}. The policy meets {book} ({about})."


def numbers(result: StressResult, columns: Sequence[Column]) -> Iterator[tuple[str, str]]:
    """The cards: of all policies, from the least to the most."""

    def of(name: str) -> list[float]:
        return [column.total[name] for column in columns]

    alone = signed(columns[0].total["furthest_path"] - 1)
    furthest = signed(_furthest(columns).total["furthest"] - 1)
    yield furthest, f"all markets at their furthest; the scenario alone {alone}"
    most = percent(max(of("liquidated")) / fmean(facts.accounts for facts in result.facts))
    yield _between(of("liquidated"), counted), f"accounts below their margin, {most} of all"
    yield _between(of("bankrupt"), counted), "of them bankrupt"
    yield _between(of("shortfall"), money), "USD lost beyond their own money"
    lowest = _between(of("fund_lowest"), money)
    yield (
        money(fmean(facts.fund for facts in result.facts)),
        f"USD in the fund at first; {lowest} at its lowest, with the positions it took over",
    )
    if any(result.needed.values()):
        needed = spared(result)
        seeds = with_seeds(max(needed["seeds"])) if len(result.facts) > 1 else ""
        yield (
            _between(needed["fund_needed"].to_list(), money),
            f"USD in the fund would have spared everybody {seeds}".rstrip()
            + ": to take over, and hold, what order books could not close",
        )


def counted(count: float) -> str:
    """A count in three digits.

    Examples
    --------
    >>> counted(116_782), counted(120)
    ('117k', '120')
    """
    return short(count) if count >= 1000 else f"{count:,.0f}"
