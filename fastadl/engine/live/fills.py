"""Fills of the matching engine, batch by batch, all of a batch or nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastadl.engine.live.orders import check_fills
from fastadl.engine.live.room import room_of
from fastadl.engine.state import FUND, MARKET, State
from fastadl.errors import BoundsError, InputError
from fastadl.kernels import live as kernels
from fastadl.kernels.live import Listing, Log, Sums, Trades
from fastadl.schema import SUM_BOUND, BoolArray, Int64Array

__all__ = ["Filled", "Trading", "add_up", "listing_of", "new_log", "refusal", "sums_of"]

#: Column at fault, error and remedy for every reason a fill is refused for.
_REFUSED = {
    kernels.NO_ACCOUNT: ("account", InputError, "give a code as `Engine.codes` does"),
    kernels.NO_SYMBOL: ("symbol", InputError, "give a code as `Engine.codes` does"),
    kernels.DELISTED: ("symbol", InputError, "it is delisted (rule R107): trade another"),
    kernels.FOREIGN: ("symbol", InputError, "name an instrument that settles in the account's currency"),
    kernels.NO_LOTS: ("lots", InputError, "a fill trades at least one lot: leave the row out"),
    kernels.SIGN: ("value", InputError, "give the sign that the lots' value has"),
    kernels.ISOLATED: ("account", InputError, "an isolated account holds at most one position"),
    kernels.LARGE_LOTS: ("lots", BoundsError, "keep a position within 2^53 lots (rule R1)"),
    kernels.LARGE_ENTRY: ("value", BoundsError, "keep a position's entry value within 2^53 atoms (rule R1)"),
    kernels.LARGE_CASH: ("account", BoundsError, "keep an account's cash within 2^53 atoms (rule R1)"),
    kernels.LARGE_VALUE: ("lots", BoundsError, "no row may be worth more than 2^62 atoms (rule R1)"),
    kernels.EXCEEDS: ("lots", InputError, "a fill of a side closes no more of it than is held"),
    kernels.ONE_ROW: ("side", InputError, "fund and market account hold no hedges: leave the side out"),
}
#: Column of `Trades` behind a column of the table.
_FIELDS = {"account": "account", "symbol": "instrument", "lots": "lots", "value": "value", "side": "side"}


@dataclass(frozen=True, slots=True)
class Filled:
    """What a batch of fills did.

    Attributes
    ----------
    realized_pnl : int64 (fills)
        Atoms each account realised on what the fill closed; its fee is not in it.
    far : bool (fills)
        Whether the price is more than a tenth away from the mark.
    to_fund : int64 (currencies)
        Atoms the fund received: fees, and what was rounded off prices.
    """

    realized_pnl: Int64Array
    far: BoolArray
    to_fund: Int64Array

    def __len__(self) -> int:
        return len(self.far)


class Trading:
    """Books fills on a state.

    Parameters
    ----------
    state : State
        Its book is moved to where it can grow.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._room = room_of(state)
        self._listing, self._sums = listing_of(state), sums_of(state)

    def apply(self, trades: Trades, *, priced: bool, undoable: bool = False) -> Filled:
        """Book a batch (rules R1, R10, R11, R12, R103).

        Parameters
        ----------
        trades : Trades
        priced : bool
            Whether values are prices times lots, rounded up.
        undoable : bool
            Whether the state shall remember how to undo it.

        Raises
        ------
        InputError
            Naming the first bad fill, or the symbol whose fills do not net. Whatever is raised, an interrupt
            as well, nothing has changed.
        """
        state = self._state
        to_fund = self._checked(trades, priced)
        state.claim(float(self._sums.gross.max()))
        log, reserves_back = new_log(len(trades.lots)), state.reserves_back()
        if state.wake is not None:
            state.wake.changed(trades.account)

        def undo() -> None:
            reserves_back()
            self._take_back(trades, log)

        if undoable:
            state.undoable(undo)
        try:
            self._trade(trades, log)
            state.reserve_cash[FUND] += to_fund
        except BaseException:
            undo()
            raise
        return Filled(log.profit, log.far, to_fund)

    def _trade(self, trades: Trades, log: Log) -> None:
        """Trade first what reserves and accounts in liquidation may refuse, and find who does so first."""
        state, refused = self._state, list[tuple[int, InputError]]()
        if len(state.orders):
            refused += check_fills(state, trades)
        if np.count_nonzero(trades.account < 0):
            for who in (FUND, MARKET):
                fill, reason = kernels.trade_reserve(
                    trades, -1 - who, state.marks.unit, state.most_lots, state.reserve(who), log
                )
                if reason != kernels.FINE:
                    refused.append((fill, refusal(trades, fill, reason)))
        if not refused:
            self._trade_accounts(trades, log)
            return
        first, error = min(refused, key=lambda each: each[0])
        self._trade_accounts(Trades(*(column[:first] for column in trades)), log)
        raise error

    def _trade_accounts(self, trades: Trades, log: Log) -> None:
        state, fill = self._state, 0
        while fill >= 0:
            fill, reason = kernels.trade(
                trades, state.book.slot, self._listing, state.marks.unit, state.most_lots,
                state.ceiling, state.margins, state.book.rows, state.guard, self._room.spare, log,
            )  # fmt: skip
            if reason == kernels.NO_SLOT:
                self._room.add(self._room.rows_of(int(trades.account[fill])) + 1)
            elif reason != kernels.FINE:
                raise refusal(trades, fill, reason)
        self._room.give_wanted()

    def _take_back(self, trades: Trades, log: Log) -> None:
        """Undo what the log says was done; of a batch that another followed, once that was undone."""
        state = self._state
        while log.done[0]:
            left = kernels.take_back(
                trades, state.book.slot, self._listing.rank, state.ceiling, state.margins,
                state.book.rows, state.guard, self._room.spare, log,
            )  # fmt: skip
            if left >= 0:
                self._room.add(self._room.rows_of(int(trades.account[left])) + 1)

    def _checked(self, trades: Trades, priced: bool) -> Int64Array:
        """What the fund receives, by currency; refuses what no book could take."""
        sums, instruments = self._sums, self._state.instruments
        add_up(self._state, trades, self._listing, sums)
        for i in np.flatnonzero(sums.lots):
            raise InputError(
                ("fills", "lots"),
                f"{int(sums.lots[i]):+d} lots of {instruments.symbols[i]} in all",
                "give both sides of every trade in one batch",
            )
        rounded = np.maximum(sums.count - 1, 0) if priced else 0
        for i in np.flatnonzero((sums.value < 0) | (sums.value > rounded)):
            raise InputError(
                ("fills", "value"),
                f"{int(sums.value[i]):+d} atoms for {instruments.symbols[i]} in all",
                "what buyers pay is what sellers receive: give both sides of a trade the same price",
            )
        for c in np.flatnonzero(sums.fee < 0):
            raise InputError(
                ("fills", "fee"),
                f"{int(sums.fee[c])} atoms of {instruments.currencies[c]} in all",
                "rebates come out of the fees of the same batch",
            )
        to_fund = sums.fee.copy()
        np.add.at(to_fund, instruments.currency, sums.value)
        cash = self._state.reserve_cash[FUND]
        if (cash.astype(np.float64) + to_fund > 0.99 * SUM_BOUND).any():
            raise BoundsError(("fills", "fee"), int(to_fund.max()), "keep the fund within 2^62 (rule R1)")
        return to_fund


