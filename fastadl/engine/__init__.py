"""The waterfall: one module a stage, and the engine that runs them."""

from fastadl.engine.facade import Engine
from fastadl.engine.results import Checks, Estimates, Marked, Report
from fastadl.engine.standing import Standings

__all__ = ["Checks", "Engine", "Estimates", "Marked", "Report", "Standings"]
