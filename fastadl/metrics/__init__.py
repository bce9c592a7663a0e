"""Measures of how a loss was shared: of vectors, of report frames, and probes of a policy's rule.

`measure` and its parts work on anybody's vectors of seizures, endowments and equities; `burdens`, `row` and
`compare` make one polars row a policy from reports; `probe` tries what splitting, scaling and slicing change.
"""

from fastadl.metrics.frames import burdens, compare, forgone, row
from fastadl.metrics.measures import (
    burden,
    counted_once,
    coverage,
    excess_burden,
    gini,
    hhi,
    largest_survivor,
    least_burden,
    max_burden,
    measure,
    overshoot,
    pmr,
    pmr_code,
    ptsr,
    ptsr_code,
    rank_inversions,
    rd_nse,
    regret_bound,
    residual,
    severity,
    top_share,
    touched,
    tracking,
    undershoot,
    variation,
)
from fastadl.metrics.probes import probe

__all__ = [
    "burden",
    "burdens",
    "compare",
    "counted_once",
    "coverage",
    "excess_burden",
    "forgone",
    "gini",
    "hhi",
    "largest_survivor",
    "least_burden",
    "max_burden",
    "measure",
    "overshoot",
    "pmr",
    "pmr_code",
    "probe",
    "ptsr",
    "ptsr_code",
    "rank_inversions",
    "rd_nse",
    "regret_bound",
    "residual",
    "row",
    "severity",
    "top_share",
    "touched",
    "tracking",
    "undershoot",
    "variation",
]
