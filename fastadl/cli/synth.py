"""``fastadl synth``: a synthetic book, and what it is like."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated

from cyclopts import Parameter

from fastadl.cli.terminal import Flag, Several, console, print_json
from fastadl.errors import InputError

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """Where a book goes.

    Parameters
    ----------
    out
        Write the book into this new or empty folder, as Parquet.
    shards
        Write it in so many partitions, accounts in their order, for shards to read.
    apart
        Draw one partition after another, so that a book of any size can be written; it is not the one that
        is drawn without.
    """

    out: str | None = None
    shards: int | None = None
    apart: Flag = False


def synth(
    shape: str,
    /,
    what: Annotated[_Drawn, Parameter(name="*")] = _Drawn(),
    *,
    describe: Flag = False,
    against: str | None = None,
    where: Annotated[_Written, Parameter(name="*")] = _Written(),
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
    json
        Print one JSON object instead of tables.
    """
    from fastadl.report.synth import show, watching
    from fastadl.synth.command import Target, drawn

    if describe and where.apart:
        raise InputError(("describe",), "given", "leave it out: a book drawn apart is never in memory")
    with watching(console(stderr=True), bar=where.shards is not None) as progress:
        made = drawn(
            shape, against_folder=against, progress=progress, target=Target(**asdict(where)), **asdict(what)
        )
    if json:
        print_json(made)
    else:
        show(made, console(), described=describe)
