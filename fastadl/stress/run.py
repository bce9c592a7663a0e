"""The stress loop: build a synthetic book, mark it through a price path, keep what every step did."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context
from fractions import Fraction
from math import exp, log
from statistics import median
from time import perf_counter
from typing import Any, TypeAlias

import numpy as np
import polars as pl

from fastadl import io, synth
from fastadl.book import Book
from fastadl.contracts import Instruments
from fastadl.decimals import fixed, plain
from fastadl.engine import Checks, Engine, Report
from fastadl.errors import InputError
from fastadl.policy import AdlPolicy, Fund, Liquidity
from fastadl.scenario import write_result
from fastadl.stress import brackets, prices
from fastadl.stress.prices import Path, asset_of
from fastadl.stress.shipped import MARCH_2020
from fastadl.synth.listing import whole

__all__ = ["BETA", "DEPTH", "FUND", "SLIPPAGE", "Stress", "StressResult", "run"]

#: Other markets move by this power of the path's own return.
BETA = 1.2
#: What the simulated order book takes per step and direction, as a share of a market's open interest,
DEPTH = Fraction(1, 50)
#: and how far from mark it takes it.
SLIPPAGE = Fraction(1, 100)
#: The insurance fund's cash as a share of the book's open interest, unless one is given.
FUND = Fraction(1, 200)

#: Called with what is going on, how many steps are done, and of how many.
Progress: TypeAlias = Callable[[str, int, int], object]
Files: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_LAWS = ("lots", "money", "fills", "bankrupt_closed_at_zero")
_EIGHT_DIGITS = Context(prec=8)
#: Columns of the steps in atoms.
_MONEY = (
    *("shortfall", "fees", "fund_paid", "takeover_loss", "adl_value", "socialized", "uncovered"),
    *("fund_equity_before", "fund_equity_after", "closed_value", "takeover_value"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stress:
    """What a stress test is made of.

    Parameters
    ----------
    positions : int
    accounts : int, optional
        Unless given, two for every five positions, or more where there are fewer than three instruments.
    instruments : int
        The path's symbols come first; the others are those of `fastadl.synth.perpetuals`.
    shape : str
        A name of `fastadl.synth.SHAPES`.
    seed : int
    prices : path or sequence of path, optional
        CSV files (see `fastadl.stress.prices.read`); March 2020 unless given.
    policy : str, mapping or AdlPolicy
    fund : decimal or Fund, optional
        Cash of the insurance fund; 0.5 % of the open interest unless given.
    tiers : path, optional
        Leverage tiers in ccxt's form (see `fastadl.stress.brackets.read`), for every asset named there.
    """

    positions: int = 1_000_000
    accounts: int | None = None
    instruments: int = 300
    shape: str = "pareto"
    seed: int = 1
    prices: Files | None = None
    policy: str | Mapping[str, Any] | AdlPolicy = "bitmex"
    fund: Any = None
    tiers: str | os.PathLike[str] | None = None

    def run(
        self, *, out: str | os.PathLike[str] | None = None, progress: Progress | None = None
    ) -> StressResult:
        """Run every step of the path.

        Parameters
        ----------
        out : path, optional
            A new or empty folder for ``result.json``, ``steps.parquet`` and one Parquet file per list of the
            reports, with a column ``tick``; written when all steps are done, whole or not at all.
        progress : callable, optional
            Told what is going on, how many steps are done, and of how many.

        Raises
        ------
        InputError
            For a parameter or file that is refused, before anything is run.
        """
        tell = progress or _silent
        path = MARCH_2020 if self.prices is None else prices.read(self.prices)
        policy = AdlPolicy.of(self.policy)
        if out is not None:
            io.check_folder(out)
        tell("drawing the book", 0, len(path.times))
        started = perf_counter()
        book = self._book(path)
        interest = _open_interest(book)
        fund = Fund.of(int(FUND * sum(interest) / 10**6) if self.fund is None else self.fund)
        liquidity = _liquidity(book.instruments, interest)
        seconds = perf_counter() - started
        tell("compiling kernels", 0, len(path.times))
        _compile(policy)
        engine = Engine(book, policy=policy, fund=fund, liquidity=liquidity, copy=False)
        kept = _Log(_Market(path, book.instruments), lists=out is not None)
        for at, time in enumerate(path.times):
            tell("marking", at, len(path.times))
            kept.add(engine.tick(kept.market.marks(at), time=time), engine.check())
        tell("done", len(path.times), len(path.times))
        result = StressResult(
            stress=self,
            path=path,
            policy=policy,
            fund=fund,
            accounts=len(engine.accounts),
            open_interest=int(sum(interest)),
            steps=pl.DataFrame(kept.steps),
            distinct={name: pl.concat(parts).n_unique() for name, parts in kept.named.items()},
            checks=kept.checks,
            seconds_book=seconds,
        )
        if out is not None:
            write_result(result.to_dict(), {"steps": result.steps, **kept.joined()}, out)
        return result

    def _book(self, path: Path) -> Book:
        whole("positions", self.positions, 1, 1 << 31)
        ladders = None if self.tiers is None else brackets.read(self.tiers)
        first = {
            asset_of(symbol): Fraction(close)
            for symbol, close in zip(path.symbols, path.closes[0], strict=True)
        }
        if ladders is not None and not ladders.keys() & first.keys():
            raise InputError(("tiers",), str(self.tiers), f"give a file with tiers of {', '.join(first)}")
        table = synth.perpetuals(self.instruments, marks=first, ladders=ladders)
        most = max(-(-2 * self.positions // 5), -(-self.positions // len(table)))
        return synth.book(
            self.shape,
            positions=self.positions,
            accounts=most if self.accounts is None else self.accounts,
            instruments=table,
            seed=self.seed,
        )


def run(
    *, out: str | os.PathLike[str] | None = None, progress: Progress | None = None, **what: Any
) -> StressResult:
    """Build a synthetic book and drive it through a price path: ``Stress(**what).run(out=…, progress=…)``.

    Examples
    --------
    >>> from fastadl import stress
    >>> result = stress.run(positions=2000, instruments=3)
    >>> result.ok, len(result.steps)
    (True, 48)
    """
    return Stress(**what).run(out=out, progress=progress)


@dataclass(frozen=True, slots=True)
class StressResult:
    """What came of a stress test.

    Attributes
    ----------
    stress : Stress
    path, policy, fund
        As read and resolved.
    accounts, open_interest : int
        Traders' accounts; open interest of all markets at the first marks, in atoms.
    steps : DataFrame
        One row per step: the columns of ``Report.summary``, with ``market`` (the median return of the path's
        symbols so far), ``closed_value`` and ``takeover_value`` (atoms closed in the order book, and taken
        over by the fund).
    distinct : dict of str to int
        How many different accounts were ``liquidated``, ``bankrupt`` and ``deleveraged``.
    checks : dict of str to bool
        The four conservation laws, over all steps.
    seconds_book : float
        Time it took to draw the book.
    """

    stress: Stress
    path: Path
    policy: AdlPolicy
    fund: Fund
    accounts: int
    open_interest: int
    steps: pl.DataFrame
    distinct: dict[str, int]
    checks: dict[str, bool]
    seconds_book: float

    @property
    def ok(self) -> bool:
        """Whether every conservation law held at every step."""
        return all(self.checks.values())

    def to_dict(self) -> dict[str, Any]:
        """The result as one object: money as decimal text (rule R72)."""
        steps = self.steps.to_dicts()
        for step in steps:
            step.update({name: fixed(step[name], 6) for name in _MONEY})
        return {
            "book": {
                "shape": self.stress.shape,
                "seed": self.stress.seed,
                "positions": self.stress.positions,
                "accounts": self.accounts,
                "instruments": self.stress.instruments,
                "open_interest": fixed(self.open_interest, 6),
            },
            "path": {"source": self.path.source, "symbols": list(self.path.symbols)},
            "policy": self.policy.choices(),
            "fund": plain(self.fund.cash),
            "steps": steps,
            "accounts": self.distinct,
            "checks": self.checks,
            "seconds_book": self.seconds_book,
        }


class _Market:
    """Marks of every instrument along a path."""

    def __init__(self, path: Path, instruments: Instruments) -> None:
        self._symbols = instruments.symbols
        self._path = path
        self._start = [float(item.mark or 0) for item in instruments]

    def level(self, at: int) -> float:
        """Median return of the path's symbols since the first step, taken in logarithms."""
        pairs = zip(self._path.closes[at], self._path.closes[0], strict=True)
        return exp(median(log(Fraction(now) / Fraction(first)) for now, first in pairs))

    def marks(self, at: int) -> dict[str, str]:
        """The path's own closes, exactly; of the others their first mark · level^BETA, in eight digits."""
        own = self._path.closes[at]
        factor = self.level(at) ** BETA
        others = (
            format(_EIGHT_DIGITS.create_decimal_from_float(start * factor), "f")
            for start in self._start[len(own) :]
        )
        return dict(zip(self._symbols, (*own, *others), strict=True))


