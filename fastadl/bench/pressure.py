"""The pressure curve of a whole book, beside a mark for every shock."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastadl import Engine
from fastadl.bench.loads import Load, Loads
from fastadl.bench.mark import scan_arguments
from fastadl.bench.registry import Group, Work
from fastadl.kernels.mark import scan
from fastadl.stress.pressure import SHOCKS, pressure

__all__ = ["PRESSURE"]

_ROUNDS = 5
#: Every so many shocks are held against what an engine finds.
_SOME = 10


class Curve(NamedTuple):
    """The calm book in an engine, and how many of its accounts are bankrupt at some shocks."""

    load: Load
    engine: Engine
    bankrupt: list[int]

    @property
    def positions(self) -> int:
        """How many."""
        return len(self.load.book)


def _curve(loads: Loads) -> Curve:
    load, engine = loads.calm, Engine(loads.calm.book)
    bankrupt = [engine.mark(load.before * (1.0 + shock)).bankrupt for shock in SHOCKS[::_SOME]]
    engine.mark(load.before)
    return Curve(load, engine, bankrupt)


PRESSURE = Group(
    "pressure",
    "the ADL pressure curve",
    f"What one jump of all prices, of {len(SHOCKS)} sizes from −50 % to +50 %, would leave: who falls, the "
    "shortfall of every row, and lots beyond the fund, by instrument.",
    "position",
    _curve,
)


def _work(curve: Curve, **arguments: Any) -> Work:
    rows = curve.engine._state.book.rows
    moved = 2 * int(rows.lots.nbytes + rows.leg.nbytes + rows.entry.nbytes + rows.cash.nbytes)
    return Work(lambda: pressure(curve.engine, **arguments), curve.positions, moved=moved)


@PRESSURE.case(
    "fastadl",
    left_out="building the book",
    held_back="arithmetic, not memory: every account is worked out at every shock, all packed, and each row "
    "of a bankrupt one is added to five sums a shock, in tables as large as the second-level cache",
    rounds=_ROUNDS,
)
def _ours(curve: Curve) -> Work:
    """stress.pressure: all tiers, every account at every shock, twice; frames included."""
    work = _work(curve)

    def check(found: Any) -> None:
        assert found.frame["bankrupt"].to_list()[::_SOME] == curve.bankrupt

    return Work(work.run, work.units, moved=work.moved, check=check)


@PRESSURE.case("fastadl, one instrument", left_out="building the book", rounds=_ROUNDS)
def _alone(curve: Curve) -> Work:
    """The same with the largest market shocked alone."""
    return _work(curve, symbol=curve.engine.symbols[0])


@PRESSURE.case(
    "fastadl, a mark for every shock", left_out="shortfalls, lots, notional, the fund", rounds=1, warm=False
)
def _marks(curve: Curve) -> Work:
    """Engine.mark at each of the shocks: exact, but it tells no more than who falls."""
    engine, before = curve.engine, curve.load.before

    def run() -> list[int]:
        return [engine.mark(before * (1.0 + shock)).bankrupt for shock in SHOCKS]

    def check(found: Any) -> None:
        assert found[::_SOME] == curve.bankrupt
        engine.mark(before)

    return Work(run, curve.positions, check=check)


@PRESSURE.case("fastadl, one mark pass", left_out="everything but the streaming pass", rounds=20)
def _pass(curve: Curve) -> Work:
    """The kernel of the mark pass over the same book, as a measure."""
    return Work(scan, curve.positions, scan_arguments(curve.engine))


@PRESSURE.case(
    "numpy", left_out="margin beyond first tiers, hedges, the fund, sums by instrument", rounds=1, warm=False
)
def _numpy(curve: Curve) -> Work:
    """For each shock a gather and two bincounts, then who is below and by how much; one thread."""
    table, accounts, rows = curve.load.book.columns()
    held = rows.account >= 0
    account, instrument = rows.account[held], rows.instrument[held]
    lots = rows.lots[held].astype(np.float64)
    base = accounts.cash - np.bincount(account, rows.entry_value[held].astype(np.float64), len(accounts.cash))
    unit = np.array([float(item.scale) for item in table]) * curve.load.before
    rate = np.array([float(item.tiers[0].maintenance_rate) for item in table])

    def run() -> list[tuple[int, int, float]]:
        found = []
        for shock in SHOCKS:
            value = lots * (unit * (1.0 + shock))[instrument]
            equity = base + np.bincount(account, value, len(base))
            needed = np.bincount(account, np.abs(value) * rate[instrument], len(base))
            below, bankrupt = equity < needed, equity < 0.0
            found.append((int(below.sum()), int(bankrupt.sum()), -float(equity[bankrupt].sum())))
        return found

    def check(found: Any) -> None:
        pairs = zip(found[::_SOME], curve.bankrupt, strict=True)
        assert max(abs(bankrupt - ours) for (_, bankrupt, _), ours in pairs) <= 2

    return Work(run, curve.positions, check=check)
