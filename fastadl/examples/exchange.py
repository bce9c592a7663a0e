"""A small exchange around the engine, and the day its market crashes.

``python -m fastadl.examples.exchange --journal DIR``: a few hundred agents trade a linear and an inverse
perpetual until leverage has built up; then the index loses a third within minutes.

`Exchange` is the part to read: what the engine is asked before an order is taken (`place`), what it is told
about trades (`clear`), and what is done when a mark leaves accounts below their margin (`mark`). A monitor
watches the day: in its crash, alerts are raised before anybody is deleveraged.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from heapq import heappop, heappush
from itertools import count
from math import ceil, floor
from typing import NamedTuple

import numpy as np
import polars as pl

import fastadl as fa
from fastadl.io.files import check_file
from fastadl.monitor import Alert
from fastadl.schema import FUND, MARKET, Int64Array

START, STEP, FUNDING = 50_000, 60, 60  # first index price; seconds a step takes; steps between fundings
OPENS = 1_760_054_400_000_000_000  # nanoseconds since 1970
FEE, LEVERAGE = Fraction(5, 10_000), 20
TIERS = [{"min_notional": "0", "maintenance_rate": "0.02", "max_leverage": LEVERAGE}]
INSTRUMENTS = {
    "symbol": ["BTC-PERP", "BTC-INVERSE"],
    "kind": ["linear", "inverse"],
    "contract_size": ["1", "1"],
    "lot": ["0.001", "10"],
    "currency": ["USD", "BTC"],
    "decimals": [6, 8],
    "tiers": [TIERS, TIERS],
    "mark": [START, START],
}
POSITIONS: dict[str, list[str]] = {"account": [], "symbol": [], "lots": [], "entry_value": []}
FUNDED = {"USD": "5000", "BTC": "0.1"}
CURRENCY = {"BTC-PERP": "USD", "BTC-INVERSE": "BTC"}
ATOMS = {"USD": 10**6, "BTC": 10**8}

# ---------------------------------------------------------------------- matching


@dataclass(slots=True, eq=False)
class Order:
    """An order: `lots` left to trade, above 0 to buy; `limit` None takes any price and does not wait.

    `number` is the engine's, of an order that liquidates.
    """

    account: str
    symbol: str
    lots: int
    limit: int | None
    number: int | None = None


class Trade(NamedTuple):
    """Lots that the taker bought, or sold if below 0, at the maker's price."""

    taker: Order
    maker: Order
    lots: int
    price: int

    def sides(self) -> Iterator[tuple[Order, Order, int]]:
        """Either order, the other one, and the lots it bought."""
        yield self.taker, self.maker, self.lots
        yield self.maker, self.taker, -self.lots


class OrderBook:
    """Orders of one symbol that wait: the best price is first, and at one price the oldest."""

    def __init__(self) -> None:
        self._waiting: dict[bool, list[tuple[int, int, Order]]] = {True: [], False: []}
        self._arrivals = count()

    def match(self, order: Order) -> list[Trade]:
        """Trade an order against those that wait; what is left of it waits too, if it has a limit."""
        buys, trades = order.lots > 0, []
        while order.lots and (best := self._best(not buys)):
            price, maker = best
            if order.limit is not None and (price > order.limit if buys else price < order.limit):
                break
            lots = min(order.lots, -maker.lots) if buys else max(order.lots, -maker.lots)
            order.lots -= lots
            maker.lots += lots
            trades.append(Trade(order, maker, lots, price))
        if order.lots and order.limit is not None:
            rank = -order.limit if buys else order.limit
            heappush(self._waiting[buys], (rank, next(self._arrivals), order))
        return trades

    def _best(self, buys: bool) -> tuple[int, Order] | None:
        waiting = self._waiting[buys]
        while waiting and not waiting[0][2].lots:  # traded or cancelled since
            heappop(waiting)
        return (abs(waiting[0][0]), waiting[0][2]) if waiting else None


