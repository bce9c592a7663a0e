"""Crashes of the past: straight lines between what is known of them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import log

import numpy as np

from fastadl.contracts import Instruments
from fastadl.schema import Float64Array, Int64Array
from fastadl.stress.paths.checks import YEAR, between
from fastadl.stress.paths.events import Event, Facts
from fastadl.stress.paths.path import Path, eight_digits
from fastadl.stress.paths.scenario import Scenario, following

__all__ = ["Historical"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Historical:
    """A crash of the past. Between two facts, prices move along a straight line in logarithms.

    Parameters
    ----------
    beta : float
        Markets without facts follow the median return of the event's leading assets by this power.
    noise : float
        Volatility a year of what is added between two facts, each asset on its own: a Brownian bridge, which
        leaves the facts as they are.
    seconds : int
        Between two steps. Steps longer than the event's own may pass over a low.
    event : Event
        Not a parameter of the scenario.
    """

    beta: float
    noise: float = 0.0
    seconds: int
    event: Event

    @classmethod
    def of(cls, event: Event) -> Historical:
        """An event on its own grid."""
        return cls(beta=event.beta, seconds=event.seconds, event=event)

    def __post_init__(self) -> None:
        between("beta", self.beta, -10, 10)
        between("noise", self.noise, 0, 100)
        between("seconds", self.seconds, 1, 86400)

    def scenario(self, name: str) -> Scenario:
        """The scenario of this name."""
        return Scenario(
            name=name,
            title=self.event.title,
            source=self.event.source,
            parameters={"beta": self.beta, "noise": self.noise, "seconds": self.seconds},
            anchors={asset: Fraction(repr(facts[min(facts)])) for asset, facts in self.event.facts.items()},
            draw=self._draw,
        )

    def own(self, seed: int) -> Path:
        """The path of the event's own assets."""
        facts = self.event.facts
        moments = list(next(iter(facts.values())))
        times = np.arange(min(moments), max(moments) + 1, self.seconds)
        steps = np.random.default_rng([seed, 1]).standard_normal((len(facts), len(times)))
        steps *= self.noise * (self.seconds / YEAR) ** 0.5
        marks = [_between(times, known, walk) for known, walk in zip(facts.values(), steps, strict=True)]
        return Path(times, tuple(facts), np.stack(marks, axis=1), self.event.source)

    def _draw(self, instruments: Instruments, seed: int) -> Path:
        return following(self.own(seed), self.event.leaders, self.beta, instruments)


def _between(times: Int64Array, facts: Facts, steps: Float64Array) -> Float64Array:
    """Prices on straight lines in logarithms, plus what random steps add between facts."""
    moments = sorted(facts)
    line = np.interp(times, moments, [log(facts[moment]) for moment in moments])
    walk = np.cumsum(steps)
    bridge = walk - np.interp(times, moments, np.interp(moments, times, walk))
    return eight_digits(np.exp(line + bridge))
