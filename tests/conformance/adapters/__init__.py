"""From cases of the public record to the library: an adapter for each model of a peer and kind of venue."""

from adapters import (
    bankruptcy,
    dydx_v1,
    dydx_v4_dollars,
    dydx_v4_quantums,
    flox,
    mango,
    others,
    percolator,
    scores,
    settlement,
    socialised,
    triggers,
)

__all__ = [
    "bankruptcy",
    "dydx_v1",
    "dydx_v4_dollars",
    "dydx_v4_quantums",
    "flox",
    "mango",
    "others",
    "percolator",
    "scores",
    "settlement",
    "socialised",
    "triggers",
]
