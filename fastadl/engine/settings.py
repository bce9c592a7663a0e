"""What an engine is told beside the book, checked: funds, threads, times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from fractions import Fraction
from numbers import Integral
from typing import Any

import numpy as np

from fastadl.book import Book
from fastadl.contracts import Instruments
from fastadl.decimals import exact, plain
from fastadl.engine.scoring import scoring
from fastadl.errors import BoundsError, InputError
from fastadl.kernels._threads import refuse_fork
from fastadl.policy import AdlPolicy, AnyOrderBook, Fund, Liquidity
from fastadl.schema import SUM_BOUND

__all__ = [
    "checked_funds",
    "checked_incremental",
    "checked_liquidity",
    "checked_policy",
    "checked_rates",
    "checked_threads",
    "checked_time",
    "running_on",
]

#: A block that changes nothing; entered again and again.
_AS_IT_IS = nullcontext()


def checked_funds(book: Book, given: Any, policy: AdlPolicy) -> list[Fund]:
    """One fund per settlement currency, from its cash, a `Fund`, or a mapping of either by currency.

    Raises
    ------
    InputError
        If one cannot be, limits symbols it does not settle (rule R89), or is at odds with the policy (R88).
    """
    currencies = book.instruments.currencies
    if isinstance(given, Mapping) and any(key in currencies for key in given):
        for key in given:
            if key not in currencies:
                raise InputError(("fund", str(key)), given[key], f"name currencies: {', '.join(currencies)}")
        return [_fund_in(book, c, given.get(code), policy) for c, code in enumerate(currencies)]
    fund = Fund.of(given)
    _check(fund, book, policy)
    if fund.cash and len(currencies) > 1:
        raise InputError(("fund",), str(fund.cash), f"give one fund per currency: {', '.join(currencies)}")
    return [fund] * len(currencies)


def _fund_in(book: Book, currency: int, given: Any, policy: AdlPolicy) -> Fund:
    """The fund of one of several currencies, whose errors name it."""
    instruments = book.instruments
    code, decimals = instruments.currencies[currency], instruments.decimals[currency]
    try:
        fund = Fund.of(given)
        fund.cash_atoms(decimals)
        fund.min_equity_atoms(decimals)
        _check(fund, book, policy)
        for i in fund.limit_atoms(instruments):
            if instruments.currency[i] != currency:
                symbol = instruments.symbols[i]
                raise InputError(("fund", "limits", symbol), symbol, f"name a symbol that settles in {code}")
    except InputError as error:
        raise type(error)(("fund", code, *error.path[1:]), error.value, error.remedy) from None
    return fund


def _check(fund: Fund, book: Book, policy: AdlPolicy) -> None:
    """Refuse limits of unknown symbols, and a drawdown limit beside that of the policy."""
    fund.limit_atoms(book.instruments)
    if policy.trigger == "drawdown" and fund.max_drawdown is not None:
        remedy = "leave it out: with trigger drawdown the policy says how far the fund may fall (rule R88)"
        raise InputError(("fund", "max_drawdown"), plain(fund.max_drawdown), remedy)


def checked_time(time: object, last: int) -> int:
    """Seconds of a tick that comes after one at `last`; that time again if none is given."""
    if time is None:
        return last
    if isinstance(time, bool) or not isinstance(time, Integral):
        raise InputError(("time",), time, "give whole seconds")
    if time < last:
        raise InputError(("time",), int(time), f"time does not run backwards: give {last} or later")
    if int(time) > SUM_BOUND:
        raise BoundsError(("time",), int(time), "give at most 2^62 seconds (rule R1)")
    return int(time)


def checked_liquidity(book: Book, given: Mapping[str, Any] | AnyOrderBook | None) -> AnyOrderBook | None:
    """An order book for simulations (rule R100), from itself or from a mapping as in a scenario file.

    Raises
    ------
    InputError
        If it is none, or not for the instruments of the book.
    """
    orders = given if isinstance(given, AnyOrderBook) else Liquidity.of(given)
    if orders is not None:
        orders.check(book.instruments)
    return orders


def checked_policy(book: Book, given: str | Mapping[str, Any] | AdlPolicy) -> AdlPolicy:
    """A policy for a book.

    Raises
    ------
    InputError
        For a beta of an unknown symbol, or a score of the user's own that cannot be used.
    """
    policy = AdlPolicy.of(given)
    for symbol, _ in policy.betas or ():
        book.instruments.lookup(symbol, ("policy", "betas", symbol))
    for score in (policy.score, *policy.then):
        scoring(score)
    return policy


def checked_incremental(incremental: object) -> bool:
    """Whether marks are to be incremental."""
    if not isinstance(incremental, (bool, np.bool_)):
        raise InputError(("incremental",), incremental, "give True or False")
    return bool(incremental)


def checked_threads(threads: object, *, elsewhere: bool = False) -> int | None:
    """A number of threads that numba has, or None for its own setting.

    Processes `elsewhere` may be on machines with more; then it is as many as there are here.
    """
    if threads is None:
        return None
    import numba

    most = numba.config.NUMBA_NUM_THREADS
    given = 0 if isinstance(threads, bool) or not isinstance(threads, Integral) else int(threads)
    if given < 1 or (given > most and not elsewhere):
        remedy = f"give 1 to {most}, the threads numba has (NUMBA_NUM_THREADS)"
        raise InputError(("threads",), threads, "give a whole number above 0" if elsewhere else remedy)
    return min(given, most)


def running_on(count: int | None) -> AbstractContextManager[None]:
    """Run kernels of this Python thread on so many threads.

    Raises
    ------
    ForkError
        In a forked child that cannot run them.
    """
    refuse_fork()
    return _AS_IT_IS if count is None else _on(count)


@contextmanager
def _on(count: int) -> Iterator[None]:
    import numba

    before = numba.get_num_threads()
    numba.set_num_threads(count)
    try:
        yield
    finally:
        numba.set_num_threads(before)


def checked_rates(instruments: Instruments, rates: Any) -> dict[int, Fraction]:
    """Rates by instrument (rule R80)."""
    if not isinstance(rates, Mapping):
        raise InputError(("rates",), type(rates).__name__, "give a mapping of symbol to rate")
    found = {}
    for symbol, rate in rates.items():
        i = instruments.lookup(symbol, ("rates", str(symbol)))
        try:
            found[i] = exact(rate)
        except ValueError as error:
            raise InputError(("rates", str(symbol)), rate, str(error)) from None
        if abs(found[i]) > 1:
            raise InputError(("rates", str(symbol)), rate, "give a rate from -1 to 1, a part of the value")
    return found