# ---------------------------------------------------------------------- the exchange


class Waterfall(NamedTuple):
    """What one mark set off."""

    marked: fa.Marked
    withdrawn: pl.DataFrame
    sent: pl.DataFrame
    filled: pl.DataFrame  # lots of such orders by symbol, since the mark before
    early: Counter[str]  # of these, what was filled before this mark and is in no report
    report: fa.Report


class Exchange:
    """Order books beside an engine, which keeps the accounts."""

    def __init__(self, engine: fa.Engine) -> None:
        self.engine = engine
        self.price = START
        self.held: Counter[tuple[str, str]] = Counter()  # lots by account and symbol
        self.liquidations: dict[int, Order] = {}  # that wait, by the engine's number
        self._instruments = {item.symbol: item for item in engine.book.instruments}
        self._codes = {account: code for code, account in enumerate(engine.accounts)}
        self._books = {symbol: OrderBook() for symbol in engine.symbols}
        self._orders: defaultdict[str, list[Order]] = defaultdict(list)  # of traders, by account
        self._filled: list[dict[str, object]] = []  # executions since the last mark
        self._trades: list[Trade] = []  # that the engine does not know yet
        self._in_flight: Counter[tuple[str, bool]] = Counter()  # their lots by account, bought or not

    def place(self, order: Order) -> bool:
        """Take an order if what is free can margin it, on top of all that its account trades on that side."""
        account, buys = order.account, order.lots > 0
        waiting = (each.lots for each in self._orders[account] if (each.lots > 0) == buys)
        lots = order.lots + sum(waiting) + self._in_flight[account, buys]
        value = self.value(order.symbol, lots, order.limit or self.price)
        who, what = self._codes[account], self.engine.symbols.index(order.symbol)  # quicker than names
        asked = {"account": who, "symbol": what, "lots": lots, "value_atoms": value}
        needed = self.engine.initial_margin({column: np.array([each]) for column, each in asked.items()})
        if needed[0] > self.engine.free_collateral(who) or self.engine.in_liquidation(who):
            return False
        self._orders[account].append(order)
        self._match(order)
        return True

    def cancel(self, account: str) -> None:
        """Take back the orders of an account."""
        for order in self._orders.pop(account, ()):
            order.lots = 0

    def clear(self) -> None:
        """Tell the engine what was traded since the last time: fills, and executions of its orders."""
        fills, executions = [], []
        for trade in self._trades:
            for order, other, lots in trade.sides():
                row = {"account": order.account, "symbol": order.symbol, "price": trade.price}
                if order.number is not None:  # two such orders that meet do so by way of the market account
                    side, who = "long" if lots < 0 else "short", MARKET if other.number else other.account
                    row |= {"side": side, "lots": abs(lots), "order": order.number, "counterparty": who}
                    executions.append(row)
                elif other.number is None:
                    fee = ceil(FEE * abs(self.value(order.symbol, lots, trade.price)))
                    fills.append(row | {"lots": lots, "fee_atoms": fee if order is trade.taker else 0})
        if fills:
            self.engine.apply_fills(pl.DataFrame(fills))
        if executions:
            self.engine.settle(pl.DataFrame(executions))
            self._filled += executions
        self._trades, self._in_flight = [], Counter()

    def mark(self, price: int, time: int) -> Waterfall:
        """Mark at the index, and do with accounts below their margin what has to be done."""
        self.price = price
        early = Counter[str]()
        for execution in self._filled:
            early[str(execution["symbol"])] += abs(int(str(execution["lots"])))
        marked = self.engine.mark(dict.fromkeys(self._books, price), time)
        for account in self.engine.liquidations()["account"]:
            self.cancel(account)
        withdrawn = self.engine.orders().drop_nulls("reason")  # bankrupt by now, or safe again
        for number in withdrawn["order"]:
            self.liquidations.pop(number).lots = 0
        self.engine.cancel_orders(withdrawn["order"])
        sent = self.engine.order_liquidations(slice="0.5", least=10)
        for number, account, symbol, side, lots, limit, _ in sent.iter_rows():  # a limit: one position each
            sign, rounded = (1, floor) if side == "short" else (-1, ceil)
            order = self.liquidations[number] = Order(account, symbol, sign * lots, rounded(limit), number)
            self._match(order)
        self.clear()
        report = self.engine.deleverage()  # takes over first: the fund pays, and ADL closes the rest
        for account in report.notices["account"]:
            self.cancel(account)  # they were meant for a position that is no more
        self.held = Counter({(who, what): lots for who, what, lots, _ in self.engine.frames()[2].iter_rows()})
        filled, self._filled = pl.DataFrame(self._filled, {"symbol": pl.String, "lots": pl.Int64}), []
        self._offer_inventory()
        return Waterfall(marked, withdrawn, sent, filled, early, report)

    def value(self, symbol: str, lots: int, price: int) -> int:
        """What lots are worth at a price, in atoms rounded up."""
        return ceil(lots * self._instruments[symbol].unit_value(Fraction(price)))

    def _offer_inventory(self) -> None:
        """Offer half of what the fund has taken over, near the mark."""
        self.cancel(FUND)
        for symbol in self._books:
            if lots := -ceil(self.held[FUND, symbol] / 2):
                order = Order(FUND, symbol, lots, ceil(self.price * (1.03 if lots > 0 else 0.97)))
                self._orders[FUND].append(order)
                self._match(order)

    def _match(self, order: Order) -> None:
        for trade in self._books[order.symbol].match(order):
            for side, _, lots in trade.sides():
                self.held[side.account, side.symbol] += lots
                self._in_flight[side.account, lots > 0] += lots
                if side.number is not None and not side.lots:
                    self.liquidations.pop(side.number, None)
            self._trades.append(trade)