class _Log:
    """What is kept of every step."""

    def __init__(self, market: _Market, *, lists: bool) -> None:
        self.market = market
        self.steps: list[dict[str, Any]] = []
        self.checks = dict.fromkeys(_LAWS, True)
        nobody = pl.Series([], dtype=pl.String)
        self.named = {name: [nobody] for name in ("liquidated", "bankrupt", "deleveraged")}
        self._lists = lists
        self._reports: list[Report] = []

    def add(self, report: Report, checks: Checks) -> None:
        step: dict[str, Any] = report.summary.row(0, named=True)
        step["market"] = self.market.level(len(self.steps))
        step["closed_value"] = _value(report.executions) if step["n_executions"] else 0
        step["takeover_value"] = _value(report.takeovers) if step["n_takeovers"] else 0
        self.steps.append(step)
        if step["n_liquidations"]:
            found = report.liquidations
            self.named["liquidated"].append(found["account"])
            self.named["bankrupt"].append(found["account"].filter(found["shortfall"] > 0))
        if step["n_adl_fills"]:
            self.named["deleveraged"].append(report.adl_fills["counterparty"].unique())
        for law in _LAWS:
            self.checks[law] &= bool(getattr(checks, law))
        if self._lists:
            self._reports.append(report)

    def joined(self) -> dict[str, pl.DataFrame]:
        """Every list of the reports, one below the other, with the tick in front."""
        parts: dict[str, list[pl.DataFrame]] = {}
        for report in self._reports:
            tick = pl.lit(report.tick, pl.Int64).alias("tick")
            for name, frame in report.frames().items():
                if name != "summary":
                    parts.setdefault(name, []).append(frame.select(tick, pl.all()))
        return {name: pl.concat(frames) for name, frames in parts.items()}


