"""R27, R30, R88, R89: how much the fund may lose, and what it takes."""

from fractions import Fraction

from model import margin
from model.book import LONG, SHORT, Account, Book, Row
from model.exact import Exact, floor
from model.moves import close, pay
from model.state import WHOLE_FUND, Bankrupt, FundMark, Memory, Rules, Tick, equity_of, per_lot

DAY = 86400


def fund_marked(book: Book, rules: Rules, memory: Memory, time: int) -> None:
    """Just after a mark: history, switches (R88) and the day (R89)."""
    equity = margin.equity(book, book.fund)
    memory.marks.append(
        FundMark(time, equity, {symbol: symbol_profit(book, memory, symbol) for symbol in book.instruments})
    )
    if memory.day != time // DAY:
        memory.day, memory.day_equity, memory.costs = time // DAY, equity, {}
    policy = rules.policy
    if policy["trigger"] != "drawdown":
        return
    if policy["drawdown_scope"] == "fund":
        loss, allowed = drawdown_of_fund(rules, memory)
        back = allowed * policy["drawdown_stop"] / policy["drawdown_start"]
        turn(memory, WHOLE_FUND, on=loss >= allowed, off=loss < back)
        return
    for symbol in book.instruments:
        peak, loss = drawdown_of_symbol(book, rules, memory, symbol)
        turn(
            memory,
            symbol,
            on=peak > 0 and loss >= policy["drawdown_start"] * peak,
            off=loss < policy["drawdown_stop"] * peak,
        )


def turn(memory: Memory, switch: str, *, on: bool, off: bool) -> None:
    if on:
        memory.switches.add(switch)
    elif off:
        memory.switches.discard(switch)


def symbol_profit(book: Book, memory: Memory, symbol: str) -> Exact:
    """R88: what the fund has made in a symbol, realised or not."""
    rows = [row for row in (book.fund.row(symbol, LONG), book.fund.row(symbol, SHORT)) if row is not None]
    return memory.realized.get(symbol, 0) + sum(margin.row_profit(book, row) for row in rows)


def marks_in(memory: Memory, window: int) -> list[FundMark]:
    """This tick's mark is the last."""
    now = memory.marks[-1].time
    return [mark for mark in memory.marks if mark.time >= now - window]


def drawdown_of_fund(rules: Rules, memory: Memory) -> tuple[Exact, Exact]:
    """R88, scope `fund`, after a mark: how far the fund is below r, and a."""
    reference, allowed = reference_and_allowance(rules, memory)
    return reference - memory.marks[-1].equity, allowed


def reference_and_allowance(rules: Rules, memory: Memory) -> tuple[Exact, Exact]:
    """r and a."""
    policy = rules.policy
    equities = [mark.equity for mark in marks_in(memory, policy["drawdown_window"])]
    if policy["drawdown_reference"] == "peak":
        reference = Fraction(max(equities))
    else:
        reference = Fraction(sum(equities)) / len(equities)
    return reference, max(policy["drawdown_start"] * reference, rules.drawdown_amount)


def drawdown_of_symbol(book: Book, rules: Rules, memory: Memory, symbol: str) -> tuple[Exact, Exact]:
    """R88, scope `symbol`, now: p, and how far the symbol's profit is below h."""
    marks = marks_in(memory, rules.policy["drawdown_window"])
    peak = max(mark.equity for mark in marks)
    return peak, max(mark.profits[symbol] for mark in marks) - symbol_profit(book, memory, symbol)


def room(tick: Tick, symbol: str | None) -> Exact:
    """For a row of a symbol, or (None) for a debt."""
    return min([room_of_policy(tick, symbol), *room_of_limits(tick, symbol)])


def room_of_policy(tick: Tick, symbol: str | None) -> Exact:
    """R27, R88."""
    rules, memory, policy = tick.rules, tick.memory, tick.rules.policy
    equity = equity_of(tick)
    if policy["trigger"] != "drawdown":
        return equity - floor_of_fund(tick)
    if policy["drawdown_scope"] == "fund":
        if WHOLE_FUND in memory.switches:
            return 0
        reference, allowed = reference_and_allowance(rules, memory)
        return equity - max(rules.fund.min_equity, reference - allowed)
    above_least: Exact = equity - rules.fund.min_equity
    if symbol is None:
        return above_least
    if symbol in memory.switches:
        return 0
    peak, loss = drawdown_of_symbol(tick.book, rules, memory, symbol)
    return min(above_least, Fraction(policy["drawdown_start"] * peak - loss))


