"""How much memory there is, and a refusal before more than that is asked for."""

from __future__ import annotations

from pathlib import Path

from fastadl.errors import MemoryLimitError

__all__ = ["available", "refuse_beyond"]

_SYSTEM = Path("/proc/meminfo")
_GROUP = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")


def refuse_beyond(needed: int, path: tuple[str | int, ...], what: str) -> None:
    """Refuse what needs more bytes than are free.

    Parameters
    ----------
    needed : int
        Bytes that are surely going to be allocated.
    path : tuple
        Where the error says the request stands.
    what : str
        What was asked for.

    Raises
    ------
    MemoryLimitError
        Before anything is allocated. Never where it is not known how much is free.
    """
    free = available()
    if free is not None and needed > free:
        remedy = (
            f"it takes {_gib(needed)} of memory and {_gib(free)} are free: use fewer, or a larger machine"
        )
        raise MemoryLimitError(path, what, remedy)


def available() -> int | None:
    """Bytes to be had without swapping, in the machine or its control group; None if unknown."""
    found = [free for free in (_of_machine(), *_of_groups()) if free is not None]
    return min(found, default=None)


def _gib(size: int) -> str:
    return f"{size / 2**30:,.1f} GiB"


def _of_machine() -> int | None:
    return _field(_SYSTEM, "MemAvailable:", 1024)


def _of_groups() -> list[int | None]:
    """What each control group around this process leaves (Linux, cgroup 2 and 1)."""
    try:
        lines = _GROUP.read_text("ascii").splitlines()
    except (OSError, ValueError):
        return []
    found = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        if controllers == "":
            root, limit, used, cached = _GROUPS, "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            root, limit, used = _GROUPS / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            cached = "total_inactive_file"
        else:
            continue
        folder = root / name.lstrip("/")
        while folder.is_relative_to(root):
            found.append(_left(folder / limit, folder / used, folder / "memory.stat", cached))
            if folder == root:
                break
            folder = folder.parent
    return found


def _left(limit: Path, used: Path, stat: Path, cached: str) -> int | None:
    """Limit less use, file pages that can be dropped not counted as used; None without a limit."""
    try:
        free = int(limit.read_text("ascii")) - int(used.read_text("ascii"))
    except (OSError, ValueError):  # no such group seen from here, or "max"
        return None
    return max(free + (_field(stat, cached, 1) or 0), 0)


def _field(file: Path, name: str, unit: int) -> int | None:
    try:
        for line in file.read_text("ascii").splitlines():
            words = line.split()
            if words[:1] == [name]:
                return int(words[1]) * unit
    except (OSError, ValueError, IndexError):
        pass
    return None
