"""What can be read of an engine at any time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl

from fastadl.book import Book
from fastadl.engine import readings
from fastadl.engine.core import Core
from fastadl.engine.exposure import Exposures, exposures
from fastadl.engine.indicator import demand as demands
from fastadl.engine.indicator import distance, standing
from fastadl.engine.indicator.demand import Demand
from fastadl.engine.indicator.distance import Distances
from fastadl.engine.indicator.explain import explain
from fastadl.engine.indicator.explanation import Explanation
from fastadl.engine.indicator.standing import Standings
from fastadl.engine.positions import positions
from fastadl.engine.results import Checks, Estimates
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

    def cash(self) -> Int64Array:
        """Cash of every account in atoms, in the order of `accounts`."""
        with self._reading() as state:
            return state.cash(state.book.slot)

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

    def demand(self, *, shocks: Iterable[Any] | None = None) -> Demand:
        """Lots that common shocks of some sizes would have deleveraged, by symbol and side (rule R111).

        Parameters
        ----------
        shocks : iterable of decimal, optional
            Sizes, rising, above 0 and up to 0.999; `fastadl.engine.indicator.shocks.SIZES` unless given.

        Returns
        -------
        Demand
            ``lots`` by leg and shock, ``frame()`` by symbol.

        Raises
        ------
        InputError
            For shocks that cannot be, or a policy under which nobody stands in line.
        StageError
            Before the first mark.
        """
        with self._reading() as state:
            self._check_marked()
            return demands.demand(state, self.policy, self._rules, shocks)

    def distances(self, demand: Demand | None = None, *, ranking: str = "shocked") -> Distances:
        """How large a shock it takes to have each position deleveraged, and each account liquidated.

        Parameters
        ----------
        demand : Demand, optional
            Of this engine, now or a little earlier. Unless given, it is worked out once for every state of
            the engine.
        ranking : {"shocked", "present"}
            At every shock the scores that positions would have then, or at all of them those they have now,
            which is three times as quick and says another size of some half of the positions.

        Returns
        -------
        Distances
            ``adl`` (rule R111) and ``liquidation`` (rule R112) at once, ``frame()`` by account and symbol.

        Raises
        ------
        InputError, StageError
            As `demand`; for a demand of another book, too.

        Examples
        --------
        >>> import fastadl as fa
        >>> engine = fa.Engine(fa.synth.book("pareto", positions=1000, accounts=400, instruments=5, seed=1))
        >>> engine.distances().frame().columns
        ['account', 'symbol', 'side', 'adl', 'liquidation']
        """
        with self._reading() as state:
            self._check_marked()
            return distance.distances(state, self.policy, self._next(), self._demand(demand), ranking)

    def liquidation_distances(self) -> pl.DataFrame:
        """How far its own price must go against each position to have its account liquidated (rule R112).

        Returns
        -------
        DataFrame
            ``account``, ``symbol``, ``side`` and ``liquidation`` of every open position, as `distances` has
            them, under any policy and without the work of a demand.

        Raises
        ------
        StageError
            While a symbol that somebody holds was never marked.
        """
        with self._reading() as state:
            self._check_marked()
            moves = distance.liquidations(state)
            return standing.frame_of(state.book, ~np.isnan(moves), liquidation=moves)

    def explain(
        self, account: str, symbol: str, *, side: str | None = None, demand: Demand | None = None
    ) -> Explanation:
        """Why a position stands where it does, how close it is, and what would help (rule R113).

        Parameters
        ----------
        account, symbol : str
        side : {"long", "short"}, optional
            May be left out where the account holds only one.
        demand : Demand, optional
            As in `distances`. The first answer in a state waits for it.

        Returns
        -------
        Explanation
            Its fields as data, ``to_dict()`` as it is printed, ``str()`` as text.

        Raises
        ------
        InputError, StageError
            As `distances`; for an account, a symbol or a position that does not exist.

        Examples
        --------
        >>> import fastadl as fa
        >>> engine = fa.Engine(fa.synth.book("pareto", positions=1000, accounts=400, instruments=5, seed=1))
        >>> position = engine.book.to_frames()[2].row(0, named=True)
        >>> found = engine.explain(position["account"], position["symbol"])
        >>> found.choices["choice"].to_list()
        ['as it is', 'close 25 %', 'close 50 %', 'leverage / 2', 'leverage / 4']
        """
        with self._reading() as state:
            self._check_marked()
            wanted = self._demand(demand)
            return explain(state, self.policy, self._next(), account, symbol, side, wanted)

    def exposures(
        self, *, leverages: Iterable[Any] = (20,), shocks: Iterable[Any] = (0.05, 0.1)
    ) -> Exposures:
        """Who carries how much of a market, and what shocks would leave, in one quick pass (rule R118).

        Parameters
        ----------
        leverages : iterable of decimal
            Bounds: what part of open interest accounts above each hold.
        shocks : iterable of decimal
            Sizes of price moves, down and up, above 0 and up to 0.999. The more accounts they fell, the
            longer it takes.

        Returns
        -------
        Exposures

        Raises
        ------
        InputError
            For leverages or shocks that cannot be.
        StageError
            While a symbol that somebody holds was never marked.

        Examples
        --------
        >>> import fastadl as fa
        >>> engine = fa.Engine(fa.synth.book("pareto", positions=1000, accounts=400, instruments=5, seed=1))
        >>> found = engine.exposures(leverages=[10, 50])
        >>> found.leveraged.shape, found.coverage.shape
        ((2, 5), (2, 1))
        """
        with self._reading() as state:
            self._check_marked()
            return exposures(state, self._rules, leverages, shocks)

    def _demand(self, given: Demand | None) -> Demand:
        if given is None:
            if self._known is None or self._known[0] is not self.policy:
                self._known = self.policy, demands.demand(self._state, self.policy, self._rules, None)
            return self._known[1]
        return demands.checked_demand(self._state, given)

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
