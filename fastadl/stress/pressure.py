"""The ADL pressure curve: what one common shock of many sizes would leave to liquidate and to deleverage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import numpy as np
import polars as pl

from fastadl.book import Book
from fastadl.contracts import Instruments
from fastadl.decimals import fixed
from fastadl.engine import Engine
from fastadl.engine.fund_rules import FundRule
from fastadl.engine.pressure import LEAST, fund_room, shocked_units, sums
from fastadl.engine.settings import checked_funds
from fastadl.engine.state import FUND
from fastadl.errors import InputError
from fastadl.policy import AdlPolicy
from fastadl.policy.funding import number
from fastadl.schema import Float64Array

__all__ = ["SHOCKS", "Pressure", "engine_to_read", "pressure"]

#: From −50 % to +50 % in steps of 2.5 %.
SHOCKS: tuple[float, ...] = tuple(step / 40 for step in range(-20, 21))

_MOST_SHOCK, _MOST_BETA, _MOST_SHOCKS = 1000, 100, 1000
#: Columns that are printed as money; what the fund has is rounded down, the others up.
_MONEY = ("notional_liquidatable", "notional_bankrupt", "shortfall", "fund", "beyond_fund", "notional_beyond")


@dataclass(frozen=True, slots=True)
class Pressure:
    """A pressure curve (rule R102).

    Attributes
    ----------
    frame : DataFrame
        One row per shock and settlement currency: ``shock``, ``currency``; how many accounts are
        ``liquidatable`` and how many of them ``bankrupt``; ``notional_liquidatable`` of all rows of the
        former, ``notional_bankrupt`` of what the latter leave once their hedges are netted; ``shortfall`` of
        the bankrupt; what the ``fund`` can pay of it and what is ``beyond_fund``; ``notional_beyond``, what
        would be deleveraged. Money in atoms, Float64.
    by_instrument : DataFrame
        One row per shock, symbol and side: ``shock``, ``symbol``, ``side``, ``currency``,
        ``lots_liquidatable``, ``lots_bankrupt``, ``lots_beyond``, ``notional_liquidatable``,
        ``notional_bankrupt``, ``notional_beyond``, ``shortfall``. Debts of accounts that hold nothing but
        hedges belong to no row.
    symbol : str or None
        The one instrument that is shocked, if it is one.
    betas : mapping of str to float
        As given.
    decimals : mapping of str to int
        An atom of a currency is ``10**-decimals``.
    """

    frame: pl.DataFrame
    by_instrument: pl.DataFrame
    symbol: str | None
    betas: Mapping[str, float]
    decimals: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """The curve as it is printed (rule R72), money as text; rows with no liquidatable lot left out."""
        some = self.by_instrument.filter(pl.col("lots_liquidatable") > 0)
        return {
            "symbol": self.symbol,
            "betas": dict(self.betas),
            "curve": self.curve(),
            "by_instrument": [self._printed(row) for row in some.iter_rows(named=True)],
        }

    def curve(self) -> list[dict[str, Any]]:
        """The rows of `frame` as they are printed."""
        return [self._printed(row) for row in self.frame.iter_rows(named=True)]

    def _printed(self, row: dict[str, Any]) -> dict[str, Any]:
        for name in _MONEY:
            if name in row:
                atoms = (floor if name == "fund" else ceil)(row[name])
                row[name] = fixed(atoms, self.decimals[row["currency"]])
        return row


def pressure(
    engine_or_book: Engine | Book,
    *,
    shocks: Iterable[Any] | None = None,
    betas: Mapping[str, Any] | None = None,
    symbol: str | None = None,
    fund: Any = None,
) -> Pressure:
    """Shock every price at once, by many sizes, and see who falls, in float64 and without fills (rule R102).

    Parameters
    ----------
    engine_or_book : Engine or Book
        Prices are shocked from its present marks; shortfalls are split as its policy says (that of an engine
        with no other setting for a book).
    shocks : iterable of decimal, optional
        Moves of the price, rising, from −0.999 to 1000; `SHOCKS` unless given.
    betas : mapping of symbol to decimal, optional
        From −100 to 100: a price moves by beta times the shock; 1 for a symbol not named.
    symbol : str, optional
        Shock this instrument alone.
    fund : decimal, Fund or mapping, optional
        As `Engine` takes it, in place of the engine's fund; what the fund holds stays. A book has none.

    Returns
    -------
    Pressure

    Raises
    ------
    InputError
        Naming what is wrong with shocks, betas, symbol or fund.
    StageError
        If somebody holds an instrument without a mark.

    Examples
    --------
    >>> import fastadl as fa
    >>> from fastadl.stress import pressure
    >>> book = fa.synth.book("pareto", positions=1000, accounts=400, instruments=5, seed=1)
    >>> curve = pressure(book, shocks=["-0.3", "0", "0.3"])
    >>> curve.frame["bankrupt"].to_list()[1]
    0
    """
    with _engine(engine_or_book)._alone() as engine, engine._reading() as state:
        engine._check_marked()
        moves = _checked_shocks(shocks)
        weights = _checked_betas(state.instruments, betas, symbol)
        units = shocked_units(state, moves, _beta_of(state.instruments, weights, symbol))
        room = fund_room(state, units, _funds(engine, fund))
        accounts, legs = sums(state, units, room, engine.policy.split == "notional")
        return Pressure(
            *_frames(state.instruments, moves, units, room, accounts, legs),
            symbol=symbol,
            betas=weights,
            decimals=dict(zip(state.instruments.currencies, state.instruments.decimals, strict=True)),
        )


def engine_to_read(book: Book, policy: AdlPolicy | str = "bitmex") -> Engine:
    """An engine of a book, to mark and to read: without a copy, unless the book is read-only."""
    writeable = book.rows.lots.flags.writeable  # kernels are compiled for arrays that are
    return Engine(book, policy=policy, copy=not writeable)


def _engine(given: object) -> Engine:
    if isinstance(given, Book):
        return engine_to_read(given)
    if not isinstance(given, Engine):
        raise InputError(("engine_or_book",), type(given).__name__, "give an Engine or a Book")
    return given


# ---------------------------------------------------------------------- what is asked


def _checked_shocks(given: Iterable[Any] | None) -> Float64Array:
    if given is None:
        return np.array(SHOCKS)
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise InputError(("shocks",), given, "give a list of price moves such as -0.1")
    moves: list[float] = []
    for place, shock in enumerate(given):
        if place == _MOST_SHOCKS:
            raise InputError(("shocks",), f"more than {place}", f"give at most {place:,} shocks")
        move = number(shock, ("shocks", place))
        if not LEAST - 1 <= move <= _MOST_SHOCK:
            raise InputError(("shocks", place), shock, f"give a price move from -0.999 to {_MOST_SHOCK}")
        if moves and float(move) <= moves[-1]:
            raise InputError(("shocks", place), shock, "give shocks in rising order, each once")
        moves.append(float(move))
    if not moves:
        raise InputError(("shocks",), "none", "give at least one shock")
    return np.array(moves)


def _checked_betas(instruments: Instruments, given: object, symbol: object) -> dict[str, float]:
    if symbol is not None:
        instruments.lookup(symbol, ("symbol",))
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise InputError(("betas",), given, "give a mapping of symbol to beta")
    weights = {}
    for name, beta in given.items():
        path = ("betas", str(name))
        instruments.lookup(name, path)
        if symbol is not None and name != symbol:
            raise InputError(path, beta, f"leave it out: {symbol} alone is shocked")
        weight = number(beta, path)
        if abs(weight) > _MOST_BETA:
            raise InputError(path, beta, f"give a beta from -{_MOST_BETA} to {_MOST_BETA}")
        weights[name] = float(weight)
    return weights


def _beta_of(instruments: Instruments, weights: Mapping[str, float], symbol: str | None) -> Float64Array:
    usual = [1.0 if symbol in (None, name) else 0.0 for name in instruments.symbols]
    return np.array([weights.get(name, beta) for name, beta in zip(instruments.symbols, usual, strict=True)])


# ---------------------------------------------------------------------- what comes of it


def _funds(engine: Engine, fund: Any) -> list[tuple[FundRule, int]]:
    """Rule and cash of the fund of each currency: the engine's, or those given."""
    state, policy = engine._state, engine.policy
    if fund is None:
        return list(zip(engine._rules, state.reserve_cash[FUND].tolist(), strict=True))
    given = checked_funds(state.book, fund, policy)
    return [
        (FundRule(each, policy, state.instruments, c), each.cash_atoms(decimals))
        for c, (each, decimals) in enumerate(zip(given, state.instruments.decimals, strict=True))
    ]


