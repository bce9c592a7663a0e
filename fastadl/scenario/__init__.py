"""Scenario files: a small book and its ticks, read, validated, run and printed."""

from __future__ import annotations

from fastadl.scenario.run import Run, Scenario
from fastadl.scenario.write import write_result

__all__ = ["Run", "Scenario", "write_result"]
