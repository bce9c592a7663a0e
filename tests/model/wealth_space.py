"""Section 5: losses are charged in cash."""

from fractions import Fraction

from model import margin
from model.allocation import capped_shares
from model.exact import floor, largest_remainders
from model.moves import close, take
from model.state import Tick


def take_at_mark(tick: Tick) -> None:
    """R50."""
    for bankrupt in tick.bankrupts:
        for row in bankrupt.account.rows():
            symbol, side, lots = row.symbol, row.side, row.lots
            exact = margin.row_value(tick.book, row)
            paid = floor(exact)
            realized = close(bankrupt.account, row, lots, paid)
            take(tick.book.fund, symbol, side, lots, paid)
            bankrupt.closed_elsewhere = True
            tick.report(
                "takeovers",
                account=bankrupt.account.id,
                symbol=symbol,
                side=side,
                qty=lots,
                at="mark",
                value=paid,
                realized_pnl=realized,
                fund_loss=max(Fraction(0), paid - exact),
            )


def charge(tick: Tick) -> None:
    """R51."""
    book = tick.book
    debts = {b.account.id: -b.account.cash for b in tick.bankrupts if b.account.cash < 0}
    caps: dict[str, int] = {}
    weights: dict[str, int] = {}
    for account in book.traders():
        weight, equity = floor(margin.profit(book, account)), floor(margin.equity(book, account))
        if account.id not in tick.bankrupt_ids() and weight > 0 and equity > 0:
            weights[account.id] = weight
            caps[account.id] = min(weight, equity)
    charged = min(sum(debts.values()), sum(caps.values()))
    if charged == 0:
        return
    amounts = {
        key: -amount
        for key, amount in largest_remainders(charged, capped_shares(charged, caps, weights)).items()
    }
    for key, debt in debts.items():
        amounts[key] = min(debt, charged)
        charged -= amounts[key]
    for key in sorted(amounts):
        book.accounts[key].cash += amounts[key]
        if amounts[key] != 0:
            tick.report("socialized", account=key, amount=amounts[key])
