"""Who held what when a run began, and what deleveraging and charges took from whom until it ended."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from fastadl import metrics
from fastadl.book import Book
from fastadl.engine import Engine, Report
from fastadl.schema import BoolArray, Float64Array, IntArray

__all__ = ["MEASURED", "NEUTRAL", "Holders", "Ledger"]

#: An account is delta-neutral if the values of its longs and shorts at first differ by at most this share of
#: its gross value; its hedge is broken if deleveraging closed one side by more than that beyond the other.
NEUTRAL = 0.1

#: What is measured at a step with deleveraging (see `fastadl.metrics`).
MEASURED = ("coverage", "overshoot", "burden_profit", "burden_equity", "gini", "hhi", "top_share")

#: Borders of the classes that payers are told apart by: leverage; size and profit in units of currency.
_LEVERAGE = (1.0, 2.0, 5.0, 10.0, 25.0)
_MONEY = (1e3, 1e4, 1e5, 1e6, 1e7)
#: Borders of the classes that payers are told apart by: shares of their profit that were taken.
_SHARES = tuple(step / 20 for step in range(21))
#: Accounts that are named of those who paid.
_NAMED = 10


@dataclass(frozen=True, slots=True)
class Holders:
    """Accounts as they stood at the first marks; one entry per account of the book.

    Attributes
    ----------
    gross, equity : float64
        Notional of all rows, and equity, in atoms.
    neutral : bool
        Whether longs and shorts cancel out, to within `NEUTRAL`.
    atoms : float
        Of one unit of the currency.
    """

    gross: Float64Array
    equity: Float64Array
    neutral: BoolArray
    atoms: float

    @classmethod
    def of(cls, engine: Engine) -> Holders:
        """The accounts of an engine at its marks."""
        found = engine.estimates()
        net = np.abs(_net_values(engine.book, engine.unit_values))
        neutral = (found.gross > 0) & (net <= NEUTRAL * found.gross)
        atoms = 10.0 ** engine.book.instruments.decimals[0]
        return cls(found.gross, found.equity, neutral, atoms)

    @property
    def leverage(self) -> Float64Array:
        """Notional over equity."""
        return self.gross / np.maximum(self.equity, 1.0)


def _net_values(book: Book, unit: Float64Array) -> Float64Array:
    """Signed value of all rows of each account, in atoms: float64 (accounts)."""
    rows = book.rows
    net = np.zeros(len(rows.cash))
    for g, (first, last) in enumerate(pairwise(rows.group_slot.tolist())):
        for column in range(int(rows.group_rows[g])):
            at = int(rows.group_row[g]) + column * (last - first)
            held = slice(at, at + last - first)
            net[first:last] += rows.lots[held] * np.abs(unit[rows.leg[held] >> 1])
    out: Float64Array = net[book.slot]
    return out


class Ledger:
    """What a run took from every account.

    Attributes
    ----------
    seized : float64 (accounts)
        Atoms that fills, in a step together, cost an account at mark, and charges.
    closed, tilted : float64 (accounts)
        Notional of its lots that were closed by deleveraging, at mark; longs less shorts.
    profit, equity : float64 (accounts)
        The most that a winner had at any step with deleveraging, with what had been taken before added back;
        0 for who never had a profit and equity above zero then, except the equity of who paid all the same.
        These are the endowments of `fastadl.metrics`.
    lack, owed : float64 (accounts)
        The largest shortfall of a bankrupt account, so that one which stays uncovered is counted once; and
        what it still owes.
    liquidated, bankrupt, deleveraged : bool (accounts)
        Whether it ever was, charges in cash included.
    """

    def __init__(self, accounts: int) -> None:
        for name in ("seized", "closed", "tilted", "profit", "equity", "lack", "owed"):
            setattr(self, name, np.zeros(accounts))
        for name in ("liquidated", "bankrupt", "deleveraged"):
            setattr(self, name, np.zeros(accounts, np.bool_))

    seized: Float64Array
    closed: Float64Array
    tilted: Float64Array
    profit: Float64Array
    equity: Float64Array
    lack: Float64Array
    owed: Float64Array
    liquidated: BoolArray
    bankrupt: BoolArray
    deleveraged: BoolArray

    def copy(self) -> Ledger:
        """The same, kept apart."""
        other = object.__new__(Ledger)
        other.__dict__.update({name: array.copy() for name, array in self.__dict__.items()})
        return other

    def add(self, engine: Engine, report: Report, fund_paid: int) -> dict[str, float | None]:
        """Enter a tick that the engine has just ended.

        Parameters
        ----------
        engine : Engine
        report : Report
        fund_paid : int
            What the fund paid in it, in cash and by taking positions over, in atoms.

        Returns
        -------
        dict
            ``new_shortfall``, what bankrupt accounts lack beyond what they have lacked before; ``deficit``,
            what the fund left of it; ``gained`` by and ``seized`` from counterparties; in a tick with
            deleveraging also `fastadl.metrics` of it: ``coverage``, ``overshoot``, ``burden_profit``,
            ``burden_equity``, ``gini``, ``hhi``, ``top_share``, otherwise None. Money in atoms.
        """
        lacking = self._detected(report)
        deficit = max(lacking - fund_paid, 0.0)
        told: dict[str, float | None] = {"new_shortfall": lacking, "deficit": deficit}
        fills, charged = report.columns("adl_fills"), report.columns("socialized")
        mine = (charged["account"] >= 0) & (charged["amount"] < 0)  # the others are paid to bankrupt accounts
        payer = charged["account"][mine]
        if not len(fills["lots"]) and not len(payer):
            return {**told, "gained": 0.0, "seized": 0.0, **dict.fromkeys(MEASURED)}
        unit = engine.unit_values[fills["instrument"]]
        lots = np.where(fills["long"], fills["lots"], -fills["lots"])
        amount, nothing = charged["amount"][mine].astype(np.float64), np.zeros(len(payer))
        who, at = _distinct(np.concatenate([fills["counterparty"], payer]), len(self.seized))

        def by_account(of_fills: Float64Array, of_charges: Float64Array) -> Float64Array:
            sums = np.bincount(at, np.concatenate([of_fills, of_charges]), len(who))
            return sums.astype(np.float64, copy=False)

        cost = by_account(fills["value"] - lots * unit, -amount)
        # every fill is rounded to a whole atom, which takes nothing from anybody
        cost[np.abs(cost) <= by_account(np.ones(len(lots)), nothing)] = 0.0
        realized = by_account(fills["realized_pnl"].astype(np.float64), amount)
        profit, equity, among = self._endow(engine, who, cost, realized)
        self.seized[who] += np.maximum(cost, 0.0)
        self.closed[who] += by_account(fills["lots"] * np.abs(unit), nothing)
        self.tilted[who] -= by_account(lots * np.abs(unit), nothing)
        self.deleveraged[fills["counterparty"]] = True
        self.deleveraged[payer] = True
        gained = float(np.maximum(-cost, 0.0).sum())
        return {**told, "gained": gained, **_measured(np.maximum(cost, 0.0), profit, equity, among, deficit)}

    def _detected(self, report: Report) -> float:
        """Note who was liquidated and went bankrupt; returns by how much shortfalls grew."""
        found = report.columns("liquidations")
        who, lack = found["account"], found["shortfall"].astype(np.float64)
        grown = np.maximum(lack - self.lack[who], 0.0)
        self.liquidated[who] = True
        self.bankrupt[who[lack > 0]] = True
        self.lack[who] += grown
        self.owed[who] = 0.0
        left = report.columns("uncovered")
        self.owed[left["account"]] = left["amount"]
        return float(grown.sum())

    def _endow(
        self, engine: Engine, who: IntArray, cost: Float64Array, realized: Float64Array
    ) -> tuple[Float64Array, Float64Array, int]:
        """Note what winners had; returns profit and equity of some accounts, and how many might be asked."""
        equity = engine.estimates().equity
        profit = equity - engine.cash()
        equity[who] += cost
        profit[who] += cost + realized
        won = (profit > 0) & (equity > 0)
        np.maximum(self.profit, profit + self.seized, out=self.profit, where=won)
        among = int(np.count_nonzero(won)) + int(np.count_nonzero(~won[who]))
        won[who] = True
        np.maximum(self.equity, equity + self.seized, out=self.equity, where=won)
        return profit[who], equity[who], among

    @property
    def asked(self) -> BoolArray:
        """Accounts that might have been asked, or were."""
        return (self.profit > 0) | self.deleveraged

    def by_class(self, holders: Holders) -> pl.DataFrame:
        """What classes of winners paid, by leverage and size when the run began, and by profit.

        Returns
        -------
        DataFrame
            ``by``, ``from``, ``to`` (null: no end); ``accounts`` that might have been asked, and
            ``deleveraged`` ones; ``profit`` they had, ``seized`` and ``closed``, in atoms; ``paid``, what
            was seized over profit.
        """
        asked = np.flatnonzero(self.asked)
        kinds = {
            "leverage": (holders.leverage[asked], _LEVERAGE),
            "size": (holders.gross[asked] / holders.atoms, _MONEY),
            "profit": (self.profit[asked] / holders.atoms, _MONEY),
        }
        parts = []
        for name, (value, borders) in kinds.items():
            of = np.searchsorted(borders, value, side="right")
            count = len(borders) + 1
            money = {"profit": self.profit, "seized": self.seized, "closed": self.closed}
            sums = {key: np.bincount(of, each[asked], count) for key, each in money.items()}
            parts.append(
                pl.DataFrame(
                    {
                        "by": [name] * count,
                        "from": [0.0, *borders],
                        "to": [*borders, None],
                        "accounts": np.bincount(of, minlength=count),
                        "deleveraged": np.bincount(of, self.deleveraged[asked], count).astype(np.int64),
                        **sums,
                        "paid": sums["seized"] / np.maximum(sums["profit"], 1.0),
                    }
                )
            )
        return pl.concat(parts)

    def haircuts(self) -> pl.DataFrame:
        """How winners are spread over the share of their profit that was taken.

        Returns
        -------
        DataFrame
            ``from`` and ``to``, of the share: 0 to 0 is who paid nothing; then steps of a twentieth, without
            their lower and with their upper border; from 1 on (null: no end) who paid with money of their
            own. ``accounts`` that might have been asked; ``profit`` they had and ``seized``, in atoms.
        """
        asked = np.flatnonzero(self.asked)
        profit, seized = self.profit[asked], self.seized[asked]
        with np.errstate(over="ignore"):
            share = np.divide(seized, profit, out=np.where(seized > 0, np.inf, 0.0), where=profit > 0)
        of, count = np.searchsorted(_SHARES, share), len(_SHARES) + 1
        return pl.DataFrame(
            {
                "from": [0.0, *_SHARES],
                "to": [*_SHARES, None],
                "accounts": np.bincount(of, minlength=count),
                "profit": np.bincount(of, profit, count),
                "seized": np.bincount(of, seized, count),
            }
        )

    def largest(self, holders: Holders, accounts: pl.Series) -> pl.DataFrame:
        """The ten accounts from which most was taken; those of the same sum in the order of their ids.

        Returns
        -------
        DataFrame
            ``place`` from 1; ``account``; what was ``seized`` and ``closed``, and the most ``profit`` it had;
            ``equity``, ``gross`` and ``leverage`` when the run began. Money in atoms.
        """
        paid = np.flatnonzero(self.seized > 0)
        if len(paid) > _NAMED:  # all that come to the tenth sum, so that few have to be sorted
            paid = paid[self.seized[paid] >= np.partition(self.seized[paid], -_NAMED)[-_NAMED]]
        paid = paid[accounts.gather(paid).arg_sort().to_numpy()]
        who = paid[np.argsort(-self.seized[paid], kind="stable")][:_NAMED]
        return pl.DataFrame(
            {
                "place": np.arange(1, len(who) + 1),
                "account": accounts.gather(who),
                "seized": self.seized[who],
                "closed": self.closed[who],
                "profit": self.profit[who],
                "equity": holders.equity[who],
                "gross": holders.gross[who],
                "leverage": holders.leverage[who],
            }
        )

    def paid_own(self) -> int:
        """Accounts from which more was taken than all the profit they had."""
        return int(np.count_nonzero(self.seized > self.profit))

    def broken_hedges(self, holders: Holders) -> int:
        """Delta-neutral accounts of which deleveraging closed one side (see `NEUTRAL`)."""
        return int(np.count_nonzero(holders.neutral & (np.abs(self.tilted) > NEUTRAL * holders.gross)))


def _distinct(accounts: IntArray, count: int) -> tuple[IntArray, IntArray]:
    """Different ones among `count`, rising, and the place of each account in them."""
    if len(accounts) < count // 8:
        who, at = np.unique(accounts, return_inverse=True)
        return who, at
    among = np.zeros(count, np.bool_)
    among[accounts] = True
    return np.flatnonzero(among), (np.cumsum(among) - 1)[accounts]


def _measured(
    paid: Float64Array, profit: Float64Array, equity: Float64Array, among: int, deficit: float
) -> dict[str, float | None]:
    """The measures of one step, of those who paid among all winners."""
    total = float(paid.sum())
    return {
        "seized": total,
        "coverage": float(metrics.coverage(total, deficit)),
        "overshoot": float(metrics.overshoot(total, deficit)),
        "burden_profit": metrics.max_burden(paid, np.maximum(profit, 0.0)),
        "burden_equity": metrics.max_burden(paid, equity),
        "gini": metrics.gini(paid, among),
        "hhi": metrics.hhi(paid),
        "top_share": metrics.top_share(paid),
    }
