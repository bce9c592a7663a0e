"""R90: the fund as the pool that traders win from."""

import copy
from collections.abc import Sequence
from fractions import Fraction

from model import margin
from model.book import FUND, LONG, SHORT, Book
from model.exact import Exact, ceil, floor
from model.moves import close
from model.ranking import Candidate, ranking
from model.state import Tick


def cap_profits(tick: Tick) -> None:
    stage_start = copy.deepcopy(tick.book)
    for symbol in sorted(tick.book.instruments):
        for side in (LONG, SHORT):
            if tick.rules.policy["rerank"] == "each":
                cap_side(tick, copy.deepcopy(tick.book), symbol, side)
            else:
                cap_side(tick, stage_start, symbol, side)


def cap_side(tick: Tick, snapshot: Book, symbol: str, side: int) -> None:
    """The winning rows of one side in rank order, until the factor is no longer above `pool_max`."""
    book, policy = tick.book, tick.rules.policy
    rows = [row for account in book.traders() if (row := account.row(symbol, side)) is not None]
    owed, pool = sum(margin.row_profit(book, row) for row in rows), book.fund.cash
    if pool <= 0 or owed <= policy["pool_max"] * pool:
        return
    candidates = ranking(snapshot, symbol, side, policy, tick.bankrupt_ids(), tick.number)
    for candidate, lots in plan(tick, candidates, symbol, side, owed, pool):
        if lots:
            close_against_fund(tick, candidate, symbol, side, lots)


def plan(
    tick: Tick, candidates: Sequence[Candidate], symbol: str, side: int, owed: Exact, pool: Exact
) -> list[tuple[Candidate, int]]:
    """How many lots each gives; `owed` and `pool` are what is left of S and P."""
    least, most = tick.rules.policy["pool_min"], tick.rules.policy["pool_max"]
    hopeless = owed >= pool
    planned = []
    for candidate in candidates:
        row = tick.book.accounts[candidate.account].open_rows[symbol, side]
        profit = Fraction(margin.row_profit(tick.book, row))
        if profit <= 0:
            continue
        if hopeless or owed - profit > most * (pool - profit):
            planned.append((candidate, row.lots))
            owed, pool = owed - profit, pool - profit
            continue
        # owed - k * profit / n <= most * (pool - k * profit / n), where most < 1
        lots = ceil((owed - most * pool) / (1 - most) * row.lots / profit)
        paid = profit * lots / row.lots
        too_far = owed - paid < least * (pool - paid)
        planned.append((candidate, lots - too_far))
        break
    return planned


def close_against_fund(tick: Tick, candidate: Candidate, symbol: str, side: int, lots: int) -> None:
    """The fund takes the lots by R12; the entry is seen from the fund's side."""
    book = tick.book
    account = book.accounts[candidate.account]
    row = account.open_rows[symbol, side]
    value = floor(side * lots * unit_value(book, tick, symbol))
    tick.fills_legal &= 0 < lots <= row.lots and account.id not in tick.bankrupt_ids()
    realized = close(account, row, lots, value)
    tick.report(
        "adl_fills",
        bankrupt=FUND,
        counterparty=account.id,
        symbol=symbol,
        side=-side,
        qty=lots,
        value=-value,
        bankrupt_realized_pnl=tick.fund_takes(symbol, side, lots, value),
        realized_pnl=realized,
        rank=candidate.rank,
        score=candidate.score,
    )


def unit_value(book: Book, tick: Tick, symbol: str) -> Fraction:
    """At the price of the policy, which is the mark or the oracle price (R81)."""
    if tick.rules.policy["price"] == "oracle":
        return book.oracle_unit_value(symbol)
    return book.unit_value(symbol)
