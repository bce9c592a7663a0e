"""Where one position stands, how close it is, and what would help (rules R41, R99, R111 to R113)."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import polars as pl

from fastadl.engine.by_hand import leg_of
from fastadl.engine.indicator.ahead import Place, places_of
from fastadl.engine.indicator.demand import Demand
from fastadl.engine.indicator.explanation import Explanation
from fastadl.engine.indicator.holding import Holding, Judged, choices, judged, moves
from fastadl.engine.indicator.shocks import sides_after
from fastadl.engine.state import State, known_account
from fastadl.kernels.lanes import WIDTH
from fastadl.kernels.measure import FIELDS
from fastadl.policy import AdlPolicy
from fastadl.schema import BoolArray, Float64Array, Int64Array

__all__ = ["explain"]

#: Moments that are looked at together: less costs as much for each candidate.
_MOMENTS = 2 * WIDTH


def explain(
    state: State,
    policy: AdlPolicy,
    number: int,
    account: object,
    symbol: object,
    side: object,
    wanted: Demand,
) -> Explanation:
    """Explain one position under a demand; `number` is the tick's, for a ranking drawn by it."""
    who = known_account(state, account, ("account",))
    leg = leg_of(state, who, state.instruments.lookup(symbol, ("symbol",)), side)
    held = Holding.of(state, who, leg)
    equity = float(judged(state, policy, number, who, [held]).parts[1, 0])
    tried = choices(state, held, equity)
    never = _never(state, who)
    asked = Asked(state, policy, number, who, leg, list(tried.values()))
    now, place, adl = asked.distances(wanted)
    ways = moves(state, policy, number, who, asked.held)
    able = now.able & (never is None)
    lines = [
        {
            "choice": choice,
            "lots": each.size,
            "cash": each.cash - held.cash,
            "leverage": now.parts[7, v] / max(now.parts[1, v], 1.0),
            "score": now.parts[0, v],
            "lots_ahead": int(place.lots[v, 0]) if able[v] else None,
            "liquidation": ways[v],
            "adl": None if never else float(adl[v]),
        }
        for v, (choice, each) in enumerate(tried.items())
    ]
    item, first = state.instruments[leg >> 1], lines[0]
    return Explanation(
        account=state.book.accounts[who],
        symbol=item.symbol,
        side="short" if leg & 1 else "long",
        lots=held.size,
        score=policy.score if isinstance(policy.score, str) else policy.score.name,
        parts=_parts(now),
        **_standing(place, held.size, bool(able[0])),
        why_not=never or (None if able[0] else "its equity is below zero"),
        liquidation=float(first["liquidation"]),
        liquidation_price=_price(float(state.marks.price[leg >> 1]), float(first["liquidation"]), leg),
        adl=first["adl"],
        largest_shock=float(wanted.sizes[-1]),
        choices=pl.DataFrame(
            lines,
            schema_overrides={"lots": pl.Int64, "cash": pl.Int64, "lots_ahead": pl.Int64, "adl": pl.Float64},
            infer_schema_length=None,
        ),
        _decimals=item.decimals,
        _currency=item.currency,
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """A position, and what its account holds as it is and might hold."""

    state: State
    policy: AdlPolicy
    number: int
    account: int
    leg: int
    held: list[Holding]

    def distances(self, wanted: Demand) -> tuple[Judged, Place, Float64Array]:
        """How all that is judged and where it stands now, and the smallest shocks that reach it.

        So many shocks at a time, until one has reached them all.
        """
        sizes: list[int] = np.flatnonzero(wanted.lots[self.leg]).tolist()
        now, place = self._at([self.state, *self._after(wanted, sizes[: _MOMENTS - 1])])
        found = self._reached(
            wanted, sizes[: _MOMENTS - 1], [each.able for each in now[1:]], place.lots[:, 1:]
        )
        for first in range(_MOMENTS - 1, len(sizes), _MOMENTS):
            some = sizes[first : first + _MOMENTS]
            if np.isfinite(found).all():
                break
            then, there = self._at(self._after(wanted, some))
            found = np.minimum(found, self._reached(wanted, some, [each.able for each in then], there.lots))
        return now[0], place, found

    def _after(self, wanted: Demand, sizes: list[int]) -> list[State]:
        return [sides_after(self.state, wanted._exact[k]).of(self.leg) for k in sizes]

    def _at(self, moments: list[State]) -> tuple[list[Judged], Place]:
        found = [judged(each, self.policy, self.number, self.account, self.held) for each in moments]
        score = np.stack([each.parts[0] for each in found], 1)
        return found, places_of(moments, self.policy, self.number, self.account, self.leg, score)

    def _reached(
        self, wanted: Demand, sizes: list[int], able: list[BoolArray], ahead: Int64Array
    ) -> Float64Array:
        """The first of some sizes that takes more than is ahead of each holding; infinite if none does."""
        found = np.full(len(self.held), np.inf)
        for m in reversed(range(len(sizes))):
            k = sizes[m]
            found[able[m] & (wanted.lots[self.leg, k] > ahead[:, m])] = wanted.sizes[k]
        return found


def _never(state: State, account: int) -> str | None:
    """Why an account is not deleveraged, whatever its equity (rules R106, R108)."""
    if state.book.exempt[account]:
        return "the account is exempt"
    if state.orders.among(np.array([account]))[0]:
        return "the account is in liquidation"
    return None


def _standing(place: Place, size: int, able: bool) -> dict[str, Any]:
    """Place, light and percentile of the position as it is (rules R41, R99)."""
    if not able:
        nowhere = dict.fromkeys(("adl_tier", "rank", "lots_ahead", "percentile"))
        return {**nowhere, "of": place.of, "lots_of": place.lots_of, "light": 0}
    ahead, total = int(place.lots[0, 0]), place.lots_of + size
    return {
        "adl_tier": place.tier,
        "rank": place.rows + 1,
        "of": place.of + 1,
        "lots_ahead": ahead,
        "lots_of": total,
        "percentile": (ahead + size) / total,
        "light": 6 - -(-5 * (ahead + size) // total),
    }


def _parts(now: Judged) -> dict[str, float]:
    """Score of the position as it is, and what it is made of, by the names of `Engine.rank`."""
    told = dict(zip(FIELDS, now.parts[:, 0].tolist(), strict=True))
    return {
        "score": told["score"],
        "unrealized_pnl": told["profit"],
        "notional": told["value"],
        "position_margin": told["row_margin"],
        "equity": told["equity"],
        "maintenance_margin": told["margin"],
        "gross": told["gross"],
        "leverage": told["gross"] / max(told["equity"], 1.0),
    }


def _price(mark: float, move: float, leg: int) -> float | None:
    """Where the price is after a move against a position."""
    return mark * (1.0 + move if leg & 1 else 1.0 - move) if isfinite(move) else None
