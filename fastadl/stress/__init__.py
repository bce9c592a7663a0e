"""Stress tests: a synthetic book driven through a price path, the whole waterfall at every step."""

from fastadl.stress.run import Stress, StressResult, run

__all__ = ["Stress", "StressResult", "run"]
