"""A book that lives, the obvious way: the exact model of `model`, a book a currency, and calls between ticks.

Nothing here imports the engine. Rule numbers are those of the semantics.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import wraps
from math import ceil, floor
from typing import Any

from model import margin, waterfall
from model.book import (
    FUND,
    LONG,
    MARKET,
    RESERVED,
    SHORT,
    Account,
    Book,
    Row,
    load_book,
    load_instrument,
    load_tiers,
)  # fmt: skip
from model.contract_space import deleverage
from model.exact import Exact
from model.fund import fund_first_pass, fund_marked, fund_second_pass
from model.moves import close, take
from model.policy import fund_rule, liquidity_model, resolve
from model.pool import cap_profits
from model.state import Bankrupt, Memory, Rules, Tick
from model.wealth_space import begin_session, socialize, take_at_mark

Raw = dict[str, Any]

ROW_BOUND = 1 << 53
SIDES = {"long": LONG, "short": SHORT}


class Refused(Exception):  # noqa: N818
    """A call that must change nothing; `row` is the first bad one, where it is of one."""

    def __init__(self, row: int | None = None) -> None:
        super().__init__(row)
        self.row = row


class NotNow(Exception):  # noqa: N818
    """A call that must wait."""


@dataclass(frozen=True)
class Fill:
    """What one side of a trade did: signed lots for `value`, and a fee to the fund."""

    account: str
    symbol: str
    lots: int
    value: int
    fee: int = 0
    side: str | None = None


@dataclass(frozen=True)
class Move:
    """Cash from one account to another, and the row of `symbol` along with it."""

    source: str
    target: str
    amount: int
    symbol: str | None = None
    side: str | None = None


@dataclass(frozen=True)
class Execution:
    """A close of `side`; None as counterparty is the market account."""

    account: str
    symbol: str
    side: str
    lots: int
    value: int
    fee: int = 0
    counterparty: str | None = None
    order: int | None = None


@dataclass
class Order:
    """What is left of an order to close a row; `part` if it was for less than the row."""

    account: str
    symbol: str
    side: int
    lots: int
    part: bool


@dataclass(frozen=True)
class Wanted:
    """How much of a row an order is for (R101)."""

    slice: Fraction | None = None
    slice_above: Fraction = Fraction(0)
    cooldown: int = 0
    in_cooldown: str = "wait"
    step_down: bool = False
    bankrupt: str = "book"
    least: int = 1


@dataclass
class LiveTick(Tick):
    """R106, R108: who is exempt is no candidate and pays nothing; who is in liquidation is no candidate."""

    exempt: set[str] = field(default_factory=set)
    in_liquidation: set[str] = field(default_factory=set)

    def bankrupt_ids(self) -> set[str]:
        return super().bankrupt_ids() | self.exempt | self.in_liquidation

    def payers(self) -> list[Account]:
        spared = super().bankrupt_ids() | self.exempt
        return [account for account in self.book.traders() if account.id not in spared]


@dataclass
class World:
    """All of one currency."""

    book: Book
    rules: Rules
    memory: Memory
    tick: LiveTick | None = None

    def realize(self, symbol: str, amount: int) -> None:
        """R88 remembers what the fund realised."""
        self.memory.realized[symbol] = self.memory.realized.get(symbol, 0) + amount


def whole(call: Callable[..., Any]) -> Callable[..., Any]:
    """All that a call does, or nothing."""

    @wraps(call)
    def kept(self: LiveModel, *given: Any, **named: Any) -> Any:
        before = copy.deepcopy(self.__dict__)
        try:
            return call(self, *given, **named)
        except (Refused, NotNow):
            self.__dict__ = before
            raise

    return kept


class LiveModel:
    """An engine between and during ticks.

    Parameters
    ----------
    raw : mapping
        ``instruments``, ``accounts`` as in a scenario file, each with ``currency`` and the former with
        ``decimals``; ``positions`` with ``account``, ``symbol``, ``side``, ``lots``, ``entry_value``;
        ``funds`` by currency, ``policy`` and ``liquidity``.
    """

    def __init__(self, raw: Raw) -> None:
        self.worlds: dict[str, World] = {}
        self.number, self.time = -1, 0
        self.open = self.declared = False
        self.exempt: set[str] = set()
        self.delisted: set[str] = set()
        self.orders: dict[int, Order] = {}
        self.last_order = 0
        policy = resolve(raw["policy"])
        for code, decimals in {item["currency"]: item["decimals"] for item in raw["instruments"]}.items():
            fund = raw["funds"][code]
            book = load_book(
                {
                    "currency": {"code": code, "decimals": decimals},
                    "instruments": [each for each in raw["instruments"] if each["currency"] == code],
                    "accounts": [],
                    "positions": [],
                    "fund": fund,
                }
            )
            rules = Rules(
                policy,
                fund_rule(fund, decimals),
                liquidity_model(raw["liquidity"]),
                policy.get("drawdown_amount", 0) * 10**decimals,
            )
            self.worlds[code] = World(book, rules, Memory())
        for each in raw["accounts"]:
            self.add_account(each)
        for each in raw["positions"]:
            side, book = SIDES[each["side"]], self.listed_in(each["symbol"]).book
            row = Row(each["symbol"], side, each["lots"], each["entry_value"])
            book.accounts[each["account"]].open_rows[row.symbol, side] = row

    def add_account(self, raw: Raw) -> Account:
        world = self.worlds[raw["currency"]]
        account = world.book.accounts[raw["id"]] = Account(
            raw["id"],
            raw.get("owner", raw["id"]),
            int(Fraction(raw["cash"]) * 10**world.book.decimals),
            raw.get("adl_tier", 0),
            cross=raw.get("margin_mode", "cross") == "cross",
            place=len(self.traders()),
        )
        if raw.get("exempt"):
            self.exempt.add(account.id)
        return account

    # ------------------------------------------------------------------ what is where

    def listed_in(self, symbol: str) -> World:
        return next(world for world in self.worlds.values() if symbol in world.book.instruments)

    def world_of(self, account: str) -> World:
        return next(world for world in self.worlds.values() if account in world.book.accounts)

    def traders(self) -> dict[str, Account]:
        return {account.id: account for world in self.worlds.values() for account in world.book.traders()}

    def symbols(self) -> list[str]:
        return [symbol for world in self.worlds.values() for symbol in world.book.instruments]

    def value(self, symbol: str, lots: int, price: Fraction) -> int:
        """R11: of signed lots, against who holds them."""
        return ceil(lots * self.listed_in(symbol).book.instruments[symbol].unit_value(price))

    def holdings(self) -> dict[str, dict[Any, Any]]:
        """Cash, rows and reserves, as `holdings` of the tests reads them of an engine."""
        cash, rows, reserves = {}, {}, {}
        for code, world in self.worlds.items():
            for account in world.book.accounts.values():
                if account.id in RESERVED:
                    reserves[account.id, code] = account.cash
                else:
                    cash[account.id] = account.cash
                for row in account.open_rows.values():
                    rows[account.id, row.symbol, row.side] = row.lots, row.entry_value
        return {"cash": cash, "rows": rows, "reserves": reserves}

    def unmarked(self) -> bool:
        """Whether somebody holds what was never marked."""
        return any(
            row.symbol not in world.book.marks
            for world in self.worlds.values()
            for account in world.book.accounts.values()
            for row in account.rows()
        )

    # ------------------------------------------------------------------ fills

    @whole
    def apply_fills(self, fills: Sequence[Fill], *, priced: bool) -> tuple[list[int], list[bool | None]]:
        """R103: what each fill realised, and whether its price was far from the mark; None if barely."""
        self.check_between()
        for i, fill in enumerate(fills):
            if not self.possible(fill):
                raise Refused(i)
        to_fund = self.residue(fills, priced)
        realized, free = [], self.free_lots()
        for i, fill in enumerate(fills):
            self.check_in_liquidation(i, fill, free)
            realized.append(self.book_fill(i, fill))
        for code, atoms in to_fund.items():
            self.worlds[code].book.fund.cash += atoms
        return realized, [self.is_far(fill) for fill in fills]

    def possible(self, fill: Fill) -> bool:
        """Whether any book could take it."""
        if fill.symbol not in self.symbols() or fill.symbol in self.delisted or not fill.lots:
            return False
        if fill.account not in self.traders() and (fill.account not in RESERVED or fill.side):
            return False
        world = self.listed_in(fill.symbol)
        if fill.symbol not in world.book.marks:
            return False
        inverse = world.book.instruments[fill.symbol].kind == "inverse"
        signed = not fill.value or ((fill.value > 0) == (fill.lots > 0)) != inverse
        small = max(abs(fill.lots), abs(fill.value), abs(fill.fee)) <= ROW_BOUND
        return fill.account in world.book.accounts and signed and small

    def residue(self, fills: Sequence[Fill], priced: bool) -> dict[str, int]:
        """What the fund receives: fees, and less than an atom a fill of a price's rounding."""
        lots, values, counts = {}, {}, {}
        to_fund = dict.fromkeys(self.worlds, 0)
        fees = dict.fromkeys(self.worlds, 0)
        for fill in fills:
            lots[fill.symbol] = lots.get(fill.symbol, 0) + fill.lots
            values[fill.symbol] = values.get(fill.symbol, 0) + fill.value
            counts[fill.symbol] = counts.get(fill.symbol, 0) + 1
            code = next(code for code, world in self.worlds.items() if fill.symbol in world.book.instruments)
            fees[code] += fill.fee
        for symbol, value in values.items():
            if lots[symbol] or not 0 <= value <= (counts[symbol] - 1 if priced else 0):
                raise Refused
            code = next(code for code, world in self.worlds.items() if symbol in world.book.instruments)
            to_fund[code] += value
        if min(fees.values()) < 0:
            raise Refused
        return {code: to_fund[code] + fees[code] for code in self.worlds}

    def check_in_liquidation(self, i: int, fill: Fill, free: dict[tuple[str, str, int], int]) -> None:
        """R108: an account with open orders closes what is not on order, and does nothing else."""
        if fill.account in self.in_liquidation():
            closes = SHORT if fill.lots > 0 else LONG
            key = fill.account, fill.symbol, closes
            free[key] = free.get(key, 0) - abs(fill.lots)
            if free[key] < 0 or (fill.side and SIDES[fill.side] != closes):
                raise Refused(i)

    def free_lots(self) -> dict[tuple[str, str, int], int]:
        """Lots of every row that are not on order."""
        free = {key: lots for key, (lots, _) in self.holdings()["rows"].items()}
        for order in self.orders.values():
            free[order.account, order.symbol, order.side] -= order.lots
        return free

    def in_liquidation(self) -> set[str]:
        return {order.account for order in self.orders.values()}

    def book_fill(self, i: int, fill: Fill) -> int:
        """R12, as for the fund, but for the bounds of R1 and for who may hold one position only."""
        world = self.listed_in(fill.symbol)
        account, side = world.book.accounts[fill.account], LONG if fill.lots > 0 else SHORT
        before = abs(account.cash)
        if fill.side is None:
            realized = take(account, fill.symbol, side, abs(fill.lots), fill.value)
        else:
            realized = self.book_row(i, fill, account)
        account.cash -= fill.fee
        if account.id in RESERVED:
            if account.id == FUND:
                world.realize(fill.symbol, realized)
            return realized
        row = account.row(fill.symbol, side)
        bounded = [account.cash] if abs(account.cash) > before else [0]
        if row is not None:
            bounded += [row.lots, row.entry_value]
            if fill.symbol in world.book.marks and margin.row_notional(world.book, row) > Fraction(2) ** 62:
                raise Refused(i)
        if max(map(abs, bounded)) > ROW_BOUND or (not account.cross and len(account.open_rows) > 1):
            raise Refused(i)
        return realized

    def book_row(self, i: int, fill: Fill, account: Account) -> int:
        """R103: a fill of the row it names; the other one stays."""
        assert fill.side is not None
        side = SIDES[fill.side]
        row = account.row(fill.symbol, side)
        if (fill.lots > 0) != (side > 0):
            if row is None or row.lots < abs(fill.lots):
                raise Refused(i)
            return close(account, row, abs(fill.lots), -fill.value)
        row = account.open_rows.setdefault((fill.symbol, side), Row(fill.symbol, side, 0, 0))
        row.lots += abs(fill.lots)
        row.entry_value += fill.value
        return 0

    def is_far(self, fill: Fill) -> bool | None:
        book = self.listed_in(fill.symbol).book
        if fill.symbol not in book.marks:
            return False
        worth = abs(fill.lots * book.unit_value(fill.symbol))
        away = abs(abs(fill.value) - worth) * 10
        return None if abs(away - worth) * 10**9 <= worth else away > worth

    # ------------------------------------------------------------------ money that comes and goes

    @whole
    def deposit(self, transfers: Sequence[tuple[str, int]]) -> None:
        """R104."""
        self.check_between()
        for i, (account, amount) in enumerate(transfers):
            if account not in self.traders() or not 0 < amount <= ROW_BOUND:
                raise Refused(i)
        self.move_cash(transfers)

    @whole
    def withdraw(self, transfers: Sequence[tuple[str, int]]) -> None:
        """R104."""
        self.check_marked()
        self.check_between()
        for i, (account, amount) in enumerate(transfers):
            if account not in self.traders() or not 0 < amount <= self.free_collateral(account):
                raise Refused(i)
            self.move_cash([(account, -amount)])

    @whole
    def fund_money(self, code: str, amount: int) -> None:
        """R104: what comes to the fund, or is drawn on it; what is drawn is no loss (R27, R88)."""
        self.check_between()
        if amount < 0:
            self.check_marked()
        world = self.worlds[code]
        fund, memory = world.book.fund, world.memory
        free = max(0, floor(min(Fraction(fund.cash), margin.equity(world.book, fund))))
        if amount == 0 or -amount > free:
            raise Refused(0)
        fund.cash += amount
        if amount < 0:
            memory.marks = [replace(mark, equity=mark.equity + amount) for mark in memory.marks]

    def move_cash(self, transfers: Iterable[tuple[str, int]]) -> None:
        """What comes in or goes out is neither won nor lost in the session (R95)."""
        for name, amount in transfers:
            world = self.world_of(name)
            before = abs(world.book.accounts[name].cash)
            world.book.accounts[name].cash += amount
            if abs(world.book.accounts[name].cash) > max(ROW_BOUND, before):
                raise Refused
            for remembered in (world.memory.remembered, world.memory.remembered_before or {}):
                if name in remembered:
                    remembered[name] += amount

    @whole
    def transfer(self, moves: Sequence[Move]) -> None:
        """R104: source and target are of one owner; each with a row that moved has its initial margin."""
        self.check_marked()
        self.check_between()
        known = self.traders()
        for i, move in enumerate(moves):
            alike = move.source in known and move.target in known and move.source != move.target
            if not alike or self.world_of(move.source) is not self.world_of(move.target) or move.amount < 0:
                raise Refused(i)
        for i, move in enumerate(moves):
            self.book_move(i, move, known[move.source], known[move.target])

    def book_move(self, i: int, move: Move, source: Account, target: Account) -> None:
        world = self.world_of(source.id)
        if source.owner != target.owner or source.id in self.in_liquidation():
            raise Refused(i)
        came, won = move.amount, 0
        if move.symbol is not None:
            rows = [row for row in source.rows() if row.symbol == move.symbol]
            rows = [row for row in rows if move.side in (None, "long" if row.side > 0 else "short")]
            if len(rows) != 1 or target.id in self.in_liquidation():
                raise Refused(i)
            row = source.open_rows.pop((rows[0].symbol, rows[0].side))
            won = floor(margin.row_profit(world.book, row))
            there = target.open_rows.setdefault((row.symbol, row.side), Row(row.symbol, row.side, 0, 0))
            there.lots += row.lots
            there.entry_value += row.entry_value
            if not target.cross and len(target.open_rows) > 1:
                raise Refused(i)
        if move.amount > self.free_collateral(source.id):
            raise Refused(i)
        source.cash -= came
        target.cash += came
        for account, sign in ((source, -1), (target, 1)):
            asked = asked_margin(world.book, account)
            if abs(account.cash) > max(ROW_BOUND, abs(account.cash - sign * came)) or (
                move.symbol is not None and margin.equity(world.book, account) < asked
            ):
                raise Refused(i)
            for remembered in (world.memory.remembered, world.memory.remembered_before or {}):
                if account.id in remembered:
                    remembered[account.id] += sign * (came + won)

    def free_collateral(self, name: str) -> int:
        """max(0, min(cash, equity) − margin), rounded down."""
        self.check_marked()
        if name in self.in_liquidation():
            return 0
        book = self.world_of(name).book
        account = book.accounts[name]
        needed = asked_margin(book, account)
        return max(0, floor(min(Fraction(account.cash), margin.equity(book, account)) - needed))

    @whole
    def pay_funding(self, rates: Mapping[str, Fraction]) -> dict[str, int]:
        """R105: payers up, receivers down; what is left over, by currency, is the fund's."""
        self.check_marked()
        self.check_between()
        left = dict.fromkeys(self.worlds, 0)
        for code, world in self.worlds.items():
            for account in world.book.accounts.values():
                before = account.cash
                for row in account.rows():
                    if row.symbol in rates:
                        notional = margin.row_notional(world.book, row)
                        due = ceil(row.side * rates[row.symbol] * notional)
                        account.cash -= due
                        left[code] += due
                if account.id not in RESERVED and max(ROW_BOUND, abs(before)) < abs(account.cash):
                    raise Refused
            world.book.fund.cash += left[code]
        return left

    # ------------------------------------------------------------------ who is there, and what is traded

    @whole
    def open_accounts(self, accounts: Sequence[Raw]) -> None:
        """R106."""
        self.check_between()
        for i, raw in enumerate(accounts):
            if raw["id"] in self.traders() or raw["id"] in RESERVED or Fraction(raw["cash"]) < 0:
                raise Refused(i)
            account, memory = self.add_account(raw), self.worlds[raw["currency"]].memory
            if memory.session is not None:
                memory.remembered[account.id] = account.cash
            if memory.remembered_before is not None:
                memory.remembered_before[account.id] = account.cash

    @whole
    def set_flags(self, flags: Sequence[tuple[str, int, bool]]) -> None:
        """R106."""
        self.check_between()
        for i, (name, adl_tier, exempt) in enumerate(flags):
            if name not in self.traders() or name in [each[0] for each in flags[:i]]:
                raise Refused(i)
            self.traders()[name].adl_tier = adl_tier
            (self.exempt.add if exempt else self.exempt.discard)(name)

    @whole
    def list_instruments(self, instruments: Sequence[Raw]) -> None:
        """R106."""
        self.check_between()
        for i, raw in enumerate(instruments):
            if raw["symbol"] in self.symbols():
                raise Refused(i)
            book = self.worlds[raw["currency"]].book
            book.instruments[raw["symbol"]] = load_instrument(raw, book.decimals)
            for mark in self.worlds[raw["currency"]].memory.marks:
                mark.profits[raw["symbol"]] = 0
            if raw["mark"] is not None:
                book.marks[raw["symbol"]] = book.previous_marks[raw["symbol"]] = Fraction(raw["mark"])

    @whole
    def set_tiers(self, tiers: Mapping[str, list[Raw]]) -> None:
        """R106, R4."""
        self.check_between()
        for symbol, given in tiers.items():
            book = self.listed_in(symbol).book
            tier_list = load_tiers(given, book.decimals)
            book.instruments[symbol] = replace(book.instruments[symbol], tiers=tier_list)

    @whole
    def settle_instrument(self, symbol: str, price: Fraction) -> int:
        """R107: every row is closed at its value rounded down, and the fund has what is left over."""
        self.check_between()
        if symbol in self.delisted:
            raise Refused
        self.orders = {number: order for number, order in self.orders.items() if order.symbol != symbol}
        world = self.listed_in(symbol)
        unit, left = world.book.instruments[symbol].unit_value(price), 0
        for account in world.book.accounts.values():
            for side in (LONG, SHORT):
                row = account.open_rows.pop((symbol, side), None)
                if row is not None:
                    value = floor(side * row.lots * unit)
                    account.cash += value - row.entry_value
                    left -= value
                    if account.id == FUND:
                        world.realize(symbol, value - row.entry_value)
        world.book.fund.cash += left
        self.delisted.add(symbol)
        return left

    # ------------------------------------------------------------------ orders

    def expected_orders(self, wanted: Wanted) -> dict[str, list[tuple[Any, ...]]]:
        """By currency: account, symbol, side, lots and limit value of what is ordered now (R101, R108)."""
        self.begin()
        self.check_between()
        self.check_marked()
        on = {(order.account, order.symbol, order.side) for order in self.orders.values()}
        found: dict[str, list[tuple[Any, ...]]] = {}
        for code, world in self.worlds.items():
            tick = copy.deepcopy(world.tick)
            assert tick is not None
            tick.rules = replace(tick.rules, liquidity=wanted)  # type: ignore[arg-type]
            found[code] = []
            for account in tick.detected:
                equity = margin.equity(tick.book, account)
                if not 0 <= equity < margin.maintenance_margin(tick.book, account):
                    continue
                tick.bankrupts = [Bankrupt(account)]
                waterfall.set_bankruptcy_values(tick)
                cooling = waterfall.in_cooldown(tick, account)
                for entry in tick.lists["liquidations"]:
                    entry["status"] = "liquidatable"
                for row in account.rows():
                    lots = waterfall.ordered(tick, account, row, cooling=cooling)
                    if lots and min(lots, row.lots - lots) < wanted.least:
                        lots = row.lots
                    if lots and (account.id, row.symbol, row.side) not in on:
                        total = tick.bankrupts[0].values[row.symbol, row.side]
                        any_price = margin.row_value(tick.book, row) > 0 and total <= 0
                        limit = None if any_price else ceil(Fraction(total * lots, row.lots))
                        found[code].append((account.id, row.symbol, row.side, lots, limit))
        return found

    def take_orders(self, sent: Iterable[tuple[int, str, str, int, int]]) -> None:
        """What the engine ordered, by its numbers."""
        held = self.holdings()["rows"]
        for number, account, symbol, side, lots in sent:
            assert number == self.last_order + 1
            part = lots < held[account, symbol, side][0]
            self.orders[number] = Order(account, symbol, side, lots, part)
            self.last_order = number

    @whole
    def cancel_orders(self, numbers: Sequence[int] | None) -> None:
        """R108."""
        self.check_between()
        for i, number in enumerate(list(self.orders) if numbers is None else numbers):
            if number not in self.orders:
                raise Refused(i)
            del self.orders[number]

    def reasons(self) -> dict[int, str | None]:
        """Why orders should be cancelled: of accounts that are bankrupt by now, or no longer liquidatable."""
        why: dict[int, str | None] = {}
        for number, order in self.orders.items():
            book = self.world_of(order.account).book
            account = book.accounts[order.account]
            equity, needed = margin.equity(book, account), margin.maintenance_margin(book, account)
            why[number] = "bankrupt" if equity < 0 else None if equity < needed else "safe"
        return why

    # ------------------------------------------------------------------ ticks

    def check_between(self) -> None:
        if self.declared:
            raise NotNow

    def check_marked(self) -> None:
        if self.unmarked():
            raise NotNow

    @whole
    def mark(self, prices: Mapping[str, Fraction], time: int | None = None) -> None:
        """R20, R21."""
        self.check_between()
        self.time = self.time if time is None else time
        self.number += 1
        for world in self.worlds.values():
            own = {symbol: price for symbol, price in prices.items() if symbol in world.book.instruments}
            world.book.mark(own, {})
        if self.unmarked():
            raise Refused
        for world in self.worlds.values():
            unfinished = world.tick
            world.tick = tick = LiveTick(world.book, world.rules, world.memory, self.number, self.time)
            fund_marked(world.book, world.rules, world.memory, self.time)
            begin_session(tick, self.time)
            tick.session_ended |= unfinished is not None and unfinished.session_ended
            waterfall.detect(tick)
        self.open = True

    def begin(self) -> list[LiveTick]:
        """Ticks in progress, told who is spared; new ones at the same marks if there are none."""
        if not self.open:
            self.mark({})
        ticks = [world.tick for world in self.worlds.values() if world.tick is not None]
        for tick in ticks:
            tick.exempt, tick.in_liquidation = self.exempt, self.in_liquidation()
        return ticks

    @whole
    def settle(self, executions: Sequence[Execution] | None = None) -> None:
        """R22, R77, R108."""
        self.check_between()
        if not executions or not all(each.order for each in executions):
            ticks = self.begin()
        if executions is None:
            if any(tick.detected for tick in ticks):
                self.check_marked()
            for tick in ticks:
                frozen = tick.in_liquidation
                waterfall.close_out(
                    replace(tick, detected=[each for each in tick.detected if each.id not in frozen])
                )
            return
        free = self.free_lots()
        closed = [self.off_order(i, each, free) for i, each in enumerate(executions)]
        for each in executions:
            self.execute(each)
        for order in closed:
            if order is not None and order.part:
                self.world_of(order.account).memory.sliced[order.account] = self.time
        self.orders = {number: order for number, order in self.orders.items() if order.lots}

    def off_order(self, i: int, each: Execution, free: dict[tuple[str, str, int], int]) -> Order | None:
        """The order that an execution fills; refuses what would close anything twice."""
        key, order = (each.account, each.symbol, SIDES[each.side]), None
        if each.order is not None:
            order = self.orders.get(each.order)
            if order is None or (order.account, order.symbol, order.side) != key or order.lots < each.lots:
                raise Refused(i)
            order.lots -= each.lots
        elif any((out.account, out.symbol, out.side) == key for out in self.orders.values()):
            raise Refused(i)
        else:
            free[key] = free.get(key, 0) - each.lots
            if free[key] < 0:
                raise Refused(i)
        if each.counterparty in self.in_liquidation():
            other = each.counterparty, each.symbol, -SIDES[each.side]
            free[other] = free.get(other, 0) - each.lots
            if free[other] < 0:
                raise Refused(i)
        return order

    def execute(self, each: Execution) -> None:
        world, side = self.listed_in(each.symbol), SIDES[each.side]
        book = world.book
        account = book.accounts[each.account]
        close(account, account.open_rows[each.symbol, side], each.lots, each.value)
        other = book.accounts[each.counterparty or MARKET]
        realized = take(other, each.symbol, side, each.lots, each.value)
        if other is book.fund:
            world.realize(each.symbol, realized)
        account.cash -= each.fee
        book.fund.cash += each.fee

    @whole
    def takeover(self) -> None:
        """R23 to R27."""
        ticks = self.begin()
        self.check_between()
        self.check_marked()
        for tick in ticks:
            waterfall.decide_bankrupt(tick)
            frozen = tick.in_liquidation
            tick.bankrupts = [each for each in tick.bankrupts if each.account.id not in frozen]
            waterfall.net_hedges(tick)
            waterfall.set_bankruptcy_values(tick)
            fund_first_pass(tick)
        self.declared = True

    @whole
    def deleverage(self) -> None:
        """R28 to R31."""
        self.begin()
        if not self.declared:
            self.takeover()
        for world in self.worlds.values():
            tick = world.tick
            assert tick is not None
            trigger, wealth = world.rules.policy["trigger"], world.rules.policy["space"] == "wealth"
            if trigger not in ("none", "pool_profit") and not wealth:
                deleverage(tick)
            if trigger != "none" and wealth:
                take_at_mark(tick)
            fund_second_pass(tick)
            if trigger == "pool_profit":
                cap_profits(tick)
            if trigger != "none" and wealth:
                socialize(tick)
            world.tick = None
        self.open = self.declared = False

    def detected(self) -> dict[str, str]:
        """Accounts detected in the tick in progress, and how they stood."""
        return {
            entry["account"]: entry["status"]
            for world in self.worlds.values()
            if world.tick is not None
            for entry in world.tick.lists["liquidations"]
        }


def asked_margin(book: Book, account: Account) -> Exact:
    """Initial margin of all rows, or their maintenance margin where that is more."""
    initial = sum(initial_margin(book, row) for row in account.rows())
    return max(initial, margin.maintenance_margin(book, account))


def initial_margin(book: Book, row: Row) -> Exact:
    """Notional over the most leverage of its tier; or the row's maintenance margin where none is given."""
    notional = margin.row_notional(book, row)
    tier = [tier for tier in book.instruments[row.symbol].tiers if tier.min_notional <= notional][-1]
    return margin.row_margin(book, row) if tier.max_leverage is None else notional / tier.max_leverage
