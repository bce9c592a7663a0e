"""What of a journal need not be kept, because a snapshot tells what came of it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from fastadl.journal.disk import Disk
from fastadl.journal.segment import first_of, segments
from fastadl.journal.snapshot import PART, DamagedError, check, snapshots

__all__ = ["forget"]


def forget(disk: Disk, folder: Path, keep: int) -> int:
    """Remove what is before the first of the last so many whole snapshots; the sequence it begins after.

    Oldest first, and each name is off the device before the next goes: what a crash leaves is a journal.
    """
    kept: list[Path] = []
    for path in snapshots(folder):
        if len(kept) < keep and _is_whole(path):
            kept.append(path)
    if len(kept) < keep:
        return first_of(segments(folder)[0]) - 1
    begin = int(kept[-1].name)
    for path in reversed(snapshots(folder)):
        if int(path.name) < begin:
            partial = path.with_name(path.name + PART)
            disk.rename(path, partial)
            disk.sync_folder(path.parent)
            disk.remove(partial)
    for path, following in pairwise(segments(folder)):
        if first_of(following) <= begin + 1:
            disk.remove(path)
            disk.sync_folder(folder)
    return begin


def _is_whole(path: Path) -> bool:
    try:
        check(path)
    except DamagedError:
        return False
    return True
