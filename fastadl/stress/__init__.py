"""Stress tests: synthetic books along scenarios, the whole waterfall at every step, policies side by side."""

from fastadl.stress.compare import EXPLAINED
from fastadl.stress.drawn import Drawn
from fastadl.stress.experiment import FEEDBACK, Experiment, run
from fastadl.stress.lab import draw, trial
from fastadl.stress.order_book import Depth, OrderBook
from fastadl.stress.paths import SCENARIOS, Path, Scenario
from fastadl.stress.pressure import Pressure, pressure
from fastadl.stress.result import StressResult

__all__ = [
    "EXPLAINED",
    "FEEDBACK",
    "SCENARIOS",
    "Depth",
    "Drawn",
    "Experiment",
    "OrderBook",
    "Path",
    "Pressure",
    "Scenario",
    "StressResult",
    "draw",
    "pressure",
    "run",
    "trial",
]
