"""R46: the scores, in float64, operation by operation in the order the formulas are written (R6)."""

from collections.abc import Callable

from model.margin import AccountFloats, RowFloats


def bitmex(account: AccountFloats, row: RowFloats, kind: str, one: float) -> float:
    roi = profit_ratio(account, row, kind, one)
    leverage = account.gross / positive_equity(account)
    return roi * leverage if roi > 0 else roi / leverage


def binance(account: AccountFloats, row: RowFloats, kind: str, one: float) -> float:
    profit = max(0.0, account.symbol_profit(row.symbol))
    usage = 0.0 if account.equity <= 0 else account.margin / account.equity
    return profit / max(account.cash, one) * usage


def hyperliquid(account: AccountFloats, row: RowFloats, kind: str, one: float) -> float:
    linear = kind != "inverse"
    is_long = row.side > 0
    if linear == is_long:
        price_ratio = row.notional / max(abs(row.entry_value), 1.0)
    else:
        price_ratio = abs(row.entry_value) / row.notional
    return price_ratio * row.notional / positive_equity(account)


def hyperliquid_recovered(account: AccountFloats, row: RowFloats, kind: str, one: float) -> float:
    leverage = max(row.notional / positive_equity(account), 1e-8)
    gain = max(max(row.profit, 0.0) / max(abs(row.entry_value), 1.0), 1e-8)
    return leverage * gain


def okx(account: AccountFloats, row: RowFloats, kind: str, one: float) -> float:
    roi = profit_ratio(account, row, kind, one)
    risk = max(account.margin, 1.0) / positive_equity(account)
    return roi * risk if roi > 0 else roi / risk


def extended(account: AccountFloats, row: RowFloats, kind: str, one: float) -> float:
    roi = profit_ratio(account, row, kind, one)
    risk = max(row.margin, 1.0) / max(account.equity, one)
    return roi * risk if roi > 0 else roi / risk


def profit_ratio(account: AccountFloats, row: RowFloats, kind: str, one: float) -> float:
    """roi."""
    return row.profit / max(abs(row.entry_value), 1.0)


def size(account: AccountFloats, row: RowFloats, kind: str, one: float) -> float:
    return row.lots


def positive_equity(account: AccountFloats) -> float:
    """E with a plus: at least one atom."""
    return max(account.equity, 1.0)


SCORES: dict[str, Callable[[AccountFloats, RowFloats, str, float], float]] = {
    "bitmex": bitmex,
    "binance": binance,
    "hyperliquid": hyperliquid,
    "hyperliquid_recovered": hyperliquid_recovered,
    "okx": okx,
    "htx": okx,
    "extended": extended,
    "profit_ratio": profit_ratio,
    "size": size,
}
