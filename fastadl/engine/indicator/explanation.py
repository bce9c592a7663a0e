"""What is told of one position: where it stands, how close it is, and what would help (rule R113)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor, isfinite, isinf
from typing import Any

import polars as pl

from fastadl.decimals import fixed
from fastadl.engine.indicator.adl_rank import adl_rank

__all__ = ["Explanation"]

#: Money among the parts of a score.
_MONEY = ("unrealized_pnl", "notional", "position_margin", "equity", "maintenance_margin", "gross")


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where one position stands and how close it is (rule R113).

    Attributes
    ----------
    account, symbol, side : str
    lots : int
    score : str
        Name of the score that ranks.
    parts : mapping of str to float
        ``score`` and what it is made of, as `Engine.rank` names them; money in atoms.
    adl_tier : int or None
        As the policy makes it (rule R83).
    rank, of : int or None, int
        Place among the positions of its symbol and side that can be deleveraged; None if it cannot be.
    lots_ahead, lots_of : int or None, int
        Lots ranked before it, and of them all.
    percentile, light : float or None, int
        As in rule R99, by quantity.
    why_not : str or None
        Why it has no place; None if it has one.
    liquidation : float
        Size of the move of its price at which the account is liquidated; infinite if there is none.
    liquidation_price : float or None
    adl : float or None
        Size of the smallest shock at which deleveraging reaches it; infinite if none of the shocks does, None
        if nothing ever does.
    largest_shock : float
        Of those that were looked at.
    choices : DataFrame
        ``choice``, ``lots``, ``cash`` that came (atoms), ``leverage``, ``score``, ``lots_ahead``,
        ``liquidation``, ``adl``: as it is, with a part of the position closed at mark, and with leverage
        lowered by cash.
    """

    account: str
    symbol: str
    side: str
    lots: int
    score: str
    parts: Mapping[str, float]
    adl_tier: int | None
    rank: int | None
    of: int
    lots_ahead: int | None
    lots_of: int
    percentile: float | None
    light: int
    why_not: str | None
    liquidation: float
    liquidation_price: float | None
    adl: float | None
    largest_shock: float
    choices: pl.DataFrame
    _decimals: int
    _currency: str

    def to_dict(self) -> dict[str, Any]:
        """All of it as it is printed: money as text, None where there is no finite number."""
        named = {
            name: getattr(self, name)
            for name in self.__slots__
            if not name.startswith("_") and name not in ("parts", "choices")
        }
        parts = {name: self._money(x) if name in _MONEY else x for name, x in self.parts.items()}
        choices = [
            {name: self._money(x) if name == "cash" else _finite(x) for name, x in row.items()}
            for row in self.choices.iter_rows(named=True)
        ]
        return {name: _finite(x) for name, x in named.items()} | {"parts": parts, "choices": choices}

    def to_ccxt(self, *, timestamp: int | None = None) -> dict[str, Any]:
        """Ccxt's ADL structure, as `fastadl.borders.ccxt.adl_ranks` gives it of all positions (rule R122).

        Parameters
        ----------
        timestamp : int, optional
            Milliseconds of the epoch, which it states.
        """
        return adl_rank(self.symbol, self.side, self.light, self.percentile, timestamp)

    def __str__(self) -> str:
        title = f"{self.account}: {self.side} {self.symbol}, {self.lots:,} lots"
        what_if = f"  {'what if':24}{'leverage':>10}{'lots ahead':>16}{'adl':>10}{'liquidation':>13}"
        lines = [title, "", *self._place(), self._end(), "", *self._score(), "", what_if]
        lines += [
            f"  {row['choice']:24}{row['leverage']:>10.2f}{_or_dash(row['lots_ahead'], ','):>16}"
            f"{_or_dash(row['adl'], '.1%'):>10}{_or_dash(row['liquidation'], '.2%'):>13}"
            for row in self.choices.iter_rows(named=True)
        ]
        return "\n".join(lines)

    def _place(self) -> list[str]:
        place = f"It cannot be deleveraged now: {self.why_not}."
        if self.adl is None:
            return [place]
        if self.rank is not None:
            place = f"Rank {self.rank:,} of {self.of:,}: {self.lots_ahead:,} of {self.lots_of:,} lots are"
            place += f" ahead (light {self.light} of 5, percentile {self.percentile:.4f})."
        moved = f"when all prices go {'up' if self.side == 'long' else 'down'}"
        reach = f"Deleveraging reaches it {moved} by {self.adl:.1%}."
        if isinf(self.adl):
            reach = f"Deleveraging does not reach it {moved} by up to {self.largest_shock:.1%}."
        return [place, reach]

    def _end(self) -> str:
        against = "down" if self.side == "long" else "up"
        if self.liquidation == 0.0:
            return "The account is below its maintenance margin now."
        if self.liquidation_price is None:
            return f"No move {against} of its price alone liquidates the account."
        to = f"{self.liquidation:.2%} (to {self.liquidation_price:g})"
        return f"The account is liquidated when its price alone goes {against} by {to}."

    def _score(self) -> list[str]:
        parts = {name: x for name, x in self.parts.items() if name != "score"}
        return [
            f"Score {self.score} = {self.parts['score']:.6g}, from",
            *(
                f"  {name.replace('_', ' '):20} {self._money(x) if name in _MONEY else f'{x:.4f}':>24}"
                for name, x in parts.items()
            ),
        ]

    def _money(self, atoms: float) -> str:
        return f"{fixed(floor(atoms), self._decimals)} {self._currency}"


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not isfinite(value) else value


def _or_dash(value: Any, how: str) -> str:
    return "–" if value is None or (isinstance(value, float) and not isfinite(value)) else format(value, how)
