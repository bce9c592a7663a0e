"""What one tick knows while it runs, what outlives it, and the lists it leaves behind."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from model import margin
from model.book import Account, Book
from model.exact import Exact
from model.moves import take
from model.policy import FundRule, Liquidity, Policy

RowKey = tuple[str, int]
Entry = dict[str, Any]

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
    "refused",
)


@dataclass(frozen=True)
class Rules:
    """`drawdown_amount` of R88 in atoms."""

    policy: Policy
    fund: FundRule
    liquidity: Liquidity | None
    drawdown_amount: Exact = 0


@dataclass(frozen=True)
class FundMark:
    """The fund just after a mark: its equity, and its profit in every symbol (R88)."""

    time: int
    equity: Exact
    profits: dict[str, Exact]


@dataclass
class Memory:
    """What is kept from tick to tick besides the book.

    `switches` holds the symbols whose switch is on, and WHOLE_FUND for that of the fund (R88). Costs are
    those since the day began, of a symbol and (WHOLE_FUND) of all (R89). `sliced` is when an order last
    closed a part of an account's rows (R101).
    """

    marks: list[FundMark] = field(default_factory=list)
    realized: dict[str, int] = field(default_factory=dict)
    switches: set[str] = field(default_factory=set)
    day: int | None = None
    day_equity: Exact = 0
    costs: dict[str, Exact] = field(default_factory=dict)
    session: int | None = None
    remembered: dict[str, int] = field(default_factory=dict)
    remembered_before: dict[str, int] | None = None
    sliced: dict[str, int] = field(default_factory=dict)


WHOLE_FUND = ""


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
    memory: Memory
    number: int
    time: int
    session_ended: bool = False
    detected: list[Account] = field(default_factory=list)
    bankrupts: list[Bankrupt] = field(default_factory=list)
    lists: dict[str, list[Entry]] = field(default_factory=lambda: {name: [] for name in LISTS})
    fills_legal: bool = True

    def report(self, name: str, **entry: object) -> None:
        self.lists[name].append(entry)

    def fund_takes(self, symbol: str, side: int, lots: int, value: int) -> int:
        """R12; returns what the fund realised, which R88 remembers."""
        realized = take(self.book.fund, symbol, side, lots, value)
        self.memory.realized[symbol] = self.memory.realized.get(symbol, 0) + realized
        return realized

    def bankrupt_ids(self) -> set[str]:
        return {bankrupt.account.id for bankrupt in self.bankrupts}

    def payers(self) -> list[Account]:
        """Neither reserved nor bankrupt."""
        bankrupt = self.bankrupt_ids()
        return [account for account in self.book.traders() if account.id not in bankrupt]


def per_lot(value: Exact, lots: int) -> Fraction:
    return Fraction(value) / lots


def equity_of(tick: Tick) -> Exact:
    """The fund's, now."""
    return margin.equity(tick.book, tick.book.fund)
