"""Section 4, R85, R86: lots change hands."""

import copy
from collections.abc import Sequence
from fractions import Fraction

from model import margin
from model.allocation import quotas
from model.book import LONG, RESERVED, SHORT, Account, Book, Row
from model.exact import Exact, ceil, floor, trunc
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
    candidates = ranking(snapshot, symbol, -side, policy, tick.bankrupt_ids(), tick.number)
    needs = [lots_to_close(tick, bankrupt.account.open_rows[symbol, side]) for bankrupt in bankrupts]
    if sum(needs) == 0:
        return
    quota_left = quotas(policy, sum(needs), candidates)
    for bankrupt, need in zip(bankrupts, needs, strict=True):
        walk(tick, bankrupt, bankrupt.account.open_rows[symbol, side], need, candidates, quota_left)


def lots_to_close(tick: Tick, row: Row) -> int:
    """R91."""
    policy = tick.rules.policy
    return floor(policy["fraction"] * row.lots) if policy["severity"] == "fraction" else row.lots


def walk(
    tick: Tick,
    bankrupt: Bankrupt,
    row: Row,
    need: int,
    candidates: Sequence[Candidate],
    quota_left: dict[str, int],
) -> None:
    """R43: take min(lots left, quota left) from each candidate in rank order; a guard may cut a fill."""
    total_lots = row.lots
    total_value = transfer_value(tick, bankrupt, row)
    done = 0
    for candidate in candidates:
        counterparty = tick.book.accounts[candidate.account]
        asked = min(need - done, quota_left[candidate.account])
        lots, reason = guarded_lots(tick, counterparty, row, per_lot(total_value, total_lots), asked)
        if lots < asked:
            refuse(tick, bankrupt, row, counterparty, asked - lots, reason)
        if lots == 0:
            continue
        if tick.rules.policy["price"] == "entry":
            value = -released(counterparty.open_rows[row.symbol, -row.side], lots)
        else:
            value = fill_value(total_value, total_lots, done, lots)
        fill(tick, bankrupt, row, candidate, lots, value)
        quota_left[candidate.account] -= lots
        done += lots


def transfer_value(tick: Tick, bankrupt: Bankrupt, row: Row) -> Exact:
    """R44, R85; with price `entry` every fill has a value of its own."""
    at_bankruptcy = bankrupt.values[row.symbol, row.side]
    at_mark = row.side * row.lots * tick.book.unit_value(row.symbol)
    values: dict[str, Exact] = {
        "bankruptcy": at_bankruptcy,
        "mark": at_mark,
        "mark_capped": min(at_mark, Fraction(at_bankruptcy)),
        "previous_mark": row.side * row.lots * tick.book.previous_unit_value(row.symbol),
        "oracle": row.side * row.lots * tick.book.oracle_unit_value(row.symbol),
        "entry": at_bankruptcy,
    }
    return values[tick.rules.policy["price"]]


def released(row: Row, lots: int) -> int:
    """R10."""
    return row.entry_value if lots == row.lots else trunc(Fraction(row.entry_value * lots, row.lots))


def guarded_lots(
    tick: Tick, counterparty: Account, row: Row, value_per_lot: Fraction, asked: int
) -> tuple[int, str]:
    """R45, R86, and the reason; it is `health` where being solvent would have allowed more."""
    guard = tick.rules.policy["guard"]
    loss_per_lot = value_per_lot - row.side * tick.book.unit_value(row.symbol)
    if guard == "none" or asked == 0 or loss_per_lot <= 0:
        return asked, ""
    equity = margin.equity(tick.book, counterparty)
    solvent = 0 if equity < 1 else min(asked, floor((equity - 1) / loss_per_lot))
    healthy = (
        healthy_lots(tick.book, counterparty, row, loss_per_lot, solvent) if guard == "health" else solvent
    )
    return healthy, "health" if healthy < solvent else "below_zero"


def healthy_lots(book: Book, counterparty: Account, row: Row, loss_per_lot: Fraction, solvent: int) -> int:
    """R86: the most solvent lots k with (equity - k * loss - 1) * MM >= equity * MM'.

    While the row is open MM' is the largest of straight lines in k, so the condition is one straight line at
    or above 0 for each of them.
    """
    opposite = counterparty.open_rows[row.symbol, -row.side]
    equity = margin.equity(book, counterparty)
    margin_now = margin.maintenance_margin(book, counterparty)
    margin_of_others = margin_now - margin.row_margin(book, opposite)
    closed = (equity - opposite.lots * loss_per_lot - 1) * margin_now >= equity * margin_of_others
    if solvent == opposite.lots and closed:
        return solvent
    unit = abs(book.unit_value(row.symbol))
    lines = [(Fraction(0), Fraction(0))]
    lines += [
        (tier.rate * unit * opposite.lots - tier.deduction, -tier.rate * unit)
        for tier in book.instruments[row.symbol].tiers
    ]
    least, most = 1, min(solvent, opposite.lots - 1)
    for margin_at_0, margin_a_lot in lines:
        at_0 = (equity - 1) * margin_now - equity * (margin_of_others + margin_at_0)
        a_lot = -loss_per_lot * margin_now - equity * margin_a_lot
        if a_lot > 0:
            least = max(least, ceil(-at_0 / a_lot))
        elif a_lot < 0:
            most = min(most, floor(at_0 / -a_lot))
        elif at_0 < 0:
            return 0
    return most if least <= most else 0


def refuse(tick: Tick, bankrupt: Bankrupt, row: Row, counterparty: Account, lots: int, reason: str) -> None:
    """R86."""
    tick.report(
        "refused",
        account=counterparty.id,
        bankrupt=bankrupt.account.id,
        symbol=row.symbol,
        side=row.side,
        qty=lots,
        reason=reason,
    )


def fill(tick: Tick, bankrupt: Bankrupt, row: Row, candidate: Candidate, lots: int, value: int) -> None:
    """R10, law 3."""
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
