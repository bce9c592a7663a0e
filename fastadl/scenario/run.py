"""Scenarios: a book, its rules and its ticks from a file or a dict, and what comes of running them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from msgspec import UNSET

from fastadl import io
from fastadl.book import Book
from fastadl.contracts import Instrument, Kind
from fastadl.decimals import plain
from fastadl.engine import Engine, Report
from fastadl.engine.prices import given_prices, nearest_units
from fastadl.engine.results import Tick
from fastadl.engine.settings import checked_funds
from fastadl.errors import BoundsError, InputError
from fastadl.policy import AdlPolicy, Fund, Liquidity
from fastadl.scenario import document, text
from fastadl.scenario.show import LISTS, Printer
from fastadl.schema import SUM_BOUND

__all__ = ["Run", "Scenario", "Step"]

#: Called after every tick with the number of ticks done and of all.
Progress = Callable[[int, int], object]


@dataclass(frozen=True, slots=True)
class Step:
    """One tick of a scenario: its time in seconds, and the exact new marks and oracle prices by symbol."""

    time: int
    marks: Mapping[str, Fraction]
    oracle: Mapping[str, Fraction]


class Scenario:
    """A validated scenario file: nothing in it can be refused for its form any more (rule R20).

    Attributes
    ----------
    file : str
        Where it came from; named in errors.
    currency, decimals : str, int
        The one currency of the file; an atom is ``10**-decimals``.
    book : Book
        Before the first tick.
    policy, fund, liquidity : AdlPolicy, Fund, Liquidity or None
    steps : tuple of Step

    Examples
    --------
    >>> scenario = Scenario.load({"instruments": [], "accounts": [], "positions": [], "ticks": []})
    >>> scenario.run()["balanced"]
    True
    """

    def __init__(self, tree: Any, file: str, overrides: Sequence[str] = ()) -> None:
        self.file = file
        try:
            for assignment in overrides:
                text.assign(tree, assignment)
            self._tree = text.plain_tree(tree)
            self._build(document.read(self._tree))
        except InputError as error:
            raise _located(error, file) from None

    @classmethod
    def load(
        cls, source: str | os.PathLike[str] | Mapping[str, Any], *, overrides: Sequence[str] = ()
    ) -> Scenario:
        """Read a scenario from a JSON file, a TOML file (by its ending ``.toml``), or a dict.

        Parameters
        ----------
        source : path or dict
        overrides : sequence of str
            ``path=value`` texts that replace fields before validation (rule R69), e.g. ``policy.price=mark``.

        Raises
        ------
        InputError
            Naming file, field, value and remedy; the whole file is checked before anything runs.
        """
        if isinstance(source, Mapping):
            file = "scenario"
            try:
                tree = text.plain_tree(dict(source))
            except InputError as error:
                raise _located(error, file) from None
            return cls(tree, file, overrides)
        file = os.fspath(source)
        kind = "toml" if file.lower().endswith(".toml") else "json"
        return cls.loads(_read(file), kind, overrides=overrides, file=file)

    @classmethod
    def loads(
        cls, content: str, format: str = "json", *, overrides: Sequence[str] = (), file: str = "scenario"
    ) -> Scenario:
        """Read a scenario from a text in ``json`` or ``toml``; see `load`."""
        try:
            tree = text.decode(content, format)
        except InputError as error:
            raise _located(error, file) from None
        return cls(tree, file, overrides)

    def set(self, *assignments: str) -> Scenario:
        """A scenario with some fields replaced, e.g. ``set("policy.price=mark")`` (rule R69)."""
        return type(self)(text.plain_tree(self._tree), self.file, assignments)

    def start(self) -> Run:
        """A run that has done no tick yet."""
        return Run(self)

    def run(self, progress: Progress | None = None) -> dict[str, Any]:
        """Run all ticks and return the result object (section 7 of the rules), ready for JSON.

        Parameters
        ----------
        progress : callable, optional
            Called after every tick with the number of ticks done and of all.

        Raises
        ------
        InputError
            If a mark takes a value past its bound (rule R1).
        """
        run = self.start()
        for tick in run:
            if progress is not None:
                progress(tick["tick"] + 1, len(self.steps))
        return run.result()

    def _build(self, content: document.Document) -> None:
        self.currency, self.decimals = content.currency.code, content.currency.decimals
        self.policy = AdlPolicy.of(content.policy)
        self.fund = Fund.of(content.fund)
        self.fund.cash_atoms(self.decimals)
        self.fund.min_equity_atoms(self.decimals)
        columns = io.tables(*document.tables(content), currency=self.currency, decimals=self.decimals)
        self.book = Book._from_columns(*columns)
        checked_funds(self.book, self.fund, self.policy)
        self.liquidity = Liquidity.of(content.liquidity)
        if self.liquidity is not None:
            self.liquidity.check(self.book.instruments)
        instruments, _, rows = self.book.columns()
        self._most_lots = np.zeros(len(instruments), np.int64)
        np.maximum.at(self._most_lots, rows.instrument, np.abs(rows.lots))
        self._prices({item.symbol: item.mark for item in instruments if item.mark is not None}, ())
        self.steps = tuple(self._steps(content))

    def _steps(self, content: document.Document) -> Iterator[Step]:
        time = 0
        for i, tick in enumerate(content.ticks):
            if tick.time is not UNSET:
                if tick.time < time:
                    raise InputError(
                        ("ticks", i, "time"), tick.time, f"times do not fall: give {time} or more"
                    )
                time = tick.time
            marks = self._prices(tick.marks, ("ticks", i, "marks"))
            if i == 0:
                self._refuse_unmarked(marks)
            spoken = {} if tick.oracle is UNSET else tick.oracle
            yield Step(time, marks, self._prices(spoken, ("ticks", i, "oracle")))

    def _prices(self, given: Mapping[str, Any], path: text.Path) -> dict[str, Fraction]:
        """Prices by symbol, exactly: those of a tick at `path`, or without a path the instruments' own."""
        instruments = self.book.instruments

        def place(symbol: str) -> text.Path:
            return (*path, symbol) if path else ("instruments", instruments.code[symbol], "mark")

        try:
            prices = given_prices(instruments, given)
            nearest_units(instruments, prices)
        except InputError as error:
            raise type(error)(place(str(error.path[1])), error.value, error.remedy) from None
        for code, price in prices.items():
            if int(self._most_lots[code]) * abs(instruments[code].unit_value(price)) > SUM_BOUND:
                remedy = "no row may be worth more than 2^62 atoms (rule R1)"
                raise BoundsError(place(instruments.symbols[code]), plain(price), remedy)
        return {instruments.symbols[code]: price for code, price in prices.items()}

    def _refuse_unmarked(self, marks: Mapping[str, Fraction]) -> None:
        for item in self.book.instruments:
            if item.mark is None and item.symbol not in marks:
                raise InputError(
                    ("ticks", 0, "marks", item.symbol),
                    "missing",
                    "the first tick marks every symbol that has no mark of its own",
                )


