"""What the engine tests share: books by hand, an engine's whole state as bytes, its totals."""

from __future__ import annotations

from collections import defaultdict
from io import BytesIO
from typing import Any

import polars as pl

from fastadl import Book, Engine

RATE = [{"min_notional": "0", "maintenance_rate": "0.01"}]


def book(
    positions: str, *, cash: dict[str, str], listed: dict[str, Any] | None = None, **accounts: Any
) -> Book:
    """A book from lines ``account symbol qty entry_price``; X unless more is listed."""
    table: dict[str, list[Any]] = defaultdict(list)
    for symbol, given in (listed or {"X": {}}).items():
        usual = {"kind": "linear", "contract_size": "1", "lot": "1", "tiers": RATE, "mark": None}
        money = {"currency": "USD", "decimals": 8 if given.get("currency") == "BTC" else 2}
        for name, value in {"symbol": symbol, **usual, **money, **given}.items():
            table[name].append(value)
    rows = [line.split() for line in positions.splitlines() if line]
    names = ("account", "symbol", "qty", "entry_price")
    return Book.from_frames(
        dict(table),
        {"id": list(cash), "cash": list(cash.values()), **accounts},
        {name: [row[i] for row in rows] for i, name in enumerate(names)},
    )


def ipc(frame: pl.DataFrame) -> bytes:
    """A frame as bytes: names, dtypes and every value."""
    buffer = BytesIO()
    frame.rechunk().write_ipc(buffer)
    return buffer.getvalue()


def state_of(engine: Engine) -> dict[str, bytes | str]:
    """All that can be read of an engine."""
    names = ("instruments", "accounts", "positions", "reserves")
    frames = (*engine.book.to_frames(), engine.reserves())
    return {
        **{name: ipc(frame) for name, frame in zip(names, frames, strict=True)},
        "orders": ipc(engine._state.orders.frame()),
        "marks": engine.marks.tobytes(),
        "checks": repr(engine.check()),
        "ticks": repr(engine),
    }


def totals(engine: Engine) -> tuple[dict[str, int], dict[str, int]]:
    """Laws 1 and 2 from frames: Σ lots by symbol, Σ (cash − entry value) by currency."""
    instruments, accounts, positions = engine.book.to_frames()
    lots, money = dict.fromkeys(instruments["symbol"], 0), defaultdict(int)
    currency = dict(instruments.select("symbol", "currency").iter_rows())
    for _, symbol, held, entry in positions.iter_rows():
        lots[symbol] += held
        money[currency[symbol]] -= entry
    for frame, cash in ((accounts, "cash_atoms"), (engine.reserves(), "cash")):
        for code, atoms in frame.select("currency", cash).iter_rows():
            money[code] += atoms
    return lots, dict(money)


def cash(engine: Engine) -> dict[str, int]:
    """Cash of every account in atoms."""
    return dict(engine.book.to_frames()[1].select("id", "cash_atoms").iter_rows())


def lots(engine: Engine) -> dict[tuple[str, str], int]:
    """Signed lots of every row; of a hedge, the short one."""
    rows = engine.book.to_frames()[2].iter_rows()
    return {(account, symbol): held for account, symbol, held, _ in rows}
