"""Small books by hand, and what stands in them afterwards."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

import polars as pl

from fastadl import Book, Engine
from fastadl.decimals import exact, places_of, plain

__all__ = [
    "cash",
    "exchange",
    "executed",
    "ladder",
    "linear",
    "lot",
    "lot_of",
    "lots",
    "money",
    "one",
    "size",
    "text",
]


def ladder(rate: object) -> list[dict[str, str]]:
    """One tier of maintenance margin."""
    return [{"min_notional": "0", "maintenance_rate": plain(exact(rate))}]


def linear(lot: object = 1, *, rate: object = "0.01", mark: object = None, **more: Any) -> dict[str, Any]:
    """A linear contract of size 1."""
    return {"kind": "linear", "contract_size": 1, "lot": lot, "tiers": ladder(rate), "mark": mark, **more}


def lot_of(*quantities: object) -> Fraction:
    """The coarsest decimal lot that all quantities are whole numbers of."""
    places = [places_of(exact(quantity)) for quantity in quantities]
    assert None not in places, f"no decimal lot for {quantities}"
    return Fraction(1, 10 ** max(place or 0 for place in places))


def exchange(
    listed: Mapping[str, Mapping[str, Any]],
    accounts: Mapping[str, Any],
    rows: Iterable[tuple[str, str, object, object]],
    *,
    decimals: int = 6,
    entry: str = "entry_value",
    **options: Any,
) -> Engine:
    """An engine over a book.

    Parameters
    ----------
    listed : mapping of symbol to fields of the instrument
    accounts : mapping of id to cash, or to fields of the account
    rows : iterable of (account, symbol, quantity, entry)
    decimals : int
    entry : {"entry_value", "entry_price"}
        What is given of each row; a value in units of the currency.
    **options
        Of `Engine`.
    """
    instruments: dict[str, list[Any]] = defaultdict(list)
    for symbol, fields in listed.items():
        for name, value in {"symbol": symbol, **fields, "decimals": decimals}.items():
            as_given = value is None or name in ("symbol", "kind", "tiers", "decimals")
            instruments[name].append(value if as_given else text(value))
    people: dict[str, list[Any]] = defaultdict(list)
    for name, given in accounts.items():
        fields = given if isinstance(given, Mapping) else {"cash": given}
        usual = {"margin_mode": "cross", "adl_tier": 0}
        for field, value in {"id": name, **usual, **fields, "cash": text(fields["cash"])}.items():
            people[field].append(value)
    held = [(who, symbol, text(qty), text(at)) for who, symbol, qty, at in rows if exact(qty)]
    columns = zip(*held, strict=True) if held else [[]] * 4
    names = ("account", "symbol", "qty", entry)
    positions = {name: list(column) for name, column in zip(names, columns, strict=True)}
    return Engine(Book.from_frames(dict(instruments), dict(people), positions), **options)


def cash(engine: Engine) -> dict[str, int]:
    """Cash of every account in atoms."""
    return dict(engine.book.to_frames()[1].select("id", "cash_atoms").iter_rows())


def lots(engine: Engine, account: str) -> dict[str, int]:
    """Signed lots of an account by symbol."""
    rows = engine.book.to_frames()[2].select("account", "symbol", "lots").iter_rows()
    return {symbol: held for who, symbol, held in rows if who == account}


def money(engine: Engine, account: str) -> Fraction:
    """Cash of an account in units of the currency."""
    return Fraction(cash(engine)[account], 10 ** engine.book.instruments.decimals[0])


def size(engine: Engine, account: str, symbol: str) -> Fraction:
    """Signed quantity of an account."""
    return lots(engine, account).get(symbol, 0) * lot(engine, symbol)


def lot(engine: Engine, symbol: str) -> Fraction:
    """Smallest step of quantity of an instrument."""
    return engine.book.instruments[engine.symbols.index(symbol)].lot


def text(value: object) -> str:
    """An exact number as text."""
    return plain(exact(value))


def executed(account: str, symbol: str, quantity: object, at: object) -> dict[str, list[str]]:
    """An execution in the order book that closes a signed quantity (rule R77)."""
    side = "long" if exact(quantity) > 0 else "short"
    given = {"account": account, "symbol": symbol, "side": side}
    given |= {"qty": text(abs(exact(quantity))), "price": text(at)}
    return {name: [value] for name, value in given.items()}


def one(frame: pl.DataFrame) -> dict[str, Any]:
    """The only line of a list."""
    assert len(frame) == 1, f"one line expected: {frame}"
    return frame.row(0, named=True)
