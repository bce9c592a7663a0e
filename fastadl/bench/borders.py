"""Other systems' words into a book and back: ccxt's positions, Hyperliquid's fills."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from fastadl import Book, Engine, synth
from fastadl.bench.loads import Loads
from fastadl.bench.registry import Group, Work
from fastadl.borders import ccxt, hyperliquid
from fastadl.contracts import Kind
from fastadl.decimals import plain

__all__ = ["BORDERS"]

#: The sizes that are named; a smaller run takes fewer.
_POSITIONS, _FILLS = 100_000, 7_000
_USERS, _COINS = 500, 20


class Foreign(NamedTuple):
    """A book in ccxt's structures, and the lines of a node."""

    engine: Engine
    positions: dict[str, list[dict[str, Any]]]
    isolated: dict[str, list[dict[str, Any]]]
    markets: dict[str, dict[str, Any]]
    tiers: dict[str, Any]
    cash: dict[str, dict[str, float]]
    lines: list[str]


def _foreign(loads: Loads) -> Foreign:
    count = min(loads.positions, _POSITIONS)
    book = synth.book("pareto", positions=count, accounts=max(count * 4 // 10, 1), instruments=300, seed=1)
    engine = Engine(book)
    engine.mark({item.symbol: item.mark for item in book.instruments})
    positions = ccxt.positions(engine)
    alone = {name: [{**each, "marginMode": "isolated"} for each in held] for name, held in positions.items()}
    markets = {
        item.symbol: {
            "symbol": item.symbol,
            "settle": item.currency,
            "linear": item.kind is Kind.LINEAR,
            "inverse": item.kind is Kind.INVERSE,
            "contractSize": float(item.contract_size),
            "precision": {"amount": float(item.lot)},
        }
        for item in book.instruments
    }
    ids, atoms = book.accounts.to_list(), book.cash.tolist()
    currency = book.instruments.currencies[0]
    cash = {name: {currency: value / 10**6} for name, value in zip(ids, atoms, strict=True)}
    tiers = ccxt.leverage_tiers(book.instruments)
    return Foreign(engine, positions, alone, markets, tiers, cash, _lines(min(loads.positions, _FILLS)))


def _lines(count: int) -> list[str]:
    """Fills of users who trade at random, as a node writes them, whose profits are those of average cost."""
    rng = np.random.default_rng(1)
    held: dict[tuple[int, int], tuple[Fraction, Fraction]] = {}
    lines = []
    for time in range(count):
        key = int(rng.integers(_USERS)), int(rng.integers(_COINS))
        change = Fraction(int(rng.choice([-1, 1]) * rng.integers(1, 1000)), 100)
        price = Fraction(int(rng.integers(9_000, 11_000)), 100)
        size, entry = held.get(key, (Fraction(0), Fraction(0)))
        closed = -min(change, -size, key=abs) if size * change < 0 else Fraction(0)
        released = entry * closed / size if size else Fraction(0)
        opened = change + closed
        held[key] = size + change, entry - released + opened * price
        fill = {"coin": f"C{key[1]}", "px": plain(price), "sz": plain(abs(change)), "time": time, "tid": time}
        fill |= {"side": "B" if change > 0 else "A", "startPosition": plain(size), "dir": "", "fee": "0.01"}
        fill["closedPnl"] = f"{float(closed * price - released):.6f}"
        lines.append(json.dumps([f"0x{key[0]:040x}", fill]))
    return lines


BORDERS = Group(
    "borders",
    "other systems' words",
    "What it takes to read and to write a book in the structures other systems have.",
    "position",
    _foreign,
    several="ways in and out",
)


def _incoming(foreign: Foreign, positions: Mapping[str, Any]) -> Work:
    def check(book: Book) -> None:
        assert len(book) == len(foreign.engine.book)

    def run() -> Book:
        return ccxt.book(positions, foreign.markets, foreign.tiers, cash=foreign.cash)

    return Work(run, len(foreign.engine.book), check=check)


_IN = "fetching the positions"


@BORDERS.case(
    "fastadl, ccxt cross positions", left_out=_IN, held_back="a dozen look-ups in a dict a position"
)
def _cross(foreign: Foreign) -> Work:
    """Positions of ccxt's unified keys, up to a hundred thousand, checked one by one into a book."""
    return _incoming(foreign, foreign.positions)


@BORDERS.case(
    "fastadl, ccxt isolated positions", left_out=_IN, held_back="as above; every position is an account"
)
def _isolated(foreign: Foreign) -> Work:
    """The same, isolated: every position's cash is worked out exactly from its collateral and profit."""
    return _incoming(foreign, foreign.isolated)


@BORDERS.case("fastadl, ccxt positions out", left_out="the mark", held_back="a dict of 28 keys a position")
def _outgoing(foreign: Foreign) -> Work:
    """All positions of a marked engine in ccxt's unified keys."""

    def check(found: dict[str, list[dict[str, Any]]]) -> None:
        assert sum(map(len, found.values())) == len(foreign.engine.book)

    return Work(ccxt.positions, len(foreign.engine.book), (foreign.engine,), check=check)


@BORDERS.case(
    "fastadl, Hyperliquid fills",
    unit="fill",
    left_out="the disk",
    held_back="JSON and fractions, line by line",
)
def _fold(foreign: Foreign) -> Work:
    """Lines of JSON, up to seven thousand, folded into positions, every start and profit reconciled."""

    def check(folded: hyperliquid.Folded) -> None:
        assert folded.fills == folded.profits == len(foreign.lines)
        assert folded.differences.is_empty()

    return Work(hyperliquid.fold, len(foreign.lines), (foreign.lines,), check=check)
