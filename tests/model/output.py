"""Section 7, R81, R86: the object a scenario answers with."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from model import formats, margin
from model.book import LONG, Account, Book, currency, load_book
from model.exact import decimal
from model.policy import fund_rule, liquidity_model, resolve, shown
from model.state import Entry, Memory, Rules, Tick
from model.waterfall import Prices, run_tick

LAWS = ("lots", "money", "fills", "bankrupt_closed_at_zero")


def run(scenario: dict[str, Any]) -> dict[str, Any]:
    """Run a valid scenario (section 6) and return the object of section 7."""
    book = load_book(scenario)
    policy = resolve(scenario.get("policy", "bitmex"))
    rules = Rules(
        policy,
        fund_rule(scenario.get("fund"), book.decimals),
        liquidity_model(scenario.get("liquidity")),
        policy.get("drawdown_amount", 0) * 10**book.decimals,
    )
    checks = dict.fromkeys(LAWS, True)
    ticks = []
    memory = Memory()
    time = 0
    for number, raw in enumerate(scenario["ticks"]):
        time = raw.get("time", time)
        prices = Prices(time, prices_of(raw["marks"]), prices_of(raw.get("oracle", {})))
        tick, laws = run_tick(book, rules, memory, number, prices)
        checks = {law: checks[law] and laws[law] for law in LAWS}
        ticks.append({"tick": number, "time": time} | print_tick(book, tick))
    return {
        "currency": {key: currency(scenario)[key] for key in ("code", "decimals")},
        "policy": shown(policy),
        "ticks": ticks,
        "accounts": [print_account(book, account) for account in book.traders()],
        "positions": print_positions(book),
        "fund": print_reserved(book, book.fund),
        "market": print_reserved(book, book.market),
        "balanced": not any(book.lots().values()),
        "checks": checks,
    }


def prices_of(raw: dict[str, str | int]) -> dict[str, Fraction]:
    return {symbol: decimal(price) for symbol, price in raw.items()}


def print_tick(book: Book, tick: Tick) -> dict[str, Any]:
    printed: dict[str, Any] = {
        "marks": {symbol: formats.plain(book.marks[symbol]) for symbol in sorted(book.marks)}
    }
    for name, entries in tick.lists.items():
        if name != "refused" or tick.rules.policy["guard"] == "health":
            printed[name] = [PRINTERS[name](book, entry) for entry in entries]
    return printed


def side_name(side: int) -> str:
    return "long" if side == LONG else "short"


def print_price(book: Book, entry: Entry) -> str | None:
    price = book.instruments[entry["symbol"]].price(entry["side"], entry["qty"], entry["value"])
    return None if price is None else formats.significant(price)


def print_qty(book: Book, symbol: str, lots: int) -> str:
    return formats.qty(lots, book.instruments[symbol].lot)


def print_row(book: Book, entry: Entry) -> Entry:
    return {
        "symbol": entry["symbol"],
        "side": side_name(entry["side"]),
        "qty": print_qty(book, entry["symbol"], entry["qty"]),
    }


def print_value(book: Book, entry: Entry) -> Entry:
    return {"price": print_price(book, entry), "value": formats.money(entry["value"], book.decimals)}


def print_realized(book: Book, entry: Entry) -> Entry:
    return {"realized_pnl": formats.money(entry["realized_pnl"], book.decimals)}


def print_liquidation(book: Book, entry: Entry) -> Entry:
    ratio = entry["maintenance_ratio"]
    return {
        "account": entry["account"],
        "status": entry["status"],
        "equity": formats.money_down(entry["equity"], book.decimals),
        "maintenance_margin": formats.money_up(entry["maintenance_margin"], book.decimals),
        "maintenance_ratio": None if ratio is None else formats.ratio(ratio),
        "shortfall": formats.money_up(entry["shortfall"], book.decimals),
    }


def print_execution(book: Book, entry: Entry) -> Entry:
    return (
        {"account": entry["account"]}
        | print_row(book, entry)
        | print_value(book, entry)
        | print_realized(book, entry)
    )


def print_fee(book: Book, entry: Entry) -> Entry:
    return {"account": entry["account"], "kind": entry["kind"]} | print_amount(book, entry)


def print_netted(book: Book, entry: Entry) -> Entry:
    return {
        "account": entry["account"],
        "symbol": entry["symbol"],
        "qty": print_qty(book, entry["symbol"], entry["qty"]),
    } | print_realized(book, entry)


def print_amount(book: Book, entry: Entry) -> Entry:
    """A payment or a charge."""
    return {"account": entry["account"], "amount": formats.money(entry["amount"], book.decimals)}


def print_takeover(book: Book, entry: Entry) -> Entry:
    return (
        {"account": entry["account"]}
        | print_row(book, entry)
        | {"at": entry["at"]}
        | print_value(book, entry)
        | print_realized(book, entry)
        | {"fund_loss": formats.money_up(entry["fund_loss"], book.decimals)}
    )


def print_fill(book: Book, entry: Entry) -> Entry:
    return (
        {"bankrupt": entry["bankrupt"], "counterparty": entry["counterparty"]}
        | print_row(book, entry)
        | print_value(book, entry)
        | {"bankrupt_realized_pnl": formats.money(entry["bankrupt_realized_pnl"], book.decimals)}
        | print_realized(book, entry)
        | {"rank": entry["rank"], "score": formats.ratio(entry["score"])}
    )


def print_uncovered(book: Book, entry: Entry) -> Entry:
    return {
        "account": entry["account"],
        "amount": formats.money_up(entry["amount"], book.decimals),
        "open": [
            {"symbol": symbol, "side": side_name(side), "qty": print_qty(book, symbol, lots)}
            for symbol, side, lots in entry["open"]
        ],
    }


def print_refused(book: Book, entry: Entry) -> Entry:
    return (
        {"account": entry["account"], "bankrupt": entry["bankrupt"]}
        | print_row(book, entry)
        | {"reason": entry["reason"]}
    )


PRINTERS: dict[str, Callable[[Book, Entry], Entry]] = {
    "liquidations": print_liquidation,
    "executions": print_execution,
    "fees": print_fee,
    "netted": print_netted,
    "fund_payments": print_amount,
    "takeovers": print_takeover,
    "adl_fills": print_fill,
    "socialized": print_amount,
    "uncovered": print_uncovered,
    "refused": print_refused,
}


def print_equity(book: Book, account: Account) -> str | None:
    """Null while a symbol the account holds has no mark."""
    if any(row.symbol not in book.marks for row in account.rows()):
        return None
    return formats.money_down(margin.equity(book, account), book.decimals)


def print_account(book: Book, account: Account) -> Entry:
    equity = print_equity(book, account)
    margin_text = None
    if equity is not None:
        margin_text = formats.money_up(margin.maintenance_margin(book, account), book.decimals)
    return {
        "id": account.id,
        "owner": account.owner,
        "cash": formats.money(account.cash, book.decimals),
        "equity": equity,
        "maintenance_margin": margin_text,
    }


def print_reserved(book: Book, account: Account) -> Entry:
    return {"cash": formats.money(account.cash, book.decimals), "equity": print_equity(book, account)}


def print_positions(book: Book) -> list[Entry]:
    printed = []
    for account in sorted(book.accounts.values(), key=lambda account: account.id):
        for row in account.rows():
            price: Fraction | None = book.instruments[row.symbol].price(row.side, row.lots, row.entry_value)
            printed.append(
                {
                    "account": account.id,
                    "symbol": row.symbol,
                    "qty": print_qty(book, row.symbol, row.side * row.lots),
                    "entry_price": None if price is None else formats.significant(price),
                    "entry_value": formats.money(row.entry_value, book.decimals),
                }
            )
    return printed
