"""The state just before a deleveraging, as the tables that are published of it (rule R115)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from fastadl.book import slots_of
from fastadl.decimals import plain
from fastadl.engine import Engine
from fastadl.engine.bankruptcy import Bankruptcies
from fastadl.engine.by_hand import Order, terms
from fastadl.engine.fund_rules import WHOLE
from fastadl.engine.state import FUND, State
from fastadl.kernels.layout import expand
from fastadl.policy import AdlPolicy
from fastadl.schema import FUND as FUND_NAME
from fastadl.schema import Int64Array, IntArray

__all__ = ["Before", "by_hand_before", "tables_of", "tick_before"]


@dataclass(frozen=True, slots=True)
class Before:
    """What the takeover, or the event itself, is going to change.

    Attributes
    ----------
    slots : int32 (accounts)
        Accounts that may be bankrupt.
    cash : int64 (accounts)
    start, leg, lots, entry : int64 (accounts + 1), and by row
        Their open rows.
    open_lots : int64 (legs)
        Of all traders.
    funds, fund_rows : DataFrame
        See `fastadl.auditing.verify.Fund`.
    order : Order, optional
        Of a close by hand; its policy.
    """

    slots: IntArray
    cash: Int64Array
    start: Int64Array
    leg: Int64Array
    lots: Int64Array
    entry: Int64Array
    open_lots: Int64Array
    funds: pl.DataFrame
    fund_rows: pl.DataFrame
    order: Order | None = None
    terms: AdlPolicy | None = None


def tick_before(engine: Engine) -> Before:
    """Of a tick whose takeover comes next; begins one if none is in progress, as that would."""
    engine.liquidations()
    assert engine._tick is not None
    slots = engine._state.book.slot[engine._tick.accounts]
    return _before(engine, slots, None, None)


def by_hand_before(engine: Engine, given: Mapping[str, Any]) -> Before:
    """Of a close by hand that comes next (rule R98)."""
    call = dict.fromkeys(("side", "lots", "price", "counterparties")) | dict(given)
    policy = terms(engine.policy, call.pop("price"))
    order = Order.of(engine._state, **call)
    return _before(engine, engine._state.book.slot[[order.account]], order, policy)


def _before(engine: Engine, slots: IntArray, order: Order | None, policy: AdlPolicy | None) -> Before:
    state = engine._state
    rows = state.book.rows
    start, row = expand(rows, slots)
    currencies = state.instruments.currencies
    rules = engine._rules
    idle = order is not None
    funds = {
        "currency": list(currencies),
        "cash": [int(cash) for cash in state.reserve_cash[FUND]],
        "floor": ["0" if idle else plain(rule.floor()) for rule in rules],
        "resting": [WHOLE in rule.memory.resting for rule in rules],
        "rule": ["stated" if rule.row_by_row else "R27" for rule in rules],
    }
    held, paid = state.book.reserve_lots[FUND], state.book.reserve_entry[FUND]
    some = np.flatnonzero((held != 0) | (paid != 0))
    accounts = pl.Series([FUND_NAME] * len(some), dtype=pl.String)
    fund_rows = _positions(state, accounts, 2 * some + (held[some] < 0), held[some], paid[some])
    return Before(
        slots=slots,
        cash=rows.cash[slots],
        start=start,
        leg=rows.leg[row].astype(np.int64),
        lots=rows.lots[row].astype(np.int64),
        entry=rows.entry[row],
        open_lots=state.open_lots(),
        funds=pl.DataFrame(funds),
        fund_rows=fund_rows,
        order=order,
        terms=policy,
    )


def tables_of(
    engine: Engine, before: Before, untouched: bool
) -> tuple[dict[str, Any], dict[str, pl.DataFrame]]:
    """Manifest and tables of an event, but for what came of it.

    Parameters
    ----------
    engine : Engine
        After the takeover and before the deleveraging, or before a close by hand.
    before : Before
    untouched : bool
        Whether nothing but executions can have changed accounts since they were detected.
    """
    state, order = engine._state, before.order
    if order is None:
        assert engine._doomed is not None
        assert engine._tick is not None
        bankrupt, legs = _to_close(engine._doomed)
        number = engine._tick.number
        lists = engine._tick.lists
        untouched = untouched and not lists["executions"] and not lists["fees"]
        takeovers, payments = engine._tick.columns("takeovers"), engine._tick.columns("fund_payments")
    else:
        bankrupt, legs, number = before.slots, np.array([order.leg ^ 1]), engine._next()
        takeovers = payments = {}
    manifest = {
        "tick": number,
        "policy": (before.terms or engine.policy).choices(),
        "currencies": dict(zip(state.instruments.currencies, state.instruments.decimals, strict=True)),
        "as_detected": untouched,
        "by_hand": None if order is None else _by_hand(state, order),
    }
    others = _on(state, legs, bankrupt)
    ids = state.book.accounts
    names = ids.gather(state.book.rows.account[bankrupt].astype(np.uint32))
    instruments, tiers = _instruments(state, before.open_lots)
    tables = {
        "instruments": instruments,
        "tiers": tiers,
        "accounts": pl.concat([_was(state, before, bankrupt)[0], _accounts(state, others)]),
        "positions": pl.concat([_was(state, before, bankrupt)[1], _rows(state, others), before.fund_rows]),
        "bankrupt": pl.DataFrame({"account": names}),
        "funds": before.funds,
        "takeovers": _taken(state, takeovers),
        "payments": _paid(state, payments),
    }
    return manifest, {name: frame.select(pl.all().cast(pl.String)) for name, frame in tables.items()}


def _to_close(doomed: Bankruptcies) -> tuple[IntArray, IntArray]:
    """Bankrupt accounts, and the legs that stand on the other side of what is left of them."""
    left = doomed.work.leg[doomed.left > 0].astype(np.int64)
    return doomed.work.slot, np.unique(left ^ 1)


def _on(state: State, legs: IntArray, but: IntArray) -> IntArray:
    """Slots of all who hold a row of some legs, but for some."""
    rows = state.book.rows
    held = np.flatnonzero(np.isin(rows.leg, legs) & (rows.lots != 0))
    return np.setdiff1d(slots_of(rows, held), but)


def _by_hand(state: State, order: Order) -> dict[str, Any]:
    ids, named = state.book.accounts, order.counterparties
    return {
        "account": ids[order.account],
        "symbol": state.instruments.symbols[order.leg >> 1],
        "side": "short" if order.leg & 1 else "long",
        "lots": order.lots,
        "counterparties": None if named is None else ids.gather(named.astype(np.uint32)).to_list(),
    }


def _accounts(state: State, slots: IntArray, cash: Int64Array | None = None) -> pl.DataFrame:
    book = state.book
    account = book.rows.account[slots]
    currencies = pl.Series(state.instruments.currencies, dtype=pl.String)
    spared = np.where(book.exempt[account], "exempt", "")
    spared = np.where(state.orders.among(account), "in_liquidation", spared)
    return pl.DataFrame(
        {
            "account": book.accounts.gather(account.astype(np.uint32)),
            "currency": currencies.gather(book.currency[account].astype(np.uint32)),
            "cash": book.rows.cash[slots] if cash is None else cash,
            "margin_mode": pl.Series(np.where(book.isolated[account], "isolated", "cross"), dtype=pl.String),
            "adl_tier": book.adl_tier[account].astype(np.int64),
            "spared": pl.Series(spared, dtype=pl.String),
            "place": book.rank[account].astype(np.int64),
            "given": account.astype(np.int64),
        }
    )


def _rows(state: State, slots: IntArray) -> pl.DataFrame:
    rows = state.book.rows
    start, row = expand(rows, slots)
    names = _names(state, np.repeat(rows.account[slots], np.diff(start)))
    return _positions(state, names, rows.leg[row], rows.lots[row].astype(np.int64), rows.entry[row])


def _was(state: State, before: Before, slots: IntArray) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Some accounts, and their rows, as they were before."""
    place = {slot: i for i, slot in enumerate(before.slots.tolist())}
    of = np.array([place[slot] for slot in slots.tolist()], np.int64)
    spans = [np.arange(before.start[i], before.start[i + 1]) for i in of]
    row = np.concatenate([np.empty(0, np.int64), *spans])
    names = _names(state, np.repeat(state.book.rows.account[slots], [len(span) for span in spans]))
    positions = _positions(state, names, before.leg[row], before.lots[row], before.entry[row])
    return _accounts(state, slots, before.cash[of]), positions


