"""Sweeps: an experiment at thousands of seeds and parameters, here or on a cluster."""

from fastadl.sweep.executor import Executor, Lost, Trial, Work
from fastadl.sweep.result import SweepResult
from fastadl.sweep.sweep import Sweep

__all__ = ["Executor", "Lost", "Sweep", "SweepResult", "Trial", "Work"]
