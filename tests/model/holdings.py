"""Instruments, accounts and positions of a generated scenario."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property

from hypothesis import strategies as st

from model.book import LONG, SHORT
from model.draws import Draw, Raw, chance, money, one_of, percents_of_price, whole_number
from model.exact import ceil, floor
from model.formats import plain

SYMBOLS = ("X", "Y", "BTC-PERP", "a", "É")
IDS = ("m", "b", "Z9", "ann", "10", "q", "9", "é", "B", "fund2", "c", "_x", "mark", "zz", "A")
KINDS = ("linear", "inverse", "quanto")
PRICES = ("100", "10", "40.01", "7919", "50000", "0.37", "97", "0.0123", "99991")
CONTRACT_SIZES = ("1", "10", "0.001", "0.07", "3", "100", "1000000")
LOTS = ("1", "0.001", "0.10", "10", "0.3", "5")
RATES = ("0.01", "0", "0.005", "0.05", "0.1", "0.25", "0.5")
MULTIPLES = (1, 1, 1, 1000, 7919, 999_999_937)
LOT_COUNTS = (1, 2, 3, 5, 10, 7, 30, 60, 97)
CASH_PERCENT = (10, 5, 2, 0, 20, 50, 100, 300, 1, -5, -40, -150)
ENTRY_PERCENT = (100, 100, 100, 110, 90, 80, 125, 50, 200, 97, 103)
MAX_UNIT_VALUE = 2**37
MAX_NOTIONAL = 2**44

# Several small choices in one draw: a draw costs more than all else here.
account_extras = st.sampled_from(
    [{}] * 6
    + [{"adl_tier": tier} for tier in (1, 2, 255, 0)]
    + [{"owner": owner} for owner in ("q", "ann")]
    + [{"margin_mode": mode} for mode in ("isolated", "isolated", "cross")]
    + [{"owner": "zz", "margin_mode": "isolated", "adl_tier": 1}]
)
side_and_lots = st.sampled_from([(side, lots) for lots in LOT_COUNTS for side in (LONG, SHORT)])
entries = st.sampled_from(
    [(percent, offset) for offset in (None, None, None, None, 1, -1, 0) for percent in ENTRY_PERCENT]
)
held_legs = st.sampled_from((1,) * 11 + (2,) * 2 + (0,) * 1)
other_held_legs = st.sampled_from((0,) * 6 + (1,) * 6 + (2,) * 1)


@dataclass(frozen=True)
class Listed:
    """An instrument on its way into a scenario."""

    symbol: str
    kind: str
    size: str
    lot: str
    price: Fraction
    decimals: int
    multiple: int

    def unit_value(self, price: Fraction) -> Fraction:
        c = Fraction(self.size) * Fraction(self.lot) * 10**self.decimals
        return Fraction(-c / price if self.kind == "inverse" else c * price)

    @cached_property
    def unit_notional(self) -> Fraction:
        return abs(self.unit_value(self.price))

    def quantity(self, signed_lots: int) -> str:
        return plain(signed_lots * Fraction(self.lot))


@dataclass(frozen=True)
class Held:
    """A row on its way into a scenario; the entry price is a percentage of the instrument's first price."""

    listed: Listed
    side: int
    lots: int
    entry_percent: int
    entry_value_offset: int | None

    @cached_property
    def entry_price(self) -> Fraction:
        return self.listed.price * Fraction(self.entry_percent, 100)

    @property
    def notional(self) -> Fraction:
        return self.lots * self.listed.unit_notional

    def raw(self, account: str) -> Raw:
        """With an entry price; or an entry value a little off, of the sign of the row's value or 0."""
        row: Raw = {
            "account": account,
            "symbol": self.listed.symbol,
            "qty": self.listed.quantity(self.side * self.lots),
        }
        if self.entry_value_offset is None:
            return row | {"entry_price": plain(self.entry_price)}
        exact = self.side * self.lots * self.listed.unit_value(self.entry_price)
        atoms = ceil(exact) + self.entry_value_offset
        if atoms * exact < 0 or self.entry_value_offset == 0:
            atoms = 0
        return row | {"entry_value": money(atoms, self.listed.decimals)}


@cache
def shapes(kind: str, price: Fraction, decimals: int) -> tuple[Listed, ...]:
    """Contract sizes and lots that make one lot worth neither dust nor a fortune."""
    every = [Listed("", kind, size, lot, price, decimals, 1) for size in CONTRACT_SIZES for lot in LOTS]
    return tuple(shape for shape in every if Fraction(1, 16) <= shape.unit_notional <= MAX_UNIT_VALUE)


def draw_listing(draw: Draw, decimals: int) -> list[Listed]:
    count = draw(one_of(1, 1, 2, 3))
    first = draw(whole_number(0, len(SYMBOLS) - 1))
    listing = []
    for index in range(count):
        kind, price = draw(one_of(*KINDS)), Fraction(draw(one_of(*PRICES)))
        shape = draw(one_of(*shapes(kind, price, decimals)))
        multiple = min(draw(one_of(*MULTIPLES)), max(1, floor(MAX_NOTIONAL / shape.unit_notional / 100)))
        symbol = SYMBOLS[(first + index) % len(SYMBOLS)]
        listing.append(Listed(symbol, kind, shape.size, shape.lot, price, decimals, multiple))
    return listing


