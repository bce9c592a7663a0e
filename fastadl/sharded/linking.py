"""Where shards run: in this process, or on a Ray cluster."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable

from fastadl.errors import InputError
from fastadl.policy import AdlPolicy
from fastadl.sharded.links import Here, Links
from fastadl.sharded.shard import Shard
from fastadl.sharded.source import Part

__all__ = ["INLINE", "check_deadline", "linked"]

#: The address of this process.
INLINE = "inline"


def linked(
    parts: Iterable[Part],
    policy: AdlPolicy,
    address: str | None,
    *,
    deadline: float,
    folder: str | os.PathLike[str] | None,
    threads: int | None,
) -> Links:
    """Shards made of parts, as `ShardedEngine` says."""
    check_deadline(deadline)
    if address == INLINE:
        made = (part() if callable(part) else part for part in parts)
        return Here([each if isinstance(each, Shard) else Shard(each[0], policy, each[1]) for each in made])
    from fastadl.sharded.on_ray import RayLinks

    return RayLinks(parts, policy, address=address, deadline=deadline, folder=folder, threads=threads)


def check_deadline(deadline: object) -> None:
    """Refuse what is no time to wait."""
    if isinstance(deadline, bool) or not isinstance(deadline, (int, float)) or not 0 < deadline < math.inf:
        raise InputError(("deadline",), deadline, "give seconds above 0")
