"""Section 4: lots change hands."""

import copy
from collections.abc import Sequence
from fractions import Fraction

from model import margin
from model.allocation import quotas
from model.book import LONG, RESERVED, SHORT, Account, Book, Row
from model.exact import Exact, floor
from model.moves import close, fill_value
from model.ranking import Candidate, ranking
from model.state import Bankrupt, Tick, per_lot


def deleverage(tick: Tick) -> None:
    """R28, R42."""
    stage_start = copy.deepcopy(tick.book)
    each = tick.rules.policy["rerank"] == "each"
    for symbol in sorted(tick.book.instruments):
        for side in (LONG, SHORT):
            open_rows = [b for b in tick.bankrupts if b.account.row(symbol, side) is not None]
            if each:
                for bankrupt in open_rows:
                    deleverage_rows(tick, copy.deepcopy(tick.book), symbol, side, [bankrupt])
            else:
                deleverage_rows(tick, stage_start, symbol, side, open_rows)


def deleverage_rows(
    tick: Tick, snapshot: Book, symbol: str, side: int, bankrupts: Sequence[Bankrupt]
) -> None:
    """R41, R43: one ranking and one set of quotas for these bankrupt rows; then each walks the ranking."""
    policy = tick.rules.policy
    candidates = ranking(snapshot, symbol, -side, policy["score"], tick.bankrupt_ids())
    need = sum(bankrupt.account.open_rows[symbol, side].lots for bankrupt in bankrupts)
    if need == 0:
        return
    quota_left = quotas(policy["allocation"], need, candidates)
    for bankrupt in bankrupts:
        walk(tick, bankrupt, bankrupt.account.open_rows[symbol, side], candidates, quota_left)


def walk(
    tick: Tick, bankrupt: Bankrupt, row: Row, candidates: Sequence[Candidate], quota_left: dict[str, int]
) -> None:
    """R43: take min(lots left, quota left) from each candidate in rank order; R45 may cut a fill."""
    total_lots = row.lots
    total_value = transfer_value(tick, bankrupt, row)
    done = 0
    for candidate in candidates:
        counterparty = tick.book.accounts[candidate.account]
        lots = min(total_lots - done, quota_left[candidate.account])
        if tick.rules.policy["guard"] == "solvent":
            lots = min(lots, solvent_lots(tick.book, counterparty, row, per_lot(total_value, total_lots)))
        if lots == 0:
            continue
        value = fill_value(total_value, total_lots, done, lots)
        fill(tick, bankrupt, row, candidate, lots, value)
        quota_left[candidate.account] -= lots
        done += lots


def transfer_value(tick: Tick, bankrupt: Bankrupt, row: Row) -> Exact:
    """R44."""
    price = tick.rules.policy["price"]
    at_bankruptcy = bankrupt.values[row.symbol, row.side]
    at_mark = row.side * row.lots * tick.book.unit_value(row.symbol)
    if price == "bankruptcy":
        return at_bankruptcy
    if price == "mark":
        return at_mark
    if price == "mark_capped":
        return min(at_mark, Fraction(at_bankruptcy))
    return row.side * row.lots * tick.book.previous_unit_value(row.symbol)


def solvent_lots(book: Book, counterparty: Account, row: Row, value_per_lot: Fraction) -> int:
    """R45: as many lots as leave the counterparty solvent."""
    loss_per_lot = value_per_lot - row.side * book.unit_value(row.symbol)
    if loss_per_lot <= 0:
        return row.lots
    equity = margin.equity(book, counterparty)
    return 0 if equity < 1 else floor((equity - 1) / loss_per_lot)


def fill(tick: Tick, bankrupt: Bankrupt, row: Row, candidate: Candidate, lots: int, value: int) -> None:
    """R10, R13, law 3."""
    counterparty = tick.book.accounts[candidate.account]
    opposite = counterparty.open_rows[row.symbol, -row.side]
    tick.fills_legal &= (
        0 < lots <= min(row.lots, opposite.lots)
        and counterparty.id not in tick.bankrupt_ids()
        and counterparty.id not in RESERVED
    )
    if tick.rules.policy["price"] != "bankruptcy":
        bankrupt.closed_elsewhere = True
    realized_by_bankrupt = close(bankrupt.account, row, lots, value)
    realized_by_counterparty = close(counterparty, opposite, lots, -value)
    tick.report(
        "adl_fills",
        bankrupt=bankrupt.account.id,
        counterparty=counterparty.id,
        symbol=row.symbol,
        side=row.side,
        qty=lots,
        value=value,
        bankrupt_realized_pnl=realized_by_bankrupt,
        realized_pnl=realized_by_counterparty,
        rank=candidate.rank,
        score=candidate.score,
    )
