"""R46, R82: the scores, in float64, operation by operation in the order the formulas are written (R6)."""

from collections.abc import Callable
from dataclasses import dataclass

from model.book import Tier
from model.margin import AccountFloats, RowFloats

WORD = 2**64
GOLDEN = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class Figures:
    """What a score may look at: a row, its account, and their places.

    `place` is that of the id among all ids, `given_place` that of the account in the file, both from 0.
    """

    account: AccountFloats
    row: RowFloats
    kind: str
    tiers: tuple[Tier, ...]
    one: float
    place: int = 0
    given_place: int = 0
    tick: int = 0
    seed: int = 0


def bitmex(figures: Figures) -> float:
    roi, leverage = profit_ratio(figures), leverage_of(figures.account)
    return roi * leverage if roi > 0 else roi / leverage


def binance(figures: Figures) -> float:
    account = figures.account
    profit = max(0.0, account.symbol_profit(figures.row.symbol))
    usage = 0.0 if account.equity <= 0 else account.margin / account.equity
    return profit / max(account.cash, figures.one) * usage


def hyperliquid(figures: Figures) -> float:
    row = figures.row
    linear = figures.kind != "inverse"
    is_long = row.side > 0
    if linear == is_long:
        price_ratio = row.notional / max(abs(row.entry_value), 1.0)
    else:
        price_ratio = abs(row.entry_value) / row.notional
    return price_ratio * row.notional / positive_equity(figures.account)


def hyperliquid_recovered(figures: Figures) -> float:
    row = figures.row
    leverage = max(row.notional / positive_equity(figures.account), 1e-8)
    gain = max(max(row.profit, 0.0) / max(abs(row.entry_value), 1.0), 1e-8)
    return leverage * gain


def okx(figures: Figures) -> float:
    roi = profit_ratio(figures)
    risk = max(figures.account.margin, 1.0) / positive_equity(figures.account)
    return roi * risk if roi > 0 else roi / risk


def extended(figures: Figures) -> float:
    roi = profit_ratio(figures)
    risk = max(figures.row.margin, 1.0) / max(figures.account.equity, figures.one)
    return roi * risk if roi > 0 else roi / risk


def profit_ratio(figures: Figures) -> float:
    """roi."""
    return figures.row.profit / max(abs(figures.row.entry_value), 1.0)


def size(figures: Figures) -> float:
    return figures.row.lots


def bitget_c(figures: Figures) -> float:
    account = figures.account
    if figures.row.profit <= 0 or account.equity < account.margin:
        return 0.0
    return profit_ratio(figures) * leverage_of(account)


def gate_2022(figures: Figures) -> float:
    return figures.row.profit * max_leverage(figures)


def kucoin_v1(figures: Figures) -> float:
    ml = max_leverage(figures)
    return ml * (figures.row.profit / max(abs(figures.row.entry_value) / ml, 1.0))


def leverage(figures: Figures) -> float:
    return leverage_of(figures.account)


def profit(figures: Figures) -> float:
    return figures.row.profit


def low_cash(figures: Figures) -> float:
    return -figures.account.cash


def newest(figures: Figures) -> float:
    return float(figures.place)


def given(figures: Figures) -> float:
    return -float(figures.given_place)


def random(figures: Figures) -> float:
    """53 bits of a hash of seed, tick and place."""
    mixed = mix((figures.seed + (figures.tick + 1) * GOLDEN) % WORD)
    return (mix((mixed + figures.place) % WORD) // 2**11) * 2.0**-53


def mix(word: int) -> int:
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 % WORD
    word = (word ^ word >> 27) * 0x94D049BB133111EB % WORD
    return word ^ word >> 31


def positive_equity(account: AccountFloats) -> float:
    """E with a plus: at least one atom."""
    return max(account.equity, 1.0)


def leverage_of(account: AccountFloats) -> float:
    """L: gross by E with a plus."""
    return account.gross / positive_equity(account)


def max_leverage(figures: Figures) -> float:
    """ml of R82."""
    reached = [tier for tier in figures.tiers if float(tier.min_notional) <= figures.row.notional]
    tier = reached[-1] if reached else figures.tiers[0]
    if tier.max_leverage is not None:
        return float(tier.max_leverage)
    return 1.0 if tier.rate == 0 else 1.0 / (2.0 * float(tier.rate))


SCORES: dict[str, Callable[[Figures], float]] = {
    "bitmex": bitmex,
    "binance": binance,
    "hyperliquid": hyperliquid,
    "hyperliquid_recovered": hyperliquid_recovered,
    "okx": okx,
    "htx": okx,
    "extended": extended,
    "profit_ratio": profit_ratio,
    "size": size,
    "bitget_a": okx,
    "bitget_c": bitget_c,
    "gate_2022": gate_2022,
    "kucoin_v1": kucoin_v1,
    "leverage": leverage,
    "profit": profit,
    "low_cash": low_cash,
    "newest": newest,
    "given": given,
    "random": random,
}
