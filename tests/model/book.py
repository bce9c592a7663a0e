"""The book the rules act on, and how a scenario becomes one (sections 1 and 6)."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from model.exact import Exact, ceil, decimal

LONG, SHORT = 1, -1
FUND, MARKET = "fund", "market"
RESERVED = (FUND, MARKET)


@dataclass(frozen=True)
class Tier:
    """Deduction and least notional in atoms; a leverage only where the tier states one."""

    rate: Fraction
    deduction: Fraction
    min_notional: Fraction = Fraction(0)
    max_leverage: Fraction | None = None


@dataclass(frozen=True)
class Instrument:
    """`c` is the constant of R2: atoms per lot per unit of price."""

    symbol: str
    kind: str
    lot: Fraction
    c: Fraction
    tiers: tuple[Tier, ...]

    def unit_value(self, price: Fraction) -> Fraction:
        """R2."""
        return -self.c / price if self.kind == "inverse" else self.c * price

    def price(self, side: int, lots: int, value: int) -> Fraction | None:
        """The price at which `lots` are worth `value`; None where an inverse price is infinite (R72)."""
        unit_value = Fraction(value, side * lots)
        if self.kind != "inverse":
            return unit_value / self.c
        return None if value == 0 else -self.c / unit_value


@dataclass
class Row:
    symbol: str
    side: int
    lots: int
    entry_value: int


@dataclass
class Account:
    """`place` is that among the accounts of the file."""

    id: str
    owner: str
    cash: int
    adl_tier: int = 0
    open_rows: dict[tuple[str, int], Row] = field(default_factory=dict)
    cross: bool = True
    place: int = 0

    def rows(self) -> list[Row]:
        """By (symbol, long first)."""
        return sorted(self.open_rows.values(), key=lambda row: (row.symbol, -row.side))

    def row(self, symbol: str, side: int) -> Row | None:
        return self.open_rows.get((symbol, side))


@dataclass
class Book:
    decimals: int
    instruments: dict[str, Instrument]
    accounts: dict[str, Account]
    marks: dict[str, Fraction]
    previous_marks: dict[str, Fraction] = field(default_factory=dict)
    oracle: dict[str, Fraction] = field(default_factory=dict)

    @property
    def fund(self) -> Account:
        return self.accounts[FUND]

    @property
    def market(self) -> Account:
        return self.accounts[MARKET]

    def traders(self) -> list[Account]:
        """Everybody but the reserved accounts (R7), by id."""
        return [self.accounts[key] for key in sorted(self.accounts) if key not in RESERVED]

    def unit_value(self, symbol: str) -> Fraction:
        return self.instruments[symbol].unit_value(self.marks[symbol])

    def previous_unit_value(self, symbol: str) -> Fraction:
        return self.instruments[symbol].unit_value(self.previous_marks[symbol])

    def oracle_unit_value(self, symbol: str) -> Fraction:
        """R85: a symbol without an oracle price has its mark."""
        return self.instruments[symbol].unit_value(self.oracle.get(symbol, self.marks[symbol]))

    def lots(self) -> dict[str, int]:
        """Law 1: the sum of signed lots, per symbol."""
        total = dict.fromkeys(self.instruments, 0)
        for account in self.accounts.values():
            for row in account.rows():
                total[row.symbol] += row.side * row.lots
        return total

    def money(self) -> int:
        """Law 2: the sum of cash - entry_value."""
        accounts = self.accounts.values()
        return sum(account.cash - sum(row.entry_value for row in account.rows()) for account in accounts)

    def mark(self, prices: dict[str, Fraction], oracle: dict[str, Fraction]) -> None:
        """R20, and the oracle prices of R85."""
        self.previous_marks = {symbol: self.marks.get(symbol, price) for symbol, price in prices.items()} | {
            symbol: mark for symbol, mark in self.marks.items() if symbol not in prices
        }
        self.marks = self.marks | prices
        self.oracle = self.oracle | oracle


def entry_value_at(instrument: Instrument, side: int, lots: int, price: Fraction) -> int:
    """R11: against the holder."""
    return ceil(side * lots * instrument.unit_value(price))


def load_book(scenario: dict[str, Any]) -> Book:
    """Section 6."""
    decimals = currency(scenario)["decimals"]
    instruments = {raw["symbol"]: load_instrument(raw, decimals) for raw in scenario["instruments"]}
    accounts = {
        raw["id"]: load_account(raw, decimals, place) for place, raw in enumerate(scenario["accounts"])
    }
    fund_cash = (scenario.get("fund") or {}).get("cash", "0")
    accounts[FUND] = Account(FUND, FUND, whole_atoms(fund_cash, decimals))
    accounts[MARKET] = Account(MARKET, MARKET, 0)
    for raw in scenario["positions"]:
        row = load_row(raw, instruments[raw["symbol"]], decimals)
        accounts[raw["account"]].open_rows[row.symbol, row.side] = row
    marks = {
        raw["symbol"]: decimal(raw["mark"]) for raw in scenario["instruments"] if raw.get("mark") is not None
    }
    return Book(decimals, instruments, accounts, marks)


def currency(scenario: dict[str, Any]) -> dict[str, Any]:
    given: dict[str, Any] = scenario.get("currency", {})
    return {"code": "USD", "decimals": 6} | given


def load_instrument(raw: dict[str, Any], decimals: int) -> Instrument:
    lot = decimal(raw["lot"])
    c = decimal(raw["contract_size"]) * lot * 10**decimals
    return Instrument(raw["symbol"], raw["kind"], lot, c, load_tiers(raw["tiers"], decimals))


def load_tiers(raw_tiers: list[dict[str, Any]], decimals: int) -> tuple[Tier, ...]:
    """R4: deductions as given, or such that one tier passes into the next without a step."""
    tiers: list[Tier] = []
    for raw in raw_tiers:
        rate = decimal(raw["maintenance_rate"])
        if "deduction" in raw:
            deduction: Exact = decimal(raw["deduction"]) * 10**decimals
        elif tiers:
            start = decimal(raw["min_notional"]) * 10**decimals
            deduction = tiers[-1].deduction + start * (rate - tiers[-1].rate)
        else:
            deduction = 0
        leverage = decimal(raw["max_leverage"]) if "max_leverage" in raw else None
        tiers.append(Tier(rate, Fraction(deduction), decimal(raw["min_notional"]) * 10**decimals, leverage))
    return tuple(tiers)


def load_account(raw: dict[str, Any], decimals: int, place: int) -> Account:
    return Account(
        raw["id"],
        raw.get("owner", raw["id"]),
        whole_atoms(raw["cash"], decimals),
        raw.get("adl_tier", 0),
        cross=raw.get("margin_mode", "cross") == "cross",
        place=place,
    )


def load_row(raw: dict[str, Any], instrument: Instrument, decimals: int) -> Row:
    signed_lots = decimal(raw["qty"]) / instrument.lot
    assert signed_lots.denominator == 1, "quantity is not a multiple of the lot"
    side, lots = (LONG if signed_lots > 0 else SHORT), abs(int(signed_lots))
    if "entry_value" in raw:
        entry_value = whole_atoms(raw["entry_value"], decimals)
    else:
        entry_value = entry_value_at(instrument, side, lots, decimal(raw["entry_price"]))
    return Row(raw["symbol"], side, lots, entry_value)


def whole_atoms(amount: str | int, decimals: int) -> int:
    atoms = decimal(amount) * 10**decimals
    assert atoms.denominator == 1, "more places than the currency has"
    return int(atoms)
