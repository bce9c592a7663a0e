"""A market's health at every tick: metrics, rules over them, and alerts (rules R118 to R121)."""

from fastadl.monitor.alerts import Alert
from fastadl.monitor.metrics import METRICS, Metric
from fastadl.monitor.monitor import Monitor, log
from fastadl.monitor.rules import DEFAULT_RULES, Rule, read_rules

__all__ = ["DEFAULT_RULES", "METRICS", "Alert", "Metric", "Monitor", "Rule", "log", "read_rules"]
