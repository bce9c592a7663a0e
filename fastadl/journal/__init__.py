"""A log of entries on disk that survives crashes, full disks and flipped bits, knowing nothing of engines."""

from __future__ import annotations

from fastadl.journal.disk import Disk
from fastadl.journal.entry import Entry
from fastadl.journal.fsync import ALWAYS, NEVER, Fsync
from fastadl.journal.journal import Journal
from fastadl.journal.recovery import Verified, read, verify, whole_snapshots
from fastadl.journal.segment import Lost
from fastadl.journal.snapshot import Snapshot

__all__ = [
    "ALWAYS",
    "NEVER",
    "Disk",
    "Entry",
    "Fsync",
    "Journal",
    "Lost",
    "Snapshot",
    "Verified",
    "read",
    "verify",
    "whole_snapshots",
]
