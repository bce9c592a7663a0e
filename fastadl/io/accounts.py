"""The accounts table."""

from __future__ import annotations

import numpy as np
import polars as pl

from fastadl.contracts import Instruments
from fastadl.errors import InputError
from fastadl.io.index import Index
from fastadl.io.numbers import money, refuse_beyond
from fastadl.io.table import Table
from fastadl.schema import RESERVED, AccountColumns, Int64Array, IntArray

__all__ = ["MARGIN_MODES", "read_accounts", "read_tiers"]

MARGIN_MODES = ("cross", "isolated")
_HIGHEST_TIER = 255


def read_accounts(
    table: Table, instruments: Instruments, known: Index | None = None
) -> tuple[AccountColumns, Index]:
    """Check the accounts; the index finds them by id.

    Parameters
    ----------
    table : Table
    instruments : Instruments
    known : Index, optional
        Ids that are taken.

    Raises
    ------
    InputError
    """
    ids = table.text("id").cast(pl.String)
    table.refuse(ids.is_in(RESERVED).to_numpy(), "id", "fund and market are reserved ids (rule R7)")
    ids = ids[: table.height].rechunk()
    index = Index(ids)
    table.refuse(index.duplicate, "id", "ids are unique; an earlier row has this one")
    if known is not None:
        table.refuse(known.find(ids[: table.height]) >= 0, "id", "the book has this account: give a new id")
    currency = _currency(table, instruments)
    cash = _cash(table, currency, instruments)
    if known is not None and len(cash):
        table.refuse(cash < 0, "cash" if "cash" in table else "cash_atoms", "an account opens with 0 or more")
    owner = _owner(table, ids)
    isolated = np.zeros(table.height, np.bool_)
    if "margin_mode" in table:
        isolated = table.codes("margin_mode", MARGIN_MODES, lambda _: "give cross or isolated") == 1
    tier = read_tiers(table) if "adl_tier" in table else np.zeros(table.height, np.uint8)
    exempt = table.flags("exempt") if "exempt" in table else None
    table.finish()
    return AccountColumns(ids, owner, currency.astype(np.int16), isolated, tier, cash, exempt), index


def read_tiers(table: Table) -> IntArray:
    """The column ``adl_tier``: uint8."""
    tier = table.integers("adl_tier")
    table.refuse((tier < 0) | (tier > _HIGHEST_TIER), "adl_tier", f"give 0 to {_HIGHEST_TIER}")
    return tier[: table.height].astype(np.uint8)


def _cash(table: Table, currency: IntArray, instruments: Instruments) -> Int64Array:
    if "cash" in table:
        column, cash = "cash", money(table, "cash", currency, instruments)
    elif "cash_atoms" in table:
        column, cash = "cash_atoms", table.integers("cash_atoms")
    else:
        return np.zeros(table.height, np.int64)
    refuse_beyond(table, column, cash)
    return cash


def _currency(table: Table, instruments: Instruments) -> IntArray:
    known = instruments.currencies
    if "currency" in table:
        return table.codes("currency", known, lambda _: f"instruments settle in {', '.join(known)}")
    if len(known) > 1 and table.height:
        remedy = f"add the column: instruments settle in {', '.join(known)}"
        raise InputError(("accounts", "currency"), "missing", remedy)
    return np.zeros(table.height, np.int32)


def _owner(table: Table, ids: pl.Series) -> pl.Series | None:
    if "owner" not in table:
        return None
    owner = table.text("owner", nulls=True).cast(pl.String)
    ids = ids[: table.height]
    owner = owner.zip_with(owner.is_not_null(), ids).rechunk()
    return None if (owner == ids).all() else owner
