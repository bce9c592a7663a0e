"""How much a loss of power may cost."""

from __future__ import annotations

from dataclasses import dataclass

from fastadl.errors import InputError

__all__ = ["ALWAYS", "NEVER", "Fsync"]


@dataclass(frozen=True, slots=True)
class Fsync:
    """When entries are forced to the device; whichever comes first.

    Every entry is with the operating system before `Journal.append` returns, so that a killed process loses
    none; this says what a machine that loses its power may lose.

    Attributes
    ----------
    entries : int, optional
        As soon as so many are not yet there; 1 is each before it is acknowledged.
    seconds : float, optional
        Every so many, by a thread of its own, so that appending does not wait for the device.
    """

    entries: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.entries is not None and (type(self.entries) is not int or self.entries < 1):
            raise InputError(("fsync", "entries"), self.entries, "give 1 or more")
        number = type(self.seconds) in (int, float)
        if self.seconds is not None and not (number and 0 < self.seconds < float("inf")):
            raise InputError(("fsync", "seconds"), self.seconds, "give more than 0")


ALWAYS, NEVER = Fsync(entries=1), Fsync()