def _positions(
    state: State, names: pl.Series, leg: IntArray, lots: Int64Array, entry: Int64Array
) -> pl.DataFrame:
    return pl.DataFrame(
        {"account": names, **_leg(state, leg >> 1, leg & 1 == 0), "lots": np.abs(lots), "entry_value": entry}
    )


def _leg(state: State, instrument: IntArray, long: Any) -> dict[str, pl.Series]:
    symbols = pl.Series(state.instruments.symbols, dtype=pl.String)
    side = pl.Series(np.where(long, "long", "short"), dtype=pl.String)
    return {"symbol": symbols.gather(instrument.astype(np.uint32)), "side": side}


def _names(state: State, accounts: IntArray) -> pl.Series:
    return state.book.accounts.gather(accounts.astype(np.uint32))


def _taken(state: State, columns: Mapping[str, Any]) -> pl.DataFrame:
    if not columns:
        return pl.DataFrame(schema=dict.fromkeys(("account", "symbol", "side", "lots", "value"), pl.String))
    where = _leg(state, columns["instrument"], columns["long"])
    told = {"lots": columns["lots"], "value": columns["value"]}
    return pl.DataFrame({"account": _names(state, columns["account"]), **where, **told})


def _paid(state: State, columns: Mapping[str, Any]) -> pl.DataFrame:
    if not columns:
        return pl.DataFrame(schema=dict.fromkeys(("account", "amount"), pl.String))
    return pl.DataFrame({"account": _names(state, columns["account"]), "amount": columns["amount"]})


def _instruments(state: State, open_lots: Int64Array) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Those that are marked, with the three prices that R44 and R85 know, and their tiers."""
    lines, tiers = [], []
    for i, item in enumerate(state.instruments):
        if np.isnan(state.marks.price[i]):
            continue
        prices = {"mark": state.marks, "previous_mark": state.previous, "oracle": state.oracle}
        lines.append(
            {
                "symbol": item.symbol,
                "kind": item.kind.name.lower(),
                "contract_size": plain(item.contract_size),
                "lot": plain(item.lot),
                "currency": item.currency,
                **{name: plain(marks.units.mark(i)) for name, marks in prices.items()},
                "open_long_lots": int(open_lots[2 * i]),
                "open_short_lots": int(open_lots[2 * i + 1]),
            }
        )
        atoms = 10**item.decimals
        tiers += [
            {
                "symbol": item.symbol,
                "min_notional": plain(tier.min_notional / atoms),
                "maintenance_rate": plain(tier.maintenance_rate),
                "deduction": plain(tier.deduction / atoms),
                "max_leverage": None if tier.max_leverage is None else plain(tier.max_leverage),
            }
            for tier in item.tiers
        ]
    return pl.DataFrame(lines), pl.DataFrame(tiers, schema_overrides={"max_leverage": pl.String})
