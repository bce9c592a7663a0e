"""Columns, dtypes, units and limits: the one page that says what every table holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

#: A one-dimensional array; shapes are written in the docstring of whoever takes it.
Float64Array: TypeAlias = npt.NDArray[np.float64]
Int64Array: TypeAlias = npt.NDArray[np.int64]
IntArray: TypeAlias = npt.NDArray[Any]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

#: Bound of one row's or account's lots and money in the input (rule R1).
ROW_BOUND: Final = 1 << 53
#: Bound of sums, and of a row's value at mark (rule R1).
SUM_BOUND: Final = 1 << 62

#: Ids that no trader may have (rule R7).
FUND: Final = "fund"
MARKET: Final = "market"
RESERVED: Final = (FUND, MARKET)


@dataclass(frozen=True, slots=True)
class AccountColumns:
    """Accounts in the order given, none of them reserved.

    Attributes
    ----------
    id : String
    owner : String or None
        Trader behind each account; None when every owner is the id itself.
    currency : int16
        Position in ``instruments.currencies``.
    isolated : bool
    adl_tier : uint8
        Higher tiers are deleveraged later.
    cash : int64
        Atoms.
    exempt : bool or None
        Who is never deleveraged or charged (rule R106); None when nobody is.
    """

    id: pl.Series
    owner: pl.Series | None
    currency: IntArray
    isolated: BoolArray
    adl_tier: IntArray
    cash: Int64Array
    exempt: BoolArray | None = None


@dataclass(frozen=True, slots=True)
class PositionColumns:
    """Open rows in the order given.

    Attributes
    ----------
    account : int32
        Position in `AccountColumns`; -1 is the fund and -2 the market of the instrument's currency.
    instrument : int32
        Position in the instruments.
    lots : int64
        Signed, never 0.
    entry_value : int64
        Atoms, with the sign of the row's value or 0.
    """

    account: IntArray
    instrument: IntArray
    lots: Int64Array
    entry_value: Int64Array


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an input table.

    Attributes
    ----------
    name : str
    type : str
        ``text`` is String, Categorical or Enum; ``decimal`` is text, Decimal, integer or Float64 (rule R75);
        ``integer`` is Int64; ``flag`` is Boolean; ``tiers`` is a list of structs with the columns of `TIERS`.
    meaning : str
        With unit and limits.
    default : str or None
        What is assumed without the column; None: it, or one of its `group`, is required.
    group : str
        Columns of one group say the same thing: one of them is given. An integer spelling stands alone.
    """

    name: str
    type: Literal["text", "decimal", "integer", "flag", "tiers"]
    meaning: str
    default: str | None = None
    group: str = ""


def read_only(array: Any) -> Any:
    """The array through a view that refuses to be written, which to kernels is another type."""
    view = array.view()
    view.flags.writeable = False
    return view


