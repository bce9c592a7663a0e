"""What an engine is told beside the book, checked: funds, threads, times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from numbers import Integral
from typing import Any

from fastadl.book import Book
from fastadl.errors import BoundsError, InputError
from fastadl.policy import Fund
from fastadl.schema import SUM_BOUND

__all__ = ["checked_funds", "checked_threads", "checked_time", "running_on"]


def checked_funds(book: Book, given: Any) -> list[Fund]:
    """One fund per settlement currency, from its cash, a `Fund`, or a mapping of either by currency."""
    currencies = book.instruments.currencies
    if isinstance(given, Mapping) and any(key in currencies for key in given):
        for key in given:
            if key not in currencies:
                raise InputError(("fund", str(key)), given[key], f"name currencies: {', '.join(currencies)}")
        items = zip(currencies, book.instruments.decimals, strict=True)
        return [_fund_in(code, decimals, given.get(code)) for code, decimals in items]
    fund = Fund.of(given)
    if fund.cash and len(currencies) > 1:
        raise InputError(("fund",), str(fund.cash), f"give one fund per currency: {', '.join(currencies)}")
    return [fund] * len(currencies)


def _fund_in(code: str, decimals: int, given: Any) -> Fund:
    """The fund of one of several currencies, whose errors name it."""
    try:
        fund = Fund.of(given)
        fund.cash_atoms(decimals)
        fund.min_equity_atoms(decimals)
    except InputError as error:
        raise type(error)(("fund", code, *error.path[1:]), error.value, error.remedy) from None
    return fund


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


def checked_threads(threads: object) -> int | None:
    """A number of threads that numba has, or None for its own setting."""
    if threads is None:
        return None
    import numba

    most = numba.config.NUMBA_NUM_THREADS
    if isinstance(threads, bool) or not isinstance(threads, Integral) or not 1 <= int(threads) <= most:
        raise InputError(("threads",), threads, f"give 1 to {most}, the threads numba has")
    return int(threads)


@contextmanager
def running_on(count: int | None) -> Iterator[None]:
    """Run kernels of this Python thread on so many threads."""
    if count is None:
        yield
        return
    import numba

    before = numba.get_num_threads()
    numba.set_num_threads(count)
    try:
        yield
    finally:
        numba.set_num_threads(before)