class Run:
    """One run of a scenario; iterating does one tick a lap and yields its object.

    Attributes
    ----------
    engine : Engine
        Owns a copy of the scenario's book.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        try:
            self.engine = Engine(
                scenario.book, policy=scenario.policy, fund=scenario.fund, liquidity=scenario.liquidity
            )
        except InputError as error:
            raise _located(error, scenario.file) from None
        self._printer = Printer(scenario.book, scenario.decimals)
        self._marks = {item.symbol: item.mark for item in scenario.book.instruments if item.mark is not None}
        self._ticks: list[dict[str, Any]] = []
        self._reports: list[Report] = []
        self._checks = dict.fromkeys(("lots", "money", "fills", "bankrupt_closed_at_zero"), True)

    def __len__(self) -> int:
        return len(self.scenario.steps)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for number in range(len(self._ticks), len(self)):
            step = self.scenario.steps[number]
            try:
                report = self.engine.tick(step.marks, time=step.time, oracle=step.oracle or None)
            except InputError as error:
                names = {"prices": "marks", "oracle": "oracle"}
                name = names.get(str(error.path[0])) if error.path else None
                path = ("ticks", number, *((name, *error.path[1:]) if name else ()))
                raise _located(type(error)(path, error.value, error.remedy), self.scenario.file) from None
            self._reports.append(report)
            self._marks |= step.marks
            checks = self.engine.check()
            self._checks = {law: held and getattr(checks, law) for law, held in self._checks.items()}
            self._ticks.append(self._tick(number, step.time, report))
            yield self._ticks[-1]

    def result(self) -> dict[str, Any]:
        """The result object after the ticks done so far."""
        book = self.engine.book
        instruments, _, rows = book.columns()
        unmarked = np.isnan(self.engine.marks)
        unknown = rows.account[unmarked[rows.instrument]]  # accounts that hold something without a mark
        engine = self.engine
        if unmarked.any():  # what the others are worth does not depend on these prices: one atom a lot
            engine = engine.copy()
            engine.mark(
                {instruments.symbols[i]: _price_of_one_atom(instruments[i]) for i in np.flatnonzero(unmarked)}
            )
        lots = np.zeros(len(instruments), np.int64)
        np.add.at(lots, rows.instrument, rows.lots)
        return {
            "currency": {"code": self.scenario.currency, "decimals": self.scenario.decimals},
            "policy": self.scenario.policy.choices(),
            "ticks": self._ticks,
            "accounts": self._printer.accounts(book, engine.equity(), engine.maintenance_margin(), unknown),
            "positions": self._printer.positions(book),
            **self._printer.reserves(engine.reserves(), unknown),
            "balanced": not lots.any(),
            "checks": self._checks,
        }

    def frames(self) -> dict[str, pl.DataFrame]:
        """The lists of all ticks so far, each with its tick, and the accounts and positions left."""
        _, accounts, positions = self.engine.book.to_frames()
        return {
            **{name: self._stacked(name) for name in LISTS},
            "accounts": accounts,
            "positions": positions,
        }

    def _tick(self, number: int, time: int, report: Report) -> dict[str, Any]:
        marks = {symbol: plain(price) for symbol, price in self._marks.items()}
        lists = self._printer.lists(report, self.scenario.policy)
        return {"tick": number, "time": time, "marks": marks, **lists}

    def _stacked(self, name: str) -> pl.DataFrame:
        reports = self._reports or [Report(Tick(0, 0, 1), self.engine.book, "none")]  # for its columns
        frames: list[pl.DataFrame] = [
            getattr(report, name).select(
                pl.lit(report.tick, pl.Int64).alias("tick"),
                pl.lit(report.time, pl.Int64).alias("time"),
                pl.all(),
            )
            for report in reports
        ]
        return pl.concat(frames)


def _price_of_one_atom(instrument: Instrument) -> Fraction | None:
    return instrument.price_of(Fraction(-1 if instrument.kind is Kind.INVERSE else 1))


def _read(file: str) -> str:
    try:
        return Path(file).read_text("utf-8-sig")
    except FileNotFoundError:
        raise InputError((), "no such file", "name a scenario file", file) from None
    except IsADirectoryError:
        raise InputError((), "a folder", "name a scenario file in it", file) from None
    except UnicodeDecodeError as error:
        raise InputError((), f"byte {error.start}", "write the file in UTF-8", file) from None
    except (OSError, ValueError) as error:
        raise InputError((), str(error), "name a file that can be read", file) from None


def _located(error: InputError, file: str) -> InputError:
    """The same error, naming the file, with its value as the file spells it."""
    return type(error)(error.path, document.json_text(error.value), error.remedy, file)
