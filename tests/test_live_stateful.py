"""Any order of what may happen to a live book, good and bad: it holds what the model of it holds."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from fractions import Fraction
from math import ceil, floor
from random import Random
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from engines import state_of
from fastadl import Book, Engine, InputError, StageError
from fastadl.decimals import plain
from live_draws import (
    book_of,
    columns,
    draw_fills,
    draw_marks,
    draw_moves,
    draw_new_accounts,
    draw_new_instruments,
    draw_tiers,
    draw_world,
    funds_of,
    spoil,
)  # fmt: skip
from live_model import FUND, MARKET, ROW_BOUND, SIDES, Execution, Fill, LiveModel, NotNow, Refused, Wanted
from model import margin
from uncompiled import fewer


def holdings(engine: Engine) -> dict[str, dict[Any, Any]]:
    """Cash, rows and reserves, as `LiveModel.holdings` writes them."""
    _, accounts, positions = engine.book.to_frames()
    return {
        "cash": dict(accounts.select("id", "cash_atoms").iter_rows()),
        "rows": {
            (account, symbol, 1 if lots > 0 else -1): (abs(lots), entry)
            for account, symbol, lots, entry in positions.iter_rows()
        },
        "reserves": {
            (account, code): cash
            for account, code, cash in engine.reserves().select("account", "currency", "cash").iter_rows()
        },
    }


#: A seed for all that a call is given.
DICE = st.randoms(use_true_random=True)
#: What is deposited: mostly what can be; None is more than an account may have.
AMOUNTS = (*[1, 5, 777, 10_000, 10**6] * 4, 0, None)
#: What is withdrawn of what is free.
SHARES = (*[0.5, 1, 0.001, 0.1] * 2, 1.5)
#: Calls, and how many of some fifty each is.
CALLS = {
    "trade": 12, "transfer": 4, "deposit": 2, "withdraw": 3, "fund_money": 1, "what_is_free": 2, "funding": 2,
    "open_accounts": 2, "list_instruments": 2, "set_tiers": 3, "set_flags": 1, "settle_instrument": 1,
    "order_liquidations": 4,
    "cancel_orders": 1, "mark": 6, "who_is_detected": 2, "tick": 4, "settle": 6, "takeover": 2, "copy": 1,
}  # fmt: skip


class Exchange(RuleBasedStateMachine):
    """An engine and its model, told the same."""

    options: dict[str, Any] = {}  # noqa: RUF012

    def world(self, dice: Random) -> Any:
        return draw_world(dice)

    def made(self, dice: Random, book: Book, **given: Any) -> Engine:
        return Engine(book, **given, **self.options)

    @initialize(dice=DICE)
    def build(self, dice):
        raw = self.world(dice)
        self.model = LiveModel(raw)
        self.engine = self.made(
            dice, book_of(raw), policy=raw["policy"], fund=funds_of(raw), liquidity=raw["liquidity"]
        )
        self.liquidity = raw["liquidity"] is not None
        assert holdings(self.engine) == self.model.holdings()
        self.model.mark({})
        self.engine.mark({})

    @rule(name=st.sampled_from([name for name, times in CALLS.items() for _ in range(times)]), dice=DICE)
    def call(self, name, dice):
        """One of them; of those that wait while it is decided who is bankrupt, all, or what ends that."""
        if not self.model.declared:
            getattr(self, name)(dice)
        elif dice.randrange(3):
            self.deleverage()
        else:
            self.what_must_wait()

    # ------------------------------------------------------------------ how calls compare

    def both(self, booked: Callable[[], Any], call: Callable[[], Any]) -> tuple[Any, Any] | None:
        """What model and engine answer; None where both refuse, and then nothing has changed."""
        try:
            expected = booked()
        except (Refused, NotNow) as error:
            row = error.row if isinstance(error, Refused) else None
            with self.refused(StageError if isinstance(error, NotNow) else InputError) as caught:
                call()
            assert row is None or caught.value.path[1] == row, caught.value
            return None
        return expected, call()

    @contextmanager
    def refused(self, error: type[Exception]):
        before = state_of(self.engine)
        with pytest.raises(error) as caught:
            yield caught
        assert state_of(self.engine) == before

    def account_column(self, dice: Random, names: list[str]) -> Any:
        known = {*self.engine.accounts, "fund", "market"}
        if dice.random() < 0.5 or not known.issuperset(names):
            return names
        return self.engine.codes(accounts=names)

    # ------------------------------------------------------------------ between ticks

    def trade(self, dice):
        fills, prices = draw_fills(dice, self.model)
        if not fills:
            return
        if dice.randrange(6) == 0:
            fills, prices = spoil(dice, self.model, fills), None
        note(str(fills))
        given = self.spelled(dice, fills, prices)
        answer = self.both(
            lambda: self.model.apply_fills(fills, priced=prices is not None),
            lambda: self.engine.apply_fills(given),
        )
        if answer is not None:
            (realized, far), filled = answer
            assert filled.realized_pnl.tolist() == realized
            for ours, theirs in zip(filled.far.tolist(), far, strict=True):
                assert theirs is None or ours is theirs

    def spelled(self, dice: Random, fills: list[Fill], prices: list[str] | None) -> Any:
        """Fills as the engine takes them, in one of its spellings."""
        items = {item.symbol: item for item in self.engine.book.instruments}
        columns: dict[str, Any] = {
            "account": self.account_column(dice, [fill.account for fill in fills]),
            "symbol": [fill.symbol for fill in fills],
            "lots": np.array([fill.lots for fill in fills]),
            "fee_atoms": [fill.fee for fill in fills],
        }
        if any(fill.side for fill in fills) or dice.random() < 0.5:
            columns["side"] = pl.Series([fill.side for fill in fills], dtype=pl.String)
        if dice.random() < 0.5:
            columns["symbol"] = self.engine.codes(symbols=columns["symbol"])
        if dice.random() < 0.5:
            columns["qty"] = [plain(fill.lots * items[fill.symbol].lot) for fill in fills]
            del columns["lots"]
        if prices is not None:
            columns["price"] = prices
        else:
            columns["value_atoms"] = [fill.value for fill in fills]
        return pl.DataFrame(columns) if dice.random() < 0.5 else columns

    def some_account(self, dice: Random) -> str:
        return dice.choice(sorted(self.model.traders()))

    def transfer(self, dice):
        if self.model.unmarked():
            return
        moves = draw_moves(dice, self.model)
        note(f"{moves}, in liquidation: {self.model.in_liquidation()}")
        given = pl.DataFrame(
            {
                "source": [each.source for each in moves],
                "target": [each.target for each in moves],
                "amount_atoms": [each.amount for each in moves],
                "symbol": [each.symbol for each in moves],
                "side": [each.side for each in moves],
            },
            schema_overrides=dict.fromkeys(("source", "target", "symbol", "side"), pl.String)
            | {"amount_atoms": pl.Int64},
        )
        self.both(lambda: self.model.transfer(moves), lambda: self.engine.transfer(given))

    def deposit(self, dice):
        amounts = dice.choices(AMOUNTS, k=dice.randint(1, 3))
        names = [self.some_account(dice) for _ in amounts]
        room = [ROW_BOUND + 1 - self.model.traders()[name].cash for name in names]
        amounts = [more if each is None else each for each, more in zip(amounts, room, strict=True)]
        given = {"account": self.account_column(dice, names), "amount_atoms": amounts}
        self.both(
            lambda: self.model.deposit(list(zip(names, amounts, strict=True))),
            lambda: self.engine.deposit(given),
        )

    def withdraw(self, dice):
        shares = dice.choices(SHARES, k=dice.randint(1, 3))
        names = [self.some_account(dice) for _ in shares]
        if dice.randrange(6) and not self.model.unmarked():
            rich = [name for name in sorted(self.model.traders()) if self.model.free_collateral(name)]
            names = dice.choices(rich or names, k=len(names))
        if self.model.unmarked():
            amounts = [1] * len(names)
        else:
            free = [self.model.free_collateral(name) for name in names]
            amounts = [max(1, ceil(most * share)) for most, share in zip(free, shares, strict=True)]
        given = {"account": self.account_column(dice, names), "amount_atoms": amounts}
        self.both(
            lambda: self.model.withdraw(list(zip(names, amounts, strict=True))),
            lambda: self.engine.withdraw(given),
        )

    def fund_money(self, dice):
        if self.model.unmarked():
            return
        code = dice.choice(list(self.model.worlds))
        fund = self.model.worlds[code].book.fund
        amount = dice.choice((1, 100, 10**6, -1, -100, -max(1, fund.cash), -max(1, fund.cash // 3)))
        given = {"account": ["fund"], "amount_atoms": [abs(amount)], "currency": [code]}
        move = self.engine.deposit if amount > 0 else self.engine.withdraw
        self.both(lambda: self.model.fund_money(code, amount), lambda: move(given))

    def what_is_free(self, _):
        if self.model.unmarked():
            return
        for name in self.model.traders():
            assert self.engine.free_collateral(name) == self.model.free_collateral(name), name

    def funding(self, dice):
        symbols = dice.sample(self.model.symbols(), dice.randint(0, len(self.model.symbols())))
        given = {symbol: dice.choice(("0.0001", "-0.0123", "0", "0.03")) for symbol in symbols}
        exact = {symbol: Fraction(rate) for symbol, rate in given.items()}
        answer = self.both(lambda: self.model.pay_funding(exact), lambda: self.engine.pay_funding(given))
        if answer is not None:
            codes = self.engine.book.instruments.currencies
            assert dict(zip(codes, answer[1].residue.tolist(), strict=True)) == answer[0]

    # ------------------------------------------------------------------ who is there, and what is traded

    def open_accounts(self, dice):
        new = draw_new_accounts(dice, self.model)
        codes = self.both(
            lambda: self.model.open_accounts(new), lambda: self.engine.open_accounts(columns(new))
        )
        if codes is not None:
            assert self.engine.codes(accounts=[each["id"] for each in new]).tolist() == codes[1].tolist()
            accounts = self.model.traders().values()
            assert self.engine.accounts.to_list() == [
                account.id for account in sorted(accounts, key=lambda account: account.place)
            ]

    def list_instruments(self, dice):
        new = draw_new_instruments(dice, self.model)
        if new:
            self.both(
                lambda: self.model.list_instruments(new),
                lambda: self.engine.list_instruments(columns(new)),
            )

    def set_tiers(self, dice):
        symbols = dice.sample(self.model.symbols(), dice.randint(0, min(2, len(self.model.symbols()))))
        tiers = {symbol: draw_tiers(dice) for symbol in symbols}
        self.both(lambda: self.model.set_tiers(tiers), lambda: self.engine.set_tiers(tiers))

    def set_flags(self, dice):
        names = [self.some_account(dice) for _ in range(dice.randint(1, 2))]
        named = [(name, dice.choice((0, 1, 255)), dice.random() < 0.3) for name in names]
        given = {
            "account": self.account_column(dice, [name for name, _, _ in named]),
            "adl_tier": [tier for _, tier, _ in named],
            "exempt": [exempt for _, _, exempt in named],
        }
        self.both(lambda: self.model.set_flags(named), lambda: self.engine.set_flags(given))

    def settle_instrument(self, dice):
        price = dice.choice(("0.5", "10", "40000.3"))
        symbol = dice.choice([*sorted(self.model.delisted), *self.model.symbols()])
        answer = self.both(
            lambda: self.model.settle_instrument(symbol, Fraction(price)),
            lambda: self.engine.settle_instrument(symbol, price),
        )
        if answer is not None:
            assert answer[1].to_fund == answer[0]

    # ------------------------------------------------------------------ orders

    def order_liquidations(self, dice):
        share, above, step_down = (
            dice.choice((None, None, "0.2", "0.5")),
            dice.choice(("0", "50")),
            dice.random() < 0.3,
        )
        cooldown = dice.choice((0, 30))
        if share is None:
            above = "0"
        if share is None and not step_down:
            cooldown = 0
        least = dice.choice((1, 1, 3))
        wanted = Wanted(share and Fraction(share), Fraction(above), cooldown, "wait", step_down, least=least)
        if above != "0" and len(self.model.worlds) > 1:
            above = dict.fromkeys(self.model.worlds, above)
        answer = self.both(
            lambda: self.model.expected_orders(wanted),
            lambda: self.engine.order_liquidations(
                slice=share, slice_above=above, cooldown=cooldown, step_down=step_down, least=least
            ),
        )
        if answer is None:
            return
        expected, frame = answer
        names = ("account", "symbol", "side", "lots", "limit_value")
        sent = list(frame.select("order", *names).iter_rows())
        for code, orders in expected.items():
            own = [row[1:] for row in sent if row[1] in self.model.worlds[code].book.accounts]
            assert own == [(a, s, "long" if side > 0 else "short", *more) for a, s, side, *more in orders]
        self.model.take_orders((number, a, s, SIDES[side], lots) for number, a, s, side, lots, _ in sent)

    def cancel_orders(self, dice):
        numbers = [*self.model.orders, 0, 99][: dice.randint(0, 2)] if dice.random() < 0.7 else None
        self.both(lambda: self.model.cancel_orders(numbers), lambda: self.engine.cancel_orders(numbers))

    @invariant()
    def orders_are_the_same(self):
        if self.model.orders and self.model.unmarked():
            return
        found = self.engine.orders()
        listed = found.select("order", "account", "symbol", "side", "lots").iter_rows()
        assert {number: (a, s, SIDES[side], lots) for number, a, s, side, lots in listed} == {
            number: (order.account, order.symbol, order.side, order.lots)
            for number, order in self.model.orders.items()
        }
        assert dict(found.select("order", "reason").iter_rows()) == self.model.reasons()
        names = self.engine.accounts
        frozen = self.model.in_liquidation()
        assert self.engine.in_liquidation(names).tolist() == [name in frozen for name in names]

    # ------------------------------------------------------------------ ticks

    def mark(self, dice):
        later = dice.choice((None, 0, 30, 40_000, 86_400))
        prices = draw_marks(dice, self.model)
        time = None if later is None else self.model.time + later
        exact = {symbol: Fraction(price) for symbol, price in prices.items()}
        self.both(lambda: self.model.mark(exact, time), lambda: self.engine.mark(prices, time))

    def who_is_detected(self, _):
        if not self.model.open:
            return
        found = self.engine.liquidations()
        assert dict(found.select("account", "status").iter_rows()) == self.model.detected()

    def tick(self, dice):
        prices = draw_marks(dice, self.model)

        def stages() -> None:
            self.model.mark({symbol: Fraction(price) for symbol, price in prices.items()})
            if self.liquidity:
                self.model.settle()
            self.model.takeover()
            self.model.deleverage()

        self.both(stages, lambda: self.engine.tick(prices))

    def settle(self, dice):
        executions = self.executions(dice)
        if executions is None and not self.liquidity:
            return
        note(str(executions))
        given = executions and {
            "account": [each.account for each in executions],
            "symbol": [each.symbol for each in executions],
            "side": [each.side for each in executions],
            "lots": [each.lots for each in executions],
            "value_atoms": [each.value for each in executions],
            "fee_atoms": [each.fee for each in executions],
            "counterparty": [each.counterparty for each in executions],
            "order": [each.order for each in executions],
        }
        self.both(lambda: self.model.settle(executions), lambda: self.engine.settle(given))

    def executions(self, dice: Random) -> list[Execution] | None:
        """One close, of an order or not; None for those of the liquidity model."""
        rows = [
            (account, row, self.model.world_of(account.id).book)
            for account in self.model.traders().values()
            for row in account.rows()
            if row.symbol in self.model.world_of(account.id).book.marks
        ]
        if not rows or (self.liquidity and dice.random() < 0.5):
            return None
        account, row, book = dice.choice(rows)
        lots = dice.choice((row.lots, 1, (row.lots + 1) // 2))
        percent = dice.choice((100, 97, 130))
        value = floor(row.side * lots * book.unit_value(row.symbol) * percent / 100)
        others = [*(each.id for each in book.traders() if each.cross and each is not account), FUND, MARKET]
        on = {(o.account, o.symbol, o.side): number for number, o in self.model.orders.items()}
        order = on.get((account.id, row.symbol, row.side))
        if order is not None:
            lots = dice.choice((self.model.orders[order].lots, lots))
        wrong = dice.choice((False,) * 7 + (True,))
        return [
            Execution(
                account.id,
                row.symbol,
                "long" if row.side > 0 else "short",
                lots,
                value,
                dice.choice((0, 3)),
                dice.choice([None, *others]),
                dice.choice((None, 99, *on.values())) if wrong else order,
            )
        ]

    def takeover(self, _):
        self.both(self.model.takeover, self.engine.takeover)

    def deleverage(self):
        self.both(self.model.deleverage, self.engine.deleverage)

    def what_must_wait(self):
        engine, name, symbol = self.engine, self.engine.accounts[0], self.engine.symbols[0]
        trade = {"account": [name] * 2, "symbol": [symbol] * 2, "lots": [1, -1], "price": ["10"] * 2}
        late = engine.book.to_frames()[0].with_columns(symbol=pl.concat_str("symbol", pl.lit("-late")))
        for call in (
            lambda: engine.apply_fills(trade),
            lambda: engine.deposit({"account": [name], "amount_atoms": [1]}),
            lambda: engine.withdraw({"account": [name], "amount_atoms": [1]}),
            lambda: engine.pay_funding({symbol: "0.1"}),
            lambda: engine.open_accounts({"id": ["late"], "currency": [next(iter(self.model.worlds))]}),
            lambda: engine.set_flags({"account": [name], "exempt": [True]}),
            lambda: engine.list_instruments(late),
            lambda: engine.set_tiers({}),
            lambda: engine.settle_instrument(symbol, "10"),
            lambda: engine.order_liquidations(),
            lambda: engine.cancel_orders(),
            lambda: engine.mark({}),
            lambda: engine.tick({}),
            lambda: engine.settle(),
            lambda: engine.takeover(),
        ):
            with self.refused(StageError):
                call()

    # ------------------------------------------------------------------ copies, and what always holds

    def copy(self, dice):
        if self.model.open:
            return
        swap = dice.random() < 0.5
        other = self.engine.copy()
        assert state_of(other) == state_of(self.engine)
        left = self.engine if swap else other
        left.deposit({"account": np.array([0]), "amount_atoms": [77]})
        left.tick(np.nan_to_num(left.marks, nan=10.0) * 0.5)
        if swap:
            self.engine = other

    @invariant()
    def holds_the_same(self):
        assert holdings(self.engine) == self.model.holdings()

    @invariant()
    def is_worth_the_same(self):
        if self.model.unmarked():
            return
        equity = dict(zip(self.engine.accounts, self.engine.equity().tolist(), strict=True))
        asked = dict(zip(self.engine.accounts, self.engine.maintenance_margin().tolist(), strict=True))
        for name, account in self.model.traders().items():
            book = self.model.world_of(name).book
            assert equity[name] == floor(margin.equity(book, account))
            assert asked[name] == ceil(margin.maintenance_margin(book, account))

    @invariant()
    def laws_hold(self):
        assert self.engine.check().ok


class SoakExchange(Exchange):
    """The same for longer."""


TestExchange = Exchange.TestCase
TestExchange.settings = settings(
    max_examples=fewer(20), stateful_step_count=40, suppress_health_check=[HealthCheck.too_slow]
)
TestSoakExchange = pytest.mark.soak(SoakExchange.TestCase)
TestSoakExchange.settings = settings(TestExchange.settings, max_examples=3000, stateful_step_count=100)
