"""What the book and the insurance fund of an experiment are made of."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any

from fastadl import synth
from fastadl.book import Book
from fastadl.decimals import plain
from fastadl.errors import InputError
from fastadl.policy import Fund
from fastadl.policy.funding import number, refuse_unknown
from fastadl.sharded.dataset import Dataset
from fastadl.stress import brackets, stored
from fastadl.synth.listing import whole

__all__ = ["Drawn", "FundOf"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """The book of an experiment: the table ``[book]``.

    Parameters
    ----------
    shape : str
        A name of `fastadl.synth.SHAPES`.
    positions : int
    accounts : int, optional
        Unless given, two for every five positions, or more where there are fewer than three instruments.
    instruments : int
        Those that the scenario names come first; the others are those of `fastadl.synth.perpetuals`.
    tiers : path, optional
        Leverage tiers in ccxt's form (see `fastadl.stress.brackets.read`), for every asset named there.
    seed : int, optional
        Draws the same book for every seed of the experiment, which then draws the scenario alone.
    parameters : mapping, optional
        Parameters of the shape (see `fastadl.synth.Shape`), in a file beside the others.
    folder : path, optional
        Of a book or a dataset, which is read instead; nothing else is given then.
    """

    shape: str = "pareto"
    positions: int = 1_000_000
    accounts: int | None = None
    instruments: int = 300
    tiers: str | None = None
    seed: int | None = None
    parameters: Mapping[str, Any] | None = None
    folder: str | None = None

    @classmethod
    def of(cls, given: Any) -> Drawn:
        """From a table as in an experiment's file."""
        if isinstance(given, Drawn):
            return given
        if not isinstance(given, Mapping):
            raise InputError(("book",), given, "give a table")
        own = tuple(item.name for item in fields(cls) if item.name != "parameters")
        laws = tuple(synth.Shape.parameters())
        refuse_unknown(given, (*own, *laws), "book")
        if given.get("folder") is not None:
            for name in given:
                if name != "folder":
                    remedy = "leave it out: the book is read from a folder, not drawn"
                    raise InputError(("book", name), given[name], remedy)
            return cls(folder=os.fspath(given["folder"]))
        drawn = cls(
            **{name: value for name, value in given.items() if name in own},
            parameters={name: value for name, value in given.items() if name in laws} or None,
        )
        try:
            drawn._checked()
        except InputError as error:
            raise InputError(("book", *error.path), error.value, error.remedy, error.file) from None
        return drawn

    def _checked(self) -> synth.Shape:
        whole("positions", self.positions, 1, 1 << 31)
        if self.accounts is not None:
            whole("accounts", self.accounts, 1, 1 << 31)
        whole("instruments", self.instruments, 1, 1 << 14)
        if self.seed is not None:
            whole("seed", self.seed, 0, 1 << 128)
        return synth.named(self.shape, **(self.parameters or {}))

    @property
    def accounts_drawn(self) -> int:
        """How many accounts the book has: two for every five positions, and one position a market at most."""
        if self.accounts is not None:
            return self.accounts
        return max(-(-2 * self.positions // 5), -(-self.positions // self.instruments))

    def draw(self, anchors: Mapping[str, Fraction], seed: int) -> Book:
        """The book of a seed, unless it has its own; marked as the scenario begins, if it is drawn."""
        if self.folder is not None:
            return stored.book(self.folder)
        laws = self._checked()
        ladders = None if self.tiers is None else brackets.read(self.tiers)
        if ladders is not None and anchors and not ladders.keys() & anchors.keys():
            raise InputError(("tiers",), self.tiers, f"give a file with tiers of {', '.join(anchors)}")
        table = synth.perpetuals(self.instruments, marks=anchors, ladders=ladders)
        return synth.book(
            laws,
            positions=self.positions,
            accounts=self.accounts_drawn,
            instruments=table,
            seed=seed if self.seed is None else self.seed,
        )

    def dataset(self) -> Dataset | None:
        """What is in the folder, if it is in partitions."""
        return None if self.folder is None else stored.dataset(self.folder)

    def size(self) -> tuple[int, int]:
        """Positions and accounts, as far as they are known before a book is drawn or read."""
        if self.folder is None:
            return self.positions, self.accounts_drawn
        found = self.dataset()
        parts = () if found is None else found.partitions
        return sum(part.positions for part in parts), sum(part.accounts for part in parts)

    @property
    def same(self) -> bool:
        """Whether all seeds of the experiment have the same book."""
        return self.folder is not None or self.seed is not None

    @property
    def origin(self) -> str:
        """The shape, or the folder."""
        return self.shape if self.folder is None else self.folder

    def to_dict(self) -> dict[str, Any]:
        """The table that `of` reads."""
        if self.folder is not None:
            return {"folder": self.folder}
        table = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "parameters"}
        said = {name: value for name, value in table.items() if value is not None}
        laws = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in (self.parameters or {}).items()
        }
        return {**said, **laws}


@dataclass(frozen=True, slots=True)
class FundOf:
    """The insurance fund: the table ``[fund]``, the fields of `Fund` or a share of open interest.

    Parameters
    ----------
    share : Fraction
        Its cash over the open interest of the book, unless `fund` is given.
    fund : Fund, optional
    """

    share: Fraction = Fraction(1, 200)
    fund: Fund | None = None

    @classmethod
    def of(cls, given: Any) -> FundOf:
        """From an amount of cash, or a table as in an experiment's file."""
        if isinstance(given, FundOf):
            return given
        if given is None:
            return cls()
        if isinstance(given, Mapping) and "share" in given:
            if len(given) > 1:
                raise InputError(("fund", "share"), given["share"], "give a share, or cash and its rules")
            share = number(given["share"], ("fund", "share"))
            if share < 0:
                raise InputError(("fund", "share"), given["share"], "give 0 or more")
            return cls(share)
        return cls(fund=Fund.of(given))

    def for_interest(self, interest: float, decimals: int) -> Fund:
        """The fund of a book of this open interest, in atoms."""
        return Fund.of(int(self.share * int(interest) / 10**decimals)) if self.fund is None else self.fund

    def to_dict(self) -> dict[str, Any]:
        """The table that `of` reads."""
        return {"share": plain(self.share)} if self.fund is None else self.fund.to_dict()
