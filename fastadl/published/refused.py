"""What a venue's own code would not have done."""

from __future__ import annotations

from fastadl.errors import FastadlError

__all__ = ["RefusedError"]


class RefusedError(FastadlError):
    """The venue refuses this operation; nothing has changed.

    Parameters
    ----------
    reason : str
        One word of the venue's, in lower case with underscores.
    told : str
        The numbers behind it.
    """

    def __init__(self, reason: str, told: str) -> None:
        self.reason = reason
        super().__init__(f"{reason}: {told}")
