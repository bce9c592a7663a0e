"""The flags table: what is changed of accounts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl

from fastadl.errors import InputError
from fastadl.io.accounts import read_tiers
from fastadl.io.fills import account_codes
from fastadl.io.index import Index
from fastadl.io.table import Table
from fastadl.schema import BoolArray, IntArray

__all__ = ["Flags", "read_flags"]


@dataclass(frozen=True, slots=True)
class Flags:
    """New flags of accounts, each named once.

    Attributes
    ----------
    account : int32 (n)
    adl_tier : uint8 (n), or None where it stays
    exempt : bool (n), or None where it stays
    """

    account: IntArray
    adl_tier: IntArray | None
    exempt: BoolArray | None


def read_flags(data: Any, accounts: int, index: Callable[[], Index]) -> Flags:
    """Flags by code of the account.

    Parameters
    ----------
    data : DataFrame or mapping
        Columns of `fastadl.schema.FLAGS`.
    accounts : int
        How many there are.
    index : callable
        Gives the index of the account ids, should any be named.

    Raises
    ------
    InputError
        Naming column, row, value and remedy.
    """
    table = Table("flags", data)
    if table.names == ("account",):
        raise InputError(("flags",), "account alone", "add a column adl_tier or exempt")
    account = account_codes(table, accounts, index)
    table.refuse((~pl.Series(account).is_first_distinct()).to_numpy(), "account", "name every account once")
    tier = read_tiers(table) if "adl_tier" in table else None
    exempt = table.flags("exempt") if "exempt" in table else None
    table.finish()
    return Flags(account, tier, exempt)
