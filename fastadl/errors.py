"""Every error fastadl raises on purpose."""

from __future__ import annotations

__all__ = [
    "BoundsError",
    "ConservationError",
    "FastadlError",
    "ForkError",
    "InputError",
    "JournalError",
    "LateError",
    "MemoryLimitError",
    "PolicyError",
    "ShardError",
    "StageError",
    "UnwrittenError",
]


class FastadlError(Exception):
    """Base of all errors raised by this package."""


class InputError(FastadlError, ValueError):
    """A value that was handed in is refused; nothing has changed.

    Parameters
    ----------
    path : tuple
        Where the value stands, outermost first: ``("positions", 3, "qty")`` is column ``qty`` of row 3 of
        ``positions``. A plain word such as ``("prices",)`` names a whole argument.
    value : object
        What was found there.
    remedy : str
        What would be accepted.
    file : str, optional
        The file it came from.
    """

    def __init__(
        self, path: tuple[str | int, ...], value: object, remedy: str, file: str | None = None
    ) -> None:
        self.path = path
        self.value = value
        self.remedy = remedy
        self.file = file
        super().__init__(path, value, remedy, file)

    @property
    def pointer(self) -> str:
        """The place as a JSON pointer, e.g. ``/positions/3/qty``."""
        keys = (str(part).replace("~", "~0").replace("/", "~1") for part in self.path)
        return "".join(f"/{key}" for key in keys) or "/"

    def within(self, file: str) -> InputError:
        """The same error, naming the file it came from."""
        return type(self)(self.path, self.value, self.remedy, file)

    def _shown(self) -> str:
        try:
            text = self.value if isinstance(self.value, str) else repr(self.value)
        except ValueError:  # an integer with more digits than Python writes
            text = "a number of thousands of digits"
        text = " ".join(text.split())
        return text if 0 < len(text) <= 120 else repr(text[:117] + "..." if text else text)

    def __str__(self) -> str:
        if self.file is not None:
            return _one_line(f"{self.file}: {self.pointer}: {self._shown()}: {self.remedy}")
        table, *rest = self.path or ("input",)
        where = [str(table)]
        for part in rest:
            where.append(f"row {part}" if isinstance(part, int) else f"column {part}")
        return _one_line(f"{', '.join(where)}: {self._shown()}: {self.remedy}")


class UnwrittenError(InputError):
    """The result of a long run could not be written where it was wanted; nothing is lost.

    Attributes
    ----------
    result : object
        What the run would have returned.
    """

    result: object = None


class BoundsError(InputError):
    """A number passes the 2^53 or 2^62 bound of rule R1; the whole operation is refused."""


class MemoryLimitError(InputError, MemoryError):
    """What was asked for does not fit the memory that is free; nothing has been allocated."""


class JournalError(InputError):
    """A journal that cannot be read or written as asked; what was acknowledged is still there."""


class PolicyError(InputError):
    """A policy that does not exist or contradicts itself."""


class StageError(FastadlError, RuntimeError):
    """A stage of the waterfall was called when it has nothing to work on."""


class ForkError(FastadlError, RuntimeError):
    """A process forked from one that had used the package tries to use it; start processes by spawn."""


class ShardError(FastadlError, RuntimeError):
    """A shard of a book failed a call; nothing has changed, and the shard is made again when it is needed.

    Parameters
    ----------
    shard : int
    why : str
    """

    def __init__(self, shard: int, why: str) -> None:
        self.shard, self.why = shard, why
        super().__init__(shard, why)

    def __str__(self) -> str:
        return _one_line(f"shard {self.shard}: {self.why}")


class LateError(ShardError):
    """A shard did not answer within the deadline."""


class ConservationError(FastadlError, RuntimeError):
    """A law of conservation does not hold; this is a defect of the engine, never of the input."""


def _one_line(text: str) -> str:
    """The text with everything a terminal would not show as a character spelled out."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
