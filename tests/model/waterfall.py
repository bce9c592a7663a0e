"""Section 3: one tick, stage by stage."""

from fractions import Fraction

from model import margin
from model.book import LONG, SHORT, Account, Book
from model.contract_space import deleverage
from model.exact import ceil, floor, largest_remainders
from model.moves import close, pay, take
from model.state import Bankrupt, History, Rules, Tick, fund_floor, fund_peak, per_lot
from model.wealth_space import charge, take_at_mark


def run_tick(
    book: Book, rules: Rules, prices: dict[str, Fraction], time: int, history: History
) -> tuple[Tick, dict[str, bool]]:
    """R20 to R32; returns the tick and its four laws. `history` gains the fund equity after the mark."""
    book.mark(prices)
    history.append((time, margin.equity(book, book.fund)))
    tick = Tick(book, rules, fund_floor(rules.fund, fund_peak(rules.fund, history, time)))
    lots, money = book.lots(), book.money()
    detect(tick)
    close_out(tick)
    decide_bankrupt(tick)
    net_hedges(tick)
    set_bankruptcy_values(tick)
    fund_first_pass(tick)
    triggered = rules.policy["trigger"] == "bankrupt"
    wealth = rules.policy["space"] == "wealth"
    if triggered and not wealth:
        deleverage(tick)
    if triggered and wealth:
        take_at_mark(tick)
    fund_second_pass(tick)
    if triggered and wealth:
        charge(tick)
    report_uncovered(tick)
    laws = {
        "lots": book.lots() == lots,
        "money": book.money() == money,
        "fills": tick.fills_legal,
        "bankrupt_closed_at_zero": all(closed_at_zero(bankrupt) for bankrupt in tick.bankrupts),
    }
    return tick, laws


def detect(tick: Tick) -> None:
    """R21."""
    book = tick.book
    for account in book.traders():
        equity = margin.equity(book, account)
        if account.rows() and (equity < margin.maintenance_margin(book, account) or equity < 0):
            tick.detected.append(account)
    tick.detected.sort(key=lambda account: (health(book, account), account.id))
    for account in tick.detected:
        equity = margin.equity(book, account)
        tick.report(
            "liquidations",
            account=account.id,
            status="bankrupt" if equity < 0 else "liquidatable",
            equity=equity,
            maintenance_margin=margin.maintenance_margin(book, account),
            maintenance_ratio=maintenance_ratio(book, account),
        )


def health(book: Book, account: Account) -> float:
    """R21, in float64 (R6)."""
    floats = margin.account_floats(book, account)
    return float("-inf") if floats.margin == 0 else floats.equity / floats.margin


def maintenance_ratio(book: Book, account: Account) -> float | None:
    """Section 7, in float64 (R6)."""
    floats = margin.account_floats(book, account)
    return None if floats.equity <= 0 else floats.margin / floats.equity


def close_out(tick: Tick) -> None:
    """R22."""
    book, liquidity = tick.book, tick.rules.liquidity
    if liquidity is None:
        return
    depth_left = {
        (symbol, side): int(liquidity.depth.get(symbol, Fraction(0)) / instrument.lot)
        for symbol, instrument in book.instruments.items()
        for side in (LONG, SHORT)
    }
    for account in tick.detected:
        executed = 0
        for row in account.rows():
            lots = min(row.lots, depth_left[row.symbol, row.side])
            if lots == 0:
                continue
            depth_left[row.symbol, row.side] -= lots
            price = book.marks[row.symbol] * (1 - row.side * liquidity.slippage)
            value = floor(row.side * lots * book.instruments[row.symbol].unit_value(price))
            realized = close(account, row, lots, value)
            take(book.market, row.symbol, row.side, lots, value)
            executed += abs(value)
            tick.report(
                "executions",
                account=account.id,
                symbol=row.symbol,
                side=row.side,
                qty=lots,
                value=value,
                realized_pnl=realized,
            )
        fee = min(ceil(liquidity.fee * executed), max(0, floor(margin.equity(book, account))))
        pay_fee(tick, account, "liquidation_fee", fee)
        if liquidity.surplus == "fund" and not account.rows():
            pay_fee(tick, account, "surplus", max(0, account.cash))


def pay_fee(tick: Tick, account: Account, kind: str, amount: int) -> None:
    if amount > 0:
        pay(account, tick.book.fund, amount)
        tick.report("fees", account=account.id, kind=kind, amount=amount)


def decide_bankrupt(tick: Tick) -> None:
    """R23, and the shortfall of every detected account."""
    for account, entry in zip(tick.detected, tick.lists["liquidations"], strict=True):
        equity = margin.equity(tick.book, account)
        entry["shortfall"] = max(Fraction(0), -Fraction(equity))
        if equity < 0:
            tick.bankrupts.append(Bankrupt(account))


