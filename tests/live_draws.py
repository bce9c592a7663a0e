"""Books that trade, by chance: the same one as the model and as the package read it; and what happens to it.

Everything comes of one seed a call, so that examples are short: hypothesis leaves calls out, not their parts.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from random import Random
from typing import Any

from fastadl import Book, Fund
from fastadl.decimals import plain
from live_model import SIDES, Fill, LiveModel, Move
from model.book import FUND, MARKET, RESERVED, Account
from model.draws import money
from model.policy import CHOICES, MORE_PRESETS, PRESETS, resolve

Raw = dict[str, Any]

#: symbol, kind, contract_size, lot, currency, decimals, mark
CONTRACTS = (
    ("m", "linear", "1", "1", "USD", 2, "10"),
    ("B", "linear", "1", "0.001", "USD", 2, "41000.5"),
    ("é", "quanto", "0.07", "1", "USD", 2, "40.01"),
    ("Z", "linear", "3", "1", "USD", 2, "0.37"),
    ("a", "inverse", "100", "1", "USD", 2, "7"),
    ("K", "inverse", "100", "1", "BTC", 8, "50000"),
    ("c", "linear", "0.001", "0.1", "BTC", 8, "97"),
)
#: Policies that remember what accounts had.
SESSIONS = (
    {"space": "wealth", "socialization": "session_profit", "session": 60},
    {"space": "wealth", "socialization": "clawback", "session": 60},
)
NAMES = "mb9ZaéBz"
LOTS = (1, 2, 3, 7, 10, 30, 97)
CASH_PERCENT = (8, 12, 6, 15, 22, 30, 100, 300, 0, -5)
#: What prices move to: mostly near, so that who falls below his margin is not always bankrupt.
PERCENT = (99, 101, 97, 103, 94, 106, 90, 110, 96, 104, 80, 125, 50, 200)
TIERS = (
    [{"maintenance_rate": "0.05"}],
    [{"maintenance_rate": "0.1", "max_leverage": "8"}],
    [{"maintenance_rate": "0.005", "max_leverage": "50"},
     {"min_notional": "100", "maintenance_rate": "0.05"}],
    [{"maintenance_rate": "0.005", "max_leverage": "50"},
     {"min_notional": "70.03", "maintenance_rate": "0.02", "max_leverage": "7"},
     {"min_notional": "1000", "maintenance_rate": "0.1", "max_leverage": "3"}],
    [{"maintenance_rate": "0.2"}],
    [{"maintenance_rate": "0"}],
)  # fmt: skip


def draw_tiers(dice: Random) -> list[Raw]:
    return [{"min_notional": "0"} | tier for tier in dice.choice(TIERS)]


def draw_instrument(dice: Random, contract: tuple[Any, ...]) -> Raw:
    names = ("symbol", "kind", "contract_size", "lot", "currency", "decimals", "mark")
    return dict(zip(names, contract, strict=True)) | {"tiers": draw_tiers(dice)}


def draw_world(dice: Random) -> Raw:
    """What `LiveModel` is made of: up to seven instruments of two currencies, up to eight accounts."""
    contracts = dice.sample(CONTRACTS, dice.randint(1, len(CONTRACTS)))
    instruments = [draw_instrument(dice, contract) for contract in contracts]
    currencies = [each["currency"] for each in instruments]
    accounts = [draw_account(dice, name, currencies) for name in NAMES[: dice.randint(3, len(NAMES))]]
    positions = draw_positions(dice, instruments, accounts)
    for each in accounts:
        gross = sum(abs(row["entry_value"]) for row in positions if row["account"] == each["id"])
        decimals = next(item["decimals"] for item in instruments if item["currency"] == each["currency"])
        atoms = (gross or 10 ** (decimals + 2)) * dice.choice(CASH_PERCENT) // 100
        each["cash"] = money(atoms, decimals)
    return {
        "instruments": instruments,
        "accounts": accounts,
        "positions": positions,
        "funds": {each["currency"]: draw_fund(dice) for each in instruments},
        "policy": draw_policy(dice, instruments),
        "liquidity": draw_liquidity(dice, instruments),
    }


def draw_policy(dice: Random, instruments: list[Raw]) -> Any:
    """The model keeps one book a currency, and so has no order of all accounts to draw lots by."""
    policy: Any = dice.choice([*PRESETS, *MORE_PRESETS, *SESSIONS * 4, *[None] * 4])
    if policy is None:
        policy = {choice: dice.choice(values) for choice, values in CHOICES.items()}
        policy |= {"allocation": "pro_rata_profit"} if policy["space"] == "wealth" else {}
        policy |= {"guard": "none"} if policy["allocation"] == "whole" else {}
    alone = len({each["currency"] for each in instruments}) == 1
    return policy if alone or resolve(policy)["score"] != "random" else "percolator"


def draw_account(dice: Random, name: str, currencies: list[str]) -> Raw:
    """All of an account but its cash."""
    return {
        "id": name,
        "currency": dice.choice(currencies),
        "margin_mode": dice.choice([*["cross"] * 4, "isolated"]),
        "adl_tier": dice.choice([0, 0, 1]),
        "owner": dice.choice([name, "m", "m"]),
        "exempt": dice.choice([False, False, False, True]),
    }


def draw_fund(dice: Random) -> Raw:
    return {
        "cash": dice.choice(["0", "0", "1", "25", "700", "100000", "-3"]),
        "min_equity": dice.choice(["0", "0.5", "-2"]),
    }


def draw_liquidity(dice: Random, instruments: list[Raw]) -> Raw | None:
    if dice.choice([True, True, False]):
        return None
    depths = {each["symbol"]: dice.choice([0, 3, 1000]) * Fraction(each["lot"]) for each in instruments}
    shares = ("0", "0.01", "0.3")
    given = {
        "model": "fixed",
        "depth": {symbol: plain(depth) for symbol, depth in depths.items()},
        "slippage": dice.choice(shares),
        "fee": dice.choice(shares),
        "surplus": dice.choice(["trader", "fund"]),
    }
    if dice.random() < 0.5:
        given |= {"slice": dice.choice(["0.2", "0.5"]), "step_down": dice.random() < 0.5}
        given["cooldown"] = dice.choice([0, 1, 30])
    return given


def draw_positions(dice: Random, instruments: list[Raw], accounts: list[Raw]) -> list[Raw]:
    """Rows of trades between accounts, and with fund and market; some of one that has no other side."""
    rows: dict[tuple[str, str, str], tuple[int, int]] = {}
    isolated = {each["id"] for each in accounts if each["margin_mode"] == "isolated"}
    for _ in range(dice.randint(2, 25)):
        item = dice.choice(instruments)
        own = [each["id"] for each in accounts if each["currency"] == item["currency"]]
        if not own:
            continue
        lots = dice.choice([*LOTS])
        price = Fraction(item["mark"]) * dice.choice([100, *PERCENT]) / 100
        for side in SIDES:
            who = dice.choice([*own * 3, "fund", "market"])
            key = who, item["symbol"], side
            lonely = who in isolated and any(held[0] == who and held != key for held in rows)
            opposite = who in ("fund", "market") and any(held[:2] == key[:2] and held != key for held in rows)
            if lonely or opposite:
                continue
            have, entry = rows.get(key, (0, 0))
            rows[key] = have + lots, entry + ceil(SIDES[side] * lots * unit_value(item, price))
    return [
        {"account": who, "symbol": symbol, "side": side, "lots": lots, "entry_value": entry}
        for (who, symbol, side), (lots, entry) in rows.items()
    ]


def unit_value(item: Raw, price: Fraction) -> Fraction:
    """R2."""
    c = Fraction(item["contract_size"]) * Fraction(item["lot"]) * 10 ** item["decimals"]
    return -c / price if item["kind"] == "inverse" else c * price


def book_of(raw: Raw) -> Book:
    """The same as a book of the package."""
    positions = {
        "account": [each["account"] for each in raw["positions"]],
        "symbol": [each["symbol"] for each in raw["positions"]],
        "lots": [SIDES[each["side"]] * each["lots"] for each in raw["positions"]],
        "entry_value_atoms": [each["entry_value"] for each in raw["positions"]],
    }
    return Book.from_frames(columns(raw["instruments"]), columns(raw["accounts"]), positions)


def columns(rows: list[Raw]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def funds_of(raw: Raw) -> dict[str, Fund]:
    return {code: Fund(**given) for code, given in raw["funds"].items()}


# ---------------------------------------------------------------------- what happens


def draw_fills(dice: Random, model: LiveModel) -> tuple[list[Fill], list[str] | None]:
    """Fills of a few trades, in any order, and their prices if they have some; each good by itself."""
    fills: list[Fill] = []
    prices: list[str] = []
    priced = dice.random() < 0.5
    for _ in range(dice.choice([1, 2, 4, 8])):
        symbol = dice.choice([*model.symbols()])
        book = model.listed_in(symbol).book
        own = [
            account.id
            for account in book.traders()
            if dice.randrange(12) == 0 or willing(model, account, symbol)
        ]
        if len(own) < 2 or (symbol in model.delisted and dice.randrange(8)):
            continue
        first = dice.choice(own)
        second = dice.choice([*own * 2, FUND, MARKET])
        held = [abs(row.lots) for row in book.accounts[first].rows() if row.symbol == symbol]
        lots = dice.choice([*held * 3, *[2 * each for each in held], *LOTS]) * dice.choice([1, -1])
        price = (
            book.marks.get(symbol, Fraction(100)) * dice.choice([100, 100, 97, 103, 80, 130, 111, 89]) / 100
        )
        price = Fraction(plain(price))
        value = model.value(symbol, lots, price)
        for who, sign in ((first, 1), (second, -1)):
            paid = model.value(symbol, sign * lots, price) if priced else sign * value
            side = draw_side(dice, book.accounts[who], symbol, sign * lots)
            fills.append(Fill(who, symbol, sign * lots, paid, dice.choice([0, 0, 3, 1000]), side))
            prices.append(plain(price))
    order = dice.sample(range(len(fills)), len(fills)) if dice.random() < 0.5 else range(len(fills))
    fills, prices = [fills[i] for i in order], [prices[i] for i in order]
    return fills, prices if priced else None


def willing(model: LiveModel, account: Account, symbol: str) -> bool:
    """Whether an account may well open a row of a symbol."""
    held = {row.symbol for row in account.rows()}
    return (account.cross or held == {symbol}) and account.id not in model.in_liquidation()


def draw_side(dice: Random, account: Account, symbol: str, lots: int) -> str | None:
    """Mostly nothing; else what makes a hedge, or closes a row of one."""
    if dice.randrange(4) or account.id in RESERVED:
        return None
    same, opposite = ("long", "short") if lots > 0 else ("short", "long")
    row = account.row(symbol, SIDES[opposite])
    closes = row is not None and row.lots >= abs(lots)
    return dice.choice([same, opposite]) if closes else same if account.cross else None


def draw_moves(dice: Random, model: LiveModel) -> list[Move]:
    """Transfers between accounts of one currency, mostly of one owner."""
    moves = []
    for _ in range(dice.randint(1, 2)):
        accounts = list(dice.choice(list(model.worlds.values())).book.traders())
        if len(accounts) < 2:
            continue
        source = dice.choice(accounts)
        own = [each for each in accounts if each.owner == source.owner and each is not source]
        target = dice.choice([each for each in own if not each.cross] or own or accounts)
        free = model.free_collateral(source.id)
        amount = dice.choice([0, 1, free // 2, free, free + 1, 1000])
        rows = source.rows()
        row = dice.choice(rows) if rows and dice.randrange(3) else None
        side = row and dice.choice([None, "long" if row.side > 0 else "short"])
        moves.append(Move(source.id, target.id, amount, row and row.symbol, side))
    return moves


def draw_new_accounts(dice: Random, model: LiveModel) -> list[Raw]:
    """Now and then one of them is there already, or named twice."""
    accounts = []
    for _ in range(dice.randint(1, 3)):
        name = "".join(dice.choices(NAMES, k=1 if dice.randrange(9) == 0 else dice.randint(2, 3)))
        account = draw_account(dice, name, list(model.worlds))
        decimals = model.worlds[account["currency"]].book.decimals
        accounts.append(account | {"cash": money(dice.choice([0, 1000, 10**6]), decimals)})
    return accounts


def draw_new_instruments(dice: Random, model: LiveModel) -> list[Raw]:
    """Some with a mark, now and then one that is there already."""
    items = [draw_instrument(dice, each) for each in CONTRACTS if each[4] in model.worlds]
    new = [each for each in items if each["symbol"] not in model.symbols() or dice.randrange(9) == 0]
    some = dice.choices(new, k=dice.randint(1, 2)) if new else []
    return [each if dice.random() < 0.5 else each | {"mark": None} for each in some]


def spoil(dice: Random, model: LiveModel, fills: list[Fill]) -> list[Fill]:
    """The same with something wrong in one of them, by a look at it or once it is booked."""
    i = dice.randrange(len(fills))
    fill = fills[i]
    wrong: Raw = dice.choice(
        [
            {"lots": 0},
            {"lots": -fill.lots},
            {"lots": fill.lots + 1},
            {"value": fill.value + 1},
            {"value": fill.value - 1},
            {"value": -fill.value or 1},
            {"fee": -5000},
            {"fee": 1 << 53},
            {"lots": (1 << 53) + 1},
            {"symbol": model.symbols()[-1]},
            {"account": list(model.traders())[-1]},
        ]
    )
    return [*fills[:i], Fill(**{**fill.__dict__, **wrong}), *fills[i + 1 :]]


def draw_marks(dice: Random, model: LiveModel, *, every: bool = False) -> dict[str, str]:
    """New marks near the present ones or far; some or all of the symbols."""
    prices = {}
    for symbol in model.symbols():
        if not every and dice.randrange(3) == 0:
            continue
        at = model.listed_in(symbol).book.marks.get(symbol, Fraction(10))
        at = min(max(at, Fraction(1, 100)), Fraction(10**6))
        prices[symbol] = plain(Fraction(round(at * dice.choice([*PERCENT]) / 100, 6)))
    return prices
