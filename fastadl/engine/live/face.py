"""What happens to a book between ticks."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, overload

from fastadl.engine.core import Core
from fastadl.engine.live.collateral import free_collateral
from fastadl.engine.live.fills import Filled, Trading
from fastadl.engine.live.funding import Funding, pay
from fastadl.engine.live.initial import needed
from fastadl.engine.live.moves import move
from fastadl.engine.live.room import room_of
from fastadl.engine.live.transfers import deposit, withdraw
from fastadl.engine.settings import checked_rates
from fastadl.errors import InputError, MemoryLimitError
from fastadl.io.fills import read_codes, read_fills
from fastadl.io.transfers import read_moves, read_transfers
from fastadl.schema import Int64Array, IntArray

__all__ = ["Live"]


#: Positions that `prepare_live` makes room for at most.
_MOST_ROWS = 1 << 31


class Live(Core):
    """The part of `Engine` that changes the book between ticks."""

    _trading: Trading | None

    def apply_fills(self, fills: Any) -> Filled:
        """Book what the matching engine traded: both sides of every trade, all of them or nothing.

        What a fill closes, of the opposite side first, realises profit; the rest opens (rule R103).
        The first call moves the book to where it can grow, unless `prepare_live` did.

        Parameters
        ----------
        fills : frame or mapping of columns
            ``account`` (``fund`` and ``market`` too) and ``symbol`` (names, or integers of `codes`), ``lots``
            (or ``qty``), signed, and ``price`` or ``value`` (or ``value_atoms``); optional ``fee`` (or
            ``fee_atoms``), which the fund receives, and ``side``, ``long`` or ``short``, where an account may
            hold both: lots of its sign open it, others close it. Arrays of integers are the fastest.

        Returns
        -------
        Filled

        Raises
        ------
        InputError
            Naming the first bad row, by which an account in liquidation takes new risk, say, or the symbol
            whose lots or values do not add up to nothing; neither book nor fund has changed.
        StageError
            Between `takeover` and `deleverage`.

        Examples
        --------
        >>> import fastadl as fa
        >>> engine = fa.Engine(fa.synth.book("pareto", positions=1000, accounts=400, instruments=5, seed=1))
        >>> buyer, seller = engine.accounts[:2]
        >>> filled = engine.apply_fills(
        ...     {"account": [buyer, seller], "symbol": [engine.symbols[0]] * 2, "lots": [1, -1],
        ...      "price": [engine.marks[0]] * 2}
        ... )
        >>> len(filled), engine.check().ok
        (2, True)
        """
        with self._lock:
            self._check_alone()
            self._check_between()
            self._known = None
            state = self._state
            trades, priced = read_fills(fills, state.instruments, state.everybody, self._find)
            return self._traded().apply(trades, priced=priced, undoable=self._within)

    def prepare_live(self, *, positions: int = 0, accounts: int = 0) -> None:
        """Move the book to where it can grow, at a moment of your choosing: a second for ten million rows.

        What finds accounts by their ids is made, too.

        There is then address space for four times the book; memory is taken as it is used, and what positions
        that are closed leave is used again. A book that outgrows this is moved once more, unless it was said
        how large it will be.

        Parameters
        ----------
        positions, accounts : int
            The most there will be, if that is known.

        Raises
        ------
        InputError
            If one is no whole number from 0 to 2^31, or there is no address space for so many.
        """
        for name, count in (("positions", positions), ("accounts", accounts)):
            if type(count) is not int or not 0 <= count <= _MOST_ROWS:
                raise InputError((name,), count, "give a whole number from 0 to 2^31")
        with self._lock:
            try:
                self._reserve(positions, accounts)
            except MemoryError:
                name, count = max(("positions", positions), ("accounts", accounts), key=lambda each: each[1])
                raise MemoryLimitError((name,), count, "there is no address space for so many") from None

    def _reserve(self, positions: int, accounts: int) -> None:
        self._traded()
        self._find()
        room_of(self._state).reserve(2 * accounts, 2 * positions)

    def _traded(self) -> Trading:
        if self._trading is None:
            self._trading = Trading(self._state)
        return self._trading

    def deposit(self, transfers: Any) -> None:
        """Add to the cash of accounts, all of it or nothing.

        Parameters
        ----------
        transfers : frame or mapping of columns
            ``account`` (ids, or integers of `codes`; ``fund``, −1, is the insurance fund) and ``amount`` (or
            ``amount_atoms``); ``currency`` where there are several funds.

        Raises
        ------
        InputError
            Naming the first bad row; nothing has changed.
        StageError
            Between `takeover` and `deleverage`.
        """
        self._transfer(transfers, +1)

    def withdraw(self, transfers: Any) -> None:
        """Take from the cash of accounts, all of it or nothing; as `deposit`.

        An account can withdraw what `free_collateral` says, the fund the lesser of its cash and its equity.

        Raises
        ------
        InputError
            Naming the first row beyond that, and how much is free; nothing has changed.
        StageError
            Between `takeover` and `deleverage`, or while a symbol that somebody holds was never marked.

        Examples
        --------
        >>> import fastadl as fa
        >>> engine = fa.Engine(fa.synth.book("pareto", positions=1000, accounts=400, instruments=5, seed=1))
        >>> name = engine.accounts[7]
        >>> engine.withdraw({"account": [name], "amount_atoms": [engine.free_collateral(name)]})
        >>> engine.free_collateral(name)
        0
        """
        with self._lock:
            self._check_marked()
            self._transfer(transfers, -1)

    def transfer(self, moves: Any) -> None:
        """Move cash, and positions with it, between accounts of one owner, all of it or nothing (rule R104).

        A position moves as it is, lots and entry value, and joins one of the same side: this is how it gets
        from a cross account to an isolated one, or back.

        Parameters
        ----------
        moves : frame or mapping of columns
            ``source`` and ``target`` (ids, or integers of `codes`), ``amount`` (or ``amount_atoms``) of cash,
            at least 0; optional ``symbol``, of a position of the source, with ``side`` where it holds both.

        Raises
        ------
        InputError
            Naming the first bad row: accounts of two owners or currencies, more than the source has free when
            its position has left, less equity than margin where a position came or left, a second
            position of an isolated account. Nothing has changed.
        StageError
            Between `takeover` and `deleverage`, or while a symbol that somebody holds was never marked.

        Examples
        --------
        >>> import fastadl as fa
        >>> book = fa.Book.from_frames(
        ...     {"symbol": ["X"], "kind": ["linear"], "contract_size": ["1"], "lot": ["1"], "mark": ["10"],
        ...      "tiers": [[{"min_notional": "0", "maintenance_rate": "0.01", "max_leverage": "10"}]]},
        ...     {"id": ["ann", "ann:X", "bob"], "cash": ["100", "0", "100"], "owner": ["ann", "ann", "bob"],
        ...      "margin_mode": ["cross", "isolated", "cross"]},
        ...     {"account": ["ann", "bob"], "symbol": ["X", "X"], "lots": [5, -5], "entry_price": ["10"] * 2},
        ... )
        >>> engine = fa.Engine(book)
        >>> engine.transfer({"source": ["ann"], "target": ["ann:X"], "amount": ["20"], "symbol": ["X"]})
        >>> engine.free_collateral("ann:X")
        15000000
        """
        with self._whole():
            self._check_marked()
            self._check_between()
            state = self._state
            move(
                state, read_moves(moves, state.instruments, state.book.currency, state.everybody, self._find)
            )

    @overload
    def free_collateral(self, accounts: str | int) -> int: ...

    @overload
    def free_collateral(self, accounts: Any) -> Int64Array: ...

    def free_collateral(self, accounts: Any) -> int | Int64Array:
        """What accounts can withdraw: max(0, min(cash, equity) − margin), rounded down, in atoms.

        Margin is Σ initial margin, or Σ maintenance margin where that is more. The initial margin of a row is
        its notional over ``max_leverage`` of its tier, or its maintenance margin where none is given.

        Parameters
        ----------
        accounts : str, int, or Series, array or sequence of them
            Ids, or codes as `codes` gives them.

        Returns
        -------
        int, or int64 array for more than one

        Raises
        ------
        InputError
            For an unknown account.
        StageError
            While a symbol that somebody holds was never marked.
        """
        with self._reading() as state:
            self._check_marked()
            found, alone = self._who(accounts)
            free = free_collateral(state, found)
            return int(free[0]) if alone else free

    def initial_margin(self, orders: Any) -> Int64Array:
        """What orders, each by itself, would need of the free collateral if they were filled (rule R104).

        That is what the initial margin of the account grows by, tiers by what it then holds, what the trade
        loses at once because its price is worse than the mark, and the fee. An order that opens nothing needs
        nothing. One that needs no more than `free_collateral` leaves equity for the initial margin.

        Parameters
        ----------
        orders : frame or mapping of columns
            As the fills of `apply_fills`: ``account``, ``symbol``, signed ``lots`` and ``price``, say.

        Returns
        -------
        int64 (orders)
            Atoms, rounded up; 0 for ``fund`` and ``market``, which have no margin.

        Raises
        ------
        InputError
            Naming the first bad row, as `apply_fills` does; orders need not add up to anything.
        StageError
            While a symbol that somebody holds was never marked.

        Examples
        --------
        >>> import fastadl as fa
        >>> engine = fa.Engine(fa.synth.book("pareto", positions=1000, accounts=400, instruments=5, seed=1))
        >>> order = {"account": [engine.accounts[7]], "symbol": [engine.symbols[0]], "lots": [1],
        ...          "price": [engine.marks[0]]}
        >>> (engine.initial_margin(order) <= engine.free_collateral(order["account"])).tolist()
        [True]
        """
        with self._reading() as state:
            self._check_marked()
            trades, _ = read_fills(orders, state.instruments, state.everybody, self._find, "orders")
            return needed(state, trades)

    def pay_funding(self, rates: Mapping[str, Any]) -> Funding:
        """Have longs pay shorts their rate times their notional at mark, or shorts longs (rule R105).

        What is paid is rounded up, what is received down; fund and market account pay and receive too.

        Parameters
        ----------
        rates : mapping of symbol to decimal
            Below zero, shorts pay.

        Returns
        -------
        Funding
            What was paid, received, and left over by rounding, which the fund has received.

        Raises
        ------
        InputError
            For an unknown symbol, or a rate that is no decimal from −1 to 1; nothing has changed.
        StageError
            Between `takeover` and `deleverage`, or while a symbol that somebody holds was never marked.
        """
        with self._whole():
            self._check_marked()
            self._check_between()
            return self._pay(checked_rates(self._state.instruments, rates))

    def _pay(self, rates: Mapping[int, Fraction]) -> Funding:
        return pay(self._state, rates)

    def _transfer(self, given: Any, sign: int) -> None:
        """Have money come in (+1) or go out (−1); laws are held to what came in (rule R32)."""
        with self._whole():
            self._check_between()
            state = self._state
            book = state.book
            transfers = read_transfers(given, state.instruments, book.currency, state.everybody, self._find)
            (deposit if sign > 0 else withdraw)(state, transfers)
            came = [0] * len(state.instruments.currencies)
            for who, c, atoms in zip(*(column.tolist() for column in transfers), strict=True):
                came[c] += sign * atoms
                if sign < 0 and who < 0:
                    self._rules[c].withdrawn(atoms)
            self._came(came)

    def codes(self, *, accounts: Any = None, symbols: Any = None) -> IntArray:
        """Integers that `apply_fills` takes in place of names: positions in `accounts` or in `symbols`.

        They stay the same for the life of the engine.

        Parameters
        ----------
        accounts, symbols : Series, array or sequence of str
            One of the two.

        Returns
        -------
        int32 array

        Raises
        ------
        InputError
            Naming the first that is unknown.

        Examples
        --------
        >>> import fastadl as fa
        >>> engine = fa.Engine(fa.synth.book("pareto", positions=1000, accounts=400, instruments=5, seed=1))
        >>> engine.codes(symbols=engine.symbols[:3]).tolist()
        [0, 1, 2]
        """
        if (accounts is None) == (symbols is None):
            raise InputError(("codes",), "accounts and symbols", "give one of the two")
        with self._lock:
            return read_codes(accounts, symbols, self._state.instruments, self._find)