def floor_of_fund(tick: Tick) -> Exact:
    """R27."""
    rule = tick.rules.fund
    if rule.max_drawdown is None:
        return rule.min_equity
    peak = max(mark.equity for mark in marks_in(tick.memory, rule.peak_window))
    return max(rule.min_equity, (1 - rule.max_drawdown) * peak)


def room_of_limits(tick: Tick, symbol: str | None) -> list[Exact]:
    """R89; the fund's daily share stands under WHOLE_FUND."""
    rule, memory = tick.rules.fund, tick.memory
    rooms: list[Exact] = []
    shares = {WHOLE_FUND: rule.daily_share}
    limit = None if symbol is None else rule.limits.get(symbol)
    if symbol is not None and limit is not None:
        shares[symbol] = limit.daily_share
        if limit.max_loss is not None:
            rooms.append(limit.max_loss)
    for key, share in shares.items():
        if share is not None:
            rooms.append(share * memory.day_equity - memory.costs.get(key, 0))
    return rooms


def spend(memory: Memory, key: str, cost: Exact) -> None:
    memory.costs[key] = memory.costs.get(key, 0) + cost


def fund_first_pass(tick: Tick) -> None:
    """R27; then R88: what the fund left for want of room turns a switch on."""
    left: set[str] = set()
    for bankrupt in tick.bankrupts:
        account = bankrupt.account
        for row in account.rows():
            if affordable_lots(tick, bankrupt, row, room_of_policy(tick, row.symbol)) < row.lots:
                left.add(row.symbol)
            take_at_bankruptcy(tick, bankrupt, row)
        if not account.rows() and -account.cash > max(0, floor(room_of_policy(tick, None))):
            left.add(WHOLE_FUND)
        pay_debt(tick, account)
    if tick.rules.policy["trigger"] == "drawdown" and left:
        by_symbol = tick.rules.policy["drawdown_scope"] == "symbol"
        tick.memory.switches |= left - {WHOLE_FUND} if by_symbol else {WHOLE_FUND}


def loss_of_a_lot(tick: Tick, bankrupt: Bankrupt, row: Row) -> Fraction:
    """R27: what a lot costs the fund."""
    value = bankrupt.values[row.symbol, row.side]
    return per_lot(value, row.lots) - row.side * tick.book.unit_value(row.symbol)


def affordable_lots(tick: Tick, bankrupt: Bankrupt, row: Row, most: Exact) -> int:
    """R27: the lots of a row that fit into a room."""
    loss_per_lot = loss_of_a_lot(tick, bankrupt, row)
    if most <= 0:
        return 0
    return row.lots if loss_per_lot <= 0 else min(row.lots, floor(most / loss_per_lot))


def take_at_bankruptcy(tick: Tick, bankrupt: Bankrupt, row: Row) -> None:
    """R27 for one row, R14 for the value of a part."""
    account, symbol, side = bankrupt.account, row.symbol, row.side
    value = bankrupt.values[symbol, side]
    mark_per_lot = side * tick.book.unit_value(symbol)
    loss_per_lot = loss_of_a_lot(tick, bankrupt, row)
    lots = affordable_lots(tick, bankrupt, row, room(tick, symbol))
    if lots == 0:
        return
    paid = floor(per_lot(value, row.lots) * lots)
    bankrupt.values[symbol, side] -= paid
    realized = close(account, row, lots, paid)
    tick.fund_takes(symbol, side, lots, paid)
    for key in (symbol, WHOLE_FUND):
        spend(tick.memory, key, max(Fraction(0), lots * loss_per_lot))
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
        pay_debt(tick, bankrupt.account)


def pay_debt(tick: Tick, account: Account) -> None:
    """R27, R30: the debt of an account without rows, in cash, as far as there is room."""
    if account.rows():
        return
    amount = min(-account.cash, floor(room(tick, None)))
    if amount > 0:
        pay(tick.book.fund, account, amount)
        spend(tick.memory, WHOLE_FUND, amount)
        tick.report("fund_payments", account=account.id, amount=amount)
