"""What rows and accounts are worth: exactly (R3, R4), and in float64 (R6)."""

from dataclasses import dataclass
from fractions import Fraction

from model.book import Account, Book, Row
from model.exact import Exact


def row_value(book: Book, row: Row) -> Fraction:
    return row.side * row.lots * book.unit_value(row.symbol)


def row_profit(book: Book, row: Row) -> Fraction:
    return row_value(book, row) - row.entry_value


def row_notional(book: Book, row: Row) -> Fraction:
    return abs(row_value(book, row))


def row_margin(book: Book, row: Row) -> Fraction:
    """R4."""
    notional = row_notional(book, row)
    tiers = book.instruments[row.symbol].tiers
    return max(Fraction(0), *(tier.rate * notional - tier.deduction for tier in tiers))


def profit(book: Book, account: Account) -> Exact:
    return sum(row_profit(book, row) for row in account.rows())


def equity(book: Book, account: Account) -> Exact:
    return account.cash + profit(book, account)


def equity_at_previous_marks(book: Book, account: Account) -> Exact:
    """R95."""
    values = sum(row.side * row.lots * book.previous_unit_value(row.symbol) for row in account.rows())
    return account.cash + values - sum(row.entry_value for row in account.rows())


def gross(book: Book, account: Account) -> Exact:
    return sum(row_notional(book, row) for row in account.rows())


def maintenance_margin(book: Book, account: Account) -> Exact:
    return sum(row_margin(book, row) for row in account.rows())


@dataclass(frozen=True)
class RowFloats:
    """R6: one row in float64, each operation rounded once."""

    symbol: str
    side: int
    lots: float
    entry_value: float
    value: float
    notional: float
    profit: float
    margin: float


@dataclass(frozen=True)
class AccountFloats:
    """R6: one account in float64, sums by (symbol, long first)."""

    cash: float
    equity: float
    margin: float
    gross: float
    rows: tuple[RowFloats, ...]

    def row(self, symbol: str, side: int) -> RowFloats:
        return next(row for row in self.rows if (row.symbol, row.side) == (symbol, side))

    def symbol_profit(self, symbol: str) -> float:
        total = 0.0
        for row in self.rows:
            if row.symbol == symbol:
                total = total + row.profit
        return total


def row_floats(book: Book, row: Row) -> RowFloats:
    unit_value = float(book.unit_value(row.symbol))
    lots = float(row.lots)
    entry_value = float(row.entry_value)
    value = row.side * lots * unit_value
    notional = abs(value)
    margin = 0.0
    for tier in book.instruments[row.symbol].tiers:
        margin = max(margin, float(tier.rate) * notional - float(tier.deduction))
    return RowFloats(row.symbol, row.side, lots, entry_value, value, notional, value - entry_value, margin)


def account_floats(book: Book, account: Account) -> AccountFloats:
    rows = tuple(row_floats(book, row) for row in account.rows())
    cash = float(account.cash)
    equity_sum, margin_sum, gross_sum = cash, 0.0, 0.0
    for row in rows:
        equity_sum = equity_sum + row.profit
        margin_sum = margin_sum + row.margin
        gross_sum = gross_sum + row.notional
    return AccountFloats(cash, equity_sum, margin_sum, gross_sum, rows)
