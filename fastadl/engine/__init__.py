"""The waterfall: one module a stage, and the engine that runs them."""

from fastadl.engine.exposure import Exposures
from fastadl.engine.facade import Engine
from fastadl.engine.indicator.demand import Demand
from fastadl.engine.indicator.distance import Distances
from fastadl.engine.indicator.explanation import Explanation
from fastadl.engine.indicator.standing import Standings
from fastadl.engine.results import Checks, Estimates, Marked, Report

__all__ = [
    "Checks",
    "Demand",
    "Distances",
    "Engine",
    "Estimates",
    "Explanation",
    "Exposures",
    "Marked",
    "Report",
    "Standings",
]
