"""Probes: what a policy's sharing does when winners split, books grow, or a loss comes in two parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import polars as pl

from fastadl.book import Book
from fastadl.engine import Engine
from fastadl.errors import InputError
from fastadl.policy import PARAMETERS, AdlPolicy

__all__ = ["WINNERS", "Winner", "probe"]

#: The mark before, and at the tick; a short who entered at 80 with cash of 10 a lot then lacks 10 a lot.
_BEFORE, _AT, _ENTRY, _CASH = 85, 100, 80, 10
_PLACES = 2
#: Lots or atoms a winner that rounding may move in the comparisons below, of thousands shared.
_ROUNDING = 4


class Winner(NamedTuple):
    """A long position in the one symbol of a probe, marked at 100: lots of size 1, and whole money.

    Attributes
    ----------
    lots, entry_price, cash : int
    """

    lots: int
    entry_price: int
    cash: int


#: Winners who differ in size, profit, leverage and wealth.
WINNERS = (
    Winner(4000, 60, 30_000),
    Winner(3000, 50, 200_000),
    Winner(1000, 84, 5_000),
    Winner(700, 20, 12_000),
    Winner(500, 82, 100_000),
)


@dataclass(frozen=True, slots=True)
class _Entrant:
    """A winner, or a part of one."""

    id: str
    of: int
    winner: Winner


def probe(
    policy: Any, *, name: str | None = None, winners: Sequence[Winner] = WINNERS, need: int = 3000
) -> pl.DataFrame:
    """Run a policy's sharing on small books that ought to give the same answer, and tell how far it does.

    Every winner is taken at twice its size against a bankrupt short of twice `need`. Then each in turn comes
    as two equal halves with ids next to each other (Sybil); everything is three times as large (scale); the
    short comes in two halves, one tick after the other (path independence); and whoever had more must keep
    no less (monotonicity). Shares are lots closed in contract space, atoms charged in wealth space: each
    axiom is tried in the policy's own numeraire, and holding here proves nothing about other books.

    Parameters
    ----------
    policy : str, mapping or AdlPolicy
        Its trigger is passed over, and there is no insurance fund. A policy that remembers a session starts
        a new one with the second half of the short.
    name : str, optional
        What stands under ``policy``; the preset's name if left out.
    winners : sequence of Winner
        Nobody may be below zero at 85.
    need : int
        Lots.

    Returns
    -------
    DataFrame
        One row: ``policy``, ``numeraire`` (``lots``, ``atoms``), ``shared`` (in all), and of each axiom
        the largest change of a winner's share as a part of ``shared`` (``sybil``, ``scale``, ``order``,
        ``path``), and whether rounding explains it (``sybil_proof``, ``scale_free``, ``order_preserving``,
        ``path_independent``).

    Raises
    ------
    InputError
        Without winners or need.
    """
    if not winners:
        raise InputError(("winners",), "none", "give at least one")
    if need < 1:
        raise InputError(("need",), need, "give at least one lot")
    rule = _without_trigger(AdlPolicy.of(policy))
    twice = [Winner(2 * w.lots, w.entry_price, 2 * w.cash) for w in winners]
    whole = _shares(rule, _entrants(twice), 2 * need)
    total = sum(whole)

    sybil = 0
    for i, half in enumerate(winners):
        parts = _entrants(twice)
        parts[i : i + 1] = [_Entrant(f"{parts[i].id}{letter}", i, half) for letter in "ab"]
        sybil = max(sybil, abs(_shares(rule, parts, 2 * need)[i] - whole[i]))
    grown = [Winner(6 * w.lots, w.entry_price, 6 * w.cash) for w in winners]
    scale = _furthest(_shares(rule, _entrants(grown), 6 * need), [3 * share for share in whole])
    path = _furthest(_shares(rule, _entrants(twice), need, need), whole)
    order = _disorder(rule, twice, whole)

    rounding = _ROUNDING * len(winners)
    moved = {"sybil": sybil, "scale": scale, "order": order, "path": path}
    verdicts = ("sybil_proof", "scale_free", "order_preserving", "path_independent")
    return pl.DataFrame(
        {
            "policy": name if name is not None else policy if isinstance(policy, str) else "given",
            "numeraire": "lots" if rule.space == "contract" else "atoms",
            "shared": total,
            **{axiom: most / total if total else 0.0 for axiom, most in moved.items()},
            **{verdict: most <= rounding for verdict, most in zip(verdicts, moved.values(), strict=True)},
        }
    )


def _without_trigger(policy: AdlPolicy) -> AdlPolicy:
    unused = {name: None for name in PARAMETERS if name.startswith(("drawdown", "pool"))}
    return replace(policy, trigger="bankrupt", **unused)  # type: ignore[arg-type]


def _entrants(winners: Sequence[Winner]) -> list[_Entrant]:
    return [_Entrant(f"w{i:04}", i, winner) for i, winner in enumerate(winners)]


def _furthest(shares: list[int], others: list[int]) -> int:
    return max(abs(one - other) for one, other in zip(shares, others, strict=True))


def _disorder(rule: AdlPolicy, winners: list[Winner], shares: list[int]) -> int:
    """The most by which one who had no less than another keeps less: lots held, or profit in atoms."""
    had = [
        w.lots if rule.space == "contract" else w.lots * (_AT - w.entry_price) * 10**_PLACES for w in winners
    ]
    both = list(zip(had, shares, strict=True))
    return max((b - y) - (a - x) for a, x in both for b, y in both if a >= b)


_INSTRUMENTS = {
    "symbol": ["X"],
    "kind": ["linear"],
    "contract_size": ["1"],
    "lot": ["1"],
    "tiers": [[{"min_notional": "0", "maintenance_rate": "0.01", "max_leverage": "50"}]],
    "decimals": [_PLACES],
}


def _shares(rule: AdlPolicy, entrants: Sequence[_Entrant], *needs: int) -> list[int]:
    """What each winner gives in all when shorts of these sizes go bankrupt, a tick each."""
    atom = 10**_PLACES
    cash = {each.id: each.winner.cash * atom for each in entrants}
    rows = [(e.id, e.winner.lots, e.winner.lots * e.winner.entry_price * atom) for e in entrants]
    winner = {each.id: each.of for each in entrants}
    shares = [0] * (max(winner.values()) + 1)
    for tick, need in enumerate(needs):
        cash[f"z{tick}"] = need * _CASH * atom
        rows.append((f"z{tick}", -need, -need * _ENTRY * atom))
        book = Book.from_frames(
            _INSTRUMENTS,
            {"id": list(cash), "cash_atoms": list(cash.values())},
            {
                "account": [who for who, _, _ in rows],
                "symbol": ["X"] * len(rows),
                "lots": [lots for _, lots, _ in rows],
                "entry_value_atoms": [entry for _, _, entry in rows],
            },
        )
        engine = Engine(book, policy=rule)
        for account, share in _given(engine, rule):
            shares[winner[account]] += share
        _, accounts, positions = engine.book.to_frames()
        cash = dict(accounts.select("id", "cash_atoms").iter_rows())
        rows = [*positions.select("account", "lots", "entry_value_atoms").iter_rows()]
        rows = [row for row in rows if row[0] in cash]
    return shares


def _given(engine: Engine, rule: AdlPolicy) -> list[tuple[str, int]]:
    """Lots closed or atoms charged, account by account, at a mark that brings the short down."""
    engine.mark({"X": _BEFORE})
    reports = [engine.tick({"X": _AT})]
    if rule.session is not None:  # what a session charges may fall due when it is over
        reports.append(engine.tick({}, time=rule.session))
    if rule.space == "contract":
        return [
            pair for report in reports for pair in report.adl_fills.select("counterparty", "lots").iter_rows()
        ]
    charged = [
        pair for report in reports for pair in report.socialized.select("account", "amount").iter_rows()
    ]
    return [(account, -amount) for account, amount in charged if amount < 0]