INSTRUMENTS: Final = (
    Column("symbol", "text", "unique name"),
    Column("kind", "text", "linear, inverse or quanto"),
    Column(
        "contract_size",
        "decimal",
        "currency per 1 contract per 1 of price (linear, quanto), face of 1 contract (inverse); above 0",
    ),
    Column("lot", "decimal", "smallest step of quantity, in contracts; above 0"),
    Column("tiers", "tiers", "maintenance-margin ladder, at least one step"),
    Column("currency", "text", "settlement currency", default="USD"),
    Column("decimals", "integer", "0 to 12; an atom is 10^-decimals of the currency", default="6"),
    Column("mark", "decimal", "mark price before the first tick, above 0, or null", default="null"),
    Column("delisted", "flag", "finally settled, closed to trading (rule R107)", default="false"),
)
TIERS: Final = (
    Column("min_notional", "decimal", "currency; first 0, rising"),
    Column("maintenance_rate", "decimal", "in [0, 1), not falling"),
    Column("deduction", "decimal", "currency; of all tiers or none", default="continuous margin (rule R4)"),
    Column("max_leverage", "decimal", "above 0", default="none"),
)
ACCOUNTS: Final = (
    Column("id", "text", "unique; fund and market are reserved"),
    Column("currency", "text", "what the account settles in", default="the only currency"),
    Column("cash", "decimal", "currency, at most its decimals; may be negative", group="cash"),
    Column("cash_atoms", "integer", "atoms", group="cash"),
    Column("owner", "text", "the trader; null is the id", default="the id"),
    Column("margin_mode", "text", "cross, or isolated: at most one position", default="cross"),
    Column("adl_tier", "integer", "0 to 255; higher tiers are deleveraged later", default="0"),
    Column("exempt", "flag", "never deleveraged or charged (rule R106)", default="false"),
)
POSITIONS: Final = (
    Column("account", "text", "id of an account, or fund or market"),
    Column("symbol", "text", "of an instrument"),
    Column("qty", "decimal", "contracts, signed, not 0, a multiple of the lot", group="quantity"),
    Column("lots", "integer", "lots, signed, not 0", group="quantity"),
    Column("entry_price", "decimal", "above 0; null where entry_value is given", group="entry"),
    Column("entry_value", "decimal", "currency, sign of the row's value or 0", group="entry"),
    Column("entry_value_atoms", "integer", "atoms, sign of the row's value or 0", group="entry"),
)
FILLS: Final = (
    Column("account", "text", "id of an account, or its code; fund (-1) or market (-2)"),
    Column("symbol", "text", "of an instrument, or its code"),
    Column("side", "text", "long or short: the row that is meant; 1 or -1", default="whichever is there"),
    Column("qty", "decimal", "contracts, a multiple of the lot; sold: below 0", group="quantity"),
    Column("lots", "integer", "lots; sold: below 0", group="quantity"),
    Column("price", "decimal", "above 0; both sides of a trade give the same", group="value"),
    Column("value", "decimal", "currency paid, with the sign of the lots' value", group="value"),
    Column("value_atoms", "integer", "atoms paid, with the sign of the lots' value", group="value"),
    Column("fee", "decimal", "currency paid to the fund; below 0: received", default="0", group="fee"),
    Column("fee_atoms", "integer", "atoms paid to the fund; below 0: received", default="0", group="fee"),
)
TRANSFERS: Final = (
    Column("account", "text", "id of an account, or its code; fund (-1) is the insurance fund"),
    Column("amount", "decimal", "currency, above 0", group="amount"),
    Column("amount_atoms", "integer", "atoms, above 0", group="amount"),
    Column("currency", "text", "which fund; of an account its own, or null", default="the only currency"),
)
MOVES: Final = (
    Column("source", "text", "id of an account, or its code"),
    Column("target", "text", "id of another of the same owner and currency, or its code"),
    Column("amount", "decimal", "currency, at least 0", group="amount"),
    Column("amount_atoms", "integer", "atoms, at least 0", group="amount"),
    Column("symbol", "text", "of the position that moves along, or null", default="null"),
    Column("side", "text", "long or short, where the source holds both; or null", default="null"),
)
FLAGS: Final = (
    Column("account", "text", "id of an account, or its code; once"),
    *(replace(column, default="as it is") for column in ACCOUNTS[-2:]),
)
#: The three tables a book is made of, by name; columns are checked in this order.
TABLES: Final = {"instruments": INSTRUMENTS, "accounts": ACCOUNTS, "positions": POSITIONS}
#: All tables that are handed in.
INPUTS: Final = {
    **TABLES,
    "fills": FILLS,
    "orders": FILLS,
    "transfers": TRANSFERS,
    "moves": MOVES,
    "new_accounts": tuple(replace(column, default="0") if column.group else column for column in ACCOUNTS),
    "flags": FLAGS,
    "codes": tuple(replace(column, default="") for column in FILLS[:2]),
}
