"""Calls that change an engine, drawn by number: the same number draws the same call for the same engine."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

import fastadl as fa
from fastadl.decimals import exact
from fastadl.errors import FastadlError, JournalError
from fastadl.recording.entries import outcome
from fastadl.recording.recorded import contents_of
from test_live import TIERS, batch, market

__all__ = ["POLICIES", "call", "made", "perform", "state"]

#: Settings under which everything that an engine remembers is in use.
POLICIES: list[dict[str, Any]] = [
    {},
    {"fund": "2000", "policy": "okx_2025"},
    {"fund": "300", "policy": {"space": "wealth", "socialization": "clawback", "session": 50}},
    {"fund": {"cash": "900", "max_drawdown": "0.4", "peak_window": 100, "daily_share": "0.5",
              "limits": {"S0": {"max_loss": "50.5", "daily_share": "0.1"}}}},
    {"fund": "5000", "policy": {"trigger": "drawdown", "drawdown_start": "0.1", "drawdown_scope": "symbol",
                                "drawdown_window": 90}},
    {"fund": "5000", "policy": {"trigger": "drawdown", "drawdown_reference": "mean"}},
    {"fund": "700", "liquidity": {"depth": {"S0": "20", "S2": "9"}, "slippage": "0.01", "fee": "0.002",
                                  "surplus": "fund", "slice": "0.3", "slice_above": "40", "cooldown": 20}},
]  # fmt: skip


def made(seed: int = 0, **options: Any) -> dict[str, Any]:
    """What `Engine` and `LiveEngine.create` take, for a small market of one owner."""
    instruments, accounts, positions = market(seed=seed).to_frames()
    book = fa.Book.from_frames(instruments, accounts.with_columns(owner=pl.lit("one")), positions)
    return {"book": book, "policy": "bitmex", "fund": "1000", **options}


def perform(engine: fa.Engine, number: int, seed: int = 0) -> tuple[str, dict[str, Any] | str]:
    """Do call `number`: its name, and what came of it or why it was refused."""
    name, given = call(engine, np.random.default_rng([seed, number]))
    try:
        return name, outcome(getattr(engine, name)(**given))
    except JournalError:
        raise
    except FastadlError as error:
        return name, str(error)


def call(engine: fa.Engine, random: np.random.Generator) -> tuple[str, dict[str, Any]]:
    names = [name for name, weight in _CALLS.items() for _ in range(weight)]
    if engine._doomed is not None:
        names = ["deleverage", "deleverage", "apply_fills"]
    elif engine._tick is not None:
        names += ["settle", "order_liquidations", "takeover", "deleverage", "deleverage"] * 6
    name = str(random.choice(names))
    return name, globals()[f"_{name}"](engine, random)


_CALLS = {
    "tick": 12, "mark": 8, "apply_fills": 14, "deposit": 4, "withdraw": 4, "pay_funding": 4,
    "open_accounts": 3, "list_instruments": 1, "set_tiers": 4, "set_flags": 2, "settle_instrument": 1,
    "order_liquidations": 3, "cancel_orders": 2, "settle": 4, "takeover": 1, "deleverage": 2,
    "deleverage_account": 6, "liquidations": 2, "transfer": 3,
}  # fmt: skip


def _moved(engine: fa.Engine, random: np.random.Generator) -> Any:
    marks = np.where(np.isnan(engine.marks), 10.0, engine.marks)
    prices = np.clip(marks * random.choice([0.8, 0.97, 1.0, 1.03, 1.2], len(marks)), 1, 500)
    if random.random() < 0.3:
        return prices
    pairs = zip(engine.symbols, prices, strict=True)
    return {symbol: random.choice([str(round(p, 3)), Decimal(f"{p:.2f}")]) for symbol, p in pairs}


def _tick(engine: fa.Engine, random: np.random.Generator) -> dict[str, Any]:
    given = {"prices": _moved(engine, random), "time": engine._time + int(random.integers(0, 40))}
    if random.random() < 0.5:
        given["oracle"] = {"S0": "11.5", "S2": Decimal("9.75")}
    return given


def _mark(engine: fa.Engine, random: np.random.Generator) -> dict[str, Any]:
    return _tick(engine, random)


def _apply_fills(engine: fa.Engine, random: np.random.Generator) -> dict[str, Any]:
    fills = batch(random, _AtMarks(engine), int(random.integers(1, 20)))
    if random.random() < 0.9:
        traded = ~engine.book.instruments.delisted[fills["symbol"]]
        fills = {name: column[traded] for name, column in fills.items()}
    names = engine.accounts.gather(fills["account"])
    kind = random.integers(0, 4)
    if kind == 1:
        return {"fills": pl.DataFrame(fills)}
    if kind == 2:
        return {"fills": pl.DataFrame(fills).with_columns(account=names).lazy()}
    if kind == 3:
        return {"fills": {**fills, "account": names.to_list(), "fee_atoms": fills["fee_atoms"].tolist()}}
    return {"fills": fills}


class _AtMarks:
    """What `batch` reads of a book, at present marks."""

    def __init__(self, engine: fa.Engine) -> None:
        self.accounts = engine.accounts
        pairs = zip(engine.book.instruments, engine.marks, strict=True)
        self.instruments = [_Marked(item, mark) for item, mark in pairs]


class _Marked:
    def __init__(self, item: fa.Instrument, mark: float) -> None:
        self.mark = 10.0 if np.isnan(mark) else mark
        self._item = item

    def unit_value(self, mark: float) -> Any:
        return self._item.unit_value(exact(float(mark)))


def _account(engine: fa.Engine, random: np.random.Generator) -> str:
    return str(engine.accounts[int(random.integers(len(engine.accounts)))])


def _deposit(engine: fa.Engine, random: np.random.Generator) -> dict[str, Any]:
    amounts = [Decimal("12.5"), "0.000001"] if random.random() < 0.5 else [7, 1.25]
    return {"transfers": {"account": [_account(engine, random) for _ in amounts], "amount": amounts}}


def _withdraw(engine: fa.Engine, random: np.random.Generator) -> dict[str, Any]:
    codes = random.integers(0, len(engine.accounts), 2).astype(np.int32)
    return {"transfers": {"account": codes, "amount_atoms": random.integers(1, 10**8, 2)}}


def _transfer(engine: fa.Engine, random: np.random.Generator) -> dict[str, Any]:
    source, target = (_account(engine, random) for _ in range(2))
    return {"moves": {"source": [source], "target": [target], "amount": ["1.5"]}}


def _pay_funding(engine: fa.Engine, random: np.random.Generator) -> dict[str, Any]:
    return {"rates": {"S0": "0.0012", "S1": Decimal("-0.0007"), "S3": 0.001}}


def _open_accounts(engine: fa.Engine, random: np.random.Generator) -> dict[str, Any]:
    ids = [f"n{len(engine.accounts)}-{random.integers(1000)}", f"n{len(engine.accounts)}"]
    return {"accounts": {"id": ids, "cash": ["250.25", "0"], "adl_tier": np.array([0, 2])}}


def _list_instruments(engine: fa.Engine, random: np.random.Generator) -> dict[str, Any]:
    mark = [None, "10"][int(random.integers(2))]
    return {
        "instruments": {
            "symbol": [f"S{len(engine.symbols)}"], "kind": ["linear"], "contract_size": ["1"], "lot": ["1"],
            "tiers": [TIERS], "mark": [mark],
        }
    }  # fmt: skip


def _set_tiers(engine: fa.Engine, random: np.random.Generator) -> dict[str, Any]:
    symbols = random.choice(engine.symbols, 3, replace=False)
    rate = random.choice(["0.02", "0.15", "0.3", "0.6"])
    return {"tiers": {str(symbol): [{"min_notional": "0", "maintenance_rate": rate}] for symbol in symbols}}


def _set_flags(engine: fa.Engine, random: np.random.Generator) -> dict[str, Any]:
    flags = {"account": [_account(engine, random)], "exempt": [bool(random.integers(2))]}
    return {"flags": flags if random.random() < 0.5 else {**flags, "adl_tier": np.array([3])}}


def _settle_instrument(engine: fa.Engine, random: np.random.Generator) -> dict[str, Any]:
    return {"symbol": str(random.choice(engine.symbols)), "price": Decimal("9.875")}


def _order_liquidations(engine: fa.Engine, random: np.random.Generator) -> dict[str, Any]:
    parts = {"slice": "0.4", "slice_above": {"USD": Decimal("0.5")}, "least": 2}
    return parts if random.random() < 0.5 else {}


def _cancel_orders(engine: fa.Engine, random: np.random.Generator) -> dict[str, Any]:
    orders = engine.orders()["order"]
    return {"numbers": orders.head(1).to_list()} if random.random() < 0.5 else {}


def _settle(engine: fa.Engine, random: np.random.Generator) -> dict[str, Any]:
    orders = engine.orders().head(3)
    if not len(orders):
        return {}
    marks = dict(zip(engine.symbols, engine.marks.tolist(), strict=True))
    return {
        "executions": orders.select(
            "account", "symbol", "side", (pl.col("lots") + 1) // 2, "order",
            price=pl.col("symbol").replace_strict(marks),
            counterparty=pl.lit(random.choice([_account(engine, random), "fund", "market"])),
        )
    }  # fmt: skip


def _takeover(engine: fa.Engine, random: np.random.Generator) -> dict[str, Any]:
    return {}


def _deleverage(engine: fa.Engine, random: np.random.Generator) -> dict[str, Any]:
    return {}


def _liquidations(engine: fa.Engine, random: np.random.Generator) -> dict[str, Any]:
    return {}


def _deleverage_account(engine: fa.Engine, random: np.random.Generator) -> dict[str, Any]:
    rows = engine.book.to_frames()[2]
    row = rows.row(int(random.integers(len(rows))), named=True)
    side = "long" if row["lots"] > 0 else "short"
    price = str(random.choice(["mark", "previous_mark", "oracle"]))
    return {"account": row["account"], "symbol": row["symbol"], "side": side, "lots": 1, "price": price}


def state(engine: fa.Engine) -> dict[str, Any]:
    """All that an engine is, in the middle of a tick as well."""
    tick, doomed = engine._tick, engine._doomed
    within = None if tick is None else (tick.number, tick.time, tick.lists, tick.open_rows, tick.fund_before)
    return {
        **contents_of(engine.copy()),
        "totals": repr(engine._totals),
        "laws": [engine._fills_lawful, engine._closed_at_zero],
        "within": repr(within),
        "doomed": repr(doomed and (doomed.owner, doomed.left)),
    }
