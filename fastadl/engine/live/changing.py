"""What changes of an exchange between ticks beside money and positions: who is there, and what is traded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from fastadl.contracts import Instrument
from fastadl.decimals import exact
from fastadl.engine.core import Core
from fastadl.engine.live import accounts as register
from fastadl.engine.live import listing
from fastadl.engine.live.fills import Trading
from fastadl.engine.live.settlement import Settled, settle_instrument
from fastadl.errors import InputError
from fastadl.io.accounts import read_accounts
from fastadl.io.flags import read_flags
from fastadl.io.instruments import read_ladder, read_listing
from fastadl.io.table import Table
from fastadl.policy import AnyOrderBook
from fastadl.schema import IntArray

__all__ = ["Changing"]


class Changing(Core):
    """The part of `Engine` that changes accounts and instruments."""

    liquidity: AnyOrderBook | None
    _trading: Trading | None

    def open_accounts(self, accounts: Any) -> IntArray:
        """Add accounts behind the others, all of them or none (rule R106).

        Ids that come last in order are quick to add; others cost time by the number of accounts, each call.

        Parameters
        ----------
        accounts : frame or mapping of columns
            As for `Book.from_frames`: ``id``; optional ``cash`` (or ``cash_atoms``; 0 without it),
            ``currency``, ``owner``, ``margin_mode``, ``adl_tier``, ``exempt``.

        Returns
        -------
        int32 (accounts)
            Their codes, as `codes` gives them; those of the others stay.

        Raises
        ------
        InputError
            Naming the first bad row; nothing has changed.
        StageError
            Between `takeover` and `deleverage`.

        Examples
        --------
        >>> import fastadl as fa
        >>> engine = fa.Engine(fa.synth.book("pareto", positions=1000, accounts=400, instruments=5, seed=1))
        >>> engine.open_accounts({"id": ["new", "newer"], "cash": ["100", "0"]}).tolist()
        [400, 401]
        """
        with self._whole():
            self._check_between()
            state = self._state
            found, _ = read_accounts(Table("new_accounts", accounts), state.instruments, self._find())
            codes, came = register.open_accounts(state, found)
            self._came(came)
            self._renew()
            return codes

    def set_flags(self, flags: Any) -> None:
        """Change the flags of accounts, all of them or none (rule R106).

        Parameters
        ----------
        flags : frame or mapping of columns
            ``account`` (ids, or integers of `codes`), and ``adl_tier`` (0 to 255), ``exempt`` (bool) or both.

        Raises
        ------
        InputError
            Naming the first bad row; nothing has changed.
        StageError
            Between `takeover` and `deleverage`.

        Examples
        --------
        >>> import fastadl as fa
        >>> engine = fa.Engine(fa.synth.book("pareto", positions=1000, accounts=400, instruments=5, seed=1))
        >>> engine.set_flags({"account": [engine.accounts[0]], "exempt": [True]})
        >>> engine.book.exempt.sum()
        np.int64(1)
        """
        with self._whole():
            self._check_between()
            state = self._state
            register.set_flags(state, read_flags(flags, state.everybody, self._find))

    def list_instruments(self, instruments: Any) -> IntArray:
        """Add instruments behind the others, all of them or none (rule R106).

        Parameters
        ----------
        instruments : frame or mapping of columns
            As for `Book.from_frames`. They settle in currencies of the book; their decimals may be left out.
            One without a ``mark`` is traded once it has been marked.

        Returns
        -------
        int32 (instruments)
            Their codes, as `codes` gives them; those of the others stay.

        Raises
        ------
        InputError
            Naming the first bad row, or if the order book that simulates closing has none for them; nothing
            has changed.
        StageError
            Between `takeover` and `deleverage`.

        Examples
        --------
        >>> import fastadl as fa
        >>> engine = fa.Engine(fa.synth.book("pareto", positions=1000, accounts=400, instruments=5, seed=1))
        >>> table = engine.book.to_frames()[0].head(1).to_dict() | {"symbol": ["NEW-PERP"]}
        >>> engine.list_instruments(table).tolist()
        [5]
        """
        with self._whole():
            self._check_between()
            state = self._state
            first, new = len(state.instruments), read_listing(instruments, state.instruments)
            self._list(new)
            if self.liquidity is not None:
                self.liquidity.check(state.instruments)
            lots, money = self._totals
            self._totals = [*lots, *[0] * len(new)], money
            self._renew()
            return np.arange(first, len(state.instruments), dtype=np.int32)

    def _list(self, new: Sequence[Instrument]) -> None:
        listing.list_instruments(self._state, new)

    def set_tiers(self, tiers: Mapping[str, Any]) -> None:
        """Replace the tiers of instruments, all of them or none (rules R4, R106).

        Parameters
        ----------
        tiers : mapping of symbol to list of tiers
            Each as in the instruments of `Book.from_frames`.

        Raises
        ------
        InputError
            Naming symbol, tier and field; nothing has changed.
        StageError
            Between `takeover` and `deleverage`.

        Examples
        --------
        >>> import fastadl as fa
        >>> engine = fa.Engine(fa.synth.book("pareto", positions=1000, accounts=400, instruments=5, seed=1))
        >>> engine.set_tiers({engine.symbols[0]: [{"min_notional": "0", "maintenance_rate": "0.05"}]})
        """
        with self._whole():
            self._check_between()
            instruments = self._state.instruments
            if not isinstance(tiers, Mapping):
                raise InputError(("tiers",), type(tiers).__name__, "give a mapping of symbol to tiers")
            ladders = {}
            for symbol, given in tiers.items():
                at = ("tiers", str(symbol))
                i = instruments.lookup(symbol, at)
                ladders[i] = read_ladder(given, instruments[i].decimals, at)
            self._set_ladders(ladders)

    def _set_ladders(self, ladders: dict[int, Any]) -> None:
        listing.set_tiers(self._state, ladders)

    def settle_instrument(self, symbol: str, price: Any) -> Settled:
        """Close every position of an instrument at one price, and delist it (rule R107).

        Parameters
        ----------
        symbol : str
        price : decimal
            Above 0.

        Returns
        -------
        Settled
            What was closed; who is bankrupt by it the next `mark` finds.

        Raises
        ------
        InputError
            For an unknown symbol, one that is delisted, or a price that cannot be; nothing has changed.
        StageError
            Between `takeover` and `deleverage`.

        Examples
        --------
        >>> import fastadl as fa
        >>> engine = fa.Engine(fa.synth.book("pareto", positions=1000, accounts=400, instruments=5, seed=1))
        >>> settled = engine.settle_instrument(engine.symbols[0], engine.marks[0])
        >>> len(settled) > 0, settled.to_fund >= 0, engine.check().ok
        (True, True, True)
        """
        with self._whole():
            self._check_between()
            state = self._state
            instrument = state.instruments.lookup(symbol, ("symbol",))
            if state.instruments[instrument].delisted:
                raise InputError(("symbol",), symbol, "it is delisted: name another")
            try:
                final = exact(price)
            except ValueError as error:
                raise InputError(("price",), price, str(error)) from None
            if final <= 0:
                raise InputError(("price",), price, "give a price above zero")
            settled = self._settle_at(instrument, final)
            self._closed(instrument)
            self._renew()
            return settled

    def _settle_at(self, instrument: int, price: Fraction) -> Settled:
        return settle_instrument(self._state, instrument, price)

    def _closed(self, instrument: int) -> None:
        """Law 1 allows for an instrument that nobody holds any more."""
        lots, money = self._totals
        self._totals = [0 if i == instrument else held for i, held in enumerate(lots)], money

    def _renew(self) -> None:
        """Have what knows accounts and instruments by heart made anew, also if this is undone."""

        def forget() -> None:
            self._trading = None

        forget()
        self._state.undoable(forget)
