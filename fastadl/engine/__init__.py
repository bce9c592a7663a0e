"""The waterfall: one module a stage, and the engine that runs them."""

from fastadl.engine.facade import Checks, Engine, Marked
from fastadl.engine.results import Report

__all__ = ["Checks", "Engine", "Marked", "Report"]
