"""Positions of one account in their queues: what text, JSON and page are made of (rules R113, R123)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from fastadl.engine import Demand, Engine, Explanation
from fastadl.engine.indicator.standing import frame_of
from fastadl.errors import InputError
from fastadl.policy.meaning import meaning

__all__ = ["SHOCKS", "Place", "Reach", "places"]

#: Sizes of shocks whose reach is shown.
SHOCKS = (0.05, 0.1, 0.2, 0.5)


@dataclass(frozen=True, slots=True)
class Reach:
    """Who is deleveraged by a shock of this size or a smaller one.

    Attributes
    ----------
    shock : float
        Size, as a part of all prices.
    positions, lots : int
        How many, and what they hold; what a shock takes may be a part of the last one.
    you : bool
        Whether the position that was asked about is among them.
    """

    shock: float
    positions: int
    lots: int
    you: bool


@dataclass(frozen=True, slots=True)
class Place:
    """One position in its queue.

    Attributes
    ----------
    told : Explanation
    held : mapping
        The row of `Engine.positions`.
    currency : str
        Of the money.
    meaning : str
        How the score is made, in a line.
    queue : DataFrame
        All of its symbol and side that can be deleveraged, in rank order: ``rank``, ``lots``, ``ahead`` (lots
        ranked before), ``score``, ``light``, ``adl`` (as in `Engine.distances`), ``you``.
    """

    told: Explanation
    held: Mapping[str, Any]
    currency: str
    meaning: str
    queue: pl.DataFrame

    @property
    def standing(self) -> bool:
        """Whether the position can be deleveraged."""
        return self.told.rank is not None

    @property
    def sign(self) -> int:
        """Which way prices go when positions like this are taken from."""
        return 1 if self.told.side == "long" else -1

    @property
    def middle(self) -> float:
        """Where its middle lot is, as a part of all lots; only of one that can be deleveraged."""
        return ((self.told.lots_ahead or 0) + self.told.lots / 2) / self.told.lots_of

    def moves(self) -> list[dict[str, Any]]:
        """The choices that have a place, as `Explanation.to_dict` tells them, without the first: as it is."""
        found = self.told.to_dict()["choices"][1:]
        return [each for each in found if each["lots_ahead"] is not None] if self.standing else []

    def reach(self) -> Iterator[Reach]:
        """What each of the `SHOCKS` reaches."""
        for shock in SHOCKS:
            taken = self.queue.filter(pl.col("adl") <= shock)
            yield Reach(shock, len(taken), int(taken["lots"].sum()), bool(taken["you"].any()))

    def neighbours(self) -> tuple[float | None, float | None]:
        """Scores of the one before and the one after."""
        rank, scores = self.told.rank, self.queue["score"]
        if rank is None:
            return None, None
        return scores[rank - 2] if rank > 1 else None, scores[rank] if rank < len(scores) else None

    def to_dict(self, *, timestamp: int | None = None) -> dict[str, Any]:
        """All but the queue itself, for JSON."""
        reach = [{name: getattr(each, name) for name in Reach.__slots__} for each in self.reach()]
        ccxt = self.told.to_ccxt(timestamp=timestamp)
        return {**self.told.to_dict(), "position": dict(self.held), "reach": reach, "ccxt": ccxt}


def places(engine: Engine, account: str, symbol: str | None = None, side: str | None = None) -> list[Place]:
    """One position of an account, or all of them, the nearest to deleveraging first.

    Raises
    ------
    InputError
        For an account, symbol or side that is not there, and as `Engine.demand`.
    """
    held = engine.positions(account)
    if symbol is None and side is not None:
        raise InputError(("side",), side, "name the symbol too")
    if symbol is None and held.is_empty():
        raise InputError(("account",), account, "name an account that holds a position")
    wanted = engine.demand()
    legs = held.select("symbol", "side").rows() if symbol is None else [(symbol, side)]
    told = [engine.explain(account, *leg[:1], side=leg[1], demand=wanted) for leg in legs]
    told.sort(key=lambda each: (each.rank is None, each.adl or 0.0, each.percentile or 0.0))
    queues = _Queues(engine, wanted)
    what = meaning("score", engine.policy.score)[1]
    found = []
    for each in told:
        item = engine.book.instruments[engine.book.instruments.code[each.symbol]]
        row = held.filter(symbol=each.symbol, side=each.side).row(0, named=True)
        found.append(Place(each, row, item.currency, what, queues.of(each)))
    return found


class _Queues:
    """Lights and distances of a whole book, and the queues read off them."""

    def __init__(self, engine: Engine, wanted: Demand) -> None:
        self._engine, self._book = engine, engine.book
        self._lights, self._adl = engine.lights().values, engine.distances(wanted).adl

    def of(self, told: Explanation) -> pl.DataFrame:
        """The queue of a position."""
        leg = 2 * self._book.instruments.lookup(told.symbol, ("symbol",)) + (told.side == "short")
        some = (self._book.rows.leg == leg) & (self._lights > 0)
        read = frame_of(self._book, some, light=self._lights, adl=self._adl)
        ranked = self._engine.rank(told.symbol, told.side).join(
            read, on="account", how="left", maintain_order="left", validate="1:1"
        )
        return ranked.select(
            "rank",
            "lots",
            (pl.col("lots").cum_sum() - pl.col("lots")).alias("ahead"),
            "score",
            "light",
            "adl",
            (pl.col("account") == told.account).alias("you"),
        )