# ---------------------------------------------------------------------- agents


Wishes = list[tuple[int, int | None]]  # lots, and the limit


class View(NamedTuple):
    """What an agent decides by: index, its last move, lots it holds, lots its equity would buy unlevered."""

    price: int
    move: float
    held: int
    size: int
    chance: random.Random

    def toward(self, leverage: float, *, pace: float, haste: float | None) -> Wishes:
        """An order that brings leverage nearer to this, `haste` beyond the index if need be."""
        most = max(1, int(pace * self.size))
        lots = max(-most, min(int(leverage * self.size) - self.held, most))
        limit = None if haste is None else int(self.price * (1 + (haste if lots > 0 else -haste)))
        return [(lots, limit)] if lots else []


def maker(view: View) -> Wishes:
    """Quotes both sides, wider and for less when prices move, and leans against its position."""
    middle, half = view.price * (1 - 0.002 * view.held / (view.size + 1)), 0.0005 + abs(view.move) / 20
    lots = int(view.size / (1 + 20 * abs(view.move)))
    return [(lots, int(middle * (1 - half))), (-lots, ceil(middle * (1 + half)))] if lots else []


def trend(view: View) -> Wishes:
    """Follows the price, at any price."""
    return view.toward(4 if view.move > 0 else -3, pace=0.5, haste=None) if abs(view.move) > 0.004 else []


def bull(view: View) -> Wishes:
    """Is long for many times what it has, and adds what its profit allows."""
    return view.toward(view.chance.uniform(6, 18), pace=2, haste=0.002)


def hedger(view: View) -> Wishes:
    """Is short against coins it holds elsewhere."""
    return view.toward(-2, pace=0.3, haste=0.001)


#: Strategy → share of the agents, and dollars that one of them begins with, more or less.
CROWD = {maker: (0.2, 100_000), trend: (0.2, 8_000), bull: (0.4, 4_000), hedger: (0.2, 25_000)}


