"""``fastadl synth``: a synthetic book, and what it is like."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated

from cyclopts import Parameter

from fastadl.cli.terminal import Flag, Several, console, print_json

__all__ = ["synth"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawn:
    """What a synthetic book is made of.

    Parameters
    ----------
    positions
        Open positions of traders.
    accounts
        Two for every five positions unless given.
    instruments
        Largest market first.
    seed
        The same seed draws the same book.
    set
        Another value of a parameter of the shape, e.g. size_tail=0.9; may be given several times.
    """

    positions: int = 1_000_000
    accounts: int | None = None
    instruments: int = 300
    seed: int = 1
    set: Several = None


def synth(
    shape: str,
    /,
    what: Annotated[_Drawn, Parameter(name="*")] = _Drawn(),
    *,
    describe: Flag = False,
    against: str | None = None,
    out: str | None = None,
    json: Flag = False,
) -> None:
    """Draw a synthetic book, and say what it is like.

    Parameters
    ----------
    shape
        pareto, retail, hyperliquid_like, whale, hedged, crowded_long or uniform.
    describe
        Show parameters, quantiles and histograms.
    against
        Compare with the accounts deleveraged on 2025-10-10: the folder of their CSV files.
    out
        Write the book into this new or empty folder, as Parquet.
    json
        Print one JSON object instead of tables.
    """
    from fastadl.report.compiling import compiling
    from fastadl.report.synth import show
    from fastadl.synth.command import drawn

    with compiling(console(stderr=True)):
        made = drawn(shape, against_folder=against, out=out, **asdict(what))
    if json:
        print_json(made)
    else:
        show(made, console(), described=describe)
