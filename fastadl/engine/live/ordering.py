"""Liquidation orders that live as long as it takes to fill them (rule R108)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, overload

import polars as pl

from fastadl.engine.live import orders
from fastadl.engine.stages import Stages
from fastadl.policy.funding import Amount
from fastadl.schema import BoolArray

__all__ = ["Ordering"]


class Ordering(Stages):
    """The part of `Engine` that keeps orders to liquidate."""

    def order_liquidations(
        self,
        *,
        slice: Amount | None = None,
        slice_above: Amount | Mapping[str, Amount] = "0",
        cooldown: int = 0,
        in_cooldown: str = "wait",
        step_down: bool = False,
        least: int = 1,
    ) -> pl.DataFrame:
        """Orders to send for the accounts that the tick in progress detected and that are still solvent.

        Between ticks this begins one at the same marks.

        A row that is on order already gets no other. What is on order is kept for it until `settle` fills it
        or `cancel_orders` takes it back: an account with open orders is in liquidation. It takes no new risk
        and gives no cash, neither fund nor ADL touch it, and it is no counterparty of an ADL.

        Parameters
        ----------
        slice, slice_above, cooldown, in_cooldown, step_down
            How much of each row an order is for, as `fastadl.policy.Partial` says (rule R101); all of it if
            left out. `slice_above` may be a mapping by currency, 0 for those not named; where there are
            several, a number may only be 0.
        least : int
            Lots: where an order, or what it leaves of its row, would be smaller, it is for the whole row.

        Returns
        -------
        DataFrame
            ``order``, ``account``, ``symbol``, ``side`` (of the position), ``lots``, ``limit_price``
            (Float64) and ``limit_value`` (Int64 atoms for all lots): at these limits, all rows closed, the
            account ends at zero or above. Null where any price will do.

        Raises
        ------
        InputError
            For an argument that rule R101 refuses; nothing has changed.
        StageError
            Between `takeover` and `deleverage`, or before the first mark.

        Examples
        --------
        >>> import fastadl as fa
        >>> engine = fa.Engine(fa.synth.book("pareto", positions=1000, accounts=400, instruments=5, seed=1))
        >>> marked = engine.mark(engine.marks * 0.97)
        >>> sent = engine.order_liquidations(slice="0.2", slice_above="100000")
        >>> engine.orders()["order"].equals(sent["order"])
        True
        """
        wanted = orders.Terms.of(
            self._state.instruments.currencies,
            slice_above,
            least,
            slice=slice,
            cooldown=cooldown,
            in_cooldown=in_cooldown,
            step_down=step_down,
        )
        with self._whole():
            self._check_between()
            tick = self._detected()
            self._check_marked()
            new, value = orders.order(self._state, tick, wanted, self.policy.split == "notional")
            sent = orders.frame(self._state, new)
            limit = pl.Series("limit_value", value, pl.Int64).set(sent["limit_price"].is_null(), None)
            return sent.select("order", "account", "symbol", "side", "lots", "limit_price").with_columns(
                limit
            )

    def orders(self) -> pl.DataFrame:
        """All open orders.

        Returns
        -------
        DataFrame
            ``order``, ``account``, ``symbol``, ``side``, ``lots`` (left), ``lots_ordered``, ``limit_price``,
            ``tick`` and ``time`` (when ordered), and ``reason`` to cancel it: the account is ``bankrupt`` at
            the present marks, or ``safe``, no longer liquidatable; null where there is none.

        Raises
        ------
        StageError
            While there are orders, and a symbol that somebody holds was never marked.
        """
        with self._reading() as state:
            if len(state.orders):
                self._check_marked()
            return orders.frame(state, state.orders).with_columns(reason=orders.reasons(state))

    @overload
    def in_liquidation(self, accounts: str | int) -> bool: ...

    @overload
    def in_liquidation(self, accounts: Any) -> BoolArray: ...

    def in_liquidation(self, accounts: Any) -> bool | BoolArray:
        """Whether an account has open orders (rule R108).

        Parameters
        ----------
        accounts : str, int, or Series, array or sequence of them
            Ids, or codes as `codes` gives them.

        Returns
        -------
        bool, or bool array for more than one

        Raises
        ------
        InputError
            For an unknown account.
        """
        with self._reading() as state:
            found, alone = self._who(accounts)
            among = state.orders.among(found)
            return bool(among[0]) if alone else among

    def cancel_orders(self, numbers: Any = None) -> pl.DataFrame:
        """Take orders back: nothing of them will be filled any more, and their lots are free again.

        Parameters
        ----------
        numbers : iterable of int, optional
            The column ``order`` of `orders`, say; all open orders if left out.

        Returns
        -------
        DataFrame
            The orders taken back, as in `orders`, without ``reason``.

        Raises
        ------
        InputError
            For an order that is not open, or named twice; nothing has changed.
        StageError
            Between `takeover` and `deleverage`.
        """
        with self._whole():
            self._check_between()
            return orders.frame(self._state, orders.cancel(self._state, numbers))