def draw_instrument(draw: Draw, listed: Listed) -> Raw:
    raw: Raw = {
        "symbol": listed.symbol,
        "kind": listed.kind,
        "contract_size": listed.size,
        "lot": listed.lot,
        "tiers": draw_tiers(draw, listed),
    }
    mark = draw(one_of("given", "left out", "null"))
    if mark == "given":
        raw["mark"] = (
            plain(listed.price * draw(percents_of_price)) if chance(draw, 4) else plain(listed.price)
        )
    elif mark == "null":
        raw["mark"] = None
    return raw


def draw_tiers(draw: Draw, listed: Listed) -> list[Raw]:
    count = draw(one_of(1, 1, 2, 3))
    rates = sorted((draw(one_of(*RATES)) for _ in range(count)), key=Fraction)
    lot_notional = max(floor(listed.unit_notional * listed.multiple), 1)
    starts = [0]
    for _ in range(count - 1):
        starts.append(starts[-1] + lot_notional * draw(one_of(3, 1, 8, 20)))
    tiers: list[Raw] = [
        {"min_notional": money(start, listed.decimals), "maintenance_rate": rate}
        for start, rate in zip(starts, rates, strict=True)
    ]
    if chance(draw, 3):
        for tier in tiers:
            tier["deduction"] = money(lot_notional * draw(one_of(0, 1, 3, -1)) // 20, listed.decimals)
    if chance(draw, 4):
        for tier, leverage in zip(tiers[::2], ("12.5", "3"), strict=False):
            tier["max_leverage"] = leverage
    return tiers


@dataclass(frozen=True)
class Holder:
    """An account on its way into a scenario; a twin repeats rows and cash of the account before it."""

    twin: bool
    held: tuple[Held, ...]
    cash_percent: int
    extras: Raw

    @cached_property
    def notional(self) -> Fraction:
        return sum((row.notional for row in self.held), Fraction(0))

    def raw(self, account: str, decimals: int) -> Raw:
        cash = floor((self.notional or 1000) * self.cash_percent / 100)
        margin_mode = {} if len(self.held) <= 1 else {"margin_mode": "cross"}
        return {"id": account, "cash": money(cash, decimals)} | self.extras | margin_mode


@st.composite
def holders(draw: Draw, listing: list[Listed]) -> Holder:
    return Holder(
        twin=chance(draw, 4),
        held=draw_rows(draw, listing),
        cash_percent=draw(one_of(*CASH_PERCENT)),
        extras=draw(account_extras),
    )


def draw_holders(
    draw: Draw, listing: list[Listed], max_accounts: int, decimals: int
) -> tuple[list[Raw], list[Raw], int]:
    """Accounts, their positions, and the notional of the largest account in atoms."""
    first = draw(whole_number(0, len(IDS) - 1))
    accounts: list[Raw] = []
    positions: list[Raw] = []
    before = None
    typical = 1
    for index, drawn in enumerate(draw(st.lists(holders(listing), min_size=2, max_size=max_accounts))):
        key = IDS[(first + index) % len(IDS)]
        holder = before if drawn.twin and before else drawn
        accounts.append(holder.raw(key, decimals))
        positions += [row.raw(key) for row in holder.held]
        typical = max(typical, floor(holder.notional))
        before = holder
    return accounts, positions, typical


def draw_rows(draw: Draw, listing: list[Listed]) -> tuple[Held, ...]:
    """The rows of one account: mostly one, sometimes hedged, sometimes none."""
    held = []
    for position, listed in enumerate(listing):
        legs = draw(held_legs if position == 0 else other_held_legs)
        if legs == 0:
            continue
        first = draw_row(draw, listed, None)
        held.append(first)
        if legs == 2:
            held.append(draw_row(draw, listed, -first.side))
    return tuple(held)


def draw_row(draw: Draw, listed: Listed, only_side: int | None) -> Held:
    side, lots = draw(side_and_lots)
    lots *= listed.multiple
    if listed.multiple > 1:
        lots += draw(whole_number(0, listed.multiple - 1))
    entry_percent, offset = draw(entries)
    return Held(listed, only_side or side, lots, entry_percent, offset)


def draw_reserved_rows(draw: Draw, listing: list[Listed], positions: list[Raw]) -> list[Raw]:
    """Market and fund rows, at most one a symbol each; often they balance the book."""
    rows = []
    for listed in listing:
        choice = draw(one_of("market", "market", "unbalanced", "fund", "both", "market row"))
        total = sum(Fraction(row["qty"]) for row in positions if row["symbol"] == listed.symbol)
        imbalance = int(total / Fraction(listed.lot))
        fund_lots = 0
        if choice == "both":
            fund_lots = draw(one_of(1, -1, 4, -4, 20, -20)) * listed.multiple
        if choice == "fund":
            fund_lots = -imbalance
        market_lots = -imbalance - fund_lots if choice in ("market", "both") else 0
        if choice == "market row":
            market_lots = draw(one_of(2, -2, 9, -9)) * listed.multiple
        for account, lots in (("fund", fund_lots), ("market", market_lots)):
            if lots:
                side = LONG if lots > 0 else SHORT
                entry_percent = draw(one_of(*ENTRY_PERCENT))
                rows.append(Held(listed, side, abs(lots), entry_percent, None).raw(account))
    return rows