def net_hedges(tick: Tick) -> None:
    """R24. The value drops out: what one leg receives the other pays."""
    for bankrupt in tick.bankrupts:
        account = bankrupt.account
        for symbol in sorted({row.symbol for row in account.rows()}):
            long, short = account.row(symbol, LONG), account.row(symbol, SHORT)
            if long is None or short is None:
                continue
            lots = min(long.lots, short.lots)
            value = floor(lots * tick.book.unit_value(symbol))
            realized = close(account, long, lots, value) + close(account, short, lots, -value)
            tick.report("netted", account=account.id, symbol=symbol, qty=lots, realized_pnl=realized)


def set_bankruptcy_values(tick: Tick) -> None:
    """R25, R26."""
    book = tick.book
    for bankrupt in tick.bankrupts:
        account = bankrupt.account
        if not account.rows():
            continue
        shortfall = -margin.equity(book, account)
        by_margin = {(row.symbol, row.side): margin.row_margin(book, row) for row in account.rows()}
        by_notional = {(row.symbol, row.side): margin.row_notional(book, row) for row in account.rows()}
        use_margin = tick.rules.policy["split"] == "maintenance_margin" and any(by_margin.values())
        weights = by_margin if use_margin else by_notional
        total_weight = sum(weights.values())
        exact = {
            (row.symbol, -row.side): margin.row_value(book, row)
            + shortfall * weights[row.symbol, row.side] / total_weight
            for row in account.rows()
        }
        total = sum(row.entry_value for row in account.rows()) - account.cash
        rounded = largest_remainders(total, exact)
        for row in account.rows():
            value = rounded[row.symbol, -row.side]
            if margin.row_value(book, row) < 0 and value > 0:
                value = 0
                bankrupt.cut = True
            bankrupt.values[row.symbol, row.side] = value


def fund_first_pass(tick: Tick) -> None:
    """R27."""
    for bankrupt in tick.bankrupts:
        for row in bankrupt.account.rows():
            fund_take_at_bankruptcy(tick, bankrupt, row.symbol, row.side)
        fund_pay_debt(tick, bankrupt.account)


def fund_take_at_bankruptcy(tick: Tick, bankrupt: Bankrupt, symbol: str, side: int) -> None:
    """R27 for one row, R14 for the value of a part."""
    account = bankrupt.account
    row = account.open_rows[symbol, side]
    value = bankrupt.values[symbol, side]
    mark_per_lot = side * tick.book.unit_value(symbol)
    loss_per_lot = per_lot(value, row.lots) - mark_per_lot
    room = tick.room()
    if room <= 0:
        return
    lots = row.lots if loss_per_lot <= 0 else min(row.lots, floor(room / loss_per_lot))
    if lots == 0:
        return
    paid = floor(per_lot(value, row.lots) * lots)
    bankrupt.values[symbol, side] -= paid
    realized = close(account, row, lots, paid)
    take(tick.book.fund, symbol, side, lots, paid)
    tick.report(
        "takeovers",
        account=account.id,
        symbol=symbol,
        side=side,
        qty=lots,
        at="bankruptcy",
        value=paid,
        realized_pnl=realized,
        fund_loss=max(Fraction(0), paid - lots * mark_per_lot),
    )


def fund_second_pass(tick: Tick) -> None:
    """R30."""
    for bankrupt in tick.bankrupts:
        fund_pay_debt(tick, bankrupt.account)


def fund_pay_debt(tick: Tick, account: Account) -> None:
    """R27, R30: the debt of an account without rows, in cash, as far as there is room."""
    if account.rows():
        return
    amount = min(-account.cash, floor(tick.room()))
    if amount > 0:
        pay(tick.book.fund, account, amount)
        tick.report("fund_payments", account=account.id, amount=amount)


def report_uncovered(tick: Tick) -> None:
    """R31."""
    for bankrupt in tick.bankrupts:
        account = bankrupt.account
        equity = margin.equity(tick.book, account)
        if equity < 0:
            still_open = [(row.symbol, row.side, row.lots) for row in account.rows()]
            tick.report("uncovered", account=account.id, amount=-equity, open=still_open)


def closed_at_zero(bankrupt: Bankrupt) -> bool:
    """Law 4 (R32)."""
    had_rows = bool(bankrupt.values)
    applies = had_rows and not bankrupt.account.rows() and not bankrupt.cut and not bankrupt.closed_elsewhere
    return not applies or bankrupt.account.cash == 0
