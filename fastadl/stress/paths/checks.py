"""What the parameters of scenarios are held to."""

from __future__ import annotations

from fastadl.errors import InputError

__all__ = ["YEAR", "between", "timed"]

#: Seconds that volatilities a year are meant for.
YEAR = 365 * 86400


def between(name: str, value: float, least: float, most: float) -> None:
    """Refuse a parameter outside its bounds, or NaN."""
    if not least <= value <= most:
        raise InputError(("scenario", name), value, f"give a number from {least:.8g} to {most:.8g}")


def timed(steps: int, seconds: int) -> None:
    """Refuse steps that no simulation runs."""
    between("steps", steps, 2, 1_000_000)
    between("seconds", seconds, 1, 30 * 86400)
