"""FLOX (lrvx): the engine detects, closes, lets the fund pay and scores; whole winners absorb what is left.

The engine's own deleveraging matches lots, so it closes less of the same winners: the first of them must be
the same.
"""

from __future__ import annotations

import re
from typing import Any

import fastadl as fa
from adapters.compare import Record
from adapters.exchange import exchange, linear, lot_of, text
from adapters.registry import model
from fastadl import Engine, Report
from fastadl.decimals import exact
from fastadl.published import flox

_BASIS_POINTS, _MILLION = 10_000, 10**6


@fa.score
def pnl_ratio(c: Any) -> float:
    """Unrealised profit over posted collateral."""
    return c.profit / c.cash


@fa.score
def profit_times_leverage(c: Any) -> float:
    """Profit times notional over collateral, in units of the currency."""
    return c.profit * c.value / c.cash / c.one


_SCORES = {
    "pnl_ratio": pnl_ratio,
    "binance": profit_times_leverage,
    "bybit": profit_times_leverage,
    "position_size": "size",
}


@model("deficit_absorption_ranked")
def deficit_absorption_ranked(case: dict[str, Any]) -> dict[str, Any]:
    market = _Market(case)
    engine = market.engine("none", liquidity=True)
    first = None
    for number, mark in enumerate(market.marks):
        report = engine.tick(dict.fromkeys(engine.symbols, text(mark)))
        winners = market.winners(engine, report)
        deficit = exact(sum(report.uncovered["amount"])) / _MILLION
        taken = flox.absorb(deficit, winners if case["request"].get("adl_enabled", True) else [])
        if taken.closed and first is None:
            first = number
    closed = dict(taken.closed)
    if closed and len(engine.symbols) == 1:
        assert market.first_by_lots() == next(iter(closed))
    equity = dict(zip(map(int, engine.accounts), engine.equity().tolist(), strict=True))
    holders = [who for who in engine.book.to_frames()[2]["account"] if who != "market"]
    return {
        "liquidated": sorted(map(int, report.liquidations["account"])),
        "adl": list(closed),
        "absorbed": list(closed.values()),
        "first_adl_tick": first,
        "unpaid_deficit": taken.unpaid,
        "scores": Record({str(winner.account): winner.score for winner in winners}),
        "final_equity": Record(
            {str(who): exact(atoms) / _MILLION - closed.get(who, 0) for who, atoms in equity.items()}
        ),
        "positions_left": [int(who) for who in holders if int(who) not in closed],
        "insurance_delta": exact(-sum(report.fund_payments["amount"])) / _MILLION,
        "insurance_fund": exact(engine.reserves()["cash"][0]) / _MILLION,
    }


class _Market:
    """The positions of a case; one symbol for each tier of margin that they are in.

    FLOX takes the rate of one tier for all of a position's notional, the engine the largest margin of all
    tiers (rule R4): so every tier is an instrument of its own, with one rate.
    """

    def __init__(self, case: dict[str, Any]) -> None:
        self.contract, self.fund = case["contract"], case["insurance_fund"]
        self.score = _SCORES[case["request"].get("ranking", "pnl_ratio")]
        self.marks = _marks(case)
        self.positions = {f"{each['account']:09}": each for each in case["positions"]}
        self.lot = lot_of(*(each["qty"] for each in case["positions"]))
        self.symbol = {name: self._tier(each) for name, each in self.positions.items()}

    def _tier(self, position: dict[str, Any]) -> str:
        notional = abs(exact(position["qty"])) * exact(self.marks[-1]) * exact(self.contract["multiplier"])
        reached = [
            place for place, (least, _) in enumerate(self.contract["mm_tiers"]) if notional >= exact(least)
        ]
        return f"X{reached[-1]}"

    def engine(self, trigger: str, *, liquidity: bool) -> Engine:
        """With liquidity: a book that takes everything at mark, less the slippage."""
        size = exact(self.contract["multiplier"])
        listed = {
            symbol: linear(self.lot, rate=self.contract["mm_tiers"][int(symbol[1:])][1])
            | {"contract_size": size}
            for symbol in sorted(set(self.symbol.values()))
        }
        rows = [
            (name, self.symbol[name], each["qty"], exact(each["qty"]) * exact(each["entry"]) * size)
            for name, each in self.positions.items()
        ]
        depth = sum(abs(exact(each["qty"])) for each in self.positions.values())
        slippage = exact(self.contract["liquidation_slippage_bps"]) / _BASIS_POINTS
        book = {"model": "fixed", "depth": dict.fromkeys(listed, text(depth)), "slippage": text(slippage)}
        return exchange(
            listed,
            {name: each["collateral"] for name, each in self.positions.items()},
            rows,
            policy={"trigger": trigger, "score": self.score},
            fund=text(self.fund),
            liquidity=book if liquidity else None,
        )

    def winners(self, engine: Engine, report: Report) -> list[flox.Winner]:
        """Everybody on the other side of what was liquidated, as the engine scores him."""
        unit = float(self.lot) if self.score == "size" else 1.0
        closed = set(report.executions["side"])
        sides = [other for side, other in (("long", "short"), ("short", "long")) if side in closed]
        lines = (
            line
            for symbol in engine.symbols
            for side in sides
            for line in engine.rank(symbol, side).iter_rows(named=True)
        )
        return [
            flox.Winner(int(line["account"]), line["score"] * unit, exact(line["unrealized_pnl"]) / _MILLION)
            for line in lines
        ]

    def first_by_lots(self) -> int:
        """Whom the engine's own deleveraging closes first."""
        engine = self.engine("bankrupt", liquidity=False)
        for mark in self.marks:
            report = engine.tick(dict.fromkeys(engine.symbols, text(mark)))
        return int(report.adl_fills["counterparty"][0])


def _marks(case: dict[str, Any]) -> list[object]:
    """All marks; those before the last stand only in the words of a case."""
    told = re.search(r"ticks: ([^;]*)", case.get("note", ""))
    if told is None:
        return [case["mark_price"]]
    return re.findall(r"\d+(?:\.\d+)?", re.sub(r"\([^)]*\)", "", told[1]))
