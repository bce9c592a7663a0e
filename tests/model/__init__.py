"""An exact, slow and literal model of the rules: the oracle the engine is tested against.

Every number is a `fractions.Fraction` or an unlimited integer; float64 appears only where R6 demands it.
Nothing here imports the engine. Rule numbers (R1 to R95) are those of the semantics.
"""

from model.output import run

__all__ = ["run"]
