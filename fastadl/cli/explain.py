"""``fastadl explain``: why me, and how close am I."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from fastadl.cli.source import Source, State
from fastadl.cli.terminal import Flag, check_page, console, print_json

__all__ = ["explain"]


def explain(
    source: str,
    account: str,
    symbol: str | None = None,
    /,
    state: Annotated[State, Parameter(name="*")] = State(),
    *,
    side: str | None = None,
    html: str | None = None,
    json: Flag = False,
) -> None:
    """Say why a position stands where it does in the ADL queue, how close it is, and what would help.

    Parameters
    ----------
    source
        The folder of a LiveEngine's journal, which may be running; a scenario file; or a book on disk.
    account
        Its id.
    symbol
        All positions of the account, unless given.
    side
        long or short; may be left out where the account holds only one.
    html
        Also write a page with the picture of the queue into this file.
    json
        Print one JSON object instead of tables.
    """
    from fastadl.report.compiling import compiling
    from fastadl.report.queue import places

    if html is not None:
        check_page(html)
    with compiling(console(stderr=True)):
        found = Source.of(source, state)
        held = places(found.engine, account, symbol, side)
    if json:
        told = [place.to_dict(timestamp=found.timestamp) for place in held]
        print_json({"state": found.told, "account": account, "positions": told})
    else:
        from fastadl.report.explain import show

        show(held, found.told, console())
    if html is not None:
        from fastadl.report.page.queue import write

        write(held, found.told, html)
