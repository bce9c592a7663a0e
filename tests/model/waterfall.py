"""Section 3: one tick, stage by stage."""

from dataclasses import dataclass
from fractions import Fraction

from model import margin
from model.book import LONG, SHORT, Account, Book, Row
from model.contract_space import deleverage
from model.exact import ceil, floor, largest_remainders
from model.fund import fund_first_pass, fund_marked, fund_second_pass
from model.moves import close, pay, take
from model.pool import cap_profits
from model.state import Bankrupt, Memory, Rules, Tick
from model.wealth_space import begin_session, socialize, take_at_mark

Laws = dict[str, bool]


@dataclass(frozen=True)
class Prices:
    """What a tick is given."""

    time: int
    marks: dict[str, Fraction]
    oracle: dict[str, Fraction]


def run_tick(book: Book, rules: Rules, memory: Memory, number: int, raw: Prices) -> tuple[Tick, Laws]:
    """R20 to R32, with the stages of section 9; returns the tick and its four laws."""
    book.mark(raw.marks, raw.oracle)
    tick = Tick(book, rules, memory, number, raw.time)
    fund_marked(book, rules, memory, raw.time)
    begin_session(tick, raw.time)
    lots, money = book.lots(), book.money()
    detect(tick)
    close_out(tick)
    decide_bankrupt(tick)
    net_hedges(tick)
    set_bankruptcy_values(tick)
    fund_first_pass(tick)
    trigger, wealth = rules.policy["trigger"], rules.policy["space"] == "wealth"
    if trigger not in ("none", "pool_profit") and not wealth:
        deleverage(tick)
    if trigger != "none" and wealth:
        take_at_mark(tick)
    fund_second_pass(tick)
    if trigger == "pool_profit":
        cap_profits(tick)
    if trigger != "none" and wealth:
        socialize(tick)
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
        cooling = in_cooldown(tick, account)
        for row in account.rows():
            order = ordered(tick, account, row, cooling=cooling)
            lots = min(order, depth_left[row.symbol, row.side])
            if lots == 0:
                continue
            if order < row.lots:
                tick.memory.sliced[account.id] = tick.time
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


def in_cooldown(tick: Tick, account: Account) -> bool:
    """R101."""
    assert tick.rules.liquidity is not None
    before = tick.memory.sliced.get(account.id)
    return before is not None and tick.time - before < tick.rules.liquidity.cooldown


def ordered(tick: Tick, account: Account, row: Row, *, cooling: bool) -> int:
    """R101: how many lots of a row are ordered closed."""
    rules, status = tick.rules.liquidity, {e["account"]: e["status"] for e in tick.lists["liquidations"]}
    assert rules is not None
    partial = rules.slice is not None or rules.step_down
    if status[account.id] == "bankrupt":
        return 0 if rules.bankrupt == "fund" else row.lots
    if not partial:
        return row.lots
    if cooling:
        return 0 if rules.in_cooldown == "wait" else row.lots
    order = row.lots
    instrument, notional = tick.book.instruments[row.symbol], margin.row_notional(tick.book, row)
    if rules.slice is not None and notional > rules.slice_above * 10**tick.book.decimals:
        order = min(order, ceil(rules.slice * row.lots))
    if rules.step_down:
        border = max(tier.min_notional for tier in instrument.tiers if tier.min_notional < notional)
        order = min(order, row.lots - floor(border * row.lots / notional))
    return order


def pay_fee(tick: Tick, account: Account, kind: str, amount: int) -> None:
    if amount > 0:
        pay(account, tick.book.fund, amount)
        tick.report("fees", account=account.id, kind=kind, amount=amount)


def decide_bankrupt(tick: Tick) -> None:
    """R23, R87, and the shortfall of every detected account."""
    unfilled = tick.rules.policy["trigger"] == "unfilled"
    for account, entry in zip(tick.detected, tick.lists["liquidations"], strict=True):
        equity = margin.equity(tick.book, account)
        entry["shortfall"] = max(Fraction(0), -Fraction(equity))
        unsafe = bool(account.rows()) and equity < margin.maintenance_margin(tick.book, account)
        if equity < 0 or (unfilled and unsafe):
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