class Agent(NamedTuple):
    """An account, the symbol it trades, and how."""

    account: str
    symbol: str
    decide: Callable[[View], Wishes]


def crowd(agents: int, chance: random.Random) -> tuple[list[Agent], fa.Book]:
    """Agents, and the book they begin with: cash, and no position."""
    who, cash, currency = [], [], []
    for strategy, (share, dollars) in CROWD.items():
        for number in range(max(2, round(share * agents))):
            symbol = "BTC-INVERSE" if number % 2 else "BTC-PERP"
            given = dollars * chance.lognormvariate(0, 0.7)
            cash.append(f"{given / START:.6f}" if CURRENCY[symbol] == "BTC" else f"{given:.2f}")
            currency.append(CURRENCY[symbol])
            who.append(Agent(f"{strategy.__name__}-{number:03}", symbol, strategy))
    accounts = {"id": [agent.account for agent in who], "cash": cash, "currency": currency}
    return who, fa.Book.from_frames(INSTRUMENTS, accounts, POSITIONS)


def index_prices(steps: int, chance: random.Random) -> list[int]:
    """An index that drifts upward, then loses a third within a tenth of its steps, and stays down."""
    price, prices, crash = float(START), [], range(steps * 6 // 10, steps * 7 // 10)
    for step in range(steps):
        drift, noise = ((2 / 3) ** (1 / len(crash)) - 1, 0.006) if step in crash else (0.0005, 0.001)
        price *= 1 + drift + chance.gauss(0, noise)
        prices.append(round(price))
    return prices


def trade(exchange: Exchange, agents: Sequence[Agent], past: int, chance: random.Random) -> None:
    """Have every third agent decide anew, in no particular order."""
    equity = dict(zip(exchange.engine.accounts, exchange.engine.equity().tolist(), strict=True))
    for account, symbol, decide in chance.sample(agents, len(agents) // 3):
        exchange.cancel(account)
        size = floor(max(0, equity[account]) / abs(exchange.value(symbol, 1, exchange.price)))
        move, held = exchange.price / past - 1, exchange.held[account, symbol]
        for lots, limit in decide(View(exchange.price, move, held, size, chance)):
            exchange.place(Order(account, symbol, lots, limit))


# ---------------------------------------------------------------------- the day


def run(
    exchange: Exchange,
    agents: Sequence[Agent],
    prices: Sequence[int],
    chance: random.Random,
    metrics: str | None = None,
) -> None:
    """Trade, mark and watch, a step for every price, and tell what happens."""
    engine, began, monitor = exchange.engine, exchange.engine.equity(), fa.Monitor()
    liquidated, deleveraged = set[str](), set[str]()
    for step, price in enumerate(prices):
        trade(exchange, agents, prices[max(0, step - 10)], chance)
        exchange.clear()
        rates = dict.fromkeys(engine.symbols, "0.0001") if step % FUNDING == FUNDING - 1 else {}
        if rates:
            engine.pay_funding(rates)
        fall = exchange.mark(price, (step + 1) * STEP)
        alerts = monitor.observe(engine, fall.report, funding=rates, executed=fall.early)
        if metrics is not None:
            monitor.write(metrics)
        tell(step, price, fall, alerts, len(exchange.liquidations))
        liquidated.update(fall.report.liquidations["account"])
        deleveraged.update(fall.report.notices["account"])
    table = standing(engine, agents, began, liquidated, deleveraged)
    with pl.Config(tbl_formatting="NOTHING", tbl_hide_column_data_types=True, float_precision=2):
        print(f"\n{table}\n".replace(f"shape: {table.shape}\n", ""))
    for _, currency, _, equity in engine.reserves().filter(account="fund").iter_rows():
        print(f"fund: {FUNDED[currency]} {currency} at first, {money(equity, currency)} at last")


def standing(
    engine: fa.Engine, agents: Sequence[Agent], began: Int64Array, liquidated: set[str], deleveraged: set[str]
) -> pl.DataFrame:
    """How the day has ended for whom."""
    currency = [CURRENCY[agent.symbol] for agent in agents]
    one = [ATOMS[each] for each in currency]
    of_each = {
        "who": [agent.decide.__name__ for agent in agents],
        "currency": currency,
        "at_first": began / one,
        "at_last": engine.equity() / one,
        "liquidated": [agent.account in liquidated for agent in agents],
        "deleveraged": [agent.account in deleveraged for agent in agents],
    }
    groups = pl.DataFrame(of_each).group_by("who", "currency", maintain_order=True)
    return groups.agg(pl.len().alias("agents"), pl.all().sum())


def tell(step: int, price: int, fall: Waterfall, alerts: Sequence[Alert], waiting: int) -> None:
    """Print what a mark set off, in the order it happened, and the alerts after it."""
    report, marked, events = fall.report, fall.marked, []
    if marked.liquidatable or marked.bankrupt:
        events.append(f"mark       {marked.liquidatable} below their margin, {marked.bankrupt} bankrupt")
    if fall.withdrawn.height:
        events.append(f"withdrawn  {fall.withdrawn.height} orders: bankrupt by now, or safe again")
    if fall.sent.height:
        events.append(f"sent       {fall.sent.height} orders for {lots_of(fall.sent)}")
    if fall.filled.height or waiting:
        events.append(f"filled     {lots_of(fall.filled) or 'nothing'}; {waiting} orders wait")
    if report.takeovers.height:
        events.append(f"fund       takes {lots_of(report.takeovers)}")
    if report.adl_fills.height:
        who = report.adl_fills["counterparty"]
        events.append(f"ADL        {lots_of(report.adl_fills)} of {who.n_unique()} traders, {who[0]} first")
    for amount, currency in report.uncovered.select("amount", "currency").iter_rows():
        events.append(f"uncovered  {money(amount, currency)} {currency}")
    events += [f"alert      {alert}" for alert in alerts]
    if events:
        print(f"{step:5} {price:9,}  ", f"\n{'':18}".join(events), flush=True)


def lots_of(frame: pl.DataFrame) -> str:
    """Lots in all by symbol, as people write them."""
    lots = frame.group_by("symbol").agg(pl.col("lots").sum()).sort("symbol").iter_rows()
    return ", ".join(f"{many:,} lots of {symbol}" for symbol, many in lots)


def money(atoms: int, currency: str) -> str:
    """Atoms as people write them."""
    return f"{atoms / ATOMS[currency]:,.2f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the exchange of the command line."""
    parser = argparse.ArgumentParser("python -m fastadl.examples.exchange", description="An exchange.")
    parser.add_argument("--journal", metavar="DIR", required=True, help="a new folder")
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--agents", type=int, default=300)
    parser.add_argument("--steps", type=int, default=240, help="minutes of the day")
    parser.add_argument("--metrics", metavar="FILE", help="rewritten at every step, for Prometheus")
    given = parser.parse_args(arguments)
    chance = random.Random(given.seed)
    agents, book = crowd(given.agents, chance)
    try:
        if given.metrics is not None:
            check_file(given.metrics)
        clock = count(OPENS, 1000).__next__  # a microsecond a call: the same seed writes the same journal
        with fa.LiveEngine.create(given.journal, book, policy="bitmex", fund=FUNDED, clock=clock) as engine:
            run(Exchange(engine), agents, index_prices(given.steps, chance), chance, given.metrics)
            checks, entries = engine.check(), engine.journal.sequence
    except fa.InputError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(f"conservation laws: {'kept' if checks.ok else 'BROKEN'}; entries in the journal: {entries:,}\n")
    print(f"fastadl replay {given.journal}  # does all of it again, and compares")
    return 0 if checks.ok else 1


if __name__ == "__main__":
    sys.exit(main())
