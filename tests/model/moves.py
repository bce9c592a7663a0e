"""How lots and money move (section 2). Nothing else in the model changes a book."""

from fractions import Fraction

from model.book import Account, Row
from model.exact import Exact, ceil, trunc


def close(account: Account, row: Row, lots: int, value: int) -> int:
    """R10: close `lots` of the row for `value`, received by the account; returns the realised profit."""
    assert 0 < lots <= row.lots, "a close exceeds the position"
    whole = lots == row.lots
    released = row.entry_value if whole else trunc(Fraction(row.entry_value * lots, row.lots))
    account.cash += value - released
    row.entry_value -= released
    row.lots -= lots
    if row.lots == 0:
        del account.open_rows[row.symbol, row.side]
    return value - released


def take(reserved: Account, symbol: str, side: int, lots: int, value: int) -> int:
    """R12: fund or market takes `lots` of `side` and pays `value`; an opposite row is closed first.

    Returns what the taker realised.
    """
    realized = 0
    opposite = reserved.row(symbol, -side)
    if opposite is not None:
        netted = min(lots, opposite.lots)
        paid = trunc(Fraction(value * netted, lots))
        realized = close(reserved, opposite, netted, -paid)
        lots, value = lots - netted, value - paid
    if lots == 0:
        return realized
    row = reserved.open_rows.setdefault((symbol, side), Row(symbol, side, 0, 0))
    row.lots += lots
    row.entry_value += value
    return realized


def fill_value(total: Exact, lots: int, done: int, more: int) -> int:
    """R13: what a fill from `done` to `done + more` of `lots` pays, when all of them are worth `total`."""
    per_lot = Fraction(total) / lots
    return ceil(per_lot * (done + more)) - ceil(per_lot * done)


def pay(payer: Account, payee: Account, amount: int) -> None:
    payer.cash -= amount
    payee.cash += amount