def _frames(
    instruments: Instruments,
    moves: Float64Array,
    units: Float64Array,
    room: Float64Array,
    accounts: Float64Array,
    legs: Float64Array,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The curve, and the curve by instrument."""
    codes = np.array(instruments.currencies, dtype=object)
    (liquidatable, bankrupt, shortfall), (below, left, beyond, shares) = accounts, legs
    of_leg = np.repeat(instruments.currency, 2)
    value = np.repeat(np.abs(units), 2, axis=0)
    notionals = {
        "notional_liquidatable": below * value,
        "notional_bankrupt": left * value,
        "notional_beyond": beyond * value,
    }
    total = {
        name: np.stack([each[of_leg == c].sum(axis=0) for c in range(len(codes))])
        for name, each in notionals.items()
    }

    def column(values: Any, kind: Any = np.float64) -> Any:
        return np.asarray(values).T.ravel().astype(kind)

    frame = pl.DataFrame(
        {
            "shock": np.repeat(moves, len(codes)),
            "currency": pl.Series(np.tile(codes, len(moves)), dtype=pl.String),
            "liquidatable": column(liquidatable, np.int64),
            "bankrupt": column(bankrupt, np.int64),
            "notional_liquidatable": column(total["notional_liquidatable"]),
            "notional_bankrupt": column(total["notional_bankrupt"]),
            "shortfall": column(shortfall),
            "fund": column(room),
            "beyond_fund": column(np.maximum(shortfall - room, 0.0)),
            "notional_beyond": column(total["notional_beyond"]),
        }
    )
    symbols = np.array(instruments.symbols, dtype=object)
    by_instrument = pl.DataFrame(
        {
            "shock": np.repeat(moves, len(of_leg)),
            "symbol": pl.Series(np.tile(np.repeat(symbols, 2), len(moves)), dtype=pl.String),
            "side": pl.Series(["long", "short"] * (len(symbols) * len(moves)), dtype=pl.String),
            "currency": pl.Series(np.tile(codes[of_leg], len(moves)), dtype=pl.String),
            "lots_liquidatable": column(below, np.int64),
            "lots_bankrupt": column(left, np.int64),
            "lots_beyond": column(np.ceil(beyond), np.int64),
            **{name: column(each) for name, each in notionals.items()},
            "shortfall": column(shares),
        }
    )
    return frame, by_instrument