def listing_of(state: State) -> Listing:
    """What accounts and instruments are, as kernels of fills read it."""
    book, instruments = state.book, state.instruments
    return Listing(
        holds=book.currency,
        isolated=book.isolated,
        currency=instruments.currency,
        inverse=instruments.inverse,
        rank=instruments.rank,
        delisted=instruments.delisted,
    )


def sums_of(state: State) -> Sums:
    """Room for what a batch comes to."""
    count = len(state.instruments)
    return Sums(
        lots=np.zeros(count, np.int64),
        value=np.zeros(count, np.int64),
        count=np.zeros(count, np.int64),
        fee=np.zeros(len(state.instruments.currencies), np.int64),
        gross=np.zeros(2),
    )


def add_up(state: State, trades: Trades, listing: Listing, sums: Sums, table: str = "fills") -> None:
    """Write what a batch comes to; refuses what no book could take, by its row of the table."""
    for column in sums:
        column.fill(0)
    fill, reason = kernels.add_up(trades, listing, sums)
    unmarked = np.isnan(state.marks.price)
    if np.count_nonzero(unmarked):
        fine = trades.instrument if fill < 0 else trades.instrument[:fill]
        for i in np.flatnonzero(unmarked[fine])[:1]:
            symbol = state.instruments.symbols[fine[i]]
            raise InputError((table, int(i), "symbol"), symbol, "it was never marked: mark it first")
    if reason != kernels.FINE:
        raise refusal(trades, fill, reason, table)


def refusal(trades: Trades, fill: int, reason: int, table: str = "fills") -> InputError:
    """The error that names a row of a table, and why it is refused."""
    column, error, remedy = _REFUSED[reason]
    return error((table, fill, column), int(getattr(trades, _FIELDS[column])[fill]), remedy)


def new_log(count: int) -> Log:
    """A log of so many fills."""
    return Log(
        lots=np.empty((2, count)),
        entry=np.empty((2, count), np.int64),
        cash=np.empty(count, np.int64),
        profit=np.empty(count, np.int64),
        far=np.empty(count, np.bool_),
        done=np.zeros(1, np.int64),
    )
