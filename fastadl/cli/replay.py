"""``fastadl replay``: the journal of an engine done again."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from fastadl.cli.terminal import Flag, console, print_json

__all__ = ["replay"]


def replay(
    folder: str,
    /,
    *,
    until: int | None = None,
    since: Annotated[int | None, Parameter(name="--from")] = None,
    policy: str | None = None,
    json: Flag = False,
) -> int:
    """Do the journal of an engine again, and compare every result and every snapshot.

    Parameters
    ----------
    folder
        Of a LiveEngine's journal; nothing in it is changed, and the engine may be running.
    until
        Do no entry after this one.
    since
        Begin with the last snapshot that is not after this entry, not with the first one.
    policy
        A preset such as okx_2025: tell what it would have done with the same entries.
    json
        Print one JSON object instead of tables.
    """
    from fastadl.recording import replay as do_again
    from fastadl.report.replay import show, watching

    with watching(console(stderr=True)) as progress:
        replayed = do_again(folder, until=until, since=since, policy=policy, progress=progress)
    if json:
        print_json(replayed.to_dict())
    else:
        show(replayed, console())
    return 0 if replayed.ok else 1