def _silent(*_: object) -> None:
    """Progress that nobody watches."""


def _compile(policy: AdlPolicy) -> None:
    """A crash on a small book, so that no step of the real one waits for the compiler."""
    book = synth.book("pareto", positions=200, accounts=80, instruments=2, seed=1)
    liquidity = _liquidity(book.instruments, _open_interest(book))
    engine = Engine(book, policy=policy, fund="1", liquidity=liquidity, copy=False)
    engine.tick({"BTC-PERP": "30000", "ETH-PERP": "4500"})
    engine.check()


def _value(rows: pl.DataFrame) -> int:
    return int(rows["value"].abs().sum())


def _units(instruments: Instruments) -> list[Fraction]:
    """Value of one lot of each instrument at its first mark, in atoms."""
    return [item.unit_value(item.mark) for item in instruments if item.mark is not None]


def _open_interest(book: Book) -> list[Fraction]:
    """Value of all long lots of each instrument at its mark, in atoms."""
    held = np.bincount(book.rows.leg, book.rows.lots, 2 * len(book.instruments))[::2]
    held += np.maximum(book.reserve_lots, 0).sum(axis=0)
    return [int(lots) * unit for lots, unit in zip(held, _units(book.instruments), strict=True)]


def _liquidity(instruments: Instruments, interest: Sequence[Fraction]) -> Liquidity:
    depth = {
        item.symbol: plain(int(DEPTH * held / unit) * item.lot)
        for item, held, unit in zip(instruments, interest, _units(instruments), strict=True)
    }
    return Liquidity(depth=depth, slippage=SLIPPAGE, surplus="fund")
