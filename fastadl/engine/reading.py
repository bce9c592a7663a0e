"""What can be read of an engine at any time."""

from __future__ import annotations

import polars as pl

from fastadl.book import Book
from fastadl.engine import readings, standing
from fastadl.engine.core import Core
from fastadl.engine.positions import positions
from fastadl.engine.results import Checks, Estimates
from fastadl.engine.standing import Standings
from fastadl.schema import Float64Array, Int64Array

__all__ = ["Readable"]


class Readable(Core):
    """The part of `Engine` that changes nothing."""

    @property
    def book(self) -> Book:
        """The book as it stands, read only: a view, which changes as the engine goes on; `frames` do not."""
        with self._lock:
            return self._state.book.read_only()

    def frames(self) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        """Instruments, accounts and positions as they stand, of one moment, as `Book.to_frames` gives them.

        Unlike `book`, they do not change when the engine goes on.
        """
        with self._reading() as state:
            return state.book.to_frames()

    def positions(self, account: str | int) -> pl.DataFrame:
        """Open positions of one account at the present marks, by symbol, a long before a short.

        Parameters
        ----------
        account : str or int
            Id, or code as `codes` gives it.

        Returns
        -------
        DataFrame
            ``symbol``, ``side``, ``contracts``, ``lots``, ``contract_size``, ``entry_price``, ``mark_price``,
            ``notional``, ``unrealized_pnl``, ``initial_margin``, ``maintenance_margin``, ``leverage`` (gross
            notional of the account over its equity), ``margin_mode`` and ``liquidation_price``: the words of
            ccxt. Money is in units of the currency; float64 figures, which decide nothing.
            ``liquidation_price`` is the mark of the symbol, nearest to the present one, at which the
            account's equity is its maintenance margin, all other marks staying as they are; null where there
            is none, or where equity is below that already.

        Raises
        ------
        InputError
            For an unknown account.
        StageError
            While a symbol that somebody holds was never marked.

        Examples
        --------
        >>> import fastadl as fa
        >>> engine = fa.Engine(fa.synth.book("pareto", positions=1000, accounts=400, instruments=5, seed=1))
        >>> engine.positions(engine.accounts[7]).columns[:4]
        ['symbol', 'side', 'contracts', 'lots']
        """
        with self._reading() as state:
            self._check_marked()
            return positions(state, self._code(account))

    @property
    def accounts(self) -> pl.Series:
        """Account ids, in the order given; the order of `equity` and `maintenance_margin`."""
        return self._state.book.accounts

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols, in the order given; the order of `marks` and of price arrays."""
        return self._state.instruments.symbols

    @property
    def marks(self) -> Float64Array:
        """Mark prices by `symbols`; NaN where none was given yet."""
        with self._lock:
            return self._state.marks.price.copy()

    def equity(self) -> Int64Array:
        """Equity of every account in atoms, rounded down, in the order of `accounts`."""
        with self._reading() as state:
            self._check_marked()
            return state.equity_floor(state.book.slot)

    def maintenance_margin(self) -> Int64Array:
        """Maintenance margin of every account in atoms, rounded up, in the order of `accounts`."""
        with self._reading() as state:
            self._check_marked()
            return state.margin_ceiling(state.book.slot)

    def values(self) -> tuple[Int64Array, Int64Array]:
        """Equity and maintenance margin as above, rows of an instrument never marked counted as worth 0."""
        with self._reading() as state:
            return state.equity_floor(state.book.slot), state.margin_ceiling(state.book.slot)

    def estimates(self) -> Estimates:
        """Equity, maintenance margin and gross notional of every account in float64, in one quick pass."""
        with self._reading() as state:
            self._check_marked()
            equity, margin, gross, _ = state.evaluated(state.book.slot)
            return Estimates(equity, margin, gross)

    @property
    def unit_values(self) -> Float64Array:
        """Value of one lot of each instrument at its mark, or 0, in atoms, negative for an inverse one."""
        with self._lock:
            return self._state.marks.unit.copy()

    def reserves(self) -> pl.DataFrame:
        """Cash and equity (rounded down) of the fund and the market account, by currency, in atoms."""
        with self._reading() as state:
            return readings.reserves(state)

    def rank(self, symbol: str, side: str) -> pl.DataFrame:
        """The ranking of one side of an instrument, as an ADL would use it now (rules R41, R82, R83).

        Parameters
        ----------
        symbol : str
        side : {"long", "short"}
            Side of the ranked positions.

        Returns
        -------
        DataFrame
            ``rank``, ``account``, ``adl_tier``, ``lots``, ``score``, then its parts: ``unrealized_pnl``,
            ``notional`` and ``position_margin`` of the row, ``equity``, ``maintenance_margin``, ``gross`` and
            ``leverage`` of the account; money in atoms, Float64.
        """
        with self._reading() as state:
            self._check_marked()
            return readings.ranking(state, self.policy, self._next(), symbol, side)

    def lights(self, *, by: str = "quantity") -> Standings:
        """How soon every position would be deleveraged: 5 for the first fifth, 1 for the last (rule R99).

        Parameters
        ----------
        by : {"quantity", "count"}
            Fifths of the lots of a symbol and side, or of its positions.

        Returns
        -------
        Standings
            ``values`` at once, ``frame()`` by account and symbol; 0 where nothing can be deleveraged.

        Raises
        ------
        InputError
            For another `by`.
        StageError
            Before the first mark.

        Examples
        --------
        >>> import fastadl as fa
        >>> engine = fa.Engine(fa.synth.book("pareto", positions=1000, accounts=400, instruments=5, seed=1))
        >>> engine.lights().frame().columns
        ['account', 'symbol', 'side', 'light']
        """
        with self._reading() as state:
            self._check_marked()
            return standing.lights(state, self.policy, self._next(), by)

    def percentiles(self, *, by: str = "quantity") -> Standings:
        """Share of its symbol and side that is deleveraged before every position is done with (rule R99).

        Near 0 for the first in line, 1 for the last; parameters and errors as in `lights`.
        """
        with self._reading() as state:
            self._check_marked()
            return standing.percentiles(state, self.policy, self._next(), by)

    def check(self) -> Checks:
        """The four conservation laws, from the books themselves, since the engine was made (rule R32)."""
        with self._lock:
            lots, money = self._state.totals()
            return Checks(
                lots=lots == self._totals[0],
                money=money == self._totals[1],
                fills=self._fills_lawful,
                bankrupt_closed_at_zero=self._closed_at_zero,
            )
