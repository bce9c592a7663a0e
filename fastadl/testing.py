"""For tests of whoever builds on this package: equal books, conservation laws, generated books and marks.

The laws are recomputed from frames in unlimited integers; nothing is taken from the engine's own checks. The
strategies need `hypothesis <https://hypothesis.readthedocs.io>`_, which is imported when they are called.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from fractions import Fraction
from math import trunc
from typing import TYPE_CHECKING, Any

from polars.testing import assert_frame_equal

from fastadl.book import Book
from fastadl.decimals import fixed, plain
from fastadl.engine import Engine, Report
from fastadl.schema import FUND, MARKET, RESERVED

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["assert_books_equal", "books", "check_invariants", "marks"]

_OPPOSITE = {"long": "short", "short": "long"}


def assert_books_equal(left: Book, right: Book) -> None:
    """Raise unless two books hold the same instruments, accounts and positions, in the same order.

    Raises
    ------
    AssertionError
        Naming the table that differs.
    """
    tables = zip(("instruments", "accounts", "positions"), left.to_frames(), right.to_frames(), strict=True)
    for name, one, other in tables:
        try:
            assert_frame_equal(one, other)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from None


# ---------------------------------------------------------------------- laws


def check_invariants(
    before: Engine, report: Report, after: Engine, *, counterparties: Sequence[str | None] | None = None
) -> None:
    """Raise unless a tick kept the conservation laws, and the old book plus the report is the new book.

    Parameters
    ----------
    before : Engine
        A copy made before the tick.
    report : Report
        Of that one tick.
    after : Engine
        The engine that ran it.
    counterparties : sequence of str or None, optional
        The ``counterparty`` column of executions that were handed in (rule R77); a report does not repeat it.

    Raises
    ------
    AssertionError
        Naming the law, and the account, row or currency that breaks it.

    Examples
    --------
    >>> import fastadl as fa
    >>> engine = fa.Engine(fa.synth.book("pareto", positions=90, accounts=40, instruments=3, seed=1))
    >>> before = engine.copy()
    >>> report = engine.tick(engine.marks * 0.7)
    >>> check_invariants(before, report, engine)
    """
    ledger, end = _Ledger(before), _Ledger(after)
    lots, money = ledger.lots(), ledger.money()
    ledger.replay(report, counterparties, after.policy.trigger)
    ledger.check_closed_at_zero(report, after.policy.price)
    _assert_same("law 1, lots of", lots, end.lots())
    _assert_same("law 2, money in", money, end.money())
    _assert_same("old book plus report, cash of", ledger.cash, end.cash)
    _assert_same("old book plus report, row", ledger.rows, end.rows)


class _Ledger:
    """Cash by (account, currency), and [lots, entry value] by (account, symbol, side)."""

    def __init__(self, engine: Engine) -> None:
        instruments, accounts, positions = engine.book.to_frames()
        self.currency_of: dict[str, str] = dict(instruments.select("symbol", "currency").iter_rows())
        self.inverse = set(instruments.filter(instruments["kind"] == "inverse")["symbol"])
        cash = [*accounts.select("id", "currency", "cash_atoms").iter_rows()]
        cash += engine.reserves().select("account", "currency", "cash").iter_rows()
        self.cash: dict[tuple[str, str], int] = {(who, code): atoms for who, code, atoms in cash}
        columns = positions.select("account", "symbol", "lots", "entry_value_atoms").iter_rows()
        self.rows: dict[tuple[str, str, str], list[int]] = {
            (who, symbol, "long" if n > 0 else "short"): [abs(n), entry] for who, symbol, n, entry in columns
        }

    def lots(self) -> dict[str, int]:
        total: dict[str, int] = dict.fromkeys(self.currency_of, 0)
        for (_, symbol, side), (lots, _) in self.rows.items():
            total[symbol] += lots if side == "long" else -lots
        return total

    def money(self) -> dict[str, int]:
        total: dict[str, int] = defaultdict(int)
        for (_, currency), cash in self.cash.items():
            total[currency] += cash
        for (_, symbol, _), (_, entry) in self.rows.items():
            total[self.currency_of[symbol]] -= entry
        return dict(total)

    def close(self, row: tuple[str, str, str], lots: int, value: int) -> int:
        """Rule R10; returns the realised profit."""
        held, entry = self.rows.get(row, [0, 0])
        assert 0 < lots <= held, f"law 3, row {row}: {lots} lots closed of {held}"
        released = trunc(Fraction(entry * lots, held))
        self.rows[row] = [held - lots, entry - released]
        if lots == held:
            del self.rows[row]
        self.cash[row[0], self.currency_of[row[1]]] += value - released
        return value - released

    def take(self, row: tuple[str, str, str], lots: int, value: int) -> None:
        """Rule R12: an opposite row is closed first."""
        opposite = (row[0], row[1], _OPPOSITE[row[2]])
        netted = min(lots, self.rows.get(opposite, [0, 0])[0])
        if netted:
            paid = trunc(Fraction(value * netted, lots))
            self.close(opposite, netted, -paid)
            lots, value = lots - netted, value - paid
        if lots:
            held, entry = self.rows.get(row, [0, 0])
            self.rows[row] = [held + lots, entry + value]

    def replay(self, report: Report, counterparties: Sequence[str | None] | None, trigger: str) -> None:
        bankrupt = _treated_as_bankrupt(report, trigger)
        others = [MARKET] * len(report.executions) if counterparties is None else counterparties
        for line, other in zip(report.executions.iter_rows(named=True), others, strict=True):
            self._transfer(line, other or MARKET)
        for line in report.fees.iter_rows(named=True):
            self._pay(line, -line["amount"])
        for line in report.netted.iter_rows(named=True):
            legs = [(line["account"], line["symbol"], side) for side in _OPPOSITE]
            realized = sum(self.close(leg, line["lots"], 0) for leg in legs)
            assert realized == line["realized_pnl"], f"realised profit of {line}"
        for line in report.takeovers.iter_rows(named=True):
            assert line["account"] in bankrupt, f"law 3, taken over from a solvent account: {line}"
            self._transfer(line, FUND)
        for line in report.adl_fills.iter_rows(named=True):
            assert line["counterparty"] not in {*bankrupt, *RESERVED}, f"law 3, no candidate: {line}"
            if trigger == "pool_profit":
                self._win(line)
                continue
            assert line["bankrupt"] in bankrupt, f"law 3, closed for a solvent account: {line}"
            self._fill(line)
        for line in report.fund_payments.iter_rows(named=True):
            self._pay(line, line["amount"])
        for line in report.socialized.iter_rows(named=True):
            self.cash[line["account"], line["currency"]] += line["amount"]

    def _transfer(self, line: dict[str, Any], taker: str) -> None:
        realized = self.close((line["account"], line["symbol"], line["side"]), line["lots"], line["value"])
        assert realized == line["realized_pnl"], f"realised profit of {line}"
        self.take((taker, line["symbol"], line["side"]), line["lots"], line["value"])

    def _fill(self, line: dict[str, Any]) -> None:
        symbol, side, lots, value = line["symbol"], line["side"], line["lots"], line["value"]
        lost = self.close((line["bankrupt"], symbol, side), lots, value)
        won = self.close((line["counterparty"], symbol, _OPPOSITE[side]), lots, -value)
        assert lost == line["bankrupt_realized_pnl"], f"realised profit of {line}"
        assert won == line["realized_pnl"], f"realised profit of {line}"

    def _win(self, line: dict[str, Any]) -> None:
        """Rule R90: the fund takes what a trader closes."""
        assert line["bankrupt"] == FUND, f"law 3, not closed against the pool: {line}"
        side, fund = _OPPOSITE[line["side"]], (FUND, self.currency_of[line["symbol"]])
        before = self.cash[fund]
        row = {"account": line["counterparty"], "side": side, "value": -line["value"]}
        self._transfer(line | row, FUND)
        assert self.cash[fund] - before == line["bankrupt_realized_pnl"], f"realised profit of {line}"

    def _pay(self, line: dict[str, Any], amount: int) -> None:
        self.cash[line["account"], line["currency"]] += amount
        self.cash[FUND, line["currency"]] -= amount

    def check_closed_at_zero(self, report: Report, price: str) -> None:
        """Law 4; a row that rule R26 cut off shows as one of negative value closed for nothing."""
        still_open = {account for account, _, _ in self.rows}
        closed: dict[str, dict[tuple[str, str], int]] = defaultdict(lambda: defaultdict(int))
        elsewhere = set(report.takeovers.filter(report.takeovers["at"] == "mark")["account"])
        if price != "bankruptcy":
            elsewhere |= set(report.adl_fills["bankrupt"])
        lines = [*report.takeovers.select("account", "symbol", "side", "value").iter_rows()]
        lines += report.adl_fills.select("bankrupt", "symbol", "side", "value").iter_rows()
        for account, symbol, side, value in lines:
            closed[account][symbol, side] += value
        for account in closed.keys() - still_open - elsewhere:
            unpaid = [row for row, value in closed[account].items() if value == 0]
            if any((side == "long") == (symbol in self.inverse) for symbol, side in unpaid):
                continue
            cash = [atoms for (who, _), atoms in self.cash.items() if who == account]
            assert cash == [0], f"law 4: {account} was closed whole and ends with {cash[0]} atoms"


def _treated_as_bankrupt(report: Report, trigger: str) -> set[str]:
    """Accounts that lots may be taken from (rule R23), as far as a report tells (rule R87)."""
    detected = report.liquidations
    bankrupt = set(detected.filter(detected["shortfall"] > 0)["account"])
    if trigger == "unfilled":
        closed = {*report.takeovers["account"], *report.adl_fills["bankrupt"]}
        bankrupt |= closed & set(detected["account"])
    return bankrupt


def _assert_same(what: str, expected: dict[Any, Any], found: dict[Any, Any]) -> None:
    for key in {**expected, **found}:
        one, other = expected.get(key), found.get(key)
        assert one == other, f"{what} {key}: {one} became {other}"


# ---------------------------------------------------------------------- strategies

#: symbol, kind, contract size, lot, currency, decimals, mark
_CONTRACTS = (
    ("X", "linear", "1", "0.1", "USD", 2, "100"),
    ("Y", "quanto", "0.07", "1", "USD", 2, "40.01"),
    ("B", "inverse", "100", "1", "BTC", 8, "50000"),
    ("É", "linear", "3", "1", "USD", 2, "0.37"),
    ("a", "linear", "0.001", "1", "BTC", 8, "97"),
)
_LADDERS = (
    [{"min_notional": "0", "maintenance_rate": "0.01"}],
    [{"min_notional": "0", "maintenance_rate": "0.005"}, {"min_notional": "20", "maintenance_rate": "0.05"}],
    [{"min_notional": "0", "maintenance_rate": "0"}],
)
_LOTS = (1, 2, 3, 7, 10, 30, 97)
_PERCENT = (100, 97, 103, 90, 110, 80, 125, 50, 70, 150, 200, 30)
_CASH_PERCENT = (10, 5, 2, 20, 50, 100, 0, 300, -5)


def books(*, max_accounts: int = 8) -> SearchStrategy[Book]:
    """Small books full of what is hard: hedges, isolated accounts, ties, two currencies, odd entry prices.

    Every instrument has a mark, and some accounts are bankrupt at it.

    Parameters
    ----------
    max_accounts : int
    """
    from hypothesis import strategies as st

    return st.composite(_draw_book)(max_accounts)


def marks(book: Book, *, every: bool = False) -> SearchStrategy[dict[str, str]]:
    """New marks for some symbols, as `Engine.mark` takes them, from 30 % to 200 % of the book's.

    Parameters
    ----------
    book : Book
        Prices are around its own marks, or 100 where it has none.
    every : bool
        Name every symbol.
    """
    from hypothesis import strategies as st

    prices = {}
    for item in book.instruments:
        at: Fraction = item.mark or Fraction(100)
        prices[item.symbol] = st.sampled_from([plain(at * percent / 100) for percent in _PERCENT])
    if every:
        return st.fixed_dictionaries(prices)
    return st.fixed_dictionaries({}, optional=prices)


def _draw_book(draw: Callable[..., Any], max_accounts: int) -> Book:
    from hypothesis import strategies as st

    contracts = draw(st.lists(st.sampled_from(_CONTRACTS), min_size=1, max_size=3, unique=True))
    ladders = draw(st.lists(st.sampled_from(_LADDERS), min_size=len(contracts), max_size=len(contracts)))
    accounts = []
    positions = []
    for name in "mb9ZaéBz_cqkxyw"[: draw(st.integers(2, max_accounts))]:
        currency, decimals = draw(st.sampled_from(contracts))[4:6]
        legs = [(c, side) for c in contracts if c[4] == currency for side in (1, -1)]
        isolated = draw(st.sampled_from((False, False, True)))
        held = draw(st.lists(st.sampled_from(legs), max_size=1 if isolated else 3, unique=True))
        notional = Fraction(0)
        for contract, side in held:
            lots, percent = draw(st.sampled_from(_LOTS)), draw(st.sampled_from(_PERCENT))
            mark, lot = Fraction(contract[6]), Fraction(contract[3])
            positions.append((name, contract[0], plain(side * lots * lot), plain(mark * percent / 100)))
            size = lots * lot * Fraction(contract[2])
            notional += size / mark if contract[1] == "inverse" else size * mark
        atoms = int((notional or 100) * draw(st.sampled_from(_CASH_PERCENT)) * 10**decimals / 100)
        tier = draw(st.sampled_from((0, 0, 0, 1)))
        accounts.append((name, currency, fixed(atoms, decimals), "isolated" if isolated else "cross", tier))
    return Book.from_frames(
        {**_columns("symbol kind contract_size lot currency decimals mark", contracts), "tiers": ladders},
        _columns("id currency cash margin_mode adl_tier", accounts),
        _columns("account symbol qty entry_price", positions),
    )


def _columns(names: str, rows: Sequence[tuple[Any, ...]]) -> dict[str, list[Any]]:
    return {name: [row[i] for row in rows] for i, name in enumerate(names.split())}
