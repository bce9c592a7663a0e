"""ccxt positions of any number of accounts to a book."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact, localcontext
from math import floor, isclose, isfinite, isnan, nan
from typing import Any

from fastadl.book import Book
from fastadl.borders.ccxt.markets import by_symbol, instruments, market_path, settled_in
from fastadl.borders.values import Path, fields, needed, number, text
from fastadl.decimals import plain
from fastadl.errors import InputError

__all__ = ["book"]

#: Our column of a position and ccxt's field.
_FIELD = {"qty": "contracts", "entry_price": "entryPrice"}
_MODES = ("cross", "isolated")
#: Sums of any two numbers that are taken.
_EXACT = Context(prec=2000, traps=[Inexact])
#: What to do about a field that is None.
_NEEDED = {
    "entryPrice": "give the average entry price",
    "collateral": "give positionMargin, or collateral with the unrealised profit it includes",
    "unrealizedPnl": "give the unrealised profit that collateral includes, or positionMargin",
}
#: How far a notional may be from what contracts come to at a price, as a part of it.
_CLOSE = 0.01


def book(
    positions: Mapping[str, Sequence[Mapping[str, Any]]],
    markets: Mapping[str, Any] | Iterable[Mapping[str, Any]],
    tiers: Mapping[str, Any],
    *,
    cash: Mapping[str, Mapping[str, Any]],
    margin_mode: str = "cross",
    decimals: Mapping[str, int] | None = None,
    precision_mode: int = 4,
) -> Book:
    """The book of the accounts whose positions these are.

    A trader's cross positions that settle in one currency are one account, ``ann:USDT``; every isolated
    position is an account of its own, ``ann:BTC/USDT:USDT:long``; ``owner`` is ``ann``. A position of 0
    contracts is left out. ``leverage`` and ``hedged`` are not read: leverage is what the book says it is, and
    a long and a short of one symbol are two rows whatever the mode. Money that is finer than an atom is
    rounded down. An instrument's mark is the ``markPrice`` all its positions agree on; where they do not, or
    state none, it has none until the first tick. Where ``notional`` says that ``contracts`` are dollars or
    coins, although the market's contracts are not of 1, they are refused.

    Parameters
    ----------
    positions : mapping of account to list of positions
        As ``fetch_positions`` gives them, in ccxt's unified keys.
    markets, tiers, decimals, precision_mode
        As in `instruments`.
    cash : mapping of account to mapping of currency to number
        Wallet balance behind the cross positions, without their unrealised profit; often what
        ``fetch_balance()["total"]`` gives. Currencies that no position settles in are left out.
    margin_mode : {"cross", "isolated"}
        Of positions whose ``marginMode`` is None.

    Returns
    -------
    Book
        With the instruments that are held, sorted by symbol. The cash of an isolated position is its
        ``positionMargin``; where that is None, or of a ccxt too old to have it, ``collateral`` less
        ``unrealizedPnl``, taken to be included.

    Raises
    ------
    InputError
        Naming account, position, field, value and remedy.
    """
    if margin_mode not in _MODES:
        raise InputError(("margin_mode",), margin_mode, "give cross or isolated")
    known = by_symbol(markets)
    reading = _Reading(known, margin_mode)
    for path, position, contracts in _open_positions(positions):
        reading.add(path, position, contracts)
    symbols = sorted(reading.marks)
    table = instruments(known, tiers, symbols=symbols, decimals=decimals, precision_mode=precision_mode)
    table["mark"] = [_agreed(reading.marks[symbol]) for symbol in symbols]
    places = dict(zip(table["currency"], table["decimals"], strict=True))
    reading.add_cash(cash, places)
    accounts, held = reading.accounts(places), reading.positions()
    try:
        return Book.from_frames(table, accounts, held)
    except InputError as error:
        path = reading.origin(error.path, symbols)
        value = error.value
        if path[0] == "positions" and len(path) == 4:
            account, place, name = path[1:]
            value = positions[str(account)][int(place)].get(str(name), value)
        raise type(error)(path, value, error.remedy) from None


def _open_positions(
    positions: Mapping[str, Sequence[Mapping[str, Any]]],
) -> Iterator[tuple[Path, Mapping[str, Any], Any]]:
    """Path, position and contracts of those that are open."""
    for account, held in fields(positions, ("positions",)).items():
        text(account, ("positions", str(account)), "name the account by a text")
        if not isinstance(held, Sequence) or isinstance(held, (str, bytes)):
            raise InputError(("positions", account), type(held).__name__, "give a list of positions")
        for place, position in enumerate(held):
            path = ("positions", account, place)
            contracts = _contracts(fields(position, path), path)
            if contracts != 0:
                yield path, position, contracts


def _contracts(position: Mapping[str, Any], path: Path) -> Any:
    """How many; a float or an integer is taken as it is."""
    remedy = "give the number of contracts, 0 of a closed position"
    given = needed(position, "contracts", path, remedy)
    return given if type(given) in (float, int) else number(given, (*path, "contracts"))


def _agreed(marks: set[Any]) -> Any:
    """The mark price all state, None if they differ or none does."""
    return next(iter(marks)) if len(marks) == 1 else None


@dataclass(slots=True)
class _Account:
    """An account to be: its row, and what its cash is made of."""

    id: str
    owner: str
    currency: str
    margin_mode: str
    #: Where its cash stands, and under what name; an amount of its currency, and one to be taken from it.
    place: Path
    field: str
    cash: Any = None
    profit: Any = 0.0

    @property
    def path(self) -> Path:
        """Where its cash stands."""
        return (*self.place, self.field)

    def atoms(self, decimals: int) -> int:
        """Cash in atoms, rounded down."""
        if self.cash is None:
            remedy = "give the wallet balance behind its cross positions, without unrealised profit"
            raise InputError(self.path, "missing", remedy)
        cash = _decimal(self.cash, self.place, self.field)
        return floor((cash - _decimal(self.profit, self.place, "unrealizedPnl")).scaleb(decimals))


class _Reading:
    """Rows of accounts and positions as they grow, and where each came from."""

    def __init__(self, markets: Mapping[str, Any], margin_mode: str) -> None:
        self.markets = markets
        self.margin_mode = margin_mode
        self.settle: dict[str, str] = {}
        self.marks: dict[str, set[Any]] = {}
        self._accounts: dict[tuple[str, ...], _Account] = {}
        self._columns: dict[str, list[Any]] = {name: [] for name in ("account", "symbol", *_FIELD)}
        self._origins: list[Path] = []

    def add(self, path: Path, position: Mapping[str, Any], contracts: Any) -> None:
        """Add an open position, whose account may be new."""
        symbol: Any = position.get("symbol")
        side: Any = position.get("side")
        if not isinstance(symbol, str) or symbol not in self.marks:
            self.settle[symbol] = settled_in(symbol, self.markets, (*path, "symbol"))
            self.marks[symbol] = set()
        if not isinstance(side, str) or side not in ("long", "short"):
            raise InputError((*path, "side"), side, "give long or short")
        if contracts < 0 and side == "long":
            remedy = "give a number above 0; side says which way"
            raise InputError((*path, "contracts"), position["contracts"], remedy)
        entry_price = needed(position, "entryPrice", path, _NEEDED["entryPrice"])
        self._check_size(position, path)
        qty = contracts if side == "long" else -abs(contracts)
        cells = (self._holder(str(path[1]), position, path), symbol, qty, entry_price)
        for column, cell in zip(self._columns.values(), cells, strict=True):
            column.append(cell)
        self._origins.append(path)
        mark = position.get("markPrice")
        if mark is not None:
            plain_mark = type(mark) is float and isfinite(mark)
            self.marks[symbol].add(mark if plain_mark else number(mark, (*path, "markPrice")))

    def _check_size(self, position: Mapping[str, Any], path: Path) -> None:
        """Refuse a position counted in other contracts than its market's."""
        market = self.markets[position["symbol"]]
        stated, listed = position.get("contractSize"), market.get("contractSize")
        if listed is None:
            return
        same = type(stated) is type(listed) is float and stated == listed
        if stated is not None and not same:
            size = number(listed, ("markets", position["symbol"], "contractSize"))
            if number(stated, (*path, "contractSize")) != size:
                raise InputError(
                    (*path, "contractSize"), stated, f"give {listed} as the market does, or None"
                )
        if _are_units(position, market):
            remedy = (
                f"they are units, not contracts of {listed}, says notional: give a market of contractSize 1"
            )
            raise InputError((*path, "contracts"), position["contracts"], remedy)

    def _holder(self, owner: str, position: Mapping[str, Any], path: Path) -> str:
        """Id of the account that holds a position."""
        symbol = position["symbol"]
        currency = self.settle[symbol]
        mode = position.get("marginMode")
        if (self.margin_mode if mode is None else mode) == "cross":
            return self._cross(owner, currency).id
        if mode not in (None, "isolated"):
            raise InputError((*path, "marginMode"), mode, "give cross, isolated, or None for margin_mode")
        key = (owner, symbol, position["side"])
        if key not in self._accounts:
            field, profit = "positionMargin", 0.0
            cash = position.get(field)
            if cash is None:
                field = "collateral"
                cash = needed(position, field, path, _NEEDED[field])
                profit = needed(position, "unrealizedPnl", path, _NEEDED["unrealizedPnl"])
            account = _Account(":".join(key), owner, currency, "isolated", path, field, cash, profit)
            self._accounts[key] = account
        return self._accounts[key].id

    def _cross(self, owner: str, currency: str) -> _Account:
        key = (owner, currency)
        if key not in self._accounts:
            place: Path = ("cash", owner)
            self._accounts[key] = _Account(":".join(key), owner, currency, "cross", place, currency)
        return self._accounts[key]

    def add_cash(self, cash: Mapping[str, Mapping[str, Any]], currencies: Mapping[str, int]) -> None:
        """Cash of the cross accounts, with or without positions."""
        for owner, balances in fields(cash, ("cash",)).items():
            text(owner, ("cash", str(owner)), "name the account by a text")
            for currency, amount in fields(balances, ("cash", owner)).items():
                if currency in currencies and amount is not None:
                    self._cross(owner, currency).cash = amount

    def accounts(self, decimals: Mapping[str, int]) -> dict[str, list[Any]]:
        """The accounts table, cash rounded down to atoms."""
        found = self._accounts.values()
        with localcontext(_EXACT):
            cash = [account.atoms(decimals[account.currency]) for account in found]
        return {
            "id": [account.id for account in found],
            "owner": [account.owner for account in found],
            "currency": [account.currency for account in found],
            "margin_mode": [account.margin_mode for account in found],
            "cash_atoms": cash,
        }

    def positions(self) -> dict[str, list[Any]]:
        """The positions table."""
        return self._columns

    def origin(self, path: Path, symbols: Sequence[str]) -> Path:
        """Where the value at a place of the three tables came from."""
        if len(path) < 3:
            return path
        table, row, *rest = path
        if table == "instruments":
            return market_path(rest, symbols[int(row)])
        if table == "positions":
            return (*self._origins[int(row)], *(_FIELD.get(str(part), part) for part in rest))
        return list(self._accounts.values())[int(row)].path


def _are_units(position: Mapping[str, Any], market: Mapping[str, Any]) -> bool:
    """Whether the notional is that of contracts of 1, dollars or coins, and not of the market's contracts."""
    size = _float(market["contractSize"])
    if size == 1.0 or isnan(size):
        return False
    names = ("contracts", "notional", "markPrice", "entryPrice")
    count, notional, *prices = (_float(position.get(name)) for name in names)
    values = [count / price if market.get("inverse") else count * price for price in prices if price > 0.0]
    if any(isclose(notional, value * size, rel_tol=_CLOSE) for value in values):
        return False
    return any(isclose(notional, value, rel_tol=_CLOSE) for value in (*values, count))


def _float(value: Any) -> float:
    """The size of a float, or of an integer that is one, NaN of anything else."""
    return abs(float(value)) if type(value) is float or (type(value) is int and abs(value) < 2**53) else nan


def _decimal(value: Any, place: Path, field: str) -> Decimal:
    """The exact value, as what adds up fastest."""
    if type(value) is float and isfinite(value):
        return Decimal(repr(value))
    path = (*place, field)
    text = plain(number(value, path))
    if "/" in text:
        raise InputError(path, value, "give a decimal number")
    return Decimal(text)
