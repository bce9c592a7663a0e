"""What one tick knows while it runs, and the lists it leaves behind."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from model import margin
from model.book import Account, Book
from model.exact import Exact
from model.policy import FundRule, Liquidity

RowKey = tuple[str, int]
Entry = dict[str, Any]
History = list[tuple[int, Exact]]

LISTS = (
    "liquidations",
    "executions",
    "fees",
    "netted",
    "fund_payments",
    "takeovers",
    "adl_fills",
    "socialized",
    "uncovered",
)


@dataclass(frozen=True)
class Rules:
    policy: dict[str, str]
    fund: FundRule
    liquidity: Liquidity | None


@dataclass
class Bankrupt:
    """An account of R23. `values` is T of R25 for the lots not yet taken; the two flags serve law 4."""

    account: Account
    values: dict[RowKey, int] = field(default_factory=dict)
    cut: bool = False
    closed_elsewhere: bool = False


@dataclass
class Tick:
    """`lists` hold exact, unprinted entries: money in atoms, quantity in lots."""

    book: Book
    rules: Rules
    fund_floor: Exact
    detected: list[Account] = field(default_factory=list)
    bankrupts: list[Bankrupt] = field(default_factory=list)
    lists: dict[str, list[Entry]] = field(default_factory=lambda: {name: [] for name in LISTS})
    fills_legal: bool = True

    def report(self, name: str, **entry: object) -> None:
        self.lists[name].append(entry)

    def room(self) -> Exact:
        """R27."""
        return margin.equity(self.book, self.book.fund) - self.fund_floor

    def bankrupt_ids(self) -> set[str]:
        return {bankrupt.account.id for bankrupt in self.bankrupts}


def fund_floor(rule: FundRule, peak: Exact) -> Exact:
    """R27."""
    if rule.max_drawdown is None:
        return rule.min_equity
    return max(rule.min_equity, (1 - rule.max_drawdown) * peak)


def fund_peak(rule: FundRule, history: History, now: int) -> Exact:
    """R27: the highest fund equity just after a mark within the window; `history` ends with this tick."""
    return max(equity for time, equity in history if time >= now - rule.peak_window)


def per_lot(value: Exact, lots: int) -> Fraction:
    return Fraction(value) / lots
